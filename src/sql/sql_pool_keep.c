/* sql_pool_keep.c: upkeep of a pool on a server, on a thread of its own, for it may connect.
 *
 * Each round looks at every connection that nobody uses: one that the server has closed and one
 * past its lifetime go, one that idles for too long goes while more than min_conns are open, and
 * what is then missing to min_conns is opened. So a burst's connections are given back to the
 * server, and a server that was restarted is found out here and not by the next query.
 *
 * While a slot is looked at it is taken, as by a user; its idle time goes on. */
#include "sql/sql_pool_int.h"

#include "kernel/deadline.h"
#include "kernel/thread.h"

#define CONNECT_MS 5000 /* closing the pool waits for it */

/* ---- One slot: taken, mu not held ---- */

static bool take_idle(ex_sql_pool *p, pool_slot *s)
{
    pthread_mutex_lock(&p->mu);
    bool is_idle = !s->is_taken && s->db && !p->is_closing;
    s->is_taken = s->is_taken || is_idle;
    pthread_mutex_unlock(&p->mu);
    return is_idle;
}

/* An empty slot, when too few connections are open; those out count. */
static pool_slot *take_missing(ex_sql_pool *p)
{
    uint32_t open = 0;
    pool_slot *empty = NULL;
    pthread_mutex_lock(&p->mu);
    for (uint32_t i = 0; i < p->max_conns; i++) {
        pool_slot *s = &p->slots[i];
        bool is_empty = !s->db && !s->is_taken;
        open += !is_empty;
        empty = is_empty && !empty ? s : empty;
    }
    if (open >= p->min_conns || p->is_closing)
        empty = NULL;
    if (empty)
        empty->is_taken = true;
    pthread_mutex_unlock(&p->mu);
    return empty;
}

static void release(ex_sql_pool *p, pool_slot *s)
{
    pthread_mutex_lock(&p->mu);
    s->is_taken = false;
    pthread_cond_broadcast(&p->freed);
    pthread_mutex_unlock(&p->mu);
}

static bool is_idle_too_long(ex_sql_pool *p, const pool_slot *s)
{
    uint32_t open = 0;
    if (ex_monotonic_ns(p->clock) - s->idle_ns <= p->max_idle_ns)
        return false;
    pthread_mutex_lock(&p->mu);
    for (uint32_t i = 0; i < p->max_conns; i++)
        open += p->slots[i].db != NULL;
    pthread_mutex_unlock(&p->mu);
    return open > p->min_conns;
}

/* ---- A round ---- */

void ex_sql_pool_tend(ex_sql_pool *p)
{
    pool_slot *s;
    if (p->has_writer)
        return;                                   /* a file's connections cost nobody anything */
    for (uint32_t i = p->max_conns; i > 0; i--) { /* the high ones are used least */
        s = &p->slots[i - 1];
        if (!take_idle(p, s))
            continue;
        if (ex_sql_check(s->db, NULL) || pool_is_outlived(p, s) || is_idle_too_long(p, s))
            pool_disconnect(p, s);
        release(p, s);
    }
    ex_status st = EX_OK;
    while (!st && (s = take_missing(p)) != NULL) {
        st = pool_connect(p, s, CONNECT_MS, NULL); /* whoever needs one next is told why */
        release(p, s);
    }
}

static void *keep(void *arg)
{
    ex_sql_pool *p = arg;
    pthread_mutex_lock(&p->mu);
    while (!p->is_stopping) {
        struct timespec until = ex_deadline(p->tend_ms);
        int rc = 0;
        while (!p->is_stopping && rc == 0)
            rc = pthread_cond_timedwait(&p->stopped, &p->mu, &until);
        if (p->is_stopping)
            break;
        pthread_mutex_unlock(&p->mu);
        ex_sql_pool_tend(p);
        pthread_mutex_lock(&p->mu);
    }
    pthread_mutex_unlock(&p->mu);
    return NULL;
}

ex_status pool_keeper_start(ex_sql_pool *p, ex_error *err)
{
    if (p->has_writer)
        return EX_OK;
    ex_status st = ex_thread_start(&p->keeper, "ex-pool-keep", keep, p, err);
    p->has_keeper = st == EX_OK;
    return st;
}

void pool_keeper_stop(ex_sql_pool *p)
{
    if (!p->has_keeper)
        return;
    pthread_mutex_lock(&p->mu);
    p->is_stopping = true;
    pthread_cond_signal(&p->stopped);
    pthread_mutex_unlock(&p->mu);
    (void)pthread_join(p->keeper, NULL);
    p->has_keeper = false;
}
