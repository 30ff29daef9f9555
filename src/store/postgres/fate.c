/* fate.c: what became of a commit whose answer did not come.
 *
 * The events of a batch have ids, positions and a time that nobody else gives
 * them together; a batch of commands alone has their records. Either all of it
 * is in the log or nothing. The question is put with the head locked: a session
 * that held the lock has ended by then, one way or the other.
 *
 * A blind batch takes the lock with the statements that write, so its session may
 * still have all of them before it, unread. Therefore the question moves the
 * head's last id in the same transaction: what was built on the old one is refused
 * (HEAD_CHECK). That transaction also makes the answer as durable as
 * the batch would have been: it comes after the batch in the WAL, and is waited
 * for as the durability mode and synchronous standbys say.
 *
 * The connection may end again meanwhile; the question is put again and again
 * for outcome_wait_ms, then by each begin. No batch begins before it is answered. */
#include <excore/clock.h>

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "store/postgres/event_row.h"
#include "store/postgres/postgres_driver.h"

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
static ex_status ask_locked(postgres_driver *d, uint64_t *ret, store_head *ret_head, ex_error *err)
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
        st = pg_receive_head(d, ret_head, err);
    if (st == EX_OK)
        st = ex_pg_recv(d->writer, &r, err);
    if (st == EX_OK)
        *ret = (uint64_t)ex_pg_get_i64(&r, 0, 0);
    ex_pg_result_free(&r);
    return st;
}

/* What was built on the head as it was can be committed no more. */
static ex_status fence(postgres_driver *d, const store_head *head, ex_error *err)
{
    ex_status st = pg_queue_head_move(d, head->position, head, err);
    if (st == EX_OK)
        st = pg_queue_write(d, PG_COMMIT, err);
    return st == EX_OK ? pg_settle(d, err) : st;
}

/* With a connection outside of a transaction. */
static ex_status ask(postgres_driver *d, store_fate *ret, ex_error *err)
{
    uint64_t stored = 0, expected = d->written.count ? d->written.count : 1;
    store_head head = {0};
    ex_status st = ask_locked(d, &stored, &head, err);
    d->last_id++;
    d->left.is_known = false; /* commit knows it again when the batch is stored */
    if (st == EX_OK)
        st = fence(d, &head, err);
    if (st)
        pg_writer_rollback(d);
    else
        *ret = stored == expected ? STORE_FATE_STORED : STORE_FATE_NOT_STORED;
    return st;
}

static ex_status ask_anew(postgres_driver *d, store_fate *ret, ex_error *err)
{
    ex_status st = EX_OK;
    if (ex_pg_is_broken(d->writer)) {
        d->epochs.is_proven = false;
        st = ex_pg_reopen(d->writer, err);
    }
    return st ? st : ask(d, ret, err);
}

static bool is_time_left(const postgres_driver *d, uint64_t begun_ns)
{
    const struct timespec pause = {.tv_nsec = FATE_PAUSE_MS * 1000000L};
    uint64_t took_ms = (ex_monotonic_ns(ex_clock_system()) - begun_ns) / 1000000;
    if (took_ms + FATE_PAUSE_MS > d->outcome_wait_ms || ex_pg_is_late(d->writer))
        return false;
    (void)nanosleep(&pause, NULL); /* a shorter one is fine */
    return true;
}

ex_status pg_find_fate(postgres_driver *d, ex_error *err)
{
    uint64_t begun_ns = ex_monotonic_ns(ex_clock_system());
    store_fate fate = STORE_FATE_NONE;
    if (d->written.count == 0 && !d->written.has_command)
        return ex_raise(err, EX_ESTORAGE, "the connection to the database was lost");
    if (ex_pg_is_broken(d->writer))
        pg_forget_queued(d);
    else
        pg_writer_rollback(d); /* takes away what is in flight */
    while (ask_anew(d, &fate, err)) {
        if (is_time_left(d, begun_ns))
            continue;
        char cause[EX_ERROR_MESSAGE_SIZE] = "";
        if (err)
            memcpy(cause, err->message, sizeof(cause));
        d->is_unknown = true;
        return ex_raise(err, EX_EOUTCOME, "the answer to a commit was lost: %s", cause);
    }
    return fate == STORE_FATE_STORED
               ? EX_OK
               : ex_raise(err, EX_EAGAIN,
                          "the connection to the database was lost before the commit");
}

ex_status pg_settle_fate(postgres_driver *d, ex_error *err)
{
    if (!d->is_unknown)
        return EX_OK;
    ex_status st = ask(d, &d->fate, err);
    if (st)
        return ex_error_context(err, st, "it is not known yet what became of a batch before");
    d->is_unknown = false;
    return EX_OK;
}
