/* view_parked.c: events that a view could not apply, kept aside in views.db so that it goes on.
 *
 * A row is written in the transaction that moves the checkpoint over the event,
 * and goes when the view is rebuilt, which tries the event again. The event
 * itself is in the log, at its position. */
#include "runtime/views.h"

#include <excore/clock.h>

ex_status view_parked_put(views *v, const ex_view_def *def, const ex_event *event,
                          uint32_t attempts, const char *reason, ex_error *err)
{
    sqlite3_stmt *st = NULL;
    ex_status status = ex_db_statement(
        &v->writer,
        EX_S("INSERT INTO excore_parked (view, position, stream, type, reason, attempts, parked_at)"
             " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"),
        &st, err);
    if (status)
        return status;
    /* binding static bytes and numbers cannot fail */
    (void)sqlite3_bind_text(st, 1, def->name, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(st, 2, (sqlite3_int64)event->position);
    (void)sqlite3_bind_text(st, 3, event->stream.ptr, (int)event->stream.len, SQLITE_STATIC);
    (void)sqlite3_bind_text(st, 4, event->type.ptr, (int)event->type.len, SQLITE_STATIC);
    (void)sqlite3_bind_text(st, 5, reason, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(st, 6, attempts);
    (void)sqlite3_bind_int64(st, 7, ex_now_us(v->rt->clock));
    return ex_db_run(&v->writer, st, err);
}

ex_status view_parked_forget(views *v, const ex_view_def *def, ex_error *err)
{
    sqlite3_stmt *st = NULL;
    ex_status status =
        ex_db_statement(&v->writer, EX_S("DELETE FROM excore_parked WHERE view = ?1"), &st, err);
    if (status)
        return status;
    (void)sqlite3_bind_text(st, 1, def->name, -1, SQLITE_STATIC); /* cannot fail: static */
    return ex_db_run(&v->writer, st, err);
}

ex_status view_parked_count(views *v, const ex_view_def *def, uint64_t *ret, ex_error *err)
{
    sqlite3_stmt *st = NULL;
    ex_status status = ex_db_statement(
        &v->writer, EX_S("SELECT count(*) FROM excore_parked WHERE view = ?1"), &st, err);
    if (status)
        return status;
    (void)sqlite3_bind_text(st, 1, def->name, -1, SQLITE_STATIC); /* cannot fail: static */
    status = ex_db_step(&v->writer, st, err);
    if (status == EX_OK) {
        *ret = (uint64_t)sqlite3_column_int64(st, 0);
        (void)sqlite3_reset(st); /* a read: its failure was told by step */
    }
    return status;
}

/* ---- The list ---- */

static ex_slice column_text(sqlite3_stmt *st, int column)
{
    return ex_slice_of(sqlite3_column_text(st, column), (size_t)sqlite3_column_bytes(st, column));
}

static ex_status list(ex_db *db, const char *view, uint64_t after, uint32_t limit, ex_parked_fn *fn,
                      void *ctx, ex_error *err)
{
    sqlite3_stmt *st = NULL;
    ex_status status =
        ex_db_statement(db,
                        EX_S("SELECT position, stream, type, reason, attempts, parked_at"
                             " FROM excore_parked WHERE view = ?1 AND position > ?2"
                             " ORDER BY position LIMIT ?3"),
                        &st, err);
    if (status)
        return status;
    (void)sqlite3_bind_text(st, 1, view, -1, SQLITE_STATIC); /* cannot fail: static */
    (void)sqlite3_bind_int64(st, 2, after > INT64_MAX ? INT64_MAX : (sqlite3_int64)after);
    (void)sqlite3_bind_int64(st, 3, limit);
    while ((status = ex_db_step(db, st, err)) == EX_OK) {
        ex_parked_event parked = {
            .position = (uint64_t)sqlite3_column_int64(st, 0),
            .stream = column_text(st, 1),
            .type = column_text(st, 2),
            .reason = column_text(st, 3),
            .attempts = (uint32_t)sqlite3_column_int64(st, 4),
            .parked_at_us = sqlite3_column_int64(st, 5),
        };
        fn(ctx, &parked);
    }
    return status == EX_EEND ? EX_OK : status;
}

ex_status ex_runtime_view_parked(ex_runtime *rt, const char *view, uint64_t after, uint32_t limit,
                                 ex_parked_fn *fn, void *ctx, ex_error *err)
{
    view_runner *r = NULL;
    ex_db *db = NULL;
    ex_status st = views_find_name(rt->views, view, &r, err);
    st = st ? st : views_lock_reader(rt->views, &db, err);
    if (st)
        return st;
    st = list(db, r->def->name, after, limit, fn, ctx, err);
    views_unlock_reader(rt->views, db);
    return st;
}
