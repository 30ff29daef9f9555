/* test_http_limits.c: sizes, times and counts that the HTTP/1.1 server keeps to. */
#include "support/http_world.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- Limits and time-outs ---- */

static void fill(ex_buf *out, const char *before, size_t n, const char *after)
{
    ex_buf_put_str(out, before);
    for (size_t i = 0; i < n; i++)
        ex_buf_put_char(out, 'x');
    ex_buf_put_str(out, after);
}

static void test_http_limits_limits(void **state)
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
    world_set_up(&w, &o);
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
    world_tear_down(&w);
}

static void test_http_limits_carries_large_bodies(void **state)
{
    (void)state;
    size_t n = (4u << 20);
    char *body = malloc(n);
    for (size_t i = 0; i < n; i++)
        body[i] = (char)(i * 2654435761u >> 24);
    world w;
    http_options o = {0};
    world_set_up(&w, &o);
    http_reply r;
    assert_true(
        http_call(http_server_port(w.server), "POST", "/echo", NULL, ex_slice_of(body, n), &r));
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body.len, n);
    assert_memory_equal(r.body.ptr, body, n);
    http_reply_done(&r);
    free(body);
    world_tear_down(&w);
}

static void test_http_limits_slow_requests_get_408(void **state)
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
    world_set_up(&w, &o);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        expect_refusal(http_server_port(w.server), texts[i], ex_str(texts[i]), 408);
    assert_int_equal(atomic_load(&w.calls), 0);
    world_tear_down(&w);
}

/* A drip of bytes must not keep a head alive: the time runs from its first byte. */
static void test_http_limits_drip_does_not_reset_the_header_time(void **state)
{
    (void)state;
    world w;
    http_client c;
    world_open(&w, &c, (http_options){.header_timeout_ms = 100});
    assert_true(http_client_send_text(&c, "GET /hello HTTP/1.1\r\nX: "));
    int sent = 0;
    char byte;
    while (sent < 5000 && recv(c.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0) {
        assert_true(http_client_send_text(&c, "x"));
        (void)nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
        sent++;
    }
    expect_reply(&c, 408, NULL);
    world_close(&w, &c);
}

static void test_http_limits_closes_idle_connections(void **state)
{
    (void)state;
    world w;
    http_options o = {.idle_timeout_ms = 400};
    world_set_up(&w, &o);
    http_client fresh, used;
    assert_true(http_client_open(&fresh, http_server_port(w.server)));
    assert_true(http_client_open(&used, http_server_port(w.server)));
    expect_hello(&used);
    assert_true(http_client_is_closed(&fresh));
    assert_true(http_client_is_closed(&used));
    http_client_close(&fresh);
    http_client_close(&used);
    world_tear_down(&w);
}

/* The time a handler takes is not the client's idleness. */
static void test_http_limits_does_not_time_out_a_handler(void **state)
{
    (void)state;
    world w;
    http_options o = {.idle_timeout_ms = 300, .header_timeout_ms = 300, .body_timeout_ms = 300};
    world_set_up(&w, &o);
    atomic_store(&w.may_answer, false);
    http_client c, idle;
    assert_true(http_client_open(&c, http_server_port(w.server)));
    assert_true(http_client_request(&c, "GET", "/slow", NULL, EX_S("")));
    assert_true(http_client_open(&idle, http_server_port(w.server)));
    assert_true(http_client_is_closed(&idle)); /* so the time-out has passed */
    atomic_store(&w.may_answer, true);
    expect_reply(&c, 200, "later");
    http_client_close(&c);
    http_client_close(&idle);
    world_tear_down(&w);
}

static void test_http_limits_refuses_connections_over_the_limit(void **state)
{
    (void)state;
    world w;
    http_options o = {.connection_limit = 3};
    world_set_up(&w, &o);
    http_client c[4];
    http_reply r;
    for (int i = 0; i < 3; i++) {
        assert_true(http_client_open(&c[i], http_server_port(w.server)));
        expect_hello(&c[i]);
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
    world_tear_down(&w);
}

static void test_http_limits_sheds_requests_over_the_inflight_limit(void **state)
{
    (void)state;
    world w;
    http_options o = {.inflight_limit = 2};
    world_set_up(&w, &o);
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
        expect_reply(&c[i], 200, "later");
        http_client_close(&c[i]);
    }
    expect_hello(&over); /* the connection was kept */
    http_client_close(&over);
    world_tear_down(&w);
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
static void test_http_limits_holds_a_thousand_idle_connections(void **state)
{
    (void)state;
    enum { IDLE = 1000 };
    struct rlimit files;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    world w;
    http_options o = {0};
    world_set_up(&w, &o);
    (void)malloc_trim(0); /* what earlier tests freed must not serve this one unseen */
    size_t before = resident_bytes();
    int *fds = calloc(IDLE, sizeof(int));
    for (int i = 0; i < IDLE; i++) {
        http_client c;
        assert_true(http_client_open(&c, http_server_port(w.server)));
        expect_hello(&c);
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
    world_tear_down(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http_limits_limits),
        cmocka_unit_test(test_http_limits_carries_large_bodies),
        cmocka_unit_test(test_http_limits_slow_requests_get_408),
        cmocka_unit_test(test_http_limits_drip_does_not_reset_the_header_time),
        cmocka_unit_test(test_http_limits_closes_idle_connections),
        cmocka_unit_test(test_http_limits_does_not_time_out_a_handler),
        cmocka_unit_test(test_http_limits_refuses_connections_over_the_limit),
        cmocka_unit_test(test_http_limits_sheds_requests_over_the_inflight_limit),
        cmocka_unit_test(test_http_limits_holds_a_thousand_idle_connections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
