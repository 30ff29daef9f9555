/* sequencer_begin.c: how a batch begins, and what it knows then.
 *
 * A driver for one process tells where the log ends, and that is all. On an
 * engine behind a network (store_shared_ops) the same round trip asks what
 * others have appended and all that the submissions want.
 *
 * A batch may believe some of it without asking: that streams do not exist which
 * their writers call new, and, where nobody else has appended for a while, that
 * the log ends where we left it. With both it is blind: it needs no question at
 * all, and the commit is its only round trip. The commit fails when a belief was
 * wrong; so the batch is abandoned and its submissions are staged anew with all
 * questions asked. An answer that no row of the batch would prove (a refusal, or
 * nothing to write) is not given on belief either.
 *
 *   a batch believes                  when
 *   --------------------------------  -------------------------------------------
 *   that streams are new              nothing else is wanted, and no belief failed
 *                                     in the last DOUBT_BATCHES
 *   that the log ends where we left   the same, and the last QUIET_BATCHES met
 *   it                                nothing of others */
#include "store/head_known.h"
#include "store/sequencer_int.h"

#include "kernel/log.h"

#define QUIET_BATCHES 16
#define DOUBT_BATCHES 16
#define FULL_BATCHES  64 /* after one that missed the contents of the news */

static uint32_t room_left(const sequencer *q)
{
    return sequencer_batch_limit(q) - q->staged_count;
}

/* ---- Agreeing with the database ---- */

/* Contents are for followers, and for states that commands keep: who has neither is spared them. */
static bool wants_brief_news(sequencer *q)
{
    if (q->full_news)
        q->full_news--;
    return q->full_news == 0 && !live_has_followers(&q->store->live);
}

void sequencer_want_full_news(sequencer *q)
{
    q->full_news = FULL_BATCHES + 1; /* counted down before it is looked at */
}

/* Others have appended all of this, and it is told: as if we had done it. */
static void adopt_news(sequencer *q, const store_news *news)
{
    for (uint32_t i = 0; i < news->count; i++) {
        const ex_event *e = &news->events[i];
        stream_cache_put(&q->cache, ex_hash(e->stream), e->stream, news->stream_ids[i], e->version);
        recent_words_put(&q->words, e->position, e->type, e->tags);
    }
    uint64_t head = news->events[news->count - 1].position;
    atomic_store_explicit(&q->store->head, head, memory_order_release);
    if (news->is_brief)
        live_skip(&q->store->live, head);
    else
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
    q->is_behind = position < known; /* a shared engine would have opened an epoch */
    if (q->is_behind)
        return ex_raise(err, EX_ESTORAGE,
                        "the log ends at %llu although %llu events were committed: the database "
                        "was replaced while in use",
                        (unsigned long long)position, (unsigned long long)known);
    if (news->count && known + news->count == position) {
        adopt_news(q, news);
    } else {
        stream_cache_clear(&q->cache);
        recent_words_raise(&q->words, position);
        q->looked_up = 0; /* they were wanted while the cache was trusted */
        atomic_store_explicit(&s->head, position, memory_order_release);
        live_skip(&s->live, position);
    }
    ex_gauge_set(q->metrics->log_head, (int64_t)position);
    return EX_OK;
}

/* ---- Believing ---- */

bool sequencer_may_stage(const sequencer *q)
{
    return !q->believes || q->pending->retract;
}

bool sequencer_is_doubtful(const sequencer *q)
{
    for (uint32_t i = 0; i < q->staged_count; i++)
        if (q->staged[i].status)
            return true;
    return q->staged_count && q->batch.event_count == 0 && q->batch.command_count == 0;
}

void sequencer_start_over(sequencer *q)
{
    q->store->driver.ops->rollback(q->store->driver.impl);
    for (uint32_t i = q->staged_count; i > 0; i--) {
        ex_submission *s = q->staged[i - 1].submission;
        s->retract(s);
        s->next = q->pending;
        q->pending = s;
    }
    q->staged_count = 0;
    q->believes = false;
    q->quiet = 0;
    q->doubt = DOUBT_BATCHES;
    batch_reset(&q->batch);
}

/* What the first ones want can be believed. */
static bool may_believe(sequencer *q)
{
    if (q->doubt)
        q->doubt--;
    return q->doubt == 0 && !q->batch.wants.has_questions && q->pending->retract;
}

