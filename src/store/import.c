/* import.c: staging what another store holds; see import.h.
 *
 * The caller's thread looks at the events themselves, the sequencer only at
 * where the log and the streams end: an event that does not follow there comes
 * from another history and is refused. */
#include "store/import.h"

#include "store/batch.h"
#include "store/query_check.h"

/* ---- On the caller's thread ---- */

static bool are_tags_whole(ex_tags tags)
{
    size_t at = 0;
    ex_slice tag;
    while (ex_tags_next(tags, &at, &tag))
        if (store_tag_check(tag, NULL))
            return false;
    return at == tags.packed.len;
}

static ex_status check_event(const ex_event *e, ex_error *err)
{
    ex_status st = store_name_check(e->stream, "stream", err);
    if (st == EX_OK)
        st = store_name_check(e->type, "type", err);
    if (st == EX_OK && !are_tags_whole(e->tags))
        st = ex_raise(err, EX_ECORRUPT, "its tags cannot be read");
    if (st == EX_OK)
        return EX_OK;
    (void)ex_error_context(err, st, "event %llu", (unsigned long long)e->position);
    if (err)
        err->status = EX_ECORRUPT; /* of a stored event, not of somebody's input */
    return EX_ECORRUPT;
}

/* ---- On the sequencer's thread ---- */

static ex_status stage_event(ex_batch *b, const ex_event *given, ex_error *err)
{
    ex_event e = *given;
    uint64_t end = ex_batch_position(b);
    if (e.position != end + 1)
        return ex_raise(err, EX_EPRECONDITION,
                        "event %llu cannot be written to a log that ends at %llu",
                        (unsigned long long)e.position, (unsigned long long)end);
    batch_stream *s = NULL;
    ex_status st = batch_find_stream(b, e.stream, &s, err);
    if (st)
        return st;
    if (e.version != s->stream.version + 1)
        return ex_raise(err, EX_EPRECONDITION,
                        "event %llu is version %llu of stream '%.*s', which is at version %llu",
                        (unsigned long long)e.position, (unsigned long long)e.version,
                        EX_ARG(e.stream), (unsigned long long)s->stream.version);
    st = batch_push_event(b, s, &e, true, err);
    if (st)
        return st;
    b->events[b->event_count - 1].recorded_at_us = given->recorded_at_us;
    if (b->now_us < given->recorded_at_us)
        b->now_us = given->recorded_at_us; /* time does not step back for what follows */
    return EX_OK;
}

static ex_status import_stage(ex_submission *submission, ex_batch *b, ex_error *err)
{
    const ex_import *import = (ex_import *)submission;
    ex_status st = EX_OK;
    for (uint32_t i = 0; st == EX_OK && i < import->event_count; i++)
        st = stage_event(b, &import->events[i], err);
    for (uint32_t i = 0; st == EX_OK && i < import->command_count; i++)
        st = ex_batch_command_record(b, &import->commands[i], err);
    return st;
}

static void import_want(ex_submission *submission, ex_batch *b)
{
    const ex_import *import = (ex_import *)submission;
    for (uint32_t i = 0; i < import->event_count; i++)
        ex_batch_want_stream(b, import->events[i].stream);
}

static void import_done(ex_submission *submission, ex_status status, const ex_error *err)
{
    ex_import *import = (ex_import *)submission;
    import->done(import, status, err);
}

/* ---- The calls ---- */

ex_status ex_store_import(ex_store *s, ex_import *import, ex_error *err)
{
    for (uint32_t i = 0; i < import->event_count; i++) {
        ex_status st = check_event(&import->events[i], err);
        if (st)
            return st;
    }
    import->submission =
        (ex_submission){.stage = import_stage, .want = import_want, .done = import_done};
    return ex_store_submit(s, &import->submission, err);
}

ex_status ex_store_read_commands(ex_store *s, uint64_t after, uint32_t limit, ex_command_fn *fn,
                                 void *ctx, ex_error *err)
{
    void *reader = NULL;
    ex_status st = reader_pool_take(&s->readers, &reader, err);
    if (st)
        return st;
    st = s->driver.ops->reader->read_commands(reader, after, limit, fn, ctx, err);
    reader_pool_give(&s->readers, reader, st != EX_OK);
    return st;
}

ex_status ex_store_read_head(ex_store *s, uint64_t *ret, ex_error *err)
{
    void *reader = NULL;
    ex_status st = reader_pool_take(&s->readers, &reader, err);
    if (st)
        return st;
    st = s->driver.ops->reader->head(reader, ret, err);
    reader_pool_give(&s->readers, reader, st != EX_OK);
    return st;
}
