/* Clock: RFC 3339 text both ways, and the system's port. */
#include <excore/clock.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static const struct {
    const char *text;
    int64_t us;
} written[] = {
    /* clang-format off */
    {"1970-01-01T00:00:00.000000Z", 0},
    {"1969-12-31T23:59:59.999999Z", -1},
    {"2000-02-29T12:34:56.000001Z", 951827696000001},
    {"2026-11-21T09:30:00.123456Z", 1795253400123456},
    {"2100-02-28T23:59:59.999999Z", 4107542399999999},
    {"1900-03-01T00:00:00.000000Z", -2203891200000000},
    {"0000-01-01T00:00:00.000000Z", -62167219200000000},
    {"9999-12-31T23:59:59.999999Z", 253402300799999999},
    /* clang-format on */
};

static void test_time_text_and_parse_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(written) / sizeof(written[0]); i++) {
        char out[EX_TIME_TEXT_SIZE];
        int64_t us = 0;
        assert_string_equal(ex_time_text(written[i].us, out).ptr, written[i].text);
        assert_int_equal(ex_time_parse(ex_str(written[i].text), &us, NULL), EX_OK);
        assert_true(us == written[i].us);
    }
}

static void test_time_text_is_held_to_four_digit_years(void **state)
{
    (void)state;
    char out[EX_TIME_TEXT_SIZE];
    assert_string_equal(ex_time_text(INT64_MAX, out).ptr, "9999-12-31T23:59:59.999999Z");
    assert_string_equal(ex_time_text(INT64_MIN, out).ptr, "0000-01-01T00:00:00.000000Z");
}

/* Against libc's gmtime over the whole range. */
static void test_time_text_equals_gmtime(void **state)
{
    (void)state;
    for (int64_t day = -719528; day < 2932897; day += 13) { /* 0000-01-01 to 9999-12-31 */
        time_t seconds = (time_t)(day * 86400 + (day & 0xFFFF));
        struct tm tm;
        char want[64], got[EX_TIME_TEXT_SIZE];
        assert_non_null(gmtime_r(&seconds, &tm));
        snprintf(want, sizeof(want), "%04d-%02d-%02dT%02d:%02d:%02d.000000Z", tm.tm_year + 1900,
                 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
        assert_string_equal(ex_time_text((int64_t)seconds * 1000000, got).ptr, want);
        int64_t back;
        assert_int_equal(ex_time_parse(ex_str(got), &back, NULL), EX_OK);
        assert_true(back == (int64_t)seconds * 1000000);
    }
}

static const struct {
    const char *text, *same; /* same NULL: refused */
} parsed[] = {
    /* clang-format off */
    {"2026-11-21T09:30:00Z",                "2026-11-21T09:30:00.000000Z"},
    {"2026-11-21t09:30:00z",                "2026-11-21T09:30:00.000000Z"},
    {"2026-11-21T09:30:00.5Z",              "2026-11-21T09:30:00.500000Z"},
    {"2026-11-21T09:30:00.123456789Z",      "2026-11-21T09:30:00.123456Z"},
    {"2026-11-21T09:30:00.000000999Z",      "2026-11-21T09:30:00.000000Z"},
    {"2026-11-21T09:30:00+02:00",           "2026-11-21T07:30:00.000000Z"},
    {"2026-11-21T09:30:00-23:59",           "2026-11-22T09:29:00.000000Z"},
    {"2026-01-01T00:30:00+05:45",           "2025-12-31T18:45:00.000000Z"},
    {"2026-11-21T09:30:00-00:00",           "2026-11-21T09:30:00.000000Z"},
    {"2016-12-31T23:59:60Z",                "2017-01-01T00:00:00.000000Z"},
    {"2017-01-01T00:59:60+01:00",           "2017-01-01T00:00:00.000000Z"},
    {"2016-12-31T18:59:60.25-05:00",        "2017-01-01T00:00:00.250000Z"},
    {"2024-02-29T00:00:00Z",                "2024-02-29T00:00:00.000000Z"},
    {"2023-02-29T00:00:00Z",                NULL},
    {"1900-02-29T00:00:00Z",                NULL},
    {"2026-04-31T00:00:00Z",                NULL},
    {"2026-00-10T00:00:00Z",                NULL},
    {"2026-13-10T00:00:00Z",                NULL},
    {"2026-10-00T00:00:00Z",                NULL},
    {"2026-10-10T24:00:00Z",                NULL},
    {"2026-10-10T00:60:00Z",                NULL},
    {"2026-10-10T00:00:61Z",                NULL},
    {"2026-10-10T12:00:60Z",                NULL},
    {"2026-10-10T23:59:60+01:00",           NULL},
    {"2026-10-10 00:00:00Z",                NULL},
    {"2026-10-10T00:00:00",                 NULL},
    {"2026-10-10T00:00:00.Z",               NULL},
    {"2026-10-10T00:00:00.1234567890Z",     NULL},
    {"2026-10-10T00:00:00+24:00",           NULL},
    {"2026-10-10T00:00:00+01:60",           NULL},
    {"2026-10-10T00:00:00+0100",            NULL},
    {"2026-10-10T00:00:00+01",              NULL},
    {"2026-10-10T00:00:00ZZ",               NULL},
    {"2026-10-10T0:00:00Z",                 NULL},
    {"+026-10-10T00:00:00Z",                NULL},
    {"26-10-10T00:00:00Z",                  NULL},
    {"2026-10-10",                          NULL},
    {"",                                    NULL},
    /* clang-format on */
};

static void test_time_parse_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(parsed) / sizeof(parsed[0]); i++) {
        int64_t us = 0;
        char out[EX_TIME_TEXT_SIZE];
        ex_status st = ex_time_parse(ex_str(parsed[i].text), &us, NULL);
        if (st != (parsed[i].same ? EX_OK : EX_EINVAL))
            fail_msg("%s: %s", parsed[i].text, ex_status_code(st));
        if (!st)
            assert_string_equal(ex_time_text(us, out).ptr, parsed[i].same);
    }
}

