/* watch.h: the list of those who want to hear of commits (ex_store_watch of tail.h).
 *
 * Wakes run on the sequencer's thread with the list's lock held: that is what
 * lets watch_remove promise that a wake is neither running nor coming. A wake
 * therefore must only post or signal, and must not touch the list. */
#ifndef EXCORE_STORE_WATCH_H
#define EXCORE_STORE_WATCH_H

#include <pthread.h>

#include "store/tail.h"

typedef struct watch_list {
    pthread_mutex_t mu;
    ex_watcher *first; /* guarded by mu */
} watch_list;

/** Cannot fail. */
void watch_init(watch_list *l);
/** The list must be empty. */
void watch_done(watch_list *l);
/** Thread: any. */
void watch_add(watch_list *l, ex_watcher *w);
/** After it returned, wake is not running and is not called again. Thread: any, not inside wake. */
void watch_remove(watch_list *l, ex_watcher *w);
/** Thread: the sequencer. */
void watch_wake(watch_list *l, uint64_t head);

#endif
