/* query_check.h: an application's queries, tried on a real engine before anybody asks them.
 *
 * For each view its tables and indexes are made empty, in a database of its own (SQLite in memory)
 * or as temporary tables (PostgreSQL), and each of its queries is prepared there. What the engine
 * refuses is a fault, and so is
 *
 *     parameters   one in the SQL that is not declared, a declared one that is not in the SQL
 *     columns      one of the row type that the SELECT does not give, gives twice, or gives as
 *                  something else; more than one of a count, or one that is no whole number
 *     rows         a count that gives none, or NULL, over empty tables: it is no count(*) or sum
 *     tables       those of another view
 *
 * All of it is undone in the end. */
#ifndef EXCORE_RUNTIME_QUERY_CHECK_H
#define EXCORE_RUNTIME_QUERY_CHECK_H

#include "sql/sql.h"

#include <excore/app.h>

/** A fault in the words of the application: context, query, view. Borrowed for the call. */
typedef void query_fault_fn(void *ctx, const ex_error *fault);

/** Check the queries that are written for SQLite, or for both engines.
 *  @param app checked by registry_check
 *  @return EX_OK, whatever was found; EX_ENOMEM, EX_EDATABASE. Thread: any. Blocking: no disk. */
EX_NODISCARD ex_status query_check_sqlite(const ex_app *app, query_fault_fn *fn, void *ctx,
                                          ex_error *err);
/** The same on PostgreSQL, over a connection of its own.
 *  @param place how the views are opened
 *  @return EX_OK; EX_EFORBIDDEN: the role may make no temporary tables there, nothing was checked;
 *          a failure of the connection. Blocking: the network. */
EX_NODISCARD ex_status query_check_postgres(const ex_app *app, const ex_sql_options *place,
                                            query_fault_fn *fn, void *ctx, ex_error *err);

#endif
