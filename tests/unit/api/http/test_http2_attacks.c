/* test_http2_attacks.c: HTTP/2 clients that mean harm: resets, floods, headers without an end; raw
 * frames where nghttp2 would not sin. */
#include "support/h2_client.h"
#include "support/http_world.h"

#include <sys/socket.h>

/* G-042 */
static void test_http2_rapid_reset_is_stopped(void **state)
{
    (void)state;
    world w;
    http_options o = {0};
    world_set_up(&w, &o);
    h2_client c;
    h2_open(&c, http_server_port(w.server), false);
    for (int i = 0; i < 1000 && nghttp2_session_want_read(c.session); i++) {
        (void)h2_request(&c, "GET", "/quiet", EX_S(""));
        if (nghttp2_session_send(c.session))
            break;
        (void)nghttp2_submit_rst_stream(c.session, 0, 2 * i + 1, NGHTTP2_CANCEL);
    }
    h2_expect_goaway(&c, NGHTTP2_ENHANCE_YOUR_CALM);
    assert_true(atomic_load(&w.calls) <= 300);
    WAIT_FOR(atomic_load(&w.closes) == atomic_load(&w.calls));
    h2_close(&c);
    world_tear_down(&w);
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

/* G-042 */
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
    world_set_up(&w, &o);
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
    world_tear_down(&w);
}

/* A header block that is never finished holds up the connection: it is closed. */
static void test_http2_slow_header_block_closes(void **state)
{
    (void)state;
    world w;
    http_options o = {.header_timeout_ms = 50};
    world_set_up(&w, &o);
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
    world_tear_down(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http2_rapid_reset_is_stopped),
        cmocka_unit_test(test_http2_floods_end_with_enhance_your_calm),
        cmocka_unit_test(test_http2_slow_header_block_closes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
