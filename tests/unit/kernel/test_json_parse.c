/* Reading JSON: what is accepted and what is refused (and where), limits, duplicate keys, the
 * tree (R-FN-07). */
#include <excore/json.h>

#include "support/own_copy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- Accepted and refused ---- */

static const struct {
    const char *name, *text;
    size_t len;        /* 0: strlen */
    const char *code;  /* NULL: accepted */
    const char *where; /* "line 1, column 2" */
} rows[] = {
    /* clang-format off */
    {"null", "null", 0, NULL, NULL},
    {"blanks around", " \t\r\n true \n", 0, NULL, NULL},
    {"empty array", "[]", 0, NULL, NULL},
    {"empty object with blanks", "{ }", 0, NULL, NULL},
    {"nested", "{\"a\":[1,{\"b\":[]},\"x\"],\"c\":{}}", 0, NULL, NULL},
    {"one key at two depths", "{\"a\":{\"a\":{\"a\":1}}}", 0, NULL, NULL},
    {"empty key", "{\"\":1}", 0, NULL, NULL},
    {"DEL is no control character", "\"\x7f\"", 0, NULL, NULL},
    {"U+2028", "\"\xE2\x80\xA8\"", 0, NULL, NULL},
    {"noncharacter U+FFFF", "\"\xEF\xBF\xBF\"", 0, NULL, NULL},
    {"last code point", "\"\xF4\x8F\xBF\xBF\"", 0, NULL, NULL},
    {"escaped pair", "\"\\uD83D\\uDE00\"", 0, NULL, NULL},
    {"escaped NUL", "\"\\u0000\"", 0, NULL, NULL},
    {"largest double", "1.7976931348623157e308", 0, NULL, NULL},
    {"underflow is zero", "1e-400", 0, NULL, NULL},
    {"zero with a huge exponent", "0e999999999999", 0, NULL, NULL},
    {"minus zero", "-0", 0, NULL, NULL},

    {"nothing", "", 0, "MALFORMED_JSON", "line 1, column 1"},
    {"blanks only", " \n ", 0, "MALFORMED_JSON", "line 2, column 2"},
    {"byte order mark", "\xEF\xBB\xBF{}", 0, "MALFORMED_JSON", "line 1, column 1"},
    {"two values", "1 2", 0, "MALFORMED_JSON", "line 1, column 3"},
    {"NUL behind the value", "1\0", 2, "MALFORMED_JSON", "line 1, column 2"},
    {"wrong word", "nul", 0, "MALFORMED_JSON", "line 1, column 1"},
    {"longer word", "nulll", 0, "MALFORMED_JSON", "line 1, column 5"},
    {"upper case word", "True", 0, "MALFORMED_JSON", "line 1, column 1"},
    {"NaN", "NaN", 0, "MALFORMED_JSON", "line 1, column 1"},
    {"minus Infinity", "-Infinity", 0, "MALFORMED_JSON", "line 1, column 2"},
    {"comment", "[1,/* */2]", 0, "MALFORMED_JSON", "line 1, column 4"},
    {"single quotes", "{'a':1}", 0, "MALFORMED_JSON", "line 1, column 2"},
    {"bare key", "{a:1}", 0, "MALFORMED_JSON", "line 1, column 2"},
    {"form feed is no blank", "[\f]", 0, "MALFORMED_JSON", "line 1, column 2"},
    {"no-break space is no blank", "\xC2\xA0" "1", 0, "MALFORMED_JSON", "line 1, column 1"},
    {"trailing comma in array", "[1,]", 0, "MALFORMED_JSON", "line 1, column 4"},
    {"trailing comma in object", "{\"a\":1,}", 0, "MALFORMED_JSON", "line 1, column 8"},
    {"leading comma", "[,1]", 0, "MALFORMED_JSON", "line 1, column 2"},
    {"no comma", "[1 2]", 0, "MALFORMED_JSON", "line 1, column 4"},
    {"array not closed", "[1", 0, "MALFORMED_JSON", "line 1, column 3"},
    {"object not closed", "{\"a\":1", 0, "MALFORMED_JSON", "line 1, column 7"},
    {"wrong bracket", "[1}", 0, "MALFORMED_JSON", "line 1, column 3"},
    {"bracket alone", "]", 0, "MALFORMED_JSON", "line 1, column 1"},
    {"key without value", "{\"a\"}", 0, "MALFORMED_JSON", "line 1, column 5"},
    {"key, colon, end", "{\"a\":}", 0, "MALFORMED_JSON", "line 1, column 6"},
    {"number as key", "{1:2}", 0, "MALFORMED_JSON", "line 1, column 2"},
    {"line and column", "{\n  \"a\": 1,\n  \"b\": x\n}", 0, "MALFORMED_JSON", "line 3, column 8"},

    {"string not closed", "\"abc", 0, "MALFORMED_JSON", "line 1, column 5"},
    {"string ends in backslash", "\"abc\\", 0, "MALFORMED_JSON", "line 1, column 5"},
    {"newline in string", "\"a\nb\"", 0, "MALFORMED_JSON", "line 1, column 3"},
    {"tab in string", "\"a\tb\"", 0, "MALFORMED_JSON", "line 1, column 3"},
    {"NUL in string", "\"a\0b\"", 5, "MALFORMED_JSON", "line 1, column 3"},
    {"0x1f far in a string", "\"0123456789abcdef0123456789\x1f\"", 0, "MALFORMED_JSON", "line 1, column 28"},
    {"unknown escape", "\"\\x41\"", 0, "MALFORMED_JSON", "line 1, column 2"},
    {"escaped NUL byte", "\"\\\0\"", 4, "MALFORMED_JSON", "line 1, column 2"},
    {"short \\u", "\"\\u12\"", 0, "MALFORMED_JSON", "line 1, column 2"},
    {"\\u with a bad digit", "\"\\u12G4\"", 0, "MALFORMED_JSON", "line 1, column 2"},
    {"\\U", "\"\\U0041\"", 0, "MALFORMED_JSON", "line 1, column 2"},
    {"lone high surrogate", "\"\\uD800\"", 0, "MALFORMED_JSON", "line 1, column 2"},
    {"lone low surrogate", "\"\\uDC00\"", 0, "MALFORMED_JSON", "line 1, column 2"},
    {"high, then text", "\"\\uD800abcdef\"", 0, "MALFORMED_JSON", "line 1, column 2"},
    {"high, then high", "\"\\uD800\\uD800\"", 0, "MALFORMED_JSON", "line 1, column 2"},
    {"high, then other escape", "\"\\uD800\\n12345\"", 0, "MALFORMED_JSON", "line 1, column 2"},
    {"low before high", "\"\\uDC00\\uD800\"", 0, "MALFORMED_JSON", "line 1, column 2"},
    {"lone surrogate in a key", "{\"\\uDFFF\":1}", 0, "MALFORMED_JSON", "line 1, column 3"},

    {"UTF-8 lone tail", "\"\x80\"", 0, "MALFORMED_JSON", "line 1, column 2"},
    {"UTF-8 overlong slash", "\"\xC0\xAF\"", 0, "MALFORMED_JSON", "line 1, column 2"},
    {"UTF-8 overlong 3", "\"\xE0\x9F\xBF\"", 0, "MALFORMED_JSON", "line 1, column 2"},
    {"UTF-8 overlong 4", "\"\xF0\x8F\xBF\xBF\"", 0, "MALFORMED_JSON", "line 1, column 2"},
    {"UTF-8 surrogate", "\"\xED\xA0\x80\"", 0, "MALFORMED_JSON", "line 1, column 2"},
    {"UTF-8 above U+10FFFF", "\"\xF4\x90\x80\x80\"", 0, "MALFORMED_JSON", "line 1, column 2"},
    {"UTF-8 cut by the quote", "\"\xE2\x82\"", 0, "MALFORMED_JSON", "line 1, column 2"},
    {"UTF-8 cut by the end", "\"\xF0\x9F\x98", 0, "MALFORMED_JSON", "line 1, column 2"},
    {"UTF-8 0xFF", "\"a\xFF\"", 0, "MALFORMED_JSON", "line 1, column 3"},
    {"Latin-1 outside a string", "[\xE9]", 0, "MALFORMED_JSON", "line 1, column 2"},

    {"minus alone", "-", 0, "MALFORMED_JSON", "line 1, column 2"},
    {"plus", "+1", 0, "MALFORMED_JSON", "line 1, column 1"},
    {"leading zero", "01", 0, "MALFORMED_JSON", "line 1, column 1"},
    {"minus leading zero", "-01", 0, "MALFORMED_JSON", "line 1, column 2"},
    {"leading point", ".5", 0, "MALFORMED_JSON", "line 1, column 1"},
    {"trailing point", "1.", 0, "MALFORMED_JSON", "line 1, column 3"},
    {"point, then exponent", "1.e5", 0, "MALFORMED_JSON", "line 1, column 3"},
    {"exponent alone", "1e", 0, "MALFORMED_JSON", "line 1, column 3"},
    {"exponent sign alone", "1e+", 0, "MALFORMED_JSON", "line 1, column 4"},
    {"hexadecimal", "0x10", 0, "MALFORMED_JSON", "line 1, column 2"},
    {"decimal comma", "1,5", 0, "MALFORMED_JSON", "line 1, column 2"},
    {"double overflow", "[1e309]", 0, "MALFORMED_JSON", "line 1, column 2"},
    {"just over the largest double", "1.7976931348623159e308", 0, "MALFORMED_JSON", "line 1, column 1"},
    {"negative overflow", "-1e400", 0, "MALFORMED_JSON", "line 1, column 1"},
    {"exponent overflow", "1e99999999999999999999", 0, "MALFORMED_JSON", "line 1, column 1"},

    {"duplicate key", "{\"a\":1,\"a\":1}", 0, "DUPLICATE_KEY", "line 1, column 8"},
    {"duplicate behind an escape", "{\"ab\":1,\n \"\\u0061b\":2}", 0, "DUPLICATE_KEY", "line 2, column 2"},
    {"duplicate empty key", "{\"\":1,\"b\":2,\"\":3}", 0, "DUPLICATE_KEY", "line 1, column 13"},
    {"duplicate deep inside", "[{\"x\":{\"k\":1,\"k\":2}}]", 0, "DUPLICATE_KEY", "line 1, column 14"},
    /* clang-format on */
};

