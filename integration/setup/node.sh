#!/usr/bin/env bash
# kafkajs, with codecs that need no compiler.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need node nodejs
need npm npm

modules() {
  cp "$SETUP/package.json" "$1/"
  (cd "$1" && npm install --no-audit --no-fund --silent)
}

sum="$(sha256sum "$SETUP/package.json" | cut -c1-12)"
install "node-$sum" modules
ln -sfn "$CACHE/node-$sum" "$CACHE/node"
