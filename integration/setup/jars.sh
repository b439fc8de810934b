#!/usr/bin/env bash
# Apache Kafka 3.9.2 and 4.3.1 as folders of jars, and the clients of older generations, by Maven.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need java openjdk-17-jdk-headless
need mvn maven

copy() { mvn -q -B -f "$SETUP/$1.xml" dependency:copy-dependencies -DoutputDirectory="$2"; }
kafka39() { copy jars39 "$1"; }
kafka43() { copy jars43 "$1"; }

install kafka-3.9.2 kafka39
install kafka-4.3.1 kafka43

# old VERSION ARTIFACT: every jar of it is the one whose sum is in jars-old.sha256, and no jar is missing or added.
old() {
  local version="$1" artifact="$2"
  clients() {
    mvn -q -B -C -f "$SETUP/jars-old.xml" -Dartifact="$artifact" -Dkafka="$version" dependency:copy-dependencies -DoutputDirectory="$1" &&
      diff <(cd "$1" && sha256sum -- *.jar | sort) <(sed -n "s, kafka-$version/, ,p" "$SETUP/jars-old.sha256" | sort)
  }
  install "kafka-$version" clients
}

old 0.8.2.2 kafka_2.11
old 0.9.0.1 kafka_2.11
old 0.10.2.2 kafka_2.11
old 0.11.0.3 kafka_2.11
old 1.1.1 kafka_2.11
old 2.0.1 kafka-clients
old 2.8.2 kafka-clients
old 3.0.2 kafka-clients
