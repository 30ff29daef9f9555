/* The canonical form of JSON (R-FN-07). */
#include <excore/json.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *text, *canonical;
} canonicals[] = {
    /* clang-format off */
    {" [ ] ", "[]"},
    {"{ }", "{}"},
    {"{\"b\":1,\"a\":2}", "{\"a\":2,\"b\":1}"},
    {"{\"a\":2 , \"b\" : 1.0}", "{\"a\":2,\"b\":1}"},
    {"{\"b\":{\"z\":[{\"y\":1,\"x\":2}],\"a\":null},\"a\":true}", "{\"a\":true,\"b\":{\"a\":null,\"z\":[{\"x\":2,\"y\":1}]}}"},
    {"{\"aa\":1,\"a\":2,\"\":3,\"B\":4}", "{\"\":3,\"B\":4,\"a\":2,\"aa\":1}"},
    /* by UTF-8 bytes: U+FFFF before U+10000 (UTF-16 order would swap them) */
    {"{\"\\ud800\\udc00\":1,\"\\uffff\":2}", "{\"\xEF\xBF\xBF\":2,\"\xF0\x90\x80\x80\":1}"},
    {"\"\\u0041\\/\\u00e9\\u2028\\u007f\"", "\"A/\xC3\xA9\xE2\x80\xA8\x7f\""},
    {"\"\\u0000\\u0008\\u0009\\u000a\\u000c\\u000d\\u001F\\u0022\\u005c\"", "\"\\u0000\\b\\t\\n\\f\\r\\u001f\\\"\\\\\""},
    /* G-306 (issue 8, item 6): decimals, of which no digit is lost */
    {"[1.0,10e-1,0.1e1,1E0]", "[1,1,1,1]"},
    {"[-0,0.0,0e9,-0.000]", "[0,0,0,0]"},
    {"[9007199254740993.0,9007199254740992,9007199254740993]", "[9007199254740993,9007199254740992,9007199254740993]"},
    {"[0.1,0.10,1e-1,0.10000000000000000001]", "[0.1,0.1,0.1,10000000000000000001e-20]"},
    {"[0.5,-12.50,1e21,10e20]", "[0.5,-12.5,1e+21,1e+21]"},
    {"[1e-400,10e-401,-1e-400]", "[1e-400,1e-400,-1e-400]"},
    /* exponents of any length, exact */
    {"[1e-1000000000000000,1e-1000000000000001,0.1e-1000000000000000]", "[1e-1000000000000000,1e-1000000000000001,1e-1000000000000001]"},
    {"[1.001e-99999999999999999999,1001e-100000000000000000002]", "[1001e-100000000000000000002,1001e-100000000000000000002]"},
    {"[1e-99999999999999999999,10e-100000000000000000000,1e-100000000000000000000]", "[1e-99999999999999999999,1e-99999999999999999999,1e-100000000000000000000]"},
    /* over the edge between what is counted and what is kept as text, both ways */
    {"[1e-99999999999999999,10e-100000000000000000,0.1e-99999999999999998]", "[1e-99999999999999999,1e-99999999999999999,1e-99999999999999999]"},
    {"[1e-100000000000000000,0.1e-99999999999999999,100e-100000000000000002]", "[1e-100000000000000000,1e-100000000000000000,1e-100000000000000000]"},
    {"[1e-0000000000000000000000000000005,1e-5,0e-99999999999999999999999,0e99999999999999999999999]", "[0.00001,0.00001,0,0]"},
    {"[-7e-123456789012345678901234567890,-7e-123456789012345678901234567891]", "[-7e-123456789012345678901234567890,-7e-123456789012345678901234567891]"},
    {"[123456789012345678901234567890,123456789012345678901234567891]", "[12345678901234567890123456789e1,123456789012345678901234567891e0]"},
    /* clang-format on */
};

static void test_json_canonical_form(void **state)
{
    (void)state;
    ex_arena arena;
    ex_buf out;
    ex_arena_init(&arena, 0);
    ex_buf_init(&out, 0);
    for (size_t i = 0; i < sizeof(canonicals) / sizeof(canonicals[0]); i++) {
        ex_json v;
        ex_buf_reset(&out);
        assert_int_equal(ex_json_parse(ex_str(canonicals[i].text), &arena, NULL, &v, NULL), EX_OK);
        assert_int_equal(ex_json_canonical(&v, &arena, &out), EX_OK);
        if (!ex_slice_is(ex_buf_slice(&out), canonicals[i].canonical))
            fail_msg("%s: %.*s", canonicals[i].text, EX_ARG(ex_buf_slice(&out)));
    }
    ex_buf_done(&out);
    ex_arena_done(&arena);
}

