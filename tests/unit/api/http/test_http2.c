/* test_http2.c: HTTP/2 with prior knowledge: an nghttp2 client, and raw frames where it would not
 * sin. */
#include "api/http/http.h"
#include "support/http_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <nghttp2/nghttp2.h>

#include <cmocka.h>

/* ---- The server ---- */

typedef struct world {
    http_server *server;
    atomic_int calls;
    atomic_int closes;
    atomic_int answers;
    atomic_bool was_told_to_stop;
    _Atomic(http_exchange *) held;
    ex_post post;
} world;

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
    http_add_header(x, "x-extra", EX_S("yes"));
    http_add_header(x, "connection", EX_S("close")); /* must not get out */
    http_respond(x, 200, "text/plain", EX_S("hello"));
}

static void echo(http_exchange *x, void *ctx)
{
    atomic_fetch_add(&((world *)ctx)->calls, 1);
    http_respond(x, 200, "application/octet-stream", http_request_body(x));
}

static void show(http_exchange *x, void *ctx)
{
    atomic_fetch_add(&((world *)ctx)->calls, 1);
    http_respond(x, 200, "text/plain",
                 ex_arena_printf(http_arena(x), "%.*s|%.*s|%.*s", EX_ARG(http_param(x, "name")),
                                 EX_ARG(http_header(x, "x-test")), EX_ARG(http_header(x, "host"))));
}

/* Keeps its exchange until release_held. */
static void hold(http_exchange *x, void *ctx)
{
    world *w = ctx;
    atomic_store(&w->held, x);
    atomic_fetch_add(&w->calls, 1);
}

static void answer_held(void *arg)
{
    world *w = arg;
    http_respond(atomic_load(&w->held), 200, "text/plain", EX_S("held"));
    atomic_fetch_add(&w->answers, 1);
}

static void release_held(world *w)
{
    w->post = (ex_post){.fn = answer_held, .arg = w};
    ex_loop_post(http_loop(atomic_load(&w->held)), &w->post);
}

typedef struct streamer {
    world *w;
    http_exchange *x;
    int left; /* blocks of 8 KiB; below 0: keep still after the first */
} streamer;

static void pump(void *ctx)
{
    streamer *s = ctx;
    static char block[8192];
    bool may_go_on = true;
    while (may_go_on && s->left > 0) {
        memset(block, 'a' + s->left % 26, sizeof(block));
        s->left--;
        may_go_on = http_stream_write(s->x, ex_slice_of(block, sizeof(block)));
    }
    if (!may_go_on)
        atomic_store(&s->w->was_told_to_stop, true);
    if (s->left == 0)
        http_stream_end(s->x);
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
    streamer *s = calloc(1, sizeof(*s));
    char n[16] = "0";
    ex_slice given_n = http_param(x, "n");
    memcpy(n, given_n.ptr, given_n.len < sizeof(n) ? given_n.len : 0);
    *s = (streamer){.w = w, .x = x, .left = atoi(n)};
    http_stream_begin(x, 200, "text/event-stream", pump, closed, s);
    if (s->left < 0)
        (void)http_stream_write(x, EX_S("data: still\n\n"));
    else
        pump(s);
    atomic_fetch_add(&w->calls, 1);
}

static void set_up(world *w, http_options *o)
{
    memset(w, 0, sizeof(*w));
    const http_route routes[] = {
        {HTTP_GET_, "/hello", hello, w},       {HTTP_POST_, "/echo", echo, w},
        {HTTP_GET_, "/show/{name}", show, w},  {HTTP_GET_, "/hold", hold, w},
        {HTTP_GET_, "/stream/{n}", stream, w},
    };
    ex_error err = {0};
    if (http_server_start(o, routes, sizeof(routes) / sizeof(routes[0]), &w->server, &err))
        fail_msg("%s", err.message);
}

/* ---- A client ---- */

#define STREAMS_MAX 4096

typedef struct answer {
    int status;
    bool is_closed;
    uint32_t code;
    bool has_connection; /* a header that HTTP/2 forbids */
    bool has_extra;
    size_t body_len;
    uint64_t body_sum;
    ex_slice upload; /* not sent yet */
    char body[256];  /* its beginning */
} answer;

