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
 * On an engine behind a network (store_shared_ops) the batch is written once,
 * just before the commit; what its submissions want is looked up for all of
 * them, mostly together with begin; and begin tells what other processes
 * appended. When they append and nobody does here, the driver's own thread
 * queues a nudge, and the sequencer reads on without a transaction.
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
#include <stdlib.h>

#include "kernel/thread.h"
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
    uint32_t audit;      /* number of the batch's audit that tells of it, + 1; 0: none */
} staged;

struct sequencer {
    /* immutable after start */
    ex_store *store;
    store_metrics *metrics;
    const ex_clock *clock;
    pthread_t thread;
    /* any thread */
    submit_queue queue;
    ex_submission nudge;   /* no work: others have appended */
    atomic_bool is_nudged; /* it is queued */
    /* the sequencer's thread */
    ex_batch batch;
    stream_cache cache;
    gather gather;
    ex_submission *pending; /* taken from the queue, oldest first */
    uint32_t looked_up;     /* of pending, the first ones: what they want is known */
    bool has_news;          /* others have appended */
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

/* Those who come back go before all that waits. On a shared engine what they want was asked for by
 * whoever brings them: it counts as looked up. */
static void take_back_resumed(sequencer *q)
{
    ex_submission *first = q->batch.resumed, **end = &q->batch.resumed;
    uint32_t count = 0;
    for (; *end; end = &(*end)->next)
        count++;
    *end = q->pending;
    q->pending = first;
    q->looked_up += q->looked_up ? count : 0;
    q->batch.resumed = NULL;
}

static void stage_one(sequencer *q)
{
    ex_submission *submission = q->pending;
    q->pending = submission->next;
    bool is_looked_up = q->looked_up != 0;
    staged *s = &q->staged[q->staged_count++];
    *s = (staged){.submission = submission};
    ex_error detail = {0};
    uint32_t audits = q->batch.audit_count;
    batch_mark mark = batch_save(&q->batch);
    q->batch.is_deferred = false;
    s->status = submission->stage(submission, &q->batch, &detail);
    if (s->status || q->batch.is_deferred)
        batch_restore(&q->batch, mark);
    if (q->batch.is_deferred) {
        q->staged_count--; /* it is its owner's */
    } else if (s->status) {
        s->err = keep_error(&q->batch.arena, &detail);
        s->audit = q->batch.audit_count > audits ? q->batch.audit_count : 0;
    }
    if (q->batch.resumed)
        take_back_resumed(q);
    if (is_looked_up)
        q->looked_up--;
}

static void observe_taken(sequencer *q)
{
    if (!q->metrics->is_on)
        return;
    uint64_t now = ex_monotonic_ns(q->clock);
    for (const ex_submission *s = q->pending; s; s = s->next)
        if (s->queued_ns)
            ex_histogram_observe(q->metrics->queue_age, (double)(now - s->queued_ns) / 1e9);
    ex_gauge_set(q->metrics->queue_depth, submit_queue_depth(&q->queue));
}

/* What came out of the queue, without the nudge. */
static void set_pending(sequencer *q, ex_submission *taken)
{
    q->pending = taken;
    q->looked_up = 0;
    for (ex_submission **at = &q->pending; *at && atomic_load(&q->is_nudged); at = &(*at)->next) {
        if (*at != &q->nudge)
            continue;
        *at = q->nudge.next;
        q->has_news = true;
        atomic_store(&q->is_nudged, false); /* last: from here on it may be queued again */
        break;
    }
    observe_taken(q);
}

/* More work, without waiting for it. */
static bool take_more(sequencer *q)
{
    if (!q->pending)
        set_pending(q, submit_queue_take(&q->queue));
    return q->pending != NULL;
}

/* The same, waiting for those who are expected. */
static bool gather_more(sequencer *q)
{
    while (!take_more(q))
        if (q->batch.news.count || !gather_nap(&q->gather, q->staged_count))
            return false; /* others append, too: they wait while we hold the head */
    return true;
}

static const store_shared_ops *shared_ops(const sequencer *q)
{
    return q->store->driver.ops->shared;
}

static uint32_t room_left(const sequencer *q)
{
    return q->store->options.batch_limit - q->staged_count;
}

/* Engines behind a network: what those who came meanwhile want. */
static ex_status look_up(sequencer *q, ex_error *err)
{
    store_lookup lookup;
    if (!shared_ops(q) || q->looked_up)
        return EX_OK;
    q->looked_up = room_left(q);
    batch_want(&q->batch, q->pending, q->looked_up);
    if (!batch_lookup_begin(&q->batch, &lookup))
        return EX_OK;
    ex_status st = shared_ops(q)->look_up(q->store->driver.impl, &lookup, err);
    batch_lookup_end(&q->batch);
    return st;
}

static ex_status fill(sequencer *q, ex_error *err)
{
    bool is_shared = shared_ops(q) != NULL;
    gather_begin(&q->gather);
    do {
        ex_status st = look_up(q, err);
        if (st)
            return st;
        while (q->pending && !is_full(q) && !q->batch.is_broken)
            stage_one(q);
        if (q->batch.is_broken) {
            *err = q->batch.failure;
            return q->batch.failure.status;
        }
        st = is_shared ? EX_OK : batch_write(&q->batch, err);
        if (st)
            return st;
    } while (!is_full(q) && gather_more(q));
    return is_shared ? batch_write(&q->batch, err) : EX_OK;
}

/* ---- Beginning ---- */

/* Others have appended all of this, and it is told: as if we had done it. */
static void adopt_news(sequencer *q, const store_news *news)
{
    for (uint32_t i = 0; i < news->count; i++) {
        const ex_event *e = &news->events[i];
        stream_cache_put(&q->cache, ex_hash(e->stream), e->stream, news->stream_ids[i], e->version);
    }
    uint64_t head = news->events[news->count - 1].position;
    atomic_store_explicit(&q->store->head, head, memory_order_release);
    live_publish(&q->store->live, news->events, news->count);
}

/* The database is where we left it, or ahead: others have appended, or a commit that failed did
 * happen after all. */
static ex_status agree_on_head(sequencer *q, uint64_t position, const store_news *news,
                               ex_error *err)
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
    if (news->count && known + news->count == position) {
        adopt_news(q, news);
    } else {
        stream_cache_clear(&q->cache);
        q->looked_up = 0; /* they were wanted while the cache was trusted */
        atomic_store_explicit(&s->head, position, memory_order_release);
        live_skip(&s->live, position);
    }
    ex_gauge_set(q->metrics->log_head, (int64_t)position);
    return EX_OK;
}

