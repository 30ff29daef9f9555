/* view_wait.c: see view_wait.h. */
#include "api/rest/view_wait.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "kernel/thread.h"
#include "runtime/view_hurry.h"
#include "store/head_known.h"

#define TICK_NS 2000000

struct view_waits {
    /* immutable after start */
    ex_runtime *rt; /* NULL: none */
    ex_store *store;
    const ex_clock *clock;
    uint32_t limit;
    pthread_t thread;
    /* guarded by mu */
    pthread_mutex_t mu;
    pthread_cond_t changed;
    view_wait *waiting;
    uint32_t count;
    bool is_stopping;
};

/* ---- Views ---- */

static const ex_query_def *find_query(const ex_context *c, ex_slice name)
{
    for (uint32_t i = 0; i < c->query_count; i++)
        if (ex_slice_is(name, c->queries[i]->name))
            return c->queries[i];
    return NULL;
}

bool view_of_query(ex_runtime *rt, ex_slice context, ex_slice query, uint32_t *ret)
{
    const ex_app *app = ex_runtime_app(rt);
    const ex_query_def *q = NULL;
    for (uint32_t i = 0; i < app->context_count && !q; i++)
        if (ex_slice_is(context, app->contexts[i]->name))
            q = find_query(app->contexts[i], query);
    ex_view_status status;
    for (uint32_t i = 0; q && ex_runtime_view_status(rt, i, &status); i++)
        if (ex_slice_is(context, status.context) && strcmp(q->view->name, status.name) == 0) {
            *ret = i;
            return true;
        }
    return false;
}

bool view_has_seen(ex_runtime *rt, uint32_t view, uint64_t position)
{
    ex_view_status status;
    return !ex_runtime_view_status(rt, view, &status) || status.position >= position;
}

/* ---- The thread ---- */

static bool is_there(const view_waits *v, const view_wait *w)
{
    if (w->view == VIEW_WAIT_LOG)
        return ex_store_has_heard(v->store, w->min_position);
    if (w->view == VIEW_WAIT_PUBLISHED)
        return ex_store_head(v->store) >= w->min_position;
    return view_has_seen(v->rt, w->view, w->min_position);
}

/* Take those out whose wait is over, in any order. */
static view_wait *take_ready(view_waits *v)
{
    view_wait *ready = NULL;
    uint64_t now_ns = ex_monotonic_ns(v->clock);
    for (view_wait **at = &v->waiting; *at;) {
        view_wait *w = *at;
        if (w->deadline_ns > now_ns && !ex_cancel_is_requested(w->cancel) &&
            (w->earliest_ns > now_ns || !is_there(v, w))) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        v->count--;
        w->next = ready;
        ready = w;
    }
    return ready;
}

static void finish(view_wait *ready)
{
    while (ready) {
        view_wait *next = ready->next; /* done may free it */
        ready->done(ready);
        ready = next;
    }
}

static void *run(void *arg)
{
    view_waits *v = arg;
    const struct timespec tick = {.tv_nsec = TICK_NS};
    (void)pthread_mutex_lock(&v->mu);
    while (!v->is_stopping) {
        if (!v->waiting) {
            (void)pthread_cond_wait(&v->changed, &v->mu);
            continue;
        }
        view_wait *ready = take_ready(v);
        (void)pthread_mutex_unlock(&v->mu);
        finish(ready);
        (void)nanosleep(&tick, NULL); /* woken early is fine */
        (void)pthread_mutex_lock(&v->mu);
    }
    (void)pthread_mutex_unlock(&v->mu);
    return NULL;
}

ex_status view_waits_start(ex_runtime *rt, ex_store *store, const ex_clock *clock, uint32_t limit,
                           view_waits **ret, ex_error *err)
{
    view_waits *v = calloc(1, sizeof(*v));
    if (!v)
        return ex_raise(err, EX_ENOMEM, "no memory for waiting queries");
    v->rt = rt;
    v->store = store;
    v->clock = clock;
    v->limit = limit;
    (void)pthread_mutex_init(&v->mu, NULL); /* cannot fail with default attributes on Linux */
    (void)pthread_cond_init(&v->changed, NULL);
    ex_status st = ex_thread_start(&v->thread, "ex-view-wait", run, v, err);
    if (st) {
        (void)pthread_cond_destroy(&v->changed);
        (void)pthread_mutex_destroy(&v->mu);
        free(v);
        return st;
    }
    *ret = v;
    return EX_OK;
}

void view_waits_stop(view_waits *v)
{
    if (!v)
        return;
    (void)pthread_mutex_lock(&v->mu);
    assert(!v->waiting);
    v->is_stopping = true;
    (void)pthread_cond_signal(&v->changed);
    (void)pthread_mutex_unlock(&v->mu);
    (void)pthread_join(v->thread, NULL);
    (void)pthread_cond_destroy(&v->changed);
    (void)pthread_mutex_destroy(&v->mu);
    free(v);
}

ex_status view_waits_add(view_waits *v, view_wait *w, ex_error *err)
{
    ex_status st = EX_OK;
    (void)pthread_mutex_lock(&v->mu);
    if (v->count >= v->limit) {
        st = ex_raise(err, EX_EOVERLOADED, "%" PRIu32 " reads wait for a position already",
                      v->limit);
    } else {
        w->next = v->waiting;
        v->waiting = w;
        v->count++;
        if (w->view < VIEW_WAIT_PUBLISHED)
            view_hurry(v->rt, w->view, w->min_position);
        (void)pthread_cond_signal(&v->changed);
    }
    (void)pthread_mutex_unlock(&v->mu);
    return st;
}
