/* timer.c: see timer.h. */
#include "io/timer.h"

#include <assert.h>
#include <stdlib.h>

struct ex_timer {
    uv_timer_t uv;
    void (*fn)(void *arg);
    void *arg;
};

static void on_tick(uv_timer_t *uv)
{
    ex_timer *t = uv->data;
    t->fn(t->arg);
}

static void on_closed(uv_handle_t *uv)
{
    free(uv->data);
}

ex_timer *ex_timer_start(ex_loop *l, uint32_t period_ms, void (*fn)(void *arg), void *arg)
{
    assert(ex_loop_is_current(l));
    ex_timer *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->fn = fn;
    t->arg = arg;
    t->uv.data = t;
    (void)uv_timer_init(ex_loop_uv(l), &t->uv);                  /* cannot fail */
    (void)uv_timer_start(&t->uv, on_tick, period_ms, period_ms); /* fails only without a callback */
    return t;
}

void ex_timer_stop(ex_timer *t)
{
    if (t)
        uv_close((uv_handle_t *)&t->uv, on_closed);
}
