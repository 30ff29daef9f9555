#!/usr/bin/env bash
# What a running server says about itself: /metrics is sound Prometheus text with the names, labels
# and buckets of T-6 and bounded label sets, /openapi.json describes every command and query.
# shellcheck disable=SC2016,SC2119,SC2317 # helpers are called through others; jq has its own variables
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

start_server --data store --app "$orders" --listen 127.0.0.1:0

call() {
    curl -sS -o answer -w '%{http_code}' -H 'content-type: application/json' "$url$1" "${@:2}"
}

is "$(call /v1/orders/order/o-1/create -d '{"customer_id":"c-7"}')" 201
stop_server
is "$code" 0

# A new process: the state is not in its cache and is folded from the log.
start_server --data store --app "$orders" --listen 127.0.0.1:0 --set api.min_position_timeout=100ms --set log.format=json
is "$(call /v1/orders/order/o-1/cancel -d '{"reason":"test"}')" 201
is "$(call /v1/orders/order/o-1/cancel -d '{"reason":"test"}')" 422
is "$(call /v1/streams/s-1 -d '{"events":[{"type":"T","data":1}]}')" 201
is "$(call /v1/streams/s-1 -d '{"events":[{"type":"T","data":1}],"expected":9}')" 409
is "$(call '/v1/orders/open-orders?min_position=3')" 200
# What a client makes up must not become a label.
for i in 1 2 3 4 5; do
    is "$(call "/v1/streams/nowhere-$i")" 404
    is "$(call "/v1/orders/order/o-$i/made-up" -d '{}')" 404
    is "$(call "/made/up/$i")" 404
done
curl -sS "$url/metrics" >metrics.txt

# ---- What clients ask for wrongly is no error of ours in the log (issue 9, item 10) ----
ask_raw() {
    exec 3<>"/dev/tcp/127.0.0.1/${url##*:}"
    printf '%s\r\nHost: localhost\r\n\r\n' "$1" >&3
    head -1 <&3 | cut -d' ' -f2
    exec 3>&-
}
is "$(ask_raw 'BREW /v1/events HTTP/1.1')" 501
is "$(ask_raw 'GET /v1/events HTTP/3.0')" 505
is "$(call '/v1/events?min_position=1000000')" 504
is "$(grep -c '"level":"error"' serve.log)" 0

