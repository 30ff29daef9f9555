/* test_rest_streams.c: appending and reading over HTTP, on real sockets, on both drivers. */
#include "support/api_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))
#define UUID_A    "01970c3e-8a00-7000-8000-0123456789aa"
#define UUID_B    "01970c3e-8a00-7000-8000-0123456789bb"
#define ONE(type) "{\"events\":[{\"type\":\"" type "\",\"data\":{\"n\":1}}]}"

static api_server server;
static bool is_in_memory; /* the server's store */

static int start(bool in_memory)
{
    is_in_memory = in_memory;
    api_server_options o = {.in_memory = in_memory};
    o.api.page_limit_bytes = 256 << 10;
    api_server_start(&server, &o);
    return 0;
}

static int setup_memory(void **state)
{
    (void)state;
    return start(true);
}

static int setup_sqlite(void **state)
{
    (void)state;
    return start(false);
}

static int teardown(void **state)
{
    (void)state;
    api_server_stop(&server);
    return 0;
}

static void expect_problem(const char *method, const char *path, const char *headers,
                           const char *body, int status, const char *code, const char *field)
{
    api_answer a = api_call(&server, method, path, headers, body);
    api_check_problem(&a, path, status, code, field);
    api_answer_done(&a);
}

/* ---- Append and read ---- */

static void test_rest_append_then_read(void **state)
{
    (void)state;
    api_answer a = api_call(
        &server, "POST", "/v1/streams/shape-1", "X-Correlation-ID: corr-7\r\n",
        "{\"events\":[{\"type\":\"OrderPlaced\",\"id\":\"" UUID_A "\",\"data\": {\"n\" : 1.50},"
        "\"metadata\":{\"k\":[ ]},\"tags\":[\"customer:7\"],\"schema_version\":2},"
        "{\"type\":\"OrderPaid\",\"data\":[1,\n2]}]}");
    assert_int_equal(a.status, 201);
    assert_true(ex_slice_is(http_reply_header(&a.reply, "etag"), "\"2\""));
    assert_int_equal(api_int(a.json, "version"), 2);
    assert_null(json_object_get(a.json, "duplicate"));
    json_t *first = api_item(a.json, "events", 0), *second = api_item(a.json, "events", 1);
    assert_string_equal(api_text(first, "id"), UUID_A);
    assert_int_equal(api_int(first, "version"), 1);
    assert_int_equal(api_int(second, "position"), api_int(first, "position") + 1);
    assert_int_equal(api_int(a.json, "position"), api_int(second, "position"));
    json_int_t position = api_int(first, "position");
    api_answer_done(&a);

    a = api_call(&server, "GET", "/v1/streams/shape-1", NULL, NULL);
    assert_int_equal(a.status, 200);
    assert_true(ex_slice_is(http_reply_header(&a.reply, "content-type"), "application/json"));
    assert_true(ex_slice_is(http_reply_header(&a.reply, "etag"), "\"2\""));
    char want[512];
    (void)snprintf(
        want, sizeof(want),
        "{\"events\":[{\"position\":%lld,\"stream\":\"shape-1\",\"version\":1,\"id\":\"" UUID_A
        "\",\"type\":\"OrderPlaced\",\"schema_version\":2,\"data\":{\"n\" : 1.50},"
        "\"metadata\":{\"k\":[ "
        "]},\"tags\":[\"customer:7\"],\"correlation_id\":\"corr-7\",\"recorded_at\":\"",
        (long long)position);
    if (!ex_slice_starts(ex_buf_slice(&a.reply.body), ex_str(want)))
        fail_msg("%.*s", (int)a.reply.body.len, a.reply.body.ptr);
    ex_buf_put_char(&a.reply.body, '\0');
    assert_non_null(strstr(a.reply.body.ptr, "\"data\":[1,\n2]")); /* byte for byte */
    assert_non_null(strstr(a.reply.body.ptr, "],\"next\":3,\"has_more\":false,\"head\":2}"));
    api_answer_done(&a);
}

static void test_rest_expected_version(void **state)
{
    static const struct {
        const char *name, *headers, *expected;
        int status;
    } cases[] = {
        {"new, by body", NULL, "\"no_stream\"", 201},
        {"new again", NULL, "\"no_stream\"", 409},
        {"new again, by header", "If-None-Match: *\r\n", NULL, 409},
        {"exact", NULL, "1", 201},
        {"stale", NULL, "1", 409},
        {"exact, by header", "If-Match: \"2\"\r\n", NULL, 201},
        {"stale, by header", "If-Match: \"2\"\r\n", NULL, 409},
        {"exists, by header", "If-Match: *\r\n", NULL, 201},
        {"exists", NULL, "\"exists\"", 201},
        {"any", NULL, "\"any\"", 201},
        {"both, alike", "If-Match: \"6\"\r\n", "6", 201},
        {"both, unlike", "If-Match: \"7\"\r\n", "6", 400},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char body[256];
        (void)snprintf(body, sizeof(body), "{\"events\":[{\"type\":\"T\",\"data\":%zu}]%s%s}", i,
                       cases[i].expected ? ",\"expected\":" : "",
                       cases[i].expected ? cases[i].expected : "");
        api_answer a = api_call(&server, "POST", "/v1/streams/expected-1", cases[i].headers, body);
        if (a.status != cases[i].status)
            fail_msg("%s: %d", cases[i].name, a.status);
        if (a.status == 409)
            api_check_problem(&a, cases[i].name, 409, "VERSION_CONFLICT", NULL);
        api_answer_done(&a);
    }
    api_answer a =
        api_call(&server, "POST", "/v1/streams/expected-1", "If-Match: \"3\"\r\n", ONE("T"));
    assert_int_equal(api_int(a.json, "expected"), 3);
    assert_int_equal(api_int(a.json, "current"), 7);
    api_answer_done(&a);
    expect_problem("POST", "/v1/streams/expected-none", "If-Match: *\r\n", ONE("T"), 409,
                   "VERSION_CONFLICT", NULL);
}

