/* schema.c: the layout of a store in PostgreSQL, and how it gets there.
 *
 *   table              key                      what
 *   -----------------  -----------------------  -------------------------------------------
 *   log_head           one                      one row: where the log ends, and the last number
 *                                               given to a name, a command or an audit. Whoever
 *                                               writes holds its lock until the commit, so
 *                                               positions are contiguous, in commit order, and
 *                                               visible in that order
 *   events             position                 the log; columns in event_row.c
 *     events_stream    (stream_id, version)     reading a stream, its version
 *     events_id        (id, stream_id)          idempotency
 *     events_type      (type, position)         the log by type
 *     events_correlation (correlation_id, position) of events that have one
 *     events_large     position                 events too large to be read by the thousand. A sum
 *                                               of its own, so that no other index can serve it
 *   streams            name                     a stream's version is its last event's
 *   tags               name                     interned names; nobody asks for the name of an id
 *   event_tags         (tag_id, position)       the log by tag
 *   commands           seq; command_id          outcomes of commands; seq rises with time, so
 *                                               the oldest are found without a further index
 *   idempotency_audit  (stored_position,        refused appends: same id, other content
 *                       given_fingerprint)
 *   store_migrations   number                   what was done to this schema, with checksums
 *   nodes, leases      id; name                 who is there and does what: sql/postgres/pg_lease.h
 *   log (view)                                  the log for people and reports
 *
 * What the log says cannot be changed: triggers refuse UPDATE, DELETE and
 * TRUNCATE on events and on everything that gives them meaning. Names compare
 * byte by byte (COLLATE "C"), whatever the database's locale. */
#include "store/postgres/schema.h"

#include <stdio.h>

#include "kernel/fingerprint.h"
#include "sql/postgres/pg_lease.h"

#define APPEND_ONLY(table)                                                                         \
    "CREATE TRIGGER " table "_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON " table             \
    " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();"

