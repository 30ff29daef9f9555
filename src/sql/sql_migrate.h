/* sql_migrate.h: numbered changes of a schema, each applied once (R-02-17, R-02-18).
 *
 *     excore_migrations (version, name, checksum, applied_at)     one row for each that was applied
 *
 * Each runs in one transaction with its row. One process migrates at a time: on PostgreSQL under an
 * advisory lock, on SQLite under the write lock; another waits and finds nothing left to do. */
#ifndef EXCORE_SQL_SQL_MIGRATE_H
#define EXCORE_SQL_SQL_MIGRATE_H

#include "sql/sql.h"

#include <excore/clock.h>

#define EX_SQL_MIGRATIONS_TABLE "excore_migrations"

typedef struct ex_sql_migration {
    uint32_t version; /* one more than the one before; the first as it likes */
    const char *name;
    const char *sqlite;   /* one or more statements; never changed once released */
    const char *postgres; /* NULL: the same text */
} ex_sql_migration;

typedef struct ex_sql_migrations {
    const ex_sql_migration *list;
    uint32_t count;
    const ex_clock *clock; /* for applied_at */
    /* Called after each one that was applied. Nullable. */
    void (*on_applied)(void *ctx, const ex_sql_migration *m);
    void *ctx;
} ex_sql_migrations;

/** Apply what is missing. On PostgreSQL the connection's schema is created when it is not there.
 *  @return EX_OK; EX_EFORMAT (the database is newer, an applied one has changed, a gap: the message
 *          names it); a failure of the statement, with the migration's name before it; nothing of
 *          the failed one stays. EX_EAGAIN or EX_ETIMEOUT: another process
 *          held the lock past the time-out. The time-out is the connection's: give it a long one.
 */
EX_NODISCARD ex_status ex_sql_migrate(ex_sql *db, const ex_sql_migrations *m, ex_error *err);
/** Within a transaction: until it ends nobody else migrates. For those who want to look first, or
 *  all migrations or none; ex_sql_migrate takes the same lock. Blocking: while another has it. */
EX_NODISCARD ex_status ex_sql_migrate_lock(ex_sql *db, ex_error *err);
/** How many are missing, without changing anything; checks the applied ones as ex_sql_migrate does.
 */
EX_NODISCARD ex_status ex_sql_migrations_missing(ex_sql *db, const ex_sql_migrations *m,
                                                 uint32_t *ret, ex_error *err);

#endif
