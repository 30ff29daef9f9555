/* sequencer.c: group commit.
 *
 * Happy path, for each batch:
 *
 *   begin                        the driver says where the log ends
 *   repeat
 *     stage what is queued       in memory; a failing submission is taken back
 *     write what was staged
 *   until nothing new is queued  writing takes longer than submitting, so those
 *                                who were just acknowledged join again; where a
 *                                commit is slow it waits for them (gather.h)
 *   commit                       one fsync
 *   publish, acknowledge         in queue order
 *   maintain                     a checkpoint, while nobody waits
 *
 * Possible failure modes:
 * - a driver's method fails, the commit included: the batch is rolled back, all
 *   its submissions get EX_ESTORAGE, and what was cached is dropped. The next
 *   begin asks the database what is true. Should the commit have taken effect
 *   although it failed, the head is ahead of ours then: it is adopted and the
 *   followers of the log are sent to read it.
 * - begin fails: the submissions get EX_ESTORAGE; the next batch tries again.
 * - the head is behind ours: somebody replaced the database under us. Nothing is
 *   written to it: EX_ESTORAGE for everybody from then on. */
#include "store/sequencer.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "store/batch.h"
#include "store/gather.h"
#include "store/submit_queue.h"
#include "store/store_metrics.h"

/* Data and metadata in one transaction: bounds memory, and how long small appends wait for large.
 */
#define BATCH_LIMIT_BYTES ((uint64_t)16 << 20)

/* A submission of the running batch and how its staging ended. */
typedef struct staged {
    ex_submission *submission;
    ex_status status;
    const ex_error *err; /* in the batch's arena; NULL when status is EX_OK */
} staged;

struct sequencer {
    /* immutable after start */
    ex_store *store;
    store_metrics *metrics;
    const ex_clock *clock;
    pthread_t thread;
    /* any thread */
    submit_queue queue;
    /* the sequencer's thread */
    ex_batch batch;
    stream_cache cache;
    gather gather;
    ex_submission *pending; /* taken from the queue, oldest first */
    staged *staged;         /* batch_limit */
    uint32_t staged_count;
};

/* ---- Staging ---- */

static bool is_full(const sequencer *q)
{
    return q->staged_count == q->store->options.batch_limit || q->batch.bytes >= BATCH_LIMIT_BYTES;
}

static const ex_error *keep_error(ex_arena *arena, const ex_error *detail)
{
    static const ex_error no_memory = {.status = EX_ENOMEM,
                                       .code = "OUT_OF_MEMORY",
                                       .message = "no memory for the reason of a failure"};
    ex_error *kept = ex_arena_alloc(arena, sizeof(*kept));
    if (!kept)
        return &no_memory;
    *kept = *detail;
    return kept;
}

static void stage_one(sequencer *q)
{
    ex_submission *submission = q->pending;
    q->pending = submission->next;
    staged *s = &q->staged[q->staged_count++];
    *s = (staged){.submission = submission};
    ex_error detail = {0};
    batch_mark mark = batch_save(&q->batch);
    s->status = submission->stage(submission, &q->batch, &detail);
    if (s->status) {
        batch_restore(&q->batch, mark);
        s->err = keep_error(&q->batch.arena, &detail);
    }
}

static void observe_taken(sequencer *q)
{
    if (!q->metrics->is_on)
        return;
    uint64_t now = ex_monotonic_ns(q->clock);
    for (const ex_submission *s = q->pending; s; s = s->next)
        ex_histogram_observe(q->metrics->queue_age, (double)(now - s->queued_ns) / 1e9);
    ex_gauge_set(q->metrics->queue_depth, submit_queue_depth(&q->queue));
}

/* More work, without waiting for it. */
static bool take_more(sequencer *q)
{
    if (!q->pending) {
        q->pending = submit_queue_take(&q->queue);
        observe_taken(q);
    }
    return q->pending != NULL;
}

/* The same, waiting for those who are expected. */
static bool gather_more(sequencer *q)
{
    while (!take_more(q))
        if (!gather_nap(&q->gather, q->staged_count))
            return false;
    return true;
}

