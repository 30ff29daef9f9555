/* batch_append.c: staging an append: identity, versions, condition, events, in this order.
 *
 * Identity goes first: a retry of something that is stored gets the first
 * outcome, whatever version it expects (R-ES-05). */
#include "store/batch.h"

/* ---- Expected versions ---- */

static ex_status conflict(const ex_batch *b, const store_stream *s, ex_expected expected,
                          ex_error *err)
{
    if (expected.raw == EX_EXISTS.raw)
        (void)ex_raise(err, EX_ECONFLICT, "stream '%.*s' does not exist", EX_ARG(s->name));
    else
        (void)ex_raise(err, EX_ECONFLICT, "stream '%.*s' is at version %llu, expected was %llu",
                       EX_ARG(s->name), (unsigned long long)s->version,
                       (unsigned long long)(expected.raw - 2));
    if (err) {
        err->expected = expected.raw == EX_EXISTS.raw ? 1 : expected.raw - 2;
        err->current = s->version;
        err->position = ex_batch_position(b);
    }
    return EX_ECONFLICT;
}

static ex_status check_version(const ex_batch *b, const store_stream *s, ex_expected expected,
                               ex_error *err)
{
    bool holds;
    if (expected.raw == EX_ANY.raw)
        holds = true;
    else if (expected.raw == EX_EXISTS.raw)
        holds = s->version > 0;
    else
        holds = s->version == expected.raw - 2;
    return holds ? EX_OK : conflict(b, s, expected, err);
}

ex_status ex_batch_expect(ex_batch *b, ex_slice stream, ex_expected expected, uint64_t *ret_version,
                          ex_error *err)
{
    store_stream s = {.name = stream};
    ex_status st = ex_batch_stream_version(b, stream, &s.version, err);
    if (st == EX_OK)
        st = check_version(b, &s, expected, err);
    if (st == EX_OK)
        *ret_version = s.version;
    return st;
}

/* ---- Staging ---- */

static ex_status find_streams(ex_batch *b, const ex_append *append, batch_stream ***ret,
                              ex_error *err)
{
    batch_stream **streams =
        ex_arena_array(&b->arena, append->write_count + 1, sizeof(batch_stream *));
    if (!streams)
        return ex_raise(err, EX_ENOMEM, "no memory for an append");
    for (uint32_t i = 0; i < append->write_count; i++) {
        ex_status st = batch_find_stream(b, append->writes[i].stream, &streams[i], err);
        if (st)
            return st;
    }
    *ret = streams;
    return EX_OK;
}

static ex_status check_conditions(ex_batch *b, const ex_append *append,
                                  batch_stream *const *streams, ex_error *err)
{
    for (uint32_t i = 0; i < append->write_count; i++) {
        ex_status st = check_version(b, &streams[i]->stream, append->writes[i].expected, err);
        if (st)
            return st;
    }
    if (!append->fail_if_match)
        return EX_OK;
    /* what was looked at up to `after` must be what stands there now */
    ex_status st = append->epoch
                       ? store_check_epoch(b->store, append->epoch, append->after, NULL, err)
                       : EX_OK;
    return st ? st : batch_check_condition(b, append->fail_if_match, append->after, err);
}

static ex_status push_events(ex_batch *b, prepared_append *p, batch_stream *const *streams,
                             ex_error *err)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < p->append->write_count; i++) {
        for (uint32_t j = 0; j < p->append->writes[i].event_count; j++, at++) {
            ex_status st =
                batch_push_event(b, streams[i], &p->events[at], p->has_given_id[at], err);
            if (st)
                return st;
        }
    }
    return EX_OK;
}

ex_status batch_append(ex_batch *b, prepared_append *p, ex_error *err)
{
    batch_mark mark = batch_save(b);
    batch_stream **streams = NULL;
    ex_status st = find_streams(b, p->append, &streams, err);
    if (st == EX_OK)
        st = batch_check_identity(b, p, streams, &p->is_duplicate, err);
    if (st == EX_OK && !p->is_duplicate && p->append->is_retry_only)
        st = ex_raise(err, EX_ENOTFOUND, "this append is not stored");
    if (st == EX_OK && !p->is_duplicate) {
        st = check_conditions(b, p->append, streams, err);
        if (st == EX_OK)
            st = push_events(b, p, streams, err);
    }
    if (st) {
        batch_restore(b, mark);
        return st;
    }
    const ex_event *last = p->event_count ? &p->events[p->event_count - 1] : NULL;
    p->position = last ? last->position : b->base + b->event_count;
    p->version = last ? last->version : 0;
    return EX_OK;
}

void append_outcome(const prepared_append *p, ex_appended *ret)
{
    ret->position = p->position;
    ret->version = p->version;
    ret->is_duplicate = p->is_duplicate;
    ret->event_count = p->event_count;
    for (uint32_t i = 0; ret->events && i < p->event_count && i < ret->event_room; i++) {
        const ex_event *e = &p->events[i];
        ret->events[i] =
            (ex_event_ref){.id = e->id, .position = e->position, .version = e->version};
    }
}

void append_ids(const prepared_append *p, ex_appended *ret)
{
    ret->position = ret->version = 0;
    ret->is_duplicate = false;
    ret->event_count = p->event_count;
    for (uint32_t i = 0; ret->events && i < p->event_count && i < ret->event_room; i++)
        ret->events[i] = (ex_event_ref){.id = p->events[i].id};
}

ex_status ex_batch_append(ex_batch *b, const ex_append *append, ex_appended *ret, ex_error *err)
{
    append_limits limits = {b->store->options.events_per_append,
                            b->store->options.event_limit_bytes, true};
    prepared_append prepared;
    void *memory = ex_arena_alloc(&b->arena, append_measure(append, &limits));
    if (!memory)
        return ex_raise(err, EX_ENOMEM, "no memory for an append");
    ex_status st = append_prepare(append, &limits, memory, &b->arena, &prepared, err);
    if (st == EX_OK)
        st = batch_append(b, &prepared, err);
    if (st == EX_OK && ret)
        append_outcome(&prepared, ret);
    return st;
}
