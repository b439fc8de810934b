#!/usr/bin/env bash
# The Python clients, in a virtual environment.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need python3 python3
python3 -c 'import ensurepip, venv' 2>/dev/null || apt_install python3-venv

# A virtual environment holds its own path, so it is made where it will stay; the file .whole says that it is complete.
env() {
  local home="$CACHE/python-env-$(sha256sum "$SETUP/requirements.txt" | cut -c1-12)"
  rm -rf "$home"
  python3 -m venv "$home"
  "$home/bin/pip" install -q --only-binary=:all: -r "$SETUP/requirements.txt"
  ln -s "$home" "$1/env"
}

sum="$(sha256sum "$SETUP/requirements.txt" | cut -c1-12)"
install "python-$sum" env
ln -sfn "$CACHE/python-env-$sum" "$CACHE/python"
