/* submit_queue.c: a linked stack that is taken whole and turned round.
 *
 * The consumer's sleep: it announces it, looks at the queue again, then sleeps.
 * A producer pushes, then looks at the announcement. Both are sequentially
 * consistent, so at least one of them sees the other. */
#include "store/submit_queue.h"

#include <assert.h>

#include "store/futex.h"

/* The stack's head once nobody will take from it again. */
static ex_submission closed_mark;
#define QUEUE_CLOSED (&closed_mark)

void submit_queue_init(submit_queue *q, uint32_t limit)
{
    memset(q, 0, sizeof(*q));
    q->limit = limit;
}

static void wake(submit_queue *q)
{
    if (atomic_load(&q->is_sleeping) && atomic_exchange(&q->is_sleeping, 0))
        futex_wake(&q->is_sleeping);
}

static ex_status refuse_closed(submit_queue *q, ex_error *err)
{
    (void)atomic_fetch_sub(&q->depth, 1);
    return ex_raise(err, EX_ECLOSED, "the store is closing");
}

/* It is counted already. */
static ex_status push(submit_queue *q, ex_submission *s, ex_error *err)
{
    ex_submission *newest = atomic_load_explicit(&q->newest, memory_order_relaxed);
    do {
        if (newest == QUEUE_CLOSED)
            return refuse_closed(q, err);
        s->next = newest;
    } while (!atomic_compare_exchange_weak(&q->newest, &newest, s));
    wake(q);
    return EX_OK;
}

ex_status submit_queue_push(submit_queue *q, ex_submission *s, ex_error *err)
{
    if (atomic_fetch_add(&q->depth, 1) >= q->limit) {
        (void)atomic_fetch_sub(&q->depth, 1);
        return ex_raise(err, EX_EOVERLOADED, "%u submissions are waiting already", q->limit);
    }
    return atomic_load(&q->is_closing) ? refuse_closed(q, err) : push(q, s, err);
}

ex_status submit_queue_push_over(submit_queue *q, ex_submission *s, ex_error *err)
{
    (void)atomic_fetch_add(&q->depth, 1);
    return atomic_load(&q->is_closing) ? refuse_closed(q, err) : push(q, s, err);
}

void submit_queue_give_back(submit_queue *q, ex_submission *s)
{
    (void)atomic_fetch_add(&q->depth, 1);
    ex_status st = push(q, s, NULL);
    assert(st == EX_OK); /* it is held, so the queue has not ended */
    (void)st;
}

ex_submission *submit_queue_take(submit_queue *q)
{
    if (!atomic_load_explicit(&q->newest, memory_order_relaxed))
        return NULL;
    ex_submission *s = atomic_exchange(&q->newest, NULL), *oldest = NULL;
    uint32_t count = 0;
    while (s) {
        ex_submission *older = s->next;
        s->next = oldest;
        oldest = s;
        s = older;
        count++;
    }
    (void)atomic_fetch_sub_explicit(&q->depth, count, memory_order_relaxed);
    return oldest;
}

ex_submission *submit_queue_wait(submit_queue *q)
{
    for (;;) {
        ex_submission *taken = submit_queue_take(q);
        if (taken)
            return taken;
        atomic_store(&q->is_sleeping, 1);
        if (atomic_load(&q->newest)) {
            atomic_store(&q->is_sleeping, 0);
            continue;
        }
        ex_submission *empty = NULL;
        if (atomic_load(&q->is_closing) && q->held == 0 &&
            atomic_compare_exchange_strong(&q->newest, &empty, QUEUE_CLOSED))
            return NULL;
        while (atomic_load(&q->is_sleeping))
            futex_wait(&q->is_sleeping, 1);
    }
}

void submit_queue_close(submit_queue *q)
{
    atomic_store(&q->is_closing, true);
    wake(q);
}
