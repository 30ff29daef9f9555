/* loop.c: an event loop thread over libuv, with a lock-free queue of posted jobs.
 *
 * Happy path: posters push onto an intrusive stack with one compare-and-swap;
 * whoever finds it empty wakes the loop. The loop takes the whole stack with
 * one exchange, turns it round and runs it, so jobs run in posting order and
 * any number of them costs one wake-up.
 * Ending: ex_loop_stop un-references the wake-up handle, so uv_run returns as
 * soon as the last other handle is closed; jobs posted until then still run. */
#include "io/loop.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "kernel/thread.h"

struct ex_loop {
    /* immutable after start */
    uv_loop_t uv;
    pthread_t thread;
    /* any thread */
    uv_async_t wake;
    _Atomic(ex_post *) posts;  /* newest first */
    atomic_uint posting_count; /* threads inside ex_loop_post: the loop must outlive them */
    /* loop thread */
    ex_post stop;
    bool is_stopping;
};

static _Thread_local const ex_loop *current;

static void run_posts(ex_loop *l)
{
    ex_post *newest = atomic_exchange_explicit(&l->posts, NULL, memory_order_acquire);
    ex_post *oldest = NULL;
    while (newest) {
        ex_post *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        ex_post *next = oldest->next; /* fn may free or post it again */
        oldest->fn(oldest->arg);
        oldest = next;
    }
}

static void on_wake(uv_async_t *wake)
{
    run_posts(wake->data);
}

static void on_stop(void *arg)
{
    ex_loop *l = arg;
    l->is_stopping = true;
    uv_unref((uv_handle_t *)&l->wake);
}

static void *loop_main(void *arg)
{
    ex_loop *l = arg;
    current = l;
    do {
        (void)uv_run(&l->uv, UV_RUN_DEFAULT); /* whether handles are left is asked below */
        run_posts(l);
    } while (!l->is_stopping || uv_loop_alive(&l->uv) || atomic_load(&l->posts));
    uv_close((uv_handle_t *)&l->wake, NULL);
    (void)uv_run(&l->uv, UV_RUN_DEFAULT); /* runs the close of the wake-up handle */
    return NULL;
}

ex_status ex_loop_start(const char *name, ex_loop **ret, ex_error *err)
{
    ex_loop *l = calloc(1, sizeof(*l));
    if (!l)
        return ex_raise(err, EX_ENOMEM, "event loop \"%s\"", name);
    l->stop = (ex_post){.fn = on_stop, .arg = l};
    ex_status st = EX_OK;
    int rc = uv_loop_init(&l->uv);
    if (rc)
        goto out_free;
    rc = uv_async_init(&l->uv, &l->wake, on_wake);
    if (rc)
        goto out_loop;
    l->wake.data = l;
    st = ex_thread_start(&l->thread, name, loop_main, l, err);
    if (st == EX_OK) {
        *ret = l;
        return EX_OK;
    }
    uv_close((uv_handle_t *)&l->wake, NULL);
    (void)uv_run(&l->uv, UV_RUN_DEFAULT); /* runs the close of the wake-up handle */
out_loop:
    (void)uv_loop_close(&l->uv); /* nothing is left in it */
out_free:
    free(l);
    return st ? st
              : ex_raise(err, EX_EAGAIN, "event loop \"%s\" did not start: %s", name,
                         uv_strerror(rc));
}

void ex_loop_stop(ex_loop *l)
{
    if (!l)
        return;
    assert(!ex_loop_is_current(l)); /* a thread cannot join itself */
    ex_loop_post(l, &l->stop);
    (void)pthread_join(l->thread, NULL); /* fails only for a thread that is not there */
    /* A job can have run before the thread that posted it has left ex_loop_post. */
    while (atomic_load_explicit(&l->posting_count, memory_order_acquire))
        (void)sched_yield();
    int rc = uv_loop_close(&l->uv);
    assert(rc == 0);
    (void)rc;
    free(l);
}

void ex_loop_post(ex_loop *l, ex_post *post)
{
    atomic_fetch_add_explicit(&l->posting_count, 1, memory_order_relaxed);
    ex_post *head = atomic_load_explicit(&l->posts, memory_order_relaxed);
    do {
        post->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&l->posts, &head, post, memory_order_acq_rel,
                                                    memory_order_relaxed));
    if (!head)
        (void)uv_async_send(&l->wake); /* cannot fail on a handle that is open */
    atomic_fetch_sub_explicit(&l->posting_count, 1, memory_order_release);
}

uv_loop_t *ex_loop_uv(ex_loop *l)
{
    return &l->uv;
}

bool ex_loop_is_current(const ex_loop *l)
{
    return current == l;
}
