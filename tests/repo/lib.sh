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

# A folder that is gone when the script ends, and a server that is ended with it: set server to its
# pid, and to nothing once it is waited for.
scratch=$(mktemp -d)
server=

cleanup() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$scratch"
}
trap cleanup EXIT

# wait_for FILE PATTERN: until a line of FILE matches, for 20 seconds at most; sets found.
# shellcheck disable=SC2034 # found is for the caller
wait_for() {
    local tries
    for ((tries = 0; tries < 400; tries++)); do
        found=$(grep -oE -m 1 -- "$2" "$1" 2>/dev/null | head -n 1) || true
        if [ -n "$found" ]; then
            return 0
        fi
        sleep 0.05
    done
    return 1
}
