/* test_cancel.c: asking for the end reaches the work that is attached, once, and lasts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernel/cancel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

static void count(void *ctx)
{
    atomic_fetch_add((atomic_int *)ctx, 1);
}

static void test_cancel_calls_what_is_attached_once(void **state)
{
    (void)state;
    ex_cancel *c = NULL;
    atomic_int calls = 0;
    assert_int_equal(ex_cancel_new(&c, NULL), EX_OK);
    assert_int_equal(ex_cancel_attach(c, count, &calls, NULL), EX_OK);
    assert_false(ex_cancel_is_requested(c));
    ex_cancel_request(c);
    ex_cancel_request(c);
    assert_true(ex_cancel_is_requested(c));
    assert_int_equal(atomic_load(&calls), 1);
    ex_cancel_detach(c);
    ex_cancel_free(c);
}

static void test_cancel_lasts(void **state)
{
    (void)state;
    ex_cancel *c = NULL;
    ex_error err = {0};
    atomic_int calls = 0;
    assert_int_equal(ex_cancel_new(&c, NULL), EX_OK);
    ex_cancel_request(c);
    assert_int_equal(ex_cancel_attach(c, count, &calls, &err), EX_ECANCELLED);
    assert_int_equal(atomic_load(&calls), 0);
    ex_cancel_free(c);
}

static void test_cancel_none(void **state)
{
    (void)state;
    assert_int_equal(ex_cancel_attach(NULL, count, NULL, NULL), EX_OK);
    assert_false(ex_cancel_is_requested(NULL));
    ex_cancel_detach(NULL);
    ex_cancel_free(NULL);
}

static void *request(void *arg)
{
    ex_cancel_request(arg);
    return NULL;
}

/* Work that ends while somebody asks for its end: never called after it was detached. */
static void test_cancel_races_with_the_end(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        ex_cancel *c = NULL;
        pthread_t thread;
        assert_int_equal(ex_cancel_new(&c, NULL), EX_OK);
        atomic_int *calls = calloc(1, sizeof(*calls)); /* freed early: a late call is found */
        assert_non_null(calls);
        assert_int_equal(pthread_create(&thread, NULL, request, c), 0);
        if (ex_cancel_attach(c, count, calls, NULL) == EX_OK)
            ex_cancel_detach(c);
        assert_true(atomic_load(calls) <= 1);
        free(calls);
        pthread_join(thread, NULL);
        ex_cancel_free(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cancel_calls_what_is_attached_once),
        cmocka_unit_test(test_cancel_lasts),
        cmocka_unit_test(test_cancel_none),
        cmocka_unit_test(test_cancel_races_with_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
