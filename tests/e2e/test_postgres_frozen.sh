#!/usr/bin/env bash
# A PostgreSQL that stands still without closing anything (SIGSTOP; a network that swallows packets looks the
# same): whoever appends is told in store.answer_timeout, the node goes on by itself when it is back, and SIGTERM ends
# the process in server.shutdown_timeout and a second (G-802, G-803, G-804, G-807; issue 8, item 14).
# shellcheck disable=SC2119,SC2317 # helpers are called through others
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start_database pg
data=$(<"$scratch/pg/data.place")/data

now_ms() {
    date +%s%3N
}
signal_all() {
    local pid
    pid=$(head -n 1 "$data/postmaster.pid")
    # shellcheck disable=SC2046 # one argument for each child
    kill "-$1" "$pid" $(<"/proc/$pid/task/$pid/children") 2>/dev/null || true
}
create() {
    curl -sS -m 20 -o .body -w '%{http_code}' "$url/v1/orders/order/$1/create" -H "idempotency-key: key-$1" \
        -H 'content-type: application/json' -d '{"customer_id":"c"}' || true
}
created() {
    [ "$(create "$1")" = 201 ]
}
# took BEGUN MOST WHAT
took() {
    local ms=$(($(now_ms) - $1))
    ((ms <= $2)) || fail "$3 took $ms ms, more than $2"
}

export EXCORE_STORE_ANSWER_TIMEOUT=1s EXCORE_SERVER_SHUTDOWN_TIMEOUT=1s EXCORE_STORE_HEAD_AGE_LIMIT=2s
start_server --data "$place" --app "$orders" --listen 127.0.0.1:0
is "$(create o-1)" 201

# ---- Nobody tells the node where the log ends: it goes on, and says so ----
ready_is() { # CODE
    [ "$(curl -sS -m 20 -o .body -w '%{http_code}' "$url/health/ready")" = "$1" ]
}
wait_for ready_is 200
listener=$(psql -qXAt "$place" -c "SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT position, recorded_at, last_id%' ORDER BY query_start DESC LIMIT 1")
postmaster=$(head -n 1 "$data/postmaster.pid")
kill -STOP "$postmaster" "$listener"
tells_age() {
    curl -sS -m 20 -o .body "$url/health/ready" && file_has .body ' ms ago"'
}
wait_for tells_age
has "$(<.body)" '"status":"degraded"'
# Beyond store.head_age_limit a load balancer takes the node out (issue 8, item 17).
wait_for ready_is 503
has "$(jq -r .checks.store .body)" "error: the end of the log was last known "
kill -CONT "$postmaster" "$listener"
wait_for ready_is 200

# ---- While it stands still ----
signal_all STOP
# Readiness answers from what it knows, and then that it knows too little (issue 8, item 14; G-809).
for at in now 1.1 2.2; do
    [ $at = now ] || read -r -t $at <> <(:) || true # results are kept for a second
    begun=$(now_ms)
    curl -sS -m 20 -o .body "$url/health/ready"
    took "$begun" 900 "readiness"
done
has "$(jq -r .checks.store .body)" "error: the end of the log was last known "
begun=$(now_ms)
code=$(create o-2)
[ "$code" -ge 500 ] || fail "an append was answered $code"
took "$begun" 1700 "the answer to an append"

# ---- It goes on ----
signal_all CONT
begun=$(now_ms)
wait_for created o-3
position=$(jq .position .body)
is "$(curl -sS -m 20 -o .body -w '%{http_code}' "$url/v1/orders/order-by-id?order_id=o-3&min_position=$position")" 200
has "$(<.body)" '"order_id":"o-3"'
took "$begun" 2500 "going on, the view included"

# ---- The end ----
signal_all STOP
create o-4 >.late &
children+=($!)
begun=$(now_ms)
stop_server
took "$begun" 2300 "the end of the process"
[[ $code = [01] ]] || fail "exit code $code"
signal_all CONT
finish
