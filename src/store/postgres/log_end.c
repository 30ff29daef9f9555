/* log_end.c: the last event of the log that this node knows.
 *
 * The head says how long a log is, not whose it is. So the node remembers its
 * last event, and every new session of the writer looks for it (log_epoch.c). */
#include "store/postgres/event_row.h"
#include "store/postgres/postgres_driver.h"

static void remember(pg_log_end *end, uint64_t position, const ex_id *id, int64_t recorded_at_us)
{
    *end = (pg_log_end){position, {*id, recorded_at_us}};
}

/* A round trip: the node was just opened, or others appended more than it was told. */
static ex_status ask_for_end(postgres_driver *d, uint64_t head, ex_error *err)
{
    ex_pg_result r = {0};
    ex_event last;
    ex_pg_put_i64(&d->args, (int64_t)head);
    ex_pg_put_i64(&d->args, (int64_t)head);
    ex_pg_put_i64(&d->args, 1);
    ex_pg_put_i64(&d->args, 1);
    ex_status st = pg_queue(d, PG_LOG_CHUNK, err);
    if (st == EX_OK)
        st = pg_settle(d, err);
    if (st == EX_OK)
        st = ex_pg_recv(d->writer, &r, err);
    if (st == EX_OK && r.rows != 1)
        st = ex_raise(err, EX_ECORRUPT, "event %llu is missing in the log",
                      (unsigned long long)head);
    if (st == EX_OK)
        st = pg_event_read(&r, 0, &last, NULL, err);
    if (st == EX_OK)
        remember(&d->end, head, &last.id, last.recorded_at_us);
    ex_pg_result_free(&r);
    return st;
}

ex_status pg_log_end_learn(postgres_driver *d, uint64_t head, ex_error *err)
{
    const pg_news *n = &d->news;
    if (head < d->known || head == d->end.position) /* behind: log_epoch.c looks */
        return EX_OK;
    if (n->count == 0 || d->known + n->count != head)
        return ask_for_end(d, head, err);
    const ex_event *last = &n->events[n->count - 1];
    remember(&d->end, head, &last->id, last->recorded_at_us);
    return EX_OK;
}

void pg_log_end_committed(postgres_driver *d)
{
    const pg_written *w = &d->written;
    if (w->count)
        remember(&d->end, w->first + w->count - 1, &w->events[w->count - 1].id,
                 w->events[w->count - 1].recorded_at_us);
}
