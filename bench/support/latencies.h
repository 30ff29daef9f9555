/* latencies.h: many single measurements, of which quantiles are wanted. */
#ifndef EXCORE_BENCH_LATENCIES_H
#define EXCORE_BENCH_LATENCIES_H

#include <stddef.h>

/** Zero-initialised is empty. One thread at a time. */
typedef struct latencies {
    double *values;
    size_t count, room;
} latencies;

/** Exits when there is no memory. */
void latencies_add(latencies *l, double value);
/** The value that `share` of all do not exceed (0.99); 0 when there are none. Sorts. */
double latencies_at(latencies *l, double share);
void latencies_done(latencies *l);

#endif
