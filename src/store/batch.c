/* batch.c: the staged part of a batch, and the methods that stage functions call. */
#include "store/batch.h"

#include <assert.h>
#include <stdlib.h>

#define FIRST_ROOM  64u
#define KEPT_EVENTS 4096u /* room that is kept from batch to batch */
#define FIRST_TABLE 256u
#define KEPT_TABLE  16384u
#define ARENA_LIMIT ((size_t)256 << 20) /* most that the stage functions of one batch may take */

/* ---- Life ---- */

void batch_init(ex_batch *b, ex_store *store, stream_cache *cache)
{
    memset(b, 0, sizeof(*b));
    b->store = store;
    b->cache = cache;
    ex_arena_init(&b->arena, ARENA_LIMIT);
}

static void free_events(ex_batch *b)
{
    free(b->events);
    free(b->streams);
    free(b->previous);
    b->events = NULL;
    b->streams = NULL;
    b->previous = NULL;
    b->event_room = 0;
}

static void free_table(ex_batch *b)
{
    free(b->table);
    b->table = NULL;
    b->table_room = 0;
}

void batch_done(ex_batch *b)
{
    free_events(b);
    free_table(b);
    free(b->commands);
    free(b->audits);
    staged_index_done(&b->ids);
    staged_index_done(&b->command_ids);
    staged_index_done(&b->news_streams);
    batch_wants_done(&b->wants);
    ex_arena_done(&b->arena);
}

void batch_reset(ex_batch *b)
{
    /* what was not published was not stored, or is learned anew */
    recent_words_take_back(b->words, atomic_load_explicit(&b->store->head, memory_order_relaxed));
    if (b->event_room > KEPT_EVENTS)
        free_events(b);
    if (b->table_room > KEPT_TABLE)
        free_table(b);
    else if (b->table_count)
        memset(b->table, 0, b->table_room * sizeof(batch_stream *));
    b->table_count = 0;
    b->event_count = b->event_written = 0;
    b->command_count = b->command_written = 0;
    b->audit_count = b->audit_written = 0;
    b->bytes = 0;
    b->is_broken = false;
    b->is_probe = false;
    b->adopted = NULL;
    b->is_deferred = b->is_searched = false;
    b->resumed = NULL;
    staged_index_reset(&b->ids);
    staged_index_reset(&b->command_ids);
    staged_index_reset(&b->news_streams);
    b->news.count = 0;
    b->has_missed_news = false;
    batch_wants_reset(&b->wants);
    ex_arena_reset(&b->arena);
}

/* ---- Taking back ---- */

batch_mark batch_save(const ex_batch *b)
{
    return (batch_mark){b->event_count, b->command_count, b->bytes};
}

void batch_restore(ex_batch *b, batch_mark mark)
{
    assert(mark.events >= b->event_written && mark.commands >= b->command_written);
    while (b->event_count > mark.events) {
        uint32_t last = --b->event_count;
        batch_stream *s = (batch_stream *)b->streams[last];
        s->stream.version = b->events[last].version - 1;
        s->last = b->previous[last];
    }
    b->command_count = mark.commands;
    b->bytes = mark.bytes;
    staged_index_truncate(&b->ids, mark.events);
    recent_words_take_back(b->words, b->base + mark.events);
    staged_index_truncate(&b->command_ids, mark.commands);
}

ex_status batch_break(ex_batch *b, ex_status status, const ex_error *err)
{
    if (status == EX_ECORRUPT && !b->store->driver.ops->shared)
        return status; /* what was asked for is damaged, and nothing else: the batch goes on */
    if (!b->is_broken) {
        b->is_broken = true;
        b->failure = *err;
    }
    return status;
}

/* ---- Writing ---- */

ex_status batch_probe(ex_batch *b, ex_error *err)
{
    const store_driver *d = &b->store->driver;
    ex_error detail;
    b->is_probe = true;
    ex_status st = d->ops->probe ? d->ops->probe(d->impl, &detail) : EX_OK;
    if (st && err)
        *err = detail;
    return st ? batch_break(b, st, &detail) : EX_OK;
}

ex_status batch_adopt(ex_batch *b, const store_epochs *epochs, ex_error *err)
{
    const store_driver *d = &b->store->driver;
    ex_error detail;
    ex_status st = log_identity_reserve(&b->store->identity, epochs->count, err);
    if (st)
        return st;
    st = d->ops->adopt(d->impl, epochs, &detail);
    if (st && err)
        *err = detail;
    if (st)
        return batch_break(b, st, &detail);
    b->adopted = epochs;
    return EX_OK;
}

