/* bench_run.h: one row of the bench: so many appends in flight, for a set time.
 *
 * Two drivers fill it: through the library, or over HTTP/1.1 connections that are
 * kept, one for each append in flight. Every append goes to a new stream. */
#ifndef EXCORE_CLI_BENCH_RUN_H
#define EXCORE_CLI_BENCH_RUN_H

#include "cli/histogram.h"

#include <excore/error.h>
#include <excore/store.h>

#include <stdatomic.h>

#define BENCH_TICK_MS   200
#define BENCH_NAME_SIZE 64

typedef struct bench_run {
    /* asked for */
    uint32_t in_flight;
    uint32_t event_bytes;
    double seconds;
    const char *label; /* part of the streams' names: different in every run */
    bool has_live_line;
    /* measured; the driver's threads */
    histogram latency; /* nanoseconds */
    uint64_t errors;
    ex_error last_error;
    uint64_t started_ns, ended_ns;
    /* any thread */
    atomic_uint_fast64_t done;
    /* the live line */
    uint64_t shown_ns, shown_done;
} bench_run;

uint64_t bench_now_ns(void);
/** True when the time is up or Ctrl-C came. */
bool bench_is_over(const bench_run *r);
/** Count an answer: its latency, or its failure. Thread: the one that owns `latency`. */
void bench_answered(bench_run *r, uint64_t sent_ns, const ex_error *failure);
/** Show rate and time left; call it about every BENCH_TICK_MS. */
void bench_tick(bench_run *r);

/** The name of stream `n`, and the JSON of its event: exactly `event_bytes` bytes into `out`. */
ex_slice bench_stream_name(const bench_run *r, uint64_t n, char out[BENCH_NAME_SIZE]);
ex_slice bench_event_data(const bench_run *r, uint64_t n, char *out);
#define BENCH_EVENT_MIN 32 /* bytes: the frame around the filling */

/** @return EX_OK also when appends failed (counted); else why nothing could be measured */
EX_NODISCARD ex_status bench_local(ex_store *store, bench_run *r, ex_error *err);
EX_NODISCARD ex_status bench_remote(const char *url, bench_run *r, ex_error *err);

#endif