# ---- What a page of somebody else can send (issue 9, item 9; G-901, G-902) ----
ask() {
    curl -sS -o answer -w '%{http_code}' "$@"
}
port=${url##*:}
for protocol in --http1.1 --http2-prior-knowledge; do
    is "$(ask $protocol -X POST "$url/v1/orders/order/o-1/cancel")" 415
    is "$(ask $protocol -d '' "$url/v1/orders/order/o-1/cancel")" 415
    is "$(ask $protocol -F a=b "$url/v1/orders/order/o-1/cancel")" 415
    is "$(ask $protocol --json '{}' -H 'Origin: http://evil.example' "$url/v1/orders/order/o-1/cancel")" 403
    is "$(ask $protocol --resolve "evil.example:$port:127.0.0.1" "http://evil.example:$port/v1/events")" 421
    is "$(jq -r .detail answer | grep -c 'EXCORE_SERVER_HOSTS')" 1
    is "$(ask $protocol -H 'Host: localhost' "$url/v1/events")" 200
    is "$(ask $protocol --json '{"reason":"r"}' -H 'Sec-Fetch-Site: same-origin' -H "Origin: $url" "$url/v1/orders/order/o-1/cancel")" 422
done
is "$(ask -X OPTIONS -D head -H 'Origin: http://evil.example' -H 'Access-Control-Request-Method: POST' "$url/v1/append")" 204
is "$(grep -ci '^access-control' head)" 0

# ---- /metrics ----
if command -v promtool >/dev/null; then
    promtool check metrics <metrics.txt >promtool.out 2>&1 || fail "promtool: $(<promtool.out)"
fi

# series NAME LABELS: there is such a sample
series() {
    grep -qE "^$1(\{$2\})? [0-9.e+-]+$" metrics.txt || fail "no series $1{$2}"
}
route='method="POST",path="/v1/\{context\}/\{aggregate\}/\{id\}/\{command\}",status_code="201"'
series excore_http_request_count_total "$route"
series excore_http_request_duration_seconds_count "$route"
series excore_http_request_size_bytes_count 'method="POST",path="/v1/streams/\{stream\}"'
series excore_http_response_size_bytes_count "$route"
series excore_command_duration_seconds_count 'name="CancelOrder",outcome="executed"'
series excore_command_duration_seconds_count 'name="CancelOrder",outcome="rejected"'
series excore_query_duration_seconds_count 'name="open-orders",outcome="ok"'
series excore_slow_queries_total 'name="open-orders"'
series excore_events_appended_total 'type="OrderCancelled"'
series excore_event_append_duration_seconds_count 'store="sqlite"'
series excore_aggregate_rehydration_seconds_count 'aggregate="order"'
series excore_build_info 'version="[0-9.]+",commit="[^"]+"'
series excore_store_conflicts_total 'kind="version"'
series excore_command_rejections_total 'name="CancelOrder",code="ORDER_ALREADY_CANCELLED"'
for name in http_connections http_requests_in_flight http_received_bytes_total http_sent_bytes_total \
    store_queue_depth store_queue_age_seconds_count store_batch_submissions_count store_batch_events_count \
    store_commit_seconds_count store_log_head store_log_epochs store_ring_bytes store_ring_events \
    store_subscription_lag_events state_cache_hits_total state_cache_misses_total sse_connections; do
    series "excore_$name" ''
done
series excore_api_jobs_waiting 'pool="query"'
series excore_log_lines_lost_total ''
series excore_view_lag_events 'view="order_summary"'
for name in cpu_seconds_total resident_memory_bytes open_fds max_fds start_time_seconds; do
    series "process_$name" ''
done

# buckets NAME: the upper bounds of its first series
buckets() {
    awk -v name="$1_bucket" 'index($0, name "{") == 1 { match($0, /le="[^"]*"/); print substr($0, RSTART + 4, RLENGTH - 5) }
        /le="\+Inf"/ && index($0, name "{") == 1 { exit }' metrics.txt | paste -sd' '
}
seconds='0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 +Inf'
for name in http_request_duration_seconds command_duration_seconds query_duration_seconds \
    event_append_duration_seconds aggregate_rehydration_seconds; do
    is "$(buckets "excore_$name")" "$seconds"
done
for name in http_request_size_bytes http_response_size_bytes; do
    is "$(buckets "excore_$name" | tr ' ' '\n' | awk '$1 != "+Inf" { print $1 + 0 }' | paste -sd' ')" \
        "$(awk 'BEGIN { for (i = 2; i <= 9; i++) print 10 ^ i + 0 }' | paste -sd' ')"
done

# Bounded label sets: a path is a route's template or "unmatched".
paths=$(grep -oE 'path="[^"]*"' metrics.txt | sort -u)
grep -vE '^path="(unmatched|/v1/(streams/\{stream\}|append|events|\{context\}/.*)|/health.*|/ready|/metrics|/openapi.json)"$' \
    <<<"$paths" && fail "a path is no template"
grep -qE '^excore_http_request_count_total\{method="GET",path="unmatched",status_code="404"\} 5$' metrics.txt ||
    fail "paths without a route are not counted together"

# ---- /openapi.json ----
curl -sS "$url/openapi.json" >openapi.json
# describes QUERY: jq finds it true of the document
describes() {
    jq -e "$1" openapi.json >/dev/null || fail "openapi.json: not $1"
}
describes '.openapi | startswith("3.1.")'
describes '.components.schemas.OrderSummary.properties.status.enum == ["draft", "submitted", "confirmed", "cancelled"]'
# Every reference leads somewhere.
describes '. as $document | [.. | objects | ."$ref" // empty | select(startswith("#/")) | split("/")[1:]
    | . as $path | select($document | getpath($path) == null)] == []'

# command_takes NAME SCHEMA FIELDS REQUIRED
command_takes() {
    describes ".paths[\"/v1/orders/order/{id}/$1\"].post.requestBody.content[\"application/json\"].schema
        == {\"\$ref\": \"#/components/schemas/$2\"}"
    describes ".components.schemas.$2 | .additionalProperties == false and (.properties | keys | join(\" \")) == \"$3\"
        and (.required // [] | sort | join(\" \")) == \"$4\""
}
command_takes create CreateOrder "customer_id order_id" customer_id
command_takes add-item AddOrderItem "order_id product_id product_name quantity unit_price_cents" \
    "product_id product_name quantity unit_price_cents"
command_takes remove-item RemoveOrderItem "order_id product_id" product_id
command_takes submit SubmitOrder order_id ""
command_takes confirm ConfirmOrder order_id ""
command_takes cancel CancelOrder "order_id reason" reason
for query in open-orders order-by-id order-count; do
    describes ".paths[\"/v1/orders/$query\"].get.responses[\"200\"] != null"
done
if python3 -c 'import openapi_spec_validator' 2>/dev/null; then
    python3 -c 'import json; from openapi_spec_validator import validate; validate(json.load(open("openapi.json")))' ||
        fail "openapi.json is not OpenAPI 3.1"
fi

stop_server
is "$code" 0
finish
