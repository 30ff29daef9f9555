#!/usr/bin/env bash
# Stores of every format and set of features that was ever written (tests/formats), opened by this build (issue 8,
# "Done when"; G-106). Each holds the same three events. The database is this script's own.
# shellcheck disable=SC2119,SC2317 # helpers are called through others
formats=$(cd "$(dirname "$0")/../formats" && pwd)
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# open_file NAME: the store in tests/formats/NAME.db.gz, as it was, in the directory NAME.
open_file() {
    mkdir "$1"
    gunzip -c "$formats/$1.db.gz" >"$1/events.db"
}

# reads_all PLACE: all events, byte for byte.
reads_all() {
    expect 0 "$excore" tail --data "$1" --no-follow --json --from 0
    diff <(echo "$out") "$formats/events.jsonl" >/dev/null || fail "$1: other events"
}

# is_writable PLACE: it is brought to this build's format, and written.
is_writable() {
    expect 0 "$excore" append more T '{}' --data "$1"
    is "$out" "more@1 position 4"
    expect 0 "$excore" status --data "$1" --json
    is "$(jq -c '[.store.format, .store.head]' <<<"$out")" "[4,4]"
    is "$(jq -r '.store.log_id | length' <<<"$out")" 36
}

# ---- Files ----
for name in sqlite-3 sqlite-4 sqlite-4-log-views sqlite-4-compatible; do
    open_file $name
    reads_all $name
    is_writable $name
done
open_file sqlite-4-read-only-compatible
reads_all sqlite-4-read-only-compatible
expect 0 "$excore" status --data sqlite-4-read-only-compatible --json
is "$(jq -c .store.features <<<"$out")" '["epochs","tomorrow"]'
for verb in "append a T {}" migrate "migrate --dry-run"; do
    # shellcheck disable=SC2086 # split on purpose
    expect 1 "$excore" $verb --data sqlite-4-read-only-compatible
    has "$err" "(tomorrow): it may read it, only a newer one may write it"
done
reads_all sqlite-4-read-only-compatible
open_file sqlite-4-incompatible
for verb in "append a T {}" migrate status "tail --no-follow"; do
    # shellcheck disable=SC2086
    expect 1 "$excore" $verb --data sqlite-4-incompatible
    has "$err" "(tomorrow): a newer one is needed"
done
# An older format is not changed by reading; its epochs begin with the first writer.
open_file_again=$(mktemp -d)
gunzip -c "$formats/sqlite-3.db.gz" >"$open_file_again/events.db"
expect 0 "$excore" status --data "$open_file_again" --json
is "$(jq -c '[.store.format, .store.log_id, .store.features]' <<<"$out")" '[3,null,[]]'
expect 0 "$excore" migrate --data "$open_file_again"
is "$out" "sqlite, format 3: brought to format 4"
expect 0 "$excore" status --data "$open_file_again" --json
is "$(jq -c '[.store.format, .store.epoch.reason, .store.epoch.first]' <<<"$out")" '[4,"migrated",1]'
rm -rf "$open_file_again"

# What came later is added to a file that is written, and not to one that is read.
open_file_again=$(mktemp -d)
gunzip -c "$formats/sqlite-4.db.gz" >"$open_file_again/events.db"
expect 0 "$excore" migrate --data "$open_file_again" --dry-run
is "$out" "sqlite, format 4: lacks log-views; older versions of excore go on serving it"
expect 0 "$excore" status --data "$open_file_again" --json
is "$(jq -c .store.features <<<"$out")" '["epochs"]'
expect 0 "$excore" append more T '{}' --data "$open_file_again" --tag k:v
expect 0 "$excore" migrate --data "$open_file_again"
is "$out" "sqlite, format 4: up to date"
is "$(sqlite3 "$open_file_again/events.db" "SELECT stream, version FROM tag_log WHERE tag = 'k:v'")" "more|1"
rm -rf "$open_file_again"

# ---- PostgreSQL ----
start_database pg
db=$place
sql() {
    psql -qXAt -v ON_ERROR_STOP=1 "$db" "$@"
}
# load NAME: the dump in place of whatever is there.
load() {
    sql -c 'SET client_min_messages = warning' -c 'DROP SCHEMA IF EXISTS excore CASCADE'
    gunzip -c "$formats/$1.sql.gz" | sql >/dev/null || fail "$1 cannot be loaded"
}
load postgres-2
expect 1 "$excore" tail --data "$db" --no-follow
has "$err" "older than 4: it must be migrated first (excore migrate)"
expect 0 "$excore" migrate --data "$db"
is "$out" "postgres, format 2: brought to format 4"
reads_all "$db"
expect 0 "$excore" status --data "$db" --json
is "$(jq -r .store.epoch.reason <<<"$out")" migrated
is_writable "$db"
for name in postgres-4 postgres-4-server-start; do
    load $name
    reads_all "$db"
    is_writable "$db"
    expect 0 "$excore" status --data "$db" --json
    is "$(jq -r .store.epoch.reason <<<"$out")" replaced # its witness speaks for another place
done
is "$(jq -c .store.features <<<"$out")" '["epochs","log-views","seen-time","server-start"]'
load postgres-4
sql -c "INSERT INTO excore.features VALUES ('tomorrow', 'compatible')"
is_writable "$db"
sql -c "UPDATE excore.features SET class = 'read-only compatible' WHERE name = 'tomorrow'"
expect 0 "$excore" status --data "$db"
has "$out" "features epochs, tomorrow"
for verb in "append a T {}" migrate; do
    # shellcheck disable=SC2086
    expect 1 "$excore" $verb --data "$db"
    has "$err" "(tomorrow): it may read it, only a newer one may write it"
done
sql -c "UPDATE excore.features SET class = 'incompatible' WHERE name = 'tomorrow'"
for verb in "append a T {}" migrate status; do
    # shellcheck disable=SC2086
    expect 1 "$excore" $verb --data "$db"
    has "$err" "(tomorrow): a newer one is needed"
done
finish
