/* app_check.c: see app_check.h. */
#include "runtime/app_check.h"

#include "runtime/registry.h"
#include "runtime/views.h"

ex_status app_check_queries(const ex_app *app, const char *place, query_fault_fn *fn, void *ctx,
                            ex_error *err)
{
    char path[PATH_MAX];
    ex_sql_options options = {0};
    ex_status st = query_check_sqlite(app, fn, ctx, err);
    if (st || !place || !ex_sql_is_server(place))
        return st;
    st = view_store_place(place, path, &options, err);
    return st ? st : query_check_postgres(app, &options, fn, ctx, err);
}

ex_status app_check(const ex_app *app, const char *place, query_fault_fn *fn, void *ctx,
                    ex_error *err)
{
    ex_error fault;
    if (registry_check(app, &fault) == EX_OK)
        return app_check_queries(app, place, fn, ctx, err);
    fn(ctx, &fault);
    return EX_OK;
}