/* clang-format off */
static const char schema_1[] =
    "CREATE TABLE log_head (one boolean PRIMARY KEY DEFAULT true CHECK (one),"
    "  position bigint NOT NULL, recorded_at bigint NOT NULL, last_id bigint NOT NULL);"
    "INSERT INTO log_head (position, recorded_at, last_id) VALUES (0, 0, 0);"

    "CREATE TABLE streams (name text COLLATE \"C\" PRIMARY KEY, id bigint NOT NULL);"
    "CREATE TABLE tags (name text COLLATE \"C\" PRIMARY KEY, id bigint NOT NULL);"

    "CREATE TABLE events (position bigint PRIMARY KEY, stream_id bigint NOT NULL,"
    "  version bigint NOT NULL, recorded_at bigint NOT NULL,"
    "  schema_version int, id bytea NOT NULL, content_type text COLLATE \"C\","
    "  correlation_id text COLLATE \"C\", causation_id text COLLATE \"C\", tags bytea,"
    "  metadata bytea, type text COLLATE \"C\" NOT NULL, stream text COLLATE \"C\" NOT NULL,"
    "  data bytea NOT NULL);"
    "CREATE UNIQUE INDEX events_stream ON events (stream_id, version);"
    "CREATE UNIQUE INDEX events_id ON events (id, stream_id);"
    "CREATE INDEX events_type ON events (type, position);"
    "CREATE INDEX events_correlation ON events (correlation_id, position)"
    "  WHERE correlation_id IS NOT NULL;"
    "CREATE INDEX events_large ON events ((position + 0)) WHERE " PG_IS_LARGE ";"
    "CREATE TABLE event_tags (tag_id bigint, position bigint, PRIMARY KEY (tag_id, position));"

    "CREATE TABLE commands (seq bigint PRIMARY KEY, command_id bytea NOT NULL UNIQUE,"
    "  fingerprint bigint NOT NULL, recorded_at bigint NOT NULL, outcome bytea NOT NULL);"

    "CREATE TABLE idempotency_audit (id bigint NOT NULL UNIQUE, stored_position bigint, stored_fingerprint bigint NOT NULL,"
    "  given_fingerprint bigint, stream text NOT NULL, event_id bytea NOT NULL,"
    "  type text NOT NULL, schema_version int NOT NULL, content_type text NOT NULL,"
    "  data bytea NOT NULL, actor bytea, first_at bigint NOT NULL, last_at bigint NOT NULL,"
    "  times bigint NOT NULL, PRIMARY KEY (stored_position, given_fingerprint));"

    "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    "  RAISE EXCEPTION '% cannot be changed: the log is append-only', TG_TABLE_NAME"
    "    USING ERRCODE = 'restrict_violation';"
    "END $$;"
    APPEND_ONLY("events")
    APPEND_ONLY("streams")
    APPEND_ONLY("tags")
    APPEND_ONLY("event_tags")

    /* JSON as jsonb; NULL for other content and for what jsonb cannot hold (\u0000, 1e999999) */
    "CREATE FUNCTION event_json(content_type text, data bytea) RETURNS jsonb"
    "  LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$ BEGIN"
    "  IF content_type IS NOT NULL AND"
    "    content_type !~* '^(application/json|text/json|[^;]*\\+json)[ \\t]*(;|$)' THEN"
    "    RETURN NULL;"
    "  END IF;"
    "  RETURN convert_from(data, 'UTF8')::jsonb;"
    "  EXCEPTION WHEN data_exception OR program_limit_exceeded OR character_not_in_repertoire"
    "    OR untranslatable_character THEN RETURN NULL;"
    "END $$;"
    "CREATE FUNCTION event_tag_names(tags bytea) RETURNS text[]"
    "  LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$"
    "DECLARE at int := 0; names text[] := '{}';"
    "BEGIN"
    "  WHILE at < octet_length(tags) LOOP"
    "    names := names || convert_from(substr(tags, at + 2, get_byte(tags, at)), 'UTF8');"
    "    at := at + 1 + get_byte(tags, at);"
    "  END LOOP;"
    "  RETURN names;"
    "END $$;"
    "CREATE VIEW log AS SELECT e.position, e.stream,"
    "  split_part(e.stream, '-', 1) AS category, e.version, e.type,"
    "  encode(substr(e.id, 1, 16), 'hex')::uuid AS id, coalesce(e.schema_version, 1) AS schema_version,"
    "  coalesce(e.content_type, 'application/json') AS content_type,"
    "  event_json(e.content_type, e.data) AS data, e.data AS data_bytes,"
    "  coalesce(event_json(NULL, e.metadata), '{}') AS metadata,"
    "  coalesce(event_tag_names(e.tags), '{}') AS tags, e.correlation_id, e.causation_id,"
    "  timestamptz 'epoch' + e.recorded_at * interval '1 microsecond' AS recorded_at"
    "  FROM events e;"
    "COMMENT ON VIEW log IS 'the events with their names; data is NULL where jsonb cannot hold it';";
/* clang-format on */

static const char migrations_table[] =
    "CREATE TABLE IF NOT EXISTS store_migrations (number int PRIMARY KEY,"
    " name text NOT NULL, checksum bigint NOT NULL,"
    " applied_at timestamptz NOT NULL DEFAULT now())";

typedef struct migration {
    const char *name;
    const char *sql;
} migration;

/* migrations[n] brings a schema of version n to n + 1. */
static const migration migrations[PG_SCHEMA_VERSION] = {{"the log", schema_1},
                                                        {"nodes and leases", pg_lease_schema}};

/* What of us is in the schema. */
typedef struct found {
    int64_t version; /* 0: none */
    bool has_schema;
    bool is_hidden;  /* the role may not use the schema: nothing in it can be seen */
    bool is_ours;    /* store_migrations is there */
    bool has_events; /* a table `events` is there */
    bool has_gap;
    bool is_changed; /* a migration of the same number was another one */
} found;

