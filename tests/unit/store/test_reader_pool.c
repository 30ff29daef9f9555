/* test_reader_pool.c: readers are reused, bounded, and replaced when they break. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>

#include "store/reader_pool.h"

static int opened, closed;
static ex_status open_failure;

static ex_status fake_open(void *impl, void **ret_reader, ex_error *err)
{
    if (open_failure)
        return ex_raise(err, open_failure, "no");
    opened++;
    *ret_reader = impl;
    return EX_OK;
}

static void fake_close(void *reader)
{
    if (reader)
        closed++;
}

static const store_reader_ops readers = {.open = fake_open, .close = fake_close};
static const store_driver_ops ops = {.name = "fake", .reader = &readers};

static uint64_t now_ns;

static uint64_t fake_ns(void *ctx)
{
    (void)ctx;
    return now_ns;
}

static const ex_clock fake_clock = {.monotonic_ns = fake_ns};

static int set_up(void **state)
{
    static reader_pool pool;
    static store_driver driver;
    opened = closed = 0;
    open_failure = EX_OK;
    driver = (store_driver){&ops, &driver};
    *state = &pool;
    return reader_pool_init(&pool, &driver, 2, 20, &fake_clock, NULL);
}

static int tear_down(void **state)
{
    reader_pool_done(*state);
    return opened == closed ? 0 : -1;
}

static void test_reader_pool_reuses_readers(void **state)
{
    void *a = NULL;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(reader_pool_take(*state, &a, NULL), EX_OK);
        reader_pool_give(*state, a, false);
    }
    assert_int_equal(opened, 1);
}

static void test_reader_pool_is_bounded(void **state)
{
    void *a = NULL, *b = NULL, *c = NULL;
    ex_error err = {0};
    assert_int_equal(reader_pool_take(*state, &a, NULL), EX_OK);
    assert_int_equal(reader_pool_take(*state, &b, NULL), EX_OK);
    assert_int_equal(reader_pool_take(*state, &c, &err), EX_ETIMEOUT);
    assert_null(c);
    reader_pool_give(*state, a, false);
    assert_int_equal(reader_pool_take(*state, &c, NULL), EX_OK);
    reader_pool_give(*state, b, false);
    reader_pool_give(*state, c, false);
    assert_int_equal(opened, 2);
}

static void test_reader_pool_replaces_broken_readers(void **state)
{
    void *a = NULL;
    assert_int_equal(reader_pool_take(*state, &a, NULL), EX_OK);
    reader_pool_give(*state, a, true);
    assert_int_equal(closed, 1);
    open_failure = EX_ESTORAGE;
    for (int i = 0; i < 5; i++) /* a failure to open does not use up a place */
        assert_int_equal(reader_pool_take(*state, &a, NULL), EX_ESTORAGE);
    open_failure = EX_OK;
    assert_int_equal(reader_pool_take(*state, &a, NULL), EX_OK);
    reader_pool_give(*state, a, false);
}

/* After a burst the readers that nobody wants any more are closed, one at a time. */
static void test_reader_pool_closes_what_is_idle_for_long(void **state)
{
    const uint64_t minute_ns = UINT64_C(60) * 1000000000;
    void *a = NULL, *b = NULL;
    assert_int_equal(reader_pool_take(*state, &a, NULL), EX_OK);
    assert_int_equal(reader_pool_take(*state, &b, NULL), EX_OK);
    reader_pool_give(*state, b, false);
    reader_pool_give(*state, a, false);
    for (int i = 0; i < 11; i++) {
        assert_int_equal(closed, 0);
        now_ns += minute_ns;
        assert_int_equal(reader_pool_take(*state, &a, NULL), EX_OK);
        reader_pool_give(*state, a, false);
    }
    assert_int_equal(closed, 1);
    now_ns += 11 * minute_ns;
    assert_int_equal(reader_pool_take(*state, &a, NULL), EX_OK);
    reader_pool_give(*state, a, false);
    assert_int_equal(closed, 1); /* the one in use stays */
}

/* ---- Waiting in line (issue 8, item 12; G-602) ---- */

typedef struct comer {
    reader_pool *pool;
    int number;
    pthread_t thread;
} comer;

static int order[4], came; /* written by who holds the one reader that goes round */

static void *come(void *arg)
{
    const comer *c = arg;
    void *reader = NULL;
    assert_int_equal(reader_pool_take(c->pool, &reader, NULL), EX_OK);
    order[came++] = c->number;
    reader_pool_give(c->pool, reader, false);
    return NULL;
}

static uint32_t count_waiting(reader_pool *p)
{
    uint32_t count = 0;
    (void)pthread_mutex_lock(&p->mu);
    for (const reader_waiter *w = p->first; w; w = w->next)
        count++;
    (void)pthread_mutex_unlock(&p->mu);
    return count;
}

/* Who gives a reader back and takes it again at once comes after those who waited. */
static void test_reader_pool_serves_in_order(void **state)
{
    reader_pool *p = *state;
    comer comers[2] = {{p, 1, 0}, {p, 2, 0}};
    void *a = NULL, *b = NULL;
    p->timeout_ms = 60000;
    came = 0;
    assert_int_equal(reader_pool_take(p, &a, NULL), EX_OK);
    assert_int_equal(reader_pool_take(p, &b, NULL), EX_OK);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&comers[i].thread, NULL, come, &comers[i]), 0);
        while (count_waiting(p) <= i)
            (void)sched_yield();
    }
    reader_pool_give(p, a, false);
    assert_int_equal(reader_pool_take(p, &a, NULL), EX_OK);
    assert_int_equal(came, 2);
    assert_int_equal(order[0], 1);
    assert_int_equal(order[1], 2);
    reader_pool_give(p, a, false);
    reader_pool_give(p, b, false);
    for (uint32_t i = 0; i < 2; i++)
        (void)pthread_join(comers[i].thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reader_pool_reuses_readers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reader_pool_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reader_pool_serves_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reader_pool_closes_what_is_idle_for_long, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_reader_pool_replaces_broken_readers, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
