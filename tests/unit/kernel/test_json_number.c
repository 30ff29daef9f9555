/* JSON numbers: exact in every notation and locale, and the shortest text that reads back. */
#include "kernel/json_rounded.h"

#include "support/own_copy.h"
#include "support/temp_dir.h"

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static const struct {
    const char *text;
    ex_json_kind kind;
    uint64_t bits; /* int64 and uint64 */
    double number;
    const char *canonical;
} numbers[] = {
    /* clang-format off */
    {"0", EX_JSON_INT, 0, 0, "0"},
    {"-0", EX_JSON_INT, 0, 0, "0"},
    {"-1", EX_JSON_INT, UINT64_MAX, 0, "-1"},
    {"9007199254740993", EX_JSON_INT, 9007199254740993, 0, "9007199254740993"},
    {"9223372036854775807", EX_JSON_INT, INT64_MAX, 0, "9223372036854775807"},
    {"9223372036854775808", EX_JSON_UINT, UINT64_C(9223372036854775808), 0, "9223372036854775808"},
    {"-9223372036854775808", EX_JSON_INT, UINT64_C(1) << 63, 0, "-9223372036854775808"},
    {"-9223372036854775809", EX_JSON_DOUBLE, 0, -9223372036854775808.0, "-9223372036854776000"},
    {"18446744073709551615", EX_JSON_UINT, UINT64_MAX, 0, "18446744073709551615"},
    {"18446744073709551616", EX_JSON_DOUBLE, 0, 18446744073709551616.0, "18446744073709552000"},
    {"99999999999999999999", EX_JSON_DOUBLE, 0, 1e20, "100000000000000000000"},
    {"123456789012345678901234567890", EX_JSON_DOUBLE, 0, 123456789012345678901234567890.0, "1.2345678901234568e+29"},
    {"0.0", EX_JSON_DOUBLE, 0, 0, "0"},
    {"-0.0", EX_JSON_DOUBLE, 0, -0.0, "0"},
    {"-0e5", EX_JSON_DOUBLE, 0, -0.0, "0"},
    {"1.0", EX_JSON_DOUBLE, 0, 1, "1"},
    {"1e5", EX_JSON_DOUBLE, 0, 1e5, "100000"},
    {"1E+2", EX_JSON_DOUBLE, 0, 100, "100"},
    {"10e-1", EX_JSON_DOUBLE, 0, 1, "1"},
    {"0.1", EX_JSON_DOUBLE, 0, 0.1, "0.1"},
    {"12.75", EX_JSON_DOUBLE, 0, 12.75, "12.75"},
    {"-1.5e-3", EX_JSON_DOUBLE, 0, -0.0015, "-0.0015"},
    {"0.000001", EX_JSON_DOUBLE, 0, 1e-6, "0.000001"},
    {"0.0000001", EX_JSON_DOUBLE, 0, 1e-7, "1e-7"},
    {"1e20", EX_JSON_DOUBLE, 0, 1e20, "100000000000000000000"},
    {"1e21", EX_JSON_DOUBLE, 0, 1e21, "1e+21"},
    {"1.5e300", EX_JSON_DOUBLE, 0, 1.5e300, "1.5e+300"},
    {"0.30000000000000004", EX_JSON_DOUBLE, 0, 0.30000000000000004, "0.30000000000000004"},
    {"5e-324", EX_JSON_DOUBLE, 0, 5e-324, "5e-324"},
    {"2.4703282292062327e-324", EX_JSON_DOUBLE, 0, 0, "0"},          /* below half of the least */
    {"2.4703282292062329e-324", EX_JSON_DOUBLE, 0, 5e-324, "5e-324"}, /* above half */
    {"2.2250738585072011e-308", EX_JSON_DOUBLE, 0, 2.2250738585072011e-308, "2.225073858507201e-308"},
    {"2.2250738585072014e-308", EX_JSON_DOUBLE, 0, 2.2250738585072014e-308, "2.2250738585072014e-308"},
    {"1.7976931348623157e308", EX_JSON_DOUBLE, 0, 1.7976931348623157e308, "1.7976931348623157e+308"},
    {"1.7976931348623158e308", EX_JSON_DOUBLE, 0, 1.7976931348623157e308, "1.7976931348623157e+308"},
    {"5.684341886080801486968994140625e-14", EX_JSON_DOUBLE, 0, 0x1p-44, "5.684341886080802e-14"}, /* power of two */
    {"9007199254740992.5", EX_JSON_DOUBLE, 0, 9007199254740992.0, "9007199254740992"},
    {"9007199254740993.0", EX_JSON_DOUBLE, 0, 9007199254740992.0, "9007199254740992"},
    {"9007199254740993.00000000000000000000000000000001", EX_JSON_DOUBLE, 0, 9007199254740994.0, "9007199254740994"},
    {"0.00000000000000000000000000000000000000000000000001e50", EX_JSON_DOUBLE, 0, 1, "1"},
    {"100000000000000000000000000000000000000000000000000e-50", EX_JSON_DOUBLE, 0, 1, "1"},
    /* clang-format on */
};

static void check_number(size_t i, ex_arena *arena, ex_buf *out)
{
    ex_json v;
    ex_slice text = own_copy(numbers[i].text, strlen(numbers[i].text));
    assert_int_equal(ex_json_parse(text, arena, NULL, &v, NULL), EX_OK);
    bool is_double = numbers[i].kind == EX_JSON_DOUBLE;
    bool is_same = is_double ? v.as.number == numbers[i].number &&
                                   signbit(v.as.number) == signbit(numbers[i].number)
                             : v.as.u64 == numbers[i].bits;
    ex_buf_reset(out);
    assert_int_equal(ex_json_canonical_rounded(&v, arena, out), EX_OK); /* what the double is */
    if (v.kind != numbers[i].kind || !is_same ||
        !ex_slice_is(ex_buf_slice(out), numbers[i].canonical))
        fail_msg("%s: kind %d, canonical %.*s", numbers[i].text, (int)v.kind,
                 EX_ARG(ex_buf_slice(out)));
    own_copy_free(text);
}

