/* app_check.h: everything about an application that can be told to be wrong before it runs. */
#ifndef EXCORE_RUNTIME_APP_CHECK_H
#define EXCORE_RUNTIME_APP_CHECK_H

#include "runtime/query_check.h"

/** Check the queries of an application whose tables are sound, on SQLite, and on PostgreSQL when
 *  the place is one.
 *  @param place a directory, a postgres:// URL or NULL
 *  @return EX_OK, whatever was found; EX_EFORBIDDEN: SQLite only, the role may make no temporary
 *          tables; EX_ENOMEM, or why PostgreSQL could not be asked. Thread: any. Blocking: the
 *          network. */
EX_NODISCARD ex_status app_check_queries(const ex_app *app, const char *place, query_fault_fn *fn,
                                         void *ctx, ex_error *err);
/** The same, and before it what ex_runtime_start checks. When that is faulty no query is tried. */
EX_NODISCARD ex_status app_check(const ex_app *app, const char *place, query_fault_fn *fn,
                                 void *ctx, ex_error *err);

#endif
