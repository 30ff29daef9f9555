#!/usr/bin/env bash
# Older layouts: shown, refused by a server, brought up to date when somebody says so. The database is
# this script's own. (G-061)
# shellcheck disable=SC2119,SC2317 # helpers are called through others
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# A directory: nothing to do, nothing there, a newer one, one in use.
expect 0 "$excore" append a T '{}' --data store
expect 0 "$excore" migrate --data store
[[ $out =~ ^sqlite,\ format\ [1-9][0-9]*:\ up\ to\ date$ ]] || fail "got $out"
expect 0 env EXCORE_STORE_DATA=store "$excore" migrate --dry-run
has "$out" "up to date"
expect 1 "$excore" migrate --data nowhere
has "$err" "excore migrate: there is no store in 'nowhere'"
[ ! -e nowhere ] || fail "migrate made a store"
expect 0 "$excore" migrate --data made --create --dry-run
is "$out" "there is no store, one would be made"
[ ! -e made ] || fail "a dry run made a store"
expect 0 "$excore" migrate --data made --create
[[ $out =~ ^sqlite,\ format\ [1-9][0-9]*:\ made$ ]] || fail "got $out"
expect 0 "$excore" migrate --data made --create
has "$out" "up to date"
is "$("$excore" status --data made --json | jq .store.head)" 0
cp -r store newer
# user_version stands at offset 60 of the file, big-endian: 999
printf '\000\000\003\347' | dd of=newer/events.db bs=1 seek=60 conv=notrunc status=none
expect 1 "$excore" migrate --data newer
has "$err" "written by a newer version of excore"
expect 2 "$excore" migrate --url http://127.0.0.1:1

# PostgreSQL: a schema in which no migration was run yet is the oldest there can be.
base=$("$postgres" start "$scratch/pg") || fail "no database: $base"
stop_database() {
    "$postgres" kill "$scratch/pg" >/dev/null 2>&1 || true
    rm -rf "$(cat "$scratch/pg/data.place" 2>/dev/null || true)"
    cleanup
}
trap stop_database EXIT
make_old() {
    psql -qX -v ON_ERROR_STOP=1 "$base" -c "CREATE SCHEMA $1" -c "CREATE TABLE $1.excore_migrations (
        version bigint PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, applied_at bigint NOT NULL)" || fail "no old schema"
}
make_old old
db="$base&schema=old"
expect 0 "$excore" migrate --data "$db" --dry-run
[[ $out =~ ^postgres,\ format\ 0:\ would\ be\ brought\ to\ format\ [1-9][0-9]*$ ]] || fail "got $out"
expect 1 "$excore" serve --data "$db" --listen 127.0.0.1:0
has "$err" "older than"
has "$err" "must be migrated"
expect 1 "$excore" append a T '{}' --data "$db"
expect 0 "$excore" migrate --data "$db" --dry-run # still: nobody changed it
has "$out" "format 0: would be brought"
expect 0 "$excore" migrate --data "$db"
[[ $out =~ ^postgres,\ format\ 0:\ brought\ to\ format\ [1-9][0-9]*$ ]] || fail "got $out"
expect 0 "$excore" migrate --data "$db"
has "$out" "up to date"
expect 0 "$excore" append a T '{}' --data "$db"
is "$out" "a@1 position 1"

make_old older
start_server --data "${base/excore@/excore:secret@}&schema=older" --listen 127.0.0.1:0 --migrate
has "$ready" "durability full"
has_not "$ready" secret
file_has serve.log secret && fail "the password is in the log"
expect 0 "$excore" append a T '{}' --url "$url"
stop_server
expect 0 "$excore" migrate --data "$base&schema=older"
has "$out" "up to date"

expect 1 "$excore" migrate --data "$base&schema=missing"
has "$err" "excore migrate: there is no store in schema 'missing'"
expect 1 "$excore" migrate --data "$base&schema=missing" # the first look made nothing
psql -qX "$base" -c 'CREATE SCHEMA foreign_one' -c 'CREATE TABLE foreign_one.events (n int)'
expect 1 "$excore" migrate --data "$base&schema=foreign_one"
has "$err" "has tables, but not an event store"
finish
