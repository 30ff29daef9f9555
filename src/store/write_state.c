/* write_state.c: keeping the last failure of a batch, and trying again for those who ask. */
#include "store/write_state.h"

#include <semaphore.h>

#include "store/batch.h"
#include "store/store_internal.h"

void write_state_init(write_state *w)
{
    atomic_init(&w->is_failing, false);
    atomic_init(&w->has_ended, false);
    pthread_mutex_init(&w->mu, NULL);
}

void write_state_done(write_state *w)
{
    pthread_mutex_destroy(&w->mu);
}

void write_state_failed(write_state *w, const ex_error *why)
{
    pthread_mutex_lock(&w->mu);
    if (!write_state_has_ended(w)) /* its reason stays */
        w->why = *why;
    atomic_store(&w->is_failing, true);
    pthread_mutex_unlock(&w->mu);
}

void write_state_end(write_state *w, const ex_error *why)
{
    write_state_failed(w, why);
    atomic_store(&w->has_ended, true);
}

void write_state_worked(write_state *w)
{
    if (!atomic_load_explicit(&w->is_failing, memory_order_relaxed))
        return;
    pthread_mutex_lock(&w->mu);
    atomic_store(&w->is_failing, false);
    pthread_mutex_unlock(&w->mu);
}

ex_status write_state_tell(write_state *w, ex_error *err)
{
    if (!atomic_load_explicit(&w->is_failing, memory_order_relaxed))
        return EX_OK;
    ex_status st = EX_OK;
    pthread_mutex_lock(&w->mu);
    if (atomic_load(&w->is_failing)) {
        st = w->why.status;
        if (err)
            *err = w->why;
    }
    pthread_mutex_unlock(&w->mu);
    return st;
}

/* ---- Asking again ---- */

typedef struct probe {
    ex_submission submission; /* first */
    sem_t answered;
} probe;

static ex_status probe_stage(ex_submission *s, ex_batch *b, ex_error *err)
{
    (void)s;
    return batch_probe(b, err);
}

static void probe_done(ex_submission *s, ex_status status, const ex_error *err)
{
    (void)status; /* the write state has it */
    (void)err;
    sem_post(&((probe *)s)->answered);
}

ex_status ex_store_check_writes(ex_store *s, ex_error *err)
{
    const store_files_ops *files = s->driver.ops->files;
    if (!s->sequencer)
        return EX_OK;
    if (write_state_tell(&s->writes, NULL) == EX_OK &&
        (!files || files->peek(s->driver.impl, NULL) == EX_OK))
        return EX_OK;
    if (write_state_has_ended(&s->writes))
        return write_state_tell(&s->writes, err);
    probe p = {.submission = {.stage = probe_stage, .done = probe_done}};
    sem_init(&p.answered, 0, 0); /* cannot fail for 0 */
    if (ex_store_submit(s, &p.submission, NULL) == EX_OK)
        while (sem_wait(&p.answered) != 0) {
        } /* a signal came */
    sem_destroy(&p.answered);
    return write_state_tell(&s->writes, err); /* a full queue: the others ask for us */
}
