/* cancel.c: see excore/cancel.h and kernel/cancel.h. fn runs with the lock held, which is what
 * makes detaching wait for it. */
#include "kernel/cancel.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct ex_cancel {
    atomic_bool is_requested; /* set under mu, read without it */
    /* guarded by mu */
    pthread_mutex_t mu;
    ex_cancel_fn *fn; /* NULL: nothing attached */
    void *ctx;
};

ex_status ex_cancel_new(ex_cancel **ret, ex_error *err)
{
    ex_cancel *c = calloc(1, sizeof(*c));
    if (!c)
        return ex_raise(err, EX_ENOMEM, "no memory to cancel a call with");
    (void)pthread_mutex_init(&c->mu, NULL); /* cannot fail with default attributes on Linux */
    *ret = c;
    return EX_OK;
}

void ex_cancel_free(ex_cancel *c)
{
    if (!c)
        return;
    assert(!c->fn);
    (void)pthread_mutex_destroy(&c->mu);
    free(c);
}

void ex_cancel_request(ex_cancel *c)
{
    (void)pthread_mutex_lock(&c->mu);
    if (!atomic_exchange(&c->is_requested, true) && c->fn)
        c->fn(c->ctx);
    (void)pthread_mutex_unlock(&c->mu);
}

bool ex_cancel_is_requested(const ex_cancel *c)
{
    return c && atomic_load(&c->is_requested);
}

ex_status ex_cancel_attach(ex_cancel *c, ex_cancel_fn *fn, void *ctx, ex_error *err)
{
    if (!c)
        return EX_OK;
    (void)pthread_mutex_lock(&c->mu);
    assert(!c->fn);
    bool is_requested = atomic_load(&c->is_requested);
    c->fn = is_requested ? NULL : fn;
    c->ctx = ctx;
    (void)pthread_mutex_unlock(&c->mu);
    return is_requested ? ex_raise(err, EX_ECANCELLED, "nobody wants the answer any more") : EX_OK;
}

void ex_cancel_detach(ex_cancel *c)
{
    if (!c)
        return;
    (void)pthread_mutex_lock(&c->mu);
    c->fn = NULL;
    (void)pthread_mutex_unlock(&c->mu);
}
