/* test_sql_text.c: parameters in an engine's words. */
#include "sql/sql_text.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_sql_text_translates(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
        char prefix;
        uint32_t count;
    } cases[] = {
        {"SELECT 1", "SELECT 1", '$', 0},
        {"a = $1 AND b = $2 OR c = $1", "a = ?1 AND b = ?2 OR c = ?1", '?', 2},
        {"a = $1 AND b = $2", "a = $1 AND b = $2", '$', 2},
        {"a = :x AND b = :y_2 OR c = :x", "a = $1 AND b = $2 OR c = $1", '$', 2},
        {"a = :x", "a = ?1", '?', 1},
        {"$12", "?12", '?', 12},
        {"':x' \":x\" 'it''s :x' :y", "':x' \":x\" 'it''s :x' $1", '$', 1},
        {"a::text || :x::text", "a::text || $1::text", '$', 1},
        {"-- :x\n:y /* :z $1 */", "-- :x\n$1 /* :z $1 */", '$', 1},
        {"$$ :x $1 $$ $a$ :x $$ $a$ :y", "$$ :x $1 $$ $a$ :x $$ $a$ $1", '$', 1},
        {"'open :x", "'open :x", '$', 0},
        {"-- :x", "-- :x", '$', 0},
        {"/* :x", "/* :x", '$', 0},
        {"a$1b", "a$1b", '$', 0},
        {"a :", "a :", '$', 0},
        {"$", "$", '$', 0},
        {"", "", '$', 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        sql_text t;
        assert_int_equal(sql_text_init(&t, ex_str(cases[i].text), cases[i].prefix, NULL), EX_OK);
        assert_string_equal(t.sql.ptr, cases[i].want);
        assert_int_equal(t.len, strlen(cases[i].want));
        assert_int_equal(t.count, cases[i].count);
        sql_text_done(&t);
    }
}

static void test_sql_text_names(void **state)
{
    (void)state;
    sql_text t;
    assert_int_equal(sql_text_init(&t, EX_S(":b :a :b :ab"), '?', NULL), EX_OK);
    assert_int_equal(sql_text_find(&t, EX_S("b")), 1);
    assert_int_equal(sql_text_find(&t, EX_S("a")), 2);
    assert_int_equal(sql_text_find(&t, EX_S("ab")), 3);
    assert_int_equal(sql_text_find(&t, EX_S("c")), 0);
    assert_int_equal(sql_text_find(&t, EX_S("")), 0);
    sql_text_done(&t);
}

static void test_sql_text_refuses(void **state)
{
    (void)state;
    static const char *const texts[] = {":a $1", "$1000", "$0", "$99999999999999999999"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        sql_text t;
        assert_int_equal(sql_text_init(&t, ex_str(texts[i]), '?', NULL), EX_EINVAL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sql_text_translates),
        cmocka_unit_test(test_sql_text_names),
        cmocka_unit_test(test_sql_text_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
