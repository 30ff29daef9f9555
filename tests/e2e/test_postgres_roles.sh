#!/usr/bin/env bash
# The roles and grants of docs/postgresql.md, taken from that page line by line: one role that owns all; an owner
# and a role that serves and cannot change the log; a role for reports. Each grant is needed: without it one
# sentence that names it, exit code 1. The database is this script's own. (G-053)
# shellcheck disable=SC2119,SC2317 # helpers are called through others
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
page=$(realpath "$tests/../../docs/postgresql.md")
start_database pg
base=$place

# as ROLE [DATABASE]: its URL
as() {
    local url=${base/excore@/$1@}
    echo "${url/\/excore\?//${2:-shop}?}"
}
sql() {
    psql -qXAt -v ON_ERROR_STOP=1 "$@"
}

# The SQL blocks of the section, each in a file, and the command between them.
sed -n '/^## Roles and grants/,/^## Sizing/p' "$page" >section.md
block=0
while IFS= read -r line; do
    case $line in
    '```sql') block=$((block + 1)) inside=1 ;;
    '```'*) inside=0 ;;
    *) [ "${inside:-0}" = 0 ] || echo "$line" >>"block$block.sql" ;;
    esac
done <section.md
is "$block" 5
make_tables=$(grep -x "excore migrate .*" section.md)

# refused URL TEXT: serve says it in one sentence.
refused() {
    run timeout "$patience" "$excore" serve --data "$1" --app "$orders" --listen 127.0.0.1:0
    is "$code" 1
    is "$out" ""
    err=$(grep -v '^{.*"level":"info"' <<<"$err") # a node that had joined before it failed
    is "$(wc -l <<<"$err")" 1
    has "$err" "excore serve: "
    has "$err" "$2"
}

# denied URL SQL: PostgreSQL refuses it for want of a grant.
denied() {
    run sql "$1" -c "$2"
    [ "$code" != 0 ] || fail "was allowed: $2"
    [[ $err == *"permission denied"* || $err == *"must be owner"* ]] || fail "$2: $err"
}

# A command, a query that waits for it, and all is well.
serve_one() {
    start_server --data "$1" --app "$orders" --listen 127.0.0.1:0
    is "$(curl -sS -m 20 -o .answer -w '%{http_code}' "$url/v1/orders/order/$2/create" \
        -H 'content-type: application/json' -d '{"customer_id":"c-7"}')" 201
    is "$(curl -sS -m 20 "$url/v1/orders/order-by-id?order_id=$2&min_position=$(jq .position .answer)" |
        jq -r .item.status)" draft
    is "$(curl -sS -m 20 -o .answer -w '%{http_code}' "$url/health/ready")" 200
    is "$(jq -r .status .answer)" healthy
    stop_server
    is "$code" 0
}

# ---- One role ----
sql "$base" -f block1.sql || fail "the first block"
serve_one "$(as shop)" o-1
sql "$base" -c 'DROP DATABASE shop' -c 'DROP ROLE shop'

# ---- An owner, and a role that serves ----
sql "$base" -f block2.sql || fail "the second block"
refused "$(as shop)" 'role "shop" lacks a grant on database shop'
is "${make_tables#*--data }" "'postgres://shop_owner@db.example/shop'"
read -ra words <<<"${make_tables%%--data*}"
expect 0 "$excore" "${words[@]:1}" --data "$(as shop_owner)"
has "$out" ": made"
expect 0 "$excore" "${words[@]:1}" --data "$(as shop_owner)"
has "$out" ": up to date"
refused "$(as shop)" 'role "shop" lacks a grant on schema excore'
sql "$(as shop_owner)" -f block3.sql || fail "the third block"
serve_one "$(as shop)" o-1
sql "$(as shop_owner)" -f block3.sql 2>/dev/null || fail "the grants cannot be given twice"

