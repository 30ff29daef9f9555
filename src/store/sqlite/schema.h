/* schema.h: the tables of events.db, their format version, and how an older file gets there. */
#ifndef EXCORE_STORE_SQLITE_SCHEMA_H
#define EXCORE_STORE_SQLITE_SCHEMA_H

#include "store/features.h"
#include "store/sqlite/sqlite_conn.h"

#define SCHEMA_APPLICATION_ID 0x4558434f /* "EXCO", bytes 68 to 71 of the file */
#define SCHEMA_VERSION        4          /* PRAGMA user_version */
#define SCHEMA_READABLE       3          /* from here on the log can be read as it is */
#define SCHEMA_OLDEST         3          /* 1 and 2 were those of builds before the first release */

/** Create the tables, or bring an older file up to date, in one transaction.
 *  @return EX_OK, EX_EFORMAT (newer, too old, or not a store), EX_ESTORAGE, EX_ECORRUPT */
EX_NODISCARD ex_status sqlite_schema_migrate(sqlite_conn *c, const char *path, ex_error *err);

/** The file's format, 0 for an empty file, and its features.
 *  @return EX_OK, EX_EFORMAT (newer, a feature that must be known, or not a store) */
EX_NODISCARD ex_status sqlite_schema_version(sqlite_conn *c, const char *path, uint32_t *ret,
                                             store_features *ret_features, ex_error *err);

/** Check the file's format and features without writing.
 *  @param to_write also accept what sqlite_schema_migrate makes new: a format that is too old to be
 *         read, and an empty file; but no feature that forbids writing
 *  @return EX_OK, EX_EFORMAT (names what is in the way) */
EX_NODISCARD ex_status sqlite_schema_check(sqlite_conn *c, const char *path, bool to_write,
                                           ex_error *err);

#endif
