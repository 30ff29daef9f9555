#!/usr/bin/env bash
# PostgreSQL crashes under durability normal and loses the end of the log that a view has applied: the view never says
# that it is active beyond the end, and its rows are those of the log that is there (G-835; issue 8, item 14). The
# database is this script's own; it writes its WAL as late as it may.
# shellcheck disable=SC2119,SC2317 # helpers are called through others
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
patience=60
databases+=(pg)
start() {
    EXCORE_POSTGRES_OPTIONS="-c synchronous_commit=off -c wal_writer_delay=10s -c autovacuum=off" "$postgres" start "$scratch/pg"
}
db=$(start) || fail "no database: $db"

create() {
    status=$(curl -sS -m 20 -o .answer -w '%{http_code}' "$url/v1/orders/order/$1/create" \
        -H 'content-type: application/json' -d '{"customer_id":"c-7"}')
}
# From now on until the file .end is there: what the status says of the view and the log, a line each time.
watch() {
    until [ -e .end ]; do
        curl -sS -m 20 "$url/v1/status" 2>/dev/null |
            jq -c '.store.head as $h | .views[] | [.state, .position, .lag, $h]' 2>/dev/null || true
    done >told
}
applied() { # POSITION
    [ "$(curl -sS -m 20 -o .count -w '%{http_code}' "$url/v1/orders/order-count?min_position=$1")" = 200 ]
}

lost=0
for round in 1 2 3 4 5 6 7 8; do
    start_server --data "$db" --app "$orders" --durability normal --listen 127.0.0.1:0
    for n in 1 2 3 4 5 6 7 8; do
        create "r$round-$n"
        is "$status" 201
    done
    last=$(jq .position .answer)
    wait_for applied "$last"
    rm -f .end
    watch &
    watcher=$!
    children+=("$watcher")
    wait_for file_has told active
    "$postgres" kill "$scratch/pg"
    start >/dev/null || fail "the database does not start"
    goes_on() {
        create "r$round-after" 2>/dev/null
        [ "$status" = 201 ]
    }
    wait_for goes_on
    position=$(jq .position .answer)
    wait_for applied "$position"
    count=$(jq .count .count)
    touch .end
    wait "$watcher" || true
    is "$count" "$(psql -qXAt "$db" -c "SELECT count(*) FROM excore.log WHERE type = 'OrderCreated'")"
    # lag is what is missing: a position beyond the end is none that anybody may be told
    is "$(jq -c 'select(.[0] == "active" and .[1] > .[3])' told | head -n 3)" ""
    is "$(curl -sS -m 20 "$url/v1/status" | jq -c '.store.head as $h | [.views[] | .position <= $h] | all')" true
    stop_server
    is "$code" 0
    [ "$position" -gt "$last" ] || lost=1
    [ $lost = 0 ] || break
done
is "$lost" 1
finish
