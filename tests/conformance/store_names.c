/* store_names.c: names of streams, types and tags; JSON; what is refused before the log is asked.
 * Bad UTF-8, control characters, 255 and 256 bytes, R-ES-09 (metadata). */
#include "conformance/store_suite.h"

#include <string.h>

static char long_name[257];

static ex_slice name_of(size_t len)
{
    memset(long_name, 'x', sizeof(long_name));
    return ex_slice_of(long_name, len);
}

static const struct {
    const char *name;
    ex_slice text;
    bool is_good;
} names[] = {
    {"plain", EX_S_INIT("order-1"), true},
    {"one byte", EX_S_INIT("a"), true},
    {"blanks and signs", EX_S_INIT("a b/c?d#e%f"), true},
    {"two, three and four byte characters", EX_S_INIT("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"),
     true},
    {"empty", EX_S_INIT(""), false},
    {"newline", EX_S_INIT("a\nb"), false},
    {"NUL", EX_S_INIT("a\0b"), false},
    {"DEL", EX_S_INIT("a\x7f"), false},
    {"C1 control", EX_S_INIT("a\xc2\x85"), false},
    {"cut character", EX_S_INIT("a\xc3"), false},
    {"stray continuation", EX_S_INIT("a\x80"), false},
    {"overlong", EX_S_INIT("\xc0\xaf"), false},
    {"surrogate", EX_S_INIT("\xed\xa0\x80"), false},
    {"above U+10FFFF", EX_S_INIT("\xf4\x90\x80\x80"), false},
};

static ex_status put_named(suite *s, ex_slice stream, ex_slice type, ex_error *err)
{
    ex_new_event event = {.type = type, .data = EX_S("{}")};
    ex_stream_write write = {stream, EX_ANY, &event, 1};
    ex_append append = {.writes = &write, .write_count = 1};
    return ex_store_append(s->store, &append, NULL, err);
}

static void test_names_of_streams_and_types(void **state)
{
    suite *s = *state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        ex_status want = names[i].is_good ? EX_OK : EX_EINVAL;
        ex_error err = {0};
        if (put_named(s, names[i].text, EX_S("T"), &err) != want)
            fail_msg("stream: %s", names[i].name);
        if (want)
            assert_string_equal(err.field, "writes[0].stream");
        if (put_named(s, EX_S("a"), names[i].text, &err) != want)
            fail_msg("type: %s", names[i].name);
        if (want)
            assert_string_equal(err.field, "writes[0].events[0].type");
        uint64_t version;
        assert_int_equal(ex_store_stream_version(s->store, names[i].text, &version, NULL), want);
    }
}

static void test_names_at_255_and_256_bytes(void **state)
{
    suite *s = *state;
    assert_int_equal(put_named(s, name_of(255), EX_S("T"), NULL), EX_OK);
    assert_int_equal(put_named(s, name_of(256), EX_S("T"), NULL), EX_EINVAL);
    assert_int_equal(put_named(s, EX_S("a"), name_of(255), NULL), EX_OK);
    assert_int_equal(put_named(s, EX_S("a"), name_of(256), NULL), EX_EINVAL);
    uint64_t version = 0;
    assert_int_equal(ex_store_stream_version(s->store, name_of(255), &version, NULL), EX_OK);
    assert_int_equal(version, 1);
    ex_cursor *c = NULL;
    ex_event e;
    assert_int_equal(ex_store_read_log(s->store, &(ex_read_log){.after = 1}, &c, NULL), EX_OK);
    assert_int_equal(ex_cursor_next(c, &e, NULL), EX_OK);
    assert_true(ex_slice_eq(e.type, name_of(255)));
    ex_cursor_close(c);
}

static void test_names_of_the_platform_are_refused(void **state)
{
    suite *s = *state;
    ex_error err = {0};
    assert_int_equal(put_named(s, EX_S("$users"), EX_S("T"), &err), EX_EINVAL);
    assert_string_equal(err.field, "writes[0].stream");
    assert_int_equal(put_named(s, EX_S("a$"), EX_S("T"), NULL), EX_OK);
}

