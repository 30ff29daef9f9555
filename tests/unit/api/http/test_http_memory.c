/* test_http_memory.c: what a connection may hold, and memory that runs out at every allocation in
 * turn.
 *
 * Over the mock transport. Whatever fails: no crash, no leak, no exchange left
 * behind, one on_close for each stream (http_mock_close checks). */
#include "support/alloc_fault.h"
#include "support/http_mock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define HOST "Host: a\r\n"

static void play(http_mock *m, ex_slice script, size_t piece)
{
    while (script.len) {
        size_t n = piece < script.len ? piece : script.len;
        http_mock_input(m, ex_slice_of(script.ptr, n));
        script.ptr += n;
        script.len -= n;
    }
    http_mock_answer(m);
    http_mock_eof(m);
}

/* Play with the nth allocation failing, once or for good, until a run needs fewer than n. */
static void torture(ex_slice script, uint64_t calls)
{
    static const http_options options = {.output_limit_bytes = 16384};
    static http_mock m;
    for (int is_sticky = 0; is_sticky < 2; is_sticky++) {
        for (int is_split = 0; is_split < 2; is_split++) {
            uint64_t nth = 0, failed = 1;
            while (failed) {
                http_mock_open(&m, &options);
                alloc_fault_arm(++nth, is_sticky);
                play(&m, script, is_split ? 7 : script.len);
                failed = alloc_fault_disarm();
                assert_true(m.calls <= calls);
                if (!failed)
                    assert_int_equal(m.calls, calls);
                http_mock_close(&m);
            }
            assert_true(nth > 5);
        }
    }
}

static void test_http_memory_http1_survives_any_failing_allocation(void **state)
{
    (void)state;
    torture(EX_S("GET /hello HTTP/1.1\r\n" HOST "\r\n"
                 "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nabcde"
                 "GET /p/%41/b?x=%41 HTTP/1.1\r\n" HOST "X: 1\r\nX: 2\r\n\r\n"
                 "POST /echo HTTP/1.1\r\n" HOST
                 "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
                 "GET /stream HTTP/1.1\r\n" HOST "\r\n"
                 "GET /nothing HTTP/1.1\r\n" HOST "\r\n"
                 "GET /endless HTTP/1.1\r\n" HOST "\r\n"),
            6);
}

static void test_http_memory_pipelined_behind_a_slow_one(void **state)
{
    (void)state;
    torture(EX_S("GET /later HTTP/1.1\r\n" HOST "\r\n"
                 "GET /hello HTTP/1.1\r\n" HOST "\r\n"
                 "GET /hello HTTP/1.1\r\n" HOST "\r\n"),
            3);
}

/* Frames: SETTINGS; GET /hello; GET /stream; GET /endless; POST /echo in two DATA frames. */
static void test_http_memory_http2_survives_any_failing_allocation(void **state)
{
    (void)state;
    static const char script[] = NGHTTP2_CLIENT_MAGIC "\0\0\0\4\0\0\0\0\0"
                                                      "\0\0\x10\1\5\0\0\0\1"
                                                      "\x82\x86\x04\x06/hello\x01\x04here"
                                                      "\0\0\x11\1\5\0\0\0\3"
                                                      "\x82\x86\x04\x07/stream\x01\x04here"
                                                      "\0\0\x12\1\5\0\0\0\5"
                                                      "\x82\x86\x04\x08/endless\x01\x04here"
                                                      "\0\0\x0f\1\4\0\0\0\7"
                                                      "\x83\x86\x04\x05/echo\x01\x04here"
                                                      "\0\0\3\0\0\0\0\0\7"
                                                      "abc"
                                                      "\0\0\3\0\1\0\0\0\7"
                                                      "def";
    torture(EX_S(script), 4);
}

/* A client that pipelines without end and reads nothing: reading stops before the answers pile up.
 */
static void test_http_memory_unread_answers_are_bounded(void **state)
{
    (void)state;
    enum { REQUESTS = 20000 };
    static const http_options options = {.output_limit_bytes = 65536};
    static http_mock m;
    http_mock_open(&m, &options);
    ex_buf text;
    ex_buf_init(&text, 0);
    for (int i = 0; i < REQUESTS; i++)
        ex_buf_put_str(&text, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    m.is_stuck = true;
    size_t at = 0, held = 0;
    for (; at < text.len; at += 10000) {
        bool was_reading = m.is_reading;
        if (!was_reading)
            break;
        size_t n = text.len - at < 10000 ? text.len - at : 10000;
        http_mock_input(&m, ex_slice_of(text.ptr + at, n));
        held = m.conn.out.bytes + m.conn.as.h1.pending.len;
        assert_true(m.conn.out.bytes < 65536 + 1024 && m.conn.as.h1.pending.len < 65536);
    }
    assert_false(m.is_reading);
    assert_true(at < text.len / 2 && held > 65536);
    m.is_stuck = false;
    conn_mark_dirty(&m.conn);
    http_mock_flush(&m);
    assert_true(m.is_reading);
    for (; at < text.len; at += 10000)
        http_mock_input(&m,
                        ex_slice_of(text.ptr + at, text.len - at < 10000 ? text.len - at : 10000));
    assert_int_equal(m.calls, REQUESTS);
    ex_buf_done(&text);
    http_mock_close(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http_memory_unread_answers_are_bounded),
        cmocka_unit_test(test_http_memory_http1_survives_any_failing_allocation),
        cmocka_unit_test(test_http_memory_pipelined_behind_a_slow_one),
        cmocka_unit_test(test_http_memory_http2_survives_any_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
