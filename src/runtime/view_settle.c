/* view_settle.c: see view_settle.h. */
#include "runtime/view_settle.h"

#include "kernel/deadline.h"
#include "kernel/utf8.h"
#include "runtime/views.h"

#include <time.h>

static const char *const state_names[] = {
    [EX_PARKED_OPEN] = "parked", [EX_PARKED_RETRY] = "retry", [EX_PARKED_SKIPPED] = "skipped"};

const char *view_settle_state_name(ex_parked_state state)
{
    return state_names[state];
}

static ex_parked_state state_of(ex_slice name)
{
    ex_parked_state state = EX_PARKED_OPEN;
    for (int i = 0; i < (int)(sizeof(state_names) / sizeof(state_names[0])); i++)
        state = ex_slice_is(name, state_names[i]) ? (ex_parked_state)i : state;
    return state;
}

static int64_t as_i64(uint64_t n)
{
    return n > INT64_MAX ? INT64_MAX : (int64_t)n;
}

/* ---- What people write ---- */

static ex_status check_text(ex_slice text, size_t max, const char *name, ex_error *err)
{
    ex_status st = EX_OK;
    if (text.len > max)
        st = ex_raise(err, EX_EINVAL, "%s has more than %zu bytes", name, max);
    else if (!ex_utf8_is_valid(text) || (text.len && memchr(text.ptr, '\0', text.len)))
        st = ex_raise(err, EX_EINVAL, "%s is not valid UTF-8, or has the character U+0000", name);
    if (st)
        ex_error_set_field(err, ex_str(name));
    return st;
}

static ex_status raise_not_parked(const char *view, uint64_t position, ex_error *err)
{
    return ex_raise(err, EX_ENOTFOUND, "view '%s' has no parked event at position %llu", view,
                    (unsigned long long)position);
}

/* ---- Requests ---- */

ex_status view_settle_retry(ex_sql *db, const ex_clock *clock, const char *view, uint64_t position,
                            ex_slice by, uint64_t *ret_asked, int64_t *ret_stamp, ex_error *err)
{
    ex_sql_stmt *st = NULL;
    int64_t stamp = ex_now_us(clock);
    ex_status status = check_text(by, VIEW_SETTLE_BY_MAX, "by", err);
    status = status ? status
                    : ex_sql_prepare(db,
                                     position ? EX_S("UPDATE excore_parked SET state = 'retry',"
                                                     " settled_by = $1, settled_at = $2, note = ''"
                                                     " WHERE view = $3 AND position = $4")
                                              : EX_S("UPDATE excore_parked SET state = 'retry',"
                                                     " settled_by = $1, settled_at = $2, note = ''"
                                                     " WHERE view = $3 AND state = 'parked'"),
                                     &st, err);
    if (status)
        return status;
    ex_sql_bind_text(st, 1, by);
    ex_sql_bind_i64(st, 2, stamp);
    ex_sql_bind_text(st, 3, ex_str(view));
    if (position)
        ex_sql_bind_i64(st, 4, as_i64(position));
    status = ex_sql_run(st, err);
    if (status)
        return status;
    *ret_asked = ex_sql_affected(st);
    *ret_stamp = stamp;
    return position && *ret_asked == 0 ? raise_not_parked(view, position, err) : EX_OK;
}

ex_status view_settle_look(ex_sql *db, const char *view, int64_t stamp, uint64_t asked,
                           ex_view_retried *ret, ex_error *err)
{
    ex_sql_stmt *st = NULL;
    ex_status status = ex_sql_prepare(
        db,
        EX_S("SELECT coalesce(sum(CASE WHEN state = 'retry' THEN 1 ELSE 0 END), 0), count(*)"
             " FROM excore_parked WHERE view = $1 AND settled_at = $2"),
        &st, err);
    if (status)
        return status;
    ex_sql_bind_text(st, 1, ex_str(view));
    ex_sql_bind_i64(st, 2, stamp);
    status = ex_sql_step(st, err);
    if (status == EX_OK) {
        uint64_t waiting = (uint64_t)ex_sql_i64(st, 0), left = (uint64_t)ex_sql_i64(st, 1);
        *ret = (ex_view_retried){.asked = asked,
                                 .waiting = waiting,
                                 .parked_again = left - waiting,
                                 .applied = asked > left ? asked - left : 0};
    }
    ex_sql_reset(st);
    return status;
}

