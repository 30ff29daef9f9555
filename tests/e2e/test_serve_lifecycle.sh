#!/usr/bin/env bash
# From the ready line to the last signal: one line, readiness, SIGHUP, an orderly end, a quick end. (G-043)
# shellcheck disable=SC2119,SC2317 # helpers are called through others
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

get() {
    curl -sS -m 10 -o .body -w '%{http_code}' "$@" || true
}

# An append whose body is sent only in part: a request in progress. Its socket is $request.
body='{"events":[{"type":"Slow","data":{"a":1}}]}'
begin_request() {
    exec {request}<>"/dev/tcp/$host/$port"
    printf 'POST /v1/streams/%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' \
        "$1" "${#body}" "${body:0:10}" >&"$request"
    wait_for is_in_flight
}
is_in_flight() { # its connection is there beside that of the question, which came later
    curl -sS "$url/metrics" | grep -q '^excore_http_connections [2-9]'
}

# The ready line is one line, with all that a person needs.
start_server --data store --listen 127.0.0.1:0 --set log.output=server.log
[[ $ready =~ ^excore:\ serving\ http://127\.0\.0\.1:[1-9][0-9]*\ \(data\ store,\ durability\ full,\ pid\ $server\)$ ]] ||
    fail "ready line: $ready"
is "$(get "$url/health/live")" 200
is "$(<.body)" '{"status":"alive"}'
is "$(get "$url/health/ready")" 200
has "$(<.body)" '"store":"ok"'
is "$(get "$url/metrics")" 200
grep -q '^excore_build_info{' .body || fail "no build_info"
grep -q '^process_resident_memory_bytes \|^excore_process_resident_memory_bytes ' .body || fail "no process metrics"
is "$(get "$url/openapi.json")" 200
soft=$(awk '/Max open files/ { print $4 }' "/proc/$server/limits")
is "$soft" "$(awk '/Max open files/ { print $5 }' "/proc/$server/limits")"

# A second server is told who has the store, and leaves the first alone.
expect 1 "$excore" serve --data store --listen 127.0.0.1:0
has "$err" "/store' is in use by process $server"
is "$out" ""
is "$(get "$url/health/ready")" 200

# SIGHUP: the log goes on in a new file of the same name (R-01-39).
mv server.log server.log.1
kill -HUP "$server"
wait_for file_has server.log "log reopened"
is "$(get "$url/health/live")" 200

# SIGUSR1: debug lines on, and off again (R-01-38).
kill -USR1 "$server"
wait_for file_has server.log '"log_level":"debug"'
is "$(get "$url/health/live")" 200
wait_for file_has server.log '"path":"/health/live"'
kill -USR1 "$server"
wait_for file_has server.log '"log_level":"info"'
is "$(get "$url/health/ready")" 200
is "$(grep -c '"path":"/health/ready"' server.log)" 0

# SIGTERM while a request is in progress: it is finished, nothing new is let in, exit code 0.
begin_request drained
kill -TERM "$server"
wait_for file_has server.log "shutting down"
# shellcheck disable=SC2034 # a descriptor
refused() { ! (exec {probe}<>"/dev/tcp/$host/$port") 2>/dev/null; }
wait_for refused
printf '%s' "${body:10}" >&"$request"
read -r -t "$patience" answer <&"$request" || fail "no answer to the request in progress"
has "$answer" "HTTP/1.1 201"
code=0
wait "$server" || code=$?
is "$code" 0
exec {request}>&-
expect 0 "$excore" read drained --data store
has "$out" "drained@1"

# Another start on the same directory, with the log's own words on what is there.
start_server --data store --listen 127.0.0.1:0 --durability normal --set log.output=server.log
has "$ready" "durability normal"

# SIGINT ends it as well; a request that never ends is given up after the time-out.
stop_server INT
is "$code" 0
start_server --data store --listen 127.0.0.1:0 --set server.shutdown_timeout=300ms --set log.output=server.log
begin_request never
begun=$EPOCHREALTIME
stop_server TERM
is "$code" 0
awk "BEGIN { exit !($EPOCHREALTIME - $begun < 10) }" || fail "the time-out of the shutdown was not kept"
expect 1 "$excore" read never --data store

# A second signal does not wait.
start_server --data store --listen 127.0.0.1:0 --set server.shutdown_timeout=1h --set log.output=again.log
begin_request never
kill -TERM "$server"
wait_for file_has again.log "shutting down"
stop_server TERM
is "$code" 1

# kill -9 leaves a store that opens again at once.
start_server --data store --listen 127.0.0.1:0
stop_server KILL
is "$code" 137
start_server --data store --listen 127.0.0.1:0

# Nobody reads the ready line: the server runs all the same.
stop_server
"$excore" serve --data store --listen 127.0.0.1:0 --set log.output=unread.log --set log.format=json > >(:) &
server=$!
children+=("$server")
wait_for file_has unread.log '"message":"ready"'
stop_server
is "$code" 0

# With an application: its routes answer, and its name stands in the ready line.
start_server --data orders --listen 127.0.0.1:0 --app "$orders"
has "$ready" ", application orders, pid $server)"
is "$(get -X POST "$url/v1/orders/order/o-1/create" -H 'content-type: application/json' -d '{"customer_id":"c-7"}')" 201
is "$(get "$url/v1/orders/no-such-query")" 404
stop_server
is "$code" 0
finish