/* @return false: ask where the log ends */
static bool begin_blind(sequencer *q, store_head *ret)
{
    const store_driver *d = &q->store->driver;
    uint64_t known = atomic_load_explicit(&q->store->head, memory_order_relaxed);
    return q->quiet >= QUIET_BATCHES && !q->has_news &&
           d->ops->shared->begin_blind(d->impl, known, ret, NULL) == EX_OK;
}

/* The news know better. */
static void correct_beliefs(sequencer *q, const store_news *news)
{
    for (uint32_t i = 0; i < news->count; i++) {
        batch_stream *s = batch_known_stream(&q->batch, news->events[i].stream);
        if (s && s->is_believed_new) {
            s->stream.id = news->stream_ids[i];
            s->stream.version = news->events[i].version;
        }
    }
}

/* ---- In time ---- */

/* An append may wait behind a batch that takes all its time, and must be answered in its own all
 * the same: so a batch takes at most seven eighths of the answer time-out, and leaves the rest to
 * those behind it. */
static uint64_t answer_ns(const sequencer *q)
{
    return q->store->options.answer_timeout_ms * UINT64_C(1000000);
}

static void limit(sequencer *q, uint64_t deadline_ns)
{
    if (sequencer_shared(q)->limit)
        sequencer_shared(q)->limit(q->store->driver.impl, deadline_ns);
}

void sequencer_set_deadline(sequencer *q)
{
    uint64_t now = ex_monotonic_ns(ex_clock_system()), eighth = answer_ns(q) / 8;
    uint64_t until = q->pending->since_ns + 8 * eighth;
    if (until < now + eighth)
        until = now + eighth;
    else if (until > now + 7 * eighth)
        until = now + 7 * eighth;
    limit(q, until);
}

ex_submission *sequencer_take_overdue(sequencer *q)
{
    ex_submission *s = q->pending;
    uint64_t now = ex_monotonic_ns(ex_clock_system()), eighth = answer_ns(q) / 8;
    if (!s || now < s->since_ns + 7 * eighth)
        return NULL;
    q->pending = s->next;
    return s;
}

/* ---- Epochs ---- */

/* While the store runs only what was lost opens one. */
static void report_epoch(sequencer *q, const ex_log_epoch *e, bool is_lost)
{
    char id[EX_ID_TEXT_SIZE];
    bool is_quiet = !is_lost && e->reason == EX_EPOCH_RESTARTED;
    ex_gauge_set(q->metrics->log_epochs, (int64_t)ex_store_epochs(q->store, NULL, 0));
    EX_LOG(is_quiet ? EX_LOG_INFO : EX_LOG_WARN,
           is_quiet ? "the log has a new epoch, nothing of it is lost that this node knows"
                    : "the log has a new epoch: what stood there may be lost",
           ex_f_u64("first_position", e->first),
           ex_f_cstr("reason", ex_epoch_reason_name(e->reason)),
           ex_f_str("epoch", ex_id_text(&e->id, id)));
}

/* The order is for followers (log_identity.h): what is lost goes from memory, then they are told,
 * and only then something of the new epoch may come. */
static ex_status take_in_epochs(sequencer *q, const store_epochs *e, ex_error *err)
{
    ex_store *s = q->store;
    ex_log_epoch mine = log_identity_current(&s->identity);
    uint64_t bound = log_epochs_bound(e->epochs, e->count, &mine.id);
    bool is_lost = atomic_load_explicit(&s->head, memory_order_relaxed) >= bound;
    if (is_lost) {
        uint64_t last = bound ? bound - 1 : 0;
        live_restart(&s->live, last);
        atomic_store_explicit(&s->head, last, memory_order_release);
        head_known_heard(s, last, true);
        recent_words_take_back(&q->words, last);
        condition_searches_doubt(q->batch.searches);
        ex_gauge_set(q->metrics->log_head, (int64_t)last);
    }
    stream_cache_clear(&q->cache);
    atomic_store(&q->committing, 0);
    sequencer_forget_time(q);
    q->looked_up = 0;
    q->quiet = 0;
    q->doubt = DOUBT_BATCHES;
    ex_status st = log_identity_set(&s->identity, &e->log_id, e->epochs, e->count, err);
    if (st == EX_OK && e->count)
        report_epoch(q, &e->epochs[e->count - 1], is_lost);
    live_wake(&s->live);
    return st;
}

/* ---- Beginning ---- */

/* Begin, and with it all that the submissions want and what others appended.
 * @param ret_epochs of another epoch than the store knows: the batch knows too much; count 0: none
 */