static void test_json_canonical_ignores_key_order_of_large_objects(void **state)
{
    (void)state;
    ex_arena arena;
    ex_buf up, down, first, second;
    ex_json v;
    ex_buf *all[] = {&up, &down, &first, &second};
    ex_arena_init(&arena, 0);
    for (int i = 0; i < 4; i++)
        ex_buf_init(all[i], 0);
    for (int i = 0; i < 500; i++) {
        ex_buf_printf(&up, "%c\"k%d\":%d", i ? ',' : '{', i, i);
        ex_buf_printf(&down, "%c\"k%d\":%d", i ? ',' : '{', 499 - i, 499 - i);
    }
    ex_buf_put_char(&up, '}');
    ex_buf_put_char(&down, '}');
    assert_int_equal(ex_json_parse(ex_buf_slice(&up), &arena, NULL, &v, NULL), EX_OK);
    assert_int_equal(ex_json_canonical(&v, &arena, &first), EX_OK);
    assert_int_equal(ex_json_parse(ex_buf_slice(&down), &arena, NULL, &v, NULL), EX_OK);
    assert_int_equal(ex_json_canonical(&v, &arena, &second), EX_OK);
    assert_true(ex_slice_eq(ex_buf_slice(&first), ex_buf_slice(&second)));
    assert_true(ex_slice_starts(ex_buf_slice(&first), EX_S("{\"k0\":0,\"k1\":1,\"k10\":10,")));
    for (int i = 0; i < 4; i++)
        ex_buf_done(all[i]);
    ex_arena_done(&arena);
}

/* ---- One number written in many ways ---- */

#define WRITINGS 40

static uint32_t draw(uint32_t *seed, uint32_t below)
{
    *seed = *seed * 1664525 + 1013904223;
    return (*seed >> 8) % below;
}

/* `digits` times ten to the power of -`power`, with `moved` digits more before the point or after
 * it. */
static void put_writing(ex_buf *out, const char *digits, __uint128_t power, int moved)
{
    char text[48];
    size_t at = sizeof(text);
    ex_buf_put_char(out, '-');
    if (moved >= 0) { /* more zeros, a lower power */
        ex_buf_put(out, ex_str(digits));
        for (int i = 0; i < moved; i++)
            ex_buf_put_char(out, '0');
    } else { /* a fraction, a higher one */
        ex_buf_put(out, EX_S("0."));
        for (int i = 0; i < -moved - (int)strlen(digits); i++)
            ex_buf_put_char(out, '0');
        ex_buf_put(out, ex_str(digits));
        moved = -moved > (int)strlen(digits) ? moved : -(int)strlen(digits);
    }
    power = moved >= 0 ? power + (unsigned)moved : power - (unsigned)-moved;
    for (; power; power /= 10)
        text[--at] = (char)('0' + (int)(power % 10));
    ex_buf_put(out, EX_S("E-000"));
    ex_buf_put(out, ex_slice_of(text + at, sizeof(text) - at));
}

static void canonical_of(ex_slice text, ex_buf *out)
{
    ex_arena arena;
    ex_json v;
    ex_arena_init(&arena, 0);
    ex_buf_reset(out);
    assert_int_equal(ex_json_parse(text, &arena, NULL, &v, NULL), EX_OK);
    assert_int_equal(ex_json_canonical(&v, &arena, out), EX_OK);
    ex_arena_done(&arena);
}

/* G-306 (issue 8, item 6): however a number is written, the form is one, a fixed point, and that of
 * no neighbour. */
static void test_json_canonical_is_one_form_of_a_number(void **state)
{
    (void)state;
    static const char *const digits[] = {"1", "9", "25", "1001", "98765432109876543211"};
    __uint128_t powers[] = {1000, 1000000000000000, 100000000000000000, 0, 0};
    powers[3] = powers[2] * 1000;            /* 10^20 */
    powers[4] = powers[2] * 1234567 + 99999; /* 24 digits */
    uint32_t seed = 8;
    ex_buf text, form, first;
    ex_buf_init(&text, 0);
    ex_buf_init(&form, 0);
    ex_buf_init(&first, 0);
    for (size_t i = 0; i < sizeof(digits) / sizeof(digits[0]); i++)
        for (size_t k = 0; k < sizeof(powers) / sizeof(powers[0]); k++)
            for (int n = 0; n < WRITINGS; n++) {
                __uint128_t power = powers[k] + draw(&seed, 2) * draw(&seed, 20) - 10;
                ex_buf_reset(&text);
                put_writing(&text, digits[i], power, 0);
                canonical_of(ex_buf_slice(&text), &first);
                ex_buf_reset(&text);
                put_writing(&text, digits[i], power, (int)draw(&seed, 120) - 60);
                canonical_of(ex_buf_slice(&text), &form);
                if (!ex_slice_eq(ex_buf_slice(&form), ex_buf_slice(&first)))
                    fail_msg("%.*s: %.*s, not %.*s", EX_ARG(ex_buf_slice(&text)),
                             EX_ARG(ex_buf_slice(&form)), EX_ARG(ex_buf_slice(&first)));
                canonical_of(ex_buf_slice(&form), &text);
                assert_true(ex_slice_eq(ex_buf_slice(&form), ex_buf_slice(&text)));
                ex_buf_reset(&text);
                put_writing(&text, digits[i], power + 1, 0);
                canonical_of(ex_buf_slice(&text), &form);
                assert_false(ex_slice_eq(ex_buf_slice(&form), ex_buf_slice(&first)));
            }
    ex_buf_done(&text);
    ex_buf_done(&form);
    ex_buf_done(&first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_canonical_is_one_form_of_a_number),
        cmocka_unit_test(test_json_canonical_form),
        cmocka_unit_test(test_json_canonical_ignores_key_order_of_large_objects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
