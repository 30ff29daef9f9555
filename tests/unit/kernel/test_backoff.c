/* test_backoff.c: the waits between tries. R-01-55. */
#include "kernel/backoff.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static ex_status constant(void *ctx, void *out, size_t n)
{
    memset(out, *(int *)ctx, n);
    return EX_OK;
}

static void test_backoff_doubles_within_its_limits(void **state)
{
    (void)state;
    static const struct {
        ex_backoff b;
        uint32_t attempt, lowest, highest;
    } cases[] = {
        {{0, 0}, 0, 75, 125},
        {{0, 0}, 1, 150, 250},
        {{0, 0}, 4, 1200, 2000},
        {{0, 0}, 6, 3750, 5000},
        {{0, 0}, UINT32_MAX, 3750, 5000},
        {{1000, 60000}, 3, 6000, 10000},
        {{10, 10}, 5, 7, 10},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int byte = 0;
        ex_clock clock = {.random = constant, .ctx = &byte};
        assert_int_equal(ex_backoff_ms(&cases[i].b, cases[i].attempt, &clock), cases[i].lowest);
        byte = 0xff;
        assert_int_equal(ex_backoff_ms(&cases[i].b, cases[i].attempt, &clock), cases[i].highest);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_backoff_doubles_within_its_limits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
