#!/usr/bin/env bash
# Configure (once) and build one preset: build.sh PRESET [TARGET]…
# Library and program without the tests when no test package is installed. Away from a terminal only
# what goes wrong is printed.
set -euo pipefail
cd "$(dirname "$0")/.."

preset=$1
shift
tests=ON
if ! pkg-config --exists cmocka jansson; then
    tests=OFF
fi
if [ ! -f "build/$preset/build.ninja" ] ||
    ! grep -q "^EXCORE_TESTS:BOOL=$tests\$" "build/$preset/CMakeCache.txt"; then
    cmake --preset "$preset" "-DEXCORE_TESTS=$tests"
fi
targets=()
if [ $# -gt 0 ]; then
    targets=(--target "$@")
fi
quiet=(-- --quiet)
if [ -t 1 ]; then
    quiet=()
fi
cmake --build "build/$preset" ${targets[@]+"${targets[@]}"} ${quiet[@]+"${quiet[@]}"}
