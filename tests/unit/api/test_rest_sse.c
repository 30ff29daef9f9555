/* test_rest_sse.c: following the log over server-sent events, on real sockets (R-06-14 to R-06-16).
 */
#include "support/api_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define SSE      "Accept: text/event-stream\r\n"

/* One open event stream, past its connected frame. */
typedef struct follower {
    http_client c;
    http_reply head;
    http_event e;
} follower;

static void follow(follower *f, const api_server *s, const char *path, const char *headers)
{
    char lines[512];
    memset(f, 0, sizeof(*f));
    (void)snprintf(lines, sizeof(lines), SSE "%s", headers ? headers : "");
    assert_true(http_client_open(&f->c, s->port));
    assert_true(http_client_request(&f->c, "GET", path, lines, EX_S("")));
    assert_true(http_client_begin_stream(&f->c, &f->head));
    assert_int_equal(f->head.status, 200);
    assert_true(
        ex_slice_starts(http_reply_header(&f->head, "content-type"), EX_S("text/event-stream")));
    assert_true(ex_slice_is(http_reply_header(&f->head, "cache-control"), "no-cache"));
    assert_true(http_client_next_event(&f->c, &f->e));
    assert_string_equal(f->e.event, "connected");
    assert_string_equal(f->e.id, "");
}

static void unfollow(follower *f)
{
    http_client_close(&f->c);
    http_reply_done(&f->head);
    http_event_done(&f->e);
}

static void next(follower *f)
{
    if (!http_client_next_event(&f->c, &f->e))
        fail_msg("the stream ended, or nothing came for ten seconds");
}

/* The next frame is this stored event; its data is the event itself. */
static void expect_event(follower *f, const char *type, uint64_t id, const char *stream,
                         json_int_t version)
{
    char text[32];
    next(f);
    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)id);
    assert_string_equal(f->e.event, type);
    assert_string_equal(f->e.id, text);
    json_t *json = json_loadb(f->e.data.ptr, f->e.data.len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    assert_string_equal(api_text(json, "type"), type);
    assert_string_equal(api_text(json, "stream"), stream);
    assert_int_equal(api_int(json, "version"), version);
    json_decref(json);
}

static void expect_caught_up(follower *f, json_int_t position)
{
    next(f);
    assert_string_equal(f->e.event, "caught-up");
    assert_string_equal(f->e.id, "");
    json_t *json = json_loadb(f->e.data.ptr, f->e.data.len, 0, NULL);
    assert_int_equal(api_int(json, "position"), position);
    json_decref(json);
}

static void start(api_server *s, bool in_memory)
{
    api_server_options o = {.in_memory = in_memory};
    api_server_start(s, &o);
}

/* ---- Catching up and following ---- */

static void check_catch_up_then_live(bool in_memory)
{
    api_server s;
    follower f;
    start(&s, in_memory);
    api_append(&s, "a-1", "A", 3, 0);
    follow(&f, &s, "/v1/events", NULL);
    for (uint64_t i = 1; i <= 3; i++)
        expect_event(&f, "A", i, "a-1", (json_int_t)i);
    expect_caught_up(&f, 3);
    api_append(&s, "b-1", "B", 2, 0);
    expect_event(&f, "B", 4, "b-1", 1);
    expect_event(&f, "B", 5, "b-1", 2);
    unfollow(&f);
    api_server_stop(&s);
}

static void test_sse_catches_up_then_lives(void **state)
{
    (void)state;
    check_catch_up_then_live(true);
    check_catch_up_then_live(false);
}

/* For EventSource.onmessage, which gets no frame that has a name; tests/e2e/test_browser.sh has a
 * real one (issue 9, item 10). (G-903) */
static void test_sse_unnamed_frames(void **state)
{
    (void)state;
    static const char *const paths[] = {"/v1/events?frames=unnamed",
                                        "/v1/streams/a-1?frames=unnamed"};
    api_server s;
    start(&s, true);
    api_append(&s, "a-1", "A", 2, 0);
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        follower f;
        follow(&f, &s, paths[i], NULL);
        for (json_int_t n = 1; n <= 2; n++) {
            next(&f);
            assert_string_equal(f.e.event, "");
            assert_int_equal(atoi(f.e.id), n);
            json_t *json = json_loadb(f.e.data.ptr, f.e.data.len, 0, NULL);
            assert_string_equal(api_text(json, "type"), "A");
            json_decref(json);
        }
        expect_caught_up(&f, 2);
        unfollow(&f);
    }
    static const api_refusal rows[] = {
        {"other word", "GET", "/v1/events?frames=x", SSE, NULL, 400, "INVALID_INPUT", "frames"},
        {"of a page", "GET", "/v1/events?frames=unnamed", NULL, NULL, 400, "INVALID_INPUT",
         "frames"},
    };
    api_expect_refusals(&s, rows, 2);
    api_server_stop(&s);
}

