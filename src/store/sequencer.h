/* sequencer.h: the one thread that orders and writes everything. */
#ifndef EXCORE_STORE_SEQUENCER_H
#define EXCORE_STORE_SEQUENCER_H

#include "store/store_internal.h"

typedef struct sequencer sequencer;

/** Start the thread; the store's driver, metrics, live part and head are ready.
 *  @return EX_OK, EX_ENOMEM, EX_EAGAIN (no thread) */
EX_NODISCARD ex_status sequencer_start(ex_store *store, sequencer **ret, ex_error *err);
/** Refuse new submissions, finish the queued ones, join, free. NULL is accepted. */
void sequencer_stop(sequencer *q);
/** Queue a submission. @return EX_OK, EX_EOVERLOADED, EX_ECLOSED. Thread: any. */
EX_NODISCARD ex_status sequencer_submit(sequencer *q, ex_submission *s, ex_error *err);
/** Give back what left a batch for a search. Thread: any. */
void sequencer_bring_back(sequencer *q, ex_submission *s);
/** The same as sequencer_submit whatever the limit, not counted among the appends; the sequencer is
 * not stopping. */
void sequencer_submit_again(sequencer *q, ex_submission *s);
/** Let it look soon what others have done to the log, without a batch. Thread: any. */
void sequencer_look_at_log(sequencer *q);

#endif
