/* test_http_server.c: the HTTP/1.1 server over real sockets. */
#include "api/http/http.h"
#include "support/http_client.h"

#include <errno.h>
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
    atomic_bool was_told_to_stop;
} world;

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

/* Answers from another thread, by posting to the loop. */
typedef struct later {
    ex_post post;
    http_exchange *x;
    atomic_bool may_go;
    pthread_t thread;
} later;

static void answer_later(void *arg)
{
    later *l = arg;
    http_respond(l->x, 200, "text/plain", EX_S("later"));
    free(l);
}

static void *later_main(void *arg)
{
    later *l = arg;
    l->post = (ex_post){.fn = answer_later, .arg = l};
    ex_loop_post(http_loop(l->x), &l->post);
    return NULL;
}

static void slow(http_exchange *x, void *ctx)
{
    atomic_fetch_add(&((world *)ctx)->calls, 1);
    later *l = calloc(1, sizeof(*l));
    l->x = x;
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, later_main, l), 0);
    assert_int_equal(pthread_detach(t), 0);
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
    static const char *const patterns[] = {"/hello", "/echo", "/show/{name}", "/slow",
                                           "/fails/{how}"};
    memset(w, 0, sizeof(*w));
    assert_int_equal(ex_metrics_new("excore", &w->metrics, NULL), EX_OK);
    o->metrics = w->metrics;
    http_route routes[] = {
        {HTTP_GET_, patterns[0], hello, w}, {HTTP_POST_, patterns[1], echo, w},
        {HTTP_GET_, patterns[2], show, w},  {HTTP_GET_, patterns[3], slow, w},
        {HTTP_GET_, patterns[4], fails, w},
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http_server_answers_on_one_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