/* R-ES-04, R-ES-05: the id decides before the version. */
static void test_rest_append_is_idempotent(void **state)
{
    static const char body[] =
        "{\"events\":[{\"type\":\"T\",\"id\":\"" UUID_B "\",\"data\":1}],\"expected\":0}";
    (void)state;
    api_answer first = api_call(&server, "POST", "/v1/streams/idem-1", NULL, body);
    assert_int_equal(first.status, 201);
    api_expect(&server, "POST", "/v1/streams/idem-1", NULL, ONE("U"), 201);
    api_answer again = api_call(&server, "POST", "/v1/streams/idem-1", NULL, body);
    assert_int_equal(again.status, 200);
    assert_true(json_is_true(json_object_get(again.json, "duplicate")));
    assert_int_equal(api_int(again.json, "position"), api_int(first.json, "position"));
    assert_int_equal(api_int(again.json, "version"), 1);
    assert_true(
        json_equal(json_object_get(again.json, "events"), json_object_get(first.json, "events")));
    api_answer other = api_call(&server, "POST", "/v1/streams/idem-1", NULL,
                                "{\"events\":[{\"type\":\"T\",\"id\":\"" UUID_B "\",\"data\":2}]}");
    api_check_problem(&other, "other content", 409, "IDEMPOTENCY_CONFLICT", NULL);
    assert_int_equal(api_int(other.json, "position"), api_int(first.json, "position"));
    assert_int_equal(api_int(other.json, "current"), 2);
    assert_string_equal(api_text(other.json, "existing_event_id"), UUID_B); /* R-ES-04 */
    assert_int_equal(json_is_integer(json_object_get(other.json, "audit_id")), !is_in_memory);
    api_answer_done(&first);
    api_answer_done(&again);
    api_answer_done(&other);
}

static void test_rest_condition(void **state)
{
    (void)state;
    api_answer a = api_call(&server, "POST", "/v1/streams/seat-1", NULL,
                            "{\"events\":[{\"type\":\"Taken\",\"data\":1,\"tags\":[\"seat:1\"]}]}");
    json_int_t position = api_int(a.json, "position");
    api_answer_done(&a);
    static const char taken[] =
        "{\"events\":[{\"type\":\"Taken\",\"data\":2,\"tags\":[\"seat:1\"]}],\"condition\":"
        "{\"fail_if_match\":{\"items\":[{\"types\":[\"Taken\"],\"tags\":[\"seat:1\"]}]}}}";
    a = api_call(&server, "POST", "/v1/streams/seat-2", NULL, taken);
    api_check_problem(&a, "condition", 409, "CONDITION_FAILED", "condition.fail_if_match.items[0]");
    assert_int_equal(api_int(a.json, "position"), position);
    api_answer_done(&a);
    api_expect(&server, "GET", "/v1/streams/seat-2", NULL, NULL, 404);
    char after[512];
    (void)snprintf(after, sizeof(after), "%.*s,\"after\":%lld}}", (int)strlen(taken) - 2, taken,
                   (long long)position);
    api_expect(&server, "POST", "/v1/streams/seat-2", NULL, after, 201);
}

static void test_rest_append_to_several_streams(void **state)
{
    (void)state;
    api_answer a =
        api_call(&server, "POST", "/v1/append", NULL,
                 "{\"writes\":[{\"stream\":\"multi-a\",\"expected\":\"no_stream\",\"events\":["
                 "{\"type\":\"A\",\"data\":1},{\"type\":\"B\",\"data\":2}]},"
                 "{\"stream\":\"multi-b\",\"events\":[{\"type\":\"C\",\"data\":3}]},"
                 "{\"stream\":\"multi-c\",\"expected\":\"no_stream\"}]}");
    assert_int_equal(a.status, 201);
    assert_int_equal(json_array_size(json_object_get(a.json, "events")), 3);
    assert_string_equal(api_text(api_item(a.json, "events", 1), "stream"), "multi-a");
    assert_string_equal(api_text(api_item(a.json, "events", 2), "stream"), "multi-b");
    assert_int_equal(api_int(api_item(a.json, "events", 2), "position"),
                     api_int(a.json, "position"));
    assert_int_equal(api_int(a.json, "version"), 1);
    api_answer_done(&a);
    /* all or none: the last write's version does not hold */
    expect_problem("POST", "/v1/append", NULL,
                   "{\"writes\":[{\"stream\":\"multi-d\",\"events\":[{\"type\":\"A\",\"data\":1}]},"
                   "{\"stream\":\"multi-b\",\"expected\":7}]}",
                   409, "VERSION_CONFLICT", NULL);
    api_expect(&server, "GET", "/v1/streams/multi-d", NULL, NULL, 404);
}

/* ---- Pages ---- */

