/* batch_lookup.c: what the submissions of a batch want is looked up for all of them at once.
 *
 * Only for engines behind a network, where each question costs a round trip.
 * The submissions say what they will look at (want); streams go straight into
 * the table of the batch, ids into lists here. The driver answers all of it in
 * one round trip, mostly in that of begin. Stage functions find the answers
 * where they look anyway; what was not wanted is asked for one by one.
 *
 * The same for what other processes appended: begin tells it, and a stream
 * whose new events are all among it needs no further question. */
#include <stdlib.h>

#include "store/batch.h"

#define WANTS_MAX  16384u /* of a kind, in one batch; what is beyond is asked for one by one */
#define FIRST_ROOM 64u

/* ---- Wanting ---- */

/* Room for one more entry of `size` bytes in an array of `count`; false when there is none. */
static bool reserve(void **array, uint32_t count, uint32_t *room, size_t size)
{
    if (count < *room)
        return true;
    uint32_t bigger = *room ? 2 * *room : FIRST_ROOM;
    void *grown = count < WANTS_MAX ? realloc(*array, bigger * size) : NULL;
    if (!grown)
        return false;
    *array = grown;
    *room = bigger;
    return true;
}

/* NULL: it is known, or cannot be wanted. */
static batch_stream *want_stream(ex_batch *b, ex_slice stream)
{
    batch_wants *w = &b->wants;
    void *array = w->streams;
    if (!reserve(&array, w->stream_count, &w->stream_room, sizeof(*w->streams)))
        return NULL;
    w->streams = array;
    batch_stream *s = batch_want_stream(b, stream);
    if (s)
        w->streams[w->stream_count++] = &s->stream;
    return s;
}

void ex_batch_want_stream(ex_batch *b, ex_slice stream)
{
    if (want_stream(b, stream))
        b->wants.has_questions = true;
}

void ex_batch_want_new_stream(ex_batch *b, ex_slice stream)
{
    batch_stream *s = want_stream(b, stream);
    if (s)
        s->is_believed_new = true;
}

static uint64_t event_hash(ex_slice stream, const ex_id *id)
{
    return ex_hash(stream) ^ ex_hash(ex_slice_of(id->bytes, sizeof(id->bytes)));
}

static const store_wanted_event *find_event(const batch_wants *w, ex_slice stream, const ex_id *id)
{
    uint32_t at = 0, number;
    while (staged_index_next(&w->event_ids, event_hash(stream, id), &at, &number))
        if (ex_id_eq(w->events[number].id, id) && ex_slice_eq(w->events[number].stream, stream))
            return &w->events[number];
    return NULL;
}

void ex_batch_want_event(ex_batch *b, ex_slice stream, const ex_id *id)
{
    batch_wants *w = &b->wants;
    void *array = w->events;
    if (find_event(w, stream, id) ||
        !reserve(&array, w->event_count, &w->event_room, sizeof(*w->events)))
        return;
    w->events = array;
    if (staged_index_put(&w->event_ids, event_hash(stream, id), w->event_count) == EX_OK)
        w->events[w->event_count++] = (store_wanted_event){.stream = stream, .id = id};
    const batch_stream *s = batch_known_stream(b, stream);
    w->has_questions |= !s || !s->is_believed_new;
}

static const store_wanted_command *find_command(const batch_wants *w, ex_slice command_id)
{
    uint32_t at = 0, number;
    while (staged_index_next(&w->command_ids, ex_hash(command_id), &at, &number))
        if (ex_slice_eq(w->commands[number].record.command_id, command_id))
            return &w->commands[number];
    return NULL;
}

void ex_batch_want_command(ex_batch *b, ex_slice command_id)
{
    batch_wants *w = &b->wants;
    void *array = w->commands;
    if (find_command(w, command_id) ||
        !reserve(&array, w->command_count, &w->command_room, sizeof(*w->commands)))
        return;
    w->commands = array;
    if (staged_index_put(&w->command_ids, ex_hash(command_id), w->command_count) == EX_OK)
        w->commands[w->command_count++] =
            (store_wanted_command){.record = {.command_id = command_id}};
    w->has_questions = true;
}

