/* sqlite_db.c: one SQLite connection with kept statements. */
#include "sql/sqlite_db.h"

#include "sql/sqlite/sqlite_status.h"

#include <stdio.h>

#define DEFAULT_CACHE_BYTES (2u << 20)
#define BUSY_TIMEOUT_MS     10000

ex_status ex_db_raise(ex_db *db, int rc, const char *doing, ex_error *err)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "cannot %s", doing); /* our own few words */
    return ex_sqlite_raise(db->handle, rc, text, err);
}

static ex_status configure(ex_db *db, const ex_db_options *options, ex_error *err)
{
    char sql[256];
    uint32_t cache = options->cache_bytes ? options->cache_bytes : DEFAULT_CACHE_BYTES;
    sqlite3_busy_timeout(db->handle, BUSY_TIMEOUT_MS);
    (void)snprintf(sql, sizeof(sql),
                   "PRAGMA cache_size=-%u; PRAGMA temp_store=MEMORY;%s", /* fits */
                   cache / 1024,
                   options->read_only ? "" : "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;");
    return ex_db_exec(db, sql, err);
}

ex_status ex_db_open(ex_db *db, const ex_db_options *options, ex_error *err)
{
    memset(db, 0, sizeof(*db));
    ex_map_init(&db->statements, 0);
    int flags =
        SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
        (options->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    const char *path = options->path ? options->path : ":memory:";
    int rc = sqlite3_open_v2(path, &db->handle, flags, NULL);
    ex_status st = rc ? ex_db_raise(db, rc, "open the database", err) : configure(db, options, err);
    if (st)
        ex_db_close(db);
    return st;
}

static void finalize(void *statement)
{
    (void)sqlite3_finalize(statement); /* tells the last step's failure again */
}

void ex_db_close(ex_db *db)
{
    ex_map_done(&db->statements, finalize);
    (void)sqlite3_close(db->handle); /* all statements are finalised: cannot be busy */
    db->handle = NULL;
}

ex_status ex_db_exec(ex_db *db, const char *sql, ex_error *err)
{
    int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return rc ? ex_db_raise(db, rc, "run a statement", err) : EX_OK;
}

ex_status ex_db_statement(ex_db *db, ex_slice sql, sqlite3_stmt **ret, ex_error *err)
{
    sqlite3_stmt *st = ex_map_get(&db->statements, sql);
    if (st) {
        (void)sqlite3_reset(st); /* tells the last step's failure again */
        (void)sqlite3_clear_bindings(st);
        *ret = st;
        return EX_OK;
    }
    int rc =
        sqlite3_prepare_v3(db->handle, sql.ptr, (int)sql.len, SQLITE_PREPARE_PERSISTENT, &st, NULL);
    if (rc)
        return ex_db_raise(db, rc, "prepare a statement", err);
    if (ex_map_put(&db->statements, sql, st, NULL)) {
        finalize(st);
        return ex_raise(err, EX_ENOMEM, "no memory for a statement");
    }
    *ret = st;
    return EX_OK;
}

ex_status ex_db_step(ex_db *db, sqlite3_stmt *st, ex_error *err)
{
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        return EX_OK;
    ex_status status = rc == SQLITE_DONE ? EX_EEND : ex_db_raise(db, rc, "run a statement", err);
    (void)sqlite3_reset(st); /* tells the same failure again */
    return status;
}

ex_status ex_db_run(ex_db *db, sqlite3_stmt *st, ex_error *err)
{
    ex_status status = ex_db_step(db, st, err);
    if (status == EX_OK)
        (void)sqlite3_reset(st); /* a row nobody wants */
    return status == EX_EEND ? EX_OK : status;
}

void ex_db_rollback(ex_db *db)
{
    if (db->handle && !sqlite3_get_autocommit(db->handle))
        (void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL); /* SQLite may have done it */
}
