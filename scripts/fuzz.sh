#!/usr/bin/env bash
# fuzz.sh TIME [CACHE]: every fuzzer of the module, one after the other, each for TIME: a duration, or as 20000x a number of
# executions. CACHE is a folder for the inputs that led to new code, to begin with them the next time; without it each fuzzer
# begins with its seeds.
#
# A package's fuzzers share one binary, which is built once. An input that fails is printed, and left under the package's
# testdata/fuzz, where go test finds it as one more seed; the other fuzzers still run, and the exit status is 1.
#
# Before Go 1.27 a fuzzer whose duration ends may report "context deadline exceeded" for a failure (go.dev/issue/75804). A number
# of executions does not, so that is what a run has that must be green.
set -euo pipefail
go=${GO:-go}
time=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cache=${2:-$work/cache}
failed=0
while read -r pkg dir; do
  grep -qs '^func Fuzz' "$dir"/*_test.go || continue
  "$go" test -c -fuzz . -ldflags "-s -w" -o "$work/fuzzers" "$pkg"
  cd "$dir" # where a test runs, and where the seeds are
  for f in $("$work/fuzzers" -test.list '^Fuzz'); do
    if "$work/fuzzers" -test.run '^$' -test.fuzz "^$f\$" -test.fuzztime "$time" -test.fuzzcachedir "$cache/$pkg" >"$work/out" 2>&1 </dev/null; then
      printf '%-32s %-20s %s\n' "$pkg" "$f" "$(sed -n 's/.*execs: /execs: /p' "$work/out" | tail -1)"
      continue
    fi
    failed=1
    printf '%s %s FAILED\n' "$pkg" "$f"
    cat "$work/out"
    input=$(sed -n 's/^ *Failing input written to //p' "$work/out" | tail -1)
    [ -z "$input" ] || { printf '%s/%s:\n' "$dir" "$input"; cat "$input"; }
  done
done < <("$go" list -f '{{.ImportPath}} {{.Dir}}' ./...)
exit $failed
