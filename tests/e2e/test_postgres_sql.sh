#!/usr/bin/env bash
# The SQL that docs/postgresql.md shows people, each statement as it stands there, on a log that PostgreSQL reads in
# parallel (issue 9, item 1; G-062): none fails, none reads the whole log where the page says that it finds its rows,
# and a store from before the views gets them. The database is this script's own.
# shellcheck disable=SC2119,SC2317 # helpers are called through others
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
page=$(realpath "$tests/../../docs/postgresql.md")
formats=$(realpath "$tests/../formats")
start_database pg

sql() {
    psql -qXAt -v ON_ERROR_STOP=1 "$place" "$@"
}

# The indented lines of the section, a file for each statement, in their order.
sed -n '/^## Asking the log with SQL/,/^## Roles/p' "$page" | sed -n 's/^    //p' |
    awk 'BEGIN { n = 1 } { print > ("statement" n ".sql") } /;$/ { n++ }'
statements=(statement*.sql)
[ "${#statements[@]}" -ge 6 ] || fail "only ${#statements[@]} statements are documented"

# 40,000 events of 400 bytes and more, by the way of one that was appended.
expect 0 "$excore" append order-1 OrderPlaced '{"customer":7,"total_cents":500}' \
    --tag customer:7 --tag region:eu --data "$place"
expect 0 "$excore" append other-1 Seen '{"text":"\u0000"}' --tag region:us --data "$place"
sql <<'SQL' || fail "the log cannot be filled"
INSERT INTO excore.streams SELECT 'bulk-' || n, 1000 + n FROM generate_series(0, 399) n;
INSERT INTO excore.events (position, stream_id, version, recorded_at, id, tags, type, stream, data)
    SELECT 3 + n, 1000 + n % 400, 1 + n / 400, recorded_at, decode(lpad(to_hex(n), 32, '0'), 'hex'), tags, 'Seen',
        'bulk-' || n % 400, convert_to('{"text":"' || repeat(md5(n::text), 12) || '"}', 'UTF8')
    FROM generate_series(0, 39999) n, excore.events WHERE position = 2;
INSERT INTO excore.event_tags SELECT t.tag_id, 3 + n FROM generate_series(0, 39999) n, excore.event_tags t
    WHERE t.position = 2;
ANALYZE;
SQL
[ "$(sql -c "SELECT pg_relation_size('excore.events') > 8 << 20")" = t ] || fail "the log is too small to tell"
# what a larger log is asked with anyway
export PGOPTIONS='-c parallel_setup_cost=0 -c parallel_tuple_cost=0'
workers=$(sql -c "EXPLAIN SELECT count(*) FROM excore.events WHERE length(data) = 7")
has "$workers" "Workers Planned"

for statement in "${statements[@]}"; do
    run sql -f "$statement"
    is "$code: $err" "0: "
    if grep -qE 'stream_log|tag_log' "$statement"; then
        has_not "$(sql -c "EXPLAIN $(<"$statement")")" "Seq Scan on events "
    fi
done
# Each column, of each row; the JSON that jsonb cannot hold is NULL.
is "$(sql -c 'SELECT count(*), count(data), count(metadata), count(tags) FROM excore.log')" "40002|40001|40002|40002"
is "$(sql -c "SELECT count(*) FROM excore.log WHERE data->>'text' LIKE '%ab'")" \
    "$(sql -c "SELECT count(*) FROM excore.events WHERE convert_from(data, 'UTF8') LIKE '%ab\"}'")"
is "$(sql -c "SELECT version, position, category, type, data, tags FROM excore.stream_log WHERE stream = 'order-1'")" \
    '1|1|order|OrderPlaced|{"customer": 7, "total_cents": 500}|{customer:7,region:eu}'
is "$(sql -c "SELECT tag, stream, version FROM excore.tag_log WHERE position = 1 ORDER BY 1")" \
    "$(printf 'customer:7|order-1|1\nregion:eu|order-1|1')"
columns="position, stream, category, version, type, id, schema_version, content_type, data, data_bytes, metadata, tags,
    correlation_id, causation_id, recorded_at"
for view in stream_log "(SELECT DISTINCT ON (position) * FROM excore.tag_log) t"; do
    is "$(sql -c "SET search_path = excore" -c "SELECT count(*) FROM (SELECT $columns FROM log EXCEPT
        SELECT $columns FROM $view) missing")" 0
done

# A store from before: its `log` fails as it did, its servers go on, `migrate` mends it without a new format.
sql -c 'SET client_min_messages = warning' -c 'DROP SCHEMA excore CASCADE'
gunzip -c "$formats/postgres-4.sql.gz" | sql >/dev/null || fail "postgres-4 cannot be loaded"
expect 0 "$excore" append more T '{}' --data "$place"
expect 0 "$excore" migrate --dry-run --data "$place"
is "$out" "postgres, format 4: lacks log-views, seen-time, server-start; older versions of excore go on serving it"
expect 0 "$excore" migrate --data "$place"
is "$out" "postgres, format 4: got log-views, seen-time, server-start; older versions of excore go on serving it"
expect 0 "$excore" migrate --data "$place"
is "$out" "postgres, format 4: up to date"
is "$(sql -c "SELECT proparallel FROM pg_proc WHERE proname = 'event_json'")" u
is "$(sql -c "SELECT version, position FROM excore.stream_log WHERE stream = 'more'")" "1|4"
expect 0 "$excore" status --data "$place"
has "$out" "features epochs, log-views, seen-time, server-start"
finish
