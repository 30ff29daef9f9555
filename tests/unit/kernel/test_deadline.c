/* test_deadline.c: a timed wait ends at its deadline, neither early nor never. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>

#include <cmocka.h>

#include <excore/clock.h>

#include "kernel/deadline.h"

static void test_deadline_is_so_many_milliseconds_away(void **ctx)
{
    (void)ctx;
    static const uint64_t waits_ms[] = {0, 1, 999, 1000, 1001, 86400000};
    for (size_t i = 0; i < sizeof(waits_ms) / sizeof(waits_ms[0]); i++) {
        uint64_t before = ex_monotonic_ns(ex_clock_system());
        struct timespec t = ex_deadline(waits_ms[i]);
        uint64_t after = ex_monotonic_ns(ex_clock_system());
        uint64_t ns = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
        assert_in_range(t.tv_nsec, 0, 999999999);
        assert_in_range(ns, before + waits_ms[i] * 1000000, after + waits_ms[i] * 1000000);
    }
}

static void test_deadline_ends_a_wait(void **ctx)
{
    (void)ctx;
    pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t cond;
    ex_cond_init(&cond);
    uint64_t before = ex_monotonic_ns(ex_clock_system());
    struct timespec until = ex_deadline(20);
    pthread_mutex_lock(&mu);
    int rc = 0;
    while (rc == 0)
        rc = pthread_cond_timedwait(&cond, &mu, &until);
    pthread_mutex_unlock(&mu);
    assert_int_equal(rc, ETIMEDOUT);
    assert_true(ex_monotonic_ns(ex_clock_system()) - before >= 20000000);
    pthread_cond_destroy(&cond);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deadline_is_so_many_milliseconds_away),
        cmocka_unit_test(test_deadline_ends_a_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
