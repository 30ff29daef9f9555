/* schema.c: the layout of a store in PostgreSQL, and how it gets there.
 *
 *   table              key                      what
 *   -----------------  -----------------------  -------------------------------------------
 *   log_head           one                      one row: where the log ends, the last number given
 *                                               to a name, a command or an audit, the log's id, and
 *                                               the number of its last epoch. Whoever
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
 *   log_epochs         number                   its epochs (excore/log_id.h)
 *   log_witness        one                      unlogged: one row, or none after a crash; where the
 *                                               log lies (log_place) and its last epoch. See
 *                                               log_epoch.c
 *   features           name                     what has come since format 4 (store/features.h)
 *   excore_migrations  version                  what was done to this schema: sql/sql_migrate.h
 *   nodes, leases      id; name                 who is there and does what: sql/postgres/pg_lease.h
 *   log (view)                                  the log for people and reports
 *   stream_log (view)                           the same by stream, found through its index
 *   tag_log (view)                              the same by tag: an event for each of its tags
 *
 * What the log says cannot be changed: triggers refuse UPDATE, DELETE and
 * TRUNCATE on events and on everything that gives them meaning. Names compare
 * byte by byte (COLLATE "C"), whatever the database's locale. */
#include "store/postgres/schema.h"

#include <stdio.h>

#include "sql/postgres/pg_lease.h"
#include "sql/postgres/pg_sql.h"
#include "sql/sql_migrate.h"

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

static const char schema_3[] =
    "CREATE TABLE features (name text COLLATE \"C\" PRIMARY KEY, class text NOT NULL"
    "  " STORE_FEATURES_CHECK ");"
    "COMMENT ON TABLE features IS 'what a program must know to work with this store';";

/* The place is another one when the tables were made anew, or copied with their cluster or database. */
static const char schema_4[] =
    "ALTER TABLE log_head ADD COLUMN log_id uuid NOT NULL DEFAULT gen_random_uuid(),"
    "  ADD COLUMN epoch bigint NOT NULL DEFAULT 1;"
    "CREATE TABLE log_epochs (number bigint PRIMARY KEY, id uuid NOT NULL, first bigint NOT NULL,"
    "  opened_at bigint NOT NULL, reason text NOT NULL);"
    APPEND_ONLY("log_epochs")
    "COMMENT ON TABLE log_epochs IS 'what stands at and after first may differ from what was seen before';"
    "CREATE FUNCTION log_place() RETURNS text LANGUAGE plpgsql STABLE AS $$"
    "DECLARE cluster text;"
    "BEGIN"
    "  BEGIN"
    "    SELECT system_identifier::text INTO cluster FROM pg_control_system();"
    "  EXCEPTION WHEN insufficient_privilege OR undefined_function THEN"
    "    cluster := 'unknown';"
    "  END;"
    "  RETURN 'cluster ' || cluster || ' database ' ||"
    "    (SELECT oid FROM pg_database WHERE datname = current_database()) ||"
    "    ' table ' || 'log_witness'::regclass::oid;"
    "END $$;"
    "CREATE UNLOGGED TABLE log_witness (one boolean PRIMARY KEY DEFAULT true CHECK (one),"
    "  place text NOT NULL, epoch bigint NOT NULL);"
    "INSERT INTO log_epochs SELECT 1, gen_random_uuid(), 1,"
    "  (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,"
    "  CASE position WHEN 0 THEN 'created' ELSE 'migrated' END FROM log_head;"
    "INSERT INTO log_witness (place, epoch) VALUES (log_place(), 1);"
    STORE_FEATURE_EPOCHS_SQL;
/* clang-format on */

/* What the views show of an event. */
#define LOG_COLUMNS                                                                                \
    "  split_part(e.stream, '-', 1) AS category, e.type,"                                          \
    "  encode(substr(e.id, 1, 16), 'hex')::uuid AS id, coalesce(e.schema_version, 1) AS "          \
    "schema_version,"                                                                              \
    "  coalesce(e.content_type, 'application/json') AS content_type,"                              \
    "  event_json(e.content_type, e.data) AS data, e.data AS data_bytes,"                          \
    "  coalesce(event_json(NULL, e.metadata), '{}') AS metadata,"                                  \
    "  coalesce(event_tag_names(e.tags), '{}') AS tags, e.correlation_id, e.causation_id,"         \
    "  timestamptz 'epoch' + e.recorded_at * interval '1 microsecond' AS recorded_at"

/* A function that catches exceptions makes subtransactions, which no parallel query may, not even
 * in its leader; so whoever asks for it must not be given one. OFFSET 0 keeps the planner from
 * reading all events when a tag is common by its statistics, which are those of the average tag. */
