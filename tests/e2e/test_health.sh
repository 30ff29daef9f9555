#!/usr/bin/env bash
# What readiness tells of a store that cannot write and of a view that stands still (R-07-17 to
# R-07-22).
# shellcheck disable=SC2119,SC2317 # helpers are called through others
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# ready_is STATUS CODE: what /health/ready answers now, for wait_for.
ready_is() {
    local http
    http=$(curl -sS -o ready.json -w '%{http_code}' "$url/health/ready")
    [ "$http" = "$2" ] && [ "$(jq -r .status ready.json)" = "$1" ]
}

# A view at its limit of parked events: the server serves, and says what stands still.
for n in 1 2; do
    expect 0 "$excore" append "order-$n" OrderCreated '{"bad":1}' --data degraded
done
EXCORE_VIEWS_PARKED_LIMIT=1 start_server --data degraded --app "$orders" --listen 127.0.0.1:0
wait_for ready_is degraded 200
is "$(jq -r .checks.store ready.json)" ok
has "$(jq -r .checks.views ready.json)" "error: 1 of the views stand still; 'order_summary' at position 1: "
has "$(jq -r .checks.views ready.json)" "1 events are parked, no more can be"
is "$(jq -r .checks.queries ready.json)" ok
expect 0 "$excore" status --url "$url"
has "$out" "order_summary error at position 1, 1 behind, 1 events parked"
expect 0 curl -sSf -o /dev/null "$url/health/live"
expect 22 curl -sSf -X POST -o /dev/null "$url/v1/streams/order-3" -H 'content-type: application/json' \
    -d '{"events":[{"type":"OrderCreated","data":{"bad":1}}]}'
has "$err" 422
stop_server

# With room for them the view goes on, and its hole is told.
start_server --data degraded --app "$orders" --listen 127.0.0.1:0
expect 0 curl -sSf "$url/v1/orders/open-orders?min_position=2"
wait_for ready_is degraded 200
is "$(jq -r .checks.views ready.json)" "error: view 'order_summary' has left out 2 events: see 'views parked order_summary'"
is "$(jq -c .items <<<"$out")" "[]"
expect 0 curl -sSf "$url/metrics"
has "$out" 'excore_view_parked_events{view="order_summary"} 2'
has "$out" 'excore_view_connections{state="idle"}'
stop_server

# A disk that is full (a limit on the size of files stands for it), and then no more.
start_server --data full --listen 127.0.0.1:0
wait_for ready_is healthy 200
prlimit --pid "$server" --fsize=4096:unlimited
expect 1 "$excore" append big T '{}' --url "$url"
wait_for ready_is unhealthy 503
has "$(jq -r .checks.store ready.json)" "error: writes fail: "
ready_is unhealthy 503 || fail "it is healthy without having written"
prlimit --pid "$server" --fsize=unlimited
wait_for ready_is healthy 200
expect 0 "$excore" append big T '{}' --url "$url"
stop_server
is "$code" 0

# issue 8, item 5; G-307: a log whose last time is ahead of the clock, as after an append under a wrong one.
expect 0 "$excore" append a T '{}' --data ahead
sqlite3 ahead/events.db "DROP TRIGGER events_no_UPDATE; UPDATE events SET recorded_at = recorded_at + 7200000000"
start_server --data ahead --listen 127.0.0.1:0
ready_is degraded 200 || fail "it is not degraded: $(<ready.json)"
is "$(jq -r .checks.store ready.json)" ok
has "$(jq -r .checks.clock ready.json)" "error: the log's last time is "
expect 0 "$excore" status --url "$url"
[[ $out =~ its\ last\ time\ is\ (71[0-9][0-9]|7200)\ s\ ahead\ of\ the\ clock ]] || fail "no such line: $out"
file_has serve.log "the log's last time is ahead of the clock" && fail "told before anything was written"
expect 0 "$excore" append a T '{}' --url "$url"
wait_for file_has serve.log "the log's last time is ahead of the clock"
stop_server
expect 0 "$excore" status --data ahead
has "$out" " s ahead of the clock"

# issue 8, item 16; G-400: a server at its limit of requests answers those who look after it.
EXCORE_SERVER_INFLIGHT_LIMIT=1 start_server --data taken --app "$orders" --listen 127.0.0.1:0
curl -sS -m 4 -o /dev/null "$url/v1/orders/open-orders?min_position=1" 2>/dev/null & # holds the only place
holder=$!
children+=("$holder")
one_in_flight() { curl -sS "$url/metrics" | grep -q '^excore_http_requests_in_flight 1$'; }
wait_for one_in_flight
for protocol in --http1.1 --http2-prior-knowledge; do
    expect 0 curl -sS "$protocol" -o /dev/null -w '%{http_code}' "$url/v1/events"
    is "$out" 503
    for path in /health/live /health/ready /ready /health /metrics /v1/status; do
        expect 0 curl -sSf "$protocol" -o /dev/null -w '%{http_code}' "$url$path"
        is "$path $out" "$path 200"
    done
done
kill "$holder"
stop_server
is "$code" 0
finish
