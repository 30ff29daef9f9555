#!/usr/bin/env bash
# The life of orders over HTTP, the same on every engine. $3: memory and sqlite, one server; postgres, three
# on one schema, and each request goes to the next of them, so that whoever answers is not who knew before.
# shellcheck disable=SC2119,SC2317 # helpers are called through others
# shellcheck source=tests/e2e/lib.sh
engine=$3
set -- "$1" "$2"
. "$(dirname "$0")/lib.sh"

case $engine in
memory) place=:memory: nodes=1 ;;
sqlite) place=$scratch/data nodes=1 ;;
postgres)
    place=$("$postgres" start "$scratch/pg") || fail "no database"
    place+="&schema=orders" nodes=3
    stop_database() {
        cleanup_of_nodes
        "$postgres" kill "$scratch/pg" >/dev/null 2>&1 || true
        rm -rf "$(cat "$scratch/pg/data.place" 2>/dev/null || true)"
        cleanup
    }
    cleanup_of_nodes() { kill -KILL "${children[@]}" 2>/dev/null || true; }
    trap stop_database EXIT
    ;;
esac

start_nodes() {
    local i
    urls=() pids=()
    for ((i = 0; i < nodes; i++)); do
        start_server --data "$place" --app "$orders" --listen 127.0.0.1:0 --set api.min_position_timeout=2s
        urls+=("$url")
        pids+=("$server")
    done
}

# In order, each with exit code 0.
stop_nodes() {
    for server in "${pids[@]}"; do
        stop_server
        is "$code" 0
    done
}

# The next node: $url.
turn=0
next_node() {
    turn=$((turn + 1))
    url=${urls[turn % nodes]}
}

# command ID NAME BODY [HEADER]: on the next node; status in $status, answer in .answer, $position when it was done.
command_() {
    next_node
    status=$(curl -sS -m 20 -o .answer -w '%{http_code}' "$url/v1/orders/order/$1/$2" \
        -H 'content-type: application/json' ${4:+-H "$4"} -d "${3:-}" || true)
    [[ $status != 20* ]] || position=$(jq .position .answer)
}

# done_ VERSION ID NAME …: the command is carried out, as that version of the stream.
done_() {
    local version=$1
    shift
    command_ "$@"
    is "$status" 201
    is "$(jq .version .answer)" "$version"
}

# refused STATUS CODE ID NAME …
refused() {
    local want=$1 reason=$2
    shift 2
    command_ "$@"
    is "$status" "$want"
    is "$(jq -r .code .answer)" "$reason"
}

# query NAME PARAMETERS FILTER: the next node, when it has seen what was last done.
query() {
    next_node
    out=$(curl -sS -m 20 "$url/v1/orders/$1?$2&min_position=$position" | jq -c "$3")
}

start_nodes
item='{"product_id":"p-1","product_name":"Mug","quantity":2,"unit_price_cents":750}'

# ---- One order from begin to end; every step is decided on what another node wrote, and seen by a third ----
done_ 1 o-1 create '{"customer_id":"c-7"}'
query order-by-id order_id=o-1 '.item | [.status, .customer_id, .item_count, .total_cents]'
is "$out" '["draft","c-7",0,0]'
refused 422 ORDER_HAS_NO_ITEMS o-1 submit
done_ 2 o-1 add-item "$item"
query order-by-id order_id=o-1 '.item | [.status, .item_count, .total_cents, .last_position]'
is "$out" "[\"draft\",2,1500,$position]"
done_ 3 o-1 add-item "${item/p-1/p-2}"
done_ 4 o-1 remove-item '{"product_id":"p-1"}'
query order-by-id order_id=o-1 '.item | [.item_count, .total_cents]'
is "$out" '[2,1500]'
done_ 5 o-1 submit
query order-by-id order_id=o-1 '.item.status'
is "$out" '"submitted"'
done_ 6 o-1 confirm
query order-by-id order_id=o-1 '.item | [.status, .last_position]'
is "$out" "[\"confirmed\",$position]"
for ((i = 0; i < nodes + 1; i++)); do
    refused 422 ORDER_ALREADY_EXISTS o-1 create '{"customer_id":"c-8"}'
