/* sqlite_sql.c: the SQL port on SQLite: WAL mode, foreign keys on, time-outs by a progress handler.
 *
 * A lock that is not free within the query time-out is EX_EAGAIN (R-02-16). */
#include "sql/sql_int.h"
#include "sql/sqlite/sqlite_like.h"
#include "sql/sqlite/sqlite_status.h"

#include <excore/clock.h>
#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_CACHE_BYTES (2u << 20)
#define QUERY_TIMEOUT_MS    30000
#define PROGRESS_STEPS      10000 /* of the virtual machine between two looks at the clock */

typedef struct sqlite_db {
    /* the owner's */
    sqlite3 *handle;
    uint32_t timeout_ms;
    uint64_t deadline_ns;
    bool is_late; /* the progress handler ended the statement */
    /* any thread */
    atomic_bool is_cancelled;
} sqlite_db;

static uint64_t now_ns(void)
{
    return ex_monotonic_ns(ex_clock_system());
}

static int on_progress(void *ctx)
{
    sqlite_db *db = ctx;
    db->is_late = now_ns() > db->deadline_ns;
    return db->is_late || atomic_load(&db->is_cancelled);
}

static ex_status raise_rc(sqlite_db *db, int rc, ex_error *err)
{
    switch (rc & 0xff) {
    case SQLITE_INTERRUPT:
        if (db->is_late)
            return ex_raise(err, EX_ETIMEOUT, "a statement took longer than %u ms", db->timeout_ms);
        return ex_raise(err, EX_ECANCELLED, "a statement was cancelled");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ex_raise(err, EX_EAGAIN, "a lock in SQLite was not free in time");
    case SQLITE_MISMATCH:
        return ex_raise(err, EX_EINVAL, "SQLite refused a value: %s", sqlite3_errmsg(db->handle));
    case SQLITE_TOOBIG:
        return ex_raise(err, EX_ETOOLARGE, "a value is too large for SQLite");
    case SQLITE_CONSTRAINT: {
        int extended = sqlite3_extended_errcode(db->handle);
        bool is_unique = extended == SQLITE_CONSTRAINT_UNIQUE ||
                         extended == SQLITE_CONSTRAINT_PRIMARYKEY ||
                         extended == SQLITE_CONSTRAINT_ROWID;
        bool is_type = extended == SQLITE_CONSTRAINT_DATATYPE;
        return ex_raise(err,
                        is_unique ? EX_EEXISTS
                        : is_type ? EX_EINVAL
                                  : EX_EDATABASE,
                        "SQLite refused a row: %s", sqlite3_errmsg(db->handle));
    }
    default:
        return ex_sqlite_raise(db->handle, rc, "cannot run a statement", err);
    }
}

static void begin_statement(sqlite_db *db)
{
    db->deadline_ns = now_ns() + (uint64_t)db->timeout_ms * 1000000;
    db->is_late = false;
}

static ex_status run_script(void *conn, const char *sql, ex_error *err)
{
    sqlite_db *db = conn;
    begin_statement(db);
    int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return rc ? raise_rc(db, rc, err) : EX_OK;
}

