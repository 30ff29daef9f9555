/* append_load.h: appends through the library, for a rate and to fill a log. */
#ifndef EXCORE_BENCH_APPEND_LOAD_H
#define EXCORE_BENCH_APPEND_LOAD_H

#include <excore/store.h>

#include "support/latencies.h"

/** A prime: n * BENCH_STRIDE % streams visits every stream once in a cycle, far from the last. */
#define BENCH_STRIDE 7919u

/** Append one BENCH_DATA_SIZE event at a time, each to a new stream. @return events a second */
double append_load_run(ex_store *store, uint32_t in_flight, double seconds);

/** The same, and how long each took from its submission to its answer.
 *  @param ret of milliseconds; empty before */
double append_load_timed(ex_store *store, uint32_t in_flight, double seconds, latencies *ret);

/** The same to `streams` streams, in an order that no cache foresees; whatever version they have.
 */
double append_load_spread(ex_store *store, uint32_t streams, uint32_t in_flight, double seconds);

/** Bring the log of the store in `dir` (created when missing) to `events` events of
 * BENCH_DATA_SIZE, ten in a stream. Without fsync: it is not what is measured. Exits on failure. */
void append_load_fill(const char *dir, uint64_t events);

#endif
