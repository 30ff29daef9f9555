/* test_http_server.c: the HTTP/1.1 server over real sockets. */
#include "api/http/http.h"
#include "support/http_client.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- Handlers ---- */

typedef struct world {
    http_server *server;
    ex_metrics *metrics;
    atomic_int calls; /* of any handler */
    atomic_int closes;
    atomic_int drains;
    atomic_int answers;
    atomic_int orphans;
    atomic_bool may_answer; /* slow() */
    atomic_bool was_told_to_stop;
} world;

/* Wait for a condition, at most ten seconds. */
#define WAIT_FOR(condition)                                                                        \
    do {                                                                                           \
        int waited = 0;                                                                            \
        while (!(condition) && waited++ < 10000)                                                   \
            (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);                         \
        assert_true(condition);                                                                    \
    } while (0)

static void hello(http_exchange *x, void *ctx)
{
    atomic_fetch_add(&((world *)ctx)->calls, 1);
    http_respond(x, 200, "text/plain", EX_S("hello"));
}

static void echo(http_exchange *x, void *ctx)
{
    atomic_fetch_add(&((world *)ctx)->calls, 1);
    http_respond(x, 200, "application/octet-stream", http_request_body(x));
}

/* Answers {name}|query a|header x-test. */
static void show(http_exchange *x, void *ctx)
{
    atomic_fetch_add(&((world *)ctx)->calls, 1);
    bool found = false;
    ex_slice a = http_query(x, "a", &found);
    ex_slice text =
        ex_arena_printf(http_arena(x), "%.*s|%s%.*s|%.*s", EX_ARG(http_param(x, "name")),
                        found ? "" : "-", EX_ARG(a), EX_ARG(http_header(x, "x-test")));
    http_respond(x, 200, "text/plain", text);
}

/* Answers from another thread, by posting to the loop, once w->may_answer is set. */
typedef struct later {
    ex_post post;
    http_exchange *x;
    world *w;
} later;

static void answer_later(void *arg)
{
    later *l = arg;
    if (http_is_closed(l->x))
        atomic_fetch_add(&l->w->orphans, 1);
    http_respond(l->x, 200, "text/plain", EX_S("later"));
    atomic_fetch_add(&l->w->answers, 1);
    free(l);
}

static void *later_main(void *arg)
{
    later *l = arg;
    WAIT_FOR(atomic_load(&l->w->may_answer));
    ex_loop_post(http_loop(l->x), &l->post);
    return NULL;
}

static void slow(http_exchange *x, void *ctx)
{
    world *w = ctx;
    later *l = calloc(1, sizeof(*l));
    *l = (later){.x = x, .w = w, .post = {.fn = answer_later, .arg = l}};
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, later_main, l), 0);
    assert_int_equal(pthread_detach(t), 0);
    atomic_fetch_add(&w->calls, 1);
}

/* A stream that writes `n` blocks as fast as the client takes them, then ends; n = 0 never ends. */
typedef struct streamer {
    world *w;
    http_exchange *x;
    uint64_t left;
    bool is_endless;
} streamer;

static void pump(void *ctx)
{
    streamer *s = ctx;
    static char block[8192];
    memset(block, 'x', sizeof(block));
    bool may_go_on = true;
    while (may_go_on && (s->is_endless || s->left > 0)) {
        s->left--;
        may_go_on = http_stream_write(s->x, ex_slice_of(block, sizeof(block)));
    }
    if (!may_go_on)
        atomic_store(&s->w->was_told_to_stop, true);
    if (!s->is_endless && s->left == 0)
        http_stream_end(s->x);
}

static void drained(void *ctx)
{
    atomic_fetch_add(&((streamer *)ctx)->w->drains, 1);
    pump(ctx);
}

static void closed(void *ctx)
{
    streamer *s = ctx;
    atomic_fetch_add(&s->w->closes, 1);
    free(s);
}

static void stream(http_exchange *x, void *ctx)
{
    world *w = ctx;
    bool found = false;
    streamer *s = calloc(1, sizeof(*s));
    char n[24] = "0";
    ex_slice given_n = http_query(x, "n", &found);
    if (found && given_n.len < sizeof(n))
        memcpy(n, given_n.ptr, given_n.len);
    *s = (streamer){.w = w, .x = x, .left = strtoull(n, NULL, 10)};
    s->is_endless = s->left == 0;
    atomic_fetch_add(&w->calls, 1);
    http_stream_begin(x, 200, "application/octet-stream", drained, closed, s);
    pump(s);
}

