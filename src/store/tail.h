/* tail.h: following the log without blocking: what event loops and view threads use.
 *
 * ex_subscription_poll takes events from the ring of recent events only. When
 * the subscription is behind the ring it answers EX_EAGAIN: call
 * ex_subscription_fill on a thread that may block, then poll again.
 * ex_subscription_next of the public header is the two together. */
#ifndef EXCORE_STORE_TAIL_H
#define EXCORE_STORE_TAIL_H

#include <excore/store.h>

/** The next event without blocking, borrowed until the next call on the subscription.
 *  @return EX_OK, EX_ETIMEOUT (live and nothing new: wait for the watcher), EX_EAGAIN (fill first),
 *          EX_ECANCELLED, EX_ECLOSED. EX_ETIMEOUT and EX_EAGAIN are answers: they leave err alone.
 *          A read-only store hears of no commits: there only ex_subscription_next goes on by
 * itself. */
EX_NODISCARD ex_status ex_subscription_poll(ex_subscription *sub, ex_event *ret, ex_error *err);
/** Load the next chunk (bounded, about 1 MiB or 1,000 events) from the log. Nothing has changed
 * when it fails: it may be called again.
 *  @return EX_OK, EX_ETIMEOUT (no read connection became free), EX_EAHEAD (it was to begin beyond
 * the end), EX_ECANCELLED, EX_ESTORAGE, EX_ECORRUPT, EX_ENOMEM. Blocking: disk reads. */
EX_NODISCARD ex_status ex_subscription_fill(ex_subscription *sub, ex_error *err);

/** The id of the event at ex_subscription_position, whether it was delivered or passed over; nil:
 *  none was seen there. Thread: the one that polls. */
ex_id ex_subscription_event_id(const ex_subscription *sub);

/** Called on the sequencer's thread after each commit, with the new head. Must only post or signal.
 */
typedef struct ex_watcher ex_watcher;
struct ex_watcher {
    void (*wake)(ex_watcher *w, uint64_t head);
    ex_watcher *prev, *next; /* the store's */
};
void ex_store_watch(ex_store *s, ex_watcher *w);
/** After it returned, wake is not running and is not called again. Not from inside wake. */
void ex_store_unwatch(ex_store *s, ex_watcher *w);

#endif
