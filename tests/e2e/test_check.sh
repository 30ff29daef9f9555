#!/usr/bin/env bash
# What is wrong with an application is told before anybody asks it, and in development to who asks.
# G-712; issue 9, item 5. $3: an application whose queries fit, $4: one whose queries do not.
# shellcheck disable=SC2119,SC2317 # helpers are called through others
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
faulty=$(realpath "$4") parcels=$linked

# Without serving, all faults at once.
expect 0 "$excore" check --app "$orders"
is "$out" "application orders: 1 contexts, 1 views, 3 queries, no fault (tried on SQLite)"
expect 1 "$excore" check --app "$faulty"
is "$err" "excore check: context post: query no-column of view parcels: there is no column 'gram'; did you mean 'grams'?
excore check: context post: query no-count of view parcels: a count is a whole number; column parcel_id is a text"
[ ! -e data ] || fail "a store was made"
expect 2 "$excore" check
has "$err" "which application?"
expect 1 "$excore" check --app missing.so
has "$err" "no such file"
start_database database
expect 0 "$excore" check --app "$orders" --data "$place"
has "$out" "no fault (tried on SQLite and PostgreSQL)"
expect 1 "$excore" check --app "$faulty" --data "$place"
has "$err" "query no-column of view parcels on PostgreSQL: there is no column 'gram'; did you mean 'grams'?"
expect 1 "$excore" check --app "$orders" --data postgres://127.0.0.1:1/none

# The start is refused on both engines.
for data in store "$place"; do
    expect 1 "$excore" serve --app "$faulty" --data "$data" --listen 127.0.0.1:0
    has "$err" "the first of"
    has "$err" "context post: query no-column of view parcels: there is no column 'gram'"
done

# A failure of ours carries its cause in development, and names query and view in the log.
ask() {
    curl -sS "$url/v1/post/the-parcel?min_position=2"
}
for env in development production; do
    : >serve.log
    start_server --app "$parcels" --data "store-$env" --listen 127.0.0.1:0 --set service.env=$env
    for id in p-1 p-2; do
        expect 0 "$excore" append parcels-1 ParcelSent "{\"parcel_id\":\"$id\",\"grams\":5}" --url "$url"
    done
    expect 0 ask
    has "$out" '"code":"INTERNAL"'
    cause='query post/the-parcel of view parcels: query '"'the-parcel'"' gave more than one row'
    if [ $env = development ]; then
        has "$out" "\"cause\":\"$cause\""
    else
        has_not "$out" "more than one row"
    fi
    wait_for file_has serve.log "$cause"
    stop_server
done
finish