/* Takes no notice of being told to stop. */
static void flood(http_exchange *x, void *ctx)
{
    streamer *s = calloc(1, sizeof(*s));
    *s = (streamer){.w = ctx, .x = x};
    static char block[65536];
    http_stream_begin(x, 200, "application/octet-stream", NULL, closed, s);
    for (int i = 0; i < 1000; i++)
        (void)http_stream_write(x, ex_slice_of(block, sizeof(block)));
    atomic_fetch_add(&s->w->calls, 1);
}

/* A stream that says "ready" and then keeps still. */
static void quiet(http_exchange *x, void *ctx)
{
    streamer *s = calloc(1, sizeof(*s));
    *s = (streamer){.w = ctx, .x = x};
    http_stream_begin(x, 200, "text/event-stream", drained, closed, s);
    (void)http_stream_write(x, EX_S("id: 1\nevent: ready\ndata: a\ndata: b\n\n"));
    atomic_fetch_add(&s->w->calls, 1);
}

static void fails(http_exchange *x, void *ctx)
{
    atomic_fetch_add(&((world *)ctx)->calls, 1);
    ex_error err;
    if (ex_slice_is(http_param(x, "how"), "secret"))
        (void)ex_raise(&err, EX_EDATABASE, "SELECT secret FROM /var/lib/excore");
    else if (ex_slice_is(http_param(x, "how"), "busy"))
        (void)ex_raise(&err, EX_EOVERLOADED, "queue full");
    else {
        (void)ex_raise(&err, EX_ECONFLICT, "stream moved on");
        err.expected = 3;
        err.current = 5;
    }
    http_respond_error(x, &err);
}

static void set_up(world *w, http_options *o)
{
    memset(w, 0, sizeof(*w));
    atomic_store(&w->may_answer, true);
    assert_int_equal(ex_metrics_new("excore", &w->metrics, NULL), EX_OK);
    o->metrics = w->metrics;
    const http_route routes[] = {
        {HTTP_GET_, "/hello", hello, w},       {HTTP_POST_, "/echo", echo, w},
        {HTTP_GET_, "/show/{name}", show, w},  {HTTP_GET_, "/slow", slow, w},
        {HTTP_GET_, "/fails/{how}", fails, w}, {HTTP_GET_, "/stream", stream, w},
        {HTTP_GET_, "/flood", flood, w},       {HTTP_GET_, "/quiet", quiet, w},
    };
    ex_error err = {0};
    if (http_server_start(o, routes, sizeof(routes) / sizeof(routes[0]), &w->server, &err))
        fail_msg("%s", err.message);
}

static void tear_down(world *w)
{
    http_server_stop(w->server);
    ex_metrics_free(w->metrics);
}

static void expect_body(const http_reply *r, const char *want)
{
    assert_int_equal(r->body.len, strlen(want));
    assert_memory_equal(r->body.ptr, want, r->body.len);
}

/* ---- Requests and answers ---- */

static void test_http_server_answers_on_one_connection(void **state)
{
    (void)state;
    world w;
    http_options o = {0};
    set_up(&w, &o);
    http_client c;
    assert_true(http_client_open(&c, http_server_port(w.server)));
    static const struct {
        const char *method, *path, *headers, *body;
        int status;
        const char *want;
    } cases[] = {
        {"GET", "/hello", NULL, "", 200, "hello"},
        {"POST", "/echo", NULL, "some bytes", 200, "some bytes"},
        {"POST", "/echo", NULL, "", 200, ""},
        {"GET", "/show/a%2Fb?a=1%20+2&a=3", "X-Test: one\r\nX-TEST:two\r\n", "", 200,
         "a/b|1  2|one, two"},
        {"GET", "/show/x", NULL, "", 200, "x|-|"},
        {"GET", "/slow", NULL, "", 200, "later"},
        {"GET", "/hello", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n", "", 200,
         "hello"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        http_reply r;
        assert_true(http_client_call(&c, cases[i].method, cases[i].path, cases[i].headers,
                                     ex_str(cases[i].body), &r));
        assert_int_equal(r.status, cases[i].status);
        expect_body(&r, cases[i].want);
        assert_int_equal(http_reply_header(&r, "x-request-id").len, 32);
        http_reply_done(&r);
    }
    http_client_close(&c);
    tear_down(&w);
}

/* Send `text` on a new connection; the answer must have this status and the connection must close.
 */
static void expect_refusal(uint16_t port, const char *name, ex_slice text, int status)
{
    http_client c;
    http_reply r;
    assert_true(http_client_open(&c, port));
    assert_true(http_client_send(&c, text));
    if (!http_client_read(&c, &r))
        fail_msg("%s: no answer", name);
    if (r.status != status)
        fail_msg("%s: %d, not %d", name, r.status, status);
    assert_true(ex_slice_is(http_reply_header(&r, "connection"), "close"));
    assert_true(ex_slice_is(http_reply_header(&r, "content-type"), "application/problem+json"));
    if (!http_client_is_closed(&c))
        fail_msg("%s: still open", name);
    http_reply_done(&r);
    http_client_close(&c);
}

#define HOST     "Host: a\r\n"
#define SMUGGLED "GET /hello HTTP/1.1\r\n" HOST "\r\n"

/* Every one would, read leniently, carry a second request behind the first. */
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
    set_up(&w, &o);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_refusal(http_server_port(w.server), cases[i].name, cases[i].text, cases[i].status);
    assert_int_equal(atomic_load(&w.calls), 0);
    tear_down(&w);
}