typedef struct h2_client {
    http_client raw;
    nghttp2_session *session;
    answer *answers; /* by stream id */
    bool has_goaway;
    uint32_t goaway_code;
    int closed_streams;
} h2_client;

static ssize_t on_send(nghttp2_session *s, const uint8_t *data, size_t n, int flags, void *ctx)
{
    (void)s, (void)flags;
    h2_client *c = ctx;
    return http_client_send(&c->raw, ex_slice_of(data, n)) ? (ssize_t)n
                                                           : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_client_header(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *name,
                            size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                            void *ctx)
{
    (void)s, (void)flags, (void)value_len;
    h2_client *c = ctx;
    answer *a = &c->answers[f->hd.stream_id];
    ex_slice n = ex_slice_of(name, name_len);
    if (ex_slice_is(n, ":status"))
        a->status = atoi((const char *)value);
    a->has_connection = a->has_connection || ex_slice_is(n, "connection");
    a->has_extra = a->has_extra || ex_slice_is(n, "x-extra");
    return 0;
}

static int on_client_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *data,
                          size_t n, void *ctx)
{
    (void)s, (void)flags;
    answer *a = &((h2_client *)ctx)->answers[id];
    for (size_t i = 0; i < n; i++) {
        if (a->body_len + i < sizeof(a->body))
            a->body[a->body_len + i] = (char)data[i];
        a->body_sum = a->body_sum * 31 + data[i];
    }
    a->body_len += n;
    return 0;
}

static int on_client_close(nghttp2_session *s, int32_t id, uint32_t code, void *ctx)
{
    (void)s;
    h2_client *c = ctx;
    c->answers[id].is_closed = true;
    c->answers[id].code = code;
    c->closed_streams++;
    return 0;
}

static int on_client_frame(nghttp2_session *s, const nghttp2_frame *f, void *ctx)
{
    (void)s;
    h2_client *c = ctx;
    if (f->hd.type == NGHTTP2_GOAWAY) {
        c->has_goaway = true;
        c->goaway_code = f->goaway.error_code;
    }
    return 0;
}

/* With is_manual the client never opens windows by itself. */
static void client_open(h2_client *c, uint16_t port, bool is_manual)
{
    memset(c, 0, sizeof(*c));
    c->answers = calloc(STREAMS_MAX, sizeof(answer));
    assert_true(http_client_open(&c->raw, port));
    nghttp2_session_callbacks *cb;
    nghttp2_option *option;
    assert_int_equal(nghttp2_session_callbacks_new(&cb), 0);
    assert_int_equal(nghttp2_option_new(&option), 0);
    nghttp2_option_set_no_auto_window_update(option, is_manual);
    nghttp2_session_callbacks_set_send_callback(cb, on_send);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_client_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_client_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_client_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_client_frame);
    assert_int_equal(nghttp2_session_client_new2(&c->session, cb, c, option), 0);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(cb);
    assert_int_equal(nghttp2_submit_settings(c->session, 0, NULL, 0), 0);
}

static void client_close(h2_client *c)
{
    nghttp2_session_del(c->session);
    http_client_close(&c->raw);
    free(c->answers);
}

/* Send what is to send, receive once; false when the server has closed. */
static bool turn(h2_client *c)
{
    static uint8_t buf[65536];
    if (nghttp2_session_send(c->session))
        return false;
    ssize_t n = recv(c->raw.fd, buf, sizeof(buf), 0);
    if (n <= 0)
        return false;
    assert_true(nghttp2_session_mem_recv(c->session, buf, (size_t)n) >= 0);
    return nghttp2_session_send(c->session) == 0;
}

#define NV(n, v)                                                                                   \
    {                                                                                              \
        (uint8_t *)(uintptr_t)(n), (uint8_t *)(uintptr_t)(v), strlen(n), strlen(v), 0              \
    }

