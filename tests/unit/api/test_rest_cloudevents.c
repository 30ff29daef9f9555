/* test_rest_cloudevents.c: CloudEvents of others in and out again (issue 9, item 12). (G-906) */
#include "support/api_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define CLOUD "Content-Type: application/cloudevents+json\r\n"
#define TYPED ",\"specversion\":\"1.0\",\"type\":\"A\""

static api_server server;

static int set_up(void **state)
{
    (void)state;
    api_server_start(&server, &(api_server_options){.in_memory = true});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    api_server_stop(&server);
    return 0;
}

static void append(const char *stream, const char *headers, const char *body, int status)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/v1/streams/%s", stream);
    api_expect(&server, "POST", path, headers, body, status);
}

/* The events of a stream as CloudEvents; the caller's. */
static json_t *read_out(const char *stream)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/v1/streams/%s", stream);
    api_answer a =
        api_call(&server, "GET", path, "Accept: application/cloudevents-batch+json\r\n", NULL);
    assert_int_equal(a.status, 200);
    json_t *list = json_incref(a.json);
    api_answer_done(&a);
    return list;
}

static void expect_event(const char *stream, size_t index, const char *id, const char *source)
{
    json_t *list = read_out(stream);
    const json_t *e = json_array_get(list, index);
    assert_string_equal(api_text(e, "id"), id);
    assert_string_equal(api_text(e, "source"), source);
    assert_string_equal(api_text(e, "subject"), stream);
    json_decref(list);
}

static void test_any_id_comes_back(void **state)
{
    (void)state;
    static const char *const ids[] = {"7", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
                                      "a\\\"b \xc3\xa9", "00000000-0000-0000-0000-000000000000"};
    static const char *const out[] = {"7", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a\"b \xc3\xa9",
                                      "00000000-0000-0000-0000-000000000000"};
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        char body[256], other[256];
        (void)snprintf(body, sizeof(body),
                       "{\"id\":\"%s\",\"source\":\"/shop\",\"data\":1" TYPED "}", ids[i]);
        append("ids", CLOUD, body, 201);
        append("ids", CLOUD, body, 200); /* the same CloudEvent is the same event */
        (void)snprintf(other, sizeof(other),
                       "{\"id\":\"%s\",\"source\":\"/shop\",\"data\":2" TYPED "}", ids[i]);
        append("ids", CLOUD, other, 409);
        expect_event("ids", i, out[i], "/shop");
    }
    append("ids", CLOUD, "{\"id\":\"7\",\"source\":\"/other\",\"data\":1" TYPED "}", 201);
    expect_event("ids", 4, "7", "/other");
    /* an id of our own kind is the event's, and the source is then the stream */
    append("own", CLOUD,
           "{\"id\":\"01970c3e-8a00-7000-8000-0123456789ab\",\"source\":\"/shop\",\"data\":1" TYPED
           "}",
           201);
    expect_event("own", 0, "01970c3e-8a00-7000-8000-0123456789ab", "/streams/own");
}

/* What is stored must never depend on the release: the mapping of one id, once and for all. */
static void test_the_mapping_never_changes(void **state)
{
    (void)state;
    append("fixed", CLOUD,
           "{\"id\":\"A1\",\"source\":\"https://shop.example/orders\",\"data\":1" TYPED "}", 201);
    api_answer a = api_call(&server, "GET", "/v1/streams/fixed", NULL, NULL);
    assert_string_equal(api_text(api_item(a.json, "events", 0), "id"),
                        "ee4f5ad7-3575-5e9d-9855-94902c1968c2");
    api_answer_done(&a);
}

/* Out of one log and into another one: the same events, however often. */
static void test_a_copy_is_the_same(void **state)
{
    (void)state;
    append("hop-1", CLOUD, "{\"id\":\"h\",\"source\":\"/far\"" TYPED "}", 201);
    json_t *list = read_out("hop-1");
    char *text = json_dumps(list, 0);
    append("hop-2", "Content-Type: application/cloudevents-batch+json\r\n", text, 201);
    append("hop-2", "Content-Type: application/cloudevents-batch+json\r\n", text, 200);
    expect_event("hop-2", 0, "h", "/far");
    free(text);
    json_decref(list);
}

/* A field of CloudEvents that made a forged origin must not be given back as the event's own. */
static void test_a_forged_origin_is_not_believed(void **state)
{
    (void)state;
    append("forged", NULL,
           "{\"events\":[{\"type\":\"A\",\"data\":1,\"metadata\":{\"cloudevent\":{\"id\":\"x\","
           "\"source\":\"/y\"}}}]}",
           201);
    json_t *list = read_out("forged");
    assert_string_equal(api_text(json_array_get(list, 0), "source"), "/streams/forged");
    json_decref(list);
}

