/* append.c: ex_store_append and its asynchronous form, as submissions.
 *
 * One allocation holds the submission and the prepared events. The caller's
 * thread checks and prepares; the sequencer stages; `done` answers. */
#include <stdlib.h>

#include "store/batch.h"
#include "store/futex.h"
#include "store/sequencer.h"
#include "store/store_metrics.h"

typedef struct append_job {
    ex_submission submission; /* first */
    ex_store *store;
    prepared_append prepared;
    ex_appended *ret; /* the caller's, may be NULL */
    ex_append_done_fn *done;
    void *ctx;
    _Alignas(max_align_t) char memory[]; /* of prepared */
} append_job;

static ex_status append_stage(ex_submission *s, ex_batch *b, ex_error *err)
{
    return batch_append(b, &((append_job *)s)->prepared, err);
}

static void append_want(ex_submission *s, ex_batch *b)
{
    const prepared_append *p = &((append_job *)s)->prepared;
    uint32_t at = 0;
    for (uint32_t i = 0; i < p->append->write_count; i++) {
        const ex_stream_write *w = &p->append->writes[i];
        if (w->expected.raw == EX_NO_STREAM.raw)
            ex_batch_want_new_stream(b, w->stream);
        else
            ex_batch_want_stream(b, w->stream);
        for (uint32_t j = 0; j < w->event_count; j++, at++)
            if (p->has_given_id[at])
                ex_batch_want_event(b, w->stream, &p->events[at].id);
    }
}

static void append_retract(ex_submission *s)
{
    (void)s; /* what it prepared is filled in anew */
}

static void append_done(ex_submission *s, ex_status status, const ex_error *err)
{
    append_job *job = (append_job *)s;
    ex_appended outcome = {0};
    ex_appended *ret = job->ret ? job->ret : &outcome;
    ex_error named;
    if (status == EX_OK)
        append_outcome(&job->prepared, ret);
    if (status == EX_EOUTCOME) {
        append_ids(&job->prepared, ret);
        named = *err;
        (void)ex_id_text(&job->prepared.events[0].id, named.event_id); /* it wrote one */
        err = &named;
    }
    store_metrics_outcome(job->store->metrics, status, status == EX_OK && ret->is_duplicate);
    job->done(job->ctx, status, status == EX_OK || status == EX_EOUTCOME ? ret : NULL, err);
    free(job);
}

static ex_status job_new(ex_store *s, const ex_append *append, append_job **ret, ex_error *err)
{
    append_limits limits = {s->options.events_per_append, s->options.event_limit_bytes, false};
    size_t room = append_measure(append, &limits);
    append_job *job = malloc(sizeof(*job) + room);
    if (!job)
        return ex_raise(err, EX_ENOMEM, "no memory for an append");
    ex_arena scratch;
    ex_arena_init(&scratch, 0);
    ex_status st = append_prepare(append, &limits, job->memory, &scratch, &job->prepared, err);
    ex_arena_done(&scratch);
    if (st) {
        free(job);
        return st;
    }
    job->submission = (ex_submission){.stage = append_stage,
                                      .want = append_want,
                                      .done = append_done,
                                      .retract = append_retract,
                                      .cancel = append->cancel};
    job->store = s;
    *ret = job;
    return EX_OK;
}

ex_status ex_store_append_async(ex_store *s, const ex_append *append, ex_appended *ret,
                                ex_append_done_fn *done, void *ctx, ex_error *err)
{
    append_job *job = NULL;
    ex_status st = job_new(s, append, &job, err);
    if (st)
        return st;
    job->ret = ret;
    job->done = done;
    job->ctx = ctx;
    st = ex_store_submit(s, &job->submission, err);
    if (st)
        free(job);
    return st;
}

/* ---- Blocking ---- */

enum { WAITING, ASLEEP, ANSWERED };

typedef struct waiter {
    _Atomic uint32_t state;
    ex_status status;
    ex_error *err; /* the caller's, may be NULL */
} waiter;

static void wake_waiter(void *ctx, ex_status status, const ex_appended *appended,
                        const ex_error *err)
{
    (void)appended;
    waiter *w = ctx;
    w->status = status;
    if (status && w->err && err)
        *w->err = *err;
    /* after this exchange the waiter may be gone; its address is only a name for the kernel */
    if (atomic_exchange(&w->state, ANSWERED) == ASLEEP)
        futex_wake(&w->state);
}

static void wait_for_answer(waiter *w)
{
    uint32_t waiting = WAITING;
    (void)atomic_compare_exchange_strong(&w->state, &waiting, ASLEEP); /* fails: answered */
    while (atomic_load(&w->state) != ANSWERED)
        futex_wait(&w->state, ASLEEP);
}

ex_status ex_store_append(ex_store *s, const ex_append *append, ex_appended *ret, ex_error *err)
{
    waiter w = {.err = err};
    ex_status st = ex_store_append_async(s, append, ret, wake_waiter, &w, err);
    if (st)
        return st;
    wait_for_answer(&w);
    return w.status;
}
