/* view_store.c: what a view keeps beside its rows: its tables and its checkpoint.
 *
 * Several nodes may have the same views in one PostgreSQL. The checkpoint is moved only from where
 * the node believes it to be, so of two that apply the same events one is turned away, and a node
 * that was away for a while cannot write on an old idea of where the view stands. */
#include "kernel/fingerprint.h"
#include "runtime/row.h"
#include "runtime/view_definition.h"
#include "runtime/views.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

static const ex_sql_migration migrations[] = {
    {1, "checkpoints",
     "CREATE TABLE IF NOT EXISTS excore_views (view TEXT PRIMARY KEY,"
     " version INTEGER NOT NULL, fingerprint INTEGER NOT NULL,"
     " position INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
     "CREATE TABLE IF NOT EXISTS excore_parked (view TEXT NOT NULL,"
     " position INTEGER NOT NULL, stream TEXT NOT NULL, type TEXT NOT NULL,"
     " reason TEXT NOT NULL, attempts INTEGER NOT NULL,"
     " parked_at INTEGER NOT NULL, PRIMARY KEY (view, position))"
     " STRICT, WITHOUT ROWID",
     "CREATE TABLE excore_views (view TEXT COLLATE \"C\" PRIMARY KEY,"
     " version BIGINT NOT NULL, fingerprint BIGINT NOT NULL, position BIGINT NOT NULL);"
     "CREATE TABLE excore_parked (view TEXT COLLATE \"C\" NOT NULL,"
     " position BIGINT NOT NULL, stream TEXT NOT NULL, type TEXT NOT NULL, reason TEXT NOT NULL,"
     " attempts BIGINT NOT NULL, parked_at BIGINT NOT NULL, PRIMARY KEY (view, position))"},
    {2, "proof of checkpoints",
     "ALTER TABLE excore_views ADD COLUMN log TEXT NOT NULL DEFAULT '';"
     "ALTER TABLE excore_views ADD COLUMN epoch TEXT NOT NULL DEFAULT '';"
     "ALTER TABLE excore_views ADD COLUMN event TEXT NOT NULL DEFAULT ''",
     NULL},
    {3, "definitions of views, settlements of parked events",
     "ALTER TABLE excore_views ADD COLUMN definition INTEGER NOT NULL DEFAULT 0;"
     "ALTER TABLE excore_views ADD COLUMN build TEXT NOT NULL DEFAULT '';"
     "ALTER TABLE excore_parked ADD COLUMN state TEXT NOT NULL DEFAULT 'parked';"
     "ALTER TABLE excore_parked ADD COLUMN settled_by TEXT NOT NULL DEFAULT '';"
     "ALTER TABLE excore_parked ADD COLUMN note TEXT NOT NULL DEFAULT '';"
     "ALTER TABLE excore_parked ADD COLUMN settled_at INTEGER NOT NULL DEFAULT 0",
     "ALTER TABLE excore_views ADD COLUMN definition BIGINT NOT NULL DEFAULT 0;"
     "ALTER TABLE excore_views ADD COLUMN build TEXT NOT NULL DEFAULT '';"
     "ALTER TABLE excore_parked ADD COLUMN state TEXT NOT NULL DEFAULT 'parked';"
     "ALTER TABLE excore_parked ADD COLUMN settled_by TEXT NOT NULL DEFAULT '';"
     "ALTER TABLE excore_parked ADD COLUMN note TEXT NOT NULL DEFAULT '';"
     "ALTER TABLE excore_parked ADD COLUMN settled_at BIGINT NOT NULL DEFAULT 0"},
};

ex_status view_store_place(const char *dir, char path[PATH_MAX], ex_sql_options *ret, ex_error *err)
{
    bool is_server = dir && ex_sql_is_server(dir);
    int n = dir ? snprintf(path, PATH_MAX, is_server ? "%s" : "%s/views.db", dir) : 0;
    if (n < 0 || n >= PATH_MAX)
        return ex_raise(err, EX_EFILESYSTEM, "the path of the views is too long");
    ret->place = dir ? path : NULL;
    ret->schema_suffix = "_views";
    return EX_OK;
}

ex_status view_store_migrate(ex_sql *db, const ex_clock *clock, ex_error *err)
{
    const ex_sql_migrations m = {
        .list = migrations, .count = sizeof(migrations) / sizeof(migrations[0]), .clock = clock};
    return ex_sql_migrate(db, &m, err);
}

ex_status view_store_is_older(ex_sql *db, bool *ret, ex_error *err)
{
    const ex_sql_migrations m = {.list = migrations,
                                 .count = sizeof(migrations) / sizeof(migrations[0])};
    uint32_t missing = 0;
    ex_status st = ex_sql_migrations_missing(db, &m, &missing, err);
    if (!st)
        *ret = missing > 0;
    return st;
}

