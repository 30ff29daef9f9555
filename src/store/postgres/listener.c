/* listener.c: a thread that hears of commits, whoever made them.
 *
 * Every commit notifies the store's channel with the new head. The thread waits
 * for that on a connection of its own. It asks for the head twice a second as
 * well: a notification may have been lost or never sent (a pooler in between), and
 * the store is to know how old its knowledge is (head_known.h). When the
 * connection ends it makes a new one, with a pause; until then the store learns
 * what others append from its own batches only. */
#include <excore/clock.h>

#include <errno.h>
#include <stdlib.h>

#include "kernel/deadline.h"
#include "kernel/thread.h"
#include "store/postgres/postgres_driver.h"

#define POLL_MS        500
#define NS_PER_MS      UINT64_C(1000000)
#define ANSWER_MS      2000 /* a head that is older is of no use */
#define PAUSE_MS       200  /* before connecting anew; doubled up to */
#define PAUSE_LIMIT_MS 1000

static bool is_stopping(pg_listener *l)
{
    (void)pthread_mutex_lock(&l->mu);
    bool stopping = l->is_stopping;
    (void)pthread_mutex_unlock(&l->mu);
    return stopping;
}

static void pause_for(pg_listener *l, uint32_t ms)
{
    struct timespec until = ex_deadline(ms);
    int rc = 0;
    (void)pthread_mutex_lock(&l->mu);
    while (!l->is_stopping && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&l->stopping, &l->mu, &until);
    (void)pthread_mutex_unlock(&l->mu);
}

static void share_connection(pg_listener *l, ex_pg *pg)
{
    (void)pthread_mutex_lock(&l->mu);
    l->pg = pg;
    (void)pthread_mutex_unlock(&l->mu);
}

static void on_notify(void *ctx, const char *channel, ex_slice payload)
{
    (void)channel;
    pg_listener *l = ctx;
    uint64_t position = 0;
    for (size_t i = 0; i < payload.len && payload.ptr[i] >= '0' && payload.ptr[i] <= '9'; i++)
        position = position * 10 + (uint64_t)(payload.ptr[i] - '0');
    l->fn(l->ctx, payload.len ? position : STORE_LOOK_AGAIN, 0); /* nothing: an epoch was opened */
}

static ex_status ask_for_head(pg_listener *l, ex_pg *pg)
{
    ex_pg_result r = {0};
    uint64_t asked_ns = ex_monotonic_ns(ex_clock_system());
    ex_pg_allow(pg, ANSWER_MS);
    ex_status st = ex_pg_run(pg, pg_sql(PG_HEAD), NULL, &r, NULL);
    if (st == EX_OK && r.rows)
        l->fn(l->ctx, (uint64_t)ex_pg_get_i64(&r, 0, 0), asked_ns);
    ex_pg_result_free(&r);
    return st;
}

/* Until the connection ends or the thread is stopped. */
static void listen_on(pg_listener *l, const postgres_driver *d, ex_pg *pg)
{
    ex_pg_allow(pg, ANSWER_MS);
    ex_status st = ex_pg_listen(pg, d->channel, NULL);
    uint64_t asked_ns = 0; /* what came before LISTEN took effect was missed */
    if (st == EX_OK)
        l->fn(l->ctx, STORE_LOOK_AGAIN,
              0); /* the log may have lost its end with the last connection */
    while (st == EX_OK && !is_stopping(l)) {
        uint64_t now = ex_monotonic_ns(ex_clock_system()), next_ns = asked_ns + POLL_MS * NS_PER_MS;
        if (now < next_ns) {
            st = ex_pg_wait_notify(pg, (uint32_t)((next_ns - now) / NS_PER_MS) + 1, on_notify, l,
                                   NULL);
        } else {
            asked_ns = now;
            st = ask_for_head(l, pg);
        }
    }
}

static void *run(void *arg)
{
    postgres_driver *d = arg;
    pg_listener *l = &d->listener;
    uint32_t pause_ms = PAUSE_MS;
    while (!is_stopping(l)) {
        ex_pg *pg = NULL;
        if (pg_open_session(d, PG_SESSION_SQL, &l->end_ns, &pg, NULL) == EX_OK) {
            pause_ms = PAUSE_MS;
            share_connection(l, pg);
            listen_on(l, d, pg);
            share_connection(l, NULL);
        }
        ex_pg_close(pg);
        pause_for(l, pause_ms);
        pause_ms = 2 * pause_ms < PAUSE_LIMIT_MS ? 2 * pause_ms : PAUSE_LIMIT_MS;
    }
    return NULL;
}

ex_status pg_follow(void *impl, store_follow_fn *fn, void *ctx, ex_error *err)
{
    postgres_driver *d = impl;
    pg_listener *l = &d->listener;
    l->fn = fn;
    l->ctx = ctx;
    ex_status st = ex_thread_start(&l->thread, "ex-pg-listener", run, d, err);
    l->is_running = st == EX_OK;
    return st;
}

void pg_unfollow(void *impl)
{
    pg_listener *l = &((postgres_driver *)impl)->listener;
    if (!l->is_running)
        return;
    (void)pthread_mutex_lock(&l->mu);
    l->is_stopping = true;
    atomic_store(&l->end_ns, 0); /* whatever it waits for */
    if (l->pg)
        ex_pg_wake(l->pg);
    (void)pthread_cond_signal(&l->stopping);
    (void)pthread_mutex_unlock(&l->mu);
    (void)pthread_join(l->thread, NULL); /* our own thread, joined once */
    l->is_running = false;
}
