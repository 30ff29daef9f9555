/* h2_client.c: see h2_client.h. */
#include "support/h2_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define STREAMS_MAX 4096

static ssize_t on_send(nghttp2_session *s, const uint8_t *data, size_t n, int flags, void *ctx)
{
    (void)s, (void)flags;
    h2_client *c = ctx;
    return http_client_send(&c->raw, ex_slice_of(data, n)) ? (ssize_t)n
                                                           : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_client_header(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *name,
                            size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                            void *ctx)
{
    (void)s, (void)flags, (void)value_len;
    h2_client *c = ctx;
    h2_answer *a = &c->answers[f->hd.stream_id];
    ex_slice n = ex_slice_of(name, name_len);
    if (ex_slice_is(n, ":status"))
        a->status = atoi((const char *)value);
    a->has_connection = a->has_connection || ex_slice_is(n, "connection");
    a->has_extra = a->has_extra || ex_slice_is(n, "x-extra");
    return 0;
}

static int on_client_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *data,
                          size_t n, void *ctx)
{
    (void)s, (void)flags;
    h2_answer *a = &((h2_client *)ctx)->answers[id];
    for (size_t i = 0; i < n; i++) {
        if (a->body_len + i < sizeof(a->body))
            a->body[a->body_len + i] = (char)data[i];
        a->body_sum = a->body_sum * 31 + data[i];
    }
    a->body_len += n;
    return 0;
}

static int on_client_close(nghttp2_session *s, int32_t id, uint32_t code, void *ctx)
{
    (void)s;
    h2_client *c = ctx;
    c->answers[id].is_closed = true;
    c->answers[id].code = code;
    c->closed_streams++;
    return 0;
}

static int on_client_frame(nghttp2_session *s, const nghttp2_frame *f, void *ctx)
{
    (void)s;
    h2_client *c = ctx;
    if (f->hd.type == NGHTTP2_GOAWAY) {
        c->has_goaway = true;
        c->goaway_code = f->goaway.error_code;
    }
    return 0;
}

void h2_open(h2_client *c, uint16_t port, bool is_manual)
{
    memset(c, 0, sizeof(*c));
    c->answers = calloc(STREAMS_MAX, sizeof(h2_answer));
    assert_true(http_client_open(&c->raw, port));
    nghttp2_session_callbacks *cb;
    nghttp2_option *option;
    assert_int_equal(nghttp2_session_callbacks_new(&cb), 0);
    assert_int_equal(nghttp2_option_new(&option), 0);
    nghttp2_option_set_no_auto_window_update(option, is_manual);
    nghttp2_session_callbacks_set_send_callback(cb, on_send);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_client_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_client_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_client_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_client_frame);
    assert_int_equal(nghttp2_session_client_new2(&c->session, cb, c, option), 0);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(cb);
    assert_int_equal(nghttp2_submit_settings(c->session, 0, NULL, 0), 0);
}

void h2_close(h2_client *c)
{
    nghttp2_session_del(c->session);
    http_client_close(&c->raw);
    free(c->answers);
}

bool h2_turn(h2_client *c)
{
    static uint8_t buf[65536];
    if (nghttp2_session_send(c->session))
        return false;
    ssize_t n = recv(c->raw.fd, buf, sizeof(buf), 0);
    if (n <= 0)
        return false;
    assert_true(nghttp2_session_mem_recv(c->session, buf, (size_t)n) >= 0);
    return nghttp2_session_send(c->session) == 0;
}

ssize_t h2_on_upload(nghttp2_session *s, int32_t id, uint8_t *buf, size_t room, uint32_t *flags,
                     nghttp2_data_source *source, void *ctx)
{
    (void)s, (void)source;
    ex_slice *left = &((h2_client *)ctx)->answers[id].upload;
    size_t n = left->len < room ? left->len : room;
    memcpy(buf, left->ptr, n);
    left->ptr += n;
    left->len -= n;
    if (left->len == 0)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

h2_answer *h2_request(h2_client *c, const char *method, const char *path, ex_slice body)
{
    nghttp2_nv nva[] = {H2_NV(":method", method),
                        H2_NV(":scheme", "http"),
                        H2_NV(":path", path),
                        H2_NV(":authority", "localhost"),
                        H2_NV("x-test", "one"),
                        H2_NV("x-test", "two"),
                        H2_NV("content-type", "application/json")};
    nghttp2_data_provider upload = {.read_callback = h2_on_upload};
    int32_t id = nghttp2_submit_request(c->session, NULL, nva, body.len ? 7 : 6,
                                        body.len ? &upload : NULL, NULL);
    assert_true(id > 0 && id < STREAMS_MAX);
    c->answers[id].upload = body;
    return &c->answers[id];
}

void h2_await(h2_client *c, const h2_answer *a)
{
    while (!a->is_closed)
        assert_true(h2_turn(c));
}

h2_answer *h2_call(h2_client *c, const char *method, const char *path, ex_slice body)
{
    h2_answer *a = h2_request(c, method, path, body);
    h2_await(c, a);
    return a;
}

bool h2_body_is(const h2_answer *a, const char *text)
{
    return a->body_len == strlen(text) && memcmp(a->body, text, a->body_len) == 0;
}

void h2_expect_goaway(h2_client *c, uint32_t code)
{
    while (h2_turn(c))
        continue;
    assert_true(c->has_goaway);
    assert_int_equal(c->goaway_code, code);
}