static void test_sse_head_answers_as_get_would(void **state)
{
    (void)state;
    static const char *const paths[] = {"/v1/events", "/v1/streams/a-1", "/v1/events?after=head"};
    api_server s;
    start(&s, true);
    api_append(&s, "a-1", "A", 2, 0);
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        api_answer a = api_call(&s, "HEAD", paths[i], SSE, NULL);
        assert_int_equal(a.status, 200);
        assert_true(ex_slice_is(http_reply_header(&a.reply, "content-type"), "text/event-stream"));
        assert_true(ex_slice_is(http_reply_header(&a.reply, "cache-control"), "no-cache"));
        assert_null(http_reply_header(&a.reply, "content-length").ptr); /* it has no end */
        api_answer_done(&a);
    }
    api_expect(&s, "HEAD", "/v1/events?after=9", SSE, NULL, 409);
    api_server_stop(&s);
}

static void test_sse_starting_points(void **state)
{
    static const struct {
        const char *path, *headers;
        uint64_t first;
    } cases[] = {
        {"/v1/events", NULL, 1},
        {"/v1/events?after=0", NULL, 1},
        {"/v1/events?after=3", NULL, 4},
        {"/v1/events?after=5", NULL, 6},
        {"/v1/events?after=head", NULL, 6},
        {"/v1/events", "Last-Event-ID: 2\r\n", 3},
        {"/v1/events?after=4", "Last-Event-ID: 2\r\n", 3}, /* the header wins */
        {"/v1/streams/a-1", NULL, 1},
        {"/v1/streams/a-1?from=4", NULL, 4},
        {"/v1/streams/a-1?from=4", "Last-Event-ID: 1\r\n", 2},
        {"/v1/streams/a-1?from=6", NULL, 6},
    };
    (void)state;
    api_server s;
    start(&s, true);
    api_append(&s, "a-1", "A", 5, 0);
    for (size_t i = 0; i < COUNT(cases); i++) {
        follower f;
        follow(&f, &s, cases[i].path, cases[i].headers);
        for (uint64_t n = cases[i].first; n <= 5; n++)
            expect_event(&f, "A", n, "a-1", (json_int_t)n);
        expect_caught_up(&f, 5);
        unfollow(&f);
    }
    api_server_stop(&s);
}

/* One stream: ids are versions, and one that does not exist yet is waited for. */
static void test_sse_one_stream(void **state)
{
    (void)state;
    api_server s;
    follower f;
    start(&s, false);
    api_append(&s, "other-1", "O", 2, 0);
    follow(&f, &s, "/v1/streams/later-1", NULL);
    expect_caught_up(&f, 2);
    api_append(&s, "other-1", "O", 2, 0);
    api_append(&s, "later-1", "L", 2, 0);
    expect_event(&f, "L", 1, "later-1", 1);
    expect_event(&f, "L", 2, "later-1", 2);
    unfollow(&f);
    follow(&f, &s, "/v1/streams/later-1", "Last-Event-ID: 1\r\n");
    expect_event(&f, "L", 2, "later-1", 2);
    unfollow(&f);
    api_server_stop(&s);
}

static void test_sse_filters_on_the_server(void **state)
{
    (void)state;
    api_server s;
    follower f;
    start(&s, true);
    api_append(&s, "a-1", "A", 2, 0);
    api_append(&s, "b-1", "B", 1, 0);
    follow(&f, &s, "/v1/events?types=B,C&streams=b-1", NULL);
    expect_event(&f, "B", 3, "b-1", 1);
    expect_caught_up(&f, 3);
    api_append(&s, "a-1", "B", 1, 0);
    api_append(&s, "b-1", "D", 1, 0);
    api_append(&s, "b-1", "C", 1, 0);
    expect_event(&f, "C", 6, "b-1", 3);
    unfollow(&f);
    api_server_stop(&s);
}

