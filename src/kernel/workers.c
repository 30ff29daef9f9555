/* workers.c: a fixed set of threads that drain two bounded rings of jobs: new ones, and those that
 * gave their thread up for now.
 *
 * Happy path: submit puts a job into the ring under the lock and wakes one
 * thread. Stop closes the rings; the threads run what is left and end.
 * The threads block all asynchronous signals, so that signals reach the
 * thread that was made for them. */
#include "kernel/workers.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernel/thread.h"

#define THREADS_MAX     256u
#define QUEUE_LIMIT_MAX (1u << 20)
#define NAME_MAX_CHARS  10
#define PASSED_MAX      3u /* new jobs before one that comes again */

typedef struct job {
    ex_work_fn *fn;
    void *arg;
} job;

typedef struct job_ring {
    job *jobs;
    uint32_t size;
    uint32_t head;
    uint32_t count;
} job_ring;

struct ex_workers {
    /* immutable after start */
    uint32_t limit;
    char name[NAME_MAX_CHARS + 1];
    pthread_t *threads;
    uint32_t thread_count;

    /* guarded by mu */
    pthread_mutex_t mu;
    pthread_cond_t wake;
    job_ring fresh;
    job_ring again;  /* a place for all that waited and all that run */
    uint32_t passed; /* by new jobs, since one of `again` had its turn */
    uint32_t idle;   /* threads that wait on `wake` */
    bool is_closed;
};

static void push(job_ring *r, job j)
{
    assert(r->count < r->size);
    r->jobs[(r->head + r->count) % r->size] = j;
    r->count++;
}

static job pop(job_ring *r)
{
    job j = r->jobs[r->head];
    r->head = (r->head + 1) % r->size;
    r->count--;
    return j;
}

static uint32_t count_queued(const ex_workers *w)
{
    return w->fresh.count + w->again.count;
}

static job take_job(ex_workers *w)
{
    if (w->again.count && (!w->fresh.count || w->passed >= PASSED_MAX)) {
        w->passed = 0;
        return pop(&w->again);
    }
    w->passed += w->again.count != 0;
    return pop(&w->fresh);
}

/* The next job, or false when the pool is closed and empty. */
static bool next_job(ex_workers *w, job *ret)
{
    pthread_mutex_lock(&w->mu);
    while (count_queued(w) == 0 && !w->is_closed) {
        w->idle++;
        pthread_cond_wait(&w->wake, &w->mu);
        w->idle--;
    }
    bool has_job = count_queued(w) > 0;
    if (has_job)
        *ret = take_job(w);
    pthread_mutex_unlock(&w->mu);
    return has_job;
}

static void *worker_main(void *arg)
{
    ex_workers *w = arg;
    job j;
    while (next_job(w, &j))
        j.fn(j.arg);
    return NULL;
}

static ex_status start_threads(ex_workers *w, uint32_t threads, ex_error *err)
{
    ex_status st = EX_OK;
    while (!st && w->thread_count < threads) {
        char name[32];
        (void)snprintf(name, sizeof(name), "%s-%u", w->name, w->thread_count); /* fits */
        st = ex_thread_start(&w->threads[w->thread_count], name, worker_main, w, err);
        w->thread_count += st == EX_OK;
    }
    return st;
}

static ex_status check_arguments(const char *name, uint32_t threads, uint32_t queue_limit,
                                 ex_error *err)
{
    if (strlen(name) > NAME_MAX_CHARS)
        return ex_raise(err, EX_EINVAL, "pool name \"%s\" is longer than %d", name, NAME_MAX_CHARS);
    if (threads < 1 || threads > THREADS_MAX)
        return ex_raise(err, EX_EINVAL, "pool \"%s\": %u threads are not within 1 to %u", name,
                        threads, THREADS_MAX);
    if (queue_limit < 1 || queue_limit > QUEUE_LIMIT_MAX)
        return ex_raise(err, EX_EINVAL, "pool \"%s\": a queue of %u is not within 1 to %u", name,
                        queue_limit, QUEUE_LIMIT_MAX);
    return EX_OK;
}

ex_status ex_workers_start(const char *name, uint32_t threads, uint32_t queue_limit,
                           ex_workers **ret, ex_error *err)
{
    ex_status status = check_arguments(name, threads, queue_limit, err);
    if (status)
        return status;
    ex_workers *w = calloc(1, sizeof(*w));
    if (!w)
        return ex_raise(err, EX_ENOMEM, "no memory for pool \"%s\"", name);
    pthread_mutex_init(&w->mu, NULL);
    pthread_cond_init(&w->wake, NULL);
    w->limit = queue_limit;
    memcpy(w->name, name, strlen(name) + 1);
    w->threads = calloc(threads, sizeof(*w->threads));
    w->fresh.size = queue_limit;
    w->again.size = queue_limit + threads;
    w->fresh.jobs = calloc(w->fresh.size, sizeof(job));
    w->again.jobs = calloc(w->again.size, sizeof(job));
    if (w->threads && w->fresh.jobs && w->again.jobs)
        status = start_threads(w, threads, err);
    else
        status = ex_raise(err, EX_ENOMEM, "no memory for pool \"%s\"", name);
    if (status) {
        ex_workers_stop(w);
        return status;
    }
    *ret = w;
    return EX_OK;
}

ex_status ex_workers_submit(ex_workers *w, ex_work_fn *fn, void *arg, ex_error *err)
{
    assert(fn);
    ex_status status = EX_OK;
    bool needs_wake = false;
    pthread_mutex_lock(&w->mu);
    if (w->is_closed) {
        status = EX_ECLOSED;
    } else if (count_queued(w) >= w->limit) {
        status = EX_EOVERLOADED;
    } else {
        push(&w->fresh, (job){fn, arg});
        needs_wake = w->idle > 0;
    }
    pthread_mutex_unlock(&w->mu);
    if (needs_wake)
        pthread_cond_signal(&w->wake);
    if (status == EX_ECLOSED)
        return ex_raise(err, status, "pool \"%s\" is stopping", w->name);
    if (status == EX_EOVERLOADED)
        return ex_raise(err, status, "the queue of pool \"%s\" is full (%u jobs)", w->name,
                        w->limit);
    return EX_OK;
}

void ex_workers_submit_again(ex_workers *w, ex_work_fn *fn, void *arg)
{
    assert(fn);
    pthread_mutex_lock(&w->mu);
    push(&w->again, (job){fn, arg});
    bool needs_wake = w->idle > 0;
    pthread_mutex_unlock(&w->mu);
    if (needs_wake)
        pthread_cond_signal(&w->wake);
}

void ex_workers_stop(ex_workers *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->mu);
    w->is_closed = true;
    pthread_cond_broadcast(&w->wake);
    pthread_mutex_unlock(&w->mu);
    for (uint32_t i = 0; i < w->thread_count; i++) {
        assert(!pthread_equal(w->threads[i], pthread_self())); /* a job cannot stop its own pool */
        pthread_join(w->threads[i], NULL);
    }
    assert(count_queued(w) == 0);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->mu);
    free(w->fresh.jobs);
    free(w->again.jobs);
    free(w->threads);
    free(w);
}

uint32_t ex_workers_queued(const ex_workers *w)
{
    ex_workers *pool = (ex_workers *)w; /* the lock is not part of the value */
    pthread_mutex_lock(&pool->mu);
    uint32_t n = count_queued(pool);
    pthread_mutex_unlock(&pool->mu);
    return n;
}
