#!/usr/bin/env bash
# A damaged views.db keeps no server from starting; files and directories that may not be written are told at once
# (issue 8, item 16).
# shellcheck disable=SC2119,SC2317 # helpers are called through others
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

create() { # ID
    curl -sS -m 10 -o body.json -X POST "$url/v1/orders/order/$1/create" -H 'content-type: application/json' \
        -d '{"customer_id":"c"}'
    position=$(jq -r .position body.json)
}
count_open() {
    curl -sSf -m 10 "$url/v1/orders/open-orders?min_position=$position" | jq '.items | length'
}

start_server --data data --listen 127.0.0.1:0 --app "$orders"
for i in 1 2 3; do create "o$i"; done
is "$(count_open)" 3
stop_server

# G-207: no database, a cut one, one with bad pages behind a good header.
no_database() { head -c 40000 /dev/urandom >data/views.db; }
cut() { truncate -s 5000 data/views.db; }
bad_pages() { dd if=/dev/urandom of=data/views.db bs=4096 seek=1 count=20 conv=notrunc status=none; }
for damage in no_database cut bad_pages; do
    rm -f serve.log
    sqlite3 data/views.db 'PRAGMA wal_checkpoint(TRUNCATE)' >checkpoint.txt # all pages are in the file
    $damage
    start_server --data data --listen 127.0.0.1:0 --app "$orders"
    if ! [ -e data/views.db.damaged ]; then # it shows only when the pages are read: the next start sets it aside
        curl -sS -m 10 -o /dev/null "$url/v1/orders/open-orders" || true
        wait_for test -e data/views.db.is-damaged
        stop_server
        start_server --data data --listen 127.0.0.1:0 --app "$orders"
    fi
    [ -e data/views.db.damaged ] || fail "$damage: it is not set aside"
    [ ! -e data/views.db.is-damaged ] || fail "$damage: the note stays"
    is "$damage $(count_open)" "$damage 3"
    file_has serve.log "views are built anew from the log: views.db was damaged and is set aside" || fail "$damage: not in the log"
    expect 0 "$excore" status --url "$url"
    has "$out" "views.db was damaged, see views.db.damaged"
    create "o-$damage"
    expect 0 "$excore" append note-1 Noted '{}' --url "$url"
    stop_server
    rm -r data
    start_server --data data --listen 127.0.0.1:0 --app "$orders"
    for i in 1 2 3; do create "o$i"; done
    is "$(count_open)" 3
    stop_server
done

# G-208: who may not write is told when the store is opened; who cannot see all of it is told that.
if [ "$(id -u)" = 0 ]; then # root may write everywhere: be somebody else
    as() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
    chown -R 65534:65534 .
    chmod 755 .
    cp "$excore" ./excore.copy # a build folder need not be open to everybody
    excore=./excore.copy
else
    as() { "$@"; }
fi
chmod 444 data/events.db
expect 1 as "$excore" append a T '{}' --data data
has "$err" "events.db' may not be written by this process"
expect 1 as "$excore" serve --data data --listen 127.0.0.1:0
has "$err" "events.db' may not be written by this process"
chmod 644 data/events.db
chmod 555 data
expect 0 as "$excore" status --data data
has "$out" "ends at position 3"
chmod 755 data

# A killed server's directory that may not be written: all of it, or the reason.
as "$excore" serve --data data --listen 127.0.0.1:0 >ready.txt 2>>serve.log &
server=$!
children+=("$server")
wait_for file_has ready.txt serving
file_has ready.txt serving || cat serve.log
url=$(grep -oE 'http://[^ ]+' ready.txt)
for i in 1 2 3; do as "$excore" append a T '{}' --url "$url" >/dev/null; done
kill -KILL "$server"
wait "$server" 2>/dev/null || true
chmod 555 data
expect 0 as "$excore" status --data data
has "$out" "ends at position 6"
chmod 755 data
rm data/events.db-shm
chmod 555 data
for verb in "status" "read a" "migrate"; do
    # shellcheck disable=SC2086 # words
    expect 1 as "$excore" $verb --data data
    has "$err" "cannot be read in a directory that may not be written: what was appended last is in its WAL"
done
chmod 755 data
rm data/events.db-wal # and without the WAL nobody is shown a part
chmod 555 data
expect 1 as "$excore" status --data data
has "$err" "which is missing"
has_not "$err" "open it once for writing"
chmod 755 data
finish
