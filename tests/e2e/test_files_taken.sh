#!/usr/bin/env bash
# The directory is deleted, moved or restored in place while a server writes it (issue 8, item 2).
# shellcheck disable=SC2119,SC2317 # helpers are called through others
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

post() { # STREAM: its HTTP status in $http, the answer in body.json
    http=$(curl -sS -m 10 -o body.json -w '%{http_code}' "$url/v1/streams/$1" -H 'content-type: application/json' \
        -d '{"events":[{"type":"T","data":{}}]}')
}
ready_is() {
    local http
    http=$(curl -sS -m 10 -o ready.json -w '%{http_code}' "$url/health/ready")
    [ "$http" = "$1" ]
}

delete_it() { rm -rf data; }
move_it() { mv data moved; }
restore_it() { # as tar does it: other files under the same names
    rm data/events.db*
    cp backup/events.db* data/
}
restore_in_place() { # as cp does it: the same files with other contents
    cp backup/events.db* data/
}

# G-203, G-204: what meets it is not acknowledged, what comes later is refused, readiness and one log line say it.
for change in delete_it move_it restore_it restore_in_place; do
    rm -rf data moved backup server.log
    start_server --data data --listen 127.0.0.1:0 --app "$orders" --set log.output=server.log --set log.format=json
    for _ in 1 2 3; do post a; done
    cp -a data backup
    for _ in 1 2; do post a; done
    is "$http" 201
    $change
    post a
    if [ "$change" = restore_in_place ]; then # SQLite may meet it when the batch begins
        is "$http" "${http/#[!5]*/5xx}"
    else
        is "$change $(jq -r .code body.json)" "$change OUTCOME_UNKNOWN"
    fi
    for _ in 1 2; do
        post a
        is "$change $(jq -r .code body.json)" "$change STORAGE_UNAVAILABLE"
        is "$http" 503
    done
    if [ "$change" = delete_it ]; then
        wait_for ready_is 503
        has "$(jq -r .checks.store ready.json)" "in use"
    fi
    is "$(grep -c 'writing has ended, all appends are refused' server.log)" 1
    has "$(grep 'writing has ended' server.log)" "nothing more is written until the store is opened anew"
    curl -sSf -o /dev/null "$url/health/live" || fail "$change: it is not alive"

    # A second server on the same path, and the end of the first one: neither harms the other's files.
    if [ "$change" = delete_it ] || [ "$change" = move_it ]; then
        first=$server
        start_server --data data --listen 127.0.0.1:0 --app "$orders"
        for _ in 1 2; do post b; done
        is "$http" 201
        kill -TERM "$first"
        wait_for is_gone "$first"
        post b
        is "$(jq -r .position body.json)" 3
        stop_server KILL
        expect 0 "$excore" status --data data
        has "$out" "ends at position 3"
    else
        stop_server
        is "$code" 0
        expect 0 "$excore" read a --data data
        has "$out" "a@3"
        has_not "$out" "a@4"
    fi
    if [ "$change" = move_it ]; then # all that was acknowledged, and what was not known
        expect 0 "$excore" status --data moved
        has "$out" "ends at position 6"
    fi
done

# Without an append, readiness finds it.
rm -rf data moved
start_server --data data --listen 127.0.0.1:0
wait_for ready_is 200
move_it
wait_for ready_is 503
stop_server
finish
