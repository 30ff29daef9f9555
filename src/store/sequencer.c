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
 * queues a nudge, and the sequencer reads on without a transaction. Whoever
 * holds the head makes the others wait: there a batch waits for those who are
 * expected before it begins. A batch may believe what it did not ask
 * (sequencer_begin.c) and is tried a second time when that was wrong.
 *
 * Possible failure modes:
 * - a driver's method fails, the commit included: the batch is rolled back, all
 *   its submissions get EX_ESTORAGE, and what was cached is dropped.
 * - a commit fails and nobody can tell whether it took effect: those who have
 *   written get EX_EOUTCOME (sequencer_outcome.c). The next begin finds out.
 *   When it took effect the head is ahead of ours: it is adopted and the
 *   followers of the log are sent to read it.
 * - begin fails: the submissions get EX_ESTORAGE; the next batch tries again.
 * - stored data is damaged: the batch is split until the submission that meets
 *   the damage is alone; it gets EX_ECORRUPT, the others go on.
 * - the files of the log were moved, replaced or deleted: sequencer_files.c.
 * - the head is behind ours: a file was replaced under us. Nothing is written to
 *   it: EX_ESTORAGE for everybody from then on. A shared engine tells of an epoch
 *   instead: what is lost is dropped, and the batch begins anew. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "kernel/thread.h"
#include "store/head_known.h"
#include "store/sequencer_int.h"

/* Data and metadata in one transaction: bounds memory, and how long small appends wait for large.
 */
#define BATCH_LIMIT_BYTES ((uint64_t)16 << 20)

/* ---- Staging ---- */

static bool is_full(const sequencer *q)
{
    return q->staged_count >= sequencer_batch_limit(q) || q->batch.bytes >= BATCH_LIMIT_BYTES;
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
    q->batch.is_deferred = q->batch.is_searched = false;
    q->batch.running = submission;
    q->queue.held -= submission->search != NULL;
    s->status = submission->stage(submission, &q->batch, &detail);
    if (q->batch.is_searched)
        q->queue.held++;
    else
        condition_search_forget(submission);
    if (s->status || q->batch.is_deferred)
        batch_restore(&q->batch, mark);
    if (q->batch.is_deferred) {
        q->staged_count--; /* it is its owner's */
    } else if (s->status) {
        s->err = keep_error(&q->batch.arena, &detail);
        s->audit = q->batch.audit_count > audits ? q->batch.audit_count : 0;
    } else {
        s->has_written =
            q->batch.event_count > mark.events || q->batch.command_count > mark.commands;
    }
    if (q->batch.resumed)
        take_back_resumed(q);
    if (is_looked_up)
        q->looked_up--;
}

static void observe_taken(sequencer *q, const ex_submission *taken)
{
    if (!q->metrics->is_on)
        return;
    uint64_t now = ex_monotonic_ns(q->clock);
    for (const ex_submission *s = taken; s; s = s->next)
        if (s->queued_ns && !s->search)
            ex_histogram_observe(q->metrics->queue_age, (double)(now - s->queued_ns) / 1e9);
    ex_gauge_set(q->metrics->queue_depth, submit_queue_depth(&q->queue));
}

/* What came out of the queue, without the nudge. */
static void add_pending(sequencer *q, ex_submission *taken)
{
    ex_submission **end = &q->pending;
    while (*end)
        end = &(*end)->next;
    *end = taken;
    for (ex_submission **at = end; *at && atomic_load(&q->is_nudged); at = &(*at)->next) {
        if (*at != &q->nudge)
            continue;
        *at = q->nudge.next;
        q->has_news = true;
        atomic_store(&q->is_nudged, false); /* last: from here on it may be queued again */
        break;
    }
    observe_taken(q, *end);
}

