/* view_parked.c: events that a view could not apply, kept aside beside its rows so that it goes on.
 *
 * A row is written in the transaction that moves the checkpoint over the event,
 * and goes when the view is rebuilt, which tries the event again, or when a retry
 * succeeds (view_retry.c). One that was skipped stays, so that it is not asked about
 * again. The event itself is in the log, at its position. */
#include "runtime/views.h"

#include <excore/clock.h>

ex_status view_parked_put(view_runner *r, ex_sql *db, const ex_event *event, const char *reason,
                          ex_error *err)
{
    ex_sql_stmt *st = NULL;
    ex_status status = ex_sql_prepare(
        db,
        EX_S("INSERT INTO excore_parked (view, position, stream, type, reason, attempts, parked_at)"
             " VALUES ($1, $2, $3, $4, $5, $6, $7)"
             " ON CONFLICT (view, position) DO UPDATE SET stream = excluded.stream,"
             " type = excluded.type, reason = excluded.reason, attempts = excluded.attempts,"
             " parked_at = excluded.parked_at"), /* it was skipped, and is after a rebuild */
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
    ex_status status = ex_sql_prepare(
        db, EX_S("DELETE FROM excore_parked WHERE view = $1 AND state <> 'skipped'"), &st, err);
    if (status)
        return status;
    ex_sql_bind_text(st, 1, ex_str(def->name));
    return ex_sql_run(st, err);
}

ex_status view_parked_count(ex_sql *db, const ex_view_def *def, view_parked_counts *ret,
                            ex_error *err)
{
    ex_sql_stmt *st = NULL;
    ex_status status = ex_sql_prepare(
        db,
        EX_S("SELECT count(*), coalesce(sum(CASE WHEN state = 'skipped' THEN 1 ELSE 0 END), 0)"
             " FROM excore_parked WHERE view = $1"),
        &st, err);
    if (status)
        return status;
    ex_sql_bind_text(st, 1, ex_str(def->name));
    status = ex_sql_step(st, err);
    if (status == EX_OK) {
        ret->all = (uint64_t)ex_sql_i64(st, 0);
        ret->open = ret->all - (uint64_t)ex_sql_i64(st, 1);
    }
    ex_sql_reset(st);
    return status;
}
