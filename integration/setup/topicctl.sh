#!/usr/bin/env bash
# topicctl, which looks at a cluster over the wire and over ZooKeeper. It has a go.mod of its own, which pins it.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need go golang-go

source="$SETUP/../topicctl"
sum="$(cat "$source/go.mod" "$source/go.sum" | sha256sum | cut -c1-12)"

program() { (cd "$source" && go build -o "$1/topicctl" github.com/segmentio/topicctl/cmd/topicctl); }

install "topicctl-$sum" program
ln -sfn "$CACHE/topicctl-$sum/topicctl" "$CACHE/topicctl"
