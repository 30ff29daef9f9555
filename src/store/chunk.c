/* chunk.c: a growing array of events and, in an arena, their bytes: one piece for each event. */
#include "store/chunk.h"

#include <stdlib.h>

#define EVENTS_MIN 16u

void chunk_done(chunk *c)
{
    free(c->events);
    ex_arena_done(&c->arena);
    memset(c, 0, sizeof *c);
}

void chunk_reset(chunk *c)
{
    c->count = c->taken = c->bytes_len = 0;
    ex_arena_reset(&c->arena);
}

ex_event *chunk_slot(chunk *c)
{
    if (c->count < c->capacity)
        return &c->events[c->count];
    size_t capacity = c->capacity != 0 ? c->capacity * 2 : EVENTS_MIN;
    ex_event *events = realloc(c->events, capacity * sizeof *events);
    if (events == NULL)
        return NULL;
    if (c->capacity == 0)
        ex_arena_init(&c->arena, SIZE_MAX / 2); /* whoever fills it has a limit of his own */
    c->events = events;
    c->capacity = capacity;
    return &c->events[c->count];
}

static inline void move(char **at, ex_slice *s)
{
    char *to = *at;
    if (s->len != 0)
        memcpy(to, s->ptr, s->len);
    *at = to + s->len;
    s->ptr = to;
}

ex_status chunk_keep(chunk *c, ex_error *err)
{
    ex_event *e = &c->events[c->count];
    char *at = ex_arena_alloc(&c->arena, e->stream.len + e->type.len + e->content_type.len +
                                             e->correlation_id.len + e->causation_id.len +
                                             e->tags.packed.len + e->metadata.len + e->data.len);
    if (at == NULL)
        return ex_raise(err, EX_ENOMEM, "no memory for a chunk of the log");
    move(&at, &e->stream);
    move(&at, &e->type);
    move(&at, &e->content_type);
    move(&at, &e->correlation_id);
    move(&at, &e->causation_id);
    move(&at, &e->tags.packed);
    move(&at, &e->metadata);
    move(&at, &e->data);
    c->bytes_len += e->data.len + e->metadata.len;
    c->count++;
    return EX_OK;
}
