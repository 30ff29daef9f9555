/* Writing JSON: strings of all kinds, the writer's commas, its limits. */
#include <excore/json.h>

#include "kernel/json_scan.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_json_put_string_replaces_bad_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"ok", "\"ok\""},
        {"a\xFF"
         "b",
         "\"a\xEF\xBF\xBD"
         "b\""},
        {"\xE2\x82", "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
        {"\xED\xA0\x80", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},
        {"\xC3\xA9\n\x01", "\"\xC3\xA9\\n\\u0001\""},
    };
    ex_buf b;
    ex_buf_init(&b, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_buf_reset(&b);
        ex_json_put_string(&b, ex_str(cases[i].text));
        assert_true(ex_slice_is(ex_buf_slice(&b), cases[i].want));
    }
    ex_buf_done(&b);
}

/* Every byte at every offset of a word-wise scan, and what is written reads back. */
static void test_json_strings_of_all_lengths_read_back(void **state)
{
    (void)state;
    ex_buf b;
    ex_arena arena;
    ex_buf_init(&b, 0);
    ex_arena_init(&arena, 0);
    for (size_t len = 1; len <= 40; len++) {
        for (size_t at = 0; at < len; at++) {
            for (int c = 0; c < 128; c++) {
                char text[40];
                ex_json v;
                memset(text, 'x', len);
                text[at] = (char)c;
                ex_buf_reset(&b);
                ex_json_put_string(&b, ex_slice_of(text, len));
                assert_int_equal(ex_json_parse(ex_buf_slice(&b), &arena, NULL, &v, NULL), EX_OK);
                assert_true(ex_slice_eq(v.as.text, ex_slice_of(text, len)));
                const char *stop = json_plain_end(text, text + len);
                assert_ptr_equal(stop, json_is_plain((char)c) ? text + len : text + at);
            }
            ex_arena_reset(&arena);
        }
    }
    ex_arena_done(&arena);
    ex_buf_done(&b);
}

static void test_json_writer_places_commas(void **state)
{
    (void)state;
    ex_buf b;
    ex_json_writer w;
    ex_buf_init(&b, 0);
    ex_json_writer_init(&w, &b);
    ex_json_begin_object(&w);
    ex_json_key(&w, EX_S("a"));
    ex_json_begin_array(&w);
    ex_json_i64(&w, INT64_MIN);
    ex_json_u64(&w, UINT64_MAX);
    ex_json_double(&w, 0.5);
    ex_json_double(&w, (double)NAN);
    ex_json_double(&w, -0.0);
    ex_json_begin_object(&w);
    ex_json_end_object(&w);
    ex_json_begin_array(&w);
    ex_json_end_array(&w);
    ex_json_end_array(&w);
    ex_json_key(&w, EX_S("b\""));
    ex_json_null(&w);
    ex_json_key(&w, EX_S("c"));
    ex_json_bool(&w, false);
    ex_json_key(&w, EX_S("d"));
    ex_json_raw(&w, EX_S("[1]"));
    ex_json_key(&w, EX_S("e"));
    ex_json_string(&w, EX_S("x"));
    ex_json_end_object(&w);
    assert_int_equal(ex_buf_status(&b), EX_OK);
    assert_true(ex_slice_is(
        ex_buf_slice(&b), "{\"a\":[-9223372036854775808,18446744073709551615,0.5,null,-0.0,{},[]],"
                          "\"b\\\"\":null,\"c\":false,\"d\":[1],\"e\":\"x\"}"));
    ex_buf_done(&b);
}

static void test_json_writer_depth_and_buffer_limits_are_sticky(void **state)
{
    (void)state;
    ex_buf b;
    ex_json_writer w;
    ex_buf_init(&b, 0);
    ex_json_writer_init(&w, &b);
    for (int i = 0; i <= EX_JSON_WRITER_DEPTH + 3; i++)
        ex_json_begin_array(&w);
    ex_json_u64(&w, 1);
    for (int i = 0; i <= EX_JSON_WRITER_DEPTH + 3; i++)
        ex_json_end_array(&w);
    assert_int_equal(ex_buf_status(&b), EX_ETOOLARGE);
    ex_buf_done(&b);
    ex_buf_init(&b, 10);
    ex_json_put_string(&b, EX_S("12345678"));
    assert_int_equal(ex_buf_status(&b), EX_OK);
    ex_buf_reset(&b);
    ex_json_put_string(&b, EX_S("1234567\n"));
    assert_int_equal(ex_buf_status(&b), EX_ETOOLARGE);
    ex_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_put_string_replaces_bad_bytes),
        cmocka_unit_test(test_json_strings_of_all_lengths_read_back),
        cmocka_unit_test(test_json_writer_places_commas),
        cmocka_unit_test(test_json_writer_depth_and_buffer_limits_are_sticky),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
