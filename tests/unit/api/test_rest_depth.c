/* test_rest_depth.c: JSON may nest as deep on every way in, and what is stored can be read (issue 9,
 * item 13). (G-909) */
#include "support/api_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define LEVELS 64
#define CLOUD  "\"specversion\":\"1.0\",\"id\":\"%d-%d\",\"source\":\"/s\",\"type\":\"A\""
#define AS(t)  "Content-Type: " t "\r\n"

static void nest(char *out, int levels, char open, char close)
{
    memset(out, open, (size_t)levels);
    memset(out + levels, close, (size_t)levels);
    out[2 * levels] = '\0';
}

/* %s stands for what nests; the two numbers make ids. */
static const struct {
    const char *name, *path, *headers, *body;
    bool is_object; /* of objects, under the key "a" */
} ways[] = {
    {"data", "/v1/streams/d", NULL, "{\"events\":[{\"type\":\"A\",\"data\":%s}]}", false},
    {"metadata", "/v1/streams/d", NULL,
     "{\"events\":[{\"type\":\"A\",\"data\":1,\"metadata\":%s}]}", true},
    {"data of a write", "/v1/append", NULL,
     "{\"writes\":[{\"stream\":\"d\",\"events\":[{\"type\":\"A\",\"data\":%s}]}]}", false},
    {"CloudEvent", "/v1/streams/d", AS("application/cloudevents+json"), "{\"data\":%s," CLOUD "}",
     false},
    {"CloudEvents", "/v1/streams/d", AS("application/cloudevents-batch+json"),
     "[{\"data\":%s," CLOUD "}]", false},
    {"binary CloudEvent", "/v1/streams/d",
     "ce-specversion: 1.0\r\nce-source: /s\r\nce-type: A\r\nce-id: b%d-%d\r\n", "%s", false},
};

static void put(char *out, const char *format, const char *nested, int way, int levels)
{
    const char *mark = strstr(format, "%s");
    size_t before = mark ? (size_t)(mark - format) : 0;
    memcpy(out, format, before);
    out += before;
    strcpy(out, nested);
    out += strlen(out);
    const char *rest = mark ? mark + 2 : format;
    const char *numbers = strstr(rest, "%d-%d");
    if (numbers)
        (void)sprintf(out, "%.*s%d-%d%s", (int)(numbers - rest), rest, way, levels, numbers + 5);
    else
        strcpy(out, rest);
}

static void nest_objects(char *out, int levels)
{
    for (int i = 0; i < levels; i++)
        out += sprintf(out, i + 1 < levels ? "{\"a\":" : "{");
    memset(out, '}', (size_t)levels);
    out[levels] = '\0';
}

static int append(const api_server *s, size_t way, int levels, api_answer *ret)
{
    char nested[8192], body[9000], headers[256];
    if (ways[way].is_object)
        nest_objects(nested, levels);
    else
        nest(nested, levels, '[', ']');
    put(body, ways[way].body, nested, (int)way, levels);
    put(headers, ways[way].headers ? ways[way].headers : "", "", (int)way, levels);
    *ret = api_call(s, "POST", ways[way].path, headers, body);
    return ret->status;
}

static ex_status append_to_library(const api_server *s, int levels)
{
    char nested[512];
    nest(nested, levels, '[', ']');
    const ex_new_event event = {.type = EX_S("A"), .data = ex_str(nested)};
    const ex_stream_write write = {.stream = EX_S("d"), .events = &event, .event_count = 1};
    return ex_store_append(s->store, &(ex_append){.writes = &write, .write_count = 1}, NULL, NULL);
}

static void test_every_way_in_nests_as_deep(void **state)
{
    (void)state;
    api_server s;
    api_server_start(&s, &(api_server_options){0});
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        api_answer a;
        if (append(&s, i, LEVELS, &a) != 201)
            fail_msg("%s: %.*s", ways[i].name, (int)a.reply.body.len, a.reply.body.ptr);
        api_answer_done(&a);
        (void)append(&s, i, LEVELS + 1, &a);
        api_check_problem(&a, ways[i].name, 400, "JSON_TOO_DEEP", NULL);
        api_answer_done(&a);
        (void)append(&s, i, 1000, &a);
        api_check_problem(&a, ways[i].name, 400, "JSON_TOO_DEEP", NULL);
        api_answer_done(&a);
    }
    assert_int_equal(append_to_library(&s, LEVELS), EX_OK);
    assert_int_equal(append_to_library(&s, LEVELS + 1), EX_EMALFORMED);
    api_answer a = api_call(&s, "GET", "/v1/streams/d", NULL, NULL);
    assert_int_equal(json_array_size(json_object_get(a.json, "events")),
                     sizeof(ways) / sizeof(ways[0]) + 1);
    api_answer_done(&a);
    api_server_stop(&s);
}

/* No URL leads to them: clients and proxies resolve dot segments, encoded ones too. */
static void test_streams_that_no_url_names_are_refused(void **state)
{
    (void)state;
    static const api_refusal rows[] = {
        {"dot", "POST", "/v1/append", NULL,
         "{\"writes\":[{\"stream\":\".\",\"events\":[{\"type\":\"A\",\"data\":1}]}]}", 400,
         "INVALID_INPUT", "writes[0].stream"},
        {"dots", "POST", "/v1/append", NULL,
         "{\"writes\":[{\"stream\":\"..\",\"events\":[{\"type\":\"A\",\"data\":1}]}]}", 400,
         "INVALID_INPUT", "writes[0].stream"},
        {"in the path", "POST", "/v1/streams/%2e%2E", NULL,
         "{\"events\":[{\"type\":\"A\",\"data\":1}]}", 400, "MALFORMED_REQUEST", NULL},
    };
    api_server s;
    api_server_start(&s, &(api_server_options){.in_memory = true});
    api_expect_refusals(&s, rows, sizeof(rows) / sizeof(rows[0]));
    static const char *const fine[] = {"/v1/streams/...", "/v1/streams/.a",
                                       "/v1/streams/a%2F..%2Fb"};
    for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
        api_expect(&s, "POST", fine[i], NULL, "{\"events\":[{\"type\":\"A\",\"data\":1}]}", 201);
        api_expect(&s, "GET", fine[i], NULL, NULL, 200);
    }
    api_server_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_way_in_nests_as_deep),
        cmocka_unit_test(test_streams_that_no_url_names_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