static const char log_views[] =
    "ALTER FUNCTION event_json(text, bytea) PARALLEL UNSAFE;"
    "CREATE VIEW stream_log AS SELECT s.name AS stream, e.version, e.position," LOG_COLUMNS
    " FROM streams s JOIN events e ON e.stream_id = s.id;"
    "COMMENT ON VIEW stream_log IS 'the log by stream: WHERE stream = … reads the events of that "
    "stream only';"
    "CREATE VIEW tag_log AS SELECT g.name AS tag, t.position, e.stream, e.version," LOG_COLUMNS
    " FROM tags g JOIN event_tags t ON t.tag_id = g.id"
    "  CROSS JOIN LATERAL (SELECT * FROM events WHERE events.position = t.position OFFSET 0) e;"
    "COMMENT ON VIEW tag_log IS 'the log by tag, each event once for each of its "
    "tags';" STORE_FEATURE_LOG_VIEWS_SQL;

static const char seen_time[] = "ALTER TABLE log_head ADD COLUMN seen_at bigint NOT NULL DEFAULT "
                                "0;" STORE_FEATURE_SEEN_TIME_SQL;

static const char server_start[] =
    "ALTER TABLE log_witness ADD COLUMN server_start bigint;"
    "UPDATE log_witness SET server_start = " PG_SERVER_START ";" STORE_FEATURE_SERVER_START_SQL;

static const store_addition additions[] = {{STORE_FEATURE_LOG_VIEWS, log_views},
                                           {STORE_FEATURE_SEEN_TIME, seen_time},
                                           {STORE_FEATURE_SERVER_START, server_start}};
#define ADDITION_COUNT (sizeof(additions) / sizeof(additions[0]))

static const ex_sql_migration list[PG_SCHEMA_VERSION] = {
    {.version = 1, .name = "the log", .postgres = schema_1},
    {.version = 2, .name = "nodes and leases", .postgres = pg_lease_schema},
    {.version = 3, .name = "features", .postgres = schema_3},
    {.version = 4, .name = "the identity of the log", .postgres = schema_4}};

static ex_sql_migrations migrations(void)
{
    return (ex_sql_migrations){
        .list = list, .count = PG_SCHEMA_VERSION, .clock = ex_clock_system()};
}

/* What of us is in the schema. */
typedef struct found {
    uint32_t version; /* 0: none */
    bool is_hidden;   /* the role may not use the schema: nothing in it can be seen */
    bool is_ours;     /* the table of migrations is there */
    bool has_events;  /* a table `events` is there */
} found;

/* ---- Looking ---- */

static ex_status look_for_tables(ex_sql *db, const char *schema, found *f, ex_error *err)
{
    ex_sql_stmt *s = NULL;
    ex_status st = ex_sql_prepare(
        db,
        EX_S("SELECT n.oid IS NOT NULL AND NOT has_schema_privilege(n.oid, 'USAGE'), "
             "to_regclass('" EX_SQL_MIGRATIONS_TABLE "') IS NOT NULL, "
             "to_regclass('events') IS NOT NULL "
             "FROM (SELECT) AS one LEFT JOIN pg_namespace n ON n.nspname = $1"),
        &s, err);
    if (st)
        return st;
    ex_sql_bind_text(s, 1, ex_str(schema));
    st = ex_sql_step(s, err);
    if (st == EX_OK)
        *f = (found){.is_hidden = ex_sql_bool(s, 0),
                     .is_ours = ex_sql_bool(s, 1),
                     .has_events = ex_sql_bool(s, 2)};
    ex_sql_reset(s);
    return st;
}

/* The applied ones are checked against ours: newer, changed, gaps. */
static ex_status look(ex_sql *db, const ex_pg_target *t, found *f, ex_error *err)
{
    char sql[128];
    uint32_t missing = PG_SCHEMA_VERSION;
    const ex_sql_migrations m = migrations();
    ex_status st = look_for_tables(db, t->schema, f, err);
    if (st == EX_OK && f->is_hidden) { /* the server refuses it, and says what is missing */
        (void)snprintf(sql, sizeof(sql), "SELECT 1 FROM \"%s\"." EX_SQL_MIGRATIONS_TABLE,
                       t->schema); /* fits */
        st = ex_sql_script(db, sql, err);
    }
    if (st == EX_OK && f->is_ours) {
        st = ex_sql_migrations_missing(db, &m, &missing, err);
        if (st == EX_EFORMAT)
            return ex_error_context(err, st, "schema '%s' of %s", t->schema, t->label);
    }
    if (st == EX_OK)
        f->version = PG_SCHEMA_VERSION - missing;
    return st;
}

/* ---- Features ---- */

