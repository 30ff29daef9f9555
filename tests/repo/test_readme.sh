#!/usr/bin/env bash
# Every line that the README and `make run` offer for pasting works, from top to bottom. $1: build.
# shellcheck source=tests/repo/lib.sh
. "$(dirname "$0")/lib.sh"
build=$1
[ -x "$build/excore" ] || skip "no program in $build"
PATH=$(cd "$build" && pwd):$PATH

tools/run.sh 0 sqlite "$scratch/data" "$build/examples/orders/orders.so" >"$scratch/run.out" 2>"$scratch/run.err" &
server=$!
wait_for "$scratch/run.out" '^  curl.*live; Ctrl-C' || fail "make run: $(cat "$scratch/run.out" "$scratch/run.err")"
wait_for "$scratch/run.out" 'http://127.0.0.1:[0-9]+' || fail "make run names no address"
url=$found
grep -q "$scratch/data" "$scratch/run.out" || fail "make run does not say where the data lies"
grep -qE 'durability[ =]full' "$scratch/run.out" || fail "make run does not name the durability mode"

names='' # what lines of the form NAME=http… set for later ones

# What follows the log for ever is ended after a moment, and must have printed something by then.
paste() {
    local line=$1 out code=0
    case $line in
    *text/event-stream* | *excore\ tail*) line="timeout -s INT 2 $line" ;;
    *curl*) line=${line/curl /curl --fail-with-body } ;;
    esac
    out=$(cd "$scratch" && bash -c "$names$line" 2>&1) || code=$?
    case $code in
    0 | 124) [ -n "$out" ] || fail "prints nothing: $line" ;;
    *) fail "exit $code: $line: $out" ;;
    esac
    printf '%s\n' "$line" "$out" >>"$scratch/pasted"
}

while read -r line; do
    paste "${line%%  \#*}"
done < <(grep '^  curl' "$scratch/run.out")

# The blocks marked sh; lines that end in a backslash go on in the next. They work more than once (issue 9, item 14).
paste_readme() {
    local line
    while read -r line; do
        line=${line//http:\/\/127.0.0.1:8080/$url}
        case $line in
        order=http*) names="$(bash -c "$line; declare -p order"); " ;;
        *text/event-stream* | *excore\ tail*) [ "$1" = again ] || paste "$line" ;;
        curl* | excore*) paste "$line" ;;
        esac
    done < <(awk '/^```sh/ { inside = 1; next } /^```/ { inside = 0 } inside' README.md | sed -e ':a' -e '/\\$/N; s/\\\n//; ta')
}
paste_readme first
sleep 1 # the example names its order by the second
paste_readme again
shown=$(grep -A1 'open-orders' "$scratch/pasted" | grep -c '"total_cents":500') || true
[ "$shown" -eq 3 ] || fail "an open order was shown $shown times, not by make run and twice by the README"

count=$(grep -cE '^(timeout -s INT 2 )?(curl|excore) ' "$scratch/pasted")
[ "$count" -ge 15 ] || fail "only $count lines were found to paste"
grep -q '"status":"confirmed"\|OrderConfirmed' "$scratch/pasted" || fail "no order was confirmed"
grep -q OrderPlaced "$scratch/pasted" || fail "the appended event was not read back"

# The C lines of the README are those of the example that the installation test builds.
while read -r line; do
    grep -qF -- "$line" examples/embedded/main.c || fail "README shows a line that the example has not: $line"
done < <(awk '/^```c$/ { inside = 1; next } /^```/ { inside = 0 } inside && NF' README.md)

kill -TERM $server
wait $server || fail "the server ended with $? after SIGTERM"
server=
finish
