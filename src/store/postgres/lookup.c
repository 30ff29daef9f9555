/* lookup.c: what a batch asks the database, on the writing connection, inside its transaction.
 *
 * Each find costs one round trip, whatever it asks for; pg_look_up answers
 * everything that the submissions of a batch want in one. What write has queued
 * goes ahead of the question in the same round trip, so a find sees it. */
#include <stdlib.h>

#include "store/postgres/event_row.h"
#include "store/postgres/postgres_driver.h"

#define LOOK_UP_BYTES                                                                              \
    (8 << 20)              /* of data that one look-up brings; larger ones are asked singly        \
                            */
#define FIND_EVENTS   32   /* event ids in a round trip of pg_find_events */
#define STREAM_EVENTS 1000 /* events in a round trip of pg_read_stream */
#define STREAM_BYTES  (4 << 20)

/* Send and give the result of the one statement that was queued. */
static ex_status ask(postgres_driver *d, pg_statement which, ex_pg_result *ret, ex_error *err)
{
    ex_status st = pg_queue(d, which, err);
    if (st == EX_OK)
        st = pg_settle(d, err);
    return st ? st : ex_pg_recv(d->writer, ret, err);
}

/* ---- Streams ---- */

static ex_status send_streams(postgres_driver *d, store_stream *const *streams, uint32_t count,
                              ex_error *err)
{
    ex_pg_args_reset(&d->args);
    ex_pg_array_begin(&d->args, EX_PG_TEXT);
    for (uint32_t i = 0; i < count; i++)
        ex_pg_put_text(&d->args, streams[i]->name);
    ex_pg_array_end(&d->args);
    return pg_queue(d, PG_STREAMS_FIND, err);
}

static ex_status receive_streams(postgres_driver *d, store_stream *const *streams, uint32_t count,
                                 ex_error *err)
{
    ex_pg_result r = {0};
    ex_status st = ex_pg_recv(d->writer, &r, err);
    if (st)
        return st;
    for (uint32_t i = 0; i < count; i++)
        streams[i]->id = streams[i]->version = 0;
    for (int row = 0; row < r.rows; row++) {
        uint64_t n = (uint64_t)ex_pg_get_i64(&r, row, 0) - 1;
        if (n >= count)
            continue;
        streams[n]->id = (uint64_t)ex_pg_get_i64(&r, row, 1);
        streams[n]->version = (uint64_t)ex_pg_get_i64(&r, row, 2);
    }
    ex_pg_result_free(&r);
    return EX_OK;
}

ex_status pg_find_streams(void *impl, store_stream *const *streams, uint32_t count, ex_error *err)
{
    postgres_driver *d = impl;
    ex_status st = send_streams(d, streams, count, err);
    if (st == EX_OK)
        st = pg_settle(d, err);
    if (st == EX_OK)
        st = receive_streams(d, streams, count, err);
    return pg_as_storage(st, err);
}

/* ---- Events by id ---- */

static ex_status find_some_events(postgres_driver *d, const store_event_key *keys, uint32_t count,
                                  uint32_t first, store_found_fn *fn, void *ctx, ex_error *err)
{
    ex_pg_args_reset(&d->args);
    ex_pg_array_begin(&d->args, EX_PG_BYTEA);
    for (uint32_t i = 0; i < count; i++)
        pg_put_event_id(&d->args, keys[i].id);
    ex_pg_array_end(&d->args);
    ex_pg_array_begin(&d->args, EX_PG_INT8);
    for (uint32_t i = 0; i < count; i++)
        ex_pg_put_i64(&d->args, (int64_t)keys[i].stream_id);
    ex_pg_array_end(&d->args);
    ex_pg_result r = {0};
    ex_status st = pg_as_storage(ask(d, PG_EVENTS_FIND, &r, err), err);
    for (int row = 0; st == EX_OK && row < r.rows; row++) {
        ex_event event;
        uint64_t n = (uint64_t)ex_pg_get_i64(&r, row, EVENT_ROW_COLUMNS) - 1;
        st = pg_event_read(&r, row, &event, NULL, err);
        if (st == EX_OK && n < count)
            st = fn(ctx, first + (uint32_t)n, &event, err);
    }
    ex_pg_result_free(&r);
    return st;
}