ex_status view_settle_skip(ex_sql *db, const ex_clock *clock, const char *view, uint64_t position,
                           ex_slice by, ex_slice reason, ex_error *err)
{
    ex_sql_stmt *st = NULL;
    ex_status status = check_text(by, VIEW_SETTLE_BY_MAX, "by", err);
    status = status ? status : check_text(reason, VIEW_SETTLE_NOTE_MAX, "reason", err);
    if (!status && reason.len == 0) {
        status = ex_raise(err, EX_EINVAL, "an event is skipped for a reason");
        ex_error_set_field(err, EX_S("reason"));
    }
    status = status ? status
                    : ex_sql_prepare(db,
                                     EX_S("UPDATE excore_parked SET state = 'skipped',"
                                          " settled_by = $1, settled_at = $2, note = $3"
                                          " WHERE view = $4 AND position = $5"),
                                     &st, err);
    if (status)
        return status;
    ex_sql_bind_text(st, 1, by);
    ex_sql_bind_i64(st, 2, ex_now_us(clock));
    ex_sql_bind_text(st, 3, reason);
    ex_sql_bind_text(st, 4, ex_str(view));
    ex_sql_bind_i64(st, 5, as_i64(position));
    status = ex_sql_run(st, err);
    return status || ex_sql_affected(st) ? status : raise_not_parked(view, position, err);
}

/* ---- The list ---- */

static ex_status prepare_list(ex_sql *db, ex_sql_stmt **ret, ex_error *err)
{
    bool is_older = false; /* nobody could settle anything there */
    ex_status st = view_store_is_older(db, &is_older, err);
    if (st)
        return st;
    return ex_sql_prepare(
        db,
        is_older ? EX_S("SELECT position, stream, type, reason, attempts, parked_at, 'parked', '',"
                        " '', 0 FROM excore_parked WHERE view = $1 AND position > $2"
                        " ORDER BY position LIMIT $3")
                 : EX_S("SELECT position, stream, type, reason, attempts, parked_at, state,"
                        " settled_by, note, settled_at FROM excore_parked"
                        " WHERE view = $1 AND position > $2 ORDER BY position LIMIT $3"),
        ret, err);
}

ex_status view_settle_list(ex_sql *db, const char *view, uint64_t after, uint32_t limit,
                           ex_parked_fn *fn, void *ctx, ex_error *err)
{
    ex_sql_stmt *st = NULL;
    ex_status status = prepare_list(db, &st, err);
    if (status)
        return status;
    ex_sql_bind_text(st, 1, ex_str(view));
    ex_sql_bind_i64(st, 2, as_i64(after));
    ex_sql_bind_i64(st, 3, limit);
    while ((status = ex_sql_step(st, err)) == EX_OK) {
        ex_parked_event parked = {
            .position = (uint64_t)ex_sql_i64(st, 0),
            .stream = ex_sql_bytes(st, 1),
            .type = ex_sql_bytes(st, 2),
            .reason = ex_sql_bytes(st, 3),
            .attempts = (uint32_t)ex_sql_i64(st, 4),
            .parked_at_us = ex_sql_i64(st, 5),
            .state = state_of(ex_sql_bytes(st, 6)),
            .settled_by = ex_sql_bytes(st, 7),
            .note = ex_sql_bytes(st, 8),
            .settled_at_us = ex_sql_i64(st, 9),
        };
        fn(ctx, &parked);
    }
    return status == EX_EEND ? EX_OK : status;
}

/* ---- For the runner ---- */

ex_status view_settle_next(ex_sql *db, const char *view, uint64_t *ret, ex_error *err)
{
    ex_sql_stmt *st = NULL;
    ex_status status = ex_sql_prepare(db,
                                      EX_S("SELECT position FROM excore_parked WHERE view = $1 AND"
                                           " state = 'retry' ORDER BY position LIMIT 1"),
                                      &st, err);
    if (status)
        return status;
    ex_sql_bind_text(st, 1, ex_str(view));
    status = ex_sql_step(st, err);
    *ret = status == EX_OK ? (uint64_t)ex_sql_i64(st, 0) : 0;
    ex_sql_reset(st);
    return status == EX_EEND ? EX_OK : status;
}

ex_status view_settle_applied(ex_sql *db, const char *view, uint64_t position, ex_error *err)
{
    ex_sql_stmt *st = NULL;
    ex_status status = ex_sql_prepare(
        db, EX_S("DELETE FROM excore_parked WHERE view = $1 AND position = $2"), &st, err);
    if (status)
        return status;
    ex_sql_bind_text(st, 1, ex_str(view));
    ex_sql_bind_i64(st, 2, as_i64(position));
    return ex_sql_run(st, err);
}

