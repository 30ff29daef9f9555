#!/usr/bin/env bash
# From one SQLite node to PostgreSQL and back, over bad days: the copy killed, the database killed, a
# live source, a target that holds something else. The database is this script's own.
# shellcheck disable=SC2119,SC2317 # helpers are called through others
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
patience=60
start_database pg
base=$place

db="$base&schema=one"
head_of() {
    "$excore" status --data "$1" --json | jq .store.head
}
digest_of() {
    grep -oE '[0-9a-f]{64}' <<<"$1"
}
create() {
    run curl -sS -m 20 -o .body -w '%{http_code}' "$url/v1/orders/order/$1/create" \
        -H "idempotency-key: key-$1" -H 'content-type: application/json' -d '{"customer_id":"c-7"}'
}

"$excore" bench --data src --seconds 2 --in-flight 512 --durability normal >/dev/null
"$excore" append odd Bytes '"\u00e9"' --data src --metadata ' {"a" : 1.0}' --tag a:b --tag c:d --schema-version 3 >/dev/null
printf '\000\001\377' >bytes
"$excore" append odd Bytes @bytes --content-type application/octet-stream --data src >/dev/null
start_server --data src --app "$orders" --listen 127.0.0.1:0
create o-1
is "$out" 201
stop_server
events=$(head_of src)

# Killed while it copies, then without a database in the middle: what is there is a prefix.
has_some() { is_gone "$copy" || [ "$(head_of "$db" 2>/dev/null || echo 0)" -gt "$have" ]; }
have=0
for _ in 1 2 3; do
    "$excore" copy --from src --to "$db" >copy.log 2>&1 &
    copy=$!
    children+=("$copy")
    wait_for has_some
    kill -KILL "$copy" 2>/dev/null || true
    wait "$copy" 2>/dev/null || true
    have=$(head_of "$db")
    run "$excore" copy --from src --to "$db" --verify-only
    if [ "$have" -lt "$events" ]; then
        is "$code" 1
        [[ $err =~ ends\ at\ position\ [0-9]+,.*equal\ up\ to\ there ]] || fail "no prefix: $err"
    fi
done
[ "$have" -gt 0 ] || fail "nothing was copied before the kills"
"$excore" bench --data src --seconds 2 --in-flight 512 --durability normal >/dev/null
events=$(head_of src)
"$excore" copy --from src --to "$db" >copy.log 2>copy.err &
copy=$!
children+=("$copy")
wait_for has_some
"$postgres" kill "$scratch/pg" >/dev/null
code=0
wait "$copy" || code=$?
if [ "$code" = 1 ]; then # else it was done before
    is "$(wc -l <copy.err)" 1
    has "$(<copy.err)" "excore copy: "
fi
expect 1 "$excore" copy --from src --to "$db"
has "$err" "excore copy: the target: "
is "$(wc -l <<<"$err")" 1
"$postgres" start "$scratch/pg" >/dev/null
expect 0 "$excore" copy --from src --to "$db"
has "$out" "equal at position $events, switch now"
digest=$(digest_of "$out")

# A live source under load, and a server's end.
start_server --data src --app "$orders" --listen 127.0.0.1:0
"$excore" copy --from src --to "$db" --follow >follow.log 2>follow.err &
copy=$!
children+=("$copy")
wait_for file_has follow.err "following from position"
"$excore" bench --url "$url" --seconds 60 --in-flight 16 >/dev/null 2>&1 &
load=$!
children+=("$load")
has_followed() { [ "$(head_of "$db")" -gt $((events + 200)) ]; }
wait_for has_followed
create o-2
is "$out" 201
cp .body second.json
stop_server
stopped=$(date +%s%N)
code=0
wait "$copy" || code=$?
echo "the switch took $((($(date +%s%N) - stopped) / 1000000)) ms"
wait "$load" || true
is "$code" 0
events=$(head_of src)
has "$(<follow.log)" "equal at position $events, switch now"
is "$(head_of "$db")" "$events"
expect 0 "$excore" copy --from "$db" --to src --verify-only
is "$(digest_of "$out")" "$(digest_of "$(<follow.log)")"
[ "$(digest_of "$out")" != "$digest" ] || fail "the digest does not move"

