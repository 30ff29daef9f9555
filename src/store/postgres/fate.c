/* fate.c: what became of a commit when the connection ended before its answer came.
 *
 * The events of a batch have ids, positions and a time that nobody else gives
 * them together; a batch of commands alone has their records. Either all of it
 * is in the log or nothing. The question is only put while the head is locked:
 * then the server has ended the old session's transaction, one way or the other. */
#include <excore/clock.h>

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "store/postgres/event_row.h"
#include "store/postgres/postgres_driver.h"

#define FATE_LIMIT_MS 10000 /* for a server that starts again; nobody is answered meanwhile */
#define FATE_PAUSE_MS 250

void pg_written_reset(pg_written *w)
{
    w->count = 0;
    w->has_command = false;
    w->recorded_at_us = 0;
    ex_pg_args_reset(&w->commands);
}

void pg_written_done(pg_written *w)
{
    free(w->events);
    ex_pg_args_done(&w->commands);
}

void pg_note_command(pg_written *w, const ex_command_record *record)
{
    if (w->has_command)
        return;
    w->has_command = true;
    ex_pg_array_begin(&w->commands, EX_PG_BYTEA);
    ex_pg_put_bytea(&w->commands, record->command_id);
    ex_pg_array_end(&w->commands);
    ex_pg_array_begin(&w->commands, EX_PG_INT8);
    ex_pg_put_i64(&w->commands, (int64_t)record->fingerprint);
    ex_pg_array_end(&w->commands);
    ex_pg_array_begin(&w->commands, EX_PG_INT8);
    ex_pg_put_i64(&w->commands, record->recorded_at_us);
    ex_pg_array_end(&w->commands);
}

static ex_status reconnect(postgres_driver *d, ex_error *err)
{
    const struct timespec pause = {.tv_nsec = FATE_PAUSE_MS * 1000000L};
    uint64_t begun_ns = ex_monotonic_ns(ex_clock_system());
    d->end.is_proven = false;
    for (;;) {
        ex_status st = ex_pg_reopen(d->writer, err);
        uint64_t took_ms = (ex_monotonic_ns(ex_clock_system()) - begun_ns) / 1000000;
        bool may_come_back = st == EX_EAGAIN || st == EX_ETIMEOUT;
        if (!may_come_back || took_ms >= FATE_LIMIT_MS || ex_pg_is_late(d->writer))
            return st;
        (void)nanosleep(&pause, NULL); /* a shorter one is fine */
    }
}

void pg_put_events_are(ex_pg_args *args, uint64_t first, const pg_written_event *events,
                       uint32_t count)
{
    ex_pg_args_reset(args);
    ex_pg_array_begin(args, EX_PG_INT8);
    for (uint32_t i = 0; i < count; i++)
        ex_pg_put_i64(args, (int64_t)(first + i));
    ex_pg_array_end(args);
    ex_pg_array_begin(args, EX_PG_BYTEA);
    for (uint32_t i = 0; i < count; i++)
        pg_put_event_id(args, &events[i].id);
    ex_pg_array_end(args);
    ex_pg_array_begin(args, EX_PG_INT8);
    for (uint32_t i = 0; i < count; i++)
        ex_pg_put_i64(args, events[i].recorded_at_us);
    ex_pg_array_end(args);
}

static ex_status queue_question(postgres_driver *d, ex_error *err)
{
    const pg_written *w = &d->written;
    if (w->count == 0)
        return ex_pg_send(d->writer, pg_sql(PG_COMMANDS_ARE), &w->commands, err);
    pg_put_events_are(&d->args, w->first, w->events, w->count);
    return pg_queue(d, PG_EVENTS_ARE, err);
}

/* @param ret how many of the batch's events, or of its first command, are stored */
static ex_status ask(postgres_driver *d, uint64_t *ret, ex_error *err)
{
    ex_pg_result r = {0};
    ex_status st = pg_queue(d, PG_BEGIN, err);
    if (st == EX_OK)
        st = pg_queue(d, PG_HEAD_LOCK, err);
    if (st == EX_OK)
        st = queue_question(d, err);
    if (st == EX_OK)
        st = pg_settle(d, err);
    if (st == EX_OK)
        st = ex_pg_recv(d->writer, NULL, err);
    if (st == EX_OK)
        st = ex_pg_recv(d->writer, NULL, err);
    if (st == EX_OK)
        st = ex_pg_recv(d->writer, &r, err);
    if (st == EX_OK)
        *ret = (uint64_t)ex_pg_get_i64(&r, 0, 0);
    ex_pg_result_free(&r);
    return st;
}

ex_status pg_find_fate(postgres_driver *d, ex_error *err)
{
    uint64_t stored = 0, expected = d->written.count ? d->written.count : 1;
    if (d->written.count == 0 && !d->written.has_command)
        return ex_raise(err, EX_ESTORAGE, "the connection to the database was lost");
    ex_status st = reconnect(d, err);
    if (st == EX_OK)
        st = ask(d, &stored, err);
    if (st) {
        (void)ex_error_context(err, st, "it is not known whether the commit happened");
        return pg_as_storage(st, err);
    }
    if (stored < expected)
        return ex_raise(err, EX_EAGAIN,
                        "the connection to the database was lost before the commit");
    pg_writer_rollback(d); /* of the question; the batch is committed */
    return EX_OK;
}
