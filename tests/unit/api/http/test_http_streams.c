/* test_http_streams.c: streamed answers, slow readers, and how connections and the server end. */
#include "support/http_world.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- Streams ---- */

static void test_http_streams_streams_with_backpressure(void **state)
{
    (void)state;
    world w;
    http_client c;
    http_reply r;
    world_open(&w, &c, (http_options){.output_limit_bytes = 65536});
    assert_true(http_client_request(&c, "GET", "/stream?n=2000", NULL, EX_S("")));
    WAIT_FOR(atomic_load(&w.was_told_to_stop));
    assert_true(http_client_read(&c, &r));
    assert_int_equal(r.body.len, 2000 * 8192);
    assert_true(atomic_load(&w.drains) > 0);
    WAIT_FOR(atomic_load(&w.closes) == 1);
    http_reply_done(&r);
    expect_hello(&c); /* still usable */
    world_close(&w, &c);
    assert_int_equal(atomic_load(&w.closes), 1);
}

static void test_http_streams_reads_events_of_a_stream(void **state)
{
    (void)state;
    world w;
    http_client c;
    http_reply r;
    http_event e = {0};
    world_open(&w, &c, (http_options){0});
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
    world_tear_down(&w);
    assert_int_equal(atomic_load(&w.closes), 1);
}

/* A client that never reads: the writer is told to stop, then the write time-out closes. */
static void test_http_streams_closes_a_client_that_never_reads(void **state)
{
    (void)state;
    world w;
    http_client c;
    world_open(&w, &c, (http_options){.write_timeout_ms = 100, .output_limit_bytes = 65536});
    assert_true(http_client_request(&c, "GET", "/stream", NULL, EX_S("")));
    WAIT_FOR(atomic_load(&w.was_told_to_stop));
    WAIT_FOR(atomic_load(&w.closes) == 1);
    world_close(&w, &c);
    assert_int_equal(atomic_load(&w.closes), 1);
}

/* A client that reads slowly, but reads, is kept, however long it takes. */
static void test_http_streams_keeps_a_slow_reader(void **state)
{
    (void)state;
    world w;
    http_client c;
    world_open(&w, &c, (http_options){.write_timeout_ms = 800, .output_limit_bytes = 65536});
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
    world_tear_down(&w);
}

static void test_http_streams_cuts_a_stream_that_does_not_stop(void **state)
{
    (void)state;
    world w;
    http_client c;
    world_open(&w, &c, (http_options){.output_limit_bytes = 65536});
    assert_true(http_client_request(&c, "GET", "/flood", NULL, EX_S("")));
    WAIT_FOR(atomic_load(&w.calls) == 1 && atomic_load(&w.closes) == 1);
    world_close(&w, &c);
    assert_int_equal(atomic_load(&w.closes), 1);
}

/* ---- Ending ---- */

static void test_http_streams_answer_after_the_client_left_is_dropped(void **state)
{
    (void)state;
    world w;
    http_client c;
    world_open(&w, &c, (http_options){0});
    atomic_store(&w.may_answer, false);
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
    world_tear_down(&w);
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

static void test_http_streams_drain_finishes_answers_and_ends_streams(void **state)
{
    (void)state;
    world w;
    http_options o = {.loops = 2};
    world_set_up(&w, &o);
    atomic_store(&w.may_answer, false);
    uint16_t port = http_server_port(w.server);
    http_client idle, busy, streaming;
    http_reply r;
    assert_true(http_client_open(&idle, port) && http_client_open(&busy, port) &&
                http_client_open(&streaming, port));
    expect_hello(&idle);
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
    world_tear_down(&w);
}

/* Stop closes everything at once, but waits for the handlers, whose exchanges are its memory. */
static void test_http_streams_stop_closes_connections_and_waits_for_handlers(void **state)
{
    (void)state;
    world w;
    http_options o = {0};
    world_set_up(&w, &o);
    atomic_store(&w.may_answer, false);
    http_client busy, streaming;
    assert_true(http_client_open(&busy, http_server_port(w.server)));
    assert_true(http_client_open(&streaming, http_server_port(w.server)));
    assert_true(http_client_request(&busy, "GET", "/slow", NULL, EX_S("")));
    assert_true(http_client_request(&streaming, "GET", "/quiet", NULL, EX_S("")));
    WAIT_FOR(atomic_load(&w.calls) == 2);
    http_server_drain(w.server, 20); /* the slow one does not make it */
    atomic_store(&w.may_answer, true);
    world_tear_down(&w);
    assert_int_equal(atomic_load(&w.answers), 1);
    assert_int_equal(atomic_load(&w.closes), 1);
    http_client_close(&busy);
    http_client_close(&streaming);
}

static void test_http_streams_start_names_what_is_wrong(void **state)
{
    (void)state;
    world w;
    http_options o = {.loops = 2};
    world_set_up(&w, &o);
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
    world_tear_down(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http_streams_streams_with_backpressure),
        cmocka_unit_test(test_http_streams_reads_events_of_a_stream),
        cmocka_unit_test(test_http_streams_closes_a_client_that_never_reads),
        cmocka_unit_test(test_http_streams_keeps_a_slow_reader),
        cmocka_unit_test(test_http_streams_cuts_a_stream_that_does_not_stop),
        cmocka_unit_test(test_http_streams_answer_after_the_client_left_is_dropped),
        cmocka_unit_test(test_http_streams_drain_finishes_answers_and_ends_streams),
        cmocka_unit_test(test_http_streams_stop_closes_connections_and_waits_for_handlers),
        cmocka_unit_test(test_http_streams_start_names_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
