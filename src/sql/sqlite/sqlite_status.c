/* sqlite_status.c: see sqlite_status.h. */
#include "sql/sqlite/sqlite_status.h"

ex_status ex_sqlite_status(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_NOMEM:
        return EX_ENOMEM;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return EX_ECORRUPT;
    case SQLITE_READONLY:
        return EX_EREADONLY;
    case SQLITE_IOERR:
        return rc == SQLITE_IOERR_NOMEM ? EX_ENOMEM : EX_ESTORAGE;
    case SQLITE_FULL:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_CANTOPEN:
    case SQLITE_PROTOCOL:
    case SQLITE_INTERRUPT:
    case SQLITE_PERM:
        return EX_ESTORAGE;
    default:
        return EX_EDATABASE;
    }
}

ex_status ex_sqlite_raise(sqlite3 *handle, int rc, const char *doing, ex_error *err)
{
    /* the connection knows more, unless it has moved on since */
    bool is_last = handle && (sqlite3_extended_errcode(handle) & 0xff) == (rc & 0xff);
    int extended = is_last ? sqlite3_extended_errcode(handle) : rc;
    const char *text = is_last ? sqlite3_errmsg(handle) : sqlite3_errstr(rc);
    return ex_raise(err, ex_sqlite_status(extended), "%s: %s (SQLite %d)", doing, text, extended);
}