for change in "UPDATE excore.events SET data = ''" 'DELETE FROM excore.events' 'TRUNCATE excore.events' \
    'DROP TABLE excore.events' 'ALTER TABLE excore.events DISABLE TRIGGER ALL' 'DROP SCHEMA excore CASCADE' \
    'ALTER TABLE excore.events ADD x int' 'UPDATE excore.streams SET id = 1' 'DELETE FROM excore.event_tags' \
    "INSERT INTO excore.excore_migrations VALUES (999, '', '', 0)" 'DELETE FROM excore.log_head' \
    'CREATE TABLE excore.more (n int)' 'DROP VIEW excore.log' 'DROP FUNCTION excore.refuse_change CASCADE'; do
    denied "$(as shop)" "$change"
done
run sql "$(as shop_owner)" -c "UPDATE excore.events SET data = ''"
has "$err" "events cannot be changed: the log is append-only"

# ---- Reports ----
denied "$(as reports)" 'SELECT * FROM excore.log'
sql "$(as shop_owner)" -f block4.sql || fail "the fourth block"
is "$(sql "$(as reports)" -c "SELECT stream, data->>'customer_id' FROM excore.log")" "order-o-1|c-7"
tables=$(sql "$(as excore)" -c "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
    WHERE schemaname IN ('excore', 'excore_views')")
[ "$(wc -l <<<"$tables")" -ge 13 ] || fail "few tables: $tables"
for table in $tables; do
    denied "$(as reports)" "SELECT * FROM $table"
    denied "$(as reports)" "DELETE FROM $table"
done
denied "$(as reports)" "DELETE FROM excore.log"
is "$(sql "$(as reports)" -c "SELECT version, position FROM excore.stream_log WHERE stream = 'order-o-1'")" "1|1"
is "$(sql "$(as reports)" -c "SELECT count(*) FROM excore.tag_log WHERE tag = 'none'")" 0

sql "$(as shop_owner)" -c "$(grep -oE 'GRANT USAGE ON SCHEMA excore_views TO reports' section.md)" ||
    fail "the owner cannot let reports into excore_views"
sql "$(as shop)" -f block5.sql || fail "the fifth block"
is "$(sql "$(as reports)" -c 'SELECT count(*) FROM excore_views.excore_views')" 1
sql "$(as shop)" -c 'UPDATE excore_views.excore_views SET version = 0' # the view is made anew
serve_one "$(as shop)" o-2
is "$(sql "$(as reports)" -c 'SELECT position FROM excore_views.excore_views')" 2
for table in $(sql "$(as excore)" -c "SELECT tablename FROM pg_tables WHERE schemaname = 'excore_views'"); do
    sql "$(as reports)" -c "SELECT * FROM excore_views.$table" >/dev/null || fail "reports cannot read $table"
done

# ---- Every one of the grants is needed ----
needed=0
while IFS='|' read -r table privilege; do
    needed=$((needed + 1))
    sql "$(as shop_owner)" -c "REVOKE $privilege ON excore.$table FROM shop"
    refused "$(as shop)" 'role "shop" lacks '
    has "$err" "on table $table"
    sql "$(as shop_owner)" -c "GRANT $privilege ON excore.$table TO shop"
done < <(sql "$(as excore)" -c "SELECT table_name, privilege_type FROM information_schema.table_privileges
    WHERE grantee = 'shop' AND table_schema = 'excore' AND table_name NOT LIKE '%log' ORDER BY 1, 2")
is "$needed" 31
sql "$(as shop_owner)" -c 'REVOKE USAGE ON SCHEMA excore FROM shop'
refused "$(as shop)" 'role "shop" lacks a grant on schema excore'
sql "$(as shop_owner)" -c 'GRANT USAGE ON SCHEMA excore TO shop' -c 'REVOKE USAGE ON SCHEMA excore_views FROM shop'
refused "$(as shop)" 'role "shop" lacks a grant on schema excore_views'
sql "$(as shop_owner)" -c 'GRANT USAGE ON SCHEMA excore_views TO shop'
serve_one "$(as shop)" o-3
finish