static int64_t checksum(const migration *m)
{
    return (int64_t)ex_fingerprint(EX_FINGERPRINT_START, ex_str(m->sql));
}

/* ---- Looking ---- */

static ex_status read_migrations(ex_pg *pg, found *f, ex_error *err)
{
    ex_pg_result r = {0};
    ex_status st = ex_pg_run(
        pg, EX_S("SELECT number, checksum FROM store_migrations ORDER BY number"), NULL, &r, err);
    for (int i = 0; st == EX_OK && i < r.rows; i++) {
        int64_t number = ex_pg_get_i64(&r, i, 0);
        f->has_gap |= number != i + 1;
        f->is_changed |= number >= 1 && number <= PG_SCHEMA_VERSION &&
                         ex_pg_get_i64(&r, i, 1) != checksum(&migrations[number - 1]);
        f->version = number;
    }
    ex_pg_result_free(&r);
    return st;
}

static ex_status look_for_tables(ex_pg *pg, found *f, ex_error *err)
{
    ex_pg_args args;
    ex_pg_result r = {0};
    *f = (found){0};
    ex_pg_args_init(&args);
    ex_pg_put_text(&args, ex_str(ex_pg_target_of(pg)->schema));
    ex_status st =
        ex_pg_run(pg,
                  EX_S("SELECT n.oid IS NOT NULL, "
                       "n.oid IS NOT NULL AND NOT has_schema_privilege(n.oid, 'USAGE'), "
                       "to_regclass('store_migrations') IS NOT NULL, "
                       "to_regclass('events') IS NOT NULL "
                       "FROM (SELECT) AS one LEFT JOIN pg_namespace n ON n.nspname = $1"),
                  &args, &r, err);
    ex_pg_args_done(&args);
    if (st)
        return st;
    f->has_schema = ex_pg_get_bool(&r, 0, 0);
    f->is_hidden = ex_pg_get_bool(&r, 0, 1);
    f->is_ours = ex_pg_get_bool(&r, 0, 2);
    f->has_events = ex_pg_get_bool(&r, 0, 3);
    ex_pg_result_free(&r);
    return EX_OK;
}

static ex_status look(ex_pg *pg, found *f, ex_error *err)
{
    char sql[128];
    ex_status st = look_for_tables(pg, f, err);
    if (st == EX_OK && f->is_hidden) { /* the server refuses it, and says what is missing */
        (void)snprintf(sql, sizeof(sql), "SELECT 1 FROM \"%s\".store_migrations", /* fits */
                       ex_pg_target_of(pg)->schema);
        st = ex_pg_script(pg, sql, err);
    }
    return st == EX_OK && f->is_ours ? read_migrations(pg, f, err) : st;
}

static ex_status check(const found *f, const ex_pg_target *t, pg_schema_wish wish, ex_error *err)
{
    const char *schema = t->schema;
    if (!f->is_ours && f->has_events)
        return ex_raise(err, EX_EFORMAT, "schema '%s' of %s has tables, but not an event store",
                        schema, t->label);
    if (f->version > PG_SCHEMA_VERSION)
        return ex_raise(err, EX_EFORMAT,
                        "schema '%s' of %s has version %lld, written by a newer version of excore; "
                        "this one knows versions up to %d",
                        schema, t->label, (long long)f->version, PG_SCHEMA_VERSION);
    if (f->has_gap || f->is_changed)
        return ex_raise(err, EX_EFORMAT,
                        "schema '%s' of %s was not made by this program: its migrations %s", schema,
                        t->label, f->has_gap ? "have a gap" : "have other checksums");
    if (!f->is_ours && wish == PG_SCHEMA_MUST_EXIST)
        return ex_raise(err, EX_ENOTFOUND, "there is no store in schema '%s' of %s", schema,
                        t->label);
    if (f->is_ours && f->version < PG_SCHEMA_VERSION && wish != PG_SCHEMA_MIGRATE)
        return ex_raise(err, EX_EFORMAT,
                        "schema '%s' of %s has version %lld, older than %d: it must be migrated "
                        "first (excore migrate)",
                        schema, t->label, (long long)f->version, PG_SCHEMA_VERSION);
    return EX_OK;
}