/* R-ES-16, followed: from the log, and live from the ring. */
static void test_sse_follows_a_correlation_id(void **state)
{
    (void)state;
    static const char flow[] = "X-Correlation-ID: flow-1\r\n";
    static const char one[] = "{\"events\":[{\"type\":\"A\",\"data\":1}]}";
    api_server s;
    follower f;
    start(&s, true);
    api_append(&s, "a-1", "A", 2, 0);
    api_expect(&s, "POST", "/v1/streams/a-1", flow, one, 201);
    follow(&f, &s, "/v1/events?correlation_id=flow-1", NULL);
    expect_event(&f, "A", 3, "a-1", 3);
    expect_caught_up(&f, 3);
    api_append(&s, "a-1", "A", 1, 0);
    api_expect(&s, "POST", "/v1/streams/b-1", flow, one, 201);
    expect_event(&f, "A", 5, "b-1", 1);
    unfollow(&f);
    api_server_stop(&s);
}

/* Data over several lines arrives whole. */
static void test_sse_data_with_line_breaks(void **state)
{
    (void)state;
    api_server s;
    follower f;
    start(&s, true);
    api_expect(&s, "POST", "/v1/streams/a-1", NULL,
               "{\"events\":[{\"type\":\"A\",\"data\":{\r\n\"x\":\n[1,\r2]}}]}", 201);
    follow(&f, &s, "/v1/events", NULL);
    expect_event(&f, "A", 1, "a-1", 1);
    ex_buf_put_char(&f.e.data, '\0');
    assert_non_null(strstr(f.e.data.ptr, "\"data\":{\n\"x\":\n[1,\n2]}"));
    unfollow(&f);
    api_server_stop(&s);
}

static void test_sse_heartbeat_when_quiet(void **state)
{
    (void)state;
    api_server s;
    api_server_options o = {.in_memory = true, .api = {.sse_heartbeat_ms = 20}};
    follower f;
    api_server_start(&s, &o);
    follow(&f, &s, "/v1/events", NULL);
    expect_caught_up(&f, 0);
    for (int i = 0; i < 3; i++) {
        next(&f);
        assert_string_equal(f.e.event, "heartbeat");
        assert_string_equal(f.e.id, "");
        json_t *json = json_loadb(f.e.data.ptr, f.e.data.len, 0, NULL);
        assert_true(api_int(json, "timestamp") > 1500000000000);
        json_decref(json);
    }
    unfollow(&f);
    api_server_stop(&s);
}

/* ---- Slow readers ---- */

#define FLOOD 6000

/* A client that does not read while far more is written than ring and sockets hold: it goes back to
 * the log and gets every event once, in order. */
static void check_slow_reader(bool in_memory, const char *path)
{
    api_server s;
    api_server_options o = {
        .in_memory = in_memory,
        .store = {.ring_limit_bytes = 64 << 10, .durability = EX_DURABILITY_NORMAL},
        .http = {.output_limit_bytes = 64 << 10}};
    follower f;
    unsigned caught_up = 0;
    api_server_start(&s, &o);
    api_append(&s, "a-1", "A", 1, 0);
    follow(&f, &s, path, NULL);
    expect_event(&f, "A", 1, "a-1", 1);
    expect_caught_up(&f, 1);
    api_append(&s, "a-1", "A", FLOOD, 1500);
    for (uint64_t want = 2; want <= FLOOD + 1; want++) {
        do {
            next(&f);
            caught_up += strcmp(f.e.event, "caught-up") == 0;
        } while (f.e.id[0] == '\0');
        if (strtoull(f.e.id, NULL, 10) != want)
            fail_msg("event %s came where %llu was due", f.e.id, (unsigned long long)want);
    }
    while (caught_up == 0) { /* the return to live is announced, perhaps behind the last event */
        next(&f);
        caught_up += strcmp(f.e.event, "caught-up") == 0;
    }
    api_append(&s, "a-1", "A", 1, 0);
    do
        next(&f);
    while (f.e.id[0] == '\0');
    assert_int_equal(strtoull(f.e.id, NULL, 10), FLOOD + 2);
    unfollow(&f);
    api_server_stop(&s);
}

/* G-041 */
static void test_sse_slow_reader_loses_and_repeats_nothing(void **state)
{
    (void)state;
    check_slow_reader(true, "/v1/events");
    check_slow_reader(false, "/v1/events");
    check_slow_reader(true, "/v1/streams/a-1");
}