/* More work, without waiting for it. */
static bool take_more(sequencer *q)
{
    if (!q->pending) {
        q->looked_up = 0;
        add_pending(q, submit_queue_take(&q->queue));
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
    bool is_shared = sequencer_shared(q) != NULL, is_closed = false;
    if (!is_shared)
        gather_begin(&q->gather);
    do {
        ex_status st = sequencer_look_up(q, err);
        if (st)
            return st;
        while (q->pending && !is_full(q) && !q->batch.is_broken && sequencer_may_stage(q))
            stage_one(q);
        if (q->batch.is_broken) {
            *err = q->batch.failure;
            return q->batch.failure.status;
        }
        st = is_shared ? EX_OK : batch_write(&q->batch, err);
        if (st)
            return st;
        is_closed = q->pending || is_full(q);
    } while (!is_closed && (is_shared ? take_more(q) : gather_more(q)));
    if (q->believes && sequencer_is_doubtful(q))
        return ex_raise(err, EX_EAGAIN, "what the batch believes must be asked");
    return is_shared ? batch_write(&q->batch, err) : EX_OK;
}

void sequencer_look_at_log(sequencer *q)
{
    if (atomic_exchange(&q->is_nudged, true))
        return;
    if (submit_queue_push(&q->queue, &q->nudge, NULL)) /* full: the next batch learns it anyway */
        atomic_store(&q->is_nudged, false);
}

/* On a thread of the driver. */
static void nudge(void *ctx, uint64_t position, uint64_t asked_ns)
{
    sequencer *q = ctx;
    uint64_t known = atomic_load_explicit(&q->store->head, memory_order_relaxed);
    if (position == STORE_LOOK_AGAIN) {
        sequencer_look_at_log(q);
        return;
    }
    head_known_heard(q->store, position, asked_ns != 0);
    if (asked_ns && position <= known)
        head_known_at(q->store, asked_ns);
    bool is_ahead = position > known && position > atomic_load(&q->committing);
    bool is_behind = asked_ns && position < known; /* a lost end, or our own commit came between */
    if (is_ahead || is_behind)
        sequencer_look_at_log(q);
}

/* ---- Ending ---- */

static bool has_written(const ex_batch *b)
{
    return b->event_written || b->command_written || b->audit_written || b->is_probe || b->adopted;
}

static uint32_t count_waiting(sequencer *q)
{
    uint32_t count = submit_queue_depth(&q->queue);
    for (const ex_submission *s = q->pending; s; s = s->next)
        count++;
    return count;
}

/* While we hold the head of a shared engine others wait: those who are expected come before. */
static void gather_first(sequencer *q)
{
    gather_begin(&q->gather);
    while (gather_nap(&q->gather, count_waiting(q))) {
    }
    add_pending(q, submit_queue_take(&q->queue));
}

static ex_status commit(sequencer *q, ex_error *err)
{
    const store_driver *d = &q->store->driver;
    if (!has_written(&q->batch)) {
        d->ops->rollback(d->impl);
        return EX_OK;
    }
    ex_status st = sequencer_expire_commands(q, err);
    uint64_t start = ex_monotonic_ns(q->clock), start_real = head_known_now_ns();
    atomic_store(&q->committing, q->batch.base + q->batch.event_count);
    if (st == EX_OK)
        st = d->ops->commit(d->impl, err);
    if (st) {
        atomic_store(&q->committing, 0);
        return st;
    }
    uint64_t took = ex_monotonic_ns(q->clock) - start;
    head_known_at(q->store, start_real); /* the head was locked */
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
    if (b->adopted) {
        log_identity_append(&s->identity, &b->adopted->log_id, b->adopted->epochs,
                            b->adopted->count);
        live_wake(&s->live);
    }
    store_metrics_events(q->metrics, b->events, b->event_count);
    ex_histogram_observe(q->metrics->batch_submissions, q->staged_count);
    ex_histogram_observe(q->metrics->batch_events, b->event_count);
    if (b->event_count == 0)
        return;
    atomic_store_explicit(&s->head, b->base + b->event_count, memory_order_release);
    live_publish(&s->live, b->events, b->event_count);
    ex_gauge_set(q->metrics->log_head, (int64_t)(b->base + b->event_count));
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

/* Begin failed before anything was staged. */
static void take_unstaged(sequencer *q)
{
    while (q->pending && !is_full(q)) {
        q->staged[q->staged_count++] = (staged){.submission = q->pending};
        q->pending = q->pending->next;
    }
}

/* @return EX_EAGAIN: nothing is stored, and it may be tried again with all questions asked */
static ex_status try_batch(sequencer *q, ex_error *err)
{
    q->staged_count = 0;
    ex_status st = sequencer_begin(q, err);
    if (st == EX_OK)
        st = fill(q, err);
    if (st)
        return q->believes ? EX_EAGAIN : st;
    return commit(q, err);
}

/* Nothing is asked of the database any more. */
static void refuse_batch(sequencer *q)
{
    ex_error err = {0};
    ex_status why = write_state_tell(&q->store->writes, &err);
    assert(why);
    (void)why;
    err.status = EX_ESTORAGE; /* of these, whatever it was of the last batch */
    q->staged_count = 0;
    take_unstaged(q);
    sequencer_fail(q, &err);
    batch_reset(&q->batch);
}

static void run_batch(sequencer *q)
{
    const store_driver *d = &q->store->driver;
    ex_error err = {0};
    if (write_state_has_ended(&q->store->writes)) {
        refuse_batch(q);
        return;
    }
    if (sequencer_shared(q)) {
        gather_first(q);
        sequencer_set_deadline(q);
    }
    ex_status st = try_batch(q, &err);
    if (st == EX_EAGAIN && q->believes) {
        sequencer_start_over(q);
        st = try_batch(q, &err);
    }
    st = sequencer_check_files(q, st, has_written(&q->batch), &err);
    if (st == EX_ECORRUPT && sequencer_split(q))
        return;
    if (st == EX_OK) {
        q->most = 2 * q->most < q->store->options.batch_limit ? 2 * q->most : 0;
        if (has_written(&q->batch))
            write_state_worked(&q->store->writes);
        publish(q);
        name_audits(q);
        sequencer_acknowledge(q);
    } else {
        if (st != EX_ECORRUPT || q->staged_count == 0) /* else it is one submission's */
            write_state_failed(&q->store->writes, &err);
        d->ops->rollback(d->impl);
        stream_cache_clear(&q->cache);
        if (q->staged_count == 0)
            take_unstaged(q);
        sequencer_fail(q, &err);
        if (sequencer_shared(q))
            sequencer_fail_overdue(q, &err);
    }
    if (q->batch.has_missed_news)
        sequencer_want_full_news(q);
    batch_reset(&q->batch);
    if (d->ops->maintain)
        d->ops->maintain(d->impl);
}

static bool wait_for_work(sequencer *q)
{
    if (q->pending || q->has_news)
        return true;
    add_pending(q, submit_queue_wait(&q->queue));
    return q->pending || q->has_news;
}

static void *run(void *arg)
{
    sequencer *q = arg;
    while (wait_for_work(q)) {
        if (q->pending)
            run_batch(q);
        else
            sequencer_read_news(q);
    }
    return NULL;
}

/* ---- Life ---- */

static void sequencer_free(sequencer *q)
{
    condition_searches_free(q->batch.searches);
    batch_done(&q->batch);
    recent_words_done(&q->words);
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
    sequencer_forget_time(q);
    submit_queue_init(&q->queue, store->options.queue_limit);
    batch_init(&q->batch, store, &q->cache);
    q->batch.words = &q->words;
    q->staged = calloc(store->options.batch_limit, sizeof(*q->staged));
    ex_status st = stream_cache_init(&q->cache, err);
    if (st == EX_OK)
        st = recent_words_init(&q->words, atomic_load(&store->head), err);
    if (st == EX_OK)
        st = condition_searches_new(store, &q->batch.searches, err);
    if (st == EX_OK && !q->staged)
        st = ex_raise(err, EX_ENOMEM, "no memory for the sequencer");
    if (st == EX_OK)
        st = ex_thread_start(&q->thread, "ex-sequencer", run, q, err);
    if (st) {
        sequencer_free(q);
        return st;
    }
    if (sequencer_shared(q))
        st = sequencer_shared(q)->follow(store->driver.impl, nudge, q, err);
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
    if (sequencer_shared(q))
        sequencer_shared(q)->unfollow(q->store->driver.impl);
    condition_searches_close(q->batch.searches);
    submit_queue_close(&q->queue);
    (void)pthread_join(q->thread, NULL); /* our own thread, joined once */
    sequencer_free(q);
}

ex_status sequencer_submit(sequencer *q, ex_submission *s, ex_error *err)
{
    s->search = NULL;
    if (q->metrics->is_on)
        s->queued_ns = ex_monotonic_ns(q->clock);
    if (sequencer_shared(q))
        s->since_ns = ex_monotonic_ns(ex_clock_system());
    ex_status st = submit_queue_push(&q->queue, s, err);
    if (st == EX_EOVERLOADED)
        ex_counter_add(q->metrics->overloaded, 1);
    return st;
}

void sequencer_submit_again(sequencer *q, ex_submission *s)
{
    s->queued_ns = 0;
    s->search = NULL;
    ex_status st = submit_queue_push_over(&q->queue, s, NULL);
    assert(st == EX_OK);
    (void)st; /* the store is open as long as its users are */
}

void sequencer_bring_back(sequencer *q, ex_submission *s)
{
    submit_queue_give_back(&q->queue, s);
}
