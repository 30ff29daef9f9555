/* test_event_json.c: the exact text of events in both forms. */
#include "api/event_json.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define ID_TEXT "01970c3e-8a00-7000-8000-0123456789ab"

static ex_event sample(void)
{
    ex_event e = {.position = 12,
                  .version = 3,
                  .stream = EX_S("order-1"),
                  .type = EX_S("OrderPlaced"),
                  .schema_version = 1,
                  .content_type = EX_S("application/json"),
                  .data = EX_S("{\"total_cents\":500}"),
                  .metadata = EX_S("{}"),
                  .tags = {EX_S("\x0a"
                                "customer:7")},
                  .recorded_at_us = 1795253400123456};
    assert_int_equal(ex_id_parse(EX_S(ID_TEXT), &e.id, NULL), EX_OK);
    return e;
}

static char *text_of(const ex_event *e, event_form form)
{
    ex_buf b;
    ex_buf_init(&b, 0);
    event_json_put(&b, e, form);
    ex_buf_put_char(&b, '\0');
    assert_int_equal(ex_buf_status(&b), EX_OK);
    return b.ptr;
}

static void assert_text(const ex_event *e, event_form form, const char *want)
{
    char *text = text_of(e, form);
    assert_string_equal(text, want);
    json_t *tree = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(tree);
    json_decref(tree);
    free(text);
}

static void test_event_json_plain_shape(void **state)
{
    (void)state;
    ex_event e = sample();
    assert_text(&e, EVENT_PLAIN,
                "{\"position\":12,\"stream\":\"order-1\",\"version\":3,\"id\":\"" ID_TEXT
                "\",\"type\":\"OrderPlaced\","
                "\"schema_version\":1,\"data\":{\"total_cents\":500},\"metadata\":{},\"tags\":["
                "\"customer:7\"],"
                "\"recorded_at\":\"2026-11-21T09:30:00.123456Z\"}");
}

static void test_event_json_plain_with_everything(void **state)
{
    (void)state;
    ex_event e = sample();
    e.position = INT64_MAX;
    e.correlation_id = EX_S("corr");
    e.causation_id = EX_S("cause");
    e.content_type = EX_S("application/vnd.order+json");
    e.metadata = EX_S("{\"a\": 1}");
    e.tags.packed = EX_S("\x03"
                         "a:1"
                         "\x05"
                         "b:\"x\"");
    assert_text(
        &e, EVENT_PLAIN,
        "{\"position\":9223372036854775807,\"stream\":\"order-1\",\"version\":3,\"id\":\"" ID_TEXT
        "\",\"type\":\"OrderPlaced\",\"schema_version\":1,\"content_type\":\"application/"
        "vnd.order+json\","
        "\"data\":{\"total_cents\":500},\"metadata\":{\"a\": 1},\"tags\":[\"a:1\",\"b:\\\"x\\\"\"],"
        "\"correlation_id\":\"corr\",\"causation_id\":\"cause\",\"recorded_at\":\"2026-11-21T09:30:"
        "00.123456Z\"}");
}

static void test_event_json_binary_is_base64(void **state)
{
    static const struct {
        ex_slice data;
        const char *want;
    } cases[] = {
        {EX_S_INIT(""), ""},
        {EX_S_INIT("\x00"), "AA=="},
        {EX_S_INIT("\xff\xfe"), "//4="},
        {EX_S_INIT("abc"), "YWJj"},
        {EX_S_INIT("abcd"), "YWJjZA=="},
        {EX_S_INIT("light work."), "bGlnaHQgd29yay4="},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_event e = sample();
        e.content_type = EX_S("application/octet-stream");
        e.data = cases[i].data;
        char *text = text_of(&e, EVENT_PLAIN);
        json_t *tree = json_loads(text, 0, NULL);
        assert_null(json_object_get(tree, "data"));
        assert_string_equal(json_string_value(json_object_get(tree, "data_base64")), cases[i].want);
        assert_string_equal(json_string_value(json_object_get(tree, "content_type")),
                            "application/octet-stream");
        json_decref(tree);
        free(text);
    }
}

/* Names as hostile as bytes can be: the structure holds and the names come back. */
static void test_event_json_escapes_names(void **state)
{
    (void)state;
    char all[0x7f];
    for (int i = 0; i < 0x7f; i++)
        all[i] = (char)(i + 1);
    for (int form = EVENT_PLAIN; form <= EVENT_CLOUDEVENT; form++) {
        ex_event e = sample();
        e.stream = ex_slice_of(all, sizeof(all));
        e.type = EX_S("\xe2\x82\xac\xf0\x9f\x98\x80\"\\");
        char *text = text_of(&e, (event_form)form);
        json_t *tree = json_loads(text, 0, NULL);
        assert_non_null(tree);
        json_t *stream = json_object_get(tree, form == EVENT_PLAIN ? "stream" : "subject");
        assert_int_equal(json_string_length(stream), sizeof(all));
        assert_memory_equal(json_string_value(stream), all, sizeof(all));
        assert_string_equal(json_string_value(json_object_get(tree, "type")),
                            "\xe2\x82\xac\xf0\x9f\x98\x80\"\\");
        json_decref(tree);
        free(text);
    }
}

