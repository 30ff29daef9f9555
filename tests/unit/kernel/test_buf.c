/* Buffer: growth, numbers, the hard limit and the sticky failure. */
#include <excore/buf.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_buf_puts_follow_each_other(void **state)
{
    (void)state;
    ex_buf b;
    ex_buf_init(&b, 0);
    ex_buf_put(&b, EX_S("slice "));
    ex_buf_put(&b, (ex_slice){NULL, 0});
    ex_buf_put_char(&b, 'c');
    ex_buf_put_str(&b, " str ");
    ex_buf_put_str(&b, "");
    ex_buf_printf(&b, "%03d %s", 7, "x");
    ex_buf_printf(&b, "%s", "");
    assert_true(ex_slice_is(ex_buf_slice(&b), "slice c str 007 x"));
    assert_int_equal(ex_buf_status(&b), EX_OK);
    ex_buf_reset(&b);
    assert_int_equal(b.len, 0);
    assert_true(b.cap > 0);
    ex_buf_done(&b);
}

static void test_buf_numbers(void **state)
{
    (void)state;
    static const struct {
        int64_t n;
        const char *text;
    } rows[] = {{0, "0"},
                {-1, "-1"},
                {10, "10"},
                {INT64_MAX, "9223372036854775807"},
                {INT64_MIN, "-9223372036854775808"}};
    ex_buf b;
    ex_buf_init(&b, 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ex_buf_reset(&b);
        ex_buf_put_i64(&b, rows[i].n);
        assert_true(ex_slice_is(ex_buf_slice(&b), rows[i].text));
    }
    ex_buf_reset(&b);
    ex_buf_put_u64(&b, UINT64_MAX);
    ex_buf_put_u64(&b, 0);
    assert_true(ex_slice_is(ex_buf_slice(&b), "184467440737095516150"));
    ex_buf_done(&b);
}

static void test_buf_grows_and_keeps_its_bytes(void **state)
{
    (void)state;
    ex_buf b;
    ex_buf_init(&b, 0);
    for (int i = 0; i < 100000; i++)
        ex_buf_put_char(&b, (char)('a' + i % 26));
    assert_int_equal(ex_buf_status(&b), EX_OK);
    assert_int_equal(b.len, 100000);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(b.ptr[i], 'a' + i % 26);
    ex_buf_done(&b);
}

static void test_buf_limit_is_exact_and_failure_sticky(void **state)
{
    (void)state;
    ex_buf b;
    ex_buf_init(&b, 10);
    ex_buf_put(&b, EX_S("0123456789"));
    assert_int_equal(ex_buf_status(&b), EX_OK);
    ex_buf_put_char(&b, 'x');
    assert_int_equal(ex_buf_status(&b), EX_ETOOLARGE);
    assert_true(ex_slice_is(ex_buf_slice(&b), "0123456789"));
    b.len = 0; /* even with room again, nothing is put after a failure */
    ex_buf_put_char(&b, 'y');
    ex_buf_put_u64(&b, 1);
    ex_buf_printf(&b, "%d", 1);
    assert_int_equal(b.len, 0);
    ex_buf_reset(&b);
    ex_buf_put_char(&b, 'z');
    assert_true(ex_slice_is(ex_buf_slice(&b), "z"));
    assert_false(ex_buf_reserve(&b, SIZE_MAX));
    assert_int_equal(ex_buf_status(&b), EX_ETOOLARGE);
    ex_buf_done(&b);
}

static void test_buf_done_accepts_null_and_zeroed(void **state)
{
    (void)state;
    ex_buf b = {0};
    ex_buf_done(NULL);
    ex_buf_done(&b);
    ex_buf_init(&b, 0);
    ex_buf_put_char(&b, 'a');
    ex_buf_done(&b);
    ex_buf_done(&b);
    assert_null(b.ptr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf_puts_follow_each_other),
        cmocka_unit_test(test_buf_numbers),
        cmocka_unit_test(test_buf_grows_and_keeps_its_bytes),
        cmocka_unit_test(test_buf_limit_is_exact_and_failure_sticky),
        cmocka_unit_test(test_buf_done_accepts_null_and_zeroed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
