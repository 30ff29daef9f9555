/* view_parked.c: events that a view could not apply, kept aside beside its rows so that it goes on.
 *
 * A row is written in the transaction that moves the checkpoint over the event,
 * and goes when the view is rebuilt, which tries the event again. The event
 * itself is in the log, at its position. */
#include "runtime/views.h"

#include <excore/clock.h>

ex_status view_parked_put(view_runner *r, ex_sql *db, const ex_event *event, const char *reason,
                          ex_error *err)
{
    ex_sql_stmt *st = NULL;
    ex_status status = ex_sql_prepare(
        db,
        EX_S("INSERT INTO excore_parked (view, position, stream, type, reason, attempts, parked_at)"
             " VALUES ($1, $2, $3, $4, $5, $6, $7)"),
        &st, err);
    if (status)
        return status;
    ex_sql_bind_text(st, 1, ex_str(r->def->name));
    ex_sql_bind_i64(st, 2, (int64_t)event->position);
    ex_sql_bind_text(st, 3, event->stream);
    ex_sql_bind_text(st, 4, event->type);
    ex_sql_bind_text(st, 5, ex_str(reason));
    ex_sql_bind_i64(st, 6, r->attempts);
    ex_sql_bind_i64(st, 7, ex_now_us(r->rt->clock));
    return ex_sql_run(st, err);
}

ex_status view_parked_forget(ex_sql *db, const ex_view_def *def, ex_error *err)
{
    ex_sql_stmt *st = NULL;
    ex_status status =
        ex_sql_prepare(db, EX_S("DELETE FROM excore_parked WHERE view = $1"), &st, err);
    if (status)
        return status;
    ex_sql_bind_text(st, 1, ex_str(def->name));
    return ex_sql_run(st, err);
}

ex_status view_parked_count(ex_sql *db, const ex_view_def *def, uint64_t *ret, ex_error *err)
{
    ex_sql_stmt *st = NULL;
    ex_status status =
        ex_sql_prepare(db, EX_S("SELECT count(*) FROM excore_parked WHERE view = $1"), &st, err);
    if (status)
        return status;
    ex_sql_bind_text(st, 1, ex_str(def->name));
    status = ex_sql_step(st, err);
    if (status == EX_OK)
        *ret = (uint64_t)ex_sql_i64(st, 0);
    ex_sql_reset(st);
    return status;
}

/* ---- The list ---- */

static ex_status list(ex_sql *db, const char *view, uint64_t after, uint32_t limit,
                      ex_parked_fn *fn, void *ctx, ex_error *err)
{
    ex_sql_stmt *st = NULL;
    ex_status status =
        ex_sql_prepare(db,
                       EX_S("SELECT position, stream, type, reason, attempts, parked_at"
                            " FROM excore_parked WHERE view = $1 AND position > $2"
                            " ORDER BY position LIMIT $3"),
                       &st, err);
    if (status)
        return status;
    ex_sql_bind_text(st, 1, ex_str(view));
    ex_sql_bind_i64(st, 2, after > INT64_MAX ? INT64_MAX : (int64_t)after);
    ex_sql_bind_i64(st, 3, limit);
    while ((status = ex_sql_step(st, err)) == EX_OK) {
        ex_parked_event parked = {
            .position = (uint64_t)ex_sql_i64(st, 0),
            .stream = ex_sql_bytes(st, 1),
            .type = ex_sql_bytes(st, 2),
            .reason = ex_sql_bytes(st, 3),
            .attempts = (uint32_t)ex_sql_i64(st, 4),
            .parked_at_us = ex_sql_i64(st, 5),
        };
        fn(ctx, &parked);
    }
    return status == EX_EEND ? EX_OK : status;
}

ex_status ex_runtime_view_parked(ex_runtime *rt, const char *view, uint64_t after, uint32_t limit,
                                 ex_parked_fn *fn, void *ctx, ex_error *err)
{
    view_runner *r = NULL;
    ex_sql *db = NULL;
    ex_status st = runtime_enter(rt, err);
    if (st)
        return st;
    st = views_find_name(rt->views, view, &r, err);
    st = st ? st : ex_sql_pool_take(rt->views->pool, EX_SQL_READ, &db, err);
    if (!st) {
        st = list(db, r->def->name, after, limit, fn, ctx, err);
        ex_sql_pool_give(rt->views->pool, db);
    }
    runtime_leave(rt);
    return st;
}
