/* condition_load.h: tagged events, and appends with conditions on them. */
#ifndef EXCORE_BENCH_CONDITION_LOAD_H
#define EXCORE_BENCH_CONDITION_LOAD_H

#include <excore/store.h>

/** Bring the log of the store at `place` to `events` events, each with the tag tenant:1 and one of
 *  n:0 and n:1 in turn. Without fsync: it is not what is measured. Exits on failure. */
void condition_load_fill(const char *place, uint64_t events);

/** Append events with the tag tenant:1 and one of their own, each to a new stream. With a condition
 *  each asks that no event has both tags after the head as it is then. @return events a second */
double condition_load_run(ex_store *store, bool has_condition, uint32_t in_flight, double seconds);

/** Clients that ask, until they are stopped, for what no event in the whole log has, and which
 * cannot be told without looking at all of it: both n:0 and n:1. */
typedef struct wide_clients wide_clients;
wide_clients *wide_clients_start(ex_store *store, uint32_t clients);
/** @return how many conditions were answered */
uint64_t wide_clients_stop(wide_clients *w);

#endif