static ex_status configure(sqlite_db *db, const ex_sql_options *o, ex_error *err)
{
    char sql[320];
    (void)snprintf(sql, sizeof(sql), /* fits */
                   "PRAGMA cache_size=-%u; PRAGMA temp_store=MEMORY; PRAGMA foreign_keys=ON;"
                   "PRAGMA trusted_schema=OFF; PRAGMA synchronous=%s;%s",
                   (o->cache_bytes ? o->cache_bytes : DEFAULT_CACHE_BYTES) / 1024,
                   o->is_durable ? "FULL" : "NORMAL",
                   /* a checkpoint is in the writer's own commit, but its fsync is everybody's: let
                      it be rare */
                   o->is_read_only ? ""
                                   : "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=8000;"
                                     "PRAGMA journal_size_limit=67108864;");
    /* "name" is a name, never a text: what has no such column is told so, as on PostgreSQL */
    (void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    (void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    ex_status st = sqlite_like_register(db->handle, err);
    if (st)
        return st;
    sqlite3_busy_timeout(db->handle, (int)db->timeout_ms);
    sqlite3_progress_handler(db->handle, PROGRESS_STEPS, on_progress, db);
    return run_script(db, sql, err);
}

static void close_db(void *conn)
{
    sqlite_db *db = conn;
    (void)sqlite3_close(db->handle); /* all statements are finalised: cannot be busy */
    free(db);
}

/* An absolute path has no other meaning to SQLite, as "file:NAME" has. */
static ex_status open_handle(sqlite_db *db, const ex_sql_options *o, ex_error *err)
{
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    flags |= o->is_read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    char *path = NULL;
    ex_status st = o->place ? sql_path_resolve(o->place, &path, err) : EX_OK;
    if (st)
        return st;
    int rc = sqlite3_open_v2(path ? path : ":memory:", &db->handle, flags, NULL);
    free(path);
    return rc ? ex_sqlite_raise(db->handle, rc, "cannot open the database", err) : EX_OK;
}

static ex_status open_db(const ex_sql_options *o, void **ret_conn, ex_error *err)
{
    sqlite_db *db = calloc(1, sizeof(*db));
    if (!db)
        return ex_raise(err, EX_ENOMEM, "no memory for a connection");
    db->timeout_ms = o->query_timeout_ms ? o->query_timeout_ms : QUERY_TIMEOUT_MS;
    ex_status st = open_handle(db, o, err);
    st = st ? st : configure(db, o, err);
    if (st)
        close_db(db);
    else
        *ret_conn = db;
    return st;
}

static bool is_broken(const void *conn)
{
    (void)conn;
    return false;
}

static ex_status check(void *conn, ex_error *err)
{
    (void)conn;
    (void)err;
    return EX_OK;
}

static ex_status ping(void *conn, uint32_t timeout_ms, ex_error *err)
{
    (void)timeout_ms; /* nothing to wait for: no lock is taken, no page is read */
    return run_script(conn, "SELECT 1", err);
}

static void cancel(void *conn)
{
    sqlite_db *db = conn;
    atomic_store(&db->is_cancelled, true);
    sqlite3_interrupt(db->handle);
}

static void uncancel(void *conn)
{
    sqlite_db *db = conn;
    atomic_store(&db->is_cancelled, false);
}

static ex_status prepare(ex_sql_stmt *st, ex_error *err)
{
    sqlite_db *db = st->db->conn;
    sqlite3_stmt *impl = NULL;
    int rc = sqlite3_prepare_v3(db->handle, st->text.sql.ptr, (int)st->text.len,
                                SQLITE_PREPARE_PERSISTENT, &impl, NULL);
    if (rc)
        return raise_rc(db, rc, err);
    if (!impl)
        return ex_raise(err, EX_EINVAL, "a statement is empty");
    st->impl = impl;
    st->columns = (uint32_t)sqlite3_column_count(impl);
    return EX_OK;
}

static void finalize(ex_sql_stmt *st)
{
    (void)sqlite3_finalize(st->impl); /* tells the last step's failure again */
}

static int bind_value(sqlite3_stmt *impl, int at, const ex_sql_value *v)
{
    if (v->is_null)
        return sqlite3_bind_null(impl, at);
    ex_slice b = v->as.bytes;
    switch (v->type) {
    case EX_SQL_I64:
        return sqlite3_bind_int64(impl, at, v->as.i64);
    case EX_SQL_F64:
        return sqlite3_bind_double(impl, at, v->as.f64);
    case EX_SQL_BOOL:
        return sqlite3_bind_int(impl, at, v->as.boolean);
    case EX_SQL_TEXT:
        return sqlite3_bind_text64(impl, at, b.ptr ? b.ptr : "", b.len, SQLITE_STATIC, SQLITE_UTF8);
    case EX_SQL_BLOB:
        return sqlite3_bind_blob64(impl, at, b.ptr ? b.ptr : "", b.len, SQLITE_STATIC);
    }
    return SQLITE_MISUSE;
}

static ex_status start(ex_sql_stmt *st, ex_error *err)
{
    sqlite_db *db = st->db->conn;
    begin_statement(db);
    for (uint32_t i = 0; i < st->text.count; i++) {
        int rc = bind_value(st->impl, (int)i + 1, &st->values[i]);
        if (rc)
            return raise_rc(db, rc, err);
    }
    return EX_OK;
}

static ex_status step(ex_sql_stmt *st, ex_error *err)
{
    sqlite_db *db = st->db->conn;
    int rc = sqlite3_step(st->impl);
    st->columns = (uint32_t)sqlite3_column_count(st->impl); /* may have been prepared anew */
    if (rc == SQLITE_ROW)
        return EX_OK;
    if (rc != SQLITE_DONE)
        return raise_rc(db, rc, err);
    st->affected = sqlite3_stmt_readonly(st->impl) ? 0 : (uint64_t)sqlite3_changes64(db->handle);
    return EX_EEND;
}

static void reset(ex_sql_stmt *st)
{
    (void)sqlite3_reset(st->impl); /* tells the last step's failure again */
    (void)sqlite3_clear_bindings(st->impl);
}

static ex_sql_value column(const ex_sql_stmt *st, uint32_t column)
{
    sqlite3_stmt *impl = st->impl;
    int i = (int)column;
    switch (sqlite3_column_type(impl, i)) {
    case SQLITE_INTEGER:
        return (ex_sql_value){.type = EX_SQL_I64, .as.i64 = sqlite3_column_int64(impl, i)};
    case SQLITE_FLOAT:
        return (ex_sql_value){.type = EX_SQL_F64, .as.f64 = sqlite3_column_double(impl, i)};
    case SQLITE_TEXT: {
        const void *ptr = sqlite3_column_text(impl, i);
        return (ex_sql_value){.type = EX_SQL_TEXT,
                              .as.bytes = ex_slice_of(ptr, (size_t)sqlite3_column_bytes(impl, i))};
    }
    case SQLITE_BLOB: {
        const void *ptr = sqlite3_column_blob(impl, i); /* NULL when it is empty */
        return (ex_sql_value){
            .type = EX_SQL_BLOB,
            .as.bytes = ex_slice_of(ptr ? ptr : "", (size_t)sqlite3_column_bytes(impl, i))};
    }
    default:
        return (ex_sql_value){.type = EX_SQL_TEXT, .is_null = true};
    }
}

/* By the affinity of what CREATE TABLE says; the rows of an expression may be of any type. */
static ex_sql_column_info describe(const ex_sql_stmt *st, uint32_t column)
{
    sqlite3_stmt *impl = st->impl;
    const char *declared = sqlite3_column_decltype(impl, (int)column);
    ex_sql_column_info info = {.name = sqlite3_column_name(impl, (int)column),
                               .is_known = declared != NULL,
                               .type = EX_SQL_TEXT,
                               .declared = declared};
    if (declared && strstr(declared, "INT"))
        info.type = EX_SQL_I64;
    else if (declared && strstr(declared, "REAL"))
        info.type = EX_SQL_F64;
    else if (declared && strstr(declared, "BLOB"))
        info.type = EX_SQL_BLOB;
    info.name = info.name ? info.name : "";
    return info;
}

static bool has_tx(const void *conn)
{
    const sqlite_db *db = conn;
    return !sqlite3_get_autocommit(db->handle);
}

const sql_ops sql_sqlite_ops = {
    .engine = EX_SQL_SQLITE,
    .prefix = '?',
    .open = open_db,
    .close = close_db,
    .is_broken = is_broken,
    .check = check,
    .ping = ping,
    .cancel = cancel,
    .uncancel = uncancel,
    .prepare = prepare,
    .finalize = finalize,
    .start = start,
    .step = step,
    .reset = reset,
    .column = column,
    .describe = describe,
    .script = run_script,
    .has_tx = has_tx,
};
