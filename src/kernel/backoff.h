/* backoff.h: how long to wait before the next try (R-01-55). */
#ifndef EXCORE_KERNEL_BACKOFF_H
#define EXCORE_KERNEL_BACKOFF_H

#include <excore/clock.h>

/** Zero fields take the defaults of T-2's retry section. */
typedef struct ex_backoff {
    uint32_t initial_ms; /* [100] */
    uint32_t max_ms;     /* [5000] */
} ex_backoff;

/** The wait before retry `attempt` (from 0): the initial one doubled for each attempt, at most the
 *  maximum, a quarter more or less by chance so that many who failed together do not come back
 *  together, never over the maximum. Thread: any. */
uint32_t ex_backoff_ms(const ex_backoff *b, uint32_t attempt, const ex_clock *clock);

#endif
