/* submission.h: the sequencer's side door, for the layers above that decide where they write.
 *
 * A submission is queued from any thread and staged on the sequencer's thread
 * inside a batch. `stage` reads streams and stages appends through the batch;
 * when it fails, all it staged is dropped and the batch goes on. After the
 * commit (or its failure) `done` is called exactly once, in queue order. */
#ifndef EXCORE_STORE_SUBMISSION_H
#define EXCORE_STORE_SUBMISSION_H

#include <excore/arena.h>
#include <excore/store.h>

typedef struct ex_batch ex_batch;
typedef struct ex_submission ex_submission;

struct ex_submission {
    /* set by the submitter, immutable once queued */
    ex_status (*stage)(ex_submission *s, ex_batch *b, ex_error *err);
    /** Optional, may be called more than once before stage, or not at all: name what stage will
     *  look at (ex_batch_want_*). On an engine behind a network it is then looked up for all that
     *  waits in one round trip; stage finds the same without it. Must not block. */
    void (*want)(ex_submission *s, ex_batch *b);
    /** status is EX_OK, what stage returned, or that of a batch that failed: EX_ESTORAGE, nothing
     * of this submission was stored; EX_EOUTCOME, it is not known. Then what the submitter cached
     *  from the batch must be dropped (ex_batch_is_lost). Must not block. */
    void (*done)(ex_submission *s, ex_status status, const ex_error *err);
    /** Optional: take back what stage has changed outside of the batch, and be ready to be staged
     *  again. A submission without it is staged only once its batch knows all that is true. */
    void (*retract)(ex_submission *s);
    /** Optional: ends searches for its conditions with EX_ECANCELLED. Until done. */
    ex_cancel *cancel;
    /* the queue's */
    ex_submission *next;
    uint64_t queued_ns;
    uint64_t since_ns; /* the same by the system's clock, on a shared engine: it bounds the wait */
    struct condition_search *search; /* what was searched for it since it was staged last */
};

/** Queue it; the submission stays borrowed until done. done is not called on failure.
 *  @return EX_OK, EX_EOVERLOADED, EX_ECLOSED, EX_EREADONLY. Thread: any. Blocking: no. */
EX_NODISCARD ex_status ex_store_submit(ex_store *s, ex_submission *sub, ex_error *err);

/** Whether a status of `done` says that its batch failed, and not its stage alone. */
static inline bool ex_batch_is_lost(ex_status status)
{
    return status == EX_ESTORAGE || status == EX_EOUTCOME || status == EX_ECORRUPT;
}

/** The same whatever the queue holds, for work that goes on with submissions which were let in
 * before (ex_batch_defer): it cannot be refused. Who submits bounds how many there are. The store
 * must not be closing. Thread: any. Blocking: no. */
void ex_store_submit_again(ex_store *s, ex_submission *sub);

/* ---- For want(), on the sequencer's thread. Names and ids must live until done. ---- */

void ex_batch_want_stream(ex_batch *b, ex_slice stream);
/** The same for one that stage is going to refuse unless it is new. */
void ex_batch_want_new_stream(ex_batch *b, ex_slice stream);
void ex_batch_want_event(ex_batch *b, ex_slice stream, const ex_id *id);
void ex_batch_want_command(ex_batch *b, ex_slice command_id);

/* ---- For stage(), on the sequencer's thread ---- */

/** Wall clock of the batch: one value for all its events, never below the log's last. */
int64_t ex_batch_now_us(const ex_batch *b);
/** Position of the last event committed or staged so far. */
uint64_t ex_batch_position(const ex_batch *b);
/** Another number than at an earlier batch: the log may have lost what was read then. */
uint64_t ex_batch_log_generation(const ex_batch *b);
/** Memory that lives until every done of the batch was called. */
ex_arena *ex_batch_arena(ex_batch *b);
/** Version of a stream including what this batch staged so far; 0 when it does not exist. */
EX_NODISCARD ex_status ex_batch_stream_version(ex_batch *b, ex_slice stream, uint64_t *ret,
                                               ex_error *err);
/** The same, and refuse another version than expected. @return also EX_ECONFLICT (err: expected,
 * current) */
EX_NODISCARD ex_status ex_batch_expect(ex_batch *b, ex_slice stream, ex_expected expected,
                                       uint64_t *ret_version, ex_error *err);
/** The same without what this batch staged: a reader of the store finds all of it. */
EX_NODISCARD ex_status ex_batch_committed_version(ex_batch *b, ex_slice stream, uint64_t *ret,
                                                  ex_error *err);
/** Call `fn` for each event of the stream from `from_version` (inclusive), committed and staged.
 *  The event is borrowed for the call. A failing fn ends it with its status. */
typedef ex_status ex_batch_event_fn(void *ctx, const ex_event *event, ex_error *err);
EX_NODISCARD ex_status ex_batch_read_stream(ex_batch *b, ex_slice stream, uint64_t from_version,
                                            ex_batch_event_fn *fn, void *ctx, ex_error *err);
/** Stage an append; same rules and statuses as ex_store_append, and EX_EAGAIN: its condition has to
 * be searched beside the batch, and the running submission leaves it. Then stage undoes what it
 *  changed elsewhere, as after any other failure, and returns that; it is staged anew later, and
 *  must ask for the same again. What `append` points to must live until done. All of it is checked
 * here, on the sequencer, also names, sizes and JSON: what a decision emits may hold JSON that the
 * domain code made (ex_raw_json). The submission's cancel counts, not the append's. */
EX_NODISCARD ex_status ex_batch_append(ex_batch *b, const ex_append *append, ex_appended *ret,
                                       ex_error *err);

/** Leave the batch: what was staged is dropped, what stage returns is ignored and done is not
 * called. The submission is its owner's again until ex_batch_resume. */
void ex_batch_defer(ex_batch *b);
/** Let deferred submissions come back: they are staged right after the running one, before all that
 *  waits. Also when the running one fails. @param first the oldest; linked by `next` */
void ex_batch_resume(ex_batch *b, ex_submission *first);

/** The stored outcome of a command id. */
typedef struct ex_command_record {
    ex_slice command_id;  /* 1 to 255 bytes */
    uint64_t fingerprint; /* of name, target and canonical payload */
    int64_t recorded_at_us;
    ex_slice outcome; /* bytes of the runtime's own making */
} ex_command_record;

/** A stored command record, borrowed for the call. `number` rises in the order of recording.
 *  A failing fn ends the walk with its status. */
typedef ex_status ex_command_fn(void *ctx, uint64_t number, const ex_command_record *record,
                                ex_error *err);

/** EX_OK and *ret (borrowed from the batch's arena), or EX_ENOTFOUND. Sees what the batch staged.
 */
EX_NODISCARD ex_status ex_batch_command_find(ex_batch *b, ex_slice command_id,
                                             ex_command_record *ret, ex_error *err);
/** Stage a record; also survives when nothing is appended. When the submission's stage then fails
 * it is dropped. */
EX_NODISCARD ex_status ex_batch_command_record(ex_batch *b, const ex_command_record *record,
                                               ex_error *err);

#endif
