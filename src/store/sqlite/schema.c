/* schema.c: the layout of events.db and its migrations.
 *
 *   table              key                      what
 *   -----------------  -----------------------  -------------------------------------------
 *   events             position                 the log; columns in event_row.c
 *     events_id        (id, stream_id)          idempotency; id first: ids rise with time, so
 *                                               inserts stay at the end of the index
 *     events_type      (type_id)                + position: the log by type
 *     events_correlation (correlation_id)       + position; partial: an event without one is
 *                                               not in it and pays nothing
 *   streams            id; name
 *   stream_heads       stream_id                version and position of a stream's last event;
 *                                               from there events lead backwards (chain.h)
 *   types, tags        id; name                 interned names
 *   event_tags         (tag_id, position)       the log by tag
 *   commands           seq; command_id          outcomes of commands; seq rises with time, so
 *                                               the oldest are found without a further index
 *   idempotency_audit  (stored_position,        refused appends: same id, other content
 *                       given_fingerprint)
 *   log_identity       one                      one row: the log's id, the file that it lies in,
 *                                               and whether it is open (wal_proof.h, log_epoch.c)
 *   log_epochs         number                   its epochs (excore/log_id.h)
 *   features           name                     what has come since format 4 (store/features.h)
 *   log (view)                                  the log for people with the sqlite3 shell
 *   stream_log (view)                           the same by stream: WHERE stream = '...' reads the
 *                                               events of that stream only
 *   tag_log (view)                              the same by tag: an event for each of its tags
 *
 * What the log says cannot be changed: triggers refuse UPDATE and DELETE on
 * events and on everything that gives them meaning. The head of a stream moves
 * with each batch; a trigger that looks which way would cost as much as the move. */
#include "store/sqlite/schema.h"

#include <stdio.h>

#include "store/sqlite/log_epoch.h"

#define REFUSE(table, verb)                                                                        \
    "CREATE TRIGGER \"" table "_no_" verb "\" BEFORE " verb " ON " table                           \
    " BEGIN SELECT raise(ABORT, '" table " cannot be changed: the log is append-only'); END;"
#define APPEND_ONLY(table) REFUSE(table, "UPDATE") REFUSE(table, "DELETE")

/* The two hex digits at the start of `h` as a number: the length byte of a packed tag. */
#define HEX_DIGIT(at) "(instr('0123456789ABCDEF', substr(h, " at ", 1)) - 1)"
#define TAG_LENGTH    "(" HEX_DIGIT("1") " * 16 + " HEX_DIGIT("2") ")"

/* clang-format off */
static const char schema_v3[] =
    "CREATE TABLE streams (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;"
    "CREATE TABLE types (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;"
    "CREATE TABLE tags (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;"

    "CREATE TABLE stream_heads (stream_id INTEGER PRIMARY KEY, version INTEGER NOT NULL,"
    "  position INTEGER NOT NULL) STRICT;"

    "CREATE TABLE events ("
    "  position INTEGER PRIMARY KEY, stream_id INTEGER NOT NULL, version INTEGER NOT NULL,"
    "  prev INTEGER, jump INTEGER, type_id INTEGER NOT NULL, recorded_at INTEGER NOT NULL,"
    "  id BLOB NOT NULL, schema_version INTEGER, content_type TEXT, correlation_id TEXT,"
    "  causation_id TEXT, tags BLOB, metadata TEXT, data BLOB NOT NULL) STRICT;"
    "CREATE UNIQUE INDEX events_id ON events (id, stream_id);"
    "CREATE INDEX events_type ON events (type_id);"
    "CREATE INDEX events_correlation ON events (correlation_id) WHERE correlation_id IS NOT NULL;"

    "CREATE TABLE event_tags (tag_id INTEGER NOT NULL, position INTEGER NOT NULL,"
    "  PRIMARY KEY (tag_id, position)) STRICT, WITHOUT ROWID;"

    "CREATE TABLE commands (seq INTEGER PRIMARY KEY, command_id TEXT NOT NULL UNIQUE,"
    "  fingerprint INTEGER NOT NULL, recorded_at INTEGER NOT NULL, outcome BLOB NOT NULL) STRICT;"

    "CREATE TABLE idempotency_audit (id INTEGER PRIMARY KEY, stored_position INTEGER NOT NULL,"
    "  stored_fingerprint INTEGER NOT NULL, given_fingerprint INTEGER NOT NULL,"
    "  stream TEXT NOT NULL, event_id BLOB NOT NULL, type TEXT NOT NULL,"
    "  schema_version INTEGER NOT NULL, content_type TEXT NOT NULL, data BLOB NOT NULL,"
    "  actor TEXT, first_at INTEGER NOT NULL, last_at INTEGER NOT NULL, times INTEGER NOT NULL,"
    "  UNIQUE (stored_position, given_fingerprint)) STRICT;"

    APPEND_ONLY("events")
    APPEND_ONLY("streams")
    APPEND_ONLY("types")
    APPEND_ONLY("tags")
    APPEND_ONLY("event_tags")
    REFUSE("stream_heads", "DELETE")
    REFUSE("stream_heads", "UPDATE OF stream_id")

    "CREATE VIEW log AS SELECT e.position, s.name AS stream,"
    "  substr(s.name, 1, instr(s.name || '-', '-') - 1) AS category, e.version, t.name AS type,"
    "  lower(hex(substr(e.id, 1, 16))) AS id, ifnull(e.schema_version, 1) AS schema_version,"
    "  ifnull(e.content_type, 'application/json') AS content_type,"
    "  CAST(e.data AS TEXT) AS data, ifnull(e.metadata, '{}') AS metadata,"
    "  (WITH RECURSIVE tag (h, name) AS ("
    "     SELECT hex(e.tags), NULL WHERE e.tags IS NOT NULL"
    "     UNION ALL SELECT substr(h, 3 + 2 * " TAG_LENGTH "),"
    "       CAST(substr(e.tags, 2 + (length(hex(e.tags)) - length(h)) / 2, " TAG_LENGTH ") AS TEXT)"
    "     FROM tag WHERE h <> '')"
    "   SELECT json_group_array(name) FROM tag WHERE name IS NOT NULL) AS tags,"
    "  e.correlation_id, e.causation_id,"
    "  strftime('%Y-%m-%dT%H:%M:%S', e.recorded_at / 1000000, 'unixepoch')"
    "    || printf('.%06dZ', e.recorded_at % 1000000) AS recorded_at"
    "  FROM events e JOIN streams s ON s.id = e.stream_id JOIN types t ON t.id = e.type_id;"

    /* the list of positions is made for each stream that the query lets pass, not before */
    "CREATE VIEW stream_log AS SELECT s.name AS stream, l.version, l.position, l.category, l.type,"
    "  l.id, l.schema_version, l.content_type, l.data, l.metadata, l.tags, l.correlation_id,"
    "  l.causation_id, l.recorded_at"
    "  FROM streams s CROSS JOIN json_each((WITH RECURSIVE chain (position) AS ("
    "      SELECT h.position FROM stream_heads h WHERE h.stream_id = s.id"
    "      UNION ALL SELECT e.position - e.prev FROM chain c CROSS JOIN events e"
    "        ON e.position = c.position WHERE e.prev > 0)"
    "    SELECT json_group_array(position)"
    "    FROM (SELECT position FROM chain ORDER BY position))) p"
    "  CROSS JOIN log l ON l.position = p.value;";

