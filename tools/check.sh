#!/usr/bin/env bash
# What `make check` runs beyond `make test`, half an hour of it:
#
#   1. all of it again with clang (compile only)
#   2. unit and conformance tests under ASan + UBSan, then under TSan
#   3. each libFuzzer target on its corpus and for FUZZ_SECONDS more
#   4. formatting, shellcheck, clang-tidy
#
# Each step runs even when one before it failed; the last line counts them. Nothing reads standard
# input.
set -euo pipefail
cd "$(dirname "$0")/.."
exec </dev/null

PATH="$PWD/.cache/tools/usr/bin:$PATH"
export CTEST_OUTPUT_ON_FAILURE=1
cores=$(nproc)
tests_at_once=$((cores + cores / 2)) # many of them wait for a server most of the time
passed=0
failed=0

step() {
    local title=$1
    shift
    printf '\n== %s (at %d s)\n' "$title" "$SECONDS"
    if "$@"; then
        passed=$((passed + 1))
    else
        echo "FAILED: $title"
        failed=$((failed + 1))
    fi
}

# The tests that a sanitizer can say something about; scripts start programs of the release build.
# A test labelled no_sanitizer (it replaces malloc, say) is left out.
sanitized() {
    local preset=$1 log
    shift
    tools/build.sh "$preset" || return 1
    log=build/$preset/ctest.log
    if (cd "build/$preset" && "$@" ctest -j "$tests_at_once" -R '^(unit|conformance)\.' -LE no_sanitizer) \
        >"$log" 2>&1; then
        grep 'tests passed' "$log"
    else
        cat "$log"
        return 1
    fi
}

# gcc 12's TSan cannot lay out its shadow memory under strong address randomisation.
fixed_addresses=()
if setarch "$(uname -m)" -R true 2>/dev/null; then
    fixed_addresses=(setarch "$(uname -m)" -R)
fi

step "build with clang" tools/build.sh clang
step "address and undefined-behaviour sanitizers: unit and conformance tests" sanitized dev env
step "thread sanitizer: unit and conformance tests" \
    sanitized tsan ${fixed_addresses[@]+"${fixed_addresses[@]}"} env
step "fuzzing, ${FUZZ_SECONDS:-10} s for each target" tools/fuzz.sh "${FUZZ_SECONDS:-10}"
step "format, shell scripts, static analysis" tools/lint.sh
printf '\ncheck: %d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