static void check_row(size_t i, ex_arena *arena)
{
    size_t len = rows[i].len ? rows[i].len : strlen(rows[i].text);
    ex_slice text = own_copy(rows[i].text, len);
    ex_error err = {0}, err2 = {0};
    ex_json value;
    ex_status st = ex_json_parse(text, arena, NULL, &value, &err);
    ex_status st2 = ex_json_validate(text, arena, NULL, &err2);
    if (st != st2 || st != (rows[i].code ? EX_EMALFORMED : EX_OK))
        fail_msg("%s: parse %d, validate %d: %s", rows[i].name, (int)st, (int)st2, err.message);
    if (st && (strcmp(err.code, rows[i].code) != 0 || strcmp(err.message, err2.message) != 0 ||
               strncmp(err.message, rows[i].where, strlen(rows[i].where)) != 0 ||
               err.message[strlen(rows[i].where)] != ':'))
        fail_msg("%s: %s: %s / %s", rows[i].name, err.code, err.message, err2.message);
    own_copy_free(text);
}

static void test_json_accepts_and_refuses_with_the_place(void **state)
{
    (void)state;
    ex_arena arena;
    ex_arena_init(&arena, 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check_row(i, &arena);
    ex_arena_done(&arena);
}

static void test_json_every_cut_is_refused(void **state)
{
    (void)state;
    static const char whole[] =
        "{\"k\":[1,-2.5e3,\"a\\u00e9\\uD83D\\uDE00\xC3\xA9\",true,false,null,{}],\"l\":{\"m\":[]}}";
    ex_arena arena;
    ex_arena_init(&arena, 0);
    for (size_t len = 0; len < sizeof(whole); len++) {
        ex_slice cut = own_copy(whole, len);
        ex_json value;
        ex_status want = len == sizeof(whole) - 1 ? EX_OK : EX_EMALFORMED;
        assert_int_equal(ex_json_parse(cut, &arena, NULL, &value, NULL), want);
        assert_int_equal(ex_json_validate(cut, &arena, NULL, NULL), want);
        own_copy_free(cut);
    }
    ex_arena_done(&arena);
}

/* ---- Limits ---- */

static ex_status parse_nested(uint32_t depth, const ex_json_options *options, ex_error *err)
{
    char text[8192];
    ex_arena arena;
    ex_json value;
    assert_true(depth * 2 <= sizeof(text));
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    ex_arena_init(&arena, 0);
    ex_status st = ex_json_parse(ex_slice_of(text, depth * 2), &arena, options, &value, err);
    assert_int_equal(ex_json_validate(ex_slice_of(text, depth * 2), &arena, options, NULL), st);
    ex_arena_done(&arena);
    return st;
}

static void test_json_depth_limit(void **state)
{
    (void)state;
    ex_error err;
    assert_int_equal(parse_nested(64, NULL, &err), EX_OK);
    assert_int_equal(parse_nested(65, NULL, &err), EX_EMALFORMED);
    assert_string_equal(err.code, "JSON_TOO_DEEP");
    assert_int_equal(strncmp(err.message, "line 1, column 65:", 18), 0);
    assert_int_equal(parse_nested(3, &(ex_json_options){.max_depth = 3}, &err), EX_OK);
    assert_int_equal(parse_nested(4, &(ex_json_options){.max_depth = 3}, &err), EX_EMALFORMED);
    assert_int_equal(parse_nested(1024, &(ex_json_options){.max_depth = UINT32_MAX}, &err), EX_OK);
    assert_int_equal(parse_nested(1025, &(ex_json_options){.max_depth = UINT32_MAX}, &err),
                     EX_EMALFORMED);
}

static void test_json_depth_counts_open_brackets_only(void **state)
{
    (void)state;
    ex_arena arena;
    ex_json value;
    ex_arena_init(&arena, 0);
    ex_json_options two = {.max_depth = 2};
    assert_int_equal(ex_json_parse(EX_S("[[],{},[],{\"a\":1},[]]"), &arena, &two, &value, NULL),
                     EX_OK);
    ex_arena_done(&arena);
}

static void test_json_arena_limit_is_too_large(void **state)
{
    (void)state;
    char text[20001];
    memset(text, '1', sizeof(text));
    for (size_t i = 0; i < sizeof(text); i += 2)
        text[i] = ',';
    text[0] = '[';
    text[sizeof(text) - 1] = ']';
    ex_arena arena;
    ex_json value;
    ex_error err;
    for (size_t limit = 4096; limit <= 262144; limit *= 4) { /* 10,000 items of 40 bytes */
        ex_arena_init(&arena, limit);
        ex_status st = ex_json_parse(ex_slice_of(text, sizeof(text)), &arena, NULL, &value, &err);
        assert_int_equal(st, EX_ETOOLARGE);
        assert_int_equal(arena.used_bytes, 0);
        st = ex_json_validate(ex_slice_of(text, sizeof(text)), &arena, NULL, &err);
        assert_int_equal(st, EX_OK);
        ex_arena_done(&arena);
    }
}

static void test_json_validate_gives_its_memory_back(void **state)
{
    (void)state;
    ex_arena arena;
    ex_arena_init(&arena, 0);
    assert_non_null(ex_arena_alloc(&arena, 100));
    size_t used = arena.used_bytes;
    assert_int_equal(ex_json_validate(EX_S("{\"\\u0061\":1,\"\\n\":[2]}"), &arena, NULL, NULL),
                     EX_OK);
    assert_int_equal(arena.used_bytes, used);
    assert_int_equal(ex_json_validate(EX_S("{\"\\u0061\":1,\"\\n\":[2}"), &arena, NULL, NULL),
                     EX_EMALFORMED);
    assert_int_equal(arena.used_bytes, used);
    ex_arena_done(&arena);
}

/* ---- Duplicate keys at any size ---- */

static void put_many(ex_buf *b, int count, int repeat_at, int repeated)
{
    ex_buf_put_char(b, '{');
    for (int i = 0; i < count; i++)
        ex_buf_printf(b, "%s\"key\\\"%d\\\\\" : [%d]", i ? ",\n" : "",
                      i == repeat_at ? repeated : i, i);
    ex_buf_put_char(b, '}');
}

static void test_json_duplicates_are_refused_at_any_size(void **state)
{
    (void)state;
    static const int sizes[] = {2, 31, 32, 33, 34, 64, 65, 1000, 30000};
    ex_arena arena;
    ex_buf b;
    ex_arena_init(&arena, 0);
    ex_buf_init(&b, 0);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        int n = sizes[i];
        ex_json value;
        ex_error err;
        char where[64];
        ex_buf_reset(&b);
        put_many(&b, n, -1, 0);
        assert_int_equal(ex_json_parse(ex_buf_slice(&b), &arena, NULL, &value, NULL), EX_OK);
        assert_int_equal(value.count, n);
        assert_int_equal(ex_json_validate(ex_buf_slice(&b), &arena, NULL, NULL), EX_OK);
        ex_buf_reset(&b);
        put_many(&b, n, n - 1, n / 2 - 1);
        ex_status st = ex_json_parse(ex_buf_slice(&b), &arena, NULL, &value, &err);
        assert_int_equal(st, EX_EMALFORMED);
        assert_string_equal(err.code, "DUPLICATE_KEY");
        snprintf(where, sizeof(where), "line %d, column %d:", n, n == 1 ? 2 : 1);
        assert_int_equal(strncmp(err.message, where, strlen(where)), 0);
        st = ex_json_validate(ex_buf_slice(&b), &arena, NULL, &err);
        assert_int_equal(st, EX_EMALFORMED);
        assert_int_equal(strncmp(err.message, where, strlen(where)), 0);
        ex_arena_reset(&arena);
    }
    ex_buf_done(&b);
    ex_arena_done(&arena);
}