static void assert_page(const char *path, const char *what, json_int_t first, size_t count,
                        json_int_t next, bool has_more, json_int_t head)
{
    api_answer a = api_call(&server, "GET", path, NULL, NULL);
    json_t *events = json_object_get(a.json, "events");
    if (a.status != 200 || json_array_size(events) != count || api_int(a.json, "next") != next ||
        json_is_true(json_object_get(a.json, "has_more")) != has_more ||
        api_int(a.json, "head") != head)
        fail_msg("%s: %zu events, %.*s", path, json_array_size(events), 200,
                 a.reply.body.ptr + (a.reply.body.len > 200 ? a.reply.body.len - 200 : 0));
    if (count && api_int(json_array_get(events, 0), what) != first)
        fail_msg("%s begins at %lld", path, (long long)api_int(json_array_get(events, 0), what));
    api_answer_done(&a);
}

static void test_rest_stream_pages(void **state)
{
    static const struct {
        const char *query;
        json_int_t first;
        size_t count;
        json_int_t next;
        bool has_more;
    } cases[] = {
        {"", 1, 10, 11, false},
        {"?from=1&limit=4", 1, 4, 5, true},
        {"?from=5&limit=4", 5, 4, 9, true},
        {"?from=9&limit=2", 9, 2, 11, false},
        {"?from=11", 0, 0, 11, false},
        {"?limit=0", 1, 1, 2, true},
        {"?limit=18446744073709551616", 1, 10, 11, false},
        {"?direction=forward&limit=1", 1, 1, 2, true},
        {"?direction=backward", 10, 10, 0, false},
        {"?direction=backward&limit=3", 10, 3, 7, true},
        {"?direction=backward&from=7&limit=3", 7, 3, 4, true},
        {"?direction=backward&from=2", 2, 2, 0, false},
    };
    (void)state;
    api_append(&server, "paged-1", "T", 10, 0);
    for (size_t i = 0; i < COUNT(cases); i++) {
        char path[128];
        (void)snprintf(path, sizeof(path), "/v1/streams/paged-1%s", cases[i].query);
        assert_page(path, "version", cases[i].first, cases[i].count, cases[i].next,
                    cases[i].has_more, 10);
    }
}

