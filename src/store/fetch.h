/* fetch.h: reading a stream or the log part by part, holding nothing in between.
 *
 * A part is read with a reader of the pool, copied into a chunk, and the reader
 * goes back: no connection, statement, transaction or snapshot of the database
 * stays while the events are used. Events never change and positions are
 * contiguous, so nobody can tell the parts from one long read; a fetch sees
 * nothing above the position that was the head when it began.
 *
 * A part ends at its bounds, at the end of what is to be read, or when its slice
 * of time is over, which may be before it found anything: then others have their
 * turn with the readers. (docs/decisions/0015) */
#ifndef EXCORE_STORE_FETCH_H
#define EXCORE_STORE_FETCH_H

#include <stdatomic.h>

#include <excore/cancel.h>

#include "store/chunk.h"
#include "store/store_internal.h"

/** How long a reader is held at a time. */
#define FETCH_SLICE_MS 20

typedef struct fetch {
    store_scan scan; /* `from`: where the next part begins; 0: behind the first version */
    bool is_bounded; /* scan.upto is known: the first part was begun */
    bool is_at_end;
} fetch;

/** What one part may hold, at least one event; and who may end it early, both nullable. */
typedef struct fetch_bounds {
    uint32_t events;
    size_t bytes;
    ex_cancel *cancel;
    const atomic_bool *is_stopped;
} fetch_bounds;

/** Ready to read. What `scan` borrows is borrowed until the last part; `limit`, `upto` and `pause`
 *  are set here. */
static inline fetch fetch_of(const store_scan *scan)
{
    return (fetch){.scan = *scan};
}

/** Read the next part into `c`, which is empty.
 *  @return EX_OK: `c` has the next events; none: the slice is over, or is_at_end is set.
 *          EX_ECANCELLED, EX_ETIMEOUT (no reader became free), EX_ESTORAGE, EX_ECORRUPT, EX_ENOMEM:
 *          nothing has changed, it may be called again. Blocking: a slice, and waiting for a reader
 */
EX_NODISCARD ex_status fetch_more(ex_store *s, fetch *f, const fetch_bounds *bounds, chunk *c,
                                  ex_error *err);

/** Of the log: the position up to which all was looked at. */
static inline uint64_t fetch_position(const fetch *f)
{
    return f->is_at_end && f->scan.upto >= f->scan.from ? f->scan.upto : f->scan.from - 1;
}

#endif
