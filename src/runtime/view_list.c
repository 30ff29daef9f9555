/* view_list.c: reads the table of checkpoints (view_store.c) of views that others may write. */
#include "runtime/view_list.h"

#include <limits.h>
#include <unistd.h>

#include "runtime/views.h"

static ex_status read_list(ex_sql *db, view_list_fn *fn, void *ctx, ex_error *err)
{
    ex_sql_stmt *st = NULL;
    bool is_there = false, is_older = false;
    ex_status status = ex_sql_has_table(db, "excore_views", &is_there, err);
    if (status || !is_there)
        return status;
    status = view_store_is_older(db, &is_older, err);
    status = status ? status
                    : ex_sql_prepare(db,
                                     is_older ? EX_S("SELECT view, position, (SELECT count(*) FROM "
                                                     "excore_parked AS p WHERE p.view = v.view)"
                                                     " FROM excore_views AS v ORDER BY view")
                                              : EX_S("SELECT view, position, (SELECT count(*) FROM "
                                                     "excore_parked AS p WHERE p.view = v.view AND "
                                                     "p.state <> 'skipped')"
                                                     " FROM excore_views AS v ORDER BY view"),
                                     &st, err);
    while (status == EX_OK) {
        status = ex_sql_step(st, err);
        if (status == EX_OK) {
            const view_list_entry view = {ex_sql_bytes(st, 0), (uint64_t)ex_sql_i64(st, 1),
                                          (uint64_t)ex_sql_i64(st, 2)};
            fn(ctx, &view);
        }
    }
    return status == EX_EEND ? EX_OK : status;
}

ex_status view_list_read(const char *dir, view_list_fn *fn, void *ctx, ex_error *err)
{
    char path[PATH_MAX];
    ex_sql *db = NULL;
    ex_sql_options options = {.is_read_only = true};
    ex_status st = view_store_place(dir, path, &options, err);
    if (st)
        return st;
    bool is_server = ex_sql_is_server(path);
    if (!is_server && access(path, F_OK) != 0)
        return EX_OK;
    st = ex_sql_open(&options, &db, err);
    st = st ? st : read_list(db, fn, ctx, err);
    ex_sql_close(db);
    return st && !is_server ? ex_error_context(err, st, "'%s'", path) : st;
}
