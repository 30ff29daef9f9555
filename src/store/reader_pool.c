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
    ex_cond_init(&p->freed);
    (void)pthread_mutex_init(&p->mu, NULL); /* cannot fail on Linux */
    return EX_OK;
}

void reader_pool_done(reader_pool *p)
{
    if (!p->idle)
        return;
    assert(p->idle_count == p->open_count);
    for (uint32_t i = 0; i < p->idle_count; i++)
        p->driver->ops->reader->close(p->idle[i].reader);
    free(p->idle);
    (void)pthread_cond_destroy(&p->freed); /* nobody waits */
    (void)pthread_mutex_destroy(&p->mu);
    memset(p, 0, sizeof(*p));
}

/* An idle reader, or the right to open one (*ret_reader NULL); false when time is up. */
static bool wait_for_turn(reader_pool *p, void **ret_reader)
{
    bool is_granted = true;
    struct timespec deadline = ex_deadline(p->timeout_ms);
    (void)pthread_mutex_lock(&p->mu);
    while (p->idle_count == 0 && p->open_count == p->limit && is_granted)
        is_granted = pthread_cond_timedwait(&p->freed, &p->mu, &deadline) != ETIMEDOUT;
    if (p->idle_count) {
        *ret_reader = p->idle[--p->idle_count].reader;
        is_granted = true;
    } else if (p->open_count < p->limit) {
        *ret_reader = NULL;
        p->open_count++;
        is_granted = true;
    }
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
    if (is_broken)
        p->open_count--;
    else
        p->idle[p->idle_count++] = (idle_reader){reader, now_ns};
    (void)pthread_cond_signal(&p->freed);
    (void)pthread_mutex_unlock(&p->mu);
    if (stale)
        p->driver->ops->reader->close(stale);
}