# The target takes over: streams go on, and it is the source of a copy back to where it came from.
start_server --data "$db" --listen 127.0.0.1:0
expect 0 "$excore" append odd Bytes '{}' --expected 2 --url "$url"
is "$out" "odd@3 position $((events + 1))"
stop_server
expect 0 "$excore" copy --from "$db" --to src --json
is "$(jq -c '[.position, .events_copied, .commands_copied]' <<<"$out")" "[$((events + 1)),1,0]"
expect 0 "$excore" copy --from "$db" --to fresh --json
is "$(jq -c '[.position, .events_copied, .commands_copied]' <<<"$out")" "[$((events + 1)),$((events + 1)),2]"
expect 0 "$excore" read odd --data fresh --json
first=$(cksum <<<"$out")
expect 0 "$excore" read odd --data "$db" --json
is "$(cksum <<<"$out")" "$first"

# A command that was run on the first node is not run again on the third.
start_server --data fresh --app "$orders" --listen 127.0.0.1:0
create o-2
is "$out" 200
is "$(jq -c 'del(.duplicate)' .body)" "$(jq -c 'del(.duplicate)' second.json)"
stop_server

# Database to database, and what is refused.
expect 0 "$excore" copy --from "$db" --to "$base&schema=two" --json
is "$(jq .events_copied <<<"$out")" $((events + 1))
expect 0 "$excore" append a T '{}' --data small
expect 1 "$excore" copy --from small --to "$db"
has "$err" "event 1 differs: the target holds another log than the source"
expect 1 "$excore" copy --from "$base&schema=missing" --to other
has "$err" "the source: "
[ ! -e other ] || fail "a target was made without a source"
expect 2 "$excore" copy --from "$db" --to "$db"

# A source on PostgreSQL is followed until nobody writes it any more: two servers, then a program that
# uses the library alone and dies, then a server that dies, which is known once its time is over.
follow_back() { # NAME: starts to follow $db into the directory NAME
    "$excore" copy --from "$db" --to "$1" --follow >"$1.log" 2>"$1.err" &
    copy=$!
    children+=("$copy")
    wait_for file_has "$1.err" "following from position"
}
ends_equal() { # NAME
    code=0
    wait "$copy" || code=$?
    is "$code" 0
    has "$(<"$1.log")" "equal at position $(head_of "$db"), switch now"
}
start_server --data "$db" --listen 127.0.0.1:0
first_server=$server
start_server --data "$db" --listen 127.0.0.1:0
expect 0 "$excore" copy --from "$db" --to back
has "$out" "the source is still in use: stop its servers and run this again before you switch"
expect 0 "$excore" copy --from "$db" --to back --json
is "$(jq .source_is_written <<<"$out")" true
follow_back back
kill -TERM "$first_server"
wait "$first_server" 2>/dev/null || true
expect 0 "$excore" append later T '{}' --url "$url"
has_later() { "$excore" read later --data "$db" >/dev/null && [ "$(head_of back)" = "$(head_of "$db")" ]; }
wait_for has_later
! is_gone "$copy" || fail "the copy ended with a server on the source"
stop_server
ends_equal back

"$excore" bench --data "$db" --seconds 120 --in-flight 4 >/dev/null 2>&1 &
load=$!
children+=("$load")
is_written() { [ "$("$excore" copy --from "$db" --to back --json | jq .source_is_written)" = true ]; }
wait_for is_written
follow_back back
kill -KILL "$load"
wait "$load" 2>/dev/null || true
ends_equal back

start_server --data "$db" --listen 127.0.0.1:0 --set runtime.lease_time=2s
follow_back back
expect 0 "$excore" append later T '{}' --url "$url"
stop_server KILL
ends_equal back
finish
