#!/usr/bin/env bash
# Two hosts in the URL: the one that is there and can be written is used, and when it dies a node that runs goes on
# with the other one, which holds the same log. A failover without the replication: the second server is filled
# from a dump. Then one with PostgreSQL's own replication, asynchronous: the standby that takes over lacks what was
# acknowledged last (G-834; issue 8, item 1). All servers are this script's own.
# shellcheck disable=SC2119,SC2317 # helpers are called through others
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
patience=60
start_database one
one=$place
start_database two
two=$place
parameter() {
    grep -oE "[?&]$2=[^&]*" <<<"$1" | cut -d= -f2
}
hosts="$(parameter "$one" host),$(parameter "$two" host)"
ports="$(parameter "$one" port),$(parameter "$two" port)"
db="postgres://excore@/excore?host=$hosts&port=$ports&target_session_attrs=read-write"
create() {
    status=$(curl -sS -m 20 -o .answer -w '%{http_code}' "$url/v1/orders/order/$1/create" \
        -H "idempotency-key: $1" -H 'content-type: application/json' -d '{"customer_id":"c-7"}')
}
is_created() {
    create "$1"
    [ "$status" = 201 ]
}
is_ready() {
    [ "$(curl -sS -m 20 -o /dev/null -w '%{http_code}' "$url/health/ready")" = 200 ]
}

start_server --data "$db" --app "$orders" --listen 127.0.0.1:0
for n in 1 2 3; do
    create "o-$n"
    is "$status" 201
done
is "$(curl -sS -m 20 "$url/v1/orders/order-count?min_position=3" | jq .count)" 3
curl -sSN -m 60 "$url/v1/events?after=0" -H 'accept: text/event-stream' >followed 2>/dev/null &
children+=($!)
wait_for file_has followed "id: 3"
pg_dump -d "$one" | psql -qX -v ON_ERROR_STOP=1 "$two" >/dev/null || fail "the second server cannot be filled"

"$postgres" kill "$scratch/one"
wait_for is_created o-4
is "$(jq .position .answer)" 4
wait_for is_ready
create o-1
is "$(jq -c '[.duplicate, .position]' .answer)" '[true,1]'
is "$(curl -sS -m 20 "$url/v1/orders/order-count?min_position=4" | jq .count)" 4
wait_for file_has followed "id: 4"
expect 0 "$excore" tail --from 0 --no-follow --json --data "$two"
is "$(jq -s 'map(.position) == [1, 2, 3, 4]' <<<"$out")" true
stop_server
is "$code" 0

# One of both refuses writes: the other is looked for, and when there is none it is said.
psql -qX "$two" -c 'ALTER DATABASE excore SET default_transaction_read_only = on'
run timeout "$patience" "$excore" append a T '{}' --data "$db"
is "$code" 1
is "$(wc -l <<<"$err")" 1
has "$err" "excore append: cannot connect to PostgreSQL at "
"$postgres" start "$scratch/one" >/dev/null
expect 0 "$excore" append a T '{}' --data "$db"
is "$out" "a@1 position 4" # it knows nothing of what the other one took over: keep it away after a failover

# ---- An asynchronous standby takes over, and lacks the last events ----
"$postgres" kill "$scratch/one"
"$postgres" kill "$scratch/two"
start_database primary
primary=$place
start_database standby
standby=$place
"$postgres" stop "$scratch/standby"
data=$(<"$scratch/standby/data.place")/data
find "$data" -mindepth 1 -delete
hosts="$(parameter "$primary" host),$(parameter "$standby" host)"
ports="$(parameter "$primary" port),$(parameter "$standby" port)"
db="postgres://excore@/excore?host=$hosts&port=$ports"
start_server --data "$db" --app "$orders" --listen 127.0.0.1:0
for n in 1 2 3; do
    create "o-$n"
    is "$status" 201
done
is "$(curl -sS -m 20 "$url/v1/orders/order-count?min_position=3" | jq .count)" 3
# What the standby gets is all that there is now.
pg_basebackup -d "$primary" -D "$data" -R -X stream -c fast || fail "no copy of the primary"
chown -R --reference="$data" "$data"
for n in 4 5; do
    create "o-$n"
    is "$status" 201
done
is "$(curl -sS -m 20 "$url/v1/orders/order-count?min_position=5" | jq .count)" 5
curl -sS -m 20 -o /dev/null -D .head "$url/v1/events?after=0"
held=$(sed -n 's/^excore-log: *//Ip' .head | tr -d '\r')
curl -sSN -m 60 "$url/v1/events?after=0" -H 'accept: text/event-stream' >lost 2>/dev/null &
children+=($!)
wait_for file_has lost "id: 5"
curl -sSN -m 60 "$url/v1/events?after=0&types=Nothing" -H 'accept: text/event-stream' >kept 2>/dev/null &
children+=($!)
wait_for file_has kept "connected"

"$postgres" kill "$scratch/primary"
"$postgres" start "$scratch/standby" >/dev/null || fail "the standby does not start"
is "$(psql -qXAt "$standby" -c 'SELECT pg_promote()')" t
wait_for is_created o-6
is "$(jq .position .answer)" 4
wait_for file_has lost "log-changed"
has_not "$(<lost)" '"o-6"'
told() { # POSITION
    curl -sS -m 20 -o .answer -w '%{http_code}' "$url/v1/events?after=$1&log=$held"
}
is "$(told 3)" 200
is "$(told 4)" 409
is "$(jq -c '[.code, .position]' .answer)" '["LOG_CHANGED",4]'
is "$(told 5)" 409
is "$(curl -sS -m 20 "$url/v1/status" | jq -c '[.store.epoch.reason, .store.epoch.first]')" '["recovered",4]'
is "$(psql -qXAt "$standby" -c 'SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)')" 00000002
# The view is that of the log that there is, and what was lost can be given again.
create o-5
is "$(jq -c '[.position, .duplicate // false]' .answer)" "[5,false]"
is "$(curl -sS -m 20 "$url/v1/orders/order-count?min_position=5" | jq .count)" 5
stop_server
is "$code" 0

# The old primary is back, beside the new one, and somebody writes to it: it cannot be told in what it is wrong, but
# whoever comes from the one to the other is.
"$postgres" start "$scratch/primary" >/dev/null
start_server --data "$standby" --listen 127.0.0.1:0
curl -sS -m 20 -o /dev/null -D .head "$url/v1/events?after=0"
new=$(sed -n 's/^excore-log: *//Ip' .head | tr -d '\r')
stop_server
expect 0 "$excore" append a T '{}' --data "$primary"
is "$out" "a@1 position 6"
start_server --data "$primary" --listen 127.0.0.1:0
curl -sS -m 20 -o /dev/null -D .head "$url/v1/events?after=0"
old=$(sed -n 's/^excore-log: *//Ip' .head | tr -d '\r')
is "$(curl -sS -m 20 "$url/v1/events?after=4&log=$new" | jq -r .code)" LOG_CHANGED
stop_server
start_server --data "$standby" --listen 127.0.0.1:0
is "$(curl -sS -m 20 "$url/v1/events?after=4&log=$old" | jq -r .code)" LOG_CHANGED
stop_server
finish
