#!/usr/bin/env bash
# Packets between a node and PostgreSQL are dropped for real, in a network namespace: of all connections, then of one.
# Nobody is told by a closed socket; appends and SIGTERM end when the configuration says (G-801, G-802, G-803, G-804;
# issue 8, item 14).
# shellcheck disable=SC2119,SC2317 # helpers are called through others
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
space=excore-$$ here=exh$$ there=ext$$
net=10.231.$(($$ % 250))
remove_network() {
    ip link del "$here" 2>/dev/null || true
    ip netns del "$space" 2>/dev/null || true
}
trap 'cleanup; remove_network' EXIT
if ! ip netns add "$space" 2>/dev/null || ! ip link add "$here" type veth peer name "$there" 2>/dev/null; then
    echo "this machine allows no network namespaces"
    exit 77
fi
ip link set "$there" netns "$space"
ip addr add "$net.1/30" dev "$here"
ip link set "$here" up
ip -n "$space" addr add "$net.2/30" dev "$there"
ip -n "$space" link set lo up
ip -n "$space" link set "$there" up

databases+=(pg)
EXCORE_POSTGRES_OPTIONS="-c listen_addresses=*" ip netns exec "$space" "$postgres" start --tcp "$scratch/pg" >/dev/null || fail "no database"
data=$(<"$scratch/pg/data.place")/data
echo "host all all $net.0/24 scram-sha-256" >>"$data/pg_hba.conf"
local=$(sed -n 's/^/postgres:\/\/excore@\/excore?host=/p' "$scratch/pg/socket.place")"&port=$(<"$scratch/pg/port")"
psql -qXAt "$local" -c "SELECT pg_reload_conf()" >/dev/null
db=$("$postgres" url --tcp "$scratch/pg")
db=${db/@127.0.0.1:/@$net.2:}
answers() {
    psql -qXAt "$db" -c "SELECT 1" >/dev/null 2>&1
}
wait_for answers

now_ms() {
    date +%s%3N
}
create() {
    curl -sS -m 40 -o .body -w '%{http_code}' "$url/v1/orders/order/$1/create" -H "idempotency-key: key-$1" \
        -H 'content-type: application/json' -d '{"customer_id":"c"}' || true
}
created() {
    [ "$(create "$1")" = 201 ]
}
# took BEGUN MOST WHAT: twice what is promised, and more: the machine may be busy.
took() {
    local ms=$(($(now_ms) - $1))
    ((ms <= $2)) || fail "$3 took $ms ms, more than $2"
}
counted() { # NAME-PREFIX
    psql -qXAt "$local" -c "SELECT count(*) FROM excore.streams WHERE name LIKE '$1'"
}

# ---- One connection: the others work, and the server does ----
start_server --data "$db" --app "$orders" --listen 127.0.0.1:0
for n in 1 2 3; do
    is "$(create "o-$n")" 201
done
flow=$(psql -qXAt "$local" -c "SELECT a.client_port FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid
    WHERE l.locktype = 'advisory' AND a.client_port > 0")
[[ $flow =~ ^[0-9]+$ ]] || fail "the connection that writes is not to be found: $flow"
ip -n "$space" rule add pref 10 ipproto tcp dport "$flow" blackhole
ip -n "$space" rule add pref 11 ipproto tcp sport "$flow" blackhole
begun=$(now_ms)
is "$(create o-4)" 201
took "$begun" 10000 "an append over a dead connection"
is "$(counted order-o-4)" 1
[ "$(psql -qXAt "$local" -c "SELECT count(*) FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid
    WHERE l.locktype = 'advisory' AND a.client_port > 0 AND a.client_port <> $flow")" = 1 ] || fail "it was not replaced"
ip -n "$space" rule del pref 10
ip -n "$space" rule del pref 11
stop_server
is "$code" 0

# ---- All connections ----
export EXCORE_STORE_ANSWER_TIMEOUT=1s EXCORE_SERVER_SHUTDOWN_TIMEOUT=1s
start_server --data "$db" --app "$orders" --listen 127.0.0.1:0
is "$(create o-5)" 201
ip -n "$space" link set "$there" down
begun=$(now_ms)
code=$(create o-6)
[ "$code" -ge 500 ] || fail "an append was answered $code"
took "$begun" 4000 "the answer to an append"
ip -n "$space" link set "$there" up
begun=$(now_ms)
wait_for created o-7
took "$begun" 10000 "going on"
wait_for created o-6 # the same command: it is stored once, whatever became of it
is "$(psql -qXAt "$local" -c "SELECT count(*) FROM excore.log WHERE stream = 'order-o-6'")" 1

ip -n "$space" link set "$there" down
create o-8 >.late 2>/dev/null &
children+=($!)
begun=$(now_ms)
stop_server
took "$begun" 4000 "the end of the process"
[[ $code = [01] ]] || fail "exit code $code"
ip -n "$space" link set "$there" up
finish
