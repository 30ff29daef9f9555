/* http_world.c: the handlers, and the server they run in. */
#include "support/http_world.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

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

/* Like hello, and closes an HTTP/1.1 connection; over HTTP/2 that header must not get out. */
static void last(http_exchange *x, void *ctx)
{
    http_add_header(x, "x-extra", EX_S("yes"));
    http_add_header(x, "connection", EX_S("close"));
    hello(x, ctx);
}

/* Answers {name}|query a|header x-test|host. */
static void show(http_exchange *x, void *ctx)
{
    atomic_fetch_add(&((world *)ctx)->calls, 1);
    bool found = false;
    ex_slice a = http_query(x, "a", &found);
    ex_slice text = ex_arena_printf(
        http_arena(x), "%.*s|%s%.*s|%.*s|%.*s", EX_ARG(http_param(x, "name")), found ? "" : "-",
        EX_ARG(a), EX_ARG(http_header(x, "x-test")), EX_ARG(http_header(x, "host")));
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

void world_set_up(world *w, http_options *o)
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
        {HTTP_GET_, "/last", last, w},
    };
    ex_error err = {0};
    if (http_server_start(o, routes, sizeof(routes) / sizeof(routes[0]), &w->server, &err))
        fail_msg("%s", err.message);
}

void world_tear_down(world *w)
{
    http_server_stop(w->server);
    ex_metrics_free(w->metrics);
}

void world_open(world *w, http_client *c, http_options o)
{
    world_set_up(w, &o);
    assert_true(http_client_open(c, http_server_port(w->server)));
}

void world_close(world *w, http_client *c)
{
    http_client_close(c);
    world_tear_down(w);
}

void expect_body(const http_reply *r, const char *want)
{
    assert_int_equal(r->body.len, strlen(want));
    assert_memory_equal(r->body.ptr, want, r->body.len);
}

void expect_reply(http_client *c, int status, const char *body)
{
    http_reply r;
    assert_true(http_client_read(c, &r));
    assert_int_equal(r.status, status);
    if (body)
        expect_body(&r, body);
    http_reply_done(&r);
}

void expect_hello(http_client *c)
{
    assert_true(http_client_request(c, "GET", "/hello", NULL, EX_S("")));
    expect_reply(c, 200, "hello");
}

/* Send `text` on a new connection; the answer must have this status and the connection must close.
 */
void expect_refusal(uint16_t port, const char *name, ex_slice text, int status)
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
