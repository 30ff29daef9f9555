/* stream_tails.h: the ends of the streams that are written to: what links the next event to its
 * stream, and the heads that a batch has to store.
 *
 * A direct-mapped cache over stream ids, which are dense: a stream that is met
 * again costs no read. A call of the driver's write links all its events, then
 * stores one head for each stream; a tail that has to make room before that
 * stores its head at once. Storing names the version it replaces, so the
 * database itself refuses a version that somebody else has written.
 *
 * Thread: the sequencer's. */
#ifndef EXCORE_STORE_SQLITE_STREAM_TAILS_H
#define EXCORE_STORE_SQLITE_STREAM_TAILS_H

#include "store/sqlite/chain_walk.h"

typedef struct stream_tail {
    uint64_t stream_id; /* 0: free */
    chain_tail chain;   /* pushed: since the head in the database */
} stream_tail;

typedef struct stream_tails {
    stream_tail *slots;
} stream_tails;

EX_NODISCARD ex_status stream_tails_init(stream_tails *t, ex_error *err);
/** A zeroed one is accepted. */
void stream_tails_done(stream_tails *t);
/** Forget all: the fate of what was written is not known. */
void stream_tails_clear(stream_tails *t);

/** The head of a stream was read: keep it for the event that probably follows. */
void stream_tails_learn(stream_tails *t, uint64_t stream_id, chain_place head);
/** Whether linking the event of this version reads older events of the stream. */
bool stream_tails_reads(const stream_tails *t, uint64_t stream_id, uint64_t version);
/** Link the next event of a stream, at `place`, and remember that its head is to be stored. */
EX_NODISCARD ex_status stream_tails_link(stream_tails *t, sqlite_conn *c, uint64_t stream_id,
                                         chain_place place, chain_back *ret, ex_error *err);
/** Store the head of a stream unless it is stored already. */
EX_NODISCARD ex_status stream_tails_store(stream_tails *t, sqlite_conn *c, uint64_t stream_id,
                                          ex_error *err);

#endif
