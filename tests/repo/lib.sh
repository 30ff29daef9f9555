# Shared by the test scripts of this folder: source it, call fail, end with finish.
# shellcheck shell=bash
set -euo pipefail

failures=0

fail() {
    printf 'FAIL: %s\n' "$*"
    failures=$((failures + 1))
}

finish() {
    if [ "$failures" -gt 0 ]; then
        echo "$failures failed"
        exit 1
    fi
    echo "ok"
    exit 0
}

# 77 is what ctest takes for "skipped".
skip() {
    echo "skipped: $*"
    exit 77
}

# A folder that is gone when the script ends.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
