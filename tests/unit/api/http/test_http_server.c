/* test_http_server.c: the HTTP/1.1 server over real sockets: requests, answers, errors, metrics. */
#include "support/http_world.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- Requests and answers ---- */

static void test_http_server_answers_on_one_connection(void **state)
{
    (void)state;
    world w;
    http_client c;
    world_open(&w, &c, (http_options){0});
    static const struct {
        const char *method, *path, *headers, *body;
        int status;
        const char *want;
    } cases[] = {
        {"GET", "/hello", NULL, "", 200, "hello"},
        {"POST", "/echo", NULL, "some bytes", 200, "some bytes"},
        {"POST", "/echo", NULL, "", 200, ""},
        {"GET", "/show/a%2Fb?a=1%20+2&a=3", "X-Test: one\r\nX-TEST:two\r\n", "", 200,
         "a/b|1  2|one, two|localhost"},
        {"GET", "/show/x", NULL, "", 200, "x|-||localhost"},
        {"GET", "/slow", NULL, "", 200, "later"},
        {"GET", "/hello", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n", "", 200,
         "hello"},
    };
    char last_id[32] = "";
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        http_reply r;
        assert_true(http_client_call(&c, cases[i].method, cases[i].path, cases[i].headers,
                                     ex_str(cases[i].body), &r));
        assert_int_equal(r.status, cases[i].status);
        expect_body(&r, cases[i].want);
        ex_slice id = http_reply_header(&r, "x-request-id");
        assert_int_equal(id.len, 32);
        assert_true(memcmp(id.ptr, last_id, 32) > 0); /* they rise with time */
        memcpy(last_id, id.ptr, 32);
        http_reply_done(&r);
    }
    world_close(&w, &c);
}

#define HOST     "Host: a\r\n"
#define SMUGGLED "GET /hello HTTP/1.1\r\n" HOST "\r\n"

