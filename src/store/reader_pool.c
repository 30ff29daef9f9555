/* reader_pool.c: lend, keep, wait in line. */
#include "store/reader_pool.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "kernel/deadline.h"

#define IDLE_MAX_NS (UINT64_C(600) * 1000000000)

ex_status reader_pool_init(reader_pool *p, const store_driver *driver, uint32_t limit,
                           uint32_t timeout_ms, const ex_clock *clock, ex_error *err)
{
    memset(p, 0, sizeof(*p));
    p->idle = calloc(limit, sizeof(*p->idle));
    if (!p->idle)
        return ex_raise(err, EX_ENOMEM, "no memory for %u readers", limit);
    p->driver = driver;
    p->clock = clock;
    p->limit = limit;
    p->timeout_ms = timeout_ms;
    p->end = &p->first;
    (void)pthread_mutex_init(&p->mu, NULL); /* cannot fail on Linux */
    return EX_OK;
}

void reader_pool_done(reader_pool *p)
{
    if (!p->idle)
        return;
    assert(p->idle_count == p->open_count && !p->first);
    for (uint32_t i = 0; i < p->idle_count; i++)
        p->driver->ops->reader->close(p->idle[i].reader);
    free(p->idle);
    (void)pthread_mutex_destroy(&p->mu);
    memset(p, 0, sizeof(*p));
}

/* The lock is held, also in what follows. */
static void leave_line(reader_pool *p, const reader_waiter *w)
{
    reader_waiter **at = &p->first;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    if (!*at)
        p->end = at;
}

/* False when time is up. */
static bool wait_in_line(reader_pool *p, void **ret_reader)
{
    reader_waiter w = {0};
    struct timespec deadline = ex_deadline(p->timeout_ms);
    ex_cond_init(&w.granted);
    *p->end = &w;
    p->end = &w.next;
    int rc = 0;
    while (!w.is_granted && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&w.granted, &p->mu, &deadline);
    if (!w.is_granted)
        leave_line(p, &w);
    (void)pthread_cond_destroy(&w.granted);
    *ret_reader = w.reader;
    return w.is_granted;
}

/* Hand a reader, or with NULL the right to open one, to the first in line. False: there is none. */
static bool grant(reader_pool *p, void *reader)
{
    reader_waiter *w = p->first;
    if (!w)
        return false;
    p->first = w->next;
    if (!p->first)
        p->end = &p->first;
    w->reader = reader;
    w->is_granted = true;
    (void)pthread_cond_signal(&w->granted);
    return true;
}

/* An idle reader, or the right to open one (*ret_reader NULL); false when time is up. */
static bool wait_for_turn(reader_pool *p, void **ret_reader)
{
    bool is_granted = true;
    *ret_reader = NULL;
    (void)pthread_mutex_lock(&p->mu);
    if (p->idle_count)
        *ret_reader = p->idle[--p->idle_count].reader;
    else if (p->open_count < p->limit)
        p->open_count++;
    else
        is_granted = wait_in_line(p, ret_reader);
    (void)pthread_mutex_unlock(&p->mu);
    return is_granted;
}

ex_status reader_pool_take(reader_pool *p, void **ret_reader, ex_error *err)
{
    void *reader = NULL;
    if (!wait_for_turn(p, &reader))
        return ex_raise(err, EX_ETIMEOUT, "all %u readers of the store were busy for %u ms",
                        p->limit, p->timeout_ms);
    if (!reader) {
        ex_status st = p->driver->ops->reader->open(p->driver->impl, &reader, err);
        if (st) {
            reader_pool_give(p, NULL, true);
            return st;
        }
    }
    *ret_reader = reader;
    return EX_OK;
}

/* mu is held. The reader that was idle for too long, no longer the pool's; NULL: none. */
static void *take_stale(reader_pool *p, uint64_t now_ns)
{
    if (p->idle_count == 0 || now_ns <= p->idle[0].since_ns + IDLE_MAX_NS)
        return NULL;
    void *reader = p->idle[0].reader;
    p->idle_count--;
    p->open_count--;
    memmove(p->idle, p->idle + 1, p->idle_count * sizeof(*p->idle));
    return reader;
}

void reader_pool_give(reader_pool *p, void *reader, bool is_broken)
{
    uint64_t now_ns = ex_monotonic_ns(p->clock);
    if (is_broken)
        p->driver->ops->reader->close(reader);
    (void)pthread_mutex_lock(&p->mu);
    void *stale = take_stale(p, now_ns);
    if (!grant(p, is_broken ? NULL : reader)) {
        if (is_broken)
            p->open_count--;
        else
            p->idle[p->idle_count++] = (idle_reader){reader, now_ns};
    }
    (void)pthread_mutex_unlock(&p->mu);
    if (stale)
        p->driver->ops->reader->close(stale);
}
