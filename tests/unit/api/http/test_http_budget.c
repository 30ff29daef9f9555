/* test_http_budget.c: how many bytes clients may make the server hold, and what becomes of those
 * who come at the limit (issue 8, item 9). With a real process: tests/crash/test_server_memory.c.
 */
#include "api/http/budget.h"

#include "support/h2_client.h"
#include "support/http_world.h"

#include <stdlib.h>
#include <sys/socket.h>

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

/* ---- The sums ---- */

static const unsigned char here[BUDGET_KEY_BYTES] = {1}, there[BUDGET_KEY_BYTES] = {2};

static void test_budget_counts_at_three_levels(void **state)
{
    (void)state;
    budget b;
    budget_init(&b, 800 * KIB, 50, 100 * KIB);
    budget_account *one = budget_open(&b, here), *two = budget_open(&b, here),
                   *other = budget_open(&b, there);
    assert_true(one->address == two->address && one->address != other->address);
    budget_charge(one, 200 * KIB);
    budget_charge(two, 90 * KIB);
    assert_int_equal(budget_check(one, BUDGET_LARGE, 20 * KIB),
                     BUDGET_ADDRESS); /* 300 KiB at all */
    assert_int_equal(budget_check(one, BUDGET_SMALL, 20 * KIB), BUDGET_FREE);
    assert_int_equal(budget_check(other, BUDGET_LARGE, 20 * KIB), BUDGET_FREE);
    budget_charge(other, 310 * KIB);
    assert_int_equal(budget_check(other, BUDGET_LARGE, 0), BUDGET_SERVER);
    assert_int_equal(budget_check(other, BUDGET_SMALL, 80 * KIB), BUDGET_FREE);
    budget_charge(two, 250 * KIB);
    assert_int_equal(budget_check(other, BUDGET_SMALL, 0), BUDGET_SERVER);
    assert_int_equal(budget_check(other, BUDGET_OPERATOR, 0), BUDGET_FREE);
    assert_int_equal(budget_take(other, 1), 0);
    budget_release(one, 200 * KIB);
    budget_release(two, 340 * KIB);
    budget_release(other, 310 * KIB);
    budget_unref(one);
    budget_unref(two);
    budget_unref(other);
    budget_done(&b);
}

static void test_budget_leaves_some_for_who_comes_later(void **state)
{
    enum { GREEDY = 20 };
    budget_account *a[GREEDY + 1];
    budget b;
    (void)state;
    budget_init(&b, 64 * MIB, 100, 16 * MIB);
    for (int i = 0; i < GREEDY; i++) {
        a[i] = budget_open(&b, NULL);
        while (budget_used(a[i]) < budget_share(a[i]))
            assert_true(budget_take(a[i], MIB) > 0);
    }
    a[GREEDY] = budget_open(&b, NULL);
    size_t got = budget_take(a[GREEDY], MIB);
    assert_true(got >= 256 * KIB);
    for (int i = 0; i <= GREEDY; i++) {
        budget_release(a[i], budget_used(a[i]));
        budget_unref(a[i]);
    }
    budget_done(&b);
}

/* ---- Bodies ---- */

/* A body of 256 KiB is charged 512 KiB while it arrives; 768 KiB may be begun. */
static const http_options small = {
    .body_limit_bytes = 256 << 10, .memory_limit_bytes = 1 << 20, .address_percent = 100};

static void send_head(http_client *c, uint16_t port, size_t length)
{
    char head[128];
    assert_true(http_client_open(c, port));
    int n = snprintf(head, sizeof(head),
                     "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: %zu\r\n\r\n", length);
    assert_true(http_client_send(c, ex_slice_of(head, (size_t)n)));
}

static void send_bytes(http_client *c, size_t n)
{
    static const char block[256 << 10];
    assert_true(http_client_send(c, ex_slice_of(block, n)));
}