/* Every one would, read leniently, carry a second request behind the first. (G-040) */
static void test_http_server_refuses_smuggling_before_any_handler(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct { const char *name; ex_slice text; int status; } cases[] = {
        {"CL with TE", EX_S_INIT("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
        {"TE with CL", EX_S_INIT("POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
        {"double CL", EX_S_INIT("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 0\r\nContent-Length: 40\r\n\r\n" SMUGGLED), 400},
        {"equal double CL", EX_S_INIT("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 0\r\nContent-Length: 0\r\n\r\n" SMUGGLED), 400},
        {"CL list", EX_S_INIT("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 0, 0\r\n\r\n" SMUGGLED), 400},
        {"CL with plus", EX_S_INIT("POST /echo HTTP/1.1\r\n" HOST "Content-Length: +0\r\n\r\n" SMUGGLED), 400},
        {"TE unknown", EX_S_INIT("POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
        {"TE list", EX_S_INIT("POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
        {"TE twice", EX_S_INIT("POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
        {"TE in 1.0", EX_S_INIT("POST /echo HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
        {"TE folded", EX_S_INIT("POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
        {"blank before colon", EX_S_INIT("POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
        {"lone CR", EX_S_INIT("GET /hello HTTP/1.1\r\nHost: a\rContent-Length: 40\r\n\r\n" SMUGGLED), 400},
        {"lone LF", EX_S_INIT("GET /hello HTTP/1.1\r\nHost: a\nContent-Length: 40\r\n\r\n" SMUGGLED), 400},
        {"LF LF", EX_S_INIT("GET /hello HTTP/1.1\nHost: a\n\n" SMUGGLED), 400},
        {"NUL", EX_S_INIT("GET /hello HTTP/1.1\r\n" HOST "X: \0\r\n\r\n" SMUGGLED), 400},
        {"no Host", EX_S_INIT("GET /hello HTTP/1.1\r\n\r\n" SMUGGLED), 400},
        {"two Hosts", EX_S_INIT("GET /hello HTTP/1.1\r\n" HOST "Host: b\r\n\r\n" SMUGGLED), 400},
        {"no version", EX_S_INIT("GET /hello\r\n" HOST "\r\n" SMUGGLED), 400},
        {"absolute target of another host", EX_S_INIT("GET http://b/hello HTTP/1.1\r\n" HOST "\r\n" SMUGGLED), 400},
        {"chunk size with blank", EX_S_INIT("POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0 \r\n\r\n" SMUGGLED), 400},
        {"chunk extension with LF", EX_S_INIT("POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1;\n\r\na\r\n0\r\n\r\n" SMUGGLED), 400},
        {"chunk size overflow", EX_S_INIT("POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nffffffff00000000\r\n" SMUGGLED), 400},
        {"chunk end", EX_S_INIT("POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\naXX0\r\n\r\n" SMUGGLED), 400},
        {"encoded NUL in the path", EX_S_INIT("GET /show/a%00b HTTP/1.1\r\n" HOST "\r\n" SMUGGLED), 400},
        {"bad escape in the path", EX_S_INIT("GET /show/%zz HTTP/1.1\r\n" HOST "\r\n" SMUGGLED), 400},
        {"dot segment", EX_S_INIT("GET /show/../hello HTTP/1.1\r\n" HOST "\r\n" SMUGGLED), 400},
        {"encoded dot segment", EX_S_INIT("GET /show/%2e%2e/hello HTTP/1.1\r\n" HOST "\r\n" SMUGGLED), 400},
        {"relative target", EX_S_INIT("GET hello HTTP/1.1\r\n" HOST "\r\n" SMUGGLED), 400},
        {"HTTP/2 preface gone wrong", EX_S_INIT("PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n" SMUGGLED), 505},
        {"PRI as 1.1", EX_S_INIT("PRI * HTTP/1.1\r\n" HOST "\r\n" SMUGGLED), 400},
        {"CONNECT", EX_S_INIT("CONNECT a:80 HTTP/1.1\r\n" HOST "\r\n" SMUGGLED), 501},
        {"unknown method", EX_S_INIT("BREW /hello HTTP/1.1\r\n" HOST "\r\n" SMUGGLED), 501},
        {"TLS hello", EX_S_INIT("\x16\x03\x01\x02\x00\x01\x00\x01\xfc"), 400},
        {"Expect other", EX_S_INIT("GET /hello HTTP/1.1\r\n" HOST "Expect: x\r\n\r\n" SMUGGLED), 417},
    };
    /* clang-format on */
    world w;
    http_options o = {0};
    world_set_up(&w, &o);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_refusal(http_server_port(w.server), cases[i].name, cases[i].text, cases[i].status);
    assert_int_equal(atomic_load(&w.calls), 0);
    world_tear_down(&w);
}

static void test_http_server_reads_requests_byte_by_byte(void **state)
{
    (void)state;
    static const char text[] =
        "PUT /nothing HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc"
        "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nfirst"
        "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
        "3;x=y ; z = \"q\\\"u;\" ;e;f=g\r\nsec\r\n3\r\nond\r\n0;end\r\nTrailer: z\r\n\r\n"
        "GET /hello HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n";
    world w;
    http_options o = {0};
    world_set_up(&w, &o);
    for (int slowly = 0; slowly < 2; slowly++) {
        http_client c;
        assert_true(http_client_open(&c, http_server_port(w.server)));
        assert_true(slowly ? http_client_send_slowly(&c, EX_S(text))
                           : http_client_send(&c, EX_S(text)));
        static const struct {
            int status;
            const char *body;
        } want[] = {{404, NULL}, {200, "first"}, {200, "second"}, {200, "hello"}};
        for (int i = 0; i < 4; i++)
            expect_reply(&c, want[i].status, want[i].body);
        assert_true(http_client_is_closed(&c));
        http_client_close(&c);
    }
    world_tear_down(&w);
}

/* Answers come in the order of the requests, also when an early one takes longer. */
static void test_http_server_answers_pipelined_requests_in_order(void **state)
{
    (void)state;
    enum { ROUNDS = 500 };
    world w;
    http_client c;
    world_open(&w, &c, (http_options){0});
    atomic_store(&w.may_answer, false);
    ex_buf text;
    ex_buf_init(&text, 0);
    for (int i = 0; i < ROUNDS; i++)
        ex_buf_printf(&text,
                      "GET %s HTTP/1.1\r\nHost: a\r\n\r\nGET /show/%d HTTP/1.1\r\nHost: a\r\n\r\n",
                      i % 50 == 0 ? "/slow" : "/hello", i);
    assert_true(http_client_send(&c, ex_buf_slice(&text)));
    ex_buf_done(&text);
    WAIT_FOR(atomic_load(&w.calls) == 1);
    atomic_store(&w.may_answer, true);
    for (int i = 0; i < ROUNDS; i++) {
        char want[32];
        (void)snprintf(want, sizeof(want), "%d|-||a", i);
        expect_reply(&c, 200, i % 50 == 0 ? "later" : "hello");
        expect_reply(&c, 200, want);
    }
    world_close(&w, &c);
}

static void test_http_server_half_closed_client_gets_its_answers(void **state)
{
    (void)state;
    world w;
    http_client c;
    world_open(&w, &c, (http_options){0});
    assert_true(http_client_send_text(&c, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"
                                          "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
    expect_reply(&c, 200, "later");
    expect_reply(&c, 200, "hello");
    assert_true(http_client_is_closed(&c));
    world_close(&w, &c);
}

static void test_http_server_keep_alive_follows_version_and_header(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *connection; /* of the answer */
    } cases[] = {
        {"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", ""},
        {"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "close"},
        {"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: x, CLOSE\r\n\r\n", "close"},
        {"GET /hello HTTP/1.0\r\n\r\n", "close"},
        {"GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "keep-alive"},
        {"GET /stream?n=1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "close"},
        {"GET /stream?n=1 HTTP/1.1\r\nHost: a\r\n\r\n", ""},
    };
    world w;
    http_options o = {0};
    world_set_up(&w, &o);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        http_client c;
        http_reply r;
        assert_true(http_client_open(&c, http_server_port(w.server)));
        assert_true(http_client_send_text(&c, cases[i].text));
        assert_true(http_client_read(&c, &r));
        assert_true(ex_slice_is(http_reply_header(&r, "connection"), cases[i].connection));
        bool is_stream = strstr(cases[i].text, "/stream") != NULL;
        assert_int_equal(r.body.len, is_stream ? 8192 : 5);
        http_reply_done(&r);
        if (strcmp(cases[i].connection, "close") == 0) {
            assert_true(http_client_is_closed(&c));
        } else {
            expect_hello(&c);
        }
        http_client_close(&c);
    }
    world_tear_down(&w);
}

static void test_http_server_head_options_and_wrong_methods(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path;
        int status;
        const char *allow, *length;
    } cases[] = {
        {"HEAD", "/hello", 200, NULL, "5"},
        {"HEAD", "/stream?n=3", 200, NULL, NULL},
        {"OPTIONS", "/hello", 204, "GET, HEAD, OPTIONS", NULL},
        {"OPTIONS", "/echo", 204, "POST, OPTIONS", NULL},
        {"OPTIONS", "*", 204, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS", NULL},
        {"OPTIONS", "/nothing", 404, NULL, NULL},
        {"DELETE", "/hello", 405, "GET, HEAD, OPTIONS", NULL},
        {"PROPFIND", "/hello", 405, "GET, HEAD, OPTIONS", NULL},
        {"HEAD", "/echo", 405, "POST, OPTIONS", NULL},
        {"GET", "/nothing", 404, NULL, NULL},
        {"GET", "/show/", 404, NULL, NULL},
        {"GET", "*", 404, NULL, NULL},
        {"GET", "/hello", 200, NULL, "5"},
    };
    world w;
    http_client c;
    world_open(&w, &c, (http_options){0});
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        http_reply r;
        assert_true(http_client_call(&c, cases[i].method, cases[i].path, NULL, EX_S(""), &r));
        assert_int_equal(r.status, cases[i].status);
        if (cases[i].allow)
            assert_true(ex_slice_is(http_reply_header(&r, "allow"), cases[i].allow));
        if (cases[i].length)
            assert_true(ex_slice_is(http_reply_header(&r, "content-length"), cases[i].length));
        http_reply_done(&r);
    }
    world_close(&w, &c);
}

static void test_http_server_expect_continue(void **state)
{
    (void)state;
    world w;
    http_client c;
    world_open(&w, &c, (http_options){.body_limit_bytes = 10});
    assert_true(http_client_send_text(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
                                          "Expect: 100-continue\r\n\r\n"));
    char interim[25];
    assert_int_equal(recv(c.fd, interim, sizeof(interim), MSG_WAITALL), sizeof(interim));
    assert_memory_equal(interim, "HTTP/1.1 100 Continue\r\n\r\n", sizeof(interim));
    assert_true(http_client_send_text(&c, "12345"));
    expect_reply(&c, 200, "12345");
    http_client_close(&c);
    expect_refusal(http_server_port(w.server), "too large to continue",
                   EX_S("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n"
                        "Expect: 100-continue\r\n\r\n"),
                   413);
    world_tear_down(&w);
}

/* ---- Errors: R-01-13, R-01-14, R-01-45 ---- */

static void expect_has(const http_reply *r, const char *text)
{
    if (!memmem(r->body.ptr, r->body.len, text, strlen(text)))
        fail_msg("no %s in %.*s", text, (int)r->body.len, r->body.ptr);
}

static void test_http_server_errors_are_problems(void **state)
{
    (void)state;
    world w;
    http_options o = {0};
    world_set_up(&w, &o);
    http_reply r;
    uint16_t port = http_server_port(w.server);
    assert_true(
        http_call(port, "GET", "/fails/conflict", "X-Request-ID: my-id.7_\r\n", EX_S(""), &r));
    assert_int_equal(r.status, 409);
    assert_true(ex_slice_is(http_reply_header(&r, "content-type"), "application/problem+json"));
    assert_true(ex_slice_is(http_reply_header(&r, "x-request-id"), "my-id.7_"));
    const char *const members[] = {"\"type\":\"about:blank\"",
                                   "\"title\":\"Conflict\"",
                                   "\"status\":409",
                                   "\"expected\":3",
                                   "\"detail\":\"stream moved on\"",
                                   "\"instance\":\"my-id.7_\"",
                                   "\"current\":5",
                                   "\"code\":\"VERSION_CONFLICT\"",
                                   "\"timestamp\":\"20"};
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        expect_has(&r, members[i]);
    http_reply_done(&r);

    assert_true(http_call(port, "GET", "/fails/secret", NULL, EX_S(""), &r));
    assert_int_equal(r.status, 500);
    expect_has(&r, "\"code\":\"DATABASE_ERROR\"");
    assert_null(memmem(r.body.ptr, r.body.len, "secret", 6));
    assert_null(memmem(r.body.ptr, r.body.len, "SELECT", 6));
    http_reply_done(&r);

    assert_true(http_call(port, "GET", "/fails/busy", "X-Request-ID: bad id\r\n", EX_S(""), &r));
    assert_int_equal(r.status, 503);
    assert_true(ex_slice_is(http_reply_header(&r, "retry-after"), "1"));
    assert_int_equal(http_reply_header(&r, "x-request-id").len, 32);
    http_reply_done(&r);
    world_tear_down(&w);
}

/* ---- Metrics: T-6, R-07-15 ---- */

static void test_http_server_counts_requests_by_route(void **state)
{
    (void)state;
    world w;
    http_options o = {0};
    world_set_up(&w, &o);
    http_reply r;
    static const char *const paths[] = {"/show/a", "/show/b", "/nothing/1", "/nothing/2"};
    for (size_t i = 0; i < 4; i++) {
        assert_true(http_call(http_server_port(w.server), "GET", paths[i], NULL, EX_S(""), &r));
        http_reply_done(&r);
    }
    ex_buf text;
    ex_buf_init(&text, 0);
    ex_metrics_write(w.metrics, &text);
    ex_buf_put_char(&text, '\0');
    static const char *const lines[] = {
        "excore_http_request_count_total{method=\"GET\",path=\"/show/{name}\",status_code=\"200\"} "
        "2\n",
        "excore_http_request_count_total{method=\"GET\",path=\"unmatched\",status_code=\"404\"} "
        "2\n",
        "excore_http_request_duration_seconds_count{method=\"GET\",path=\"/show/{name}\","
        "status_code=\"200\"} 2\n",
        "excore_http_connections_total 4\n",
        "excore_http_requests_in_flight 0\n",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        if (!strstr(text.ptr, lines[i]))
            fail_msg("no %s in\n%s", lines[i], text.ptr);
    ex_buf_done(&text);
    world_tear_down(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http_server_answers_on_one_connection),
        cmocka_unit_test(test_http_server_refuses_smuggling_before_any_handler),
        cmocka_unit_test(test_http_server_reads_requests_byte_by_byte),
        cmocka_unit_test(test_http_server_answers_pipelined_requests_in_order),
        cmocka_unit_test(test_http_server_half_closed_client_gets_its_answers),
        cmocka_unit_test(test_http_server_keep_alive_follows_version_and_header),
        cmocka_unit_test(test_http_server_head_options_and_wrong_methods),
        cmocka_unit_test(test_http_server_expect_continue),
        cmocka_unit_test(test_http_server_errors_are_problems),
        cmocka_unit_test(test_http_server_counts_requests_by_route),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