static void check_numbers(void)
{
    ex_arena arena;
    ex_buf out;
    ex_arena_init(&arena, 0);
    ex_buf_init(&out, 0);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        check_number(i, &arena, &out);
    ex_buf_done(&out);
    ex_arena_done(&arena);
}

static void test_json_numbers_are_exact(void **state)
{
    (void)state;
    check_numbers();
}

/* The same with a decimal comma: libc's own number functions change, ours must not. */
static void test_json_numbers_do_not_depend_on_the_locale(void **state)
{
    (void)state;
    temp_dir dir = temp_dir_make();
    char command[256];
    snprintf(command, sizeof(command), "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 2>/dev/null",
             dir.path);
    bool is_built = system(command) == 0;
    setenv("LOCPATH", dir.path, 1);
    bool is_set = setlocale(LC_ALL, "de_DE.UTF-8") != NULL;
    bool has_comma = is_set && strcmp(localeconv()->decimal_point, ",") == 0;
    if (has_comma)
        check_numbers();
    setlocale(LC_ALL, "C");
    unsetenv("LOCPATH");
    temp_dir_remove(&dir);
    if (!is_built)
        skip(); /* a system without locale sources (Debian: package locales) */
    assert_true(has_comma);
}

/* More digits than any buffer: the digit behind the 800th still breaks the tie. */
static void test_json_number_with_very_many_digits(void **state)
{
    (void)state;
    ex_arena arena;
    ex_buf b;
    ex_json v;
    ex_arena_init(&arena, 0);
    ex_buf_init(&b, 0);
    ex_buf_put_str(&b, "9007199254740993.");
    for (int i = 0; i < 5000; i++)
        ex_buf_put_char(&b, '0');
    assert_int_equal(ex_json_parse(ex_buf_slice(&b), &arena, NULL, &v, NULL), EX_OK);
    assert_true(v.as.number == 9007199254740992.0);
    ex_buf_put_char(&b, '1');
    assert_int_equal(ex_json_parse(ex_buf_slice(&b), &arena, NULL, &v, NULL), EX_OK);
    assert_true(v.as.number == 9007199254740994.0);
    ex_buf_reset(&b);
    for (int i = 0; i < 400; i++)
        ex_buf_put_char(&b, '9');
    assert_int_equal(ex_json_parse(ex_buf_slice(&b), &arena, NULL, &v, NULL), EX_EMALFORMED);
    assert_int_equal(ex_json_validate(ex_buf_slice(&b), &arena, NULL, NULL), EX_EMALFORMED);
    ex_buf_put_str(&b, ".5");
    assert_int_equal(ex_json_validate(ex_buf_slice(&b), &arena, NULL, NULL), EX_EMALFORMED);
    ex_buf_done(&b);
    ex_arena_done(&arena);
}

/* The fewest digits that %.*e needs to read back; ours must not be longer. */
static int fewest_digits(double n)
{
    char text[64];
    for (int precision = 1; precision < 17; precision++) {
        snprintf(text, sizeof(text), "%.*e", precision - 1, n);
        if (strtod(text, NULL) == n)
            return precision;
    }
    return 17;
}

static int digits_in(const char *text)
{
    int count = 0, zeros = 0;
    for (; *text && *text != 'e'; text++) {
        if (*text < '0' || *text > '9' || (*text == '0' && count == 0))
            continue;
        zeros = *text == '0' ? zeros + 1 : 0;
        count++;
    }
    return count - zeros;
}

static void test_json_doubles_read_back_and_are_shortest(void **state)
{
    (void)state;
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    ex_buf b;
    ex_arena arena;
    ex_buf_init(&b, 0);
    ex_arena_init(&arena, 0);
    for (int i = 0; i < 80000; i++) {
        uint64_t bits =
            (uint64_t)rand_r(&seed) << 42 ^ (uint64_t)rand_r(&seed) << 21 ^ (uint64_t)rand_r(&seed);
        double n;
        memcpy(&n, &bits, sizeof(n));
        if (i % 4 == 3) /* 1 to 17 digits around the borders of the short cut */
            n = (double)(bits >> rand_r(&seed) % 60) / pow(10, rand_r(&seed) % 25);
        else if (i % 3 == 1)
            n = (double)(rand_r(&seed) % 100000000) / 100; /* money */
        else if (i % 3 == 2)
            n = ldexp(1, (int)(bits % 2098) - 1074); /* powers of two */
        if (!isfinite(n))
            continue;
        ex_json v;
        ex_buf_reset(&b);
        ex_json_put_double(&b, n);
        ex_buf_put_char(&b, '\0');
        assert_int_equal(ex_json_parse(ex_slice_of(b.ptr, b.len - 1), &arena, NULL, &v, NULL),
                         EX_OK);
        double back = v.kind == EX_JSON_INT    ? (double)v.as.i64
                      : v.kind == EX_JSON_UINT ? (double)v.as.u64
                                               : v.as.number;
        if (back != n || strtod(b.ptr, NULL) != n || digits_in(b.ptr) > fewest_digits(n))
            fail_msg("%.17g: %s", n, b.ptr);
        ex_arena_reset(&arena);
    }
    ex_arena_done(&arena);
    ex_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_numbers_are_exact),
        cmocka_unit_test(test_json_numbers_do_not_depend_on_the_locale),
        cmocka_unit_test(test_json_number_with_very_many_digits),
        cmocka_unit_test(test_json_doubles_read_back_and_are_shortest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
