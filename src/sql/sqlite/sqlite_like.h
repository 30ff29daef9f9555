/* sqlite_like.h: LIKE as PostgreSQL has it, on a connection to SQLite. */
#ifndef EXCORE_SQL_SQLITE_SQLITE_LIKE_H
#define EXCORE_SQL_SQLITE_SQLITE_LIKE_H

#include <excore/error.h>
#include <sqlite3.h>

/** SQLite's own LIKE takes A for a, and has no escape character unless one is given. From here on
 *  case counts, and \ is the escape character: `x LIKE '100\%'`. An index is not used, as it was
 * not before. @return EX_OK, EX_EDATABASE, EX_ENOMEM */
EX_NODISCARD ex_status sqlite_like_register(sqlite3 *handle, ex_error *err);

#endif
