/* watchdog.c: one thread that looks at a start time now and then. */
#include "runtime/watchdog.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "kernel/deadline.h"
#include "kernel/thread.h"

struct watchdog {
    /* immutable */
    uint32_t limit_ms;
    const ex_clock *clock;
    watchdog_report_fn *report;
    void *ctx;
    pthread_t thread;
    /* atomic: written by the watched thread */
    _Atomic(const char *) name; /* NULL: nothing runs */
    _Atomic uint64_t run;       /* number of the run */
    _Atomic uint64_t started_ns;
    /* guarded by mu */
    pthread_mutex_t mu;
    pthread_cond_t wake;
    bool is_stopping;
};

static void look(watchdog *w, uint64_t *reported_run)
{
    uint64_t run = atomic_load(&w->run);
    const char *name = atomic_load(&w->name);
    uint64_t now = ex_monotonic_ns(w->clock), started = atomic_load(&w->started_ns);
    if (!name || run == *reported_run || now < started || atomic_load(&w->run) != run)
        return;
    uint64_t running_ms = (now - started) / 1000000;
    if (running_ms < w->limit_ms)
        return;
    *reported_run = run;
    w->report(w->ctx, name, running_ms);
}

static void *watch(void *arg)
{
    watchdog *w = arg;
    uint64_t reported_run = 0;
    pthread_mutex_lock(&w->mu);
    while (!w->is_stopping) {
        struct timespec until = ex_deadline(w->limit_ms / 2 + 1);
        (void)pthread_cond_timedwait(&w->wake, &w->mu, &until); /* either way it looks */
        pthread_mutex_unlock(&w->mu);
        look(w, &reported_run);
        pthread_mutex_lock(&w->mu);
    }
    pthread_mutex_unlock(&w->mu);
    return NULL;
}

ex_status watchdog_start(uint32_t limit_ms, const ex_clock *clock, watchdog_report_fn *report,
                         void *ctx, watchdog **ret, ex_error *err)
{
    watchdog *w = calloc(1, sizeof(*w));
    if (!w)
        return ex_raise(err, EX_ENOMEM, "no memory for the watchdog");
    w->limit_ms = limit_ms;
    w->clock = clock;
    w->report = report;
    w->ctx = ctx;
    pthread_mutex_init(&w->mu, NULL);
    ex_cond_init(&w->wake);
    ex_status st = ex_thread_start(&w->thread, "ex-watchdog", watch, w, err);
    if (st) {
        pthread_cond_destroy(&w->wake);
        pthread_mutex_destroy(&w->mu);
        free(w);
        return st;
    }
    *ret = w;
    return EX_OK;
}

void watchdog_stop(watchdog *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->mu);
    w->is_stopping = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->mu);
    pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->mu);
    free(w);
}

void watchdog_enter(watchdog *w, const char *name)
{
    if (!w)
        return;
    atomic_store_explicit(&w->started_ns, ex_monotonic_ns(w->clock), memory_order_relaxed);
    atomic_fetch_add_explicit(&w->run, 1, memory_order_relaxed);
    atomic_store_explicit(&w->name, name, memory_order_release);
}

void watchdog_leave(watchdog *w)
{
    if (w)
        atomic_store_explicit(&w->name, NULL, memory_order_release);
}