/* Who the log is, and what has been added to it. The rows of the first two are made by
 * log_epoch_first in the same transaction. */
static const char schema_v4[] =
    "CREATE TABLE log_identity (one INTEGER PRIMARY KEY CHECK (one = 1), log_id BLOB NOT NULL,"
    "  place TEXT NOT NULL, is_open INTEGER NOT NULL) STRICT;"
    "CREATE TABLE log_epochs (number INTEGER PRIMARY KEY, id BLOB NOT NULL,"
    "  first INTEGER NOT NULL, opened_at INTEGER NOT NULL, reason TEXT NOT NULL) STRICT;"
    APPEND_ONLY("log_epochs")
    "CREATE TABLE features (name TEXT PRIMARY KEY, class TEXT NOT NULL " STORE_FEATURES_CHECK
    ") STRICT, WITHOUT ROWID;"
    STORE_FEATURE_EPOCHS_SQL;

/* From the index, in its order: a tag that few events have is found as fast in a long log. */
static const char log_views[] =
    "CREATE VIEW tag_log AS SELECT g.name AS tag, l.position, l.stream, l.category, l.version,"
    "  l.type, l.id, l.schema_version, l.content_type, l.data, l.metadata, l.tags,"
    "  l.correlation_id, l.causation_id, l.recorded_at"
    "  FROM tags g CROSS JOIN event_tags t ON t.tag_id = g.id"
    "  CROSS JOIN log l ON l.position = t.position;"
    STORE_FEATURE_LOG_VIEWS_SQL;

static const store_addition additions[] = {{STORE_FEATURE_LOG_VIEWS, log_views}};
#define ADDITION_COUNT (sizeof(additions) / sizeof(additions[0]))

/* The first makes a file of format SCHEMA_OLDEST, each further one brings a file to the next. */
static const char *const migrations[] = {schema_v3, schema_v4};
_Static_assert(sizeof(migrations) / sizeof(migrations[0]) == SCHEMA_VERSION - SCHEMA_OLDEST + 1,
               "a migration to each format");
/* clang-format on */

typedef struct file_format {
    int64_t application_id;
    int64_t version;
    int64_t tables;
} file_format;

static ex_status read_format(sqlite_conn *c, file_format *ret, ex_error *err)
{
    ex_status st = sqlite_conn_number(c, "PRAGMA application_id", &ret->application_id, err);
    if (st == EX_OK)
        st = sqlite_conn_number(c, "PRAGMA user_version", &ret->version, err);
    if (st == EX_OK)
        st = sqlite_conn_number(c, "SELECT count(*) FROM sqlite_schema", &ret->tables, err);
    return st;
}