static ex_status read_features(ex_sql *db, store_features *ret, ex_error *err)
{
    ex_sql_stmt *s = NULL;
    *ret = (store_features){0};
    ex_status st =
        ex_sql_prepare(db, EX_S("SELECT name, class FROM features ORDER BY name"), &s, err);
    if (st)
        return st;
    while ((st = ex_sql_step(s, err)) == EX_OK)
        store_features_add(ret, ex_sql_bytes(s, 0), ex_sql_bytes(s, 1));
    ex_sql_reset(s);
    return st == EX_EEND ? EX_OK : st;
}

/* Features came with version 3. */
static ex_status check_features(ex_sql *db, const ex_pg_target *t, uint32_t version, bool to_write,
                                store_features *ret, ex_error *err)
{
    char what[EX_ERROR_MESSAGE_SIZE];
    *ret = (store_features){0};
    ex_status st = version >= 3 ? read_features(db, ret, err) : EX_OK;
    store_features_miss(ret, additions, ADDITION_COUNT);
    (void)snprintf(what, sizeof(what), "schema '%s' of %s", t->schema,
                   t->label); /* cut is fine: for people */
    return st ? st : store_features_check(ret, to_write, what, err);
}

static ex_status raise_missing(const ex_pg_target *t, ex_error *err)
{
    return ex_raise(err, EX_ENOTFOUND, "there is no store in schema '%s' of %s", t->schema,
                    t->label);
}

static ex_status check(const found *f, const ex_pg_target *t, pg_schema_wish wish, ex_error *err)
{
    if (!f->is_ours && f->has_events)
        return ex_raise(err, EX_EFORMAT, "schema '%s' of %s has tables, but not an event store",
                        t->schema, t->label);
    if (!f->is_ours && wish == PG_SCHEMA_MUST_EXIST)
        return raise_missing(t, err);
    if (f->is_ours && f->version < PG_SCHEMA_VERSION && wish != PG_SCHEMA_MIGRATE)
        return ex_raise(err, EX_EFORMAT,
                        "schema '%s' of %s has version %u, older than %d: it must be migrated "
                        "first (excore migrate)",
                        t->schema, t->label, f->version, PG_SCHEMA_VERSION);
    return EX_OK;
}

/* ---- Making ---- */

typedef struct wanted {
    const ex_pg_target *target;
    pg_schema_wish wish;
} wanted;

static ex_status add_what_came_later(ex_sql *db, ex_error *err)
{
    store_features has;
    ex_status st = read_features(db, &has, err);
    for (size_t i = 0; st == EX_OK && i < ADDITION_COUNT; i++)
        if (!store_features_has(&has, additions[i].name))
            st = ex_sql_script(db, additions[i].sql, err);
    return st;
}

/* One at a time, whoever opens first; the others look again and find it done. All or nothing. */
static ex_status migrate(ex_sql *db, void *ctx, ex_error *err)
{
    found f;
    const wanted *w = ctx;
    const ex_sql_migrations m = migrations();
    ex_status st = ex_sql_script(db, "SET TRANSACTION READ WRITE", err); /* also by default not */
    st = st ? st : ex_sql_migrate_lock(db, err);
    st = st ? st : look(db, w->target, &f, err);
    st = st ? st : check(&f, w->target, w->wish, err);
    st = st ? st : ex_sql_migrate(db, &m, err);
    return st ? st : add_what_came_later(db, err);
}

ex_status pg_schema_open(ex_pg *pg, pg_schema_wish wish, bool to_write, store_features *ret,
                         ex_error *err)
{
    found f = {0};
    store_features features;
    ex_sql *db = NULL;
    wanted w = {ex_pg_target_of(pg), wish};
    ex_status st = ex_sql_on_pg(pg, &db, err);
    st = st ? st : look(db, w.target, &f, err);
    st = st ? st : check(&f, w.target, wish, err);
    st = st ? st : check_features(db, w.target, f.version, to_write, &features, err);
    bool is_behind =
        f.version < PG_SCHEMA_VERSION || (wish == PG_SCHEMA_MIGRATE && features.missing[0]);
    if (st == EX_OK && is_behind)
        st = ex_sql_transact(db, EX_SQL_WRITE, migrate, &w, err);
    if (st == EX_OK && is_behind)
        st = read_features(db, &features, err);
    ex_sql_close(db);
    if (st == EX_OK)
        *ret = features;
    return st;
}

ex_status pg_schema_version(ex_pg *pg, uint32_t *ret, store_features *ret_features, ex_error *err)
{
    found f;
    ex_sql *db = NULL;
    const ex_pg_target *t = ex_pg_target_of(pg);
    ex_status st = ex_sql_on_pg(pg, &db, err);
    st = st ? st : look(db, t, &f, err);
    st = st ? st : check(&f, t, PG_SCHEMA_MIGRATE, err);
    if (st == EX_OK && !f.is_ours)
        st = raise_missing(t, err);
    st = st ? st : check_features(db, t, f.version, false, ret_features, err);
    if (st == EX_OK)
        *ret = f.version;
    ex_sql_close(db);
    return st;
}
