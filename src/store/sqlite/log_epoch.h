/* log_epoch.h: the id of the log in events.db and its epochs (excore/log_id.h). */
#ifndef EXCORE_STORE_SQLITE_LOG_EPOCH_H
#define EXCORE_STORE_SQLITE_LOG_EPOCH_H

#include "store/driver.h"
#include "store/features.h"
#include "store/sqlite/log_trace.h"
#include "store/sqlite/sqlite_conn.h"

/** Inside the transaction that makes the tables: an id, and the first epoch. */
EX_NODISCARD ex_status log_epoch_first(sqlite_conn *c, ex_epoch_reason reason, ex_error *err);

/** Begin to write the log: open an epoch when what stands in it may not be what somebody saw, leave
 *  the marks that the next start looks for, and tell the identity. What was recovered from a WAL is
 *  on the disk afterwards. The connection syncs each commit while this runs.
 *  @return EX_OK, EX_ESTORAGE, EX_ECORRUPT, EX_ENOMEM */
EX_NODISCARD ex_status log_epoch_begin(sqlite_conn *c, const char *path, bool is_normal,
                                       log_trace *trace, log_identity *identity, ex_error *err);
/** Everything that was committed is on the disk: say so. @return false: it is not known */
bool log_epoch_end(sqlite_conn *c);

/** Read the identity; all zero from a file of a format without one. */
EX_NODISCARD ex_status log_epoch_read(sqlite_conn *c, ex_arena *arena, store_epochs *ret,
                                      ex_error *err);
/** Inside a transaction: another log's id, and further epochs (NULL: none). */
EX_NODISCARD ex_status log_epoch_adopt(sqlite_conn *c, const store_epochs *epochs, ex_error *err);

/** The features that the file has; none in one of an older format. */
EX_NODISCARD ex_status log_features_read(sqlite_conn *c, store_features *ret, ex_error *err);

#endif
