/* write_state.h: whether the store's writes work: the outcome of the last batch that wrote.
 *
 * The sequencer tells, anybody asks. A store that has failed and is idle since
 * would stay so: asking it then sends a batch through that changes nothing. Once the
 * files of the log were taken away writing has ended, and that stays. */
#ifndef EXCORE_STORE_WRITE_STATE_H
#define EXCORE_STORE_WRITE_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include <excore/error.h>

typedef struct write_state {
    atomic_bool is_failing; /* read without the lock */
    atomic_bool has_ended;  /* likewise; never reset */
    /* guarded by mu */
    pthread_mutex_t mu;
    ex_error why;
} write_state;

void write_state_init(write_state *w);
void write_state_done(write_state *w);

/** The last batch was lost; it was stored. Thread: the sequencer's. */
void write_state_failed(write_state *w, const ex_error *why);
void write_state_worked(write_state *w);
/** Nothing can be written any more. Thread: the sequencer's. */
void write_state_end(write_state *w, const ex_error *why);
static inline bool write_state_has_ended(write_state *w)
{
    return atomic_load_explicit(&w->has_ended, memory_order_relaxed);
}
/** EX_OK, or why the last batch failed. Thread: any. */
EX_NODISCARD ex_status write_state_tell(write_state *w, ex_error *err);

#endif
