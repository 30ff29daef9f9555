#!/usr/bin/env bash
# Moving a log: killed and resumed, stopped, under load, refused; and what the target then does. (G-060)
# shellcheck disable=SC2119,SC2317 # helpers are called through others
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
patience=60

head_of() {
    "$excore" tail --data "$1" --no-follow --json --from 0 | wc -l
}

# member NAME: of the JSON in $out
member() {
    grep -oE "\"$1\":(\"[^\"]*\"|[^,}]*)" <<<"$out" | head -n 1 | cut -d: -f2- | tr -d '"'
}

# run_command ID: confirms with an id of its own; the answer is in .body, the status in $out
run_command() {
    run curl -sS -m 20 -o .body -w '%{http_code}' "$url/v1/orders/order/$1/create" \
        -H "idempotency-key: key-$1" -H 'content-type: application/json' -d '{"customer_id":"c-7"}'
}

# A source with 50,000 events, and the outcomes of a few commands.
events=0
for _ in {1..40}; do
    "$excore" bench --data src --seconds 1 --in-flight 512 --durability normal >/dev/null
    events=$(head_of src)
    [ "$events" -lt 50000 ] || break
done
start_server --data src --app "$orders" --listen 127.0.0.1:0
for n in 1 2 3; do
    run_command o-$n
    is "$out" 201
done
cp .body first.json
stop_server
events=$(head_of src)

# Killed at random moments: what is there is a prefix of the source each time.
partial=0
wal_size() { stat -c %s dst/events.db-wal 2>/dev/null || echo 0; }
wal_has_grown() { is_gone "$copy" || [ "$(wal_size)" -ne "$size" ]; }
for _ in 1 2 3 4 5; do
    size=$(wal_size)
    "$excore" copy --from src --to dst >copy.log 2>&1 &
    copy=$!
    children+=("$copy")
    wait_for wal_has_grown
    read -r -t "0.$((RANDOM % 30 + 10))" <> <(:) || true
    kill -KILL "$copy" 2>/dev/null || true
    wait "$copy" 2>/dev/null || true
    run "$excore" copy --from src --to dst --verify-only
    if [ "$code" = 1 ]; then
        [[ $err =~ ends\ at\ position\ ([0-9]+),.*equal\ up\ to\ there ]] || fail "no prefix: $err"
        [ "${BASH_REMATCH[1]:-0}" = 0 ] || partial=$((partial + 1))
    fi
done
[ "$partial" -gt 0 ] || fail "no copy was killed in the middle"
expect 0 "$excore" copy --from src --to dst
has "$out" "equal at position $events, switch now"
digest=$(grep -oE 'digest [0-9a-f]{64}' <<<"$out")
expect 0 "$excore" copy --from src --to dst --verify-only
has "$out" "$digest"
has "$out" "equal at position $events"
expect 0 "$excore" copy --from src --to dst --json
is "$(member equal) $(member position) $(member events_copied) $(member commands_copied)" "true $events 0 0"
is "digest $(member digest)" "$digest"
# The same bytes, as the verbs show them.
"$excore" tail --data src --from 0 --no-follow --json | cksum >src.sum
"$excore" tail --data dst --from 0 --no-follow --json | cksum >dst.sum
is "$(<dst.sum)" "$(<src.sum)"

# Ctrl-C: stopped in order, and the same command goes on.
"$excore" copy --from src --to dst2 >copy.log 2>copy.err &
copy=$!
children+=("$copy")
has_begun() { is_gone "$copy" || [ -s dst2/events.db-wal ]; }
wait_for has_begun
kill -INT "$copy" || true
code=0
wait "$copy" || code=$?
is "$code" 1
[[ $(<copy.err) =~ "excore copy: stopped at position "[0-9]+" of $events; the same command goes on from there" ]] ||
    fail "Ctrl-C: $(<copy.err)"
expect 0 "$excore" copy --from src --to dst2 --json
is "digest $(member digest)" "$digest"

# After the switch a repeated command gets its stored outcome and writes nothing.
start_server --data dst --app "$orders" --listen 127.0.0.1:0
expect 1 "$excore" copy --from src --to dst
has "$err" "the target: store 'dst' is in use by process $server"
run_command o-3
is "$out" 200
has "$(<.body)" '"duplicate":true'
is "$(jq -c 'del(.duplicate)' .body)" "$(jq -c 'del(.duplicate)' first.json)"
run_command o-4
is "$out" 201
is "$(jq .position .body)" $((events + 1))
stop_server
# And back: the new one is the source now.
expect 0 "$excore" copy --from dst --to src --json
is "$(member position) $(member events_copied) $(member commands_copied)" "$((events + 1)) 1 1"

