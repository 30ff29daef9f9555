/* sqlite_db.h: one SQLite connection with kept statements, for read models.
 *
 * Thread: one at a time. Blocking: disk. */
#ifndef EXCORE_SQL_SQLITE_DB_H
#define EXCORE_SQL_SQLITE_DB_H

#include "kernel/map.h"

#include <sqlite3.h>

typedef struct ex_db {
    sqlite3 *handle;
    ex_map statements; /* SQL text -> sqlite3_stmt */
} ex_db;

typedef struct ex_db_options {
    const char *path; /* NULL: a private database in memory */
    bool read_only;
    uint32_t cache_bytes; /* [2 MiB] */
} ex_db_options;

/** Open in WAL mode, synchronous=NORMAL. *db need not be initialised; on failure it is closed.
 *  @return EX_OK, EX_EFILESYSTEM, EX_ECORRUPT, EX_ESTORAGE, EX_ENOMEM */
EX_NODISCARD ex_status ex_db_open(ex_db *db, const ex_db_options *options, ex_error *err);
/** A zeroed one is accepted. */
void ex_db_close(ex_db *db);
/** Run SQL (one or more statements) without a result. */
EX_NODISCARD ex_status ex_db_exec(ex_db *db, const char *sql, ex_error *err);
/** The statement for `sql`, prepared once, reset and with nothing bound. It stays the connection's.
 */
EX_NODISCARD ex_status ex_db_statement(ex_db *db, ex_slice sql, sqlite3_stmt **ret, ex_error *err);
/** Run a bound statement of which no row is wanted, then reset it. */
EX_NODISCARD ex_status ex_db_run(ex_db *db, sqlite3_stmt *st, ex_error *err);
/** Step: EX_OK and a row, EX_EEND and reset, or a failure and reset. */
EX_NODISCARD ex_status ex_db_step(ex_db *db, sqlite3_stmt *st, ex_error *err);
/** Undo an open transaction; without one it does nothing. */
void ex_db_rollback(ex_db *db);
/** Raise the connection's last failure. Its text is for the log, never for a client. */
ex_status ex_db_raise(ex_db *db, int rc, const char *doing, ex_error *err);

#endif
