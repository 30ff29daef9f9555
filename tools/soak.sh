#!/usr/bin/env bash
# The long versions of what `make test` bounds: hours, not minutes.
#   CRASH_ROUNDS=1000   kill -9 and recovery (100 or three minutes in `make test`)
#   FUZZ_SECONDS=600    for each fuzz target
set -euo pipefail
cd "$(dirname "$0")/.."

tools/build.sh release
echo "== ${CRASH_ROUNDS:=1000} crash rounds"
build/release/tests/crash/crash.test_crash_store "$CRASH_ROUNDS"
build/release/tests/crash/crash.server_crash --rounds "$CRASH_ROUNDS" --seconds 86400
echo "== fuzzing, ${FUZZ_SECONDS:=600} s for each target"
tools/fuzz.sh "$FUZZ_SECONDS"
