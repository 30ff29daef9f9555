/* deadline.h: waiting on a condition variable until a time that no clock change moves.
 *
 * Real time, also under a test's clock: a deadline bounds how long a thread
 * sleeps, it decides nothing that is stored. */
#ifndef EXCORE_KERNEL_DEADLINE_H
#define EXCORE_KERNEL_DEADLINE_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

/** Initialise a condition variable whose timed waits take an ex_deadline. */
void ex_cond_init(pthread_cond_t *cond);
/** The time `ms` milliseconds from now, for pthread_cond_timedwait. */
struct timespec ex_deadline(uint64_t ms);

#endif
