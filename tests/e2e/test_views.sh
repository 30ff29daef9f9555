#!/usr/bin/env bash
# Events that a view left out: told, shown, retried and skipped, on a server, a directory and a
# database; and a view is told to be of another build. G-714, G-715, G-716; issue 9, item 7.
# $3: an application, $4: the same with other code in its handler.
# shellcheck disable=SC2119,SC2317 # helpers are called through others
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
changed=$(realpath "$4") parcels=$linked

ready_is() {
    curl -sS -o ready.json "$url/health/ready" && [ "$(jq -r .status ready.json)" = "$1" ]
}

tells() {
    curl -sS -o ready.json "$url/health/ready" && [[ $(jq -r .checks.views ready.json) == *"$1"* ]]
}

append() { # GRAMS: the plain application's handler takes no heavy ones
    expect 0 "$excore" append parcels-1 ParcelSent "{\"parcel_id\":\"p\",\"grams\":$1}" --url "$url"
}

view_shows() {
    curl -sS "$url/v1/post/the-parcel" >answer.json && [ "$(jq -c "$1" answer.json)" = "$2" ]
}

parked_is() {
    "$excore" views show parcels "${@:2}" --json >view.json && [ "$(jq -r .parked view.json)" = "$1" ]
}

start_database database
for data in store "$place"; do
    start_server --data "$data" --app "$parcels" --listen 127.0.0.1:0 --set views.attempts=1 --set views.retry=1ms
    for grams in 1 2001 2002 2003; do append $grams; done
    wait_for parked_is 3 --url "$url"
    wait_for tells "view 'parcels' has left out 3 events"
    is "$(jq -r .status ready.json)" degraded

    # The same on the server and beside it.
    for where in --url --data; do
        at=$url && [ $where = --data ] && at=$data
        expect 0 "$excore" views list $where "$at"
        has "$out" "at position 4, 0 behind, 3 parked"
        expect 0 "$excore" views parked parcels $where "$at"
        has "$out" "2 parcels-1 ParcelSent parked, "
        has "$out" "too heavy"
        expect 0 "$excore" views parked parcels --after 2 --limit 1 --json $where "$at"
        is "$(jq -c '[.parked[0].position, .next, .has_more, .parked[0].state]' <<<"$out")" '[3,3,true,"parked"]'
        expect 1 "$excore" views parked parcel $where "$at"
        has "$err" "there is no view 'parcel'"
        expect 1 "$excore" views retry parcels 1 $where "$at"
        has "$err" "no parked event at position 1"
        expect 1 "$excore" views skip parcels 99 --reason why $where "$at"
        expect 0 "$excore" views retry parcels 2 --by ann $where "$at"
        is "$out" "0 applied, 1 parked again, 0 waiting"
    done
    is "$(curl -sS -o answer.json -w '%{http_code}' --json '{}' "$url/v1/views/parcels/parked/2/skip")" 400
    is "$(jq -r .field answer.json)" reason
    is "$(curl -sS -o answer.json -w '%{http_code}' --json '{}' "$url/v1/views/parcels/parked/x/retry")" 400
    is "$(curl -sS -o answer.json -w '%{http_code}' -X POST "$url/v1/views/parcels/parked/2/retry")" 415
    is "$(curl -sS -o answer.json -w '%{http_code}' "$url/v1/views/none")" 404
    expect 0 "$excore" views skip parcels 3 --reason 'a test' --by ann --url "$url"
    wait_for parked_is 2 --url "$url"
    expect 0 "$excore" views skip parcels 4 --reason 'another' --data "$data"
    wait_for parked_is 1 --url "$url"
    expect 0 "$excore" views parked parcels --url "$url"
    has "$out" "3 parcels-1 ParcelSent skipped"
    has "$out" "(by ann: a test)"
    has "$out" "4 parcels-1 ParcelSent skipped"
    stop_server

    # Nobody is there to retry: it is done by the next start, whose handler takes it. The rows are
    # told to be another build's.
    : >serve.log
    expect 0 "$excore" views retry parcels --data "$data"
    has "$out" "1 waiting"
    start_server --data "$data" --app "$changed" --listen 127.0.0.1:0
    wait_for view_shows .item.grams 2001
    wait_for ready_is healthy
    wait_for file_has serve.log "written by another build of the program"
    expect 0 "$excore" status --url "$url"
    has "$out" "built by another build of the application"
    stop_server
    start_server --data "$data" --app "$changed" --listen 127.0.0.1:0 --set views.new_build=rebuild
    wait_for view_shows .item.grams 2003
    expect 0 "$excore" status --url "$url"
    has_not "$out" "another build"
    stop_server
done

expect 2 "$excore" views
expect 2 "$excore" views shw
has "$err" "'shw' is none of"
expect 2 "$excore" views skip parcels 1
has "$err" "--reason"
expect 2 "$excore" views show
expect 2 "$excore" views list parcels
finish
