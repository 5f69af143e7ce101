#!/bin/sh
# Runs Apache Kafka's integration tests on Tributary's workers; `make apache-suite` builds those first. Options go
# through, and have variables as well: APACHE_ONLY, APACHE_QUICK, APACHE_OUT and others (--help).
set -eu
cd "$(dirname "$0")/../.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
commit=$(git describe --always --exclude '*' --dirty --abbrev=12 2>/dev/null || echo unknown)
stamp="-X tributary/internal/buildinfo.Commit=$commit -X tributary/internal/buildinfo.Version=$(cat VERSION)"
"${GO:-go}" build -ldflags "$stamp" -o "$dir/" ./test/apache ./test/apache/worker
"$dir/apache" --worker "$dir/worker" "$@"
