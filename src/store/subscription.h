/* subscription.h: one follower of the log, as subscription.c and live.c see it.
 *
 *                  +--------------------------------------------------------+
 *                  v                                                        |
 *   behind --fill--> chunk --taken--> ring --all taken--> live --commit-----+
 *                  ^                   |
 *                  +--- fell behind ---+
 *
 * `position` is the only truth about progress: every event up to it was
 * delivered or passed over. Each source is entered at position + 1, so no
 * switch between them can miss or repeat an event. */
#ifndef EXCORE_STORE_SUBSCRIPTION_H
#define EXCORE_STORE_SUBSCRIPTION_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/chunk.h"
#include "store/filter.h"
#include "store/live.h"
#include "store/ring.h"
#include "store/tail.h"

struct ex_subscription {
    /* immutable */
    ex_store *store;
    store_live *live;
    filter *filter; /* NULL: every event, or a single stream */
    bool is_one_stream;
    uint32_t stream_hash;
    ex_slice stream; /* owned, behind the struct; empty: the log */

    /* the reader's thread */
    uint64_t version;    /* one stream: the last that was delivered */
    ex_id epoch;         /* in which position is current */
    uint64_t generation; /* of the identity that said so */
    uint64_t seen_head;  /* read-only store: the last head asked for, UINT64_MAX before */
    chunk chunk;
    uint64_t chunk_end; /* position reached when the chunk was taken */
    ex_id event_id;     /* of the event at `position`; nil: it was not seen */
    event_block *block; /* of the ring, referenced; NULL: none */
    bool is_placed;     /* where it was to begin is in the log */
    bool is_watching;

    /* atomic: the reader writes, any thread reads */
    _Atomic uint64_t position;
    atomic_bool is_live;
    /* atomic: any thread */
    atomic_bool is_stopped;
    atomic_bool is_waiting;

    /* for a waiting reader */
    pthread_mutex_t mu;
    pthread_cond_t wake;
    ex_watcher watcher;

    /* guarded by live->mu */
    ex_subscription *prev, *next;
};

#endif