/* ---- The tree ---- */

static void test_json_tree_keeps_order_kinds_and_raw_bytes(void **state)
{
    (void)state;
    static const char text[] =
        " { \"b\" : [ 1 , \"x\\n\" ] , \"a\" : { \"n\" : null } , \"t\":true} ";
    ex_arena arena;
    ex_json v;
    ex_arena_init(&arena, 0);
    assert_int_equal(ex_json_parse(ex_str(text), &arena, NULL, &v, NULL), EX_OK);
    assert_int_equal(v.kind, EX_JSON_OBJECT);
    assert_int_equal(v.count, 3);
    assert_ptr_equal(v.raw.ptr, text + 1);
    assert_int_equal(v.raw.len, sizeof(text) - 3);
    assert_true(ex_slice_is(v.as.members[0].key, "b"));
    const ex_json *b = ex_json_get(&v, EX_S("b"));
    assert_non_null(b);
    assert_true(ex_slice_is(b->raw, "[ 1 , \"x\\n\" ]"));
    assert_int_equal(b->count, 2);
    assert_int_equal(b->as.items[0].as.i64, 1);
    assert_true(ex_slice_is(b->as.items[1].as.text, "x\n"));
    assert_true(ex_slice_is(b->as.items[1].raw, "\"x\\n\""));
    const ex_json *n = ex_json_get(ex_json_get(&v, EX_S("a")), EX_S("n"));
    assert_non_null(n);
    assert_int_equal(n->kind, EX_JSON_NULL);
    assert_true(ex_json_get(&v, EX_S("t"))->as.boolean);
    assert_null(ex_json_get(&v, EX_S("z")));
    assert_null(ex_json_get(b, EX_S("b")));
    assert_null(ex_json_get(NULL, EX_S("b")));
    ex_arena_done(&arena);
}

