#!/usr/bin/env bash
# What a store and a server say of themselves, from the disk and over HTTP.
# shellcheck disable=SC2119,SC2317 # helpers are called through others
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

expect 1 "$excore" status --data nowhere
has "$err" "excore status: there is no store in 'nowhere'"
[ ! -e nowhere ] || fail "status made a store"
expect 2 "$excore" status --data a --url b

# An empty store, then one with events; the log and its WAL are what is on the disk.
expect 0 "$excore" append a T '{}' --data small
expect 0 "$excore" status --data small
grep -qE '^store   sqlite, format [1-9][0-9]*$' <<<"$out" || fail "store: $out"
grep -qE '^log     ends at position 1, [0-9.]+ KiB$' <<<"$out" || fail "log: $out"
expect 0 "$excore" status --data small --json
is "$(jq -c '[.store.engine, .store.head, (.store.durability // "unknown"), .views]' <<<"$out")" '["sqlite",1,"unknown",[]]'
is "$(jq .store.size_bytes <<<"$out")" "$(stat -c %s small/events.db)"

# A server: its version, the mode in force, and the views of its application.
start_server --data src --app "$orders" --listen 127.0.0.1:0 --durability normal
for n in 1 2 3; do
    expect 0 curl -sSf -o /dev/null "$url/v1/orders/order/o-$n/create" -H 'content-type: application/json' -d '{"customer_id":"c"}'
done
expect 0 curl -sSf -o /dev/null "$url/v1/orders/open-orders?min_position=3"
expect 0 "$excore" status --url "$url"
has "$out" "server  $url, version "
has "$out" ", up 0d 00h 0"
has "$out" ", durability normal"
has "$out" "log     ends at position 3, "
has "$out" " active at position 3, 0 behind"
expect 0 "$excore" status --url "$url" --json
is "$(jq -c '[.store.engine, .store.durability, .store.head, .views[0].context, .views[0].state, .views[0].lag]' <<<"$out")" \
    '["sqlite","normal",3,"orders","active",0]'
name=$(jq -r '.views[0].name' <<<"$out")

# The same directory while it is served, and afterwards with a view that stayed behind.
expect 0 "$excore" status --data src
has "$out" "view    $name at position 3, 0 behind"
has "$out" "a process writes it now"
stop_server
expect 0 "$excore" append other T '{}' --data src
expect 0 "$excore" status --data src
has "$out" "view    $name at position 3, 1 behind"
expect 1 "$excore" status --url "$url"
expect 0 env EXCORE_STORE_DATA=src "$excore" status
has "$out" "position 4"

# Views that cannot be read are a failure, not an empty list.
printf 'no database' >small/views.db
expect 1 "$excore" status --data small
has "$err" "small/views.db"
finish
