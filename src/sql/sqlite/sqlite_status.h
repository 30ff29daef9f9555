/* sqlite_status.h: SQLite's result codes as ours, in one place. */
#ifndef EXCORE_SQL_SQLITE_SQLITE_STATUS_H
#define EXCORE_SQL_SQLITE_SQLITE_STATUS_H

#include <excore/error.h>

#include <sqlite3.h>

/** For a (possibly extended) result code that is an error. */
ex_status ex_sqlite_status(int rc);
/** Raise "doing: text (SQLite code)" with what the connection knows of its last failure.
 *  @param handle nullable @param doing "cannot …" */
ex_status ex_sqlite_raise(sqlite3 *handle, int rc, const char *doing, ex_error *err);

#endif
