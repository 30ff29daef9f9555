#!/usr/bin/env bash
# What docs/postgresql.md says of backups: a dump of the log's schema, restored into an empty database, is the same
# log and serves; a log that is set back under a running node gets an epoch, and the node goes on in it (issue 8, item
# 14). The database is this script's own.
# shellcheck disable=SC2119,SC2317 # helpers are called through others
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start_database pg
base=$place
db=$base
other=${base/\/excore\?//other?}
sql() {
    psql -qXAt -v ON_ERROR_STOP=1 "$@"
}
create() {
    status=$(curl -sS -m 20 -o .answer -w '%{http_code}' "$url/v1/orders/order/$1/create" \
        -H 'content-type: application/json' -d '{"customer_id":"c-7"}')
}
count_orders() {
    curl -sS -m 20 "$url/v1/orders/order-count?min_position=$1" | jq .count
}
code_of() {
    curl -sS -m 20 -o .body -w '%{http_code}' "$url$1"
}

start_server --data "$db" --app "$orders" --listen 127.0.0.1:0 --set runtime.lease_time=1s
for n in 1 2 3 4 5; do
    create "o-$n"
    is "$status" 201
done
expect 0 "$excore" append odd Bytes '{}' --data "$db" --metadata ' {"a" : 1.0}' --tag a:b --schema-version 3
printf '\000\001\377' >bytes
expect 0 "$excore" append odd Bytes @bytes --content-type application/octet-stream --data "$db"

# ---- A dump of the log, under load, in an empty database ----
pg_dump -d "$db" --schema=excore >log.sql || fail "pg_dump"
sql "$base" -c 'CREATE DATABASE other'
sql "$other" -f log.sql >/dev/null || fail "the dump cannot be restored"
expect 0 "$excore" copy --from "$db" --to "$other" --verify-only
has "$out" "equal at position 7"
first=$url
start_server --data "$other" --app "$orders" --listen 127.0.0.1:0
is "$(count_orders 7)" 5
create o-6
is "$status" 201
is "$(jq -c '[.position, .version]' .answer)" "[8,1]"
create o-1
is "$(jq -r .code .answer)" ORDER_ALREADY_EXISTS
is "$(code_of /health/ready)" 200
run sql "$other" -c 'DELETE FROM excore.events'
has "$err" "the log is append-only"
stop_server
is "$code" 0

# ---- The dump is the same log, in another place ----
id_of() {
    "$excore" status --data "$1" --json | jq -r ".store.$2"
}
is "$(id_of "$other" log_id)" "$(id_of "$db" log_id)"
is "$(id_of "$other" epoch.first)" 8
is "$(id_of "$other" epoch.reason)" replaced

# ---- Set back under a node that runs: it goes on in the log that is there ----
server=${children[0]} url=$first
create o-6
create o-7
is "$(jq .position .answer)" 9
is "$(count_orders 9)" 7
sql "$db" --single-transaction -c 'DROP SCHEMA excore CASCADE' -f log.sql >/dev/null 2>&1 || fail "set back"
goes_on() {
    create o-6
    [ "$status" = 201 ]
}
wait_for goes_on
is "$(jq -c '[.position, .version]' .answer)" "[8,1]"
is "$(id_of "$db" epoch.first)" 8
is "$(id_of "$db" epoch.reason)" replaced
is "$(code_of /health/live)" 200
stop_server

# ---- Read models of the log that was there have begun anew (issue 8, item 1) ----
start_server --data "$db" --app "$orders" --listen 127.0.0.1:0 --set runtime.lease_time=1s
is "$(count_orders 8)" 6
create o-7
is "$(jq .position .answer)" 9
is "$(count_orders 9)" 7
is "$(code_of /health/ready)" 200
stop_server
is "$code" 0
finish
