#!/usr/bin/env bash
# The bench measures something, says on what, and leaves nothing behind.
# shellcheck disable=SC2119,SC2317 # helpers are called through others
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

expect 0 "$excore" bench --seconds 1 --in-flight 1,16
has "$out" "durability full (acknowledged after fsync)"
has "$out" "file system $(stat -f -c %T . | sed 's/ext2\/ext3/ext4/; s/overlayfs/overlay/')"
[ "$(grep -cE '^ +(1|16) +[1-9][0-9]* +[0-9.]+ ms +[0-9.]+ ms +[0-9.]+ ms +[0-9.]+ ms +0$' <<<"$out")" = 2 ] ||
    fail "no table of two rows: $out"
is "$(echo excore-bench-*)" "excore-bench-*"

expect 0 "$excore" bench --seconds 1 --in-flight 4 --data store --durability normal --json
has "$out" '"durability":"normal"'
appends=$(grep -oE '"appends":[0-9]+' <<<"$out" | cut -d: -f2)
expect 0 "$excore" tail --from 0 --no-follow --json --data store
is "$(wc -l <<<"$out")" "$appends"
is "$(grep -oE '"data":\{"n":0,[^}]*\}' <<<"$out" | tr -d '\n' | wc -c)" $((256 + 7))

# Ctrl-C ends it early with a table of what there is.
begun=$SECONDS
"$excore" bench --seconds 600 --in-flight 4,8 >table 2>&1 &
bench=$!
children+=("$bench")
has_store() { compgen -G 'excore-bench-*/events.db' >/dev/null; }
wait_for has_store
kill -INT "$bench"
code=0
wait "$bench" || code=$?
is "$code" 0
[ $((SECONDS - begun)) -lt 60 ] || fail "Ctrl-C did not end it"
is "$(echo excore-bench-*)" "excore-bench-*"

# On a terminal a line shows how it goes, and is wiped at the end.
if command -v script >/dev/null; then
    script -qec "'$excore' bench --seconds 1 --in-flight 4" /dev/null </dev/null >screen
    grep -qE ' 4 in flight +[0-9]+/s +[0-9.]+ ms +[01] s left' screen || fail "no live line"
fi

for arguments in "--in-flight 0" "--in-flight a" "--in-flight ," "--seconds 0" "--size 1" "--size 999999999" \
    "--durability never" "--data a --url b" "--url http://x --durability full"; do
    # shellcheck disable=SC2086 # split on purpose
    expect 2 "$excore" bench $arguments
done
expect 1 "$excore" bench --seconds 1 --url http://127.0.0.1:1
has "$err" "cannot connect to 127.0.0.1 port 1"
expect 1 "$excore" bench --seconds 1 --url https://127.0.0.1
finish
