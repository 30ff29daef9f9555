/* gate.c: see gate.h. */
#include "api/gate.h"

void gate_init(gate *g)
{
    atomic_init(&g->inside_count, 0);
    atomic_init(&g->is_closed, false);
    (void)pthread_mutex_init(&g->mu, NULL); /* cannot fail with default attributes on Linux */
    (void)pthread_cond_init(&g->is_empty, NULL);
}

void gate_done(gate *g)
{
    (void)pthread_cond_destroy(&g->is_empty);
    (void)pthread_mutex_destroy(&g->mu);
}

ex_status gate_enter(gate *g, ex_error *err)
{
    /* Count first, then look: whoever closes the gate sees the count or is seen. */
    atomic_fetch_add(&g->inside_count, 1);
    if (!atomic_load(&g->is_closed))
        return EX_OK;
    gate_leave(g);
    return ex_raise(err, EX_ECLOSED, "the server is shutting down");
}

void gate_leave(gate *g)
{
    if (atomic_fetch_sub(&g->inside_count, 1) != 1 || !atomic_load(&g->is_closed))
        return;
    (void)pthread_mutex_lock(&g->mu);
    (void)pthread_cond_broadcast(&g->is_empty);
    (void)pthread_mutex_unlock(&g->mu);
}

void gate_close(gate *g)
{
    atomic_store(&g->is_closed, true);
    (void)pthread_mutex_lock(&g->mu);
    while (atomic_load(&g->inside_count))
        (void)pthread_cond_wait(&g->is_empty, &g->mu);
    (void)pthread_mutex_unlock(&g->mu);
}