static ex_status begin_once(sequencer *q, store_head *ret, store_epochs *ret_epochs, ex_error *err)
{
    const store_driver *d = &q->store->driver;
    store_lookup lookup;
    store_news news;
    ret_epochs->count = 0;
    q->looked_up = room_left(q);
    batch_want(&q->batch, q->pending, q->looked_up);
    bool has_wants = batch_lookup_begin(&q->batch, &lookup), may = may_believe(q);
    if (may && begin_blind(q, ret)) {
        batch_lookup_end(&q->batch);
        q->believes = true;
        return EX_OK;
    }
    bool is_believed = may && has_wants;
    uint64_t known = atomic_load_explicit(&q->store->head, memory_order_relaxed);
    d->ops->shared->expect(d->impl, known, wants_brief_news(q),
                           has_wants && !is_believed ? &lookup : NULL);
    ex_status st = d->ops->begin(d->impl, ret, err);
    batch_lookup_end(&q->batch);
    if (st || d->ops->shared->epochs(d->impl, ret_epochs))
        return st;
    q->believes = is_believed;
    d->ops->shared->news(d->impl, &news);
    q->quiet = ret->position == known ? q->quiet + 1 : 0;
    st = agree_on_head(q, ret->position, &news, err);
    if (st == EX_OK && is_believed)
        correct_beliefs(q, &news);
    if (st == EX_OK)
        batch_keep_news(&q->batch, &news);
    q->has_news = false;
    return st;
}

/* What was wanted and remembered may be of what is lost: it is asked for anew. */
static ex_status begin_shared(sequencer *q, store_head *ret, ex_error *err)
{
    store_epochs epochs;
    ex_status st = begin_once(q, ret, &epochs, err);
    while (st == EX_OK && epochs.count) {
        sequencer_learn_fate(q, ret->fate); /* it is told once */
        q->store->driver.ops->rollback(q->store->driver.impl);
        batch_reset(&q->batch);
        st = take_in_epochs(q, &epochs, err);
        if (st == EX_OK)
            st = begin_once(q, ret, &epochs, err);
    }
    return st;
}

ex_status sequencer_begin(sequencer *q, ex_error *err)
{
    static const store_news none;
    const store_driver *d = &q->store->driver;
    store_head head = {0};
    ex_status st;
    q->believes = false;
    if (sequencer_shared(q)) {
        st = begin_shared(q, &head, err);
    } else {
        st = d->ops->begin(d->impl, &head, err);
        if (st == EX_OK)
            st = agree_on_head(q, head.position, &none, err);
    }
    if (st)
        return st;
    sequencer_learn_fate(q, head.fate);
    q->batch.now_us = sequencer_batch_time(q, head.recorded_at_us);
    q->batch.base = head.position;
    return EX_OK;
}

ex_status sequencer_look_up(sequencer *q, ex_error *err)
{
    store_lookup lookup;
    if (!sequencer_shared(q) || q->looked_up)
        return EX_OK;
    q->looked_up = room_left(q);
    batch_want(&q->batch, q->pending, q->looked_up);
    bool is_believed = q->believes && !q->batch.wants.has_questions;
    if (!batch_lookup_begin(&q->batch, &lookup))
        return EX_OK;
    if (is_believed) {
        batch_lookup_end(&q->batch);
        return EX_OK;
    }
    ex_status st = sequencer_shared(q)->look_up(q->store->driver.impl, &lookup, err);
    batch_lookup_end(&q->batch);
    return st;
}

/* ---- Following what others append, while nobody appends here ---- */

void sequencer_read_news(sequencer *q)
{
    const store_driver *d = &q->store->driver;
    store_epochs epochs;
    store_head head;
    store_news news;
    uint64_t known = atomic_load_explicit(&q->store->head, memory_order_relaxed);
    q->has_news = false;
    uint64_t asked_ns = head_known_now_ns();
    limit(q, asked_ns + answer_ns(q) / 8);
    /* a failure is met again by the next batch, or the next nudge */
    if (d->ops->shared->refresh(d->impl, known, wants_brief_news(q), &head, NULL) != EX_OK)
        return;
    if (d->ops->shared->epochs(d->impl, &epochs)) {
        q->has_news = take_in_epochs(q, &epochs, NULL) == EX_OK; /* else the next nudge */
        return;
    }
    if (head.position < known)
        return;
    d->ops->shared->news(d->impl, &news);
    (void)agree_on_head(q, head.position, &news, NULL); /* it is ahead: cannot fail */
    head_known_at(q->store, asked_ns);
}