static void test_json_wide_tree_survives_growth(void **state)
{
    (void)state;
    ex_buf b;
    ex_arena arena;
    ex_json v;
    ex_buf_init(&b, 0);
    ex_arena_init(&arena, 0);
    ex_buf_put_char(&b, '[');
    for (uint64_t i = 0; i < 5000; i++)
        ex_buf_printf(&b, "%s{\"n\":%d,\"l\":[%d,%d]}", i ? "," : "", (int)i, (int)i + 1,
                      (int)i + 2);
    ex_buf_put_char(&b, ']');
    assert_int_equal(ex_json_parse(ex_buf_slice(&b), &arena, NULL, &v, NULL), EX_OK);
    assert_int_equal(v.count, 5000);
    for (int64_t i = 0; i < 5000; i++) {
        const ex_json *item = &v.as.items[i];
        assert_int_equal(ex_json_get(item, EX_S("n"))->as.i64, i);
        assert_int_equal(ex_json_get(item, EX_S("l"))->as.items[1].as.i64, i + 2);
    }
    ex_arena_done(&arena);
    ex_buf_done(&b);
}

/* Members and items of different sizes wait on the same scratch stack: it must grow in time
 * whatever is left of it (the sanitizer sees a write past its end). */
static void test_json_scratch_grows_at_every_fill(void **state)
{
    (void)state;
    ex_buf b;
    ex_arena arena;
    ex_buf_init(&b, 0);
    ex_arena_init(&arena, 0);
    for (int members = 0; members < 160; members++) {
        ex_json v;
        ex_buf_reset(&b);
        for (int i = 0; i < members; i++)
            ex_buf_printf(&b, "%c\"%d\":%d", i ? ',' : '{', i, i);
        ex_buf_put_str(&b, members ? ",\"last\":[0" : "{\"last\":[0");
        for (int i = 1; i < 300; i++)
            ex_buf_printf(&b, ",%d", i);
        ex_buf_put_str(&b, "]}");
        assert_int_equal(ex_json_parse(ex_buf_slice(&b), &arena, NULL, &v, NULL), EX_OK);
        assert_int_equal(v.count, members + 1);
        for (int i = 0; i < members; i++)
            assert_int_equal(v.as.members[i].value.as.i64, i);
        for (int i = 0; i < 300; i++)
            assert_int_equal(v.as.members[members].value.as.items[i].as.i64, i);
        ex_arena_reset(&arena);
    }
    ex_arena_done(&arena);
    ex_buf_done(&b);
}

