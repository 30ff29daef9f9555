/* test_rest_conditional.c: If-None-Match of reads, and bodies with a coding (issue 9, item 10).
 * (G-904, G-905) */
#include "support/api_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void ask(const api_server *s, const char *path, const char *etags, const char *more,
                int status)
{
    char headers[512];
    (void)snprintf(headers, sizeof(headers), "%s%s%s%s", etags ? "If-None-Match: " : "",
                   etags ? etags : "", etags ? "\r\n" : "", more ? more : "");
    api_answer a = api_call(s, "GET", path, headers, NULL);
    if (a.status != status)
        fail_msg("%s with %s: %d", path, headers, a.status);
    if (status == 304) {
        assert_int_equal(a.reply.body.len, 0);
        assert_non_null(http_reply_header(&a.reply, "etag").ptr);
        assert_non_null(http_reply_header(&a.reply, "excore-log").ptr);
    }
    api_answer_done(&a);
}

static void test_reads_answer_304(void **state)
{
    (void)state;
    api_server s;
    api_server_start(&s, &(api_server_options){0});
    api_append(&s, "a-1", "A", 3, 0);
    api_append(&s, "b-1", "B", 2, 0);
    static const char *const paths[] = {"/v1/streams/a-1",
                                        "/v1/streams/a-1?from=2&limit=1",
                                        "/v1/streams/a-1?direction=backward",
                                        "/v1/events",
                                        "/v1/events?types=B",
                                        "/v1/events?after=5"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        const char *same = i < 3 ? "\"3\"" : "\"5\"";
        char list[64];
        (void)snprintf(list, sizeof(list), "\"9\", W/%s", same);
        ask(&s, paths[i], NULL, NULL, 200);
        ask(&s, paths[i], "\"2\"", NULL, 200);
        ask(&s, paths[i], same, NULL, 304);
        ask(&s, paths[i], list, NULL, 304);
        ask(&s, paths[i], "*", NULL, 304);
        ask(&s, paths[i], same, "Accept: application/cloudevents+json\r\n", 304);
    }
    ask(&s, "/v1/streams/none", "*", NULL, 404);
    ask(&s, "/v1/streams/a-1?from=9", "\"3\"", NULL, 409);
    ask(&s, "/v1/streams/a-1?from=x", "\"3\"", NULL, 400);
    api_append(&s, "a-1", "A", 1, 0);
    ask(&s, "/v1/streams/a-1", "\"3\"", NULL, 200);
    ask(&s, "/v1/events", "\"5\"", NULL, 200);
    ask(&s, "/v1/streams/b-1", "\"2\"", NULL, 304);
    api_server_stop(&s);
}

/* Who names the log of his ETag is not told "the same" by another one. */
static void test_reads_compare_the_log(void **state)
{
    (void)state;
    char lines[2][160];
    for (int i = 0; i < 2; i++) {
        api_server s;
        api_server_start(&s, &(api_server_options){0});
        api_append(&s, "a-1", "A", 3, 0);
        api_answer a = api_call(&s, "GET", "/v1/streams/a-1", NULL, NULL);
        ex_slice log = http_reply_header(&a.reply, "excore-log");
        (void)snprintf(lines[i], sizeof(lines[i]), "excore-log: %.*s\r\n", EX_ARG(log));
        assert_true(ex_slice_is(http_reply_header(&a.reply, "cache-control"), "no-store"));
        api_answer_done(&a);
        ask(&s, "/v1/streams/a-1", "\"3\"", lines[i], 304);
        if (i == 1)
            ask(&s, "/v1/streams/a-1", "\"3\"", lines[0], 409);
        api_server_stop(&s);
    }
}

static void test_openapi_answers_304(void **state)
{
    (void)state;
    api_server s;
    api_server_start(
        &s, &(api_server_options){.in_memory = true, .openapi = "{\"openapi\":\"3.1.0\"}"});
    api_answer a = api_call(&s, "GET", "/openapi.json", NULL, NULL);
    char headers[128];
    (void)snprintf(headers, sizeof(headers), "If-None-Match: %.*s\r\n",
                   EX_ARG(http_reply_header(&a.reply, "etag")));
    assert_int_equal(a.status, 200);
    api_answer_done(&a);
    api_expect(&s, "GET", "/openapi.json", headers, NULL, 304);
    api_expect(&s, "GET", "/openapi.json", "If-None-Match: \"x\"\r\n", NULL, 200);
    api_server_stop(&s);
}

static void test_content_encoding_is_refused_by_name(void **state)
{
    (void)state;
    static const char *const codings[] = {"gzip", "br", "identity, gzip", "x"};
    static const char body[] = "{\"events\":[{\"type\":\"T\",\"data\":1}]}";
    api_server s;
    api_server_start(&s, &(api_server_options){.in_memory = true});
    for (size_t i = 0; i < sizeof(codings) / sizeof(codings[0]); i++) {
        char header[64];
        (void)snprintf(header, sizeof(header), "Content-Encoding: %s\r\n", codings[i]);
        api_answer a = api_call(&s, "POST", "/v1/streams/s", header, body);
        api_check_problem(&a, codings[i], 415, "UNSUPPORTED_MEDIA_TYPE", "Content-Encoding");
        assert_true(ex_slice_is(http_reply_header(&a.reply, "accept-encoding"), "identity"));
        api_answer_done(&a);
    }
    api_expect(&s, "POST", "/v1/streams/s", "Content-Encoding: Identity\r\n", body, 201);
    api_server_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_answer_304),
        cmocka_unit_test(test_reads_compare_the_log),
        cmocka_unit_test(test_openapi_answers_304),
        cmocka_unit_test(test_content_encoding_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