static void test_names_of_tags(void **state)
{
    suite *s = *state;
    static char tag_255[256], many_text[33][8];
    memset(tag_255, 'x', sizeof(tag_255));
    tag_255[1] = ':';
    static ex_slice many[33];
    for (int i = 0; i < 33; i++) {
        many_text[i][0] = 'k';
        many_text[i][1] = ':';
        many_text[i][2] = (char)('A' + i);
        many[i] = ex_slice_of(many_text[i], 3);
    }
    const ex_slice twice[] = {EX_S_INIT("k:1"), EX_S_INIT("k:1")};
    const ex_slice at_limit = ex_slice_of(tag_255, 255), over_limit = ex_slice_of(tag_255, 256),
                   no_colon = EX_S("key"), no_key = EX_S(":v"), no_value = EX_S("k:"),
                   colons = EX_S("a:b:c"), bad = EX_S("k:\xff"), control = EX_S("k:\t");
    const struct {
        const char *name;
        const ex_slice *tags;
        uint32_t count;
        ex_status want;
    } cases[] = {
        {"255 bytes", &at_limit, 1, EX_OK},
        {"256 bytes", &over_limit, 1, EX_EINVAL},
        {"32 tags", many, 32, EX_OK},
        {"33 tags", many, 33, EX_EINVAL},
        {"no colon", &no_colon, 1, EX_EINVAL},
        {"no key", &no_key, 1, EX_EINVAL},
        {"no value", &no_value, 1, EX_EINVAL},
        {"two colons", &colons, 1, EX_OK},
        {"bad UTF-8", &bad, 1, EX_EINVAL},
        {"control", &control, 1, EX_EINVAL},
        {"the same twice", twice, 2, EX_EINVAL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_new_event event = EVENT("T", "{}", .tags = cases[i].tags, .tag_count = cases[i].count);
        if (suite_append(s, "a", EX_ANY, &event, 1, NULL, NULL) != cases[i].want)
            fail_msg("%s", cases[i].name);
    }
}

static void test_names_json_is_checked(void **state)
{
    suite *s = *state;
    const struct {
        const char *name;
        const char *data;
        const char *metadata;
        ex_status want;
        const char *code;
    } cases[] = {
        {"any JSON value", "\"text\"", "", EX_OK, ""},
        {"empty data", "", "", EX_EMALFORMED, "MALFORMED_JSON"},
        {"cut data", "{\"a\":", "", EX_EMALFORMED, "MALFORMED_JSON"},
        {"duplicate key", "{\"a\":1,\"a\":2}", "", EX_EMALFORMED, "DUPLICATE_KEY"},
        {"bad UTF-8 in a string", "\"\xff\"", "", EX_EMALFORMED, "MALFORMED_JSON"},
        {"more behind it", "{} {}", "", EX_EMALFORMED, "MALFORMED_JSON"},
        {"metadata is no object", "{}", "[]", EX_EINVAL, "INVALID_INPUT"},
        {"metadata is cut", "{}", "{", EX_EMALFORMED, "MALFORMED_JSON"},
        {"correlation is no string", "{}", "{\"$correlation_id\":1}", EX_EINVAL, "INVALID_INPUT"},
        {"correlation is empty", "{}", "{\"$correlation_id\":\"\"}", EX_EINVAL, "INVALID_INPUT"},
        {"correlation has a control character", "{}", "{\"$correlation_id\":\"\\n\"}", EX_EINVAL,
         "INVALID_INPUT"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_new_event event = {.type = EX_S("T"),
                              .data = ex_str(cases[i].data),
                              .metadata = ex_str(cases[i].metadata)};
        ex_error err = {0};
        ex_status st = suite_append(s, "a", EX_ANY, &event, 1, NULL, &err);
        if (st != cases[i].want || strcmp(err.code, cases[i].code) != 0)
            fail_msg("%s: %s (%s)", cases[i].name, ex_status_code(st), err.code);
    }
    char deep[65 + 65];
    memset(deep, '[', 65);
    memset(deep + 65, ']', 65);
    ex_new_event event = {.type = EX_S("T"), .data = ex_slice_of(deep, sizeof(deep))};
    ex_error err = {0};
    assert_int_equal(suite_append(s, "a", EX_ANY, &event, 1, NULL, &err), EX_EMALFORMED);
    assert_string_equal(err.code, "JSON_TOO_DEEP");
}

static void test_names_one_stream_twice_in_an_append_is_refused(void **state)
{
    suite *s = *state;
    ex_new_event event = EVENT("T", "{}");
    ex_stream_write writes[] = {{EX_S("a"), EX_ANY, &event, 1}, {EX_S("a"), EX_ANY, &event, 1}};
    ex_append append = {.writes = writes, .write_count = 2};
    assert_int_equal(ex_store_append(s->store, &append, NULL, NULL), EX_EINVAL);
    assert_int_equal(ex_store_head(s->store), 0);
}

int store_names_tests(suite *s)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_names_of_streams_and_types),
        STORE_TEST(test_names_at_255_and_256_bytes),
        STORE_TEST(test_names_of_the_platform_are_refused),
        STORE_TEST(test_names_of_tags),
        STORE_TEST(test_names_json_is_checked),
        STORE_TEST(test_names_one_stream_twice_in_an_append_is_refused),
    };
    return cmocka_run_group_tests_name("store names", tests, NULL, NULL);
}
