/* version.c: see version.h. */
#include "sql/version.h"

#include <sqlite3.h>

const char *sql_sqlite_version(void)
{
    return sqlite3_libversion();
}
