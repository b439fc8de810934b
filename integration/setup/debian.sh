#!/usr/bin/env bash
# kcat from Debian: an old librdkafka, as many machines have it.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need kcat kcat