/* ---- Tables ---- */

/* Everything the tables are made from: another definition means another shape. In SQLite's words on
 * every engine, so that the number of a definition is one. */
static uint64_t fingerprint_view(const ex_view_def *def, ex_buf *scratch)
{
    ex_buf_reset(scratch);
    for (uint32_t i = 0; i < def->table_count; i++)
        row_sql_create(EX_SQL_SQLITE, def->tables[i].row, scratch);
    for (uint32_t i = 0; i < def->table_count; i++) {
        ex_buf_put_str(scratch, i ? ";" : ""); /* which table an index is of; the first had none */
        for (uint32_t k = 0; k < def->tables[i].index_count; k++)
            ex_buf_put_str(scratch, def->tables[i].indexes[k]);
    }
    return ex_fingerprint(EX_FINGERPRINT_START, ex_buf_slice(scratch));
}

static void put_index_columns(const char *columns, ex_buf *sql)
{
    const char *separator = " (";
    for (row_index_column c; row_index_next(&columns, &c); separator = ", ") {
        ex_buf_put_str(sql, separator);
        row_sql_name(c.name, sql);
        ex_buf_put_str(sql, c.is_descending ? " DESC" : "");
    }
    ex_buf_put_str(sql, ");");
}

/* No table has a dot in its name, so none is named as an index. */
static void put_indexes(const ex_table_def *def, ex_slice table, ex_buf *sql)
{
    for (uint32_t i = 0; i < def->index_count; i++) {
        ex_buf_printf(sql, "CREATE INDEX \"%.*s.%u\" ON ", EX_ARG(table), i + 1);
        row_sql_name(table, sql);
        put_index_columns(def->indexes[i], sql);
    }
}

static void put_tables(ex_sql_engine engine, const ex_view_def *def, ex_buf *sql)
{
    char name[ROW_NAME_SIZE];
    for (uint32_t i = 0; i < def->table_count; i++) {
        ex_slice table = row_table_name(def->tables[i].row, name);
        ex_buf_put_str(sql, "DROP TABLE IF EXISTS ");
        row_sql_name(table, sql);
        ex_buf_put_str(sql, ";");
        row_sql_create(engine, def->tables[i].row, sql);
        ex_buf_put_str(sql, ";");
        put_indexes(&def->tables[i], table, sql);
    }
}

ex_status view_store_create_tables(ex_sql *db, const ex_view_def *def, ex_error *err)
{
    ex_buf sql;
    ex_buf_init(&sql, 0);
    put_tables(ex_sql_engine_of(db), def, &sql);
    ex_buf_put_char(&sql, '\0');
    ex_status st = ex_buf_status(&sql) ? ex_raise(err, EX_ENOMEM, "no memory for a statement")
                                       : ex_sql_script(db, sql.ptr, err);
    ex_buf_done(&sql);
    return st;
}

/* ---- Checkpoints ---- */

typedef struct checkpoint {
    bool is_found;
    int64_t version;
    uint64_t fingerprint;
    view_place place;
    uint64_t definition; /* 0: of an earlier release, which did not note it */
    char build[VIEW_BUILD_SIZE];
} checkpoint;

#define SELECT_CHECKPOINT                                                                          \
    "SELECT version, fingerprint, position, log, epoch, event, definition, build"                  \
    " FROM excore_views WHERE view = $1"

/* What is no id proves nothing: nil. */
static ex_id id_of(const ex_sql_stmt *st, uint32_t column)
{
    ex_id id = {0};
    if (ex_id_parse(ex_sql_column(st, column).as.bytes, &id, NULL))
        id = (ex_id){0};
    return id;
}

/* `text` lives until the statement has run. */
static void bind_id(ex_sql_stmt *st, uint32_t at, const ex_id *id, char text[EX_ID_TEXT_SIZE])
{
    ex_sql_bind_text(st, at, ex_id_is_nil(id) ? EX_S("") : ex_id_text(id, text));
}

/* `is_locked`: no other node changes it before this transaction ends. */
static ex_status read_checkpoint(ex_sql *db, const ex_view_def *def, bool is_locked,
                                 checkpoint *ret, ex_error *err)
{
    bool is_server = ex_sql_engine_of(db) == EX_SQL_POSTGRES;
    ex_sql_stmt *st = NULL;
    ex_status status = ex_sql_prepare(db,
                                      is_locked && is_server ? EX_S(SELECT_CHECKPOINT " FOR UPDATE")
                                                             : EX_S(SELECT_CHECKPOINT),
                                      &st, err);
    if (status)
        return status;
    ex_sql_bind_text(st, 1, ex_str(def->name));
    status = ex_sql_step(st, err);
    if (status == EX_OK) {
        *ret = (checkpoint){.is_found = true,
                            .version = ex_sql_i64(st, 0),
                            .fingerprint = (uint64_t)ex_sql_i64(st, 1),
                            .place = {.position = (uint64_t)ex_sql_i64(st, 2),
                                      .log = id_of(st, 3),
                                      .epoch = id_of(st, 4),
                                      .event = id_of(st, 5)},
                            .definition = (uint64_t)ex_sql_i64(st, 6)};
        (void)snprintf(ret->build, sizeof(ret->build), "%.*s", EX_ARG(ex_sql_bytes(st, 7)));
    } else {
        *ret = (checkpoint){0};
    }
    ex_sql_reset(st);
    return status == EX_EEND ? EX_OK : status;
}