static ex_status check_readable(const file_format *f, const char *path, ex_error *err)
{
    bool is_new = f->application_id == 0 && f->version == 0 && f->tables == 0;
    if (!is_new && f->application_id != SCHEMA_APPLICATION_ID)
        return ex_raise(err, EX_EFORMAT, "'%s' is a database, but not an event store", path);
    if (f->version < 0 || f->version > SCHEMA_VERSION)
        return ex_raise(err, EX_EFORMAT,
                        "'%s' has format %lld, written by a newer version of excore; this one "
                        "knows formats up to %d",
                        path, (long long)f->version, SCHEMA_VERSION);
    if (f->version > 0 && f->version < SCHEMA_OLDEST)
        return ex_raise(err, EX_EFORMAT,
                        "'%s' has format %lld, of excore before its first release; this one reads "
                        "formats from %d on",
                        path, (long long)f->version, SCHEMA_OLDEST);
    return EX_OK;
}

static ex_status check_features(const store_features *features, const char *path, bool to_write,
                                ex_error *err)
{
    char what[EX_ERROR_MESSAGE_SIZE / 2];
    (void)snprintf(what, sizeof(what), "'%s'", path); /* cut is fine: for people */
    return store_features_check(features, to_write, what, err);
}

ex_status sqlite_schema_version(sqlite_conn *c, const char *path, uint32_t *ret,
                                store_features *ret_features, ex_error *err)
{
    file_format f = {0};
    ex_status st = read_format(c, &f, err);
    if (st == EX_OK)
        st = check_readable(&f, path, err);
    if (st == EX_OK)
        st = log_features_read(c, ret_features, err);
    if (st == EX_OK)
        st = check_features(ret_features, path, false, err);
    if (st)
        return st;
    store_features_miss(ret_features, additions, ADDITION_COUNT);
    *ret = (uint32_t)f.version;
    return st;
}

ex_status sqlite_schema_check(sqlite_conn *c, const char *path, bool to_write, ex_error *err)
{
    file_format f = {0};
    store_features features;
    ex_status st = read_format(c, &f, err);
    if (st == EX_OK)
        st = check_readable(&f, path, err);
    if (st == EX_OK && f.version < SCHEMA_READABLE && !to_write)
        st = ex_raise(err, EX_EFORMAT,
                      "'%s' has format %lld; open it once for writing to bring it to format %d",
                      path, (long long)f.version, SCHEMA_VERSION);
    if (st == EX_OK)
        st = log_features_read(c, &features, err);
    return st ? st : check_features(&features, path, to_write, err);
}

static ex_status run_migrations(sqlite_conn *c, int64_t from, ex_error *err)
{
    ex_status st = EX_OK;
    int64_t first = from < SCHEMA_OLDEST ? 0 : from - SCHEMA_OLDEST + 1;
    for (int64_t i = first; st == EX_OK && i <= SCHEMA_VERSION - SCHEMA_OLDEST; i++)
        st = sqlite_conn_exec(c, migrations[i], err);
    if (st == EX_OK && from < 4)
        st = log_epoch_first(c, from ? EX_EPOCH_MIGRATED : EX_EPOCH_CREATED, err);
    return st;
}

static ex_status add_what_came_later(sqlite_conn *c, const store_features *has, ex_error *err)
{
    ex_status st = EX_OK;
    for (size_t i = 0; st == EX_OK && i < ADDITION_COUNT; i++)
        if (!store_features_has(has, additions[i].name))
            st = sqlite_conn_exec(c, additions[i].sql, err);
    return st;
}

static ex_status bring_up_to_date(sqlite_conn *c, int64_t from, ex_error *err)
{
    char sql[128];
    store_features features = {0};
    ex_status st = from == SCHEMA_VERSION ? EX_OK : run_migrations(c, from, err);
    if (st == EX_OK)
        st = log_features_read(c, &features, err);
    if (st == EX_OK)
        st = add_what_came_later(c, &features, err);
    (void)snprintf(sql, sizeof(sql), /* always fits */
                   "PRAGMA application_id = %d; PRAGMA user_version = %d;", SCHEMA_APPLICATION_ID,
                   SCHEMA_VERSION);
    if (st == EX_OK)
        st = sqlite_conn_exec(c, sql, err);
    return st;
}

ex_status sqlite_schema_migrate(sqlite_conn *c, const char *path, ex_error *err)
{
    store_features features = {0};
    uint32_t version = 0;
    ex_status st = sqlite_schema_version(c, path, &version, &features, err);
    if (st || (version == SCHEMA_VERSION && !features.missing[0]))
        return st;
    st = sqlite_conn_exec(c, "BEGIN EXCLUSIVE", err);
    if (st == EX_OK)
        st = bring_up_to_date(c, version, err);
    if (st == EX_OK)
        st = sqlite_conn_exec(c, "COMMIT", err);
    if (st) {
        /* the first failure is the one to report */
        (void)sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
        st = ex_error_context(err, st, "'%s': bringing it to format %d", path, SCHEMA_VERSION);
    }
    return st;
}