static void test_http_server_reads_requests_byte_by_byte(void **state)
{
    (void)state;
    static const char text[] = "PUT /nothing HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc"
                               "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nfirst"
                               "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                               "3;x=y\r\nsec\r\n3\r\nond\r\n0\r\nTrailer: z\r\n\r\n"
                               "GET /hello HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n";
    world w;
    http_options o = {0};
    set_up(&w, &o);
    for (int slowly = 0; slowly < 2; slowly++) {
        http_client c;
        http_reply r;
        assert_true(http_client_open(&c, http_server_port(w.server)));
        assert_true(slowly ? http_client_send_slowly(&c, EX_S(text))
                           : http_client_send(&c, EX_S(text)));
        static const struct {
            int status;
            const char *body;
        } want[] = {{404, NULL}, {200, "first"}, {200, "second"}, {200, "hello"}};
        for (int i = 0; i < 4; i++) {
            assert_true(http_client_read(&c, &r));
            assert_int_equal(r.status, want[i].status);
            if (want[i].body)
                expect_body(&r, want[i].body);
            http_reply_done(&r);
        }
        assert_true(http_client_is_closed(&c));
        http_client_close(&c);
    }
    tear_down(&w);
}

/* Answers come in the order of the requests, also when an early one takes longer. */
static void test_http_server_answers_pipelined_requests_in_order(void **state)
{
    (void)state;
    enum { ROUNDS = 500 };
    world w;
    http_options o = {0};
    set_up(&w, &o);
    atomic_store(&w.may_answer, false);
    http_client c;
    assert_true(http_client_open(&c, http_server_port(w.server)));
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
        http_reply r;
        char want[32];
        assert_true(http_client_read(&c, &r));
        expect_body(&r, i % 50 == 0 ? "later" : "hello");
        http_reply_done(&r);
        assert_true(http_client_read(&c, &r));
        (void)snprintf(want, sizeof(want), "%d|-|", i);
        expect_body(&r, want);
        http_reply_done(&r);
    }
    http_client_close(&c);
    tear_down(&w);
}

static void test_http_server_half_closed_client_gets_its_answers(void **state)
{
    (void)state;
    world w;
    http_options o = {0};
    set_up(&w, &o);
    http_client c;
    http_reply r;
    assert_true(http_client_open(&c, http_server_port(w.server)));
    assert_true(http_client_send_text(&c, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"
                                          "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
    assert_true(http_client_read(&c, &r));
    expect_body(&r, "later");
    http_reply_done(&r);
    assert_true(http_client_read(&c, &r));
    expect_body(&r, "hello");
    http_reply_done(&r);
    assert_true(http_client_is_closed(&c));
    http_client_close(&c);
    tear_down(&w);
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
    set_up(&w, &o);
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
            assert_true(http_client_call(&c, "GET", "/hello", NULL, EX_S(""), &r));
            http_reply_done(&r);
        }
        http_client_close(&c);
    }
    tear_down(&w);
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
    http_options o = {0};
    set_up(&w, &o);
    http_client c;
    assert_true(http_client_open(&c, http_server_port(w.server)));
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
    http_client_close(&c);
    tear_down(&w);
}

