/* sqlite_conn.c: opening, pragmas, kept statements. */
#include "store/sqlite/sqlite_conn.h"

#include "sql/sqlite/sqlite_status.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const statement_sql[STATEMENT_COUNT] = {
#define STATEMENT_SQL(name, plan, sql) sql,
    STATEMENT_MAP(STATEMENT_SQL)
#undef STATEMENT_SQL
};

ex_status sqlite_conn_raise(sqlite_conn *c, int rc, const char *doing, ex_error *err)
{
    return ex_sqlite_raise(c->db, rc, doing, err);
}

static ex_status apply_pragmas(sqlite_conn *c, uint32_t cache_bytes, ex_error *err)
{
    char sql[256];
    (void)snprintf(sql, sizeof(sql), /* always fits */
                   "PRAGMA cache_size = -%u; PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0;"
                   "PRAGMA secure_delete = OFF; PRAGMA trusted_schema = OFF;",
                   cache_bytes / 1024);
    return sqlite_conn_exec(c, sql, err);
}

ex_status sqlite_conn_open(sqlite_conn *c, const sqlite_conn_options *options, ex_error *err)
{
    memset(c, 0, sizeof(*c));
    int rc =
        sqlite3_open_v2(options->path, &c->db, options->flags | SQLITE_OPEN_NOMUTEX, options->vfs);
    ex_status st = EX_OK;
    if (rc != SQLITE_OK) {
        st = sqlite_conn_raise(c, rc, "cannot open the database", err);
    } else {
        (void)sqlite3_extended_result_codes(c->db, 1);          /* fails for a NULL handle only */
        (void)sqlite3_busy_timeout(c->db, SQLITE_CONN_BUSY_MS); /* likewise */
        st = apply_pragmas(c, options->cache_bytes, err);
    }
    if (st)
        sqlite_conn_close(c);
    return st;
}

void sqlite_conn_close(sqlite_conn *c)
{
    for (int i = 0; i < STATEMENT_COUNT; i++)
        (void)sqlite3_finalize(c->statements[i]); /* repeats the last failure, known already */
    (void)sqlite3_close(c->db);                   /* all statements are gone: it cannot refuse */
    free(c->type_names);
    memset(c, 0, sizeof(*c));
}

ex_status sqlite_conn_exec(sqlite_conn *c, const char *sql, ex_error *err)
{
    int rc = sqlite3_exec(c->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? EX_OK : sqlite_conn_raise(c, rc, "cannot set up the database", err);
}

ex_status sqlite_conn_number(sqlite_conn *c, const char *sql, int64_t *ret, ex_error *err)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(c->db, sql, -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        *ret = sqlite3_column_int64(st, 0);
    (void)sqlite3_finalize(st); /* repeats rc */
    return rc == SQLITE_ROW ? EX_OK : sqlite_conn_raise(c, rc, "cannot read the database", err);
}

ex_status sqlite_conn_statement(sqlite_conn *c, statement which, sqlite3_stmt **ret, ex_error *err)
{
    if (!c->statements[which]) {
        int rc = sqlite3_prepare_v3(c->db, statement_sql[which], -1, SQLITE_PREPARE_PERSISTENT,
                                    &c->statements[which], NULL);
        if (rc != SQLITE_OK)
            return sqlite_conn_raise(c, rc, "cannot prepare a statement", err);
    }
    *ret = c->statements[which];
    return EX_OK;
}

ex_status sqlite_conn_run(sqlite_conn *c, sqlite3_stmt *st, ex_error *err)
{
    int rc = sqlite3_step(st);
    ex_status status =
        rc == SQLITE_DONE ? EX_OK : sqlite_conn_raise(c, rc, "cannot write the log", err);
    (void)sqlite3_reset(st); /* repeats rc */
    return status;
}