ex_status batch_write(ex_batch *b, ex_error *err)
{
    store_write w = {
        .events = b->events + b->event_written,
        .streams = b->streams + b->event_written,
        .event_count = b->event_count - b->event_written,
        .commands = b->commands + b->command_written,
        .command_count = b->command_count - b->command_written,
        .audits = b->audits + b->audit_written,
        .audit_count = b->audit_count - b->audit_written,
    };
    if (w.event_count + w.command_count + w.audit_count == 0)
        return EX_OK;
    const store_driver *d = &b->store->driver;
    ex_status st = d->ops->write(d->impl, &w, err);
    if (st)
        return st;
    b->event_written = b->event_count;
    b->command_written = b->command_count;
    b->audit_written = b->audit_count;
    return EX_OK;
}

/* ---- Streams ---- */

static batch_stream **slot_of(const ex_batch *b, uint64_t hash, ex_slice name)
{
    uint32_t mask = b->table_room - 1;
    for (uint32_t i = (uint32_t)(hash >> 16) & mask;; i = (i + 1) & mask) {
        batch_stream *s = b->table[i];
        if (!s || (s->hash == hash && ex_slice_eq(s->stream.name, name)))
            return &b->table[i];
    }
}

batch_stream *batch_known_stream(const ex_batch *b, ex_slice name)
{
    return b->table_room ? *slot_of(b, ex_hash(name), name) : NULL;
}

static ex_status grow_table(ex_batch *b, ex_error *err)
{
    uint32_t old_room = b->table_room;
    batch_stream **old = b->table;
    uint32_t room = old_room ? 2 * old_room : FIRST_TABLE;
    b->table = calloc(room, sizeof(batch_stream *));
    if (!b->table) {
        b->table = old;
        return ex_raise(err, EX_ENOMEM, "no memory for the streams of a batch");
    }
    b->table_room = room;
    for (uint32_t i = 0; i < old_room; i++)
        if (old[i])
            *slot_of(b, old[i]->hash, old[i]->stream.name) = old[i];
    free(old);
    return EX_OK;
}

static ex_status look_up(ex_batch *b, batch_stream *s, ex_error *err)
{
    store_stream *stream = &s->stream;
    if (stream_cache_get(b->cache, s->hash, stream->name, &stream->id, &stream->version))
        return EX_OK;
    const store_driver *d = &b->store->driver;
    ex_error detail;
    ex_status st = d->ops->find_streams(d->impl, &stream, 1, &detail);
    if (st == EX_OK)
        return EX_OK;
    st = batch_break(b, st, &detail);
    if (!b->is_broken) /* else sequencer_fail names it */
        (void)ex_error_context(&detail, st, "stream '%.*s'", EX_ARG(stream->name));
    if (err)
        *err = detail;
    return st;
}

static ex_status put_stream(ex_batch *b, ex_slice name, batch_stream **ret, ex_error *err)
{
    ex_status st = EX_OK;
    if (2 * (b->table_count + 1) > b->table_room)
        st = grow_table(b, err);
    batch_stream *s = st ? NULL : ex_arena_zalloc(&b->arena, sizeof(*s));
    if (!s)
        return st ? st : ex_raise(err, EX_ENOMEM, "no memory for the streams of a batch");
    s->stream.name = name;
    s->hash = ex_hash(name);
    *slot_of(b, s->hash, name) = s;
    b->table_count++;
    *ret = s;
    return EX_OK;
}

/* Only a stream that was looked up may stand in the table. */
static void take_back(ex_batch *b, const batch_stream *s)
{
    *slot_of(b, s->hash, s->stream.name) = NULL; /* the last one put: no probe goes past it */
    b->table_count--;
}

ex_status batch_find_stream(ex_batch *b, ex_slice name, batch_stream **ret, ex_error *err)
{
    *ret = batch_known_stream(b, name);
    if (*ret)
        return EX_OK;
    batch_stream *s = NULL;
    ex_status st = put_stream(b, name, &s, err);
    if (st)
        return st;
    st = look_up(b, s, err);
    if (st)
        take_back(b, s);
    else
        *ret = s;
    return st;
}

bool batch_only_stream(const ex_batch *b, ex_slice *ret)
{
    for (uint32_t i = 0; b->table_count == 1 && i < b->table_room; i++) {
        if (!b->table[i])
            continue;
        *ret = b->table[i]->stream.name;
        return true;
    }
    return false;
}

batch_stream *batch_want_stream(ex_batch *b, ex_slice name)
{
    uint64_t hash = ex_hash(name), id, version;
    if (batch_known_stream(b, name) || stream_cache_get(b->cache, hash, name, &id, &version))
        return NULL;
    batch_stream *s = NULL;
    return put_stream(b, name, &s, NULL) == EX_OK ? s : NULL;
}

