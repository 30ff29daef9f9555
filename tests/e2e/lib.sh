# Shared by the end-to-end tests: source it with the script's arguments, assert, end with finish.
# shellcheck shell=bash disable=SC2034 # variables are used by the scripts
set -euo pipefail
export LC_ALL=C.UTF-8
unset EXCORE_URL EXCORE_STORE_DATA EXCORE_CONFIG LOG_LEVEL LOG_PRETTY SERVICE_NAME NO_COLOR

tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
postgres=$(realpath "$tests/../../tools/postgres.sh")
excore=$(realpath "$1")
orders=$(realpath "$2")
linked=${3:+$(realpath "$3")}
failures=0
patience=20 # seconds until a wait for a condition is a failure

# A folder of its own for each script, and no process left behind.
scratch=$(mktemp -d)
children=()
databases=() # of start_database, in $scratch
cleanup() {
    local child database
    for child in "${children[@]}"; do
        kill -KILL "$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
    done
    for database in "${databases[@]}"; do
        "$postgres" kill "$scratch/$database" >/dev/null 2>&1 || true
        rm -rf "$(cat "$scratch/$database/data.place" 2>/dev/null || true)"
    done
    rm -rf "$scratch"
}
trap cleanup EXIT
cd "$scratch"

fail() {
    printf 'FAIL: line %s: %s\n' "${BASH_LINENO[1]}" "$*"
    failures=$((failures + 1))
}

# start_database NAME: a PostgreSQL of this script's own, killed at the end; its URL stands in place.
start_database() {
    databases+=("$1")
    place=$("$postgres" start "$scratch/$1") || fail "no database: $place"
}

finish() {
    if [ "$failures" -gt 0 ]; then
        echo "$failures failed"
        exit 1
    fi
    echo ok
    exit 0
}

# run COMMAND…: its output in $out and $err, its exit code in $code.
run() {
    code=0
    "$@" >"$scratch/.out" 2>"$scratch/.err" </dev/null || code=$?
    out=$(<"$scratch/.out")
    err=$(<"$scratch/.err")
}

# expect CODE COMMAND…: run it; any other exit code is a failure.
expect() {
    local want=$1
    shift
    run "$@"
    [ "$code" = "$want" ] || fail "exit code $code instead of $want: $* ($out $err)"
}

is() {
    [ "$1" = "$2" ] || fail "got \"$1\" instead of \"$2\""
}

has() {
    [[ $1 == *"$2"* ]] || fail "\"$2\" is not in \"$1\""
}

has_not() {
    [[ $1 != *"$2"* ]] || fail "\"$2\" is in \"$1\""
}

# wait_for COMMAND…: until it succeeds.
wait_for() {
    local end=$((SECONDS + patience))
    until "$@"; do
        if [ "$SECONDS" -ge "$end" ]; then
            fail "waited in vain for: $*"
            return 0
        fi
        read -r -t 0.02 <> <(:) || true
    done
}

# file_has FILE TEXT, for wait_for
file_has() {
    grep -qF -- "$2" "$1" 2>/dev/null
}

is_gone() {
    ! kill -0 "$1" 2>/dev/null
}

# start_server ARGUMENT…: sets server (pid), ready (the line), url, host and port. Log in serve.log.
start_server() {
    rm -f .ready
    mkfifo .ready
    "$excore" serve "$@" >.ready 2>>serve.log </dev/null &
    server=$!
    children+=("$server")
    exec {ready_fd}<.ready
    if ! read -r -t "$patience" ready <&"$ready_fd"; then
        cat serve.log
        fail "the server did not become ready: $*"
        finish
    fi
    url=$(grep -oE 'http://[^ ]+' <<<"$ready")
    host=${url#http://}
    port=${host##*:}
    host=${host%:*}
}

# stop_server [SIGNAL]: waits; its exit code is in $code.
stop_server() {
    kill "-${1:-TERM}" "$server"
    code=0
    wait "$server" 2>/dev/null || code=$?
}
