/* test_histogram.c: quantiles against a sorted list of the same values. */
#include "cli/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void test_histogram_quantiles_within_two_percent(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    static uint64_t values[COUNT];
    histogram *h = calloc(1, sizeof(*h));
    uint64_t seed = 88172645463325252U;
    for (size_t i = 0; i < COUNT; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        values[i] = seed >> (seed & 63); /* every magnitude */
        histogram_add(h, values[i]);
    }
    qsort(values, COUNT, sizeof(values[0]), by_value);
    static const double quantiles[] = {0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0};
    for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
        size_t rank = (size_t)(quantiles[i] * COUNT + 0.5);
        double exact = (double)values[rank - 1], got = (double)histogram_quantile(h, quantiles[i]);
        if (got < exact || got > exact * 1.017)
            fail_msg("quantile %g: %g instead of %g", quantiles[i], got, exact);
    }
    assert_true(histogram_quantile(h, 1.0) == values[COUNT - 1]);
    free(h);
}

static void test_histogram_edges(void **state)
{
    (void)state;
    histogram *h = calloc(1, sizeof(*h));
    assert_true(histogram_quantile(h, 0.99) == 0);
    histogram_add(h, 0);
    assert_true(histogram_quantile(h, 1) == 0);
    histogram_add(h, UINT64_MAX);
    assert_true(h->count == 2 && h->max == UINT64_MAX);
    assert_true(histogram_quantile(h, 0.5) == 0);
    assert_true(histogram_quantile(h, 1) == UINT64_MAX);
    free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_histogram_quantiles_within_two_percent),
        cmocka_unit_test(test_histogram_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