static void test_http_server_expect_continue(void **state)
{
    (void)state;
    world w;
    http_options o = {.body_limit_bytes = 10};
    set_up(&w, &o);
    http_client c;
    http_reply r;
    assert_true(http_client_open(&c, http_server_port(w.server)));
    assert_true(http_client_send_text(&c, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
                                          "Expect: 100-continue\r\n\r\n"));
    char interim[25];
    assert_int_equal(recv(c.fd, interim, sizeof(interim), MSG_WAITALL), sizeof(interim));
    assert_memory_equal(interim, "HTTP/1.1 100 Continue\r\n\r\n", sizeof(interim));
    assert_true(http_client_send_text(&c, "12345"));
    assert_true(http_client_read(&c, &r));
    expect_body(&r, "12345");
    http_reply_done(&r);
    http_client_close(&c);
    expect_refusal(http_server_port(w.server), "too large to continue",
                   EX_S("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n"
                        "Expect: 100-continue\r\n\r\n"),
                   413);
    tear_down(&w);
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
    set_up(&w, &o);
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
    tear_down(&w);
}

/* ---- Limits and time-outs ---- */

static void fill(ex_buf *out, const char *before, size_t n, const char *after)
{
    ex_buf_put_str(out, before);
    for (size_t i = 0; i < n; i++)
        ex_buf_put_char(out, 'x');
    ex_buf_put_str(out, after);
}

static void test_http_server_limits(void **state)
{
    (void)state;
    static const struct {
        const char *name, *before, *after;
        size_t fill;
        int status;
    } cases[] = {
        {"long target", "GET /show/", " HTTP/1.1\r\nHost: a\r\n\r\n", 2000, 414},
        {"long header", "GET /hello HTTP/1.1\r\nHost: a\r\nX: ", "\r\n\r\n", 2000, 431},
        {"target without end", "GET /", "", 100000, 414},
        {"header without end", "GET /hello HTTP/1.1\r\nHost: a\r\nX: ", "", 100000, 431},
        {"many headers", "GET /hello HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: ",
         "\r\n\r\n", 1, 431},
        {"long body", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", "", 1001,
         413},
        {"long chunk",
         "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n", "", 1001,
         413},
    };
    world w;
    http_options o = {
        .header_limit_bytes = 1024, .header_count_limit = 5, .body_limit_bytes = 1000};
    set_up(&w, &o);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_buf text;
        ex_buf_init(&text, 0);
        fill(&text, cases[i].before, cases[i].fill, cases[i].after);
        expect_refusal(http_server_port(w.server), cases[i].name, ex_buf_slice(&text),
                       cases[i].status);
        ex_buf_done(&text);
    }
    assert_int_equal(atomic_load(&w.calls), 0);
    http_reply r;
    char body[1000] = {0};
    assert_true(http_call(http_server_port(w.server), "POST", "/echo", NULL,
                          ex_slice_of(body, sizeof(body)), &r));
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body.len, 1000);
    http_reply_done(&r);
    tear_down(&w);
}

static void test_http_server_carries_large_bodies(void **state)
{
    (void)state;
    size_t n = (4u << 20);
    char *body = malloc(n);
    for (size_t i = 0; i < n; i++)
        body[i] = (char)(i * 2654435761u >> 24);
    world w;
    http_options o = {0};
    set_up(&w, &o);
    http_reply r;
    assert_true(
        http_call(http_server_port(w.server), "POST", "/echo", NULL, ex_slice_of(body, n), &r));
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body.len, n);
    assert_memory_equal(r.body.ptr, body, n);
    http_reply_done(&r);
    free(body);
    tear_down(&w);
}

static void test_http_server_slow_requests_get_408(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "G",
        "GET /hello HTTP/1.1\r\nHost: a\r\nX: ",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n123",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    };
    world w;
    http_options o = {.header_timeout_ms = 50, .body_timeout_ms = 50};
    set_up(&w, &o);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        expect_refusal(http_server_port(w.server), texts[i], ex_str(texts[i]), 408);
    assert_int_equal(atomic_load(&w.calls), 0);
    tear_down(&w);
}

