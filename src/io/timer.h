/* timer.h: a repeating timer of a loop. */
#ifndef EXCORE_IO_TIMER_H
#define EXCORE_IO_TIMER_H

#include "io/loop.h"

typedef struct ex_timer ex_timer;

/** Call fn(arg) on the loop's thread every period_ms. NULL when out of memory. Loop thread. */
ex_timer *ex_timer_start(ex_loop *l, uint32_t period_ms, void (*fn)(void *arg), void *arg);
/** No call comes after it returned; it frees itself once libuv let go. NULL is accepted. Loop
 * thread. */
void ex_timer_stop(ex_timer *t);

#endif