static void expect_echo(http_client *c, size_t length)
{
    http_reply r;
    assert_true(http_client_read(c, &r));
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body.len, length);
    http_reply_done(&r);
}

static void expect_overloaded(http_client *c)
{
    http_reply r;
    assert_true(http_client_read(c, &r));
    assert_int_equal(r.status, 503);
    assert_true(ex_slice_is(http_reply_header(&r, "retry-after"), "1"));
    assert_true(ex_slice_is(http_reply_header(&r, "content-type"), "application/problem+json"));
    http_reply_done(&r);
}

static int64_t waiting(const world *w)
{
    ex_buf text;
    ex_buf_init(&text, 0);
    ex_metrics_write(w->metrics, &text);
    ex_buf_put_char(&text, '\0');
    const char *at = strstr(text.ptr, "\nexcore_http_memory_waiting ");
    assert_non_null(at);
    int64_t n = strtoll(strchr(at, ' '), NULL, 10);
    ex_buf_done(&text);
    return n;
}

static void test_http1_body_waits_until_there_is_room(void **state)
{
    (void)state;
    world w;
    http_options o = small;
    http_client first, second, third;
    world_set_up(&w, &o);
    uint16_t port = http_server_port(w.server);
    send_head(&first, port, 256 * KIB);
    send_bytes(&first, 1);
    send_head(&second, port, 255 * KIB); /* no room while the first one arrives */
    WAIT_FOR(waiting(&w) == 1);
    assert_true(http_client_open(&third, port));
    expect_hello(&third); /* small ones pass by */
    send_bytes(&first, 256 * KIB - 1);
    expect_echo(&first, 256 * KIB);
    send_bytes(&second, 255 * KIB);
    expect_echo(&second, 255 * KIB);
    assert_int_equal(waiting(&w), 0);
    http_client_close(&first);
    http_client_close(&second);
    http_client_close(&third);
    world_tear_down(&w);
}

static void test_http1_bodies_wait_in_limited_number(void **state)
{
    enum { WAITING = 64 };
    (void)state;
    world w;
    http_options o = small;
    http_client first, over, c[WAITING];
    world_set_up(&w, &o);
    uint16_t port = http_server_port(w.server);
    send_head(&first, port, 256 * KIB);
    send_bytes(&first, 1);
    for (int i = 0; i < WAITING; i++)
        send_head(&c[i], port, 255 * KIB);
    WAIT_FOR(waiting(&w) == WAITING);
    send_head(&over, port, 255 * KIB);
    send_bytes(&over, 255 * KIB); /* sent in vain; the answer arrives all the same */
    expect_overloaded(&over);
    assert_true(http_client_is_closed(&over));
    http_client_close(&over);
    http_client_close(&first); /* its room goes to the oldest */
    for (int i = 0; i < WAITING; i++) {
        if (i == 0) {
            send_bytes(&c[i], 255 * KIB);
            expect_echo(&c[i], 255 * KIB);
        }
        http_client_close(&c[i]);
    }
    world_tear_down(&w);
}

static void test_http1_chunked_body_is_refused_when_there_is_no_room(void **state)
{
    (void)state;
    world w;
    http_options o = small;
    http_client first, second;
    world_set_up(&w, &o);
    uint16_t port = http_server_port(w.server);
    send_head(&first, port, 256 * KIB);
    send_bytes(&first, 1);
    assert_true(http_client_open(&second, port));
    assert_true(http_client_send_text(
        &second, "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n32000\r\n"));
    send_bytes(&second, 200 * KIB);
    expect_overloaded(&second);
    http_client_close(&first);
    http_client_close(&second);
    world_tear_down(&w);
}

