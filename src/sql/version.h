/* version.h: the version of SQLite, for those who may not include sqlite3.h. */
#ifndef EXCORE_SQL_VERSION_H
#define EXCORE_SQL_VERSION_H

/** "3.40.1", static. */
const char *sql_sqlite_version(void);

#endif