ex_status pg_find_events(void *impl, const store_event_key *keys, uint32_t count,
                         store_found_fn *fn, void *ctx, ex_error *err)
{
    ex_status st = EX_OK;
    for (uint32_t first = 0; st == EX_OK && first < count; first += FIND_EVENTS) {
        uint32_t some = count - first < FIND_EVENTS ? count - first : FIND_EVENTS;
        st = find_some_events(impl, keys + first, some, first, fn, ctx, err);
    }
    return st;
}

static ex_status send_wanted_events(postgres_driver *d, const store_lookup *l, ex_error *err)
{
    ex_pg_args_reset(&d->args);
    ex_pg_array_begin(&d->args, EX_PG_TEXT);
    for (uint32_t i = 0; i < l->event_count; i++)
        ex_pg_put_text(&d->args, l->events[i].stream);
    ex_pg_array_end(&d->args);
    ex_pg_array_begin(&d->args, EX_PG_BYTEA);
    for (uint32_t i = 0; i < l->event_count; i++)
        pg_put_event_id(&d->args, l->events[i].id);
    ex_pg_array_end(&d->args);
    ex_pg_put_i64(&d->args, LOOK_UP_BYTES);
    return pg_queue(d, PG_EVENTS_LOOK_UP, err);
}

/* What comparing contents needs, in the arena. */
static const ex_event *keep_event(const ex_event *e, ex_arena *arena)
{
    ex_event *kept = ex_arena_alloc(arena, sizeof(*kept));
    if (!kept)
        return NULL;
    *kept = *e;
    kept->stream = ex_arena_copy(arena, e->stream);
    kept->type = ex_arena_copy(arena, e->type);
    kept->content_type = ex_arena_copy(arena, e->content_type);
    kept->data = ex_arena_copy(arena, e->data);
    kept->metadata = kept->correlation_id = kept->causation_id = EX_S("");
    kept->tags.packed = EX_S("");
    bool is_whole = kept->stream.ptr && kept->type.ptr && kept->content_type.ptr && kept->data.ptr;
    return is_whole ? kept : NULL;
}

static ex_status receive_wanted_events(postgres_driver *d, const store_lookup *l, ex_error *err)
{
    ex_pg_result r = {0};
    ex_status st = ex_pg_recv(d->writer, &r, err);
    for (uint32_t i = 0; st == EX_OK && i < l->event_count; i++)
        l->events[i].is_known = true;
    for (int row = 0; st == EX_OK && row < r.rows; row++) {
        uint64_t n = (uint64_t)ex_pg_get_i64(&r, row, EVENT_ROW_COLUMNS) - 1;
        bool is_cut = ex_pg_get_bool(&r, row, EVENT_ROW_COLUMNS + 1);
        ex_event event;
        st = pg_event_read(&r, row, &event, NULL, err);
        if (st || n >= l->event_count)
            continue;
        l->events[n].found = is_cut ? NULL : keep_event(&event, l->arena);
        l->events[n].is_known = l->events[n].found != NULL; /* else it is asked for singly */
    }
    ex_pg_result_free(&r);
    return st;
}

/* ---- Commands ---- */

static ex_status send_commands(postgres_driver *d, const store_wanted_command *commands,
                               uint32_t count, ex_error *err)
{
    ex_pg_args_reset(&d->args);
    ex_pg_array_begin(&d->args, EX_PG_BYTEA);
    for (uint32_t i = 0; i < count; i++)
        ex_pg_put_bytea(&d->args, commands[i].record.command_id);
    ex_pg_array_end(&d->args);
    return pg_queue(d, PG_COMMANDS_FIND, err);
}

