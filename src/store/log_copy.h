/* log_copy.h: carrying a log from one store to another, and proving that both are equal.
 *
 *   new -> check -> (catch_up -> ...) -> finish -> free
 *
 * The target's log has to be a prefix of the source's: check hashes both up to
 * the target's end, so a copy that was interrupted goes on where it was, and a
 * target with other events is refused before anything is written to it.
 * catch_up writes what is missing, with the command records, reads it back from
 * the target, and compares the digests of both sides (log_digest.h). It may be
 * called again for what was appended to the source meanwhile.
 *
 * The source may be open for reading only, while another process writes it.
 * What is not carried: read models (they are rebuilt from the log) and the audit
 * of refused retries. */
#ifndef EXCORE_STORE_LOG_COPY_H
#define EXCORE_STORE_LOG_COPY_H

#include <excore/store.h>

#include "store/log_digest.h"

typedef struct ex_log_copy ex_log_copy;

typedef enum ex_log_copy_phase {
    EX_COPY_CHECKING, /* the target against the source, event by event */
    EX_COPY_COPYING,
    EX_COPY_COMMANDS, /* numbers are command records; the total is not known (0) */
    EX_COPY_VERIFYING /* what was copied, read back */
} ex_log_copy_phase;

/** Called every few hundred events on the caller's thread.
 *  @param done, total positions
 *  @return false to stop: the call in progress returns EX_ECANCELLED */
typedef bool ex_log_copy_tick_fn(void *ctx, ex_log_copy_phase phase, uint64_t done, uint64_t total);

/** @param from, to borrowed until free
 *  @param tick may be NULL
 *  @return EX_OK, EX_ENOMEM, EX_EINTERNAL */
EX_NODISCARD ex_status ex_log_copy_new(ex_store *from, ex_store *to, ex_log_copy_tick_fn *tick,
                                       void *ctx, ex_log_copy **ret, ex_error *err);
/** NULL is accepted. Blocking: until what was queued is written. */
void ex_log_copy_free(ex_log_copy *c);

/** Compare from where both digests are up to the end of the shorter log. Writes nothing.
 *  @return EX_OK, EX_EPRECONDITION (err->position: the first event that differs, or the first that
 *          only the target has), EX_ECANCELLED, or a failure to read. Blocking: long. */
EX_NODISCARD ex_status ex_log_copy_check(ex_log_copy *c, ex_error *err);
/** Copy up to the source's end and prove it.
 *  @return as check; also EX_ECORRUPT (the target gave back something else) and why a write failed.
 *          After any failure the target is a prefix of the source. Blocking: long. */
EX_NODISCARD ex_status ex_log_copy_catch_up(ex_log_copy *c, ex_error *err);

/** After catch_up, when no more is to be copied: the target is the same log, and goes its own way
 * from here on (log_copy_identity.h). Without it nobody takes the target for the source.
 *  @return EX_OK, or why the target could not be written. Blocking: until it is durable. */
EX_NODISCARD ex_status ex_log_copy_finish(ex_log_copy *c, ex_error *err);

/** Where the target ends: everything before is durable there. Thread: any. */
uint64_t ex_log_copy_written(ex_log_copy *c);
/** Events and command records that were copied by this object. */
uint64_t ex_log_copy_events(const ex_log_copy *c);
uint64_t ex_log_copy_commands(const ex_log_copy *c);
/** Of both logs, after check or catch_up succeeded. */
const ex_log_digest *ex_log_copy_digest(const ex_log_copy *c);

#endif
