/* view_retry.c: parked events are applied again when somebody asks for it (view_settle.h).
 *
 * The event is read from the log and applied in a transaction of its own, now: after all that the
 * view has applied meanwhile. The checkpoint stays where it is. When it works the event is no
 * longer parked, in the same transaction, so it counts once; when it fails it is parked as before,
 * with the new reason. */
#include "runtime/view_settle.h"
#include "runtime/views.h"

#include <excore/clock.h>

static bool is_due(view_runner *r)
{
    uint64_t now_ns = ex_monotonic_ns(ex_clock_system());
    bool is_time = r->looked_ns == 0 || now_ns - r->looked_ns >= PARKED_LOOK_MS * UINT64_C(1000000);
    pthread_mutex_lock(&r->mu);
    bool is_called = r->wants_look;
    r->wants_look = false; /* before looking: what is asked from now on is seen next time */
    pthread_mutex_unlock(&r->mu);
    if (!is_called && (r->parked.all == 0 || !is_time))
        return false;
    r->looked_ns = now_ns;
    return true;
}

/* ---- One event ---- */

typedef struct attempt {
    bool is_applied;
    ex_error why; /* it is not */
} attempt;

/* In a savepoint. A failure of the connection is returned, any other is the attempt's. */
static ex_status try_event(view_runner *r, ex_sql *db, const ex_event *event, attempt *a,
                           ex_error *err)
{
    bool fits = true;
    ex_sql_tx tx;
    ex_view_tx view = {.db = db,
                       .def = r->def,
                       .arena = &r->arena,
                       .texts = &r->texts,
                       .rows = r->views->engine == EX_SQL_POSTGRES ? &r->rows : NULL};
    ex_status st = ex_sql_begin(db, EX_SQL_WRITE, &tx, err);
    if (st)
        return st;
    view_rows_forget(&r->rows);
    ex_status failure = view_apply_event(r, &view, event, NULL, &fits);
    failure = failure || !view.rows ? failure : view_rows_write(&view);
    failure = failure ? failure : ex_sql_flush(db, &view.error);
    view_rows_forget(&r->rows);
    a->is_applied = failure == EX_OK;
    a->why = view.error;
    if (a->is_applied)
        return ex_sql_commit(&tx, err);
    if (ex_sql_is_broken(db)) {
        *err = view.error;
        return failure;
    }
    return ex_sql_rollback(&tx, err);
}

/* The event's bytes are the cursor's. */
static ex_status read_and_try(view_runner *r, ex_sql *db, uint64_t position, attempt *a,
                              ex_error *err)
{
    ex_cursor *cursor = NULL;
    ex_event event;
    const ex_read_log read = {.after = position - 1, .limit = 1};
    ex_status st = ex_store_read_log(r->rt->store, &read, &cursor, err);
    st = st ? st : ex_cursor_next(cursor, &event, err);
    if (st == EX_EEND || (!st && event.position != position)) {
        (void)ex_raise(&a->why, EX_ENOTFOUND, "the log has no event at this position");
        st = EX_OK;
    } else if (!st) {
        st = try_event(r, db, &event, a, err);
    }
    ex_cursor_close(cursor);
    return st;
}

static ex_status retry(view_runner *r, ex_sql *db, uint64_t position, ex_error *err)
{
    attempt a = {0};
    ex_sql_tx tx;
    ex_status st = view_begin(r, db, &tx, err);
    if (st)
        return st;
    st = view_store_lock(db, r->def, r->stored_position, err);
    if (st)
        r->retry_at_once = st == EX_EAGAIN && !ex_sql_is_broken(db);
    st = st ? st : read_and_try(r, db, position, &a, err);
    if (!st && a.is_applied)
        st = view_settle_applied(db, r->def->name, position, err);
    else if (!st)
        st = view_settle_failed(db, r->rt->clock, r->def->name, position, a.why.message, err);
    st = ex_sql_end(&tx, st, err);
    if (!st && !a.is_applied)
        runtime_report(r->rt, "parked event fails again", r->def->name, &a.why);
    return st;
}

/* ---- All that is asked for ---- */

static ex_status look(view_runner *r, ex_sql *db, ex_error *err)
{
    uint64_t position = 0;
    ex_status st = view_settle_next(db, r->def->name, &position, err);
    while (!st && position) {
        st = retry(r, db, position, err);
        st = st ? st : view_settle_next(db, r->def->name, &position, err);
    }
    return st ? st : view_parked_count(db, r->def, &r->parked, err);
}

ex_status view_retry_asked(view_runner *r, ex_error *err)
{
    ex_sql *db = NULL;
    if (!is_due(r))
        return EX_OK;
    ex_status st = ex_sql_pool_take(r->views->pool, EX_SQL_WRITE, &db, err);
    if (st)
        return st;
    st = look(r, db, err);
    ex_sql_pool_give(r->views->pool, db);
    if (st) {
        r->looked_ns = 0;
        return st;
    }
    pthread_mutex_lock(&r->mu);
    r->shown_parked = r->parked.open;
    pthread_mutex_unlock(&r->mu);
    ex_gauge_set(r->parked_gauge, (int64_t)r->parked.open);
    return EX_OK;
}
