#!/usr/bin/env bash
# Two hosts in the URL: the one that is there and can be written is used, and when it dies a node that runs goes on
# with the other one, which holds the same log. A failover without the replication: the second server is filled
# from a dump. Both servers are this script's own.
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
finish