/* ---- Making ---- */

static ex_status run_migration(ex_pg *pg, int number, ex_error *err)
{
    const migration *m = &migrations[number - 1];
    ex_status st = ex_pg_script(pg, m->sql, err);
    if (st)
        return st;
    ex_pg_args args;
    ex_pg_args_init(&args);
    ex_pg_put_i32(&args, number);
    ex_pg_put_text(&args, ex_str(m->name));
    ex_pg_put_i64(&args, checksum(m));
    st = ex_pg_run(
        pg, EX_S("INSERT INTO store_migrations (number, name, checksum) VALUES ($1, $2, $3)"),
        &args, NULL, err);
    ex_pg_args_done(&args);
    return st;
}

static ex_status migrate_locked(ex_pg *pg, pg_schema_wish wish, ex_error *err)
{
    found f;
    char sql[128];
    const ex_pg_target *t = ex_pg_target_of(pg);
    /* fits; the name was checked: [a-z_][a-z0-9_]* */
    (void)snprintf(sql, sizeof(sql), "CREATE SCHEMA \"%s\"", t->schema);
    ex_status st = look(pg, &f, err);
    if (st == EX_OK)
        st = check(&f, t, wish, err);
    if (st == EX_OK && !f.has_schema) /* one that somebody made needs no grant on the database */
        st = ex_pg_script(pg, sql, err);
    if (st == EX_OK && !f.is_ours)
        st = ex_pg_script(pg, migrations_table, err);
    for (int number = (int)f.version + 1; st == EX_OK && number <= PG_SCHEMA_VERSION; number++)
        st = run_migration(pg, number, err);
    return st;
}

/* One at a time, whoever opens first; the others find it done. */
static ex_status migrate(ex_pg *pg, pg_schema_wish wish, ex_error *err)
{
    char sql[256];
    (void)snprintf(sql, sizeof(sql), /* always fits */
                   "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; "
                   "SELECT pg_advisory_xact_lock(hashtextextended('excore %s', 0));",
                   ex_pg_target_of(pg)->schema);
    ex_status st = ex_pg_script(pg, sql, err);
    if (st == EX_OK)
        st = migrate_locked(pg, wish, err);
    if (st == EX_OK)
        st = ex_pg_script(pg, "COMMIT", err);
    if (st && !ex_pg_is_broken(pg)) {
        ex_status second = ex_pg_script(pg, "ROLLBACK", NULL);
        (void)second; /* the first failure is the one to report */
    }
    return st;
}

ex_status pg_schema_open(ex_pg *pg, pg_schema_wish wish, ex_error *err)
{
    found f;
    ex_status st = look(pg, &f, err);
    if (st == EX_OK)
        st = check(&f, ex_pg_target_of(pg), wish, err);
    if (st == EX_OK && f.version < PG_SCHEMA_VERSION)
        st = migrate(pg, wish, err);
    return st;
}

ex_status pg_schema_version(ex_pg *pg, uint32_t *ret, ex_error *err)
{
    found f;
    const ex_pg_target *t = ex_pg_target_of(pg);
    ex_status st = look(pg, &f, err);
    if (st == EX_OK)
        st = check(&f, t, PG_SCHEMA_MIGRATE, err);
    if (st == EX_OK && !f.is_ours)
        st = ex_raise(err, EX_ENOTFOUND, "there is no store in schema '%s' of %s", t->schema,
                      t->label);
    if (st == EX_OK)
        *ret = (uint32_t)f.version;
    return st;
}