static const struct {
    const char *text;
    const char *decoded;
    size_t len;
} strings[] = {
    /* clang-format off */
    {"\"\"", "", 0},
    {"\"plain\"", "plain", 5},
    {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8},
    {"\"\\u0041\\u007f\\u0080\\u07ff\\u0800\\uffff\"", "A\x7f\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF", 12},
    {"\"\\uD800\\uDC00\\udbff\\udfff\"", "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF", 8},
    {"\"\\uD7FF\\uE000\"", "\xED\x9F\xBF\xEE\x80\x80", 6},
    {"\"a\\u0000b\"", "a\0b", 3},
    {"\"0123456789abcdef\\n0123456789abcdef\"", "0123456789abcdef\n0123456789abcdef", 33},
    {"\"\xE2\x82\xAC \xF0\x9F\x98\x80\"", "\xE2\x82\xAC \xF0\x9F\x98\x80", 8},
    {"\"\\\\u0041\"", "\\u0041", 6},
    /* clang-format on */
};

static void test_json_strings_decode(void **state)
{
    (void)state;
    ex_arena arena;
    ex_arena_init(&arena, 0);
    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
        ex_json v;
        assert_int_equal(ex_json_parse(ex_str(strings[i].text), &arena, NULL, &v, NULL), EX_OK);
        assert_int_equal(v.kind, EX_JSON_STRING);
        if (!ex_slice_eq(v.as.text, ex_slice_of(strings[i].decoded, strings[i].len)))
            fail_msg("%s: \"%.*s\"", strings[i].text, EX_ARG(v.as.text));
    }
    ex_arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_accepts_and_refuses_with_the_place),
        cmocka_unit_test(test_json_every_cut_is_refused),
        cmocka_unit_test(test_json_depth_limit),
        cmocka_unit_test(test_json_depth_counts_open_brackets_only),
        cmocka_unit_test(test_json_arena_limit_is_too_large),
        cmocka_unit_test(test_json_validate_gives_its_memory_back),
        cmocka_unit_test(test_json_duplicates_are_refused_at_any_size),
        cmocka_unit_test(test_json_tree_keeps_order_kinds_and_raw_bytes),
        cmocka_unit_test(test_json_wide_tree_survives_growth),
        cmocka_unit_test(test_json_scratch_grows_at_every_fill),
        cmocka_unit_test(test_json_strings_decode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
