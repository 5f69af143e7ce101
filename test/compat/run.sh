#!/bin/sh
# Runs the tests against real Kafka where java and mvn are present, and says so plainly
# where they are not. TRIBUTARY_REQUIRE_JAVA=1 makes their absence a failure.
set -eu
cd "$(dirname "$0")/../.."
for tool in java mvn; do
  if ! command -v "$tool" >/dev/null; then
    if [ "${TRIBUTARY_REQUIRE_JAVA:-}" = 1 ]; then
      echo "FAILED: $tool is not installed, and TRIBUTARY_REQUIRE_JAVA=1 forbids skipping the tests against real Kafka" >&2
      exit 1
    fi
    echo "SKIPPED: the tests against real Kafka (test/compat, test/chaos): $tool is not installed"
    exit 0
  fi
done
exec "${GO:-go}" test -timeout 25m ./test/compat/... ./test/chaos