static ex_status receive_commands(postgres_driver *d, store_wanted_command *commands,
                                  uint32_t count, ex_arena *arena, ex_error *err)
{
    ex_pg_result r = {0};
    ex_status st = ex_pg_recv(d->writer, &r, err);
    for (uint32_t i = 0; st == EX_OK && i < count; i++)
        commands[i].is_known = true;
    for (int row = 0; st == EX_OK && row < r.rows; row++) {
        uint64_t n = (uint64_t)ex_pg_get_i64(&r, row, 0) - 1;
        if (n >= count)
            continue;
        ex_command_record *record = &commands[n].record;
        record->command_id = ex_arena_copy(arena, record->command_id);
        record->fingerprint = (uint64_t)ex_pg_get_i64(&r, row, 1);
        record->recorded_at_us = ex_pg_get_i64(&r, row, 2);
        record->outcome = ex_arena_copy(arena, ex_pg_get_slice(&r, row, 3));
        commands[n].is_found = true;
        if (!record->command_id.ptr || !record->outcome.ptr)
            st = ex_raise(err, EX_ENOMEM, "no memory for the outcome of a command");
    }
    ex_pg_result_free(&r);
    return st;
}

ex_status pg_find_command(void *impl, ex_slice command_id, ex_arena *arena, ex_command_record *ret,
                          ex_error *err)
{
    postgres_driver *d = impl;
    store_wanted_command wanted = {.record = {.command_id = command_id}};
    ex_status st = send_commands(d, &wanted, 1, err);
    if (st == EX_OK)
        st = pg_settle(d, err);
    if (st == EX_OK)
        st = receive_commands(d, &wanted, 1, arena, err);
    if (st)
        return pg_as_storage(st, err);
    if (!wanted.is_found)
        return EX_ENOTFOUND;
    *ret = wanted.record;
    return EX_OK;
}

/* ---- All at once ---- */

ex_status pg_lookup_send(postgres_driver *d, const store_lookup *l, ex_error *err)
{
    ex_status st = EX_OK;
    if (l->stream_count)
        st = send_streams(d, l->streams, l->stream_count, err);
    if (st == EX_OK && l->event_count)
        st = send_wanted_events(d, l, err);
    if (st == EX_OK && l->command_count)
        st = send_commands(d, l->commands, l->command_count, err);
    return st;
}

ex_status pg_lookup_receive(postgres_driver *d, const store_lookup *l, ex_error *err)
{
    ex_status st = EX_OK;
    if (l->stream_count)
        st = receive_streams(d, l->streams, l->stream_count, err);
    if (st == EX_OK && l->event_count)
        st = receive_wanted_events(d, l, err);
    if (st == EX_OK && l->command_count)
        st = receive_commands(d, l->commands, l->command_count, l->arena, err);
    return st;
}

ex_status pg_look_up(void *impl, const store_lookup *l, ex_error *err)
{
    postgres_driver *d = impl;
    ex_status st = pg_lookup_send(d, l, err);
    if (st == EX_OK)
        st = pg_settle(d, err);
    if (st == EX_OK)
        st = pg_lookup_receive(d, l, err);
    return pg_as_storage(st, err);
}

/* ---- A stream ---- */

ex_status pg_read_stream(void *impl, const store_stream *stream, uint64_t from_version,
                         ex_batch_event_fn *fn, void *ctx, ex_error *err)
{
    postgres_driver *d = impl;
    uint64_t next = from_version ? from_version : 1;
    ex_status st = EX_OK;
    for (bool is_last = false; st == EX_OK && !is_last;) {
        ex_pg_args_reset(&d->args);
        ex_pg_put_text(&d->args, stream->name);
        ex_pg_put_i64(&d->args, (int64_t)next);
        ex_pg_put_i64(&d->args, STREAM_EVENTS);
        ex_pg_put_i64(&d->args, STREAM_BYTES);
        ex_pg_result r = {0};
        st = pg_as_storage(ask(d, PG_STREAM_FORWARD, &r, err), err);
        uint64_t bytes = 0;
        for (int row = 0; st == EX_OK && row < r.rows; row++) {
            ex_event event;
            st = pg_event_read(&r, row, &event, NULL, err);
            if (st)
                break;
            bytes += pg_event_bytes(&r, row);
            next = event.version + 1;
            st = fn(ctx, &event, err);
        }
        is_last = r.rows < STREAM_EVENTS && bytes < STREAM_BYTES;
        ex_pg_result_free(&r);
    }
    return st;
}
