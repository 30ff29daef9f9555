/* chunk.h: events copied from the log, waiting to be taken one by one.
 *
 * What a cursor or a subscription holds instead of a read connection. It grows
 * while it is filled; its bytes lie in blocks that do not move, so events point
 * into them. One thread at a time. */
#ifndef EXCORE_STORE_CHUNK_H
#define EXCORE_STORE_CHUNK_H

#include <excore/arena.h>
#include <excore/error.h>
#include <excore/event.h>

typedef struct chunk {
    ex_event *events;
    size_t count;
    size_t capacity;
    size_t taken;     /* events taken so far */
    size_t bytes_len; /* data and metadata of all that is in it */
    ex_arena arena;   /* their bytes */
} chunk;

/** Free everything; a zeroed one is accepted, and this is what is left. */
void chunk_done(chunk *c);
/** Empty it, but keep memory for the next filling. */
void chunk_reset(chunk *c);
/** The place of the next event, to be filled with slices of somebody else's; NULL: no memory. */
ex_event *chunk_slot(chunk *c);
/** Add the event in the slot: copy what its slices point to. @return EX_OK, EX_ENOMEM (the chunk is
 *  unchanged) */
EX_NODISCARD ex_status chunk_keep(chunk *c, ex_error *err);

/** The next event, borrowed until chunk_done or chunk_reset; NULL when all were taken. */
static inline const ex_event *chunk_take(chunk *c)
{
    return c->taken < c->count ? &c->events[c->taken++] : NULL;
}

#endif
