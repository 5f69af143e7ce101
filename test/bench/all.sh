#!/bin/sh
# Measures all figures of docs/benchmarks anew, each report on its own brokers: all.sh [report...], where the reports are
# figures, group, partitions, cost, links and json. The machine should have nothing else to do. What the environment sets
# (BENCH_RUNS, BENCH_RECORDS and others) wins.
set -u
cd "$(dirname "$0")/../.."
day=$(date -u +%Y-%m-%d)
failed=""
report() { # name, runs, scenarios
  echo "== $1: $3"
  BENCH_RUNS=${BENCH_RUNS:-$2} BENCH_ONLY=$3 BENCH_OUT=${BENCH_OUT:-docs/benchmarks} BENCH_NAME=$day-$1 ./test/bench/run.sh || failed="$failed $1"
}
for name in ${*:-figures group partitions cost links json}; do
  case $name in
    figures) report figures 3 plain,zstd,exactly-once,record-lane,latency,delayed,idle ;;
    group) report group 1 connectors ;;
    partitions) report partitions 1 partitions,many-partitions ;;
    cost) report cost 1 cost-partitions,cost-sizes ;;
    links) report links 1 far-source,far-target ;;
    json) report json 3 json ;;
    *) echo "no report is called $name" >&2; failed="$failed $name" ;;
  esac
done
if [ -n "$failed" ]; then
  echo "FAILED:$failed" >&2
  exit 1
fi
