/* append_check.h: an append checked and made ready, on the submitter's thread.
 *
 * Everything that can be said about an append without looking at the log is said
 * here: names, sizes, counts, JSON. What remains for the sequencer is to look at
 * the log and to copy ready events. */
#ifndef EXCORE_STORE_APPEND_CHECK_H
#define EXCORE_STORE_APPEND_CHECK_H

#include <excore/arena.h>
#include <excore/store.h>

typedef struct append_limits {
    uint32_t events_per_append;
    uint32_t event_limit_bytes;
    bool may_write_platform; /* streams whose names begin with '$' */
} append_limits;

/** An append with its events in final form, but for position, version and time. */
typedef struct prepared_append {
    const ex_append *append; /* borrowed */
    ex_event *events;        /* of all writes, in order; slices borrowed from append, or in place */
    bool *has_given_id;      /* for each event: the caller named it, so it may be stored already */
    uint32_t event_count;
    uint64_t bytes; /* data and metadata of all events */
    /* the sequencer's */
    bool is_duplicate;
    uint64_t position; /* of the last event */
    uint64_t version;
} prepared_append;

/** Bytes that append_prepare needs; 0 when the counts are beyond the limits. */
size_t append_measure(const ex_append *append, const append_limits *limits);

/** Check and prepare.
 *  @param memory append_measure bytes, aligned for any type, that live as long as *ret
 *  @param scratch for the JSON reader; given back
 *  @return EX_OK, EX_EINVAL, EX_EMALFORMED (JSON), EX_ETOOLARGE, EX_ENOMEM
 *  Thread: any. */
EX_NODISCARD ex_status append_prepare(const ex_append *append, const append_limits *limits,
                                      void *memory, ex_arena *scratch, prepared_append *ret,
                                      ex_error *err);

#endif
