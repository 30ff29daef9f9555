/* bench_run.c: see bench_run.h. */
#include "cli/bench_run.h"

#include "cli/interrupt.h"

#include <excore/clock.h>

#include <inttypes.h>
#include <stdio.h>

uint64_t bench_now_ns(void)
{
    return ex_monotonic_ns(ex_clock_system());
}

bool bench_is_over(const bench_run *r)
{
    return interrupt_came() || (double)(bench_now_ns() - r->started_ns) >= r->seconds * 1e9;
}

void bench_answered(bench_run *r, uint64_t sent_ns, const ex_error *failure)
{
    if (failure) {
        r->errors++;
        r->last_error = *failure;
        return;
    }
    histogram_add(&r->latency, bench_now_ns() - sent_ns);
    atomic_fetch_add_explicit(&r->done, 1, memory_order_relaxed);
}

void bench_tick(bench_run *r)
{
    uint64_t now = bench_now_ns(), done = atomic_load(&r->done);
    if (!r->has_live_line || now - r->shown_ns < BENCH_TICK_MS * UINT64_C(900000))
        return;
    double rate = (double)(done - r->shown_done) * 1e9 / (double)(now - r->shown_ns);
    double left = r->seconds - (double)(now - r->started_ns) / 1e9;
    /* As many answers a second as are in flight at once take a second each (Little's law). */
    double latency_ms = rate > 0 ? 1e3 * r->in_flight / rate : 0;
    fprintf(stderr, "\r%6" PRIu32 " in flight  %9.0f/s  %8.2f ms  %3.0f s left \x1b[K",
            r->in_flight, rate, latency_ms, left > 0 ? left : 0);
    r->shown_ns = now;
    r->shown_done = done;
}

ex_slice bench_stream_name(const bench_run *r, uint64_t n, char out[BENCH_NAME_SIZE])
{
    int len = snprintf(out, BENCH_NAME_SIZE, "bench-%s-%" PRIu64, r->label, n);
    return ex_slice_of(out, (size_t)len);
}

ex_slice bench_event_data(const bench_run *r, uint64_t n, char *out)
{
    int head = snprintf(out, BENCH_EVENT_MIN, "{\"n\":%" PRIu64 ",\"filling\":\"", n % 10000000);
    memset(out + head, 'x', r->event_bytes - (size_t)head - 2);
    memcpy(out + r->event_bytes - 2, "\"}", 2);
    return ex_slice_of(out, r->event_bytes);
}
