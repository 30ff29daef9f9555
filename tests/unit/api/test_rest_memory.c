/* test_rest_memory.c: the surface when clients hold as many bytes as they may (issue 8, items 9 and
 * 16): who is still answered, and followers that read nothing. */
#include "support/api_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define KIB ((size_t)1024)

static int64_t metric(const api_server *s, const char *name)
{
    ex_buf text;
    ex_buf_init(&text, 0);
    ex_metrics_write(s->metrics, &text);
    ex_buf_put_char(&text, '\0');
    const char *at = strstr(text.ptr, name);
    assert_non_null(at);
    int64_t n = strtoll(at + strlen(name), NULL, 10);
    ex_buf_done(&text);
    return n;
}

#define WAIT_FOR(condition)                                                                        \
    do {                                                                                           \
        int waited = 0;                                                                            \
        while (!(condition) && waited++ < 10000)                                                   \
            (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);                         \
        assert_true(condition);                                                                    \
    } while (0)

/* G-400, G-404 */
static void test_operators_are_answered_when_memory_is_used_up(void **state)
{
    enum { SLOW = 64 };
    (void)state;
    api_server s;
    http_client slow[SLOW];
    api_server_options o = {.in_memory = true,
                            .http = {.body_limit_bytes = 256 << 10,
                                     .memory_limit_bytes = 1 << 20,
                                     .address_percent = 100}};
    api_server_start(&s, &o);
    int count = 0, status = 200;
    for (; count < SLOW && status != 503; count++) { /* bodies that do not arrive */
        char head[160];
        http_reply r;
        int n = snprintf(head, sizeof(head),
                         "POST /v1/streams/slow HTTP/1.1\r\nhost: x\r\ncontent-type: "
                         "application/json\r\ncontent-length: 60000\r\n\r\n");
        assert_true(http_client_open(&slow[count], s.port));
        assert_true(http_client_send(&slow[count], ex_slice_of(head, (size_t)n)));
        assert_true(http_call(s.port, "GET", "/v1/events", NULL, EX_S(""), &r));
        status = r.status;
        http_reply_done(&r);
    }
    assert_int_equal(status, 503);
    api_expect(&s, "GET", "/health/live", NULL, NULL, 200);
    api_expect(&s, "GET", "/health/ready", NULL, NULL, 200);
    api_expect(&s, "GET", "/v1/status", NULL, NULL, 200);
    api_expect(&s, "GET", "/metrics", NULL, NULL, 200);
    assert_true(metric(&s, "\nexcore_http_memory_refused_total{level=\"server\"} ") > 0);
    while (count > 0)
        http_client_close(&slow[--count]);
    WAIT_FOR(metric(&s, "\nexcore_http_memory_bytes ") == 0);
    api_expect(&s, "GET", "/v1/events", NULL, NULL, 200);
    api_server_stop(&s);
}

/* G-405 */
static void test_followers_that_read_nothing_are_bounded(void **state)
{
    enum { FOLLOWERS = 40, EVENTS = 120 };
    (void)state;
    api_server s;
    http_client c[FOLLOWERS], reader;
    http_reply r;
    http_event e = {0};
    api_server_options o = {.in_memory = true,
                            .http = {.body_limit_bytes = 512 << 10,
                                     .memory_limit_bytes = 2 << 20,
                                     .address_percent = 100,
                                     .write_timeout_ms = 400}};
    api_server_start(&s, &o);
    for (int i = 0; i < FOLLOWERS; i++) {
        assert_true(http_client_open(&c[i], s.port));
        assert_true(http_client_request(&c[i], "GET", "/v1/events", "accept: text/event-stream\r\n",
                                        EX_S("")));
    }
    for (int i = 0; i < EVENTS; i++)
        api_append(&s, "big", "Big", 1, 64 * KIB);
    WAIT_FOR(metric(&s, "\nexcore_http_memory_waiting ") > 0);
    assert_true(metric(&s, "\nexcore_http_memory_bytes ") <= (int64_t)(2048 * KIB));
    /* One that reads gets everything, at the latest when the others were closed for reading
     * nothing. */
    assert_true(http_client_open(&reader, s.port));
    assert_true(http_client_request(&reader, "GET", "/v1/events", "accept: text/event-stream\r\n",
                                    EX_S("")));
    assert_true(http_client_begin_stream(&reader, &r));
    assert_int_equal(r.status, 200);
    http_reply_done(&r);
    for (int seen = 0; seen < EVENTS;) {
        assert_true(http_client_next_event(&reader, &e));
        seen += strcmp(e.event, "Big") == 0;
    }
    http_event_done(&e);
    http_client_close(&reader);
    for (int i = 0; i < FOLLOWERS; i++)
        http_client_close(&c[i]);
    api_server_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operators_are_answered_when_memory_is_used_up),
        cmocka_unit_test(test_followers_that_read_nothing_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
