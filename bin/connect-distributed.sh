#!/bin/sh
# Starts connect-distributed as Apache Kafka's script of this name starts its Java namesake:
#   connect-distributed.sh [-daemon] connect-distributed.properties
# With -daemon it runs in the background and writes to $LOG_DIR/connectDistributed.out
# (LOG_DIR defaults to the folder logs beside bin).
set -eu
link=$0
while [ -L "$link" ]; do
  target=$(readlink "$link")
  case $target in /*) link=$target ;; *) link=$(dirname "$link")/$target ;; esac
done
bin=$(cd "$(dirname "$link")" && pwd)
program=$bin/connect-distributed
if [ ! -x "$program" ]; then
  echo "$program is missing: run 'make build' first" >&2
  exit 1
fi
if [ $# -lt 1 ]; then
  echo "USAGE: $0 [-daemon] connect-distributed.properties" >&2
  exit 1
fi
if [ "$1" = -daemon ]; then
  shift
  logs=${LOG_DIR:-$bin/../logs}
  mkdir -p "$logs"
  nohup "$program" "$@" >"$logs/connectDistributed.out" 2>&1 </dev/null &
  exit 0
fi
exec "$program" "$@"