void batch_want(ex_batch *b, ex_submission *first, uint32_t count)
{
    for (ex_submission *s = first; s && count; s = s->next, count--)
        if (s->want)
            s->want(s, b);
}

/* ---- Asking ---- */

bool batch_lookup_begin(ex_batch *b, store_lookup *ret)
{
    batch_wants *w = &b->wants;
    *ret = (store_lookup){
        .streams = w->streams,
        .stream_count = w->stream_count,
        .events = w->events + w->event_asked,
        .event_count = w->event_count - w->event_asked,
        .commands = w->commands + w->command_asked,
        .command_count = w->command_count - w->command_asked,
        .arena = &b->arena,
    };
    return ret->stream_count + ret->event_count + ret->command_count > 0;
}

void batch_lookup_end(ex_batch *b)
{
    b->wants.stream_count = 0; /* they stand in the table */
    b->wants.has_questions = false;
    b->wants.event_asked = b->wants.event_count;
    b->wants.command_asked = b->wants.command_count;
}

const store_wanted_event *batch_wanted_event(const ex_batch *b, ex_slice stream, const ex_id *id)
{
    const store_wanted_event *e = find_event(&b->wants, stream, id);
    return e && e->is_known ? e : NULL;
}

const store_wanted_command *batch_wanted_command(const ex_batch *b, ex_slice command_id)
{
    const store_wanted_command *c = find_command(&b->wants, command_id);
    return c && c->is_known ? c : NULL;
}

void batch_wants_reset(batch_wants *w)
{
    w->stream_count = 0;
    w->event_count = w->event_asked = 0;
    w->command_count = w->command_asked = 0;
    w->has_questions = false;
    staged_index_reset(&w->event_ids);
    staged_index_reset(&w->command_ids);
}

void batch_wants_done(batch_wants *w)
{
    free(w->streams);
    free(w->events);
    free(w->commands);
    staged_index_done(&w->event_ids);
    staged_index_done(&w->command_ids);
}

/* ---- News ---- */

void batch_keep_news(ex_batch *b, const store_news *news)
{
    staged_index_reset(&b->news_streams);
    b->news = *news;
    for (uint32_t i = 0; i < news->count; i++)
        if (staged_index_put(&b->news_streams, ex_hash(news->events[i].stream), i))
            b->news.count = 0; /* then they are read from the database */
}

ex_status batch_read_news(ex_batch *b, const batch_stream *s, uint64_t from_version, uint64_t last,
                          ex_batch_event_fn *fn, void *ctx, ex_error *err)
{
    uint64_t first = from_version ? from_version : 1, expected = last;
    if (last - first >= b->news.count)
        return EX_ENOTFOUND;
    ex_arena_mark mark = ex_arena_save(&b->arena);
    uint32_t count = (uint32_t)(last - first + 1);
    uint32_t *numbers = ex_arena_array(&b->arena, count, sizeof(*numbers));
    uint32_t at = 0, number;
    while (numbers && expected >= first &&
           staged_index_next(&b->news_streams, s->hash, &at, &number)) {
        const ex_event *e = &b->news.events[number]; /* the newest first */
        if (!ex_slice_eq(e->stream, s->stream.name))
            continue;
        if (e->version != expected)
            break;
        numbers[expected-- - first] = number;
    }
    ex_status st = numbers && expected < first ? EX_OK : EX_ENOTFOUND;
    if (st == EX_OK && b->news.is_brief) {
        b->has_missed_news = true;
        st = EX_ENOTFOUND;
    }
    for (uint32_t i = 0; st == EX_OK && i < count; i++)
        st = fn(ctx, &b->news.events[numbers[i]], err);
    ex_arena_restore(&b->arena, mark);
    return st;
}
