#!/usr/bin/env bash
# A database that cannot be used: for every verb one sentence that names what is wrong, exit code 1,
# nothing on standard output, no text of libpq's and no password anywhere. The database is this script's own.
# shellcheck disable=SC2119,SC2317 # helpers are called through others
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
unset PGPASSWORD PGUSER PGHOST PGPORT PGDATABASE PGSSLMODE
export PGPASSFILE=$scratch/no-passwords
"$postgres" start --tcp "$scratch/pg" >/dev/null || fail "no database"
stop_database() {
    "$postgres" kill "$scratch/pg" >/dev/null 2>&1 || true
    rm -rf "$(cat "$scratch/pg/data.place" 2>/dev/null || true)"
    cleanup
}
trap stop_database EXIT
owner=$("$postgres" url "$scratch/pg")
tcp=$("$postgres" url --tcp "$scratch/pg")
tcp=${tcp#*@}
tcp=${tcp%%/*}
secret=gEh3im,so-geheim

sql() {
    psql -qX -v ON_ERROR_STOP=1 "$owner" "$@" || fail "psql $*"
}

# The text stands in one line that says who speaks, and nothing else does.
is_one_sentence() {
    local verb=$1 text=$2
    is "$code" 1
    is "$out" ""
    is "$(wc -l <<<"$err")" 1
    has "$err" "excore $verb: "
    has "$err" "$text"
    for text in "$secret" FATAL ERROR DETAIL HINT LOCATION SQLSTATE "connection to server" libpq; do
        has_not "$err" "$text"
    done
}

# refuse URL TEXT USE…: uses are write, read and copy; a text that differs stands behind its use: read=TEXT
refuse() {
    local db=$1 text use verb
    for use in "${@:3}"; do
        text=$2
        [[ $use != *=* ]] || text=${use#*=}
        case ${use%%=*} in
        write)
            run timeout "$patience" "$excore" serve --data "$db" --listen 127.0.0.1:0
            is_one_sentence serve "$text"
            run timeout "$patience" "$excore" append a T '{}' --data "$db"
            is_one_sentence append "$text"
            run timeout "$patience" "$excore" copy --from source --to "$db"
            is_one_sentence copy "the target: "
            has "$err" "$text"
            ;;
        read)
            for verb in 'read a' status 'status --json' 'tail --no-follow'; do
                # shellcheck disable=SC2086
                run timeout "$patience" "$excore" $verb --data "$db"
                is_one_sentence "${verb%% *}" "$text"
            done
            run timeout "$patience" "$excore" copy --from "$db" --to no-target
            is_one_sentence copy "the source: "
            has "$err" "$text"
            [ ! -e no-target ] || fail "a target was made without a source"
            ;;
        migrate)
            run timeout "$patience" "$excore" migrate --data "$db"
            is_one_sentence migrate "$text"
            ;;
        esac
    done
}

expect 0 "$excore" append a T '{}' --data source
expect 0 "$excore" append a T '{}' --data "$owner&schema=good"
for role in poor blind reader; do
    sql -c "CREATE ROLE $role LOGIN PASSWORD '$secret'" -c "GRANT CONNECT ON DATABASE excore TO $role"
done
sql -c "CREATE ROLE barred LOGIN PASSWORD '$secret'" -c "CREATE ROLE sleeping NOLOGIN PASSWORD '$secret'" \
    -c "REVOKE CONNECT, TEMP ON DATABASE excore FROM PUBLIC"

# ---- Nobody there, or not for us ----
at="cannot connect to PostgreSQL at"
refuse "postgres://excore:$secret@$tcp/excore" \
    "$at $tcp/excore: the password for role \"excore\" is wrong, or there is no such role" write read migrate
refuse "postgres://excore@$tcp/excore" "it asks for the password of role \"excore\"" write read
refuse "postgres://nobody:$secret@$tcp/excore" "the password for role \"nobody\" is wrong, or there is no such role" write read
refuse "${owner/excore@/nobody:$secret@}" "role \"nobody\" does not exist" write read
refuse "postgres://sleeping:$secret@$tcp/excore" "role \"sleeping\" is not permitted to log in" write
refuse "postgres://barred:$secret@$tcp/excore" \
    "role \"barred\" lacks the grant to connect to database \"excore\"" write read
refuse "postgres://excore:$secret@no-such-host.invalid/excore" "host \"no-such-host.invalid\" is unknown" write read
refuse "postgres://excore:$secret@127.0.0.1:1/excore" "$at 127.0.0.1:1/excore: connection refused" write read migrate
refuse "postgres://excore:$secret@/excore?host=/nowhere" "$at /nowhere/excore: no such file or directory" write
refuse "postgres://poor:$secret@$tcp/nowhere" "database \"nowhere\" does not exist" write read migrate
refuse "postgres://poor:$secret@$tcp/excore?sslmode=verify-full" "SSL" write
PGPASSWORD=$secret refuse "postgres://excore@$tcp/excore" "the password for role \"excore\" is wrong" write read

# ---- Grants that are missing, in the order in which they are given ----
poor="postgres://poor:$secret@$tcp/excore?schema=poor"
refuse "$poor" "role \"poor\" lacks a grant on database excore of PostgreSQL at $tcp/excore" \
    write "read=there is no store in schema 'poor'"
sql -c "CREATE SCHEMA poor"
refuse "$poor" "role \"poor\" lacks a grant on schema poor of PostgreSQL at $tcp/excore" write read migrate
sql -c "GRANT USAGE ON SCHEMA poor TO poor"
refuse "$poor" "role \"poor\" lacks a grant on schema poor" write "read=there is no store in schema 'poor'"
sql -c "GRANT CREATE ON SCHEMA poor TO poor"
expect 0 "$excore" append a T '{}' --data "$poor" # a schema that somebody made needs no grant on the database

refuse "postgres://blind:$secret@$tcp/excore?schema=good" "role \"blind\" lacks a grant on schema good" write read
sql -c "GRANT USAGE ON SCHEMA good TO blind, reader"
refuse "postgres://blind:$secret@$tcp/excore?schema=good" "role \"blind\" lacks a grant on table excore_migrations" write read
sql -c "GRANT SELECT ON good.excore_migrations TO blind"
refuse "postgres://blind:$secret@$tcp/excore?schema=good" "role \"blind\" lacks " write read
sql -c "GRANT SELECT ON ALL TABLES IN SCHEMA good TO reader"
reader="postgres://reader:$secret@$tcp/excore?schema=good"
expect 0 "$excore" read a --data "$reader"
expect 0 "$excore" status --data "$reader" --json
refuse "$reader" "role \"reader\" lacks the grant of UPDATE on table log_head of PostgreSQL at $tcp/excore" write
sql -c "GRANT UPDATE ON good.log_head TO reader"
refuse "$reader" "role \"reader\" lacks the grant of INSERT on table events" write

# ---- Schemas of another version ----
sql -c "CREATE SCHEMA newer" -c "CREATE TABLE newer.excore_migrations AS TABLE good.excore_migrations" \
    -c "INSERT INTO newer.excore_migrations SELECT version + 1, 'to come', '1', 0 FROM good.excore_migrations ORDER BY 1 DESC LIMIT 1"
refuse "$owner&schema=newer" "written by a newer version of excore" write read migrate
sql -c "CREATE SCHEMA older" -c "CREATE TABLE older.excore_migrations (LIKE good.excore_migrations INCLUDING ALL)"
refuse "$owner&schema=older" "it must be migrated first (excore migrate)" write read
sql -c "CREATE SCHEMA gap" -c "CREATE TABLE gap.excore_migrations AS SELECT * FROM good.excore_migrations WHERE version > 1"
refuse "$owner&schema=gap" "the database lacks migration 1 'the log' and has the later 2" write read migrate
expect 1 "$excore" serve --data "$owner&schema=No!" --listen 127.0.0.1:0
has "$err" "the schema in the PostgreSQL URL must be"

# ---- The password of a store that works ----
sql -c "GRANT CREATE ON DATABASE excore TO poor"
start_server --data "$poor" --app "$orders" --listen 127.0.0.1:0 --set log.level=debug
expect 0 curl -sS -m 20 "$url/v1/orders/order/o-1/create" -H 'content-type: application/json' -d '{"customer_id":"c"}'
expect 0 "$excore" status --url "$url" --json
has_not "$out" "$secret"
expect 0 curl -sS -m 20 "$url/health/ready"
has_not "$out" "$secret"
"$postgres" kill "$scratch/pg"
expect 1 "$excore" append a T '{}' --url "$url"
has_not "$err" "$secret"
expect 0 curl -sS -m 20 "$url/health/ready"
has_not "$out" "$secret"
stop_server
has_not "$ready" "$secret"
has_not "$(<serve.log)" "$secret"
for form in '' --json; do
    # shellcheck disable=SC2086
    expect 0 env EXCORE_STORE_DATA="$poor" "$excore" config $form
    has_not "$out" "$secret"
    has "$out" "postgres://poor:***@$tcp/excore?schema=poor"
done
finish
