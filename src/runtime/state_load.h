/* state_load.h: a state that takes long to fold is folded beside the batches, not in one.
 *
 * A batch holds the writer's lock, in PostgreSQL that of the log's head for all
 * nodes. So a command whose stream holds more news than a batch may read leaves
 * the batch; a thread with a reader of its own folds the state up to the version
 * that was committed then, and the command comes back. What was appended
 * meanwhile is read by its batch, or by another round when that is much, too. */
#ifndef EXCORE_RUNTIME_STATE_LOAD_H
#define EXCORE_RUNTIME_STATE_LOAD_H

#include "runtime/runtime_internal.h"
#include "store/submission.h"

EX_NODISCARD ex_status state_loads_start(ex_runtime *rt, state_loads **ret, ex_error *err);
/** No command is in flight. NULL is accepted. */
void state_loads_stop(state_loads *l);

/* ---- On the sequencer's thread, for stage functions ---- */

/** Whether the stream's state is being loaded: then the cache must not be asked for it. */
bool state_loads_has(const state_loads *l, ex_slice stream);
/** Leave the batch and come back behind those who wait for the same stream already, so that the
 *  commands of a stream keep their order. When loading fails, `s` is answered with that failure.
 *  @return EX_EAGAIN (it left the batch: return that), EX_EOVERLOADED */
EX_NODISCARD ex_status state_loads_wait(state_loads *l, ex_batch *b, ex_slice stream,
                                        ex_submission *s, ex_error *err);
/** Load the entry up to a committed version. It is taken out of the cache, and put back before `s`
 *  comes back; after EX_EOVERLOADED or EX_ENOMEM it is still there.
 *  @return EX_EAGAIN (`s` left the batch: return that), EX_EOVERLOADED, EX_ENOMEM */
EX_NODISCARD ex_status state_loads_begin(state_loads *l, ex_batch *b, state_entry *entry,
                                         uint64_t upto, ex_submission *s, ex_error *err);

#endif
