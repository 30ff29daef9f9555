/* lookup.c: what a batch asks for before it is written: streams, event ids, a stream's events,
 * commands.
 *
 * On the writing connection, inside the batch's transaction. */
#include "store/sqlite/sqlite_driver.h"

#include "store/sqlite/event_row.h"
#include "store/sqlite/lists.h"

#define READ_STEP 256u /* events of a stream whose positions are found at a time */

static ex_status find_stream(sqlite_driver *d, store_stream *s, ex_error *err)
{
    chain_place head = {0};
    ex_status st = sqlite_lists_find_id(&d->writer, STATEMENT_STREAM_FIND, s->name, &s->id, err);
    if (st == EX_OK && s->id)
        st = chain_walk_head(&d->writer, s->id, &head, err);
    if (st == EX_OK && s->id)
        stream_tails_learn(&d->tails, s->id, head);
    s->version = head.version;
    return st;
}

ex_status sqlite_writer_find_streams(void *impl, store_stream *const *streams, uint32_t count,
                                     ex_error *err)
{
    ex_status st = EX_OK;
    for (uint32_t i = 0; st == EX_OK && i < count; i++)
        st = find_stream(impl, streams[i], err);
    return st;
}

static ex_status find_event(sqlite_driver *d, const store_event_key *keys, uint32_t index,
                            store_found_fn *fn, void *ctx, ex_error *err)
{
    sqlite_conn *c = &d->writer;
    sqlite3_stmt *st;
    ex_status status = sqlite_conn_statement(c, STATEMENT_EVENT_BY_ID, &st, err);
    if (status)
        return status;
    int rc = event_row_bind_id(st, 1, keys[index].id);
    if (rc == SQLITE_OK)
        rc = bind_u64(st, 2, keys[index].stream_id);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    ex_event event;
    if (rc == SQLITE_ROW)
        status = event_row_read(c, st, EX_S(""), &event, err);
    else if (rc != SQLITE_DONE)
        status = sqlite_conn_raise(c, rc, "cannot look up an event id", err);
    if (rc == SQLITE_ROW && status == EX_OK)
        status = fn(ctx, index, &event, err);
    (void)sqlite3_reset(st); /* repeats rc */
    return status;
}

ex_status sqlite_writer_find_events(void *impl, const store_event_key *keys, uint32_t count,
                                    store_found_fn *fn, void *ctx, ex_error *err)
{
    ex_status st = EX_OK;
    for (uint32_t i = 0; st == EX_OK && i < count; i++)
        st = find_event(impl, keys, i, fn, ctx, err);
    return st;
}

/* The events from version `from` on, READ_STEP at most. */
static ex_status read_step(sqlite_conn *c, const store_stream *stream, chain_place head,
                           uint64_t from, uint32_t *ret_count, ex_batch_event_fn *fn, void *ctx,
                           ex_error *err)
{
    uint64_t positions[READ_STEP];
    sqlite3_stmt *st;
    ex_status status = chain_walk_collect(c, stream->id, head, from, CHAIN_CHECK_LATER, positions,
                                          READ_STEP, ret_count, err);
    if (status == EX_OK)
        status = sqlite_conn_statement(c, STATEMENT_EVENT_OF_STREAM, &st, err);
    if (status)
        return status;
    for (uint32_t i = 0; status == EX_OK && i < *ret_count; i++) {
        ex_event event;
        chain_place place = {from + i, positions[i]};
        bool follows = i > 0 && positions[i] == positions[i - 1] + 1;
        status = event_row_of_stream(c, st, stream->id, stream->name, place, follows, &event, err);
        if (status == EX_OK)
            status = fn(ctx, &event, err);
    }
    (void)sqlite3_reset(st); /* repeats a failure that is known */
    return status;
}

ex_status sqlite_writer_read_stream(void *impl, const store_stream *stream, uint64_t from_version,
                                    ex_batch_event_fn *fn, void *ctx, ex_error *err)
{
    sqlite_conn *c = &((sqlite_driver *)impl)->writer;
    uint64_t from = from_version ? from_version : 1;
    uint32_t count = 0;
    chain_place head;
    ex_status st = chain_walk_head(c, stream->id, &head, err);
    while (st == EX_OK && from <= head.version) {
        st = read_step(c, stream, head, from, &count, fn, ctx, err);
        from += count;
    }
    return st;
}

static ex_status copy_command(sqlite3_stmt *st, ex_slice command_id, ex_arena *arena,
                              ex_command_record *ret, ex_error *err)
{
    ex_command_record record = {
        .command_id = ex_arena_copy(arena, command_id),
        .fingerprint = column_u64(st, 0),
        .recorded_at_us = sqlite3_column_int64(st, 1),
        .outcome = ex_arena_copy(arena, column_bytes(st, 2)),
    };
    if (!record.command_id.ptr || !record.outcome.ptr)
        return ex_raise(err, EX_ENOMEM, "no memory for the outcome of a command");
    *ret = record;
    return EX_OK;
}

ex_status sqlite_writer_find_command(void *impl, ex_slice command_id, ex_arena *arena,
                                     ex_command_record *ret, ex_error *err)
{
    sqlite_conn *c = &((sqlite_driver *)impl)->writer;
    sqlite3_stmt *st;
    ex_status status = sqlite_conn_statement(c, STATEMENT_COMMAND_FIND, &st, err);
    if (status)
        return status;
    int rc = bind_text(st, 1, command_id);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        status = copy_command(st, command_id, arena, ret, err);
    else if (rc == SQLITE_DONE)
        status = EX_ENOTFOUND;
    else
        status = sqlite_conn_raise(c, rc, "cannot look up a command", err);
    (void)sqlite3_reset(st); /* repeats rc */
    return status;
}
