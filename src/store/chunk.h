/* chunk.h: events read from the log, packed, waiting to be taken one by one.
 *
 * What a subscription holds while it catches up. It grows while it is filled
 * and gives all its memory back when it was read to its end, so that a
 * follower that is live costs nothing here. One thread at a time. */
#ifndef EXCORE_STORE_CHUNK_H
#define EXCORE_STORE_CHUNK_H

#include <excore/event.h>

#include "store/event_block.h"

typedef struct chunk {
    packed_event *events;
    size_t count;
    size_t capacity;
    size_t taken; /* events taken so far */
    char *bytes;
    size_t bytes_len;
    size_t bytes_capacity;
} chunk;

/** Free everything; a zeroed one is accepted, and this is what is left. */
void chunk_done(chunk *c);
/** Add a copy of an event. @return EX_OK, EX_ENOMEM (the chunk is unchanged) */
EX_NODISCARD ex_status chunk_add(chunk *c, const ex_event *event, ex_error *err);
/** The next event, borrowed until chunk_done; false when all were taken. */
bool chunk_take(chunk *c, ex_event *ret);

#endif