static void test_http2_body_is_refused_and_the_connection_goes_on(void **state)
{
    static const char text[200 << 10];
    (void)state;
    world w;
    http_options o = small;
    http_client first;
    h2_client c;
    world_set_up(&w, &o);
    send_head(&first, http_server_port(w.server), 256 * KIB);
    send_bytes(&first, 1);
    h2_open(&c, http_server_port(w.server), false);
    assert_true(h2_body_is(h2_call(&c, "GET", "/hello", EX_S("")), "hello"));
    const h2_answer *a = h2_call(&c, "POST", "/echo", ex_slice_of(text, sizeof(text)));
    assert_int_equal(a->status, 503);
    http_client_close(&first);
    WAIT_FOR(h2_call(&c, "POST", "/echo", ex_slice_of(text, sizeof(text)))->status == 200);
    h2_close(&c);
    world_tear_down(&w);
}

/* G-403: the largest body that is allowed is admitted whatever the limits say. */
static void test_http_largest_body_fits(void **state)
{
    (void)state;
    world w;
    http_options o = {.body_limit_bytes = 256 << 10,
                      .memory_limit_bytes = 1,
                      .address_percent = 1,
                      .connection_memory_bytes = 1};
    http_client c;
    world_set_up(&w, &o);
    send_head(&c, http_server_port(w.server), 256 * KIB);
    send_bytes(&c, 256 * KIB);
    expect_echo(&c, 256 * KIB);
    http_client_close(&c);
    world_tear_down(&w);
}

/* ---- Control frames ---- */

/* Broken requests make the server send resets; a client that reads none of them, and has not
 * acknowledged the settings, must not make it queue them without end. */
static void test_http2_queued_resets_are_limited(void **state)
{
    static const char block[] = "\x82\x86\x84\x01\x04here\x00\x01 \x01x"; /* a header named " " */
    (void)state;
    world w;
    http_options o = {0};
    http_client c;
    ex_buf out;
    world_set_up(&w, &o);
    ex_buf_init(&out, 0);
    ex_buf_put(&out, EX_S(NGHTTP2_CLIENT_MAGIC));
    ex_buf_put(&out, ex_slice_of("\0\0\0\4\0\0\0\0\0", 9)); /* SETTINGS */
    for (uint32_t i = 0; i < 100000; i++) {
        uint32_t id = 2 * i + 1;
        const char head[9] = {0,
                              0,
                              (char)(sizeof(block) - 1),
                              NGHTTP2_HEADERS,
                              5,
                              (char)(id >> 24),
                              (char)(id >> 16),
                              (char)(id >> 8),
                              (char)id};
        ex_buf_put(&out, ex_slice_of(head, sizeof(head)));
        ex_buf_put(&out, ex_slice_of(block, sizeof(block) - 1));
    }
    assert_int_equal(ex_buf_status(&out), EX_OK);
    assert_true(http_client_open(&c, http_server_port(w.server)));
    (void)http_client_send(&c, ex_buf_slice(&out)); /* the server may close before all is sent */
    char got[4096];
    ssize_t n;
    bool has_goaway = false;
    while ((n = recv(c.fd, got, sizeof(got), 0)) > 0)
        for (ssize_t i = 0; i + 3 < n; i++)
            has_goaway = has_goaway || (got[i] == 0 && got[i + 1] == 0 && got[i + 2] == 8 &&
                                        got[i + 3] == NGHTTP2_GOAWAY);
    assert_true(has_goaway || n < 0);
    ex_buf_done(&out);
    http_client_close(&c);
    world_tear_down(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_budget_counts_at_three_levels),
        cmocka_unit_test(test_budget_leaves_some_for_who_comes_later),
        cmocka_unit_test(test_http1_body_waits_until_there_is_room),
        cmocka_unit_test(test_http1_bodies_wait_in_limited_number),
        cmocka_unit_test(test_http1_chunked_body_is_refused_when_there_is_no_room),
        cmocka_unit_test(test_http2_body_is_refused_and_the_connection_goes_on),
        cmocka_unit_test(test_http_largest_body_fits),
        cmocka_unit_test(test_http2_queued_resets_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
