/* sqlite_conn.h: one SQLite connection with its kept statements, and its failures as ours. */
#ifndef EXCORE_STORE_SQLITE_SQLITE_CONN_H
#define EXCORE_STORE_SQLITE_SQLITE_CONN_H

#include <excore/error.h>

#include <sqlite3.h>

#include "store/sqlite/statements.h"

/* How long a connection waits for a lock that another process holds (a backup, the shell). */
#define SQLITE_CONN_BUSY_MS 2000

#define TYPE_NAMES_KEPT 256u /* a power of two */

/** The name of a type id, direct-mapped: a log has few types, and one row needs one name. */
typedef struct type_name {
    uint64_t id;
    uint32_t len;
    char name[256];
} type_name;

typedef struct sqlite_conn {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    type_name *type_names; /* TYPE_NAMES_KEPT, made on first use */
} sqlite_conn;

typedef struct sqlite_conn_options {
    const char *path;
    const char *vfs; /* NULL: the default one */
    int flags;       /* of sqlite3_open_v2 */
    uint32_t cache_bytes;
} sqlite_conn_options;

/** Open and set what every connection has. *c need not be initialised; on failure it is closed. */
EX_NODISCARD ex_status sqlite_conn_open(sqlite_conn *c, const sqlite_conn_options *options,
                                        ex_error *err);
/** A zeroed one is accepted. */
void sqlite_conn_close(sqlite_conn *c);

/** Run SQL without a result. */
EX_NODISCARD ex_status sqlite_conn_exec(sqlite_conn *c, const char *sql, ex_error *err);
/** The number in the first column of the first row. */
EX_NODISCARD ex_status sqlite_conn_number(sqlite_conn *c, const char *sql, int64_t *ret,
                                          ex_error *err);

/** The kept statement, ready to bind. It belongs to the connection: reset it after use. */
EX_NODISCARD ex_status sqlite_conn_statement(sqlite_conn *c, statement which, sqlite3_stmt **ret,
                                             ex_error *err);
/** Bind and run a statement of which no row is wanted, then reset it. */
EX_NODISCARD ex_status sqlite_conn_run(sqlite_conn *c, sqlite3_stmt *st, ex_error *err);

/** Raise the connection's last failure as a status of ours; `doing` is "to …". */
ex_status sqlite_conn_raise(sqlite_conn *c, int rc, const char *doing, ex_error *err);

/** Bind a slice that lives until the statement is reset; an empty one becomes NULL when asked so.
 */
static inline int bind_text(sqlite3_stmt *st, int index, ex_slice s)
{
    return sqlite3_bind_text(st, index, s.ptr ? s.ptr : "", (int)s.len, SQLITE_STATIC);
}
static inline int bind_blob(sqlite3_stmt *st, int index, ex_slice s)
{
    return sqlite3_bind_blob(st, index, s.ptr ? s.ptr : "", (int)s.len, SQLITE_STATIC);
}
static inline int bind_u64(sqlite3_stmt *st, int index, uint64_t n)
{
    return sqlite3_bind_int64(st, index, (sqlite3_int64)n);
}
/** The bytes of a text or blob column; NULL gives the empty slice. */
static inline ex_slice column_bytes(sqlite3_stmt *st, int column)
{
    const void *ptr = sqlite3_column_blob(st, column); /* before _bytes: it may convert */
    return ex_slice_of(ptr, (size_t)sqlite3_column_bytes(st, column));
}
static inline uint64_t column_u64(sqlite3_stmt *st, int column)
{
    return (uint64_t)sqlite3_column_int64(st, column);
}

#endif
