/* sequencer_outcome.c: how the submissions of a batch are answered, above all when it failed.
 *
 *   the batch      a submission that     gets
 *   -------------  --------------------  ------------------------------------------
 *   is stored      -                     what its stage said
 *   is not stored  -                     EX_ESTORAGE
 *   is unknown     wrote something       EX_EOUTCOME
 *                  wrote nothing         EX_ESTORAGE: nothing of it can be stored
 *   met damage     is alone in it        EX_ECORRUPT: a retry meets it again
 *
 * Also those that were refused get the failure: what refused them may be what is
 * not stored. What became of a batch whose outcome was unknown is logged when
 * the driver has found out (docs/decisions/0013); nobody waits for it any more. */
#include "kernel/log.h"
#include "store/condition_search.h"
#include "store/sequencer_int.h"

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

static void answer(sequencer *q, ex_submission *s, ex_status status, const ex_error *err)
{
    if (s->search) { /* it came back, and was not staged again */
        condition_search_forget(s);
        q->queue.held--;
    }
    s->done(s, status, err);
}

void sequencer_acknowledge(sequencer *q)
{
    observe_done(q);
    for (uint32_t i = 0; i < q->staged_count; i++)
        answer(q, q->staged[i].submission, q->staged[i].status, q->staged[i].err);
}

/* ---- Failing ---- */

static void log_unknown(const unknown_batch *u, ex_log_level level, const char *what,
                        const char *error)
{
    char at[EX_TIME_TEXT_SIZE];
    bool has_events = u->first <= u->last;
    EX_LOG(level, what, ex_f_u64("first_position", has_events ? u->first : 0),
           ex_f_u64("last_position", has_events ? u->last : 0), ex_f_u64("commands", u->commands),
           ex_f_str("recorded_at", ex_time_text(u->at_us, at)), ex_f_cstr("error", error));
}

static void keep_unknown(sequencer *q, const ex_error *cause)
{
    const ex_batch *b = &q->batch;
    q->unknown = (unknown_batch){.is_open = true,
                                 .first = b->base + 1,
                                 .last = b->base + b->event_count,
                                 .commands = b->command_count,
                                 .at_us = b->now_us};
    log_unknown(&q->unknown, EX_LOG_ERROR, "it is not known whether a batch was stored",
                cause->message);
}

static uint32_t count_pending(const sequencer *q)
{
    uint32_t count = 0, limit = sequencer_batch_limit(q);
    for (const ex_submission *s = q->pending; s && count < limit; s = s->next)
        count++;
    return count;
}

bool sequencer_split(sequencer *q)
{
    for (uint32_t i = 0; i < q->staged_count; i++)
        if (!q->staged[i].submission->retract)
            return false;
    uint32_t count = q->staged_count ? q->staged_count : count_pending(q);
    if (count < 2)
        return false;
    sequencer_start_over(q);
    stream_cache_clear(&q->cache);
    q->looked_up = 0;
    q->most = count / 2;
    return true;
}

/* A batch of one, which has met damage: the engine's words are of ids and positions. */
static void fail_alone(sequencer *q, const ex_error *cause)
{
    ex_error named = *cause;
    ex_slice stream;
    if (batch_only_stream(&q->batch, &stream))
        (void)ex_error_context(&named, cause->status, "stream '%.*s'", EX_ARG(stream));
    q->staged[0].status = EX_ECORRUPT;
    q->staged[0].err = &named;
    sequencer_acknowledge(q);
}

void sequencer_fail(sequencer *q, const ex_error *cause)
{
    if (cause->status == EX_ECORRUPT && q->staged_count == 1) {
        fail_alone(q, cause);
        return;
    }
    bool is_unknown = cause->status == EX_EOUTCOME;
    ex_error lost = {0}, unknown = {0};
    (void)ex_raise(&lost, EX_ESTORAGE, "nothing of %s was stored: %s",
                   is_unknown ? "it" : "the batch", cause->message);
    if (is_unknown) {
        (void)ex_raise(&unknown, EX_EOUTCOME, "it is not known whether it was stored: %s",
                       cause->message);
        keep_unknown(q, cause);
    }
    for (uint32_t i = 0; i < q->staged_count; i++) {
        staged *s = &q->staged[i];
        s->err = is_unknown && s->has_written ? &unknown : &lost;
        s->status = s->err->status;
    }
    sequencer_acknowledge(q);
}

void sequencer_fail_overdue(sequencer *q, const ex_error *cause)
{
    ex_error err = {0};
    ex_submission *s;
    (void)ex_raise(&err, EX_ESTORAGE, "nothing of it was stored, its time was over: %s",
                   cause->message);
    while ((s = sequencer_take_overdue(q)) != NULL)
        answer(q, s, EX_ESTORAGE, &err);
}

void sequencer_learn_fate(sequencer *q, store_fate fate)
{
    if (!q->unknown.is_open || fate == STORE_FATE_NONE)
        return;
    q->unknown.is_open = false;
    log_unknown(&q->unknown, EX_LOG_WARN,
                fate == STORE_FATE_STORED ? "the batch of unknown outcome was stored"
                                          : "the batch of unknown outcome was not stored",
                "");
}
