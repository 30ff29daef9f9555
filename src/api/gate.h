/* gate.h: counts the work that holds an exchange, so that stopping can wait for it.
 *
 * Enter before handing an exchange to another thread, leave on the loop when it
 * was answered. */
#ifndef EXCORE_API_GATE_H
#define EXCORE_API_GATE_H

#include <excore/error.h>

#include <pthread.h>
#include <stdatomic.h>

typedef struct gate {
    atomic_uint inside_count;
    atomic_bool is_closed;
    pthread_mutex_t mu; /* only for waiting */
    pthread_cond_t is_empty;
} gate;

void gate_init(gate *g);
/** After the loops have ended: the last one to leave touches the gate once more. */
void gate_done(gate *g);
/** @return EX_OK, EX_ECLOSED. Thread: any. Blocking: no. */
EX_NODISCARD ex_status gate_enter(gate *g, ex_error *err);
void gate_leave(gate *g);
/** Let nobody in any more and wait until everybody left. */
void gate_close(gate *g);

#endif
