#!/usr/bin/env bash
# The tool server and our own little Java clients. The server runs Kafka's tools one after another inside one JVM.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need javac openjdk-17-jdk-headless

source="$SETUP/../java"
sum="$(cat "$source"/*.java | sha256sum | cut -c1-12)"

classes() { javac -nowarn -proc:none -Xlint:-removal -cp "$CACHE/kafka-3.9.2/*" -d "$1" "$source"/*.java; }

install "launcher-$sum" classes
ln -sfn "$CACHE/launcher-$sum" "$CACHE/launcher"
