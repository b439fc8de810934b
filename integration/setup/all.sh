#!/usr/bin/env bash
# Installs every peer that the integration suite needs. A second run does nothing and takes a moment.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
for part in jars launcher debian python node goclients topicctl; do
  bash "$here/$part.sh"
done
