/* memory_log.h: the log as arrays in memory: events, and rising position lists per name.
 *
 * The writer changes it under the write lock; readers look under the read lock
 * and only at what is committed. An event never moves and is freed with the
 * log only, so that it may be borrowed without the lock. */
#ifndef EXCORE_STORE_MEMORY_MEMORY_LOG_H
#define EXCORE_STORE_MEMORY_MEMORY_LOG_H

#include <pthread.h>

#include "kernel/map.h"
#include "store/driver.h"
#include "store/postings.h"

/** Positions of one stream, type, tag or correlation id. Its address is the list's key. */
typedef struct memory_list {
    ex_slice name; /* behind the struct */
    uint64_t *positions;
    uint64_t count;
    uint64_t room;
} memory_list;

typedef struct memory_log {
    pthread_rwlock_t lock;
    uint64_t committed; /* position */
    ex_event **events;  /* events[position - 1] */
    uint64_t event_count;
    uint64_t event_room;
    ex_map lists[POSTINGS_KINDS]; /* by postings_kind: name -> memory_list */
    ex_map ids;                   /* stream key and event id -> ex_event */
} memory_log;

void memory_log_init(memory_log *l);
void memory_log_done(memory_log *l);

/** The list of a name, NULL when there is none. */
memory_list *memory_log_find(const memory_log *l, postings_kind kind, ex_slice name);
/** Put an event at the end; the stream is made when new. On failure the end is in disorder until
 *  memory_log_cut. @return EX_OK, EX_ENOMEM */
EX_NODISCARD ex_status memory_log_put(memory_log *l, const ex_event *event);
/** Drop the events above what is committed. */
void memory_log_cut(memory_log *l);
/** An event of a stream by its id, NULL when there is none. */
const ex_event *memory_log_find_id(const memory_log *l, uint64_t stream_key, const ex_id *id);
/** The lists as a source; takes no lock. */
postings_source memory_log_source(memory_log *l);

#endif
