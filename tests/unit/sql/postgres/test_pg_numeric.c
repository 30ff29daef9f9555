/* test_pg_numeric.c: NUMERIC as numbers, as a server writes it. */
#include "sql/postgres/pg_conn.h"
#include "sql/postgres/pg_numeric.h"
#include "support/postgres.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void test_pg_numeric_as_the_server_writes_it(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_whole;
        int64_t whole;
        double number;
    } cases[] = {
        {"0", true, 0, 0},
        {"-0.00", true, 0, 0},
        {"1", true, 1, 0},
        {"-1", true, -1, 0},
        {"10000", true, 10000, 0},
        {"100000000", true, 100000000, 0},
        {"9223372036854775807", true, INT64_MAX, 0},
        {"-9223372036854775808", true, INT64_MIN, 0},
        {"9223372036854775808", false, 0, 9223372036854775808.0},
        {"-9223372036854775809", false, 0, -9223372036854775809.0},
        {"0.5", false, 0, 0.5},
        {"-123456.789", false, 0, -123456.789},
        {"1e-20", false, 0, 1e-20},
        {"1e300", false, 0, 1e300},
        {"0.1234567890123456789012345678901234567890", false, 0, 0.1234567890123456789},
        {"123456789012345678901234567890.5", false, 0, 123456789012345678901234567890.5},
    };
    ex_pg *pg = NULL;
    char sql[128];
    assert_int_equal(ex_pg_open(&(ex_pg_options){.url = postgres_url()}, &pg, NULL), EX_OK);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_pg_result r = {0};
        (void)snprintf(sql, sizeof(sql), "SELECT '%s'::numeric", cases[i].text);
        assert_int_equal(ex_pg_run(pg, ex_str(sql), NULL, &r, NULL), EX_OK);
        ex_sql_value v = pg_numeric(ex_pg_get_slice(&r, 0, 0));
        assert_int_equal(v.type, cases[i].is_whole ? EX_SQL_I64 : EX_SQL_F64);
        if (cases[i].is_whole)
            assert_int_equal(v.as.i64, cases[i].whole);
        else if (v.as.f64 != cases[i].number)
            fail_msg("%s gave %.17g", cases[i].text, v.as.f64);
        ex_pg_result_free(&r);
    }
    ex_pg_close(pg);
}

static void test_pg_numeric_not_a_number(void **state)
{
    (void)state;
    static const ex_slice cases[] = {
        EX_S_INIT("\0\0\0\0\xc0\0\0\0"),       /* NaN */
        EX_S_INIT("\0\0\0\0\xd0\0\0\0"),       /* infinity */
        EX_S_INIT("\0\x02\0\0\0\0\0\0\0\x01"), /* cut off */
        EX_S_INIT(""),
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_sql_value v = pg_numeric(cases[i]);
        assert_int_equal(v.type, EX_SQL_F64);
        assert_true(isnan(v.as.f64));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pg_numeric_as_the_server_writes_it),
        cmocka_unit_test(test_pg_numeric_not_a_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