/* ---- Events ---- */

static ex_status grow_events(ex_batch *b, ex_error *err)
{
    uint32_t room = b->event_room ? 2 * b->event_room : FIRST_ROOM;
    ex_event *events = realloc(b->events, room * sizeof(*events));
    if (events)
        b->events = events;
    store_stream **streams = realloc(b->streams, room * sizeof(*streams));
    if (streams)
        b->streams = streams;
    uint32_t *previous = realloc(b->previous, room * sizeof(*previous));
    if (previous)
        b->previous = previous;
    if (!events || !streams || !previous)
        return ex_raise(err, EX_ENOMEM, "no memory for the events of a batch");
    b->event_room = room;
    return EX_OK;
}

uint64_t batch_id_hash(const batch_stream *s, const ex_id *id)
{
    return ex_hash(ex_slice_of(id->bytes, sizeof(id->bytes))) ^ s->hash;
}

ex_status batch_push_event(ex_batch *b, batch_stream *s, ex_event *event, bool has_given_id,
                           ex_error *err)
{
    ex_status st = b->event_count == b->event_room ? grow_events(b, err) : EX_OK;
    if (st)
        return st;
    uint32_t at = b->event_count;
    event->position = b->base + at + 1;
    event->version = s->stream.version + 1;
    event->recorded_at_us = b->now_us;
    if (has_given_id && staged_index_put(&b->ids, batch_id_hash(s, &event->id), at))
        return ex_raise(err, EX_ENOMEM, "no memory for the events of a batch");
    b->events[at] = *event;
    b->streams[at] = &s->stream;
    if (!s->last)
        s->committed = s->stream.version;
    b->previous[at] = s->last;
    s->stream.version++;
    s->last = ++b->event_count;
    recent_words_put(b->words, event->position, event->type, event->tags);
    b->bytes += event->data.len + event->metadata.len;
    return EX_OK;
}

/* ---- For stage functions (submission.h) ---- */

int64_t ex_batch_now_us(const ex_batch *b)
{
    return b->now_us;
}

uint64_t ex_batch_position(const ex_batch *b)
{
    return b->base + b->event_count;
}

uint64_t ex_batch_log_generation(const ex_batch *b)
{
    return log_identity_generation(&b->store->identity);
}

ex_arena *ex_batch_arena(ex_batch *b)
{
    return &b->arena;
}

/* The name may be gone before the batch is: keep a copy when the stream is new to the batch. */
static ex_status find_named(ex_batch *b, ex_slice name, batch_stream **ret, ex_error *err)
{
    *ret = batch_known_stream(b, name);
    if (*ret)
        return EX_OK;
    ex_slice copy = ex_arena_copy(&b->arena, name);
    if (!copy.ptr)
        return ex_raise(err, EX_ENOMEM, "no memory for the streams of a batch");
    return batch_find_stream(b, copy, ret, err);
}

ex_status ex_batch_stream_version(ex_batch *b, ex_slice stream, uint64_t *ret, ex_error *err)
{
    batch_stream *s = NULL;
    ex_status st = find_named(b, stream, &s, err);
    if (st == EX_OK)
        *ret = s->stream.version;
    return st;
}

ex_status ex_batch_committed_version(ex_batch *b, ex_slice stream, uint64_t *ret, ex_error *err)
{
    batch_stream *s = NULL;
    ex_status st = find_named(b, stream, &s, err);
    if (st == EX_OK)
        *ret = s->last ? s->committed : s->stream.version;
    return st;
}

/* Staged events of a stream hang together backwards: turn them round, then call. */
static ex_status read_staged(ex_batch *b, const batch_stream *s, uint64_t from_version,
                             ex_batch_event_fn *fn, void *ctx, ex_error *err)
{
    ex_arena_mark mark = ex_arena_save(&b->arena);
    uint32_t count = 0;
    for (uint32_t at = s->last; at > b->event_written && b->events[at - 1].version >= from_version;
         at = b->previous[at - 1])
        count++;
    uint32_t *numbers = count ? ex_arena_array(&b->arena, count, sizeof(*numbers)) : NULL;
    if (count && !numbers)
        return ex_raise(err, EX_ENOMEM, "no memory to read a stream");
    for (uint32_t at = s->last, i = count; i > 0; at = b->previous[at - 1])
        numbers[--i] = at - 1;
    ex_status st = EX_OK;
    for (uint32_t i = 0; st == EX_OK && i < count; i++)
        st = fn(ctx, &b->events[numbers[i]], err);
    ex_arena_restore(&b->arena, mark);
    return st;
}