ex_status view_settle_failed(ex_sql *db, const ex_clock *clock, const char *view, uint64_t position,
                             const char *reason, ex_error *err)
{
    ex_sql_stmt *st = NULL;
    ex_status status = ex_sql_prepare(
        db,
        EX_S("UPDATE excore_parked SET state = 'parked', reason = $1, attempts = attempts + 1,"
             " parked_at = $2 WHERE view = $3 AND position = $4 AND state = 'retry'"),
        &st, err);
    if (status)
        return status;
    ex_sql_bind_text(st, 1, ex_str(reason));
    ex_sql_bind_i64(st, 2, ex_now_us(clock));
    ex_sql_bind_text(st, 3, ex_str(view));
    ex_sql_bind_i64(st, 4, as_i64(position));
    return ex_sql_run(st, err);
}

/* ---- The runtime's ---- */

#define LOOK_EVERY_NS (20 * 1000000L)

/* The runner of this node looks at once; that of another one within a second. */
static void call_runner(view_runner *r)
{
    pthread_mutex_lock(&r->mu);
    r->wants_look = true;
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->mu);
}

static ex_status take(ex_runtime *rt, const char *view, ex_sql_mode mode, view_runner **ret_runner,
                      ex_sql **ret, ex_error *err)
{
    ex_status st = runtime_enter(rt, err);
    if (st)
        return st;
    st = views_find_name(rt->views, view, ret_runner, err);
    st = st ? st : ex_sql_pool_take(rt->views->pool, mode, ret, err);
    if (st)
        runtime_leave(rt);
    return st;
}

static void give(ex_runtime *rt, ex_sql *db)
{
    ex_sql_pool_give(rt->views->pool, db);
    runtime_leave(rt);
}

ex_status ex_runtime_view_parked(ex_runtime *rt, const char *view, uint64_t after, uint32_t limit,
                                 ex_parked_fn *fn, void *ctx, ex_error *err)
{
    view_runner *r = NULL;
    ex_sql *db = NULL;
    ex_status st = take(rt, view, EX_SQL_READ, &r, &db, err);
    if (st)
        return st;
    st = view_settle_list(db, r->def->name, after, limit, fn, ctx, err);
    give(rt, db);
    return st;
}

static ex_status look(ex_runtime *rt, const char *view, int64_t stamp, ex_view_retried *ret,
                      ex_error *err)
{
    view_runner *r = NULL;
    ex_sql *db = NULL;
    ex_status st = take(rt, view, EX_SQL_READ, &r, &db, err);
    if (st)
        return st;
    st = view_settle_look(db, view, stamp, ret->asked, ret, err);
    give(rt, db);
    return st;
}

ex_status ex_runtime_view_retry(ex_runtime *rt, const char *view, uint64_t position, ex_slice by,
                                uint32_t timeout_ms, ex_view_retried *ret, ex_error *err)
{
    static const struct timespec pause = {0, LOOK_EVERY_NS};
    view_runner *r = NULL;
    ex_sql *db = NULL;
    int64_t stamp = 0;
    ex_view_retried result = {0};
    ex_status st = take(rt, view, EX_SQL_WRITE, &r, &db, err);
    if (st)
        return st;
    st = view_settle_retry(db, rt->clock, view, position, by, &result.asked, &stamp, err);
    call_runner(r);
    give(rt, db);
    uint64_t until_ns = ex_monotonic_ns(ex_clock_system()) + timeout_ms * UINT64_C(1000000);
    for (st = st ? st : look(rt, view, stamp, &result, err);
         !st && result.waiting && ex_monotonic_ns(ex_clock_system()) < until_ns;
         st = look(rt, view, stamp, &result, err))
        (void)nanosleep(&pause, NULL); /* woken early is fine */
    if (!st)
        *ret = result;
    return st;
}

static void report_skip(ex_runtime *rt, const char *view, uint64_t position, ex_slice by,
                        ex_slice reason)
{
    ex_error what;
    (void)ex_raise(&what, EX_ESTATE, "position %llu by %.*s: %.*s", (unsigned long long)position,
                   EX_ARG(by), EX_ARG(reason));
    runtime_report(rt, "parked event is skipped", view, &what);
}

ex_status ex_runtime_view_skip(ex_runtime *rt, const char *view, uint64_t position, ex_slice by,
                               ex_slice reason, ex_error *err)
{
    view_runner *r = NULL;
    ex_sql *db = NULL;
    ex_status st = take(rt, view, EX_SQL_WRITE, &r, &db, err);
    if (st)
        return st;
    st = view_settle_skip(db, rt->clock, view, position, by, reason, err);
    if (!st)
        report_skip(rt, r->def->name, position, by, reason);
    call_runner(r);
    give(rt, db);
    return st;
}
