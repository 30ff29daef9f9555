/* test_fingerprint.c: the stored hash is the same for ever, and parts cannot shift. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernel/fingerprint.h"

static uint64_t of(const char *a, const char *b)
{
    return ex_fingerprint(ex_fingerprint(EX_FINGERPRINT_START, ex_str(a)), ex_str(b));
}

/* Stored in databases: these numbers must never change. */
static void test_fingerprint_is_stable(void **ctx)
{
    (void)ctx;
    assert_true(of("", "") == UINT64_C(0xc70b7d317e33bf45));
    assert_true(of("orders", "{\"a\":1}") == UINT64_C(0x2c55e2670f12111c));
}

static void test_fingerprint_parts_do_not_shift(void **ctx)
{
    (void)ctx;
    assert_true(of("ab", "c") != of("a", "bc"));
    assert_true(of("ab", "") != of("", "ab"));
    assert_true(of("a", "b") != of("b", "a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fingerprint_is_stable),
        cmocka_unit_test(test_fingerprint_parts_do_not_shift),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