/* The bound of what is reserved holds where everything is as long as it can be. */
static void test_event_json_longest_names_fit(void **state)
{
    (void)state;
    char name[255], tags[32 * 256];
    memset(name, 1, sizeof(name));
    for (size_t i = 0; i < 32; i++) {
        tags[i * 256] = (char)255;
        memset(tags + i * 256 + 1, '\\', 255);
    }
    for (int form = EVENT_PLAIN; form <= EVENT_CLOUDEVENT; form++) {
        ex_event e = sample();
        e.stream = e.type = e.correlation_id = e.causation_id = ex_slice_of(name, sizeof(name));
        e.content_type = ex_slice_of(name, sizeof(name));
        e.tags.packed = ex_slice_of(tags, sizeof(tags));
        e.data = ex_slice_of(tags, 8191);
        e.metadata = EX_S("{\"\\u0001\":\"\\\"\\\"\\\"\\\"\"}");
        e.position = e.version = UINT64_MAX;
        e.schema_version = UINT32_MAX;
        free(text_of(&e, (event_form)form)); /* ASan and the assert watch */
    }
}

static void test_event_json_no_data_reads_as_null(void **state)
{
    (void)state;
    ex_event e = sample();
    e.data = EX_S("");
    e.metadata = EX_S("");
    char *text = text_of(&e, EVENT_PLAIN);
    assert_non_null(strstr(text, "\"data\":null,\"metadata\":{}"));
    free(text);
}

static void test_event_json_cloudevent_shape(void **state)
{
    (void)state;
    ex_event e = sample();
    e.stream = EX_S("order-a/b \xc3\xa9");
    e.correlation_id = EX_S("corr");
    e.causation_id = EX_S("cause");
    e.metadata = EX_S("{\"k\":\"v\"}");
    e.tags.packed = EX_S("\x03"
                         "a:1"
                         "\x07"
                         "b:x,50%");
    assert_text(&e, EVENT_CLOUDEVENT,
                "{\"specversion\":\"1.0\",\"id\":\"" ID_TEXT
                "\",\"source\":\"/streams/order-a%2Fb%20%C3%A9\","
                "\"type\":\"OrderPlaced\",\"subject\":\"order-a/b "
                "\xc3\xa9\",\"time\":\"2026-11-21T09:30:00.123456Z\","
                "\"datacontenttype\":\"application/"
                "json\",\"data\":{\"total_cents\":500},\"position\":\"12\","
                "\"streamversion\":\"3\",\"schemaversion\":1,\"correlationid\":\"corr\","
                "\"causationid\":\"cause\","
                "\"tags\":\"a:1,b:x%2C50%25\",\"metadata\":\"{\\\"k\\\":\\\"v\\\"}\"}");
}

/* CloudEvents: attribute names are lower-case letters and digits, at most 20. */
static void test_event_json_cloudevent_attribute_names(void **state)
{
    (void)state;
    ex_event e = sample();
    e.correlation_id = e.causation_id = EX_S("x");
    e.metadata = EX_S("{\"k\":1}");
    char *text = text_of(&e, EVENT_CLOUDEVENT);
    json_t *tree = json_loads(text, 0, NULL);
    const char *name;
    json_t *value;
    json_object_foreach(tree, name, value)
    {
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789"), strlen(name));
        assert_true(strlen(name) <= 20);
    }
    json_decref(tree);
    free(text);
}

static void test_event_json_full_buffer_is_sticky(void **state)
{
    (void)state;
    ex_event e = sample();
    ex_buf b;
    ex_buf_init(&b, 100);
    event_json_put(&b, &e, EVENT_PLAIN);
    assert_int_equal(ex_buf_status(&b), EX_ETOOLARGE);
    assert_int_equal(b.len, 0);
    ex_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_event_json_plain_shape),
        cmocka_unit_test(test_event_json_plain_with_everything),
        cmocka_unit_test(test_event_json_binary_is_base64),
        cmocka_unit_test(test_event_json_escapes_names),
        cmocka_unit_test(test_event_json_longest_names_fit),
        cmocka_unit_test(test_event_json_no_data_reads_as_null),
        cmocka_unit_test(test_event_json_cloudevent_shape),
        cmocka_unit_test(test_event_json_cloudevent_attribute_names),
        cmocka_unit_test(test_event_json_full_buffer_is_sticky),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
