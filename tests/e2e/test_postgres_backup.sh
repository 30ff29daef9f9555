#!/usr/bin/env bash
# What docs/postgresql.md says of backups: a dump of the log's schema, restored into an empty database, is the same
# log and serves; a log that is set back under a running node is not written by it, and read models that know more
# than the log begin anew. The database is this script's own.
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

# ---- Set back under a node that runs: it writes nothing, and says why ----
server=${children[0]} url=$first
create o-6
create o-7
is "$(jq .position .answer)" 9
is "$(count_orders 9)" 7
sql "$db" --single-transaction -c 'DROP SCHEMA excore CASCADE' -f log.sql >/dev/null 2>&1 || fail "set back"
for n in 6 8; do
    create "o-$n"
    is "$status" 503
done
file_has serve.log "the database was replaced while in use" || fail "the log does not say it: $(<serve.log)"
is "$(code_of /health/live)" 200
is "$(code_of /health/ready)" 503
is "$(sql "$db" -c 'SELECT max(position) FROM excore.log')" 7
stop_server

# ---- Read models that know more than the log begin anew, and say so (issue 8, item 1) ----
start_server --data "$db" --app "$orders" --listen 127.0.0.1:0 --set runtime.lease_time=1s
is "$(count_orders 7)" 5
file_has serve.log "view is built anew" || fail "the log does not say it: $(<serve.log)"
create o-6
is "$(jq .position .answer)" 8
is "$(count_orders 8)" 6
is "$(code_of /health/ready)" 200
stop_server
is "$code" 0
finish
