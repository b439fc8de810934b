#!/usr/bin/env bash
# Apache Kafka 3.9.2 and 4.3.1 as folders of jars, by Maven.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need java openjdk-17-jdk-headless
need mvn maven

copy() { mvn -q -B -f "$SETUP/$1.xml" dependency:copy-dependencies -DoutputDirectory="$2"; }
kafka39() { copy jars39 "$1"; }
kafka43() { copy jars43 "$1"; }

install kafka-3.9.2 kafka39
install kafka-4.3.1 kafka43
