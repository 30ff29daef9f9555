/* http2_answer.c: see http2_answer.h.
 *
 * nghttp2 asks for a body when the windows are open (read_body); while there is none it defers the
 * stream, and whoever writes resumes it. */
#include "api/http/http2_answer.h"

#include "api/http/room.h"

#include <stdio.h>

/* A stream of which the client takes nothing for too long is reset. */
static void watch_stream(http_exchange *x)
{
    if (x->out.bytes == 0)
        timer_stop(&x->timer);
    else
        timer_start(&x->core->timeouts[TIMEOUT_STREAM_WRITE], &x->timer, x->core->now_ms);
}

static ssize_t read_body(nghttp2_session *session, int32_t stream_id, uint8_t *buf, size_t room,
                         uint32_t *flags, nghttp2_data_source *source, void *ctx)
{
    (void)session, (void)stream_id, (void)ctx;
    http_exchange *x = source->ptr;
    if (x->out.has_failed)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    size_t n = output_take(&x->out, &x->core->blocks, buf, room);
    if (n) {
        watch_stream(x);
        exchange_count(x);
    }
    if (x->out.bytes == 0 && x->state == EXCHANGE_ENDED)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    else if (n == 0) {
        x->is_deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    return (ssize_t)n;
}

/* Headers of HTTP/1 connections have no place in HTTP/2. */
static bool is_connection_header(ex_slice name)
{
    static const char *const names[] = {"connection", "keep-alive", "proxy-connection",
                                        "transfer-encoding", "upgrade"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (ex_slice_is(name, names[i]))
            return true;
    return false;
}

static void put_nv(nghttp2_nv *nva, size_t *n, const char *name, ex_slice value)
{
    nva[(*n)++] = (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                               .namelen = strlen(name),
                               .value = (uint8_t *)(uintptr_t)value.ptr,
                               .valuelen = value.len};
}

/* length < 0: unknown. */
static void submit_head(http_exchange *x, const char *content_type, int64_t length, bool has_body)
{
    http_conn *c = x->conn;
    nghttp2_session *session = c->as.h2.session;
    size_t room = 5, n = 0;
    char status[12], length_text[24];
    for (const extra_header *h = x->extra; h; h = h->next)
        room++;
    nghttp2_nv *nva = ex_arena_array(&x->arena, room, sizeof(*nva));
    int rc = NGHTTP2_ERR_NOMEM;
    if (nva) {
        (void)snprintf(status, sizeof(status), "%d", x->status);
        put_nv(nva, &n, ":status", ex_str(status));
        if (content_type)
            put_nv(nva, &n, "content-type", ex_str(content_type));
        for (const extra_header *h = x->extra; h; h = h->next)
            if (!is_connection_header(h->field.name))
                put_nv(nva, &n, h->field.name.ptr, h->field.value);
        put_nv(nva, &n, "x-request-id", http_request_id(x));
        put_nv(nva, &n, "date", ex_slice_of(c->core->date, sizeof(c->core->date) - 1));
        if (length >= 0) {
            (void)snprintf(length_text, sizeof(length_text), "%lld", (long long)length);
            put_nv(nva, &n, "content-length", ex_str(length_text));
        }
        nghttp2_data_provider body = {.source.ptr = x, .read_callback = read_body};
        rc = nghttp2_submit_response(session, x->stream_id, nva, n, has_body ? &body : NULL);
    }
    if (rc)
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, x->stream_id,
                                        NGHTTP2_INTERNAL_ERROR); /* fails only without memory */
    conn_mark_dirty(c);
}

void http2_respond(http_exchange *x, const char *content_type, ex_slice body)
{
    bool may_have_body = x->status != 204 && x->status != 304;
    bool has_body = may_have_body && body.len > 0 && x->method != HTTP_HEAD_;
    if (has_body) {
        output_put(&x->out, &x->core->blocks, body);
        watch_stream(x);
    }
    size_t length = body.len;
    http2_built(x);
    if (x->body.cap > OUTPUT_BLOCK_BYTES)
        ex_buf_done(&x->body); /* the answer may wait for long */
    exchange_count(x);
    http_settle_room(x, 0);
    submit_head(x, content_type, may_have_body ? (int64_t)length : -1, has_body);
}

void http2_stream_begin(http_exchange *x, const char *content_type)
{
    bool has_body = x->method != HTTP_HEAD_;
    http2_built(x);
    x->conn->as.h2.long_count -= x->is_long; /* its length is up to what comes */
    x->is_long = false;
    if (!has_body)
        x->state = EXCHANGE_ENDED; /* on_close comes with the end of the stream */
    submit_head(x, content_type, -1, has_body);
}

static void resume(http_exchange *x)
{
    if (x->is_deferred)
        (void)nghttp2_session_resume_data(x->conn->as.h2.session, x->stream_id); /* it waits */
    x->is_deferred = false;
    conn_mark_dirty(x->conn);
}

bool http2_stream_write(http_exchange *x, ex_slice bytes)
{
    http_core *core = x->core;
    if (x->out.bytes >= core->shared->options.output_limit_bytes) {
        x->out.has_failed = true; /* the handler did not stop when it was told to */
        resume(x);
        return false;
    }
    if (x->out.bytes == 0)
        timer_start(&core->timeouts[TIMEOUT_STREAM_WRITE], &x->timer, core->now_ms);
    output_put(&x->out, &core->blocks, bytes);
    exchange_count(x);
    resume(x);
    return x->out.bytes <= stream_high_bytes(core);
}

void http2_stream_end(http_exchange *x)
{
    resume(x);
}

void http2_drained(http_conn *c)
{
    http2_state *h2 = &c->as.h2;
    for (http_link *l = h2->exchanges.next, *next; l != &h2->exchanges; l = next) {
        next = l->next;
        http_exchange *x = LINK_OWNER(l, http_exchange, link);
        if (x->wants_drain && x->out.bytes <= stream_low_bytes(c->core))
            exchange_drained(x);
    }
    http2_resume_parked(c);
}
