/* chunk.c: a growing array of packed events and their bytes. */
#include "store/chunk.h"

#include <stdlib.h>

#define EVENTS_MIN 32
#define BYTES_MIN  ((size_t)8 * 1024)

void chunk_done(chunk *c)
{
    free(c->events);
    free(c->bytes);
    memset(c, 0, sizeof *c);
}

static bool reserve_event(chunk *c)
{
    if (c->count < c->capacity)
        return true;
    size_t capacity = c->capacity != 0 ? c->capacity * 2 : EVENTS_MIN;
    packed_event *events = realloc(c->events, capacity * sizeof *events);
    if (events == NULL)
        return false;
    c->events = events;
    c->capacity = capacity;
    return true;
}

static bool reserve_bytes(chunk *c, size_t size)
{
    if (size <= c->bytes_capacity - c->bytes_len)
        return true;
    size_t capacity = c->bytes_capacity != 0 ? c->bytes_capacity * 2 : BYTES_MIN;
    if (capacity < c->bytes_len + size)
        capacity = c->bytes_len + size;
    char *bytes = realloc(c->bytes, capacity);
    if (bytes == NULL)
        return false;
    c->bytes = bytes;
    c->bytes_capacity = capacity;
    return true;
}

ex_status chunk_add(chunk *c, const ex_event *event, ex_error *err)
{
    size_t size = packed_size(event);
    if (!reserve_event(c) || !reserve_bytes(c, size))
        return ex_raise(err, EX_ENOMEM, "no memory for a chunk of the log");
    packed_event *p = &c->events[c->count];
    pack_event(event, c->bytes + c->bytes_len, p);
    p->offset = c->bytes_len;
    c->bytes_len += size;
    c->count++;
    return EX_OK;
}

bool chunk_take(chunk *c, ex_event *ret)
{
    if (c->taken == c->count)
        return false;
    const packed_event *p = &c->events[c->taken++];
    unpack_event(p, c->bytes + p->offset, ret);
    return true;
}