/* A drip of bytes must not keep a head alive: the time runs from its first byte. */
static void test_http_server_drip_does_not_reset_the_header_time(void **state)
{
    (void)state;
    world w;
    http_options o = {.header_timeout_ms = 100};
    set_up(&w, &o);
    http_client c;
    http_reply r;
    assert_true(http_client_open(&c, http_server_port(w.server)));
    assert_true(http_client_send_text(&c, "GET /hello HTTP/1.1\r\nX: "));
    int sent = 0;
    char byte;
    while (sent < 5000 && recv(c.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0) {
        assert_true(http_client_send_text(&c, "x"));
        (void)nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
        sent++;
    }
    assert_true(http_client_read(&c, &r));
    assert_int_equal(r.status, 408);
    http_reply_done(&r);
    http_client_close(&c);
    tear_down(&w);
}

static void test_http_server_closes_idle_connections(void **state)
{
    (void)state;
    world w;
    http_options o = {.idle_timeout_ms = 400};
    set_up(&w, &o);
    http_client fresh, used;
    http_reply r;
    assert_true(http_client_open(&fresh, http_server_port(w.server)));
    assert_true(http_client_open(&used, http_server_port(w.server)));
    assert_true(http_client_call(&used, "GET", "/hello", NULL, EX_S(""), &r));
    http_reply_done(&r);
    assert_true(http_client_is_closed(&fresh));
    assert_true(http_client_is_closed(&used));
    http_client_close(&fresh);
    http_client_close(&used);
    tear_down(&w);
}

/* The time a handler takes is not the client's idleness. */
static void test_http_server_does_not_time_out_a_handler(void **state)
{
    (void)state;
    world w;
    http_options o = {.idle_timeout_ms = 300, .header_timeout_ms = 300, .body_timeout_ms = 300};
    set_up(&w, &o);
    atomic_store(&w.may_answer, false);
    http_client c, idle;
    http_reply r;
    assert_true(http_client_open(&c, http_server_port(w.server)));
    assert_true(http_client_request(&c, "GET", "/slow", NULL, EX_S("")));
    assert_true(http_client_open(&idle, http_server_port(w.server)));
    assert_true(http_client_is_closed(&idle)); /* so the time-out has passed */
    atomic_store(&w.may_answer, true);
    assert_true(http_client_read(&c, &r));
    expect_body(&r, "later");
    http_reply_done(&r);
    http_client_close(&c);
    http_client_close(&idle);
    tear_down(&w);
}

static void test_http_server_refuses_connections_over_the_limit(void **state)
{
    (void)state;
    world w;
    http_options o = {.connection_limit = 3};
    set_up(&w, &o);
    http_client c[4];
    http_reply r;
    for (int i = 0; i < 3; i++) {
        assert_true(http_client_open(&c[i], http_server_port(w.server)));
        assert_true(http_client_call(&c[i], "GET", "/hello", NULL, EX_S(""), &r));
        assert_int_equal(r.status, 200);
        http_reply_done(&r);
    }
    assert_true(http_client_open(&c[3], http_server_port(w.server)));
    assert_true(http_client_read(&c[3], &r));
    assert_int_equal(r.status, 503);
    assert_int_equal(r.body.ptr[r.body.len - 1], '}');
    assert_true(ex_slice_is(http_reply_header(&r, "retry-after"), "1"));
    http_reply_done(&r);
    assert_true(http_client_is_closed(&c[3]));
    http_client_close(&c[3]);
    http_client_close(&c[0]);
    int status = 0; /* the server notices the closing a little later */
    for (int tries = 0; tries < 1000 && status != 200; tries++) {
        if (http_call(http_server_port(w.server), "GET", "/hello", NULL, EX_S(""), &r))
            status = r.status;
        http_reply_done(&r);
    }
    assert_int_equal(status, 200);
    http_client_close(&c[1]);
    http_client_close(&c[2]);
    tear_down(&w);
}

static void test_http_server_sheds_requests_over_the_inflight_limit(void **state)
{
    (void)state;
    world w;
    http_options o = {.inflight_limit = 2};
    set_up(&w, &o);
    atomic_store(&w.may_answer, false);
    http_client c[2];
    http_reply r;
    for (int i = 0; i < 2; i++) {
        assert_true(http_client_open(&c[i], http_server_port(w.server)));
        assert_true(http_client_request(&c[i], "GET", "/slow", NULL, EX_S("")));
    }
    WAIT_FOR(atomic_load(&w.calls) == 2);
    http_client over;
    assert_true(http_client_open(&over, http_server_port(w.server)));
    assert_true(http_client_call(&over, "GET", "/hello", NULL, EX_S(""), &r));
    assert_int_equal(r.status, 503);
    assert_true(ex_slice_is(http_reply_header(&r, "retry-after"), "1"));
    http_reply_done(&r);
    atomic_store(&w.may_answer, true);
    for (int i = 0; i < 2; i++) {
        assert_true(http_client_read(&c[i], &r));
        expect_body(&r, "later");
        http_reply_done(&r);
        http_client_close(&c[i]);
    }
    assert_true(http_client_call(&over, "GET", "/hello", NULL, EX_S(""), &r));
    assert_int_equal(r.status, 200); /* the connection was kept */
    http_reply_done(&r);
    http_client_close(&over);
    tear_down(&w);
}

static size_t resident_bytes(void)
{
    size_t pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%*u %zu", &pages), 1);
    (void)fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* A thousand connections that have had an answer each, and now keep still. */
static void test_http_server_holds_a_thousand_idle_connections(void **state)
{
    (void)state;
    enum { IDLE = 1000 };
    struct rlimit files;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    world w;
    http_options o = {0};
    set_up(&w, &o);
    (void)malloc_trim(0); /* what earlier tests freed must not serve this one unseen */
    size_t before = resident_bytes();
    int *fds = calloc(IDLE, sizeof(int));
    for (int i = 0; i < IDLE; i++) {
        http_client c;
        http_reply r;
        assert_true(http_client_open(&c, http_server_port(w.server)));
        assert_true(http_client_call(&c, "GET", "/hello", NULL, EX_S(""), &r));
        http_reply_done(&r);
        fds[i] = dup(c.fd);
        http_client_close(&c);
    }
    size_t used = resident_bytes() - before;
    print_message("%d idle connections: %zu KiB\n", IDLE, used >> 10);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(used < (size_t)8 << 20);
#endif
    http_reply r;
    assert_true(http_call(http_server_port(w.server), "GET", "/hello", NULL, EX_S(""), &r));
    assert_int_equal(r.status, 200);
    http_reply_done(&r);
    for (int i = 0; i < IDLE; i++)
        (void)close(fds[i]);
    free(fds);
    tear_down(&w);
}

/* ---- Streams ---- */

static void test_http_server_streams_with_backpressure(void **state)
{
    (void)state;
    world w;
    http_options o = {.output_limit_bytes = 65536};
    set_up(&w, &o);
    http_client c;
    http_reply r;
    assert_true(http_client_open(&c, http_server_port(w.server)));
    assert_true(http_client_request(&c, "GET", "/stream?n=2000", NULL, EX_S("")));
    WAIT_FOR(atomic_load(&w.was_told_to_stop));
    assert_true(http_client_read(&c, &r));
    assert_int_equal(r.body.len, 2000 * 8192);
    assert_true(atomic_load(&w.drains) > 0);
    WAIT_FOR(atomic_load(&w.closes) == 1);
    http_reply_done(&r);
    assert_true(http_client_call(&c, "GET", "/hello", NULL, EX_S(""), &r)); /* still usable */
    http_reply_done(&r);
    http_client_close(&c);
    tear_down(&w);
    assert_int_equal(atomic_load(&w.closes), 1);
}

static void test_http_server_reads_events_of_a_stream(void **state)
{
    (void)state;
    world w;
    http_options o = {0};
    set_up(&w, &o);
    http_client c;
    http_reply r;
    http_event e = {0};
    assert_true(http_client_open(&c, http_server_port(w.server)));
    assert_true(http_client_request(&c, "GET", "/quiet", NULL, EX_S("")));
    assert_true(http_client_begin_stream(&c, &r));
    assert_true(ex_slice_is(http_reply_header(&r, "content-type"), "text/event-stream"));
    assert_true(http_client_next_event(&c, &e));
    assert_string_equal(e.id, "1");
    assert_string_equal(e.event, "ready");
    assert_true(ex_slice_is(ex_buf_slice(&e.data), "a\nb"));
    http_event_done(&e);
    http_reply_done(&r);
    http_client_close(&c); /* the server notices at once, without having to write */
    WAIT_FOR(atomic_load(&w.closes) == 1);
    tear_down(&w);
    assert_int_equal(atomic_load(&w.closes), 1);
}

/* A client that never reads: the writer is told to stop, then the write time-out closes. */
static void test_http_server_closes_a_client_that_never_reads(void **state)
{
    (void)state;
    world w;
    http_options o = {.write_timeout_ms = 100, .output_limit_bytes = 65536};
    set_up(&w, &o);
    http_client c;
    assert_true(http_client_open(&c, http_server_port(w.server)));
    assert_true(http_client_request(&c, "GET", "/stream", NULL, EX_S("")));
    WAIT_FOR(atomic_load(&w.was_told_to_stop));
    WAIT_FOR(atomic_load(&w.closes) == 1);
    http_client_close(&c);
    tear_down(&w);
    assert_int_equal(atomic_load(&w.closes), 1);
}

/* A client that reads slowly, but reads, is kept, however long it takes. */
static void test_http_server_keeps_a_slow_reader(void **state)
{
    (void)state;
    world w;
    http_options o = {.write_timeout_ms = 800, .output_limit_bytes = 65536};
    set_up(&w, &o);
    http_client c;
    assert_true(http_client_open(&c, http_server_port(w.server)));
    int small = 4096;
    assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    assert_true(http_client_request(&c, "GET", "/stream", NULL, EX_S("")));
    WAIT_FOR(atomic_load(&w.was_told_to_stop));
    char piece[65536];
    for (int i = 0; i < 60; i++) { /* 1.8 s in all, more than two time-outs */
        assert_true(recv(c.fd, piece, sizeof(piece), 0) > 0);
        (void)nanosleep(&(struct timespec){.tv_nsec = 30000000}, NULL);
    }
    assert_int_equal(atomic_load(&w.closes), 0);
    http_client_close(&c);
    WAIT_FOR(atomic_load(&w.closes) == 1);
    tear_down(&w);
}

static void test_http_server_cuts_a_stream_that_does_not_stop(void **state)
{
    (void)state;
    world w;
    http_options o = {.output_limit_bytes = 65536};
    set_up(&w, &o);
    http_client c;
    assert_true(http_client_open(&c, http_server_port(w.server)));
    assert_true(http_client_request(&c, "GET", "/flood", NULL, EX_S("")));
    WAIT_FOR(atomic_load(&w.calls) == 1 && atomic_load(&w.closes) == 1);
    http_client_close(&c);
    tear_down(&w);
    assert_int_equal(atomic_load(&w.closes), 1);
}

/* ---- Ending ---- */

static void test_http_server_answer_after_the_client_left_is_dropped(void **state)
{
    (void)state;
    world w;
    http_options o = {0};
    set_up(&w, &o);
    atomic_store(&w.may_answer, false);
    http_client c;
    assert_true(http_client_open(&c, http_server_port(w.server)));
    assert_true(http_client_request(&c, "GET", "/slow", NULL, EX_S("")));
    WAIT_FOR(atomic_load(&w.calls) == 1);
    struct linger reset = {.l_onoff = 1};
    assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
    http_client_close(&c);
    http_reply r;
    for (int i = 0; i < 3; i++) { /* the loop has seen the reset after a few requests */
        assert_true(http_call(http_server_port(w.server), "GET", "/hello", NULL, EX_S(""), &r));
        http_reply_done(&r);
    }
    atomic_store(&w.may_answer, true);
    WAIT_FOR(atomic_load(&w.answers) == 1);
    assert_int_equal(atomic_load(&w.orphans), 1);
    tear_down(&w);
}

typedef struct drainer {
    http_server *server;
    uint32_t timeout_ms;
    atomic_bool is_done;
} drainer;

static void *drain_main(void *arg)
{
    drainer *d = arg;
    http_server_drain(d->server, d->timeout_ms);
    atomic_store(&d->is_done, true);
    return NULL;
}

static bool is_refused(uint16_t port)
{
    http_client c;
    bool is_open = http_client_open(&c, port);
    http_client_close(&c);
    return !is_open;
}

static void test_http_server_drain_finishes_answers_and_ends_streams(void **state)
{
    (void)state;
    world w;
    http_options o = {.loops = 2};
    set_up(&w, &o);
    atomic_store(&w.may_answer, false);
    uint16_t port = http_server_port(w.server);
    http_client idle, busy, streaming;
    http_reply r;
    assert_true(http_client_open(&idle, port) && http_client_open(&busy, port) &&
                http_client_open(&streaming, port));
    assert_true(http_client_call(&idle, "GET", "/hello", NULL, EX_S(""), &r));
    http_reply_done(&r);
    assert_true(http_client_request(&busy, "GET", "/slow", NULL, EX_S("")));
    assert_true(http_client_request(&streaming, "GET", "/quiet", NULL, EX_S("")));
    WAIT_FOR(atomic_load(&w.calls) == 3);
    drainer d = {.server = w.server, .timeout_ms = 20000};
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, drain_main, &d), 0);
    assert_true(http_client_is_closed(&idle));
    assert_true(http_client_read(&streaming, &r)); /* whole: it was ended, not cut */
    http_reply_done(&r);
    assert_true(http_client_is_closed(&streaming));
    WAIT_FOR(atomic_load(&w.closes) == 1);
    assert_false(atomic_load(&d.is_done));
    WAIT_FOR(is_refused(port)); /* the other loop may close its listener a moment later */
    atomic_store(&w.may_answer, true);
    assert_true(http_client_read(&busy, &r));
    expect_body(&r, "later");
    assert_true(ex_slice_is(http_reply_header(&r, "connection"), "close"));
    http_reply_done(&r);
    assert_true(http_client_is_closed(&busy));
    http_client_close(&idle);
    http_client_close(&busy);
    http_client_close(&streaming);
    assert_int_equal(pthread_join(t, NULL), 0);
    tear_down(&w);
}

