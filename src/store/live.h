/* live.h: what a store holds for those who follow it: ring, watchers, subscriptions.
 *
 * The store embeds one store_live and calls, in this order: live_init at open,
 * live_publish on the sequencer's thread after each commit and before the
 * acknowledgements, live_close when it begins to close, live_done at the end.
 * A read-only store has no sequencer in this process, hence no ring: its
 * subscriptions ask the database for its head. */
#ifndef EXCORE_STORE_LIVE_H
#define EXCORE_STORE_LIVE_H

#include <pthread.h>
#include <stdatomic.h>

#include "observe/metrics.h"
#include "store/ring.h"
#include "store/watch.h"

/** All NULL without a registry. Refreshed before each exposition, but for the counter. */
typedef struct live_metrics {
    ex_metrics *registry;
    ex_gauge *ring_bytes;
    ex_gauge *ring_events;
    ex_gauge *live;
    ex_gauge *catching_up;
    ex_gauge *lag_events;
    ex_counter *fills;
} live_metrics;

typedef struct store_live {
    /* immutable after live_init */
    bool is_ready;
    ring *ring; /* NULL: read-only */
    live_metrics metrics;
    /* their own locks */
    watch_list watchers;
    atomic_bool is_closed;
    /* guarded by mu */
    pthread_mutex_t mu;
    ex_subscription *subscriptions; /* open ones, linked */
} store_live;

/** @param options only read_only, ring_limit_bytes (already defaulted), metrics are looked at
 *  @param head position of the last committed event */
EX_NODISCARD ex_status live_init(store_live *l, const ex_store_options *options, uint64_t head,
                                 ex_error *err);
/** Events are committed: put them into the ring and wake the watchers. Thread: the sequencer. */
void live_publish(store_live *l, const ex_event *events, size_t count);
/** The log grew to `head` without live_publish: followers read it from the log. Thread: the
 * sequencer. */
void live_skip(store_live *l, uint64_t head);
/** The log has lost what was published after `head`: followers go on there or, once the log's
 *  identity says so, end. Wakes nobody. Thread: the sequencer. */
void live_restart(store_live *l, uint64_t head);
/** Wake the followers to look at the log's identity. Thread: the sequencer. */
void live_wake(store_live *l);
/** Does anybody follow? Thread: any. */
bool live_has_followers(store_live *l);
/** Waiting subscriptions return EX_ECLOSED once they have delivered what is committed. Thread: any.
 */
void live_close(store_live *l);
/** All subscriptions and watchers must be gone. A zeroed one is accepted. */
void live_done(store_live *l);

/** The store's; defined beside struct ex_store. Never NULL. */
store_live *store_live_of(ex_store *s);

#endif
