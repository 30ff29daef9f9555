/* JSON: what is read and what is refused (and where), numbers, escapes, canonical form, writer
 * (R-FN-07). */
#include <excore/json.h>

#include "kernel/json_scan.h"
#include "support/temp_dir.h"

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static ex_slice own_copy(const char *text, size_t len)
{
    char *copy = malloc(len ? len : 1); /* a block of its own: a read past the end is caught */
    assert_non_null(copy);
    memcpy(copy, text, len);
    return ex_slice_of(copy, len);
}

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
    free((void *)(uintptr_t)text.ptr);
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
        free((void *)(uintptr_t)cut.ptr);
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

/* ---- Numbers ---- */

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
    assert_int_equal(ex_json_canonical(&v, arena, out), EX_OK);
    if (v.kind != numbers[i].kind || !is_same ||
        !ex_slice_is(ex_buf_slice(out), numbers[i].canonical))
        fail_msg("%s: kind %d, canonical %.*s", numbers[i].text, (int)v.kind,
                 EX_ARG(ex_buf_slice(out)));
    free((void *)(uintptr_t)text.ptr);
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

/* ---- Canonical form (R-FN-07) ---- */

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

/* ---- Writing ---- */

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

static void test_utf8_is_valid(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_valid;
    } cases[] = {
        {"", true},
        {"0123456789abcdef\xC3\xA9", true},
        {"\xC2\x80\xDF\xBF\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xF0\x90\x80\x80\xF4\x8F\xBF\xBF",
         true},
        {"\xC1\xBF", false},
        {"\xE0\x80\xAF", false},
        {"\xED\xBF\xBF", false},
        {"\xF5\x80\x80\x80", false},
        {"0123456789abcde\xC3", false},
        {"\xE2\x82 ", false},
        {"\xBF", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_slice text = own_copy(cases[i].text, strlen(cases[i].text));
        assert_int_equal(ex_utf8_is_valid(text), cases[i].is_valid);
        free((void *)(uintptr_t)text.ptr);
    }
    assert_true(ex_utf8_is_valid((ex_slice){NULL, 0}));
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
        cmocka_unit_test(test_json_numbers_are_exact),
        cmocka_unit_test(test_json_numbers_do_not_depend_on_the_locale),
        cmocka_unit_test(test_json_number_with_very_many_digits),
        cmocka_unit_test(test_json_doubles_read_back_and_are_shortest),
        cmocka_unit_test(test_json_canonical_form),
        cmocka_unit_test(test_json_canonical_ignores_key_order_of_large_objects),
        cmocka_unit_test(test_json_put_string_replaces_bad_bytes),
        cmocka_unit_test(test_json_strings_of_all_lengths_read_back),
        cmocka_unit_test(test_json_writer_places_commas),
        cmocka_unit_test(test_json_writer_depth_and_buffer_limits_are_sticky),
        cmocka_unit_test(test_utf8_is_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
