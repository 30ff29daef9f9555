/* test_http2.c: HTTP/2 with prior knowledge: requests, limits, clients that leave. */
#include "support/h2_client.h"
#include "support/http_world.h"

#include <stdlib.h>
#include <sys/socket.h>

static void set_up(world *w, h2_client *c, http_options o)
{
    world_set_up(w, &o);
    h2_open(c, http_server_port(w->server), false);
}

static void wait_for_body(h2_client *c, const h2_answer *a)
{
    while (a->body_len == 0)
        assert_true(h2_turn(c));
}

/* ---- Requests ---- */

static void test_http2_answers_requests(void **state)
{
    (void)state;
    world w;
    h2_client c;
    set_up(&w, &c, (http_options){0});
    static const struct {
        const char *method, *path, *body;
        int status;
        const char *want;
    } cases[] = {
        {"GET", "/hello", "", 200, "hello"},
        {"GET", "/last", "", 200, "hello"},
        {"HEAD", "/last", "", 200, ""},
        {"HEAD", "/stream?n=4", "", 200, ""},
        {"POST", "/echo", "upload", 200, "upload"},
        {"GET", "/show/a%2Fb?a=1", "", 200, "a/b|1|one, two|localhost"},
        {"GET", "/nothing", "", 404, NULL},
        {"PUT", "/hello", "x", 405, NULL},
        {"OPTIONS", "/hello", "", 204, ""},
        {"GET", "/show/%00", "", 400, NULL},
        {"GET", "/show/../hello", "", 400, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        h2_answer *a = h2_call(&c, cases[i].method, cases[i].path, ex_str(cases[i].body));
        assert_int_equal(a->status, cases[i].status);
        assert_int_equal(a->code, NGHTTP2_NO_ERROR);
        assert_false(a->has_connection);
        if (cases[i].want)
            assert_true(h2_body_is(a, cases[i].want));
        if (strcmp(cases[i].path, "/last") == 0)
            assert_true(a->has_extra);
    }
    h2_close(&c);
    world_tear_down(&w);
}

static h2_answer *begin_upload(h2_client *c, const char *name, const char *value)
{
    nghttp2_nv nva[] = {H2_NV(":method", "POST"), H2_NV(":scheme", "http"), H2_NV(":path", "/echo"),
                        H2_NV(":authority", "localhost"), H2_NV(name, value)};
    int32_t id = nghttp2_submit_headers(c->session, NGHTTP2_FLAG_NONE, -1, NULL, nva, 5, NULL);
    assert_true(id > 0);
    return &c->answers[id];
}

/* A client that expects it sends nothing before (issue 9, item 10). */
static void test_http2_says_continue(void **state)
{
    (void)state;
    world w;
    h2_client c;
    set_up(&w, &c, (http_options){.body_limit_bytes = 1000});
    h2_answer *a = begin_upload(&c, "expect", "100-Continue");
    while (a->status == 0)
        assert_true(h2_turn(&c));
    assert_int_equal(a->status, 100);
    a->upload = EX_S("upload");
    nghttp2_data_provider upload = {.read_callback = h2_on_upload};
    assert_int_equal(
        nghttp2_submit_data(c.session, NGHTTP2_FLAG_END_STREAM, (int32_t)(a - c.answers), &upload),
        0);
    h2_await(&c, a);
    assert_int_equal(a->status, 200);
    assert_true(h2_body_is(a, "upload"));
    a = begin_upload(&c, "expect", "a miracle");
    h2_await(&c, a);
    assert_int_equal(a->status, 417);
    h2_close(&c);
    world_tear_down(&w);
}

static void test_http2_host_is_the_authority(void **state)
{
    (void)state;
    world w;
    h2_client c;
    set_up(&w, &c, (http_options){0});
    static const struct {
        const char *host;
        int status;
    } cases[] = {{"LOCALHOST", 200}, {"localhost:80", 400}, {"evil.example", 400}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        nghttp2_nv nva[] = {H2_NV(":method", "GET"), H2_NV(":scheme", "http"),
                            H2_NV(":path", "/hello"), H2_NV(":authority", "localhost"),
                            H2_NV("host", cases[i].host)};
        int32_t id = nghttp2_submit_request(c.session, NULL, nva, 5, NULL, NULL);
        assert_true(id > 0);
        h2_await(&c, &c.answers[id]);
        assert_int_equal(c.answers[id].status, cases[i].status);
    }
    h2_close(&c);
    world_tear_down(&w);
}

static void test_http2_interleaves_many_streams(void **state)
{
    (void)state;
    world w;
    h2_client c;
    set_up(&w, &c, (http_options){0});
    atomic_store(&w.may_answer, false);
    h2_answer *held = h2_request(&c, "GET", "/slow", EX_S(""));
    enum { MANY = 500 };
    h2_answer *a[MANY];
    for (int i = 0; i < MANY; i++)
        a[i] = h2_request(&c, "GET", i % 2 ? "/hello" : "/stream?n=20", EX_S(""));
    for (int i = 0; i < MANY; i++) {
        h2_await(&c, a[i]);
        assert_int_equal(a[i]->status, 200);
        assert_int_equal(a[i]->body_len, i % 2 ? 5 : 20 * 8192);
    }
    assert_false(held->is_closed); /* the others did not wait for it */
    atomic_store(&w.may_answer, true);
    h2_await(&c, held);
    assert_true(h2_body_is(held, "later"));
    h2_close(&c);
    WAIT_FOR(atomic_load(&w.closes) == MANY / 2);
    world_tear_down(&w);
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
    h2_client c;
    set_up(&w, &c, (http_options){0});
    h2_answer *a = h2_call(&c, "POST", "/echo", ex_slice_of(body, n));
    assert_int_equal(a->status, 200);
    assert_int_equal(a->body_len, n);
    assert_true(a->body_sum == sum);
    free(body);
    h2_close(&c);
    world_tear_down(&w);
}

static void test_http2_preface_may_come_byte_by_byte(void **state)
{
    (void)state;
    world w;
    http_options o = {0};
    world_set_up(&w, &o);
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
    world_tear_down(&w);
}

/* ---- Limits ---- */

static void test_http2_limits(void **state)
{
    (void)state;
    world w;
    h2_client c;
    set_up(&w, &c,
           (http_options){
               .body_limit_bytes = 1000, .header_limit_bytes = 1000, .body_timeout_ms = 400});
    char big[1500], path[1200];
    memset(big, 'x', sizeof(big));
    memset(path, 'x', sizeof(path));
    memcpy(path, "/show/", 6);
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(h2_call(&c, "POST", "/echo", ex_slice_of(big, 1000))->status, 200);
    assert_int_equal(h2_call(&c, "POST", "/echo", ex_slice_of(big, 1001))->status, 413);
    assert_int_equal(h2_call(&c, "GET", path, EX_S(""))->status, 431);
    int calls = atomic_load(&w.calls);
    assert_int_equal(calls, 1);
    /* a body that never ends: HEADERS without END_STREAM, no DATA */
    nghttp2_nv nva[] = {H2_NV(":method", "POST"), H2_NV(":scheme", "http"), H2_NV(":path", "/echo"),
                        H2_NV(":authority", "here")};
    int32_t id = nghttp2_submit_headers(c.session, 0, -1, NULL, nva, 4, NULL);
    assert_true(id > 0);
    h2_await(&c, &c.answers[id]);
    assert_int_equal(c.answers[id].status, 408);
    assert_true(h2_call(&c, "GET", "/hello", EX_S(""))->status == 200); /* the others go on */
    h2_close(&c);
    world_tear_down(&w);
}

static void test_http2_stream_limit_holds_back_and_refuses(void **state)
{
    (void)state;
    world w;
    h2_client c;
    set_up(&w, &c, (http_options){.h2_streams_limit = 2});
    atomic_store(&w.may_answer, false);
    h2_answer *a[3];
    assert_int_equal(h2_call(&c, "GET", "/hello", EX_S(""))->status, 200); /* SETTINGS are known */
    for (int i = 0; i < 3; i++)
        a[i] = h2_request(&c, "GET", i ? "/quiet" : "/slow", EX_S(""));
    wait_for_body(&c, a[1]);
    assert_int_equal(atomic_load(&w.calls), 3); /* of four: the last stream is held back */
    atomic_store(&w.may_answer, true);
    h2_await(&c, a[0]);
    wait_for_body(&c, a[2]);
    h2_close(&c);
    WAIT_FOR(atomic_load(&w.closes) == 2);
    world_tear_down(&w);
}

static void test_http2_writer_waits_for_the_window(void **state)
{
    (void)state;
    world w;
    http_options o = {.output_limit_bytes = 65536};
    world_set_up(&w, &o);
    h2_client c;
    h2_open(&c, http_server_port(w.server), true);
    h2_answer *a = h2_request(&c, "GET", "/stream?n=100", EX_S(""));
    while (a->body_len < 65535) /* the initial window, then nothing more */
        assert_true(h2_turn(&c));
    WAIT_FOR(atomic_load(&w.was_told_to_stop));
    assert_int_equal(a->body_len, 65535);
    while (!a->is_closed) {
        size_t had = a->body_len;
        assert_int_equal(nghttp2_submit_window_update(c.session, 0, 0, 30000), 0);
        assert_int_equal(nghttp2_submit_window_update(c.session, 0, 1, 30000), 0);
        while (!a->is_closed && a->body_len < had + 30000)
            assert_true(h2_turn(&c));
    }
    assert_int_equal(a->body_len, 100 * 8192);
    assert_int_equal(a->code, NGHTTP2_NO_ERROR);
    h2_close(&c);
    WAIT_FOR(atomic_load(&w.closes) == 1);
    world_tear_down(&w);
}

/* A window that never opens: the stream is reset after the write time-out, the connection stays. */
static void test_http2_resets_a_stream_that_is_never_read(void **state)
{
    (void)state;
    world w;
    http_options o = {.output_limit_bytes = 65536, .write_timeout_ms = 60};
    world_set_up(&w, &o);
    h2_client c;
    h2_open(&c, http_server_port(w.server), true);
    h2_answer *a = h2_request(&c, "GET", "/stream?n=100", EX_S(""));
    h2_await(&c, a);
    assert_int_equal(a->code, NGHTTP2_CANCEL);
    assert_int_equal(a->body_len, 65535);
    WAIT_FOR(atomic_load(&w.closes) == 1);
    assert_int_equal(h2_call(&c, "HEAD", "/hello", EX_S(""))->status, 200);
    h2_close(&c);
    world_tear_down(&w);
}

static void test_http2_closes_idle_connections_with_goaway(void **state)
{
    (void)state;
    world w;
    h2_client c;
    set_up(&w, &c, (http_options){.idle_timeout_ms = 400});
    assert_int_equal(h2_call(&c, "GET", "/hello", EX_S(""))->status, 200);
    h2_expect_goaway(&c, NGHTTP2_NO_ERROR);
    h2_close(&c);
    world_tear_down(&w);
}

/* ---- Clients that leave ---- */

static void test_http2_reset_orphans_the_exchange(void **state)
{
    (void)state;
    world w;
    h2_client c;
    set_up(&w, &c, (http_options){0});
    atomic_store(&w.may_answer, false);
    h2_answer *held = h2_request(&c, "GET", "/slow", EX_S(""));
    h2_answer *still = h2_request(&c, "GET", "/quiet", EX_S(""));
    wait_for_body(&c, still);
    WAIT_FOR(atomic_load(&w.calls) == 2);
    for (int32_t id = 1; id <= 3; id += 2)
        assert_int_equal(nghttp2_submit_rst_stream(c.session, 0, id, NGHTTP2_CANCEL), 0);
    /* answered after the resets were seen */
    assert_int_equal(h2_call(&c, "GET", "/hello", EX_S(""))->status, 200);
    WAIT_FOR(atomic_load(&w.closes) == 1);
    atomic_store(&w.may_answer, true);
    WAIT_FOR(atomic_load(&w.answers) == 1);
    assert_int_equal(atomic_load(&w.orphans), 1);
    assert_int_equal(held->status, 0);
    h2_close(&c);
    world_tear_down(&w);
}

static void test_http2_closed_connection_ends_streams_once(void **state)
{
    (void)state;
    world w;
    h2_client c;
    set_up(&w, &c, (http_options){0});
    h2_answer *a[10];
    for (int i = 0; i < 10; i++)
        a[i] = h2_request(&c, "GET", "/quiet", EX_S(""));
    for (int i = 0; i < 10; i++)
        wait_for_body(&c, a[i]);
    h2_close(&c);
    WAIT_FOR(atomic_load(&w.closes) == 10);
    world_tear_down(&w);
    assert_int_equal(atomic_load(&w.closes), 10);
}

static void test_http2_drain_says_goaway_and_finishes(void **state)
{
    (void)state;
    world w;
    h2_client c;
    set_up(&w, &c, (http_options){0});
    atomic_store(&w.may_answer, false);
    h2_answer *held = h2_request(&c, "GET", "/slow", EX_S(""));
    h2_answer *still = h2_request(&c, "GET", "/quiet", EX_S(""));
    wait_for_body(&c, still);
    WAIT_FOR(atomic_load(&w.calls) == 2);
    http_server_drain(w.server, 1); /* returns with the held one open */
    h2_await(&c, still);
    assert_int_equal(still->code, NGHTTP2_NO_ERROR);
    assert_true(c.has_goaway);
    atomic_store(&w.may_answer, true);
    h2_await(&c, held);
    assert_true(h2_body_is(held, "later"));
    h2_expect_goaway(&c, NGHTTP2_NO_ERROR);
    h2_close(&c);
    world_tear_down(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http2_answers_requests),
        cmocka_unit_test(test_http2_says_continue),
        cmocka_unit_test(test_http2_host_is_the_authority),
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