done

# ---- The same command again, on another node: carried out once, answered as before ----
key='idempotency-key: k-1'
done_ 1 o-2 create '{"customer_id":"c-7"}' "$key"
first=$(jq -c 'del(.duplicate)' .answer)
for ((i = 0; i < nodes + 1; i++)); do
    command_ o-2 create '{"customer_id":"c-7"}' "$key"
    is "$status" 200
    is "$(jq .duplicate .answer)" true
    is "$(jq -c 'del(.duplicate)' .answer)" "$first"
done
refused 409 IDEMPOTENCY_CONFLICT o-2 create '{"customer_id":"other"}' "$key"

# ---- Who is first: on every node at once, for ten orders; one wins, the others hear that it exists ----
for ((n = 0; n < 10; n++)); do
    racers=()
    for ((i = 0; i < 3; i++)); do
        next_node
        curl -sS -m 20 -o /dev/null -w '%{http_code}\n' "$url/v1/orders/order/race-$n/create" \
            -H 'content-type: application/json' -d "{\"customer_id\":\"racer-$i\"}" >"race-$i" &
        racers+=($!)
    done
    wait "${racers[@]}"
    is "$(sort race-0 race-1 race-2 | tr '\n' ' ')" "201 422 422 "
done
done_ 2 race-0 cancel '{"reason":"enough"}'
query order-count "" .count
is "$out" 12

# ---- Pages that are begun on one node go on at the next ----
cursor="" seen=""
while :; do
    query open-orders "limit=4$cursor" .
    seen+=$(jq -r '.items[].order_id' <<<"$out")$'\n'
    [ "$(jq .is_done <<<"$out")" = false ] || break
    cursor="&cursor=$(jq -r '.continue_cursor | @uri' <<<"$out")"
done
is "$(tr '\n' ' ' <<<"$seen" | sed 's/ *$//')" "o-2 race-1 race-2 race-3 race-4 race-5 race-6 race-7 race-8 race-9"
query open-orders customer_id=c-7 '[.items[].order_id]'
is "$out" '["o-2"]'

# ---- A position that nobody wrote yet: the answer is late, not wrong; a follower sees what others write ----
next_node
is "$(curl -sS -m 20 -o .answer -w '%{http_code}' "$url/v1/orders/order-count?min_position=$((position + 1000))")" 504
curl -sSN -m 60 "$url/v1/events?after=$position" -H 'accept: text/event-stream' >followed 2>/dev/null &
children+=($!)
done_ 2 o-2 add-item "$item"
wait_for file_has followed "id: $position"
done_ 3 o-2 submit
wait_for file_has followed "id: $position"
is "$(grep -c '^id: ' followed)" 2

# ---- Every node says the same of itself, and after a restart all is there ----
snapshot() {
    local node
    for node in "${urls[@]}"; do
        curl -sS -m 20 "$node/v1/orders/open-orders?limit=100&min_position=$position" | jq -c .items
        curl -sS -m 20 "$node/v1/events?after=0&limit=1000" | jq -c .events
        curl -sS -m 20 -o /dev/null -w '%{http_code}\n' "$node/health/ready"
    done | sort | uniq -c
}
before=$(snapshot)
is "$(wc -l <<<"$before")" 3
if [ "$engine" != memory ]; then
    stop_nodes
    start_nodes
    is "$(snapshot)" "$before"
fi
done_ 4 o-2 confirm
query order-by-id order_id=o-2 '.item | [.status, .total_cents]'
is "$out" '["confirmed",1500]'
"$excore" status --url "$url" --json | jq -e '.views[0].state == "active" and .views[0].parked == 0' >/dev/null ||
    fail "the view: $("$excore" status --url "$url" --json)"
stop_nodes
finish