typedef struct preparing {
    const ex_view_def *def;
    bool must_rebuild, rebuilds_on_build;
    uint64_t fingerprint, definition;
    char build[VIEW_BUILD_SIZE];
    view_prepared done;
} preparing;

static ex_status write_checkpoint(ex_sql *db, const preparing *p, ex_error *err)
{
    ex_sql_stmt *st = NULL;
    ex_status status = ex_sql_prepare(
        db,
        EX_S("INSERT INTO excore_views (view, version, fingerprint, position, definition, build)"
             " VALUES ($1, $2, $3, 0, $4, $5)"
             " ON CONFLICT (view) DO UPDATE SET version = excluded.version,"
             " fingerprint = excluded.fingerprint, position = 0, log = '', epoch = '', event = '',"
             " definition = excluded.definition, build = excluded.build"),
        &st, err);
    if (status)
        return status;
    ex_sql_bind_text(st, 1, ex_str(p->def->name));
    ex_sql_bind_i64(st, 2, p->def->version);
    ex_sql_bind_i64(st, 3, (int64_t)p->fingerprint);
    ex_sql_bind_i64(st, 4, (int64_t)p->definition);
    ex_sql_bind_text(st, 5, ex_str(p->build));
    return ex_sql_run(st, err);
}

/* The view was built by a release that did not note this: it is taken to be what is there. */
static ex_status adopt(ex_sql *db, const preparing *p, ex_error *err)
{
    ex_sql_stmt *st = NULL;
    ex_status status = ex_sql_prepare(
        db, EX_S("UPDATE excore_views SET definition = $1, build = $2 WHERE view = $3"), &st, err);
    if (status)
        return status;
    ex_sql_bind_i64(st, 1, (int64_t)p->definition);
    ex_sql_bind_text(st, 2, ex_str(p->build));
    ex_sql_bind_text(st, 3, ex_str(p->def->name));
    return ex_sql_run(st, err);
}

/* No two nodes make the tables of a view at once. SQLite's write lock is enough. */
static ex_status lock_tables(ex_sql *db, ex_error *err)
{
    if (ex_sql_engine_of(db) == EX_SQL_SQLITE)
        return EX_OK;
    return ex_sql_script(db, "LOCK TABLE excore_views IN SHARE ROW EXCLUSIVE MODE", err);
}

/* Why the rows are no longer those of the view; NULL: they are. */
static const char *outdated(const preparing *p, const checkpoint *c)
{
    if (p->must_rebuild || !c->is_found)
        return "";
    if (c->version != p->def->version)
        return "it has another version";
    if (c->fingerprint != p->fingerprint)
        return "its tables have changed";
    if (c->definition && c->definition != p->definition)
        return "its events, or the types that it reads and writes, have changed";
    return p->done.is_other_build && p->rebuilds_on_build ? "the program is another build" : NULL;
}

static ex_status prepare_locked(ex_sql *db, void *ctx, ex_error *err)
{
    preparing *p = ctx;
    checkpoint c;
    ex_status st = lock_tables(db, err);
    st = st ? st : read_checkpoint(db, p->def, false, &c, err);
    if (st)
        return st;
    bool is_server = ex_sql_engine_of(db) == EX_SQL_POSTGRES;
    if (is_server && c.is_found && c.version > p->def->version)
        return ex_raise(err, EX_EFORMAT, "another node has it at version %lld, this one at %u",
                        (long long)c.version, p->def->version);
    p->done.is_other_build = c.build[0] && p->build[0] && strcmp(c.build, p->build) != 0;
    p->done.why = outdated(p, &c);
    if (!p->done.why) {
        p->done.place = c.place;
        return c.definition ? EX_OK : adopt(db, p, err);
    }
    p->done.is_other_build = false;
    st = view_store_create_tables(db, p->def, err);
    st = st ? st : view_parked_forget(db, p->def, err);
    return st ? st : write_checkpoint(db, p, err);
}

