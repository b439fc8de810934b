#!/usr/bin/env bash
# The Go clients that are not in our own module (sarama, segmentio/kafka-go), built as one program. They have a go.mod of
# their own, so that nothing of theirs reaches the broker's.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need go golang-go

source="$SETUP/../goclients"
sum="$(cat "$source"/*.go "$source"/go.mod "$source"/go.sum | sha256sum | cut -c1-12)"

program() { (cd "$source" && go build -o "$1/goclients" .); }

install "goclients-$sum" program
ln -sfn "$CACHE/goclients-$sum/goclients" "$CACHE/goclients"