static void test_time_parse_every_cut_is_refused(void **state)
{
    (void)state;
    static const char whole[] = "2026-11-21T09:30:00.123456+02:00";
    for (size_t len = 0; len < sizeof(whole) - 1; len++) {
        char *cut = malloc(len ? len : 1); /* its own block: a read past the end is caught */
        int64_t us;
        assert_non_null(cut);
        memcpy(cut, whole, len);
        assert_int_equal(ex_time_parse(ex_slice_of(cut, len), &us, NULL), EX_EINVAL);
        free(cut);
    }
}

static void test_clock_system_gives_time_and_random_bytes(void **state)
{
    (void)state;
    const ex_clock *c = ex_clock_system();
    int64_t before = (int64_t)time(NULL) * 1000000;
    int64_t now = ex_now_us(c);
    assert_true(now >= before && now < before + 60 * INT64_C(1000000));
    uint64_t a = ex_monotonic_ns(c), b = ex_monotonic_ns(c);
    assert_true(a <= b);
    uint8_t first[64] = {0}, second[64] = {0};
    assert_int_equal(c->random(c->ctx, first, sizeof(first)), EX_OK);
    assert_int_equal(c->random(c->ctx, second, sizeof(second)), EX_OK);
    assert_memory_not_equal(first, second, sizeof(first));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_text_and_parse_agree),
        cmocka_unit_test(test_time_text_is_held_to_four_digit_years),
        cmocka_unit_test(test_time_text_equals_gmtime),
        cmocka_unit_test(test_time_parse_table),
        cmocka_unit_test(test_time_parse_every_cut_is_refused),
        cmocka_unit_test(test_clock_system_gives_time_and_random_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