static ex_status fill(sequencer *q, ex_error *err)
{
    gather_begin(&q->gather);
    do {
        while (q->pending && !is_full(q) && !q->batch.is_broken)
            stage_one(q);
        if (q->batch.is_broken) {
            *err = q->batch.failure;
            return q->batch.failure.status;
        }
        ex_status st = batch_write(&q->batch, err);
        if (st)
            return st;
    } while (!is_full(q) && gather_more(q));
    return EX_OK;
}

/* ---- Beginning ---- */

/* The database is where we left it, or ahead because a commit that failed did happen after all. */
static ex_status agree_on_head(sequencer *q, uint64_t position, ex_error *err)
{
    ex_store *s = q->store;
    uint64_t known = atomic_load_explicit(&s->head, memory_order_relaxed);
    if (position == known)
        return EX_OK;
    if (position < known)
        return ex_raise(err, EX_ESTORAGE,
                        "the log ends at %llu although %llu events were committed: the database "
                        "was replaced while in use",
                        (unsigned long long)position, (unsigned long long)known);
    stream_cache_clear(&q->cache);
    atomic_store_explicit(&s->head, position, memory_order_release);
    live_skip(&s->live, position);
    return EX_OK;
}

static ex_status begin(sequencer *q, ex_error *err)
{
    const store_driver *d = &q->store->driver;
    store_head head;
    ex_status st = d->ops->begin(d->impl, &head, err);
    if (st == EX_OK)
        st = agree_on_head(q, head.position, err);
    if (st)
        return st;
    int64_t now = ex_now_us(q->clock);
    q->batch.now_us = now > head.recorded_at_us ? now : head.recorded_at_us;
    q->batch.base = head.position;
    return EX_OK;
}

/* ---- Ending ---- */

static ex_status expire_commands(sequencer *q, ex_error *err)
{
    const store_driver *d = &q->store->driver;
    uint32_t written = q->batch.command_written;
    int64_t ttl_us = (int64_t)q->store->options.command_ttl_s * 1000000;
    /* twice what came in: the table shrinks when it has to, and no batch pays much */
    return written ? d->ops->expire_commands(d->impl, q->batch.now_us - ttl_us, 2 * written, err)
                   : EX_OK;
}

static bool has_written(const ex_batch *b)
{
    return b->event_written || b->command_written || b->audit_written;
}

static uint32_t count_waiting(sequencer *q)
{
    uint32_t count = submit_queue_depth(&q->queue);
    for (const ex_submission *s = q->pending; s; s = s->next)
        count++;
    return count;
}

static ex_status commit(sequencer *q, ex_error *err)
{
    const store_driver *d = &q->store->driver;
    if (!has_written(&q->batch)) {
        d->ops->rollback(d->impl);
        return EX_OK;
    }
    ex_status st = expire_commands(q, err);
    uint64_t start = ex_monotonic_ns(q->clock);
    if (st == EX_OK)
        st = d->ops->commit(d->impl, err);
    if (st)
        return st;
    uint64_t took = ex_monotonic_ns(q->clock) - start;
    ex_histogram_observe(q->metrics->commit_seconds, (double)took / 1e9);
    gather_end(&q->gather, q->staged_count, count_waiting(q), took);
    return EX_OK;
}

static void remember_streams(sequencer *q)
{
    const ex_batch *b = &q->batch;
    for (uint32_t i = 0; b->table_count && i < b->table_room; i++) {
        const batch_stream *s = b->table[i];
        if (s && s->stream.id)
            stream_cache_put(&q->cache, s->hash, s->stream.name, s->stream.id, s->stream.version);
    }
}

static void publish(sequencer *q)
{
    const ex_batch *b = &q->batch;
    ex_store *s = q->store;
    remember_streams(q);
    store_metrics_events(q->metrics, b->events, b->event_count);
    ex_histogram_observe(q->metrics->batch_submissions, q->staged_count);
    ex_histogram_observe(q->metrics->batch_events, b->event_count);
    if (b->event_count == 0)
        return;
    atomic_store_explicit(&s->head, b->base + b->event_count, memory_order_release);
    live_publish(&s->live, b->events, b->event_count);
    ex_gauge_set(q->metrics->log_head, (int64_t)(b->base + b->event_count));
}

static void observe_done(sequencer *q)
{
    if (!q->metrics->is_on)
        return;
    uint64_t now = ex_monotonic_ns(q->clock);
    for (uint32_t i = 0; i < q->staged_count; i++)
        ex_histogram_observe(q->metrics->append_seconds,
                             (double)(now - q->staged[i].submission->queued_ns) / 1e9);
}