static void test_absent_data_stays_absent(void **state)
{
    (void)state;
    static const struct {
        const char *members;
        const char *data, *base64, *type; /* NULL: not there */
    } cases[] = {
        {"", NULL, NULL, NULL},
        {",\"data\":null", "null", NULL, "application/json"},
        {",\"data\":1", "1", NULL, "application/json"},
        {",\"datacontenttype\":\"text/plain\"", NULL, NULL, "text/plain"},
        {",\"datacontenttype\":\"text/plain\",\"data\":\"\"", NULL, "", "text/plain"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char body[256];
        (void)snprintf(body, sizeof(body), "{\"id\":\"d%zu\",\"source\":\"/s\"%s" TYPED "}", i,
                       cases[i].members);
        append("data", CLOUD, body, 201);
        json_t *list = read_out("data");
        const json_t *e = json_array_get(list, i), *data = json_object_get(e, "data");
        const char *type = json_string_value(json_object_get(e, "datacontenttype"));
        const char *base64 = json_string_value(json_object_get(e, "data_base64"));
        char *text = data ? json_dumps(data, JSON_ENCODE_ANY) : NULL;
        assert_true(!text == !cases[i].data && (!text || strcmp(text, cases[i].data) == 0));
        assert_true(!base64 == !cases[i].base64);
        assert_true(!type == !cases[i].type && (!type || strcmp(type, cases[i].type) == 0));
        free(text);
        json_decref(list);
    }
}

#define BINARY "ce-specversion: 1.0\r\nce-type: A\r\nce-source: /shop\r\n"

static void test_binary_mode(void **state)
{
    (void)state;
    append("bin",
           BINARY
           "ce-id: b1\r\nce-subject: caf%C3%A9 %25\r\nce-tags: a:1,b:2\r\nce-schemaversion: 2\r\n"
           "ce-myext: \"quoted \\\"text\\\"\"\r\n",
           "{\"n\": 1}", 201);
    append("bin", BINARY "ce-id: b2\r\nContent-Type: text/plain\r\n", "plain text", 201);
    append("bin", BINARY "ce-id: b3\r\nContent-Type: application/octet-stream\r\n", "\x01\x02",
           201);
    append("bin", BINARY "ce-id: b4\r\n", NULL, 201);
    append("bin", BINARY "ce-id: b1\r\nce-schemaversion: 2\r\n", "{\"n\":1}", 200);
    json_t *list = read_out("bin");
    const json_t *e = json_array_get(list, 0);
    assert_string_equal(api_text(e, "id"), "b1");
    assert_string_equal(api_text(e, "tags"), "a:1,b:2");
    assert_int_equal(api_int(e, "schemaversion"), 2);
    assert_int_equal(api_int(json_object_get(e, "data"), "n"), 1);
    assert_non_null(strstr(api_text(e, "metadata"), "\"subject\":\"caf\xc3\xa9 %\""));
    assert_non_null(strstr(api_text(e, "metadata"), "\"myext\":\"quoted \\\"text\\\"\""));
    assert_string_equal(api_text(json_array_get(list, 1), "data_base64"), "cGxhaW4gdGV4dA==");
    assert_string_equal(api_text(json_array_get(list, 1), "datacontenttype"), "text/plain");
    assert_string_equal(api_text(json_array_get(list, 2), "data_base64"), "AQI=");
    assert_null(json_object_get(json_array_get(list, 3), "data"));
    json_decref(list);
    static const api_refusal rows[] = {
        {"other version", "POST", "/v1/streams/b",
         "ce-specversion: 0.3\r\nce-id: 1\r\nce-type: A\r\nce-source: /s\r\n", "1", 400,
         "INVALID_INPUT", "specversion"},
        {"no id", "POST", "/v1/streams/b", BINARY, "1", 400, "INVALID_INPUT", "id"},
        {"bad source", "POST", "/v1/streams/b",
         "ce-specversion: 1.0\r\nce-id: 1\r\nce-type: A\r\nce-source: a b\r\n", "1", 400,
         "INVALID_INPUT", "source"},
        {"no JSON", "POST", "/v1/streams/b", BINARY "ce-id: 1\r\n", "{", 400, "MALFORMED_JSON",
         "data"},
        {"schema no number", "POST", "/v1/streams/b", BINARY "ce-id: 1\r\nce-schemaversion: x\r\n",
         "1", 400, "INVALID_INPUT", "schemaversion"},
        {"no UTF-8", "POST", "/v1/streams/b", BINARY "ce-id: %ff\r\n", "1", 400, "INVALID_INPUT",
         "ce-id"},
        {"id twice", "POST", "/v1/streams/b", BINARY "ce-id: 1\r\nce-id: 2\r\n", "1", 400,
         "INVALID_INPUT", "ce-id"},
        {"data in a header", "POST", "/v1/streams/b", BINARY "ce-id: 1\r\nce-data: 1\r\n", "1", 400,
         "INVALID_INPUT", "ce-data"},
        {"of several streams", "POST", "/v1/append",
         BINARY "ce-id: 1\r\nContent-Type: text/plain\r\n", "x", 415, "UNSUPPORTED_MEDIA_TYPE",
         "Content-Type"},
    };
    api_expect_refusals(&server, rows, sizeof(rows) / sizeof(rows[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_id_comes_back),
        cmocka_unit_test(test_the_mapping_never_changes),
        cmocka_unit_test(test_a_copy_is_the_same),
        cmocka_unit_test(test_a_forged_origin_is_not_believed),
        cmocka_unit_test(test_absent_data_stays_absent),
        cmocka_unit_test(test_binary_mode),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
