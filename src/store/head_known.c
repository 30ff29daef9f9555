/* head_known.c: see head_known.h. */
#include "store/head_known.h"

#include <errno.h>

#include "kernel/deadline.h"
#include "store/import.h"
#include "store/position_check.h"
#include "store/sequencer.h"
#include "store/store_metrics.h"

#define PROBE_MS 50 /* a process that only reads asks so often */

uint64_t head_known_now_ns(void)
{
    return ex_monotonic_ns(ex_clock_system()); /* real time, also under a test's clock */
}

static bool is_shared(const ex_store *s)
{
    return s->driver.ops->shared && s->sequencer;
}

static void raise_to(_Atomic uint64_t *number, uint64_t value)
{
    uint64_t before = atomic_load(number);
    while (before < value && !atomic_compare_exchange_weak(number, &before, value)) {
    }
}

void head_known_at(ex_store *s, uint64_t at_ns)
{
    raise_to(&s->known_ns, at_ns);
}

void head_known_heard(ex_store *s, uint64_t position, bool is_end)
{
    if (is_end)
        atomic_store(&s->heard, position); /* also lower: a log that has lost its end */
    else
        raise_to(&s->heard, position);
}

bool ex_store_has_heard(ex_store *s, uint64_t position)
{
    return atomic_load(&s->head) >= position || atomic_load(&s->heard) >= position;
}

uint64_t ex_store_head_age_ms(ex_store *s)
{
    if (!is_shared(s))
        return 0; /* nobody else appends, or the database is asked each time */
    uint64_t known_ns = atomic_load(&s->known_ns), now_ns = head_known_now_ns();
    return now_ns > known_ns ? (now_ns - known_ns) / 1000000 : 0;
}

void ex_store_look(ex_store *s)
{
    if (is_shared(s))
        sequencer_look_at_log(s->sequencer);
}

/* ---- Metrics ---- */

static void collect(void *ctx)
{
    ex_store *s = ctx;
    ex_gauge_set(s->metrics->head_age, (int64_t)ex_store_head_age_ms(s));
}

ex_status head_known_metrics(ex_store *s, ex_error *err)
{
    static const ex_metric_desc age = {
        "store_head_age_milliseconds",
        "How long ago this node last knew where the log, which others append to as well, ends.",
        {NULL}};
    ex_metrics *m = s->options.metrics;
    if (!m || !is_shared(s))
        return EX_OK;
    ex_status st = ex_metrics_gauge(m, &age, &s->metrics->head_age, err);
    if (st == EX_OK && ex_metrics_on_collect(m, collect, s))
        st = ex_raise(err, EX_ENOMEM, "no memory for the metrics of the store");
    return st;
}

void head_known_metrics_done(ex_store *s)
{
    ex_metrics_off_collect(s->options.metrics, collect, s);
}

/* ---- Reads that must see something ---- */

static ex_status check_primary(ex_store *s, void *reader, ex_error *err)
{
    const store_reader_ops *ops = s->driver.ops->reader;
    bool is_replica = false;
    if (!ops->is_replica || s->sequencer)
        return EX_OK;
    ex_status st = ops->is_replica(reader, &is_replica, err);
    return st || !is_replica
               ? st
               : ex_raise(err, EX_EAGAIN,
                          "a standby does not know where the log of its primary ends");
}

ex_status head_known_bound(ex_store *s, void *reader, uint64_t min_position, bool is_current,
                           uint64_t *ret, ex_error *err)
{
    uint64_t upto = 0, asked = 0;
    ex_status st = is_current ? check_primary(s, reader, err) : EX_OK;
    if (st)
        return st;
    if (s->sequencer)
        upto = atomic_load_explicit(&s->head, memory_order_acquire);
    if (!s->sequencer || (is_shared(s) && (is_current || upto < min_position))) {
        st = s->driver.ops->reader->head(reader, &asked, err);
        if (st)
            return st;
        head_known_heard(s, asked, false);
        upto = asked > upto ? asked : upto;
    }
    if (upto < min_position)
        return position_raise_ahead(min_position, upto, err);
    *ret = upto;
    return EX_OK;
}

ex_status ex_store_current_head(ex_store *s, uint64_t *ret, ex_error *err)
{
    void *reader = NULL;
    if (s->sequencer && !is_shared(s)) {
        *ret = ex_store_head(s);
        return EX_OK;
    }
    ex_status st = reader_pool_take(&s->readers, &reader, err);
    if (st)
        return st;
    st = head_known_bound(s, reader, 0, true, ret, err);
    reader_pool_give(&s->readers, reader, st != EX_OK);
    return st;
}

/* ---- Waiting ---- */

typedef struct waiter {
    ex_watcher watcher; /* first */
    pthread_mutex_t mu;
    pthread_cond_t moved;
} waiter;

static void wake(ex_watcher *w, uint64_t head)
{
    waiter *it = (waiter *)w;
    (void)head;
    (void)pthread_mutex_lock(&it->mu);
    (void)pthread_cond_signal(&it->moved);
    (void)pthread_mutex_unlock(&it->mu);
}

static bool has_seen(ex_store *s, uint64_t position)
{
    return ex_store_head(s) >= position || atomic_load(&s->live.is_closed);
}

/* False: the time is over. The look at the head comes after the watcher was added, or under its
 * lock: no commit in between is missed. */
static bool wait_until(ex_store *s, waiter *w, uint64_t position, const struct timespec *until)
{
    int rc = 0;
    (void)pthread_mutex_lock(&w->mu);
    while (rc == 0 && !has_seen(s, position)) {
        struct timespec probe = ex_deadline(PROBE_MS);
        bool is_last = until->tv_sec < probe.tv_sec ||
                       (until->tv_sec == probe.tv_sec && until->tv_nsec <= probe.tv_nsec);
        if (s->sequencer || is_last)
            rc = pthread_cond_timedwait(&w->moved, &w->mu, until);
        else
            (void)pthread_cond_timedwait(&w->moved, &w->mu, &probe);
    }
    (void)pthread_mutex_unlock(&w->mu);
    return rc == 0;
}

ex_status ex_store_wait(ex_store *s, uint64_t position, uint32_t timeout_ms, ex_error *err)
{
    waiter w = {.watcher.wake = wake};
    struct timespec until = ex_deadline(timeout_ms);
    if (has_seen(s, position))
        return ex_store_head(s) >= position ? EX_OK
                                            : ex_raise(err, EX_ECLOSED, "the store is closing");
    (void)pthread_mutex_init(&w.mu, NULL); /* cannot fail on Linux */
    ex_cond_init(&w.moved);
    ex_store_watch(s, &w.watcher);
    ex_store_look(s); /* now, and not when the database has told */
    (void)wait_until(s, &w, position, &until);
    ex_store_unwatch(s, &w.watcher);
    (void)pthread_cond_destroy(&w.moved);
    (void)pthread_mutex_destroy(&w.mu);
    uint64_t head = ex_store_head(s);
    if (head >= position)
        return EX_OK;
    return atomic_load(&s->live.is_closed)
               ? ex_raise(err, EX_ECLOSED, "the store is closing")
               : ex_raise(err, EX_ETIMEOUT, "the log is at position %llu, not yet at %llu",
                          (unsigned long long)head, (unsigned long long)position);
}
