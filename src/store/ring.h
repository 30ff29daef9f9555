/* ring.h: the recent events of the log, in memory, for live readers.
 *
 * The sequencer publishes each committed batch as immutable blocks of packed
 * events with a reference count. A reader takes a reference to the block that
 * holds its next position under a short lock and then reads without any lock.
 * The oldest blocks are dropped when the limit is reached; a reader that still
 * holds one keeps it alive, a reader that comes too late is told that it is
 * behind and goes to the log. The ring never loses correctness: when memory
 * runs out it forgets what it holds and everybody reads the log. */
#ifndef EXCORE_STORE_RING_H
#define EXCORE_STORE_RING_H

#include <excore/event.h>

#include "store/event_block.h"

typedef struct ring ring;

/** @param limit_bytes most bytes held by the ring itself, its own index included
 *  @param head position of the last event of the log: the ring starts behind it, empty */
EX_NODISCARD ex_status ring_new(size_t limit_bytes, uint64_t head, ring **ret, ex_error *err);
/** NULL is accepted. Blocks that readers still hold live on. */
void ring_free(ring *r);

/** Add committed events: positions rise by one from head + 1. Copies them. When memory is short,
 * the ring becomes empty behind the new head. Thread: the sequencer. Blocking: a short lock. */
void ring_publish(ring *r, const ex_event *events, size_t count);

/** Events up to `head` are committed that were not published here (a commit whose outcome was
 * unknown, another node): forget everything and go on behind them. Thread: the sequencer. */
void ring_skip(ring *r, uint64_t head);

/** The log ends at `head` now, before what was published here: forget everything and go on behind
 * it. Thread: the sequencer. */
void ring_restart(ring *r, uint64_t head);

/** Position of the last published event. Thread: any. Blocking: no. */
uint64_t ring_head(const ring *r);

typedef enum ring_found {
    RING_FOUND,  /* *ret_block holds the position; give it back with event_block_unref */
    RING_AT_END, /* the position is not published yet */
    RING_BEHIND  /* the ring does not hold it any more: read the log */
} ring_found;

/** The block that holds an event. Thread: any. Blocking: a short lock, O(log n). */
ring_found ring_find(ring *r, uint64_t position, event_block **ret_block);

typedef struct ring_usage {
    uint64_t bytes;
    uint64_t events;
    uint64_t blocks;
} ring_usage;

/** Thread: any. */
ring_usage ring_measure(ring *r);

#endif
