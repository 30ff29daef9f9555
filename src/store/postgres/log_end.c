/* log_end.c: is the log behind a new connection still the one that this node knows?
 *
 * A failover to a standby that lacked the end of the log, or a backup restored
 * under a running node, gives positions that the node knows to other events, and
 * ids of names that it knows to other names. The head tells that only as long as
 * it is behind; once others have appended past it, what the node keeps in memory
 * would be written under wrong names. So the node remembers the last event it
 * knows and looks for it on every new connection of the writer. While it is not
 * there, the node writes nothing: restarting it forgets what it knew. */
#include "store/postgres/event_row.h"
#include "store/postgres/postgres_driver.h"

static ex_status refuse(const pg_log_end *end, ex_error *err)
{
    return ex_raise(err, EX_ESTORAGE,
                    "event %llu is not the one that was committed: the database was replaced while "
                    "in use, by a failover that lost events or a restored backup; restart this "
                    "node",
                    (unsigned long long)end->position);
}

ex_status pg_log_end_prove(postgres_driver *d, ex_error *err)
{
    ex_pg_result r = {0};
    pg_log_end *end = &d->end;
    if (end->is_proven || end->position == 0)
        return EX_OK;
    pg_put_events_are(&d->args, end->position, &end->event, 1);
    ex_status st = ex_pg_run(d->writer, pg_sql(PG_EVENTS_ARE), &d->args, &r, err);
    if (st == EX_OK)
        end->is_proven = ex_pg_get_i64(&r, 0, 0) == 1;
    ex_pg_args_reset(&d->args);
    ex_pg_result_free(&r);
    return st == EX_OK && !end->is_proven ? refuse(end, err) : st;
}

static void remember(pg_log_end *end, uint64_t position, const ex_id *id, int64_t recorded_at_us)
{
    *end = (pg_log_end){position, {*id, recorded_at_us}, true};
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
    if (head < d->known || head == d->end.position) /* behind: the store refuses it */
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
