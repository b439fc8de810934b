#!/usr/bin/env bash
# The tool server and our own little Java clients. The server runs Kafka's tools one after another inside one JVM. What is in java/scala
# uses the Scala clients of the old jars.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need javac openjdk-17-jdk-headless

source="$SETUP/../java"
sum="$(cat "$source"/*.java "$source"/scala/*.java | sha256sum | cut -c1-12)"

classes() {
  javac -nowarn -proc:none -Xlint:-removal -cp "$CACHE/kafka-3.9.2/*" -d "$1" "$source"/*.java &&
    javac -nowarn -proc:none -cp "$1:$CACHE/kafka-0.8.2.2/*" -d "$1" "$source"/scala/*.java
}

install "launcher-$sum" classes
ln -sfn "$CACHE/launcher-$sum" "$CACHE/launcher"
