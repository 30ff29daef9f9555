/* submit_queue.h: the bounded queue into the sequencer: any thread pushes, one takes.
 *
 * A push is two atomic operations; a sleeping consumer is woken once, by the
 * first push. The consumer takes all there is at once, in order. */
#ifndef EXCORE_STORE_SUBMIT_QUEUE_H
#define EXCORE_STORE_SUBMIT_QUEUE_H

#include <stdatomic.h>

#include "store/submission.h"

typedef struct submit_queue {
    /* immutable */
    uint32_t limit;
    /* atomic */
    _Atomic(ex_submission *) newest; /* linked to older ones; QUEUE_CLOSED at the end */
    _Atomic uint32_t depth;
    _Atomic uint32_t is_sleeping; /* the consumer, or about to */
    atomic_bool is_closing;
    /* the consumer's */
    uint32_t held; /* taken, and going to be given back: until then the queue does not end */
} submit_queue;

void submit_queue_init(submit_queue *q, uint32_t limit);
/** @return EX_OK, EX_EOVERLOADED, EX_ECLOSED. Thread: any. Blocking: no. */
EX_NODISCARD ex_status submit_queue_push(submit_queue *q, ex_submission *s, ex_error *err);
/** The same whatever the limit. @return EX_OK, EX_ECLOSED. */
EX_NODISCARD ex_status submit_queue_push_over(submit_queue *q, ex_submission *s, ex_error *err);
/** Give one back that the consumer counts in `held`: whatever the limit, also while the queue is
 *  closing. Thread: any. */
void submit_queue_give_back(submit_queue *q, ex_submission *s);
/** All that is queued, oldest first; NULL when nothing is. Thread: the consumer. */
ex_submission *submit_queue_take(submit_queue *q);
/** The same, but wait for some. NULL: closed, and nothing will come any more. */
ex_submission *submit_queue_wait(submit_queue *q);
/** Refuse further pushes; submit_queue_wait returns NULL once all was taken. Thread: any. */
void submit_queue_close(submit_queue *q);
static inline uint32_t submit_queue_depth(submit_queue *q)
{
    return atomic_load_explicit(&q->depth, memory_order_relaxed);
}

#endif