/* The version that is committed, or written: without what is only staged. */
static uint64_t written_version(const ex_batch *b, const batch_stream *s)
{
    uint64_t version = s->stream.version;
    for (uint32_t at = s->last; at > b->event_written; at = b->previous[at - 1])
        version--;
    return version;
}

/* Tells a failing driver from a failing callback. */
typedef struct reading {
    ex_batch_event_fn *fn;
    void *ctx;
    bool is_callback_failing;
} reading;

static ex_status read_one(void *ctx, const ex_event *event, ex_error *err)
{
    reading *r = ctx;
    ex_status st = r->fn(r->ctx, event, err);
    r->is_callback_failing = st != EX_OK;
    return st;
}

static ex_status read_driver(ex_batch *b, const batch_stream *s, uint64_t from_version,
                             ex_batch_event_fn *fn, void *ctx, ex_error *err)
{
    const store_driver *d = &b->store->driver;
    reading r = {fn, ctx, false};
    ex_error detail;
    ex_status st = d->ops->read_stream(d->impl, &s->stream, from_version, read_one, &r, &detail);
    if (st && err)
        *err = detail;
    if (st && !r.is_callback_failing)
        (void)batch_break(b, st, &detail); /* st is returned below */
    return st;
}

ex_status ex_batch_read_stream(ex_batch *b, ex_slice stream, uint64_t from_version,
                               ex_batch_event_fn *fn, void *ctx, ex_error *err)
{
    batch_stream *s = NULL;
    ex_status st = find_named(b, stream, &s, err);
    if (st)
        return st;
    uint64_t last = s->stream.id ? written_version(b, s) : 0;
    if (last >= from_version && last > 0) {
        st = b->news.count ? batch_read_news(b, s, from_version, last, fn, ctx, err) : EX_ENOTFOUND;
        if (st == EX_ENOTFOUND)
            st = read_driver(b, s, from_version, fn, ctx, err);
    }
    return st ? st : read_staged(b, s, from_version, fn, ctx, err);
}

/* ---- Leaving and coming back ---- */

void ex_batch_defer(ex_batch *b)
{
    b->is_deferred = true;
}

void ex_batch_resume(ex_batch *b, ex_submission *first)
{
    assert(!b->resumed);
    b->resumed = first;
}

/* ---- Command records ---- */

ex_status ex_batch_command_find(ex_batch *b, ex_slice command_id, ex_command_record *ret,
                                ex_error *err)
{
    uint32_t at = 0, number;
    while (staged_index_next(&b->command_ids, ex_hash(command_id), &at, &number)) {
        if (ex_slice_eq(b->commands[number].command_id, command_id)) {
            *ret = b->commands[number];
            return EX_OK;
        }
    }
    const store_wanted_command *wanted = batch_wanted_command(b, command_id);
    if (wanted && wanted->is_found) {
        *ret = wanted->record;
        return EX_OK;
    }
    if (wanted)
        return ex_raise(err, EX_ENOTFOUND, "command '%.*s' is not known", EX_ARG(command_id));
    const store_driver *d = &b->store->driver;
    ex_error detail;
    ex_status st = d->ops->find_command(d->impl, command_id, &b->arena, ret, &detail);
    if (st == EX_OK)
        return EX_OK;
    if (st == EX_ENOTFOUND)
        return ex_raise(err, st, "command '%.*s' is not known", EX_ARG(command_id));
    if (err)
        *err = detail;
    return batch_break(b, st, &detail);
}

ex_status ex_batch_command_record(ex_batch *b, const ex_command_record *record, ex_error *err)
{
    if (record->command_id.len == 0 || record->command_id.len > EX_CORRELATION_MAX)
        return ex_raise(err, EX_EINVAL, "a command id has 1 to %d bytes, not %zu",
                        EX_CORRELATION_MAX, record->command_id.len);
    if (b->command_count == b->command_room) {
        uint32_t room = b->command_room ? 2 * b->command_room : FIRST_ROOM;
        ex_command_record *commands = realloc(b->commands, room * sizeof(*commands));
        if (!commands)
            return ex_raise(err, EX_ENOMEM, "no memory for the commands of a batch");
        b->commands = commands;
        b->command_room = room;
    }
    ex_command_record copy = *record;
    copy.command_id = ex_arena_copy(&b->arena, record->command_id);
    copy.outcome = ex_arena_copy(&b->arena, record->outcome);
    if (!copy.command_id.ptr || !copy.outcome.ptr ||
        staged_index_put(&b->command_ids, ex_hash(copy.command_id), b->command_count))
        return ex_raise(err, EX_ENOMEM, "no memory for the commands of a batch");
    b->commands[b->command_count++] = copy;
    return EX_OK;
}