/* Begin, and with it all that the submissions want and what others appended. */
static ex_status begin_shared(sequencer *q, store_head *ret, ex_error *err)
{
    const store_driver *d = &q->store->driver;
    store_lookup lookup;
    store_news news;
    q->looked_up = room_left(q);
    batch_want(&q->batch, q->pending, q->looked_up);
    bool has_wants = batch_lookup_begin(&q->batch, &lookup);
    d->ops->shared->expect(d->impl, atomic_load_explicit(&q->store->head, memory_order_relaxed),
                           has_wants ? &lookup : NULL);
    ex_status st = d->ops->begin(d->impl, ret, err);
    batch_lookup_end(&q->batch);
    if (st)
        return st;
    d->ops->shared->news(d->impl, &news);
    st = agree_on_head(q, ret->position, &news, err);
    if (st == EX_OK)
        batch_keep_news(&q->batch, &news);
    q->has_news = false;
    return st;
}

static ex_status begin(sequencer *q, ex_error *err)
{
    static const store_news none;
    const store_driver *d = &q->store->driver;
    store_head head;
    ex_status st;
    if (shared_ops(q)) {
        st = begin_shared(q, &head, err);
    } else {
        st = d->ops->begin(d->impl, &head, err);
        if (st == EX_OK)
            st = agree_on_head(q, head.position, &none, err);
    }
    if (st)
        return st;
    int64_t now = ex_now_us(q->clock);
    q->batch.now_us = now > head.recorded_at_us ? now : head.recorded_at_us;
    q->batch.base = head.position;
    return EX_OK;
}

/* ---- Following what others append, while nobody appends here ---- */

static void read_news(sequencer *q)
{
    const store_driver *d = &q->store->driver;
    store_head head;
    store_news news;
    uint64_t known = atomic_load_explicit(&q->store->head, memory_order_relaxed);
    q->has_news = false;
    /* a failure is met again by the next batch, or the next nudge */
    if (d->ops->shared->refresh(d->impl, known, &head, NULL) != EX_OK || head.position <= known)
        return;
    d->ops->shared->news(d->impl, &news);
    (void)agree_on_head(q, head.position, &news, NULL); /* it is ahead: cannot fail */
}

/* On a thread of the driver. */
static void nudge(void *ctx, uint64_t position)
{
    sequencer *q = ctx;
    uint64_t known = atomic_load_explicit(&q->store->head, memory_order_relaxed);
    if (position <= known || atomic_exchange(&q->is_nudged, true))
        return;
    if (submit_queue_push(&q->queue, &q->nudge, NULL)) /* full: the next batch learns it anyway */
        atomic_store(&q->is_nudged, false);
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
    return b->event_written || b->command_written || b->audit_written || b->is_probe;
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
    for (uint32_t i = 0; i < q->staged_count; i++) {
        uint64_t queued = q->staged[i].submission->queued_ns;
        if (queued) /* else it is an errand of our own, see sequencer_submit_again */
            ex_histogram_observe(q->metrics->append_seconds, (double)(now - queued) / 1e9);
    }
}

/* The ids of audits are known once they are written (R-ES-04). */
static void name_audits(sequencer *q)
{
    for (uint32_t i = 0; q->batch.audit_count && i < q->staged_count; i++) {
        staged *s = &q->staged[i];
        if (!s->audit)
            continue;
        ex_error named = *s->err;
        named.audit_id = q->batch.audits[s->audit - 1].id;
        s->err = keep_error(&q->batch.arena, &named);
    }
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
        if (has_written(&q->batch))
            write_state_worked(&q->store->writes);
        publish(q);
        name_audits(q);
        acknowledge(q);
    } else {
        write_state_failed(&q->store->writes, &err);
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
    if (q->pending || q->has_news)
        return true;
    set_pending(q, submit_queue_wait(&q->queue));
    return q->pending || q->has_news;
}

static void *run(void *arg)
{
    sequencer *q = arg;
    while (wait_for_work(q)) {
        if (q->pending)
            run_batch(q);
        else
            read_news(q);
    }
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
    if (st == EX_OK)
        st = ex_thread_start(&q->thread, "ex-sequencer", run, q, err);
    if (st) {
        sequencer_free(q);
        return st;
    }
    if (shared_ops(q))
        st = shared_ops(q)->follow(store->driver.impl, nudge, q, err);
    if (st) {
        sequencer_stop(q);
        return st;
    }
    *ret = q;
    return EX_OK;
}

void sequencer_stop(sequencer *q)
{
    if (!q)
        return;
    if (shared_ops(q))
        shared_ops(q)->unfollow(q->store->driver.impl);
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

void sequencer_submit_again(sequencer *q, ex_submission *s)
{
    s->queued_ns = 0;
    ex_status st = submit_queue_push_over(&q->queue, s, NULL);
    assert(st == EX_OK);
    (void)st; /* the store is open as long as its users are */
}
