#!/bin/sh
# Measures bin/connect-mirror-maker beside Java MirrorMaker 2; `make bench` builds it first. Options go
# through, and have variables as well: BENCH_RECORDS, BENCH_RUNS, BENCH_ONLY, BENCH_TOOLS and others (--help).
set -eu
cd "$(dirname "$0")/../.."
ulimit -n "$(ulimit -Hn)" # a broker holds a file a partition open
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
commit=$(git describe --always --exclude '*' --dirty --abbrev=12 2>/dev/null || echo unknown)
"${GO:-go}" build -ldflags "-X tributary/internal/buildinfo.Commit=$commit" -o "$dir/bench" ./test/bench
"$dir/bench" "$@"