static void acknowledge(sequencer *q)
{
    observe_done(q);
    for (uint32_t i = 0; i < q->staged_count; i++) {
        const staged *s = &q->staged[i];
        s->submission->done(s->submission, s->status, s->err);
    }
}

/* Begin failed before anything was staged. */
static void take_unstaged(sequencer *q)
{
    while (q->pending && !is_full(q)) {
        q->staged[q->staged_count++] = (staged){.submission = q->pending};
        q->pending = q->pending->next;
    }
}

/* All of them, also those that were refused: what refused them may be what is not stored. */
static void fail_all(sequencer *q, const ex_error *cause)
{
    ex_error err = {0};
    (void)ex_raise(&err, EX_ESTORAGE, "nothing of the batch was stored: %s", cause->message);
    for (uint32_t i = 0; i < q->staged_count; i++) {
        q->staged[i].status = EX_ESTORAGE;
        q->staged[i].err = &err;
    }
    acknowledge(q);
}

static void run_batch(sequencer *q)
{
    const store_driver *d = &q->store->driver;
    ex_error err = {0};
    q->staged_count = 0;
    ex_status st = begin(q, &err);
    if (st == EX_OK)
        st = fill(q, &err);
    if (st == EX_OK)
        st = commit(q, &err);
    if (st == EX_OK) {
        publish(q);
        acknowledge(q);
    } else {
        d->ops->rollback(d->impl);
        stream_cache_clear(&q->cache);
        if (q->staged_count == 0)
            take_unstaged(q);
        fail_all(q, &err);
    }
    batch_reset(&q->batch);
    if (d->ops->maintain)
        d->ops->maintain(d->impl);
}

static bool wait_for_work(sequencer *q)
{
    if (q->pending)
        return true;
    q->pending = submit_queue_wait(&q->queue);
    observe_taken(q);
    return q->pending != NULL;
}

static void *run(void *arg)
{
    sequencer *q = arg;
    while (wait_for_work(q))
        run_batch(q);
    return NULL;
}

/* ---- Life ---- */

static void sequencer_free(sequencer *q)
{
    batch_done(&q->batch);
    stream_cache_done(&q->cache);
    free(q->staged);
    free(q);
}

/* Signals are for the program's own threads. */
static int start_thread(sequencer *q)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* cannot fail with a valid set */
    int rc = pthread_create(&q->thread, NULL, run, q);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0)
        (void)pthread_setname_np(q->thread, "ex-sequencer"); /* for people's eyes only */
    return rc;
}

ex_status sequencer_start(ex_store *store, sequencer **ret, ex_error *err)
{
    sequencer *q = calloc(1, sizeof(*q));
    if (!q)
        return ex_raise(err, EX_ENOMEM, "no memory for the sequencer");
    q->store = store;
    q->metrics = store->metrics;
    q->clock = store->options.clock;
    submit_queue_init(&q->queue, store->options.queue_limit);
    batch_init(&q->batch, store, &q->cache);
    q->staged = calloc(store->options.batch_limit, sizeof(*q->staged));
    ex_status st = stream_cache_init(&q->cache, err);
    if (st == EX_OK && !q->staged)
        st = ex_raise(err, EX_ENOMEM, "no memory for the sequencer");
    if (st == EX_OK) {
        int rc = start_thread(q);
        if (rc)
            st = ex_raise(err, EX_EAGAIN, "cannot start the sequencer's thread: %s", strerror(rc));
    }
    if (st) {
        sequencer_free(q);
        return st;
    }
    *ret = q;
    return EX_OK;
}

void sequencer_stop(sequencer *q)
{
    if (!q)
        return;
    submit_queue_close(&q->queue);
    (void)pthread_join(q->thread, NULL); /* our own thread, joined once */
    sequencer_free(q);
}

ex_status sequencer_submit(sequencer *q, ex_submission *s, ex_error *err)
{
    if (q->metrics->is_on)
        s->queued_ns = ex_monotonic_ns(q->clock);
    ex_status st = submit_queue_push(&q->queue, s, err);
    if (st == EX_EOVERLOADED)
        ex_counter_add(q->metrics->overloaded, 1);
    return st;
}