static ssize_t on_upload(nghttp2_session *s, int32_t id, uint8_t *buf, size_t room, uint32_t *flags,
                         nghttp2_data_source *source, void *ctx)
{
    (void)s, (void)source;
    ex_slice *left = &((h2_client *)ctx)->answers[id].upload;
    size_t n = left->len < room ? left->len : room;
    memcpy(buf, left->ptr, n);
    left->ptr += n;
    left->len -= n;
    if (left->len == 0)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static answer *request(h2_client *c, const char *method, const char *path, ex_slice body)
{
    nghttp2_nv nva[] = {NV(":method", method),    NV(":scheme", "http"), NV(":path", path),
                        NV(":authority", "here"), NV("x-test", "one"),   NV("x-test", "two")};
    nghttp2_data_provider upload = {.read_callback = on_upload};
    int32_t id = nghttp2_submit_request(c->session, NULL, nva, 6, body.len ? &upload : NULL, NULL);
    assert_true(id > 0 && id < STREAMS_MAX);
    c->answers[id].upload = body;
    return &c->answers[id];
}

static void await(h2_client *c, const answer *a)
{
    while (!a->is_closed)
        assert_true(turn(c));
}

static answer *call(h2_client *c, const char *method, const char *path, ex_slice body)
{
    answer *a = request(c, method, path, body);
    await(c, a);
    return a;
}

static bool body_is(const answer *a, const char *text)
{
    return a->body_len == strlen(text) && memcmp(a->body, text, a->body_len) == 0;
}

/* Turn until the server closes; the last GOAWAY must carry `code`. */
static void expect_goaway(h2_client *c, uint32_t code)
{
    while (turn(c))
        continue;
    assert_true(c->has_goaway);
    assert_int_equal(c->goaway_code, code);
}

/* ---- Requests ---- */

static void test_http2_answers_requests(void **state)
{
    (void)state;
    world w;
    http_options o = {0};
    set_up(&w, &o);
    h2_client c;
    client_open(&c, http_server_port(w.server), false);
    static const struct {
        const char *method, *path, *body;
        int status;
        const char *want;
    } cases[] = {
        {"GET", "/hello", "", 200, "hello"},
        {"HEAD", "/hello", "", 200, ""},
        {"HEAD", "/stream/4", "", 200, ""},
        {"POST", "/echo", "upload", 200, "upload"},
        {"GET", "/show/a%2Fb?q", "", 200, "a/b|one, two|here"},
        {"GET", "/nothing", "", 404, NULL},
        {"PUT", "/hello", "x", 405, NULL},
        {"OPTIONS", "/hello", "", 204, ""},
        {"GET", "/show/%00", "", 400, NULL},
        {"GET", "/show/../hello", "", 400, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        answer *a = call(&c, cases[i].method, cases[i].path, ex_str(cases[i].body));
        assert_int_equal(a->status, cases[i].status);
        assert_int_equal(a->code, NGHTTP2_NO_ERROR);
        assert_false(a->has_connection);
        if (cases[i].want)
            assert_true(body_is(a, cases[i].want));
        if (strcmp(cases[i].path, "/hello") == 0 && a->status == 200)
            assert_true(a->has_extra);
    }
    client_close(&c);
    http_server_stop(w.server);
}

static void test_http2_interleaves_many_streams(void **state)
{
    (void)state;
    world w;
    http_options o = {0};
    set_up(&w, &o);
    h2_client c;
    client_open(&c, http_server_port(w.server), false);
    answer *held = request(&c, "GET", "/hold", EX_S(""));
    enum { MANY = 500 };
    answer *a[MANY];
    for (int i = 0; i < MANY; i++)
        a[i] = request(&c, "GET", i % 2 ? "/hello" : "/stream/20", EX_S(""));
    for (int i = 0; i < MANY; i++) {
        await(&c, a[i]);
        assert_int_equal(a[i]->status, 200);
        assert_int_equal(a[i]->body_len, i % 2 ? 5 : 20 * 8192);
    }
    assert_false(held->is_closed); /* the others did not wait for it */
    release_held(&w);
    await(&c, held);
    assert_true(body_is(held, "held"));
    client_close(&c);
    WAIT_FOR(atomic_load(&w.closes) == MANY / 2);
    http_server_stop(w.server);
}

static void test_http2_carries_large_bodies_through_both_windows(void **state)
{
    (void)state;
    size_t n = (4u << 20);
    char *body = malloc(n);
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        body[i] = (char)(i * 2654435761u >> 24);
        sum = sum * 31 + (uint8_t)body[i];
    }
    world w;
    http_options o = {0};
    set_up(&w, &o);
    h2_client c;
    client_open(&c, http_server_port(w.server), false);
    answer *a = call(&c, "POST", "/echo", ex_slice_of(body, n));
    assert_int_equal(a->status, 200);
    assert_int_equal(a->body_len, n);
    assert_true(a->body_sum == sum);
    free(body);
    client_close(&c);
    http_server_stop(w.server);
}

static void test_http2_preface_may_come_byte_by_byte(void **state)
{
    (void)state;
    world w;
    http_options o = {0};
    set_up(&w, &o);
    http_client c;
    assert_true(http_client_open(&c, http_server_port(w.server)));
    static const char text[] = NGHTTP2_CLIENT_MAGIC "\0\0\0\4\0\0\0\0\0" /* SETTINGS */
                                                    "\0\0\10\6\0\0\0\0\0"
                                                    "12345678"; /* PING */
    assert_true(http_client_send_slowly(&c, EX_S(text)));
    static const char pong[] = "\0\0\10\6\1\0\0\0\0"
                               "12345678";
    char in[512];
    size_t have = 0;
    while (!memmem(in, have, pong, sizeof(pong) - 1)) {
        ssize_t n = recv(c.fd, in + have, sizeof(in) - have, 0);
        assert_true(n > 0);
        have += (size_t)n;
    }
    http_client_close(&c);
    http_server_stop(w.server);
}

/* ---- Limits ---- */

static void test_http2_limits(void **state)
{
    (void)state;
    world w;
    http_options o = {.body_limit_bytes = 1000, .header_limit_bytes = 1000, .body_timeout_ms = 400};
    set_up(&w, &o);
    h2_client c;
    client_open(&c, http_server_port(w.server), false);
    char big[1500], path[1200];
    memset(big, 'x', sizeof(big));
    memset(path, 'x', sizeof(path));
    memcpy(path, "/show/", 6);
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(call(&c, "POST", "/echo", ex_slice_of(big, 1000))->status, 200);
    assert_int_equal(call(&c, "POST", "/echo", ex_slice_of(big, 1001))->status, 413);
    assert_int_equal(call(&c, "GET", path, EX_S(""))->status, 431);
    int calls = atomic_load(&w.calls);
    assert_int_equal(calls, 1);
    /* a body that never ends: HEADERS without END_STREAM, no DATA */
    nghttp2_nv nva[] = {NV(":method", "POST"), NV(":scheme", "http"), NV(":path", "/echo"),
                        NV(":authority", "here")};
    int32_t id = nghttp2_submit_headers(c.session, 0, -1, NULL, nva, 4, NULL);
    assert_true(id > 0);
    await(&c, &c.answers[id]);
    assert_int_equal(c.answers[id].status, 408);
    assert_true(call(&c, "GET", "/hello", EX_S(""))->status == 200); /* the others go on */
    client_close(&c);
    http_server_stop(w.server);
}

static void test_http2_stream_limit_holds_back_and_refuses(void **state)
{
    (void)state;
    world w;
    http_options o = {.h2_streams_limit = 2};
    set_up(&w, &o);
    h2_client c;
    client_open(&c, http_server_port(w.server), false);
    answer *a[3];
    assert_int_equal(call(&c, "GET", "/hello", EX_S(""))->status, 200); /* SETTINGS are known */
    for (int i = 0; i < 3; i++)
        a[i] = request(&c, "GET", i ? "/stream/-1" : "/hold", EX_S(""));
    while (a[1]->body_len == 0)
        assert_true(turn(&c));
    assert_int_equal(atomic_load(&w.calls),
                     3); /* hello, hold, one stream: the third is held back */
    release_held(&w);
    await(&c, a[0]);
    while (a[2]->body_len == 0)
        assert_true(turn(&c));
    client_close(&c);
    WAIT_FOR(atomic_load(&w.closes) == 2);
    http_server_stop(w.server);
}

static void test_http2_writer_waits_for_the_window(void **state)
{
    (void)state;
    world w;
    http_options o = {.output_limit_bytes = 65536};
    set_up(&w, &o);
    h2_client c;
    client_open(&c, http_server_port(w.server), true);
    answer *a = request(&c, "GET", "/stream/100", EX_S(""));
    while (a->body_len < 65535) /* the initial window, then nothing more */
        assert_true(turn(&c));
    WAIT_FOR(atomic_load(&w.was_told_to_stop));
    assert_int_equal(a->body_len, 65535);
    while (!a->is_closed) {
        size_t had = a->body_len;
        assert_int_equal(nghttp2_submit_window_update(c.session, 0, 0, 30000), 0);
        assert_int_equal(nghttp2_submit_window_update(c.session, 0, 1, 30000), 0);
        while (!a->is_closed && a->body_len < had + 30000)
            assert_true(turn(&c));
    }
    assert_int_equal(a->body_len, 100 * 8192);
    assert_int_equal(a->code, NGHTTP2_NO_ERROR);
    client_close(&c);
    WAIT_FOR(atomic_load(&w.closes) == 1);
    http_server_stop(w.server);
}

/* A window that never opens: the stream is reset after the write time-out, the connection stays. */
static void test_http2_resets_a_stream_that_is_never_read(void **state)
{
    (void)state;
    world w;
    http_options o = {.output_limit_bytes = 65536, .write_timeout_ms = 60};
    set_up(&w, &o);
    h2_client c;
    client_open(&c, http_server_port(w.server), true);
    answer *a = request(&c, "GET", "/stream/100", EX_S(""));
    await(&c, a);
    assert_int_equal(a->code, NGHTTP2_CANCEL);
    assert_int_equal(a->body_len, 65535);
    WAIT_FOR(atomic_load(&w.closes) == 1);
    assert_int_equal(call(&c, "HEAD", "/hello", EX_S(""))->status, 200);
    client_close(&c);
    http_server_stop(w.server);
}

static void test_http2_closes_idle_connections_with_goaway(void **state)
{
    (void)state;
    world w;
    http_options o = {.idle_timeout_ms = 400};
    set_up(&w, &o);
    h2_client c;
    client_open(&c, http_server_port(w.server), false);
    assert_int_equal(call(&c, "GET", "/hello", EX_S(""))->status, 200);
    expect_goaway(&c, NGHTTP2_NO_ERROR);
    client_close(&c);
    http_server_stop(w.server);
}

/* ---- Clients that leave ---- */

static void test_http2_reset_orphans_the_exchange(void **state)
{
    (void)state;
    world w;
    http_options o = {0};
    set_up(&w, &o);
    h2_client c;
    client_open(&c, http_server_port(w.server), false);
    answer *held = request(&c, "GET", "/hold", EX_S(""));
    answer *still = request(&c, "GET", "/stream/-1", EX_S(""));
    while (still->body_len == 0)
        assert_true(turn(&c));
    WAIT_FOR(atomic_load(&w.calls) == 2);
    for (int32_t id = 1; id <= 3; id += 2)
        assert_int_equal(nghttp2_submit_rst_stream(c.session, 0, id, NGHTTP2_CANCEL), 0);
    assert_int_equal(call(&c, "GET", "/hello", EX_S(""))->status, 200); /* so the resets are seen */
    WAIT_FOR(atomic_load(&w.closes) == 1);
    release_held(&w);
    WAIT_FOR(atomic_load(&w.answers) == 1);
    assert_int_equal(held->status, 0);
    client_close(&c);
    http_server_stop(w.server);
}

static void test_http2_closed_connection_ends_streams_once(void **state)
{
    (void)state;
    world w;
    http_options o = {0};
    set_up(&w, &o);
    h2_client c;
    client_open(&c, http_server_port(w.server), false);
    answer *a[10];
    for (int i = 0; i < 10; i++)
        a[i] = request(&c, "GET", "/stream/-1", EX_S(""));
    for (int i = 0; i < 10; i++)
        while (a[i]->body_len == 0)
            assert_true(turn(&c));
    client_close(&c);
    WAIT_FOR(atomic_load(&w.closes) == 10);
    http_server_stop(w.server);
    assert_int_equal(atomic_load(&w.closes), 10);
}

static void test_http2_drain_says_goaway_and_finishes(void **state)
{
    (void)state;
    world w;
    http_options o = {0};
    set_up(&w, &o);
    h2_client c;
    client_open(&c, http_server_port(w.server), false);
    answer *held = request(&c, "GET", "/hold", EX_S(""));
    answer *still = request(&c, "GET", "/stream/-1", EX_S(""));
    while (still->body_len == 0)
        assert_true(turn(&c));
    WAIT_FOR(atomic_load(&w.calls) == 2);
    http_server_drain(w.server, 1); /* returns with the held one open */
    await(&c, still);
    assert_int_equal(still->code, NGHTTP2_NO_ERROR);
    assert_true(c.has_goaway);
    release_held(&w);
    await(&c, held);
    assert_true(body_is(held, "held"));
    expect_goaway(&c, NGHTTP2_NO_ERROR);
    client_close(&c);
    http_server_stop(w.server);
}

/* ---- Attacks ---- */

static void test_http2_rapid_reset_is_stopped(void **state)
{
    (void)state;
    world w;
    http_options o = {0};
    set_up(&w, &o);
    h2_client c;
    client_open(&c, http_server_port(w.server), false);
    for (int i = 0; i < 1000 && nghttp2_session_want_read(c.session); i++) {
        (void)request(&c, "GET", "/stream/-1", EX_S(""));
        if (nghttp2_session_send(c.session))
            break;
        (void)nghttp2_submit_rst_stream(c.session, 0, 2 * i + 1, NGHTTP2_CANCEL);
    }
    expect_goaway(&c, NGHTTP2_ENHANCE_YOUR_CALM);
    assert_true(atomic_load(&w.calls) <= 300);
    WAIT_FOR(atomic_load(&w.closes) == atomic_load(&w.calls));
    client_close(&c);
    http_server_stop(w.server);
}

static void put_frame(ex_buf *out, size_t len, int type, int flags, uint32_t stream)
{
    const char head[9] = {(char)(len >> 16),    (char)(len >> 8),    (char)len,
                          (char)type,           (char)flags,         (char)(stream >> 24),
                          (char)(stream >> 16), (char)(stream >> 8), (char)stream};
    ex_buf_put(out, ex_slice_of(head, sizeof(head)));
    for (size_t i = 0; i < len; i++)
        ex_buf_put_char(out, '\0');
}

/* GET http / here, from the static table where possible. */
static void put_headers(ex_buf *out, uint32_t stream, int flags)
{
    static const char block[] = "\x82\x86\x84\x01\x04here";
    put_frame(out, 0, NGHTTP2_HEADERS, flags, stream);
    out->ptr[out->len - 7] = sizeof(block) - 1;
    ex_buf_put(out, EX_S(block));
}

static void flood_ping(ex_buf *out)
{
    for (int i = 0; i < 3000; i++)
        put_frame(out, 8, NGHTTP2_PING, 0, 0);
}

static void flood_settings(ex_buf *out)
{
    for (int i = 0; i < 3000; i++)
        put_frame(out, 0, NGHTTP2_SETTINGS, 0, 0);
}

static void flood_empty_continuations(ex_buf *out)
{
    put_headers(out, 1, NGHTTP2_FLAG_END_STREAM);
    for (int i = 0; i < 3000; i++)
        put_frame(out, 0, NGHTTP2_CONTINUATION, 0, 1);
}

static void flood_empty_data(ex_buf *out)
{
    put_headers(out, 1, NGHTTP2_FLAG_END_HEADERS);
    for (int i = 0; i < 3000; i++)
        put_frame(out, 0, NGHTTP2_DATA, 0, 1);
}

/* Header after header in one endless block, the same indexed one: small on the wire, large inside.
 */
static void flood_headers(ex_buf *out)
{
    put_headers(out, 1, NGHTTP2_FLAG_END_STREAM);
    for (int i = 0; i < 12; i++) {
        put_frame(out, 16000, NGHTTP2_CONTINUATION, 0, 1);
        memset(out->ptr + out->len - 16000, 0x90, 16000); /* accept-encoding: gzip, deflate */
    }
}

static void flood_priority(ex_buf *out)
{
    for (int i = 0; i < 3000; i++)
        put_frame(out, 5, NGHTTP2_PRIORITY, 0, 3);
}

static uint32_t goaway_code(const char *in, size_t len)
{
    uint32_t code = UINT32_MAX;
    for (size_t at = 0; at + 9 <= len;) {
        const unsigned char *f = (const unsigned char *)in + at;
        size_t n = (size_t)f[0] << 16 | (size_t)f[1] << 8 | f[2];
        if (f[3] == NGHTTP2_GOAWAY && at + 17 <= len)
            code = (uint32_t)f[13] << 24 | (uint32_t)f[14] << 16 | (uint32_t)f[15] << 8 | f[16];
        at += 9 + n;
    }
    return code;
}

static void test_http2_floods_end_with_enhance_your_calm(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        void (*fill)(ex_buf *out);
    } cases[] = {
        {"ping", flood_ping},
        {"settings", flood_settings},
        {"empty continuations", flood_empty_continuations},
        {"empty data", flood_empty_data},
        {"endless headers", flood_headers},
        {"priority", flood_priority},
    };
    world w;
    http_options o = {0};
    set_up(&w, &o);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_buf out, in;
        http_client c;
        ex_buf_init(&out, 0);
        ex_buf_init(&in, 0);
        ex_buf_put_str(&out, NGHTTP2_CLIENT_MAGIC);
        put_frame(&out, 0, NGHTTP2_SETTINGS, 0, 0);
        cases[i].fill(&out);
        assert_true(http_client_open(&c, http_server_port(w.server)));
        (void)http_client_send(&c, ex_buf_slice(&out)); /* may break off: the server closes early */
        char piece[4096];
        for (ssize_t n; (n = recv(c.fd, piece, sizeof(piece), 0)) > 0;)
            ex_buf_put(&in, ex_slice_of(piece, (size_t)n));
        if (goaway_code(in.ptr, in.len) != NGHTTP2_ENHANCE_YOUR_CALM)
            fail_msg("%s: no GOAWAY(ENHANCE_YOUR_CALM), but %u", cases[i].name,
                     goaway_code(in.ptr, in.len));
        http_client_close(&c);
        ex_buf_done(&out);
        ex_buf_done(&in);
    }
    assert_int_equal(atomic_load(&w.calls), 0);
    http_server_stop(w.server);
}