# A live source: followed under load, and after its server's end only the rest is left.
start_server --data src --app "$orders" --listen 127.0.0.1:0
"$excore" copy --from src --to dst3 --follow >follow.log 2>follow.err &
copy=$!
children+=("$copy")
wait_for file_has follow.err "following from position"
"$excore" bench --url "$url" --seconds 60 --in-flight 16 >/dev/null 2>&1 &
load=$!
children+=("$load")
has_followed() { [ "$(head_of dst3)" -gt $((events + 200)) ]; }
wait_for has_followed
run_command o-5
is "$out" 201
stop_server
stopped=$(date +%s%N)
code=0
wait "$copy" || code=$?
took=$((($(date +%s%N) - stopped) / 1000000))
wait "$load" || true
is "$code" 0
events=$(head_of src)
has "$(<follow.log)" "equal at position $events, switch now"
echo "the switch took $took ms"
[ "$took" -lt 5000 ] || fail "the switch took $took ms"
expect 0 "$excore" copy --from src --to dst3 --verify-only
has "$(<follow.log)" "$(grep -oE 'digest [0-9a-f]{64}' <<<"$out")"
start_server --data dst3 --app "$orders" --listen 127.0.0.1:0
run_command o-5
is "$out" 200
stop_server

# While it is served, a copy can be made and is proved, but it is not yet time to switch. Ctrl-C
# ends following in order.
start_server --data src --listen 127.0.0.1:0
expect 0 "$excore" copy --from src --to dst3
has "$out" "the source is still in use: stop its servers and run this again before you switch"
"$excore" copy --from src --to dst3 --follow >interrupted.log 2>interrupted.err &
copy=$!
children+=("$copy")
wait_for file_has interrupted.err "following from position"
kill -INT "$copy"
code=0
wait "$copy" || code=$?
is "$code" 0
has "$(<interrupted.log)" "equal at position $events; the source is still in use"
stop_server

# Refused.
expect 0 "$excore" append a T '{}' --data small
expect 0 "$excore" append a T '{}' --data small
expect 0 "$excore" copy --from small --to other
expect 0 "$excore" append a T '{"n":1}' --data small
expect 0 "$excore" append a T '{"n":2}' --data other
expect 1 "$excore" copy --from small --to other
has "$err" "excore copy: event 3 differs: the target holds another log than the source"
expect 1 "$excore" copy --from small --to other --verify-only
has "$err" "event 3 differs"
expect 0 "$excore" append a T '{"n":3}' --data other
expect 1 "$excore" copy --from small --to dst
has "$err" "event 1 differs"
expect 0 "$excore" copy --from small --to longer
expect 0 "$excore" append a T '{"n":4}' --data longer
expect 1 "$excore" copy --from small --to longer
has "$err" "the target has 4 events, more than the source with its 3"
expect 0 "$excore" tail --data longer --no-follow --json --from 0
is "$(wc -l <<<"$out")" 4
expect 1 "$excore" copy --from missing --to new
has "$err" "excore copy: the source: there is no store in 'missing'"
[ ! -e new ] || fail "a target was made without a source"
expect 1 "$excore" copy --from small --to new --verify-only
has "$err" "the target: there is no store in 'new'"
[ ! -e new ] || fail "--verify-only made a target"
expect 1 "$excore" copy --from small --to no/where/new
has "$err" "the target: cannot create 'no/where/new'"

# The same log, which goes its own way from here on (issue 8, item 1; G-105).
identity() {
    "$excore" status --data "$1" --json | jq -r "$2"
}
expect 0 "$excore" copy --from small --to twin
is "$(identity twin .store.log_id)" "$(identity small .store.log_id)"
is "$(identity twin '.store.epoch | "\(.reason) \(.first)"')" "copied 4"
number=$(identity twin .store.epoch.number)
expect 0 "$excore" copy --from small --to twin # nothing is new
is "$(identity twin .store.epoch.number)" "$number"
expect 0 "$excore" append a T '{"n":4}' --data small
expect 0 "$excore" copy --from small --to twin
is "$(identity twin '.store.epoch | "\(.reason) \(.first)"')" "copied 5"

ln -s small link
for arguments in "" "--from small" "--to small" "--from small --to small" "--from small --to ./link/" \
    "--from http://127.0.0.1:1 --to x" "--from small --to https://x" "--from small --to x --follow --verify-only" \
    "--from small --to x y"; do
    # shellcheck disable=SC2086 # split on purpose
    expect 2 "$excore" copy $arguments
done
[ ! -e x ] || fail "misuse made a target"

# On a terminal a bar shows how it goes, and is wiped at the end.
if command -v script >/dev/null; then
    script -qec "'$excore' copy --from src --to dst4" /dev/null </dev/null >screen
    grep -qE 'copying \[#*-*\] +[0-9]+%  [0-9]+/[0-9]+  [0-9]+/s' screen || fail "no bar"
    grep -qF 'equal at position' screen || fail "no outcome: $(<screen)"
fi
finish
