#!/usr/bin/env bash
# Everything `make test` runs, the whole suite last so that its summary ends the output.
#
#   1. release build with gcc; all of it again with clang (compile only)
#   2. unit and conformance tests under ASan + UBSan, then under TSan
#   3. each libFuzzer target on its corpus and for FUZZ_SECONDS more
#   4. ctest: unit, conformance, fault, crash, end-to-end, install and house tests
#
# The first failure ends the run. Nothing reads standard input.
set -euo pipefail
cd "$(dirname "$0")/.."
exec </dev/null

PATH="$PWD/.cache/tools/usr/bin:$PATH"
export CTEST_OUTPUT_ON_FAILURE=1
jobs=$(nproc)
tests_at_once=$((jobs + jobs / 2)) # many of them wait for a server most of the time

step() {
    printf '\n== %s (at %d s)\n' "$1" "$SECONDS"
}

# The tests that a sanitizer can say something about; scripts start programs of the release build.
# A test labelled no_sanitizer (it replaces malloc, say) is left out.
sanitized() {
    local preset=$1 log
    shift
    tools/build.sh "$preset"
    log=build/$preset/ctest.log
    if (cd "build/$preset" && "$@" ctest -j "$tests_at_once" -R '^(unit|conformance)\.' -LE no_sanitizer) \
        >"$log" 2>&1; then
        grep 'tests passed' "$log"
    else
        cat "$log"
        exit 1
    fi
}

# gcc 12's TSan cannot lay out its shadow memory under strong address randomisation.
fixed_addresses=()
if setarch "$(uname -m)" -R true 2>/dev/null; then
    fixed_addresses=(setarch "$(uname -m)" -R)
fi

step "release build (gcc)"
tools/build.sh release
step "the same with clang"
tools/build.sh clang
step "address and undefined-behaviour sanitizers: unit and conformance tests"
sanitized dev env
step "thread sanitizer: unit and conformance tests"
sanitized tsan ${fixed_addresses[@]+"${fixed_addresses[@]}"} env
if compgen -G 'tests/fuzz/fuzz_*.c' >/dev/null; then
    step "fuzzing, ${FUZZ_SECONDS:-10} s for each target"
    tools/fuzz.sh "${FUZZ_SECONDS:-10}"
fi
step "every test, release build"
cd build/release
ctest --no-tests=error --no-label-summary -j "$tests_at_once"