/* A header block that is never finished holds up the connection: it is closed. */
static void test_http2_slow_header_block_closes(void **state)
{
    (void)state;
    world w;
    http_options o = {.header_timeout_ms = 50};
    set_up(&w, &o);
    ex_buf out;
    ex_buf_init(&out, 0);
    ex_buf_put_str(&out, NGHTTP2_CLIENT_MAGIC);
    put_frame(&out, 0, NGHTTP2_SETTINGS, 0, 0);
    put_headers(&out, 1, NGHTTP2_FLAG_END_STREAM); /* no END_HEADERS */
    http_client c;
    assert_true(http_client_open(&c, http_server_port(w.server)));
    assert_true(http_client_send(&c, ex_buf_slice(&out)));
    char in[4096];
    size_t have = 0;
    for (ssize_t n; (n = recv(c.fd, in + have, sizeof(in) - have, 0)) > 0;)
        have += (size_t)n;
    assert_int_equal(goaway_code(in, have), NGHTTP2_ENHANCE_YOUR_CALM);
    ex_buf_done(&out);
    http_client_close(&c);
    assert_int_equal(atomic_load(&w.calls), 0);
    http_server_stop(w.server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http2_answers_requests),
        cmocka_unit_test(test_http2_interleaves_many_streams),
        cmocka_unit_test(test_http2_carries_large_bodies_through_both_windows),
        cmocka_unit_test(test_http2_preface_may_come_byte_by_byte),
        cmocka_unit_test(test_http2_limits),
        cmocka_unit_test(test_http2_stream_limit_holds_back_and_refuses),
        cmocka_unit_test(test_http2_writer_waits_for_the_window),
        cmocka_unit_test(test_http2_resets_a_stream_that_is_never_read),
        cmocka_unit_test(test_http2_closes_idle_connections_with_goaway),
        cmocka_unit_test(test_http2_reset_orphans_the_exchange),
        cmocka_unit_test(test_http2_closed_connection_ends_streams_once),
        cmocka_unit_test(test_http2_drain_says_goaway_and_finishes),
        cmocka_unit_test(test_http2_rapid_reset_is_stopped),
        cmocka_unit_test(test_http2_floods_end_with_enhance_your_calm),
        cmocka_unit_test(test_http2_slow_header_block_closes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