/* Stop closes everything at once, but waits for the handlers, whose exchanges are its memory. */
static void test_http_server_stop_closes_connections_and_waits_for_handlers(void **state)
{
    (void)state;
    world w;
    http_options o = {0};
    set_up(&w, &o);
    atomic_store(&w.may_answer, false);
    http_client busy, streaming;
    assert_true(http_client_open(&busy, http_server_port(w.server)));
    assert_true(http_client_open(&streaming, http_server_port(w.server)));
    assert_true(http_client_request(&busy, "GET", "/slow", NULL, EX_S("")));
    assert_true(http_client_request(&streaming, "GET", "/quiet", NULL, EX_S("")));
    WAIT_FOR(atomic_load(&w.calls) == 2);
    http_server_drain(w.server, 20); /* the slow one does not make it */
    atomic_store(&w.may_answer, true);
    tear_down(&w);
    assert_int_equal(atomic_load(&w.answers), 1);
    assert_int_equal(atomic_load(&w.closes), 1);
    http_client_close(&busy);
    http_client_close(&streaming);
}

static void test_http_server_start_names_what_is_wrong(void **state)
{
    (void)state;
    world w;
    http_options o = {.loops = 2};
    set_up(&w, &o);
    http_server *other = NULL;
    ex_error err;
    for (uint32_t loops = 1; loops <= 2; loops++) {
        http_options taken = {.port = http_server_port(w.server), .loops = loops};
        assert_int_equal(http_server_start(&taken, NULL, 0, &other, &err), EX_EFILESYSTEM);
        assert_non_null(strstr(err.message, "in use"));
    }
    http_options nowhere = {.host = "256.1.1.1"};
    assert_int_equal(http_server_start(&nowhere, NULL, 0, &other, &err), EX_EINVAL);
    assert_non_null(strstr(err.message, "256.1.1.1"));
    assert_null(other);
    tear_down(&w);
}

