# Shared by the set-up scripts: where the peers live, how one is installed exactly once.
#
# Every peer has a folder of its own under $CACHE whose name carries its version. It is built beside its final place and
# renamed when whole, so an interrupted set-up leaves nothing that looks finished, and two runs cannot mix.
set -euo pipefail

CACHE="${BARNABAS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/barnabas-peers}"
SETUP="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
mkdir -p "$CACHE"

say() { printf 'setup: %s\n' "$*" >&2; }
die() { printf 'setup: FAILED: %s\n' "$*" >&2; exit 1; }

# need PROGRAM PACKAGE: the program is there, or Debian's package brings it.
need() {
  command -v "$1" >/dev/null 2>&1 && return 0
  apt_install "$2"
  command -v "$1" >/dev/null 2>&1 || die "$1 is still missing after installing $2; install $1 by hand and run again"
}

# apt_install PACKAGE...: Debian's packages, as root or by sudo without a question.
apt_install() {
  local as=()
  [ "$(id -u)" = 0 ] || as=(sudo -n)
  command -v apt-get >/dev/null 2>&1 || die "need $* and this is no Debian: install it by hand and run again"
  say "installing $* (Debian)"
  if [ ! -e "$CACHE/.apt-updated" ]; then
    "${as[@]}" apt-get update -qq >"$CACHE/apt.log" 2>&1 || die "apt-get update: see $CACHE/apt.log"
    touch "$CACHE/.apt-updated"
  fi
  DEBIAN_FRONTEND=noninteractive "${as[@]}" apt-get install -y -qq --no-install-recommends "$@" >>"$CACHE/apt.log" 2>&1 ||
    die "apt-get install $*: see $CACHE/apt.log"
}

# install NAME FUNCTION: runs FUNCTION with a fresh folder unless NAME is already there. One at a time across processes.
install() {
  local name="$1" build="$2" dir="$CACHE/$1"
  [ -d "$dir" ] && return 0
  exec 9>"$CACHE/.lock-$name"
  flock 9
  [ -d "$dir" ] && return 0
  local fresh="$dir.partial"
  rm -rf "$fresh"
  mkdir -p "$fresh"
  say "installing $name into $CACHE"
  "$build" "$fresh" >"$CACHE/$name.log" 2>&1 || { tail -20 "$CACHE/$name.log" >&2; die "$name: the whole log is $CACHE/$name.log"; }
  mv "$fresh" "$dir"
  exec 9>&-
}
