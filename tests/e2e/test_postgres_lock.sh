#!/usr/bin/env bash
# Somebody holds the log's head in PostgreSQL and does not let go: who appends is told within the bound to come
# again, readers are served, and the same server goes on as soon as the lock is free. And when the server cancels a
# statement or ends a session, that is no more than a retry.
# shellcheck disable=SC2119,SC2317 # helpers are called through others
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
patience=60
start_database pg
db=$place
bound=15 # seconds: docs/postgresql.md, "another process holds the head"

get() {
    curl -sS -m 50 -o .body -w '%{http_code}' "$@" || true
}
create() {
    get "$url/v1/orders/order/$1/create" -H "idempotency-key: key-$1" -H 'content-type: application/json' \
        -d '{"customer_id":"c"}'
}
created() {
    [ "$(create "$1")" = 201 ]
}
sql() {
    psql -qXAt "$db" -c "$1"
}

# A session that holds the lock until it is told to end.
hold_lock() {
    exec {holder}> >(psql -qX "$db" >/dev/null 2>&1)
    echo "BEGIN; SELECT * FROM excore.log_head FOR UPDATE;" >&"$holder"
    wait_for is_held
}
is_held() {
    [ "$(sql "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND query LIKE '%log_head FOR UPDATE%'")" = 1 ]
}
let_go() {
    echo "ROLLBACK;" >&"$holder"
    exec {holder}>&-
}

start_server --data "$db" --app "$orders" --listen 127.0.0.1:0
is "$(create o-1)" 201

# ---- Longer than the bound ----
hold_lock
begun=$SECONDS
create o-2 >second &
children+=($!)
second=$!
is "$(get "$url/v1/orders/order-by-id?order_id=o-1&min_position=1")" 200
is "$(get "$url/v1/streams/order-o-1")" 200
is "$(get "$url/health/live")" 200
wait "$second"
took=$((SECONDS - begun))
is "$(<second)" 503
has "$(<.body)" '"code":"STORAGE_UNAVAILABLE"'
((took >= bound - 2 && took <= bound + 5)) || fail "the answer came after $took s"
has "$(<serve.log)" "a lock in PostgreSQL was not free in time"
has "$(<serve.log)" "slow statement" # the text of it, never values (R-02-12)
has "$(<serve.log)" "FOR UPDATE"
has_not "$(<serve.log)" key-o-2
let_go
wait_for created o-2
is "$(jq -c '[.position, .version]' .body)" '[2,1]'

# ---- Shorter: whoever waited is served, and nobody is told anything ----
hold_lock
create o-3 >third &
third=$!
children+=("$third")
waits() {
    [ "$(sql "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")" -ge 1 ]
}
wait_for waits
let_go
wait "$third"
is "$(<third)" 201

# ---- A statement that is cancelled, a session that is ended, while it waits for the lock ----
blow() {
    hold_lock
    create "$1" >blown &
    blown=$!
    children+=("$blown")
    wait_for waits
    is "$(sql "SELECT $1(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")" t
}
blow pg_cancel_backend
wait "$blown"
is "$(<blown)" 503
let_go
wait_for created pg_cancel_backend

# The node connects anew and waits again: nobody needs to be told.
blow pg_terminate_backend
wait_for waits
let_go
wait "$blown"
is "$(<blown)" 201

expect 0 "$excore" tail --from 0 --no-follow --json --url "$url"
is "$(jq -sc 'map([.position, .stream])' <<<"$out")" \
    '[[1,"order-o-1"],[2,"order-o-2"],[3,"order-o-3"],[4,"order-pg_cancel_backend"],[5,"order-pg_terminate_backend"]]'
stop_server
is "$code" 0
finish