/* ---- Metrics: T-6, R-07-15 ---- */

static void test_http_server_counts_requests_by_route(void **state)
{
    (void)state;
    world w;
    http_options o = {0};
    set_up(&w, &o);
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
    tear_down(&w);
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
        cmocka_unit_test(test_http_server_limits),
        cmocka_unit_test(test_http_server_carries_large_bodies),
        cmocka_unit_test(test_http_server_slow_requests_get_408),
        cmocka_unit_test(test_http_server_drip_does_not_reset_the_header_time),
        cmocka_unit_test(test_http_server_closes_idle_connections),
        cmocka_unit_test(test_http_server_does_not_time_out_a_handler),
        cmocka_unit_test(test_http_server_refuses_connections_over_the_limit),
        cmocka_unit_test(test_http_server_sheds_requests_over_the_inflight_limit),
        cmocka_unit_test(test_http_server_holds_a_thousand_idle_connections),
        cmocka_unit_test(test_http_server_streams_with_backpressure),
        cmocka_unit_test(test_http_server_reads_events_of_a_stream),
        cmocka_unit_test(test_http_server_closes_a_client_that_never_reads),
        cmocka_unit_test(test_http_server_keeps_a_slow_reader),
        cmocka_unit_test(test_http_server_cuts_a_stream_that_does_not_stop),
        cmocka_unit_test(test_http_server_answer_after_the_client_left_is_dropped),
        cmocka_unit_test(test_http_server_drain_finishes_answers_and_ends_streams),
        cmocka_unit_test(test_http_server_stop_closes_connections_and_waits_for_handlers),
        cmocka_unit_test(test_http_server_start_names_what_is_wrong),
        cmocka_unit_test(test_http_server_counts_requests_by_route),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
