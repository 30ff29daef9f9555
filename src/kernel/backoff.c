/* backoff.c: see backoff.h. */
#include "kernel/backoff.h"

#define INITIAL_MS 100
#define MAX_MS     5000

uint32_t ex_backoff_ms(const ex_backoff *b, uint32_t attempt, const ex_clock *clock)
{
    uint64_t max = b->max_ms ? b->max_ms : MAX_MS;
    uint64_t ms = b->initial_ms ? b->initial_ms : INITIAL_MS;
    for (; attempt > 0 && ms < max; attempt--)
        ms *= 2;
    if (ms > max)
        ms = max;
    uint16_t chance = 0; /* without randomness the jitter is its lower end */
    (void)clock->random(clock->ctx, &chance, sizeof(chance));
    ms = ms * 3 / 4 + ms / 2 * chance / UINT16_MAX;
    return (uint32_t)(ms > max ? max : ms);
}