/* One that never reads does not hold up another. (G-041) */
static void test_sse_stuck_reader_disturbs_nobody(void **state)
{
    (void)state;
    api_server s;
    api_server_options o = {.in_memory = true, .http = {.output_limit_bytes = 64 << 10}};
    follower stuck, f;
    api_server_start(&s, &o);
    follow(&stuck, &s, "/v1/events", NULL);
    api_append(&s, "a-1", "A", FLOOD, 1500);
    follow(&f, &s, "/v1/events?after=head", NULL);
    expect_caught_up(&f, FLOOD);
    api_append(&s, "b-1", "B", 1, 0);
    expect_event(&f, "B", FLOOD + 1, "b-1", 1);
    unfollow(&f);
    unfollow(&stuck);
    api_server_stop(&s);
}

/* ---- Connections ---- */

static void test_sse_connection_limit(void **state)
{
    (void)state;
    api_server s;
    api_server_options o = {.in_memory = true, .api = {.sse_connection_limit = 2}};
    follower a, b;
    api_server_start(&s, &o);
    follow(&a, &s, "/v1/events", NULL);
    follow(&b, &s, "/v1/streams/x", NULL);
    api_answer refused = api_call(&s, "GET", "/v1/events", SSE, NULL);
    assert_int_equal(refused.status, 503);
    assert_string_equal(api_text(refused.json, "code"), "TOO_MANY_STREAMS");
    api_answer_done(&refused);
    unfollow(&a);
    for (bool is_free = false; !is_free;) { /* until the server has seen the close */
        http_client c;
        http_reply r;
        assert_true(http_client_open(&c, s.port));
        assert_true(http_client_request(&c, "GET", "/v1/events", SSE, EX_S("")));
        assert_true(http_client_begin_stream(&c, &r));
        is_free = r.status == 200;
        http_client_close(&c);
        http_reply_done(&r);
    }
    unfollow(&b);
    api_server_stop(&s);
}

#define FOLLOWERS 40

static void test_sse_many_followers_see_all(void **state)
{
    (void)state;
    api_server s;
    api_server_options o = {.in_memory = true, .http = {.loops = 2}};
    follower *f = calloc(FOLLOWERS, sizeof(*f));
    assert_non_null(f);
    api_server_start(&s, &o);
    api_append(&s, "a-1", "A", 50, 0);
    for (size_t i = 0; i < FOLLOWERS; i++)
        follow(&f[i], &s, "/v1/events", NULL);
    api_append(&s, "a-1", "A", 50, 0);
    for (size_t i = 0; i < FOLLOWERS; i++)
        for (uint64_t want = 1; want <= 100;) {
            next(&f[i]);
            if (f[i].e.id[0] == '\0')
                continue;
            assert_int_equal(strtoull(f[i].e.id, NULL, 10), want);
            want++;
        }
    for (size_t i = 0; i < FOLLOWERS; i++)
        unfollow(&f[i]);
    free(f);
    api_server_stop(&s);
}

/* Clients that come and go while events are written leave nothing behind (ASan watches). */
static void test_sse_clients_come_and_go(void **state)
{
    (void)state;
    api_server s;
    start(&s, false);
    for (int i = 0; i < 60; i++) {
        follower f;
        api_append(&s, "a-1", "A", 20, 200);
        follow(&f, &s, "/v1/events", NULL);
        if (i % 3)
            expect_event(&f, "A", 1, "a-1", 1);
        unfollow(&f);
    }
    api_server_stop(&s);
}

/* Draining ends open streams; the client sees an end, not a broken connection. */
static void test_sse_ends_with_the_server(void **state)
{
    (void)state;
    api_server s;
    follower f;
    start(&s, true);
    follow(&f, &s, "/v1/events", NULL);
    expect_caught_up(&f, 0);
    api_server_stop(&s);
    assert_false(http_client_next_event(&f.c, &f.e));
    unfollow(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sse_catches_up_then_lives),
        cmocka_unit_test(test_sse_unnamed_frames),
        cmocka_unit_test(test_sse_head_answers_as_get_would),
        cmocka_unit_test(test_sse_starting_points),
        cmocka_unit_test(test_sse_one_stream),
        cmocka_unit_test(test_sse_filters_on_the_server),
        cmocka_unit_test(test_sse_follows_a_correlation_id),
        cmocka_unit_test(test_sse_data_with_line_breaks),
        cmocka_unit_test(test_sse_heartbeat_when_quiet),
        cmocka_unit_test(test_sse_slow_reader_loses_and_repeats_nothing),
        cmocka_unit_test(test_sse_stuck_reader_disturbs_nobody),
        cmocka_unit_test(test_sse_connection_limit),
        cmocka_unit_test(test_sse_many_followers_see_all),
        cmocka_unit_test(test_sse_clients_come_and_go),
        cmocka_unit_test(test_sse_ends_with_the_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
