#!/usr/bin/env bash
# A directory is the one that was named: names with a meaning to SQLite, and several names of one (issue 8, item 3).
# $3: an application that goes elsewhere.
# shellcheck disable=SC2119
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
wanderer=$linked

# G-202: every verb opens such a directory, and the lock holds under each of its names.
mkdir real
ln -s real link
for place in 'file:data' 'a?mode=memory#b%20c' ':memory:x' 'file::memory:' 'link/data'; do
    start_server --data "$place" --listen 127.0.0.1:0
    expect 0 "$excore" append s T '{}' --url "$url"
    [ -f "$place/events.db" ] || fail "$place: events.db is elsewhere"
    for other in "$place" "./$place" "$scratch/$place" "${place/link/real}"; do
        expect 1 "$excore" append s T '{}' --data "$other"
        has "$err" "is in use by process $server"
        expect 0 "$excore" read s --data "$other"
        has "$out" "s@1"
    done
    stop_server
    expect 0 "$excore" append s T '{}' --data "$place"
    expect 0 "$excore" status --data "./$place"
    has "$out" "ends at position 2"
    expect 0 "$excore" migrate --data "$place" --dry-run
    expect 0 "$excore" copy --from "$place" --to "copy of ${place//\//_}"
    has "$out" "equal at position 2"
done
expect 0 ls -d real/data 'file:data' "copy of file:data"
if [ -e data ] || [ -e a ]; then
    fail "a part of a name was taken for the whole"
fi

# G-201: whatever an application does to the process's directory, every path of the configuration is what it was.
mkdir elsewhere
start_server --data data --listen 127.0.0.1:0 --app "$wanderer" --set log.output=server.log
expect 0 "$excore" append s T '{}' --url "$url"
mv server.log server.log.1
kill -HUP "$server"
wait_for file_has server.log "log reopened"
stop_server
if [ ! -f data/events.db ] || [ ! -f data/views.db ]; then fail "the store is elsewhere"; fi
is "$(ls -A elsewhere)" ""
finish
