/* state_cache.h: the states of aggregates, bounded by count and bytes, least recently used out.
 *
 * Owned by the sequencer's thread. A state lives in an arena of its own; when
 * events have left more garbage than state in it, the state is copied into a
 * fresh one. An entry that was taken out belongs to whoever took it, on any
 * thread, until it is put back (state_load.c). */
#ifndef EXCORE_RUNTIME_STATE_CACHE_H
#define EXCORE_RUNTIME_STATE_CACHE_H

#include "observe/metrics.h"

#include <excore/aggregate.h>
#include <excore/event.h>

typedef struct state_cache state_cache;

typedef struct state_entry {
    const ex_aggregate *aggregate;
    ex_slice stream;         /* in its own allocation */
    uint64_t version;        /* of the stream as folded into state; 0: no event yet */
    uint64_t log_generation; /* in which its events were read (ex_batch_log_generation) */
    void *state;             /* in memory; NULL while version is 0 */
    ex_arena memory;
    size_t live_bytes; /* of the state after the last compaction */
    bool keeps_events; /* the state's type has members that may point into them */
    /* the cache's */
    size_t charged_bytes;
    uint64_t hash;
    struct state_entry *chain, *older, *newer;
} state_entry;

typedef struct state_cache_options {
    uint32_t count_limit;
    uint64_t bytes_limit;
    uint32_t state_limit_bytes;
    ex_counter *hits, *misses, *evictions; /* nullable */
    ex_gauge *bytes, *count;
} state_cache_options;

EX_NODISCARD ex_status state_cache_new(const state_cache_options *options, state_cache **ret,
                                       ex_error *err);
void state_cache_free(state_cache *c);

/** The entry of a stream, made (version 0) when it is not there. Valid until the next call of get,
 *  drop or settle. @return EX_OK, EX_ENOMEM */
EX_NODISCARD ex_status state_cache_get(state_cache *c, const ex_aggregate *aggregate,
                                       ex_slice stream, state_entry **ret, ex_error *err);
/** Take an entry out: it stands in for no stream any more, and counts against no limit. */
void state_cache_take(state_cache *c, state_entry *e);
/** Put it back; meanwhile nobody made another one for its stream. Evicts others over the limits. */
void state_cache_put(state_cache *c, state_entry *e);
/** Of an entry that was taken out. NULL is accepted. */
void state_entry_free(state_entry *e);

/** For state_entry_apply on the sequencer's thread. */
ex_arena *state_cache_scratch(state_cache *c);
/** Fold one stored event into the entry. On failure the entry must be dropped.
 *  @param scratch emptied after it; each thread has its own
 *  @return EX_OK, EX_ENOMEM, EX_ETOOLARGE (state limit), EX_ECORRUPT (code STREAM_UNREADABLE: the
 *          aggregate does not know the type or the schema version, or the data does not fit) */
EX_NODISCARD ex_status state_entry_apply(ex_arena *scratch, state_entry *e, const ex_event *event,
                                         ex_error *err);
/** Fold one that the aggregate's own decision emitted, from its struct. On failure the entry must
 * be dropped. @return EX_OK, EX_ENOMEM, EX_ETOOLARGE */
EX_NODISCARD ex_status state_entry_evolve(state_entry *e, const ex_type *type, const void *value,
                                          uint64_t version, ex_error *err);
/** After a command: charge what the state takes, evict others over the limits. The entry stays. */
void state_cache_settle(state_cache *c, state_entry *e);
/** Forget a stream's state; unknown is fine. */
void state_cache_drop(state_cache *c, ex_slice stream);

#endif
