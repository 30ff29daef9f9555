#!/usr/bin/env bash
# The long versions of what `make test` bounds: hours, not minutes.
#   CRASH_ROUNDS=1000   kill -9 and recovery (100 or three minutes in `make test`)
#   NODES_SECONDS=180   three nodes on one PostgreSQL, whoever has the view killed (60 in `make test`)
#   STORM_SECONDS=180   three nodes and the database, killed at random (30 in `make test`)
#   MEMORY_BODIES=4096  of 4 MiB, sent at once (128 in `make test`)
#   FUZZ_SECONDS=600    for each fuzz target
#   COPY_ROUNDS=200     cp of a directory that is served (2 in `make test`)
set -euo pipefail
cd "$(dirname "$0")/.."

tools/build.sh release
echo "== ${CRASH_ROUNDS:=1000} crash rounds"
build/release/tests/crash/crash.test_crash_store "$CRASH_ROUNDS"
build/release/tests/crash/crash.server_crash --rounds "$CRASH_ROUNDS" --seconds 86400
echo "== ${NODES_SECONDS:=180} s of killing nodes that share a PostgreSQL"
tools/postgres.sh start build/release/postgres >/dev/null
trap 'tools/postgres.sh stop build/release/postgres' EXIT
tools/postgres.sh with build/release/postgres build/release/tests/crash/crash.server_nodes \
    --kills 1000000 --seconds "$NODES_SECONDS"
echo "== three nodes on PostgreSQL and random kills, ${STORM_SECONDS:=180} s"
tools/postgres.sh with build/release/postgres build/release/tests/crash/crash.server_storm \
    --seconds "$STORM_SECONDS"
echo "== ${MEMORY_BODIES:=4096} bodies at once, and clients that read nothing"
build/release/tests/crash/crash.test_server_memory "$MEMORY_BODIES"
echo "== fuzzing, ${FUZZ_SECONDS:=600} s for each target"
tools/fuzz.sh "$FUZZ_SECONDS"
echo "== ${COPY_ROUNDS:=200} rounds of copying a directory that is served"
ROUNDS=$COPY_ROUNDS tests/e2e/test_copied_views.sh build/release/excore build/release/examples/orders/orders.so
