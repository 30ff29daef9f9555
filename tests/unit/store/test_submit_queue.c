/* test_submit_queue.c: order, bound, sleep and end of the queue into the sequencer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#include "store/submit_queue.h"

static void test_submit_queue_gives_all_in_order(void **state)
{
    (void)state;
    submit_queue q;
    ex_submission s[5] = {0};
    submit_queue_init(&q, 10);
    assert_null(submit_queue_take(&q));
    for (int i = 0; i < 5; i++)
        assert_int_equal(submit_queue_push(&q, &s[i], NULL), EX_OK);
    assert_int_equal(submit_queue_depth(&q), 5);
    const ex_submission *at = submit_queue_take(&q);
    for (int i = 0; i < 5; i++, at = at->next)
        assert_ptr_equal(at, &s[i]);
    assert_null(at);
    assert_int_equal(submit_queue_depth(&q), 0);
}

static void test_submit_queue_refuses_above_its_limit(void **state)
{
    (void)state;
    submit_queue q;
    ex_submission s[3] = {0};
    submit_queue_init(&q, 2);
    assert_int_equal(submit_queue_push(&q, &s[0], NULL), EX_OK);
    assert_int_equal(submit_queue_push(&q, &s[1], NULL), EX_OK);
    assert_int_equal(submit_queue_push(&q, &s[2], NULL), EX_EOVERLOADED);
    assert_ptr_equal(submit_queue_take(&q), &s[0]);
    assert_int_equal(submit_queue_push(&q, &s[2], NULL), EX_OK);
    assert_int_equal(submit_queue_push(&q, &s[0], NULL), EX_OK);
    assert_int_equal(submit_queue_push_over(&q, &s[1], NULL), EX_OK); /* was let in before */
    assert_int_equal(submit_queue_depth(&q), 3);
    submit_queue_close(&q);
    assert_ptr_equal(submit_queue_take(&q), &s[2]);
    assert_int_equal(submit_queue_push_over(&q, &s[0], NULL), EX_ECLOSED);
}

static void test_submit_queue_hands_out_the_rest_before_it_ends(void **state)
{
    (void)state;
    submit_queue q;
    ex_submission s[2] = {0};
    submit_queue_init(&q, 2);
    assert_int_equal(submit_queue_push(&q, &s[0], NULL), EX_OK);
    submit_queue_close(&q);
    assert_int_equal(submit_queue_push(&q, &s[1], NULL), EX_ECLOSED);
    assert_ptr_equal(submit_queue_wait(&q), &s[0]);
    assert_null(submit_queue_wait(&q));
    assert_int_equal(submit_queue_push(&q, &s[1], NULL), EX_ECLOSED);
}

/* ---- Threads ---- */

enum { PRODUCERS = 6, EACH = 20000 };

typedef struct item {
    ex_submission submission; /* first */
    int producer;
    int number;
} item;

typedef struct producer {
    submit_queue *q;
    item *items;
    int refused;
} producer;

static void *produce(void *arg)
{
    producer *p = arg;
    for (int i = 0; i < EACH; i++)
        while (submit_queue_push(p->q, &p->items[i].submission, NULL) != EX_OK) {
            p->refused++;
            sched_yield();
        }
    return NULL;
}

static void test_submit_queue_loses_nothing_between_threads(void **state)
{
    (void)state;
    submit_queue q;
    submit_queue_init(&q, 64);
    producer producers[PRODUCERS];
    pthread_t threads[PRODUCERS];
    int next[PRODUCERS] = {0};
    for (int i = 0; i < PRODUCERS; i++) {
        producers[i] = (producer){.q = &q, .items = calloc(EACH, sizeof(item))};
        assert_non_null(producers[i].items);
        for (int j = 0; j < EACH; j++)
            producers[i].items[j] = (item){.producer = i, .number = j};
        assert_int_equal(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
    }
    for (int left = PRODUCERS * EACH; left > 0;) {
        for (const ex_submission *s = submit_queue_wait(&q); s; s = s->next, left--) {
            const item *it = (const item *)s;
            assert_int_equal(it->number, next[it->producer]++);
        }
    }
    for (int i = 0; i < PRODUCERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        free(producers[i].items);
    }
    assert_null(submit_queue_take(&q));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_submit_queue_gives_all_in_order),
        cmocka_unit_test(test_submit_queue_refuses_above_its_limit),
        cmocka_unit_test(test_submit_queue_hands_out_the_rest_before_it_ends),
        cmocka_unit_test(test_submit_queue_loses_nothing_between_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