/* Issue 8, item 1 (G-151): whoever is ahead is told so, with the end, on every way in. */
static void test_rest_positions_beyond_the_end(void **state)
{
    (void)state;
    api_append(&server, "short-1", "T", 3, 0);
    static const struct {
        const char *path, *headers;
    } cases[] = {
        {"/v1/streams/short-1?from=5", NULL},
        {"/v1/streams/short-1?from=99999999999999999999", NULL},
        {"/v1/streams/short-1?from=5", "Accept: text/event-stream\r\n"},
        {"/v1/streams/short-1", "Accept: text/event-stream\r\nLast-Event-ID: 4\r\n"},
        {"/v1/streams/not-there?from=2", "Accept: text/event-stream\r\n"},
        {"/v1/events?after=1000000", NULL},
        {"/v1/events?after=1000000&types=T", NULL},
        {"/v1/events?after=1000000", "Accept: application/cloudevents-batch+json\r\n"},
        {"/v1/events?after=1000000", "Accept: text/event-stream\r\n"},
        {"/v1/events", "Accept: text/event-stream\r\nLast-Event-ID: 1000000\r\n"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        api_answer a = api_call(&server, "GET", cases[i].path, cases[i].headers, NULL);
        if (a.status != 409 || strcmp(api_text(a.json, "code"), "POSITION_AHEAD") != 0)
            fail_msg("%s: %d", cases[i].path, a.status);
        assert_true(api_int(a.json, "position") > api_int(a.json, "head"));
        api_answer_done(&a);
    }
    expect_problem(
        "POST", "/v1/streams/short-1", NULL,
        "{\"events\":[{\"type\":\"T\",\"data\":1}],\"condition\":{\"fail_if_match\":{\"items\":["
        "{\"types\":[\"X\"]}]},\"after\":1000000}}",
        409, "POSITION_AHEAD", NULL);
}

/* A page is bounded in bytes too, and the next one goes on where it ended. (G-044) */
static void test_rest_page_ends_at_its_byte_limit(void **state)
{
    (void)state;
    api_append(&server, "heavy-1", "T", 6, 100000);
    assert_page("/v1/streams/heavy-1", "version", 1, 3, 4, true, 6);
    assert_page("/v1/streams/heavy-1?from=4", "version", 4, 3, 7, false, 6);
}

/* R-ES-14: a stream's page has 1,000 events unless asked otherwise, R-ES-15: the log's has 100. */
static void test_rest_page_defaults_and_cap(void **state)
{
    (void)state;
    json_int_t before = (json_int_t)ex_store_head(server.store);
    char path[128];
    api_append(&server, "long-1", "L", 1010, 0);
    assert_page("/v1/streams/long-1", "version", 1, 1000, 1001, true, 1010);
    assert_page("/v1/streams/long-1?limit=5000", "version", 1, 1000, 1001, true, 1010);
    json_int_t head = before + 1010;
    (void)snprintf(path, sizeof(path), "/v1/events?after=%lld", (long long)before);
    assert_page(path, "position", before + 1, 100, before + 100, true, head);
    (void)snprintf(path, sizeof(path), "/v1/events?after=%lld&limit=5000", (long long)before);
    assert_page(path, "position", before + 1, 1000, before + 1000, true, head);
}

static void test_rest_log_filters(void **state)
{
    static const struct {
        const char *query;
        size_t count;
    } cases[] = {
        {"&types=FA", 2},
        {"&types=FA,FB", 3},
        {"&types=FA&types=FB", 3},
        {"&types=FZ", 0},
        {"&tags=f:1", 2},
        {"&tags=f:1,f:2", 1},
        {"&tags=f:1&tags=f:2", 1},
        {"&types=FB&tags=f:1", 1},
        {"&types=FA&tags=f:3", 0},
        {"&tags=f:a%252Cb%2525", 1},
        {"&streams=filter-1", 2},
        {"&streams=filter-1,filter-2", 3},
        {"&streams=filter-1&types=FA", 1},
        {"&streams=nowhere", 0},
        {"&correlation_id=flow-1", 2},
        {"&correlation_id=flow-1&types=FA", 1},
        {"&correlation_id=flow-1&streams=filter-2&tags=f:1", 0},
        {"&correlation_id=a%26b%2Cc%20%25", 1},
        {"&correlation_id=flow", 0},
    };
    (void)state;
    json_int_t before = (json_int_t)ex_store_head(server.store);
    api_expect(&server, "POST", "/v1/streams/filter-1", "X-Correlation-ID: flow-1\r\n",
               "{\"events\":[{\"type\":\"FA\",\"data\":1,\"tags\":[\"f:1\",\"f:a,b%\"],"
               "\"metadata\":{\"$correlation_id\":\"a&b,c %\"}},"
               "{\"type\":\"FB\",\"data\":1,\"tags\":[\"f:1\",\"f:2\"]}]}",
               201);
    api_expect(&server, "POST", "/v1/streams/filter-2", "X-Correlation-ID: flow-1\r\n", ONE("FA"),
               201);
    for (size_t i = 0; i < COUNT(cases); i++) {
        char path[256];
        (void)snprintf(path, sizeof(path), "/v1/events?after=%lld%s", (long long)before,
                       cases[i].query);
        api_answer a = api_call(&server, "GET", path, NULL, NULL);
        if (json_array_size(json_object_get(a.json, "events")) != cases[i].count)
            fail_msg("%s: %.*s", path, (int)a.reply.body.len, a.reply.body.ptr);
        /* everything up to the head was looked at: the next page need not look again */
        assert_int_equal(api_int(a.json, "next"), before + 3);
        api_answer_done(&a);
    }
}

/* ---- Forms ---- */

static void test_rest_cloudevents_out(void **state)
{
    static const char *const accepts[] = {
        "Accept: application/cloudevents-batch+json\r\n",
        "Accept: application/cloudevents+json\r\n",
        "Accept: application/json;q=0.1, application/cloudevents+json\r\n"};
    (void)state;
    api_append(&server, "cloud-1", "T", 3, 0);
    for (size_t i = 0; i < COUNT(accepts); i++) {
        api_answer a = api_call(&server, "GET", "/v1/streams/cloud-1?limit=2", accepts[i], NULL);
        assert_int_equal(a.status, 200);
        assert_true(ex_slice_is(http_reply_header(&a.reply, "content-type"),
                                "application/cloudevents-batch+json"));
        assert_int_equal(json_array_size(a.json), 2);
        assert_string_equal(api_text(json_array_get(a.json, 0), "specversion"), "1.0");
        assert_string_equal(api_text(json_array_get(a.json, 1), "streamversion"), "2");
        assert_true(ex_slice_is(http_reply_header(&a.reply, "excore-next"), "3"));
        assert_true(ex_slice_is(http_reply_header(&a.reply, "excore-has-more"), "true"));
        assert_true(ex_slice_is(http_reply_header(&a.reply, "excore-head"), "3"));
        api_answer_done(&a);
    }
}

static void test_rest_cloudevents_in(void **state)
{
    (void)state;
    api_expect(&server, "POST", "/v1/streams/cloud-2",
               "Content-Type: application/cloudevents+json; charset=UTF-8\r\n",
               "{\"specversion\":\"1.0\",\"id\":\"" UUID_A
               "\",\"source\":\"/x\",\"type\":\"C\",\"data\":{\"a\":1}}",
               201);
    api_expect(&server, "POST", "/v1/streams/cloud-2",
               "Content-Type: application/cloudevents-batch+json\r\nIf-Match: \"1\"\r\n",
               "[{\"specversion\":\"1.0\",\"id\":\"" UUID_B
               "\",\"source\":\"/x\",\"type\":\"C\",\"tags\":\"k:v\","
               "\"datacontenttype\":\"text/plain\",\"data\":\"hi\"}]",
               201);
    api_answer a = api_call(&server, "GET", "/v1/streams/cloud-2", NULL, NULL);
    json_t *second = api_item(a.json, "events", 1);
    assert_string_equal(api_text(second, "data_base64"), "aGk=");
    assert_string_equal(api_text(second, "content_type"), "text/plain");
    assert_string_equal(json_string_value(api_item(second, "tags", 0)), "k:v");
    api_answer_done(&a);
}

static void test_rest_binary_data_round_trips(void **state)
{
    (void)state;
    api_expect(&server, "POST", "/v1/streams/bytes-1", NULL,
               "{\"events\":[{\"type\":\"B\",\"content_type\":\"image/"
               "png\",\"data_base64\":\"iVBORwAN/w==\"}]}",
               201);
    api_answer a = api_call(&server, "GET", "/v1/streams/bytes-1", NULL, NULL);
    assert_string_equal(api_text(api_item(a.json, "events", 0), "data_base64"), "iVBORwAN/w==");
    api_answer_done(&a);
}

/* R-01-54: metadata first, then the header when it is valid, then the request id. */
static void test_rest_correlation(void **state)
{
    static const struct {
        const char *headers, *metadata, *want;
    } cases[] = {
        {"X-Request-ID: req-1\r\n", "{}", "req-1"},
        {"X-Request-ID: req-1\r\nX-Correlation-ID: corr.1\r\n", "{}", "corr.1"},
        {"X-Request-ID: req-1\r\nX-Correlation-ID: not valid\r\n", "{}", "req-1"},
        {"X-Correlation-ID: corr.1\r\n", "{\"$correlation_id\":\"own id\"}", "own id"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char body[256], path[64];
        (void)snprintf(path, sizeof(path), "/v1/streams/corr-%zu", i);
        (void)snprintf(body, sizeof(body),
                       "{\"events\":[{\"type\":\"T\",\"data\":1,\"metadata\":%s}]}",
                       cases[i].metadata);
        api_expect(&server, "POST", path, cases[i].headers, body, 201);
        api_answer a = api_call(&server, "GET", path, NULL, NULL);
        json_t *e = api_item(a.json, "events", 0);
        assert_string_equal(api_text(e, "correlation_id"), cases[i].want);
        char *metadata = json_dumps(json_object_get(e, "metadata"), JSON_COMPACT);
        assert_string_equal(metadata, cases[i].metadata); /* as it was sent */
        free(metadata);
        api_answer_done(&a);
    }
}

static void test_rest_head(void **state)
{
    (void)state;
    api_append(&server, "head-1", "T", 2, 0);
    api_answer a = api_call(&server, "HEAD", "/v1/streams/head-1", NULL, NULL);
    assert_int_equal(a.status, 200);
    assert_true(ex_slice_is(http_reply_header(&a.reply, "etag"), "\"2\""));
    api_answer_done(&a);
    api_expect(&server, "HEAD", "/v1/streams/head-none", NULL, NULL, 404);
    api_expect(&server, "HEAD", "/v1/events", "Accept: text/event-stream\r\n", NULL, 200);
}

/* ---- Names ---- */

static void put_name(char *out, char c, size_t n)
{
    memset(out, c, n);
    out[n] = '\0';
}

static void test_rest_stream_names(void **state)
{
    static const struct {
        const char *encoded, *name;
    } cases[] = {
        {"a%2Fb", "a/b"},
        {"%2e%2e%2fetc", "../etc"},
        {"caf%C3%A9-1", "caf\xc3\xa9-1"},
        {"sp%20ace", "sp ace"},
        {"plus+sign", "plus+sign"},
        {"per%25cent", "per%cent"},
        {"%F0%9F%98%80", "\xf0\x9f\x98\x80"},
        {"q%3Fx%23y", "q?x#y"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char path[128];
        (void)snprintf(path, sizeof(path), "/v1/streams/%s", cases[i].encoded);
        api_expect(&server, "POST", path, NULL, ONE("T"), 201);
        api_answer a = api_call(&server, "GET", path, NULL, NULL);
        assert_string_equal(api_text(api_item(a.json, "events", 0), "stream"), cases[i].name);
        api_answer_done(&a);
    }
}

static void test_rest_stream_name_lengths(void **state)
{
    (void)state;
    char path[300] = "/v1/streams/";
    size_t at = strlen(path);
    put_name(path + at, 's', EX_STREAM_NAME_MAX);
    api_expect(&server, "POST", path, NULL, ONE("T"), 201);
    api_expect(&server, "GET", path, NULL, NULL, 200);
    put_name(path + at, 's', EX_STREAM_NAME_MAX + 1);
    expect_problem("POST", path, NULL, ONE("T"), 400, "INVALID_INPUT", "stream");
    api_answer a = api_call(&server, "GET", path, NULL, NULL);
    assert_in_range(a.status, 400, 404);
    api_answer_done(&a);
}

/* ---- Refusals ---- */

/* clang-format off */
static const api_refusal refusals[] = {
    {"malformed",        "POST", "/v1/streams/bad-1", NULL, "{\"events\":[",      400, "MALFORMED_JSON", NULL},
    {"duplicate key",    "POST", "/v1/streams/bad-1", NULL, "{\"events\":[],\"events\":[]}", 400, "DUPLICATE_KEY", NULL},
    {"no body",          "POST", "/v1/streams/bad-1", "Content-Type: application/json\r\n", NULL, 400, "MALFORMED_JSON", NULL},
    {"unknown field",    "POST", "/v1/streams/bad-1", NULL, "{\"evnts\":[]}",     400, "UNKNOWN_FIELD", "evnts"},
    {"missing type",     "POST", "/v1/streams/bad-1", NULL, "{\"events\":[{\"data\":1}]}", 400, "INVALID_INPUT", "events[0].type"},
    {"empty type",       "POST", "/v1/streams/bad-1", NULL, "{\"events\":[{\"type\":\"\",\"data\":1}]}", 400, "INVALID_INPUT", "events[0].type"},
    {"control in type",  "POST", "/v1/streams/bad-1", NULL, "{\"events\":[{\"type\":\"a\\u0000b\",\"data\":1}]}", 400, "INVALID_INPUT", "events[0].type"},
    {"line in type",     "POST", "/v1/streams/bad-1", NULL, "{\"events\":[{\"type\":\"a\\nid: 7\",\"data\":1}]}", 400, "INVALID_INPUT", "events[0].type"},
    {"bad UTF-8",        "POST", "/v1/streams/bad-1", NULL, "{\"events\":[{\"type\":\"\xff\",\"data\":1}]}", 400, "MALFORMED_JSON", NULL},
    {"empty tag",        "POST", "/v1/streams/bad-1", NULL, "{\"events\":[{\"type\":\"T\",\"data\":1,\"tags\":[\"\"]}]}", 400, "INVALID_INPUT", NULL},
    {"bad UTF-8 name",   "POST", "/v1/streams/%ff",   NULL, ONE("T"),             400, "INVALID_INPUT", "stream"},
    {"control in name",  "POST", "/v1/streams/a%0Ab", NULL, ONE("T"),             400, "INVALID_INPUT", "stream"},
    {"platform stream",  "POST", "/v1/streams/$all",  NULL, ONE("T"),             400, "INVALID_INPUT", "stream"},
    {"wrong media type", "POST", "/v1/streams/bad-1", "Content-Type: text/plain\r\n", ONE("T"), 415, "UNSUPPORTED_MEDIA_TYPE", NULL},
    {"form",             "POST", "/v1/streams/bad-1", "Content-Type: application/x-www-form-urlencoded\r\n", ONE("T"), 415, "UNSUPPORTED_MEDIA_TYPE", NULL},
    {"other charset",    "POST", "/v1/streams/bad-1", "Content-Type: application/json; charset=utf-16\r\n", ONE("T"), 415, "UNSUPPORTED_MEDIA_TYPE", NULL},
    {"weak If-Match",    "POST", "/v1/streams/bad-1", "If-Match: W/\"1\"\r\n", ONE("T"), 400, "INVALID_INPUT", "If-Match"},
    {"both headers",     "POST", "/v1/streams/bad-1", "If-Match: *\r\nIf-None-Match: *\r\n", ONE("T"), 400, "INVALID_INPUT", "If-Match"},
    {"query on append",  "POST", "/v1/streams/bad-1?expected=1", NULL, ONE("T"),  400, "UNKNOWN_FIELD", "expected"},
    {"writes misspelt",  "POST", "/v1/append",        NULL, "{\"write\":[]}",     400, "UNKNOWN_FIELD", "write"},
    {"stream twice",     "POST", "/v1/append",        NULL, "{\"writes\":[{\"stream\":\"x\",\"events\":[{\"type\":\"T\",\"data\":1}]},{\"stream\":\"x\"}]}", 400, "INVALID_INPUT", NULL},
    {"unknown stream",   "GET",  "/v1/streams/bad-none", NULL, NULL,              404, "NOT_FOUND", "stream"},
    {"unknown param",    "GET",  "/v1/streams/x?form=1", NULL, NULL,              400, "UNKNOWN_FIELD", "form"},
    {"param twice",      "GET",  "/v1/events?after=1&after=2", NULL, NULL,        400, "INVALID_INPUT", "after"},
    {"bad number",       "GET",  "/v1/events?after=x", NULL, NULL,                400, "INVALID_INPUT", "after"},
    {"negative limit",   "GET",  "/v1/events?limit=-1", NULL, NULL,               400, "INVALID_INPUT", "limit"},
    {"empty limit",      "GET",  "/v1/events?limit=", NULL, NULL,                 400, "INVALID_INPUT", "limit"},
    {"bad direction",    "GET",  "/v1/streams/x?direction=up", NULL, NULL,        400, "INVALID_INPUT", "direction"},
    {"empty list item",  "GET",  "/v1/events?types=a,,b", NULL, NULL,             400, "INVALID_INPUT", "types"},
    {"empty correlation","GET",  "/v1/events?correlation_id=", NULL, NULL,        400, "INVALID_INPUT", "correlation_id"},
    {"bad correlation",  "GET",  "/v1/events?correlation_id=%0A", NULL, NULL,     400, "INVALID_INPUT", "correlation_id"},
    {"two correlations", "GET",  "/v1/events?correlation_id=a&correlation_id=b", NULL, NULL, 400, "INVALID_INPUT", "correlation_id"},
    {"no such filter",   "GET",  "/v1/streams/x?correlation_id=a", NULL, NULL,   400, "UNKNOWN_FIELD", "correlation_id"},
    {"not acceptable",   "GET",  "/v1/events", "Accept: text/html\r\n", NULL,     406, "NOT_ACCEPTABLE", NULL},
    {"refused by q=0",   "GET",  "/v1/events", "Accept: application/json;q=0\r\n", NULL, 406, "NOT_ACCEPTABLE", NULL},
    {"limit with SSE",   "GET",  "/v1/events?limit=1", "Accept: text/event-stream\r\n", NULL, 400, "INVALID_INPUT", "limit"},
    {"bad Last-Event-ID","GET",  "/v1/events", "Accept: text/event-stream\r\nLast-Event-ID: x\r\n", NULL, 400, "INVALID_INPUT", "Last-Event-ID"},
    {"wrong method",     "DELETE", "/v1/streams/x", NULL, NULL,                   405, "METHOD_NOT_ALLOWED", NULL},
    {"wrong method 2",   "PUT",  "/v1/events", NULL, "{}",                        405, "METHOD_NOT_ALLOWED", NULL},
    {"unknown path",     "GET",  "/v2/events", NULL, NULL,                        404, "NOT_FOUND", NULL},
    {"no context",       "GET",  "/v1/orders/open-orders", NULL, NULL,            404, "UNKNOWN_CONTEXT", NULL},
    {"no application",   "POST", "/v1/orders/order/1/confirm", NULL, "{}",        404, "UNKNOWN_CONTEXT", NULL},
};
/* clang-format on */

static void test_rest_refusals_name_code_and_field(void **state)
{
    (void)state;
    api_expect_refusals(&server, refusals, COUNT(refusals));
}

static void test_rest_accept_preferences(void **state)
{
    static const struct {
        const char *accept, *want;
    } cases[] = {
        {"", "application/json"},
        {"Accept: */*\r\n", "application/json"},
        {"Accept: application/*\r\n", "application/json"},
        {"Accept: text/html, application/json;q=0.2\r\n", "application/json"},
        {"Accept: */*;q=0.1, application/cloudevents-batch+json\r\n",
         "application/cloudevents-batch+json"},
        {"Accept: application/json;q=0, */*;q=0.5, text/*;q=0\r\n",
         "application/cloudevents-batch+json"},
        {"Accept: APPLICATION/JSON ; q=1.000\r\n", "application/json"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        api_answer a = api_call(&server, "GET", "/v1/events?limit=1", cases[i].accept, NULL);
        if (a.status != 200 ||
            !ex_slice_is(http_reply_header(&a.reply, "content-type"), cases[i].want))
            fail_msg("%s: %d", cases[i].accept, a.status);
        api_answer_done(&a);
    }
}

static void test_rest_deep_json_is_refused(void **state)
{
    (void)state;
    char body[3000];
    int n = snprintf(body, sizeof(body), "{\"events\":[{\"type\":\"T\",\"data\":");
    memset(body + n, '[', 1000);
    memset(body + n + 1000, ']', 1000);
    (void)snprintf(body + n + 2000, sizeof(body) - (size_t)n - 2000, "}]}");
    expect_problem("POST", "/v1/streams/deep-1", NULL, body, 400, "JSON_TOO_DEEP", NULL);
}

/* An event of exactly the limit goes in, one byte more does not. */
static void test_rest_event_size_limit(void **state)
{
    (void)state;
    static const char head[] = "{\"events\":[{\"type\":\"T\",\"data\":\"", tail[] = "\"}]}";
    for (int extra = 0; extra <= 1; extra++) {
        size_t size = (1u << 20) - 2 + (size_t)extra; /* two quotes belong to the data */
        char *body = malloc(sizeof(head) + size + sizeof(tail));
        assert_non_null(body);
        memcpy(body, head, sizeof(head) - 1);
        memset(body + sizeof(head) - 1, 'x', size);
        memcpy(body + sizeof(head) - 1 + size, tail, sizeof(tail));
        if (extra)
            expect_problem("POST", "/v1/streams/size-1", NULL, body, 413, "PAYLOAD_TOO_LARGE",
                           NULL);
        else
            api_expect(&server, "POST", "/v1/streams/size-1", NULL, body, 201);
        free(body);
    }
    api_answer a = api_call(&server, "GET", "/v1/streams/size-1", NULL, NULL);
    assert_int_equal(json_string_length(json_object_get(api_item(a.json, "events", 0), "data")),
                     (1u << 20) - 2);
    api_answer_done(&a);
}

/* R-ES-08: 10,000 events go in, one more does not (issue 9, item 15). */
static void test_rest_events_of_one_append(void **state)
{
    (void)state;
    for (unsigned count = 10000; count <= 10001; count++) {
        ex_buf body;
        ex_buf_init(&body, 0);
        ex_buf_put_str(&body, "{\"events\":[");
        for (unsigned i = 0; i < count; i++)
            ex_buf_printf(&body, "%s{\"type\":\"T\",\"data\":%u}", i ? "," : "", i);
        ex_buf_put_str(&body, "]}");
        ex_buf_put_char(&body, '\0');
        api_expect(&server, "POST", "/v1/streams/hundred-1", NULL, body.ptr,
                   count == 10000 ? 201 : 413);
        ex_buf_done(&body);
    }
    assert_page("/v1/streams/hundred-1?from=10000", "version", 10000, 1, 10001, false, 10000);
}

#define PIPELINED 200

/* Requests that follow each other without waiting are answered in order, each event once. */
static void test_rest_pipelined_appends(void **state)
{
    (void)state;
    http_client c;
    assert_true(http_client_open(&c, server.port));
    for (int i = 0; i < PIPELINED; i++)
        assert_true(http_client_request(&c, "POST", "/v1/streams/pipe-1",
                                        "Content-Type: application/json\r\n", EX_S(ONE("P"))));
    for (int i = 1; i <= PIPELINED; i++) {
        http_reply r;
        assert_true(http_client_read(&c, &r));
        assert_int_equal(r.status, 201);
        json_t *json = json_loadb(r.body.ptr, r.body.len, 0, NULL);
        assert_int_equal(api_int(json, "version"), i);
        json_decref(json);
        http_reply_done(&r);
    }
    http_client_close(&c);
}

#define LONG_NAME                                                                                  \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" \
    "x"                                                                                            \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" \
    "x"                                                                                            \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" \
    "x"
#define OK_EVENT       "{\"type\":\"A\",\"data\":1}"
#define OK_WRITE       "{\"stream\":\"ok\",\"events\":[" OK_EVENT "]}"
#define AS_CLOUD       "Content-Type: application/cloudevents+json\r\n"
#define AS_BATCH       "Content-Type: application/cloudevents-batch+json\r\n"
#define CLOUD(members) "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\"," members "}"
#define FOLLOW         "Accept: text/event-stream\r\n"

/* What the store finds, too, is named by its place in what was sent (issue 9, item 11). (G-907) */
static void test_rest_field_is_a_path_on_every_way_in(void **state)
{
    (void)state;
    /* clang-format off */
    static const api_refusal rows[] = {
        {"type of the second", "POST", "/v1/streams/p", NULL, "{\"events\":[" OK_EVENT ",{\"type\":\"\",\"data\":1}]}", 400, "INVALID_INPUT", "events[1].type"},
        {"tag", "POST", "/v1/streams/p", NULL, "{\"events\":[{\"type\":\"A\",\"data\":1,\"tags\":[\"a:1\",\"b\"]}]}", 400, "INVALID_INPUT", "events[0].tags[1]"},
        {"tag twice", "POST", "/v1/streams/p", NULL, "{\"events\":[{\"type\":\"A\",\"data\":1,\"tags\":[\"a:1\",\"a:1\"]}]}", 400, "INVALID_INPUT", "events[0].tags[1]"},
        {"content type", "POST", "/v1/streams/p", NULL, "{\"events\":[{\"type\":\"A\",\"content_type\":\"" LONG_NAME "\",\"data_base64\":\"\"}]}", 400, "INVALID_INPUT", "events[0].content_type"},
        {"id twice", "POST", "/v1/streams/p", NULL, "{\"events\":[{\"id\":\"01970c3e-8a00-7000-8000-0123456789ab\",\"type\":\"A\",\"data\":1},{\"id\":\"01970c3e-8a00-7000-8000-0123456789ab\",\"type\":\"A\",\"data\":1}]}", 400, "DUPLICATE_EVENT_ID", "events[1].id"},
        {"stream", "POST", "/v1/streams/" LONG_NAME, NULL, "{\"events\":[" OK_EVENT "]}", 400, "INVALID_INPUT", "stream"},
        {"type of a write", "POST", "/v1/append", NULL, "{\"writes\":[" OK_WRITE ",{\"stream\":\"b\",\"events\":[{\"type\":\"\",\"data\":1}]}]}", 400, "INVALID_INPUT", "writes[1].events[0].type"},
        {"stream of a write", "POST", "/v1/append", NULL, "{\"writes\":[" OK_WRITE ",{\"stream\":\"\",\"events\":[" OK_EVENT "]}]}", 400, "INVALID_INPUT", "writes[1].stream"},
        {"stream twice", "POST", "/v1/append", NULL, "{\"writes\":[" OK_WRITE "," OK_WRITE "]}", 400, "INVALID_INPUT", "writes[1].stream"},
        {"condition", "POST", "/v1/streams/p", NULL, "{\"events\":[" OK_EVENT "],\"condition\":{\"fail_if_match\":{\"items\":[{},{\"tags\":[\"x\"]}]}}}", 400, "INVALID_INPUT", "condition.fail_if_match.items[1].tags[0]"},
        {"type of a CloudEvent", "POST", "/v1/streams/p", AS_CLOUD, CLOUD("\"type\":\"" LONG_NAME "\""), 400, "INVALID_INPUT", "type"},
        {"tags of a CloudEvent", "POST", "/v1/streams/p", AS_CLOUD, CLOUD("\"type\":\"A\",\"tags\":\"a:1,b\""), 400, "INVALID_INPUT", "tags"},
        {"data type in a batch", "POST", "/v1/streams/p", AS_BATCH, "[" CLOUD("\"type\":\"A\",\"datacontenttype\":\"" LONG_NAME "\"") "]", 400, "INVALID_INPUT", "[0].datacontenttype"},
        {"filter of types", "GET", "/v1/events?types=A," LONG_NAME, NULL, NULL, 400, "INVALID_INPUT", "types"},
        {"filter of tags", "GET", "/v1/events?tags=a:1,b", NULL, NULL, 400, "INVALID_INPUT", "tags"},
        {"filter of streams", "GET", "/v1/events?streams=" LONG_NAME, NULL, NULL, 400, "INVALID_INPUT", "streams"},
        {"filter of a follower", "GET", "/v1/events?types=" LONG_NAME, FOLLOW, NULL, 400, "INVALID_INPUT", "types"},
        {"stream of a follower", "GET", "/v1/streams/" LONG_NAME, FOLLOW, NULL, 400, "INVALID_INPUT", "stream"},
        {"stream of a page", "GET", "/v1/streams/" LONG_NAME, NULL, NULL, 400, "INVALID_INPUT", "stream"},
    };
    /* clang-format on */
    api_server s;
    api_server_start(&s, &(api_server_options){.in_memory = true});
    api_expect_refusals(&s, rows, sizeof(rows) / sizeof(rows[0]));
    api_server_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rest_append_then_read),
        cmocka_unit_test(test_rest_expected_version),
        cmocka_unit_test(test_rest_append_is_idempotent),
        cmocka_unit_test(test_rest_condition),
        cmocka_unit_test(test_rest_append_to_several_streams),
        cmocka_unit_test(test_rest_stream_pages),
        cmocka_unit_test(test_rest_positions_beyond_the_end),
        cmocka_unit_test(test_rest_page_ends_at_its_byte_limit),
        cmocka_unit_test(test_rest_page_defaults_and_cap),
        cmocka_unit_test(test_rest_log_filters),
        cmocka_unit_test(test_rest_field_is_a_path_on_every_way_in),
        cmocka_unit_test(test_rest_cloudevents_out),
        cmocka_unit_test(test_rest_cloudevents_in),
        cmocka_unit_test(test_rest_binary_data_round_trips),
        cmocka_unit_test(test_rest_correlation),
        cmocka_unit_test(test_rest_head),
        cmocka_unit_test(test_rest_stream_names),
        cmocka_unit_test(test_rest_stream_name_lengths),
        cmocka_unit_test(test_rest_refusals_name_code_and_field),
        cmocka_unit_test(test_rest_accept_preferences),
        cmocka_unit_test(test_rest_deep_json_is_refused),
        cmocka_unit_test(test_rest_event_size_limit),
        cmocka_unit_test(test_rest_events_of_one_append),
        cmocka_unit_test(test_rest_pipelined_appends),
    };
    int failed = cmocka_run_group_tests_name("memory", tests, setup_memory, teardown);
    return failed + cmocka_run_group_tests_name("sqlite", tests, setup_sqlite, teardown);
}
