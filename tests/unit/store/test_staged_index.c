/* test_staged_index.c: finding, taking back, growing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/staged_index.h"

/* The numbers under a hash as digits, newest first; the tests use numbers below 10. */
static uint64_t digits(const staged_index *x, uint64_t hash)
{
    uint32_t at = 0, value;
    uint64_t found = 0;
    while (staged_index_next(x, hash, &at, &value))
        found = found * 10 + value;
    return found;
}

static void test_staged_index_walks_newest_first(void **state)
{
    (void)state;
    staged_index x = {0};
    assert_int_equal(digits(&x, 1), 0);
    assert_int_equal(staged_index_put(&x, 1, 1), EX_OK);
    assert_int_equal(staged_index_put(&x, 2, 2), EX_OK);
    assert_int_equal(staged_index_put(&x, 1, 3), EX_OK);
    assert_int_equal(staged_index_put(&x, 1 + 256, 4), EX_OK); /* the same bucket, another hash */
    assert_int_equal(digits(&x, 1), 31);
    assert_int_equal(digits(&x, 2), 2);
    assert_int_equal(digits(&x, 257), 4);
    assert_int_equal(digits(&x, 3), 0);
    staged_index_done(&x);
}

static void test_staged_index_takes_back_from_the_end(void **state)
{
    (void)state;
    staged_index x = {0};
    for (uint32_t i = 1; i <= 6; i++)
        assert_int_equal(staged_index_put(&x, i % 2, i), EX_OK);
    staged_index_truncate(&x, 4);
    assert_int_equal(digits(&x, 1), 31);
    assert_int_equal(digits(&x, 0), 2);
    assert_int_equal(staged_index_put(&x, 0, 4), EX_OK);
    assert_int_equal(digits(&x, 0), 42);
    staged_index_truncate(&x, 0);
    assert_int_equal(digits(&x, 0), 0);
    assert_int_equal(digits(&x, 1), 0);
    staged_index_done(&x);
}

static void test_staged_index_keeps_its_order_while_it_grows(void **state)
{
    (void)state;
    staged_index x = {0};
    for (uint32_t i = 0; i < 20000; i++)
        assert_int_equal(staged_index_put(&x, i % 7, i), EX_OK);
    for (uint32_t h = 0; h < 7; h++) {
        uint32_t at = 0, value, last = 20000, count = 0;
        while (staged_index_next(&x, h, &at, &value)) {
            assert_int_equal(value % 7, h);
            assert_true(value < last);
            last = value;
            count++;
        }
        assert_int_equal(count, 20000 / 7 + (h < 20000 % 7));
    }
    staged_index_reset(&x);
    assert_int_equal(x.capacity, 0); /* more than an ordinary batch needs is given back */
    assert_int_equal(staged_index_put(&x, 1, 1), EX_OK);
    staged_index_reset(&x);
    assert_int_not_equal(x.capacity, 0);
    assert_int_equal(digits(&x, 1), 0);
    staged_index_done(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_staged_index_walks_newest_first),
        cmocka_unit_test(test_staged_index_takes_back_from_the_end),
        cmocka_unit_test(test_staged_index_keeps_its_order_while_it_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
