#!/usr/bin/env bash
# Everything `make test` runs: the release build, then every test on it, whose summary ends the
# output. Sanitizers, clang, fuzzers and lint are for `make check` (tools/check.sh). Nothing reads
# standard input.
set -euo pipefail
cd "$(dirname "$0")/.."
exec </dev/null

PATH="$PWD/.cache/tools/usr/bin:$PATH"
export CTEST_OUTPUT_ON_FAILURE=1
cores=$(nproc)

tools/build.sh release
cd build/release
# more at once than cores: many of them wait for a server most of the time
ctest --no-tests=error --no-label-summary -j $((cores + cores / 2))
