#!/usr/bin/env bash
# A program that links its application in has every verb, under its own name.
# $3: that program.
# shellcheck disable=SC2119,SC2317 # helpers are called through others
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
excore=$linked

expect 0 "$excore" --version
has "$out" "linked_app 0."
expect 2 "$excore" srve
has "$err" "linked_app: 'srve' is not a verb; did you mean 'serve'?"
start_server --data store --listen 127.0.0.1:0
has "$ready" "linked_app: serving http://127.0.0.1:$port (data store, durability full, application orders, pid $server)"
is "$(curl -sS -o /dev/null -w '%{http_code}' "$url/v1/orders/order/o-1/create" \
    -H 'content-type: application/json' -d '{"customer_id":"c-7"}')" 201
expect 0 "$excore" tail --from 0 --no-follow --json --url "$url"
has "$out" '"stream":"order-o-1","version":1'
stop_server
is "$code" 0
expect 1 "$excore" serve --data store --listen 127.0.0.1:0 --app "$orders"
has "$err" "orders is linked in; runtime.app must not name another"
finish