ex_status view_store_prepare(ex_sql *db, const ex_view_def *def, bool must_rebuild,
                             bool rebuilds_on_build, view_prepared *ret, ex_error *err)
{
    ex_buf scratch;
    ex_buf_init(&scratch, 0);
    preparing p = {.def = def,
                   .must_rebuild = must_rebuild,
                   .rebuilds_on_build = rebuilds_on_build,
                   .fingerprint = fingerprint_view(def, &scratch),
                   .definition = view_definition_of(def)};
    ex_buf_done(&scratch);
    view_build_of(def, p.build);
    ex_status st = ex_sql_transact(db, EX_SQL_WRITE, prepare_locked, &p, err);
    if (!st)
        *ret = p.done;
    return st ? ex_error_context(err, st, "view '%s'", def->name) : EX_OK;
}

ex_status view_store_seen(ex_sql *db, const ex_view_def *def, uint64_t *ret, ex_error *err)
{
    checkpoint c;
    ex_status st = read_checkpoint(db, def, false, &c, err);
    if (!st)
        *ret = c.version >= def->version ? c.place.position : 0;
    return st;
}

static ex_status raise_moved(const ex_view_def *def, ex_error *err)
{
    return ex_raise(err, EX_EAGAIN, "view '%s' was moved by another node", def->name);
}

ex_status view_store_lock(ex_sql *db, const ex_view_def *def, uint64_t position, ex_error *err)
{
    checkpoint c;
    if (ex_sql_engine_of(db) == EX_SQL_SQLITE)
        return EX_OK; /* one process: nobody else moves it */
    ex_status st = read_checkpoint(db, def, true, &c, err);
    if (st)
        return st;
    return c.place.position == position && c.version == def->version ? EX_OK
                                                                     : raise_moved(def, err);
}

ex_status view_store_checkpoint(ex_sql *db, const ex_view_def *def, uint64_t from,
                                const view_place *to, ex_error *err)
{
    char log[EX_ID_TEXT_SIZE], epoch[EX_ID_TEXT_SIZE], event[EX_ID_TEXT_SIZE];
    ex_sql_stmt *st = NULL;
    ex_status status = ex_sql_prepare(
        db,
        EX_S("UPDATE excore_views SET position = $1, log = $5, epoch = $6, event = $7"
             " WHERE view = $2 AND position = $3 AND version = $4"),
        &st, err);
    if (status)
        return status;
    ex_sql_bind_i64(st, 1, (int64_t)to->position);
    ex_sql_bind_text(st, 2, ex_str(def->name));
    ex_sql_bind_i64(st, 3, (int64_t)from);
    ex_sql_bind_i64(st, 4, def->version);
    bind_id(st, 5, &to->log, log);
    bind_id(st, 6, &to->epoch, epoch);
    bind_id(st, 7, &to->event, event);
    status = ex_sql_run(st, err);
    if (status)
        return status;
    return ex_sql_affected(st) == 1 ? EX_OK : raise_moved(def, err);
}

ex_status view_store_has_tables(ex_sql *db, const ex_view_def *def, bool *ret, ex_error *err)
{
    char table[ROW_NAME_SIZE];
    bool is_there = true;
    ex_status st = EX_OK;
    for (uint32_t i = 0; !st && is_there && i < def->table_count; i++)
        st = ex_sql_has_table(db, row_table_name(def->tables[i].row, table).ptr, &is_there, err);
    if (!st)
        *ret = is_there;
    return st;
}

static void put_hold(const ex_view_def *def, ex_buf *sql)
{
    char table[ROW_NAME_SIZE];
    for (uint32_t i = 0; i < def->table_count; i++) {
        ex_buf_put_str(sql, i ? ", " : "LOCK TABLE ");
        row_sql_name(row_table_name(def->tables[i].row, table), sql);
    }
    ex_buf_put_str(sql,
                   " IN ACCESS SHARE MODE"); /* takes no snapshot, so that one comes after it */
}

ex_status view_store_hold(ex_sql *db, const ex_view_def *def, ex_error *err)
{
    ex_sql_stmt *st = NULL;
    ex_buf sql;
    if (ex_sql_engine_of(db) == EX_SQL_SQLITE || def->table_count == 0)
        return EX_OK; /* a snapshot of a file holds its tables */
    ex_buf_init(&sql, 0);
    put_hold(def, &sql);
    ex_status status = ex_buf_status(&sql) ? ex_raise(err, EX_ENOMEM, "no memory for a statement")
                                           : ex_sql_prepare(db, ex_buf_slice(&sql), &st, err);
    ex_buf_done(&sql);
    return status ? status : ex_sql_queue(st, err);
}

ex_status view_store_position(ex_sql *db, const ex_view_def *def, uint64_t *ret, ex_error *err)
{
    checkpoint c;
    ex_status st = read_checkpoint(db, def, false, &c, err);
    if (!st)
        *ret = c.place.position;
    return st;
}
