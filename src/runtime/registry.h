/* registry.h: an application's names, checked at start and looked up per call. */
#ifndef EXCORE_RUNTIME_REGISTRY_H
#define EXCORE_RUNTIME_REGISTRY_H

#include <excore/app.h>

/** Check the whole application: names, duplicates, type tables. @return EX_OK, EX_EINVAL,
 * EX_EEXISTS */
EX_NODISCARD ex_status registry_check(const ex_app *app, ex_error *err);

/** Check one aggregate's tables. @return EX_OK, EX_EINVAL, EX_EEXISTS */
EX_NODISCARD ex_status registry_check_aggregate(const ex_aggregate *aggregate, ex_error *err);

/** EX_ENOTFOUND with code UNKNOWN_CONTEXT, UNKNOWN_AGGREGATE, UNKNOWN_COMMAND or UNKNOWN_QUERY. */
EX_NODISCARD ex_status registry_find_command(const ex_app *app, ex_slice context,
                                             ex_slice aggregate, ex_slice command,
                                             const ex_aggregate **ret_aggregate,
                                             const ex_command_def **ret_command, ex_error *err);
EX_NODISCARD ex_status registry_find_query(const ex_app *app, ex_slice context, ex_slice query,
                                           const ex_query_def **ret, ex_error *err);
/** The aggregate's event of that type name, or NULL. */
const ex_event_def *registry_find_event(const ex_aggregate *aggregate, ex_slice type);
/** True when the aggregate declares that it ignores events of that type name. */
bool registry_ignores(const ex_aggregate *aggregate, ex_slice type);
/** The aggregate in whose streams a stream of that name would be, or NULL. */
const ex_aggregate *registry_find_aggregate(const ex_app *app, ex_slice stream);

#endif
