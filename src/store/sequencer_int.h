/* sequencer_int.h: the sequencer's state, shared by the files that run its batches. */
#ifndef EXCORE_STORE_SEQUENCER_INT_H
#define EXCORE_STORE_SEQUENCER_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/batch.h"
#include "store/gather.h"
#include "store/sequencer.h"
#include "store/store_metrics.h"
#include "store/submit_queue.h"

/** A submission of the running batch and how its staging ended. */
typedef struct staged {
    ex_submission *submission;
    ex_status status;
    bool has_written;    /* it staged events or records of commands */
    const ex_error *err; /* in the batch's arena; NULL when status is EX_OK */
    uint32_t audit;      /* number of the batch's audit that tells of it, + 1; 0: none */
} staged;

/** A batch of which nobody knows whether it is stored (sequencer_outcome.c). */
typedef struct unknown_batch {
    bool is_open;
    uint64_t first, last; /* positions that its events have, if so; first > last: none */
    uint32_t commands;    /* outcomes of command ids */
    int64_t at_us;        /* time of its events */
} unknown_batch;

/** Time as it has been seen to pass (sequencer_time.c). */
typedef struct seen_time {
    int64_t us;       /* up to when, at base_ns; 0: not known */
    uint64_t base_ns; /* of the monotonic clock */
    int64_t last_us;  /* the log's last time as the batch began */
    int64_t told_us;  /* what the driver was told to keep; negative: it was not asked */
    bool has_warned;  /* the log is ahead of the clock */
} seen_time;

struct sequencer {
    /* immutable after start */
    ex_store *store;
    store_metrics *metrics;
    const ex_clock *clock;
    pthread_t thread;
    /* any thread */
    submit_queue queue;
    ex_submission nudge;   /* no work: others have appended */
    atomic_bool is_nudged; /* it is queued */
    /* head after the commit under way: the driver's thread may hear of it before we do */
    _Atomic uint64_t committing;
    /* the sequencer's thread */
    ex_batch batch;
    stream_cache cache;
    recent_words words;
    gather gather;
    ex_submission *pending; /* taken from the queue, oldest first */
    uint32_t looked_up;     /* of pending, the first ones: what they want is known */
    bool has_news;          /* others have appended */
    bool is_behind;         /* the database has fewer events than we have seen committed */
    bool believes;          /* the running batch did not ask all of it (sequencer_begin.c) */
    uint32_t doubt;         /* batches to come that ask all of it */
    uint32_t quiet;         /* batches since others appended */
    uint32_t full_news;     /* batches to come for which news are told with their contents */
    staged *staged;         /* batch_limit */
    uint32_t staged_count;
    unknown_batch unknown;
    seen_time seen;
    uint32_t
        most; /* submissions in a batch, while the one that meets damage is looked for; 0: all */
};

static inline const store_shared_ops *sequencer_shared(const sequencer *q)
{
    return q->store->driver.ops->shared;
}

/* ---- sequencer_files.c ---- */

/** The batch has ended with `st` (EX_OK: committed, or nothing to commit) and is not acknowledged:
 *  are its files still there? Else writing ends for good.
 *  @param err the failure; set when EX_OK becomes one
 *  @return `st`; in place of EX_OK EX_EOUTCOME (it has written) or EX_ESTORAGE */
EX_NODISCARD ex_status sequencer_check_files(sequencer *q, ex_status st, bool has_written,
                                             ex_error *err);

/** Most submissions that a batch may have now. */
static inline uint32_t sequencer_batch_limit(const sequencer *q)
{
    uint32_t limit = q->store->options.batch_limit;
    return q->most && q->most < limit ? q->most : limit;
}

/* ---- sequencer_outcome.c ---- */

/** The batch has met stored data that is damaged: let its submissions come again, half as many in a
 *  batch. False: it had only one, which meets it, or one that cannot be taken back. */
bool sequencer_split(sequencer *q);

/** The batch ended with `cause`: answer all that was staged. */
void sequencer_fail(sequencer *q, const ex_error *cause);
/** Those who wait and could not be served in time any more get `cause`, too: an engine that does
 * not answer must not make each batch in line wait anew. */
void sequencer_fail_overdue(sequencer *q, const ex_error *cause);
/** Tell each staged submission how it ended. */
void sequencer_acknowledge(sequencer *q);
/** begin has found out what became of the batch before. */
void sequencer_learn_fate(sequencer *q, store_fate fate);

/* ---- sequencer_time.c ---- */

/** The time of a batch: the clock's, or the log's last one when the clock is behind it, which is
 *  told. */
int64_t sequencer_batch_time(sequencer *q, int64_t last_recorded_us);
/** The log has lost its end: what was known of time may stem from what is lost. */
void sequencer_forget_time(sequencer *q);
/** Forget outcomes of command ids that are old, whatever the clock did meanwhile. */
EX_NODISCARD ex_status sequencer_expire_commands(sequencer *q, ex_error *err);

/* ---- sequencer_begin.c ---- */

/** Begin a batch for what is pending. */
EX_NODISCARD ex_status sequencer_begin(sequencer *q, ex_error *err);
/** Inside a batch on a shared engine: find what those who came meanwhile want. */
EX_NODISCARD ex_status sequencer_look_up(sequencer *q, ex_error *err);
/** May the first of pending be staged in the running batch? */
bool sequencer_may_stage(const sequencer *q);
/** The batch was staged: does it give answers that its commit would not prove? */
bool sequencer_is_doubtful(const sequencer *q);
/** A belief was wrong and nothing of the batch is stored: make its submissions pending again. */
void sequencer_start_over(sequencer *q);
/** A batch had to ask for what brief news did not tell. */
void sequencer_want_full_news(sequencer *q);
/** Before each batch: until when it may take, so that none of its appends waits too long. */
void sequencer_set_deadline(sequencer *q);
/** A batch has failed: of those who wait, the first that could not be served in time any more is
 *  taken off; NULL: none. */
ex_submission *sequencer_take_overdue(sequencer *q);
/** Between batches: learn what others have appended. */
void sequencer_read_news(sequencer *q);

#endif
