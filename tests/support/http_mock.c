/* http_mock.c: a connection whose socket is a buffer. */
#include "support/http_mock.h"

#include <stdio.h>
#include <stdlib.h>

#define FLUSH_ROUNDS_MAX 100000
#define SENT_BYTES_MAX   ((size_t)64 << 20)
#define ENDLESS_WRITES   64

#define MOCK_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static http_mock *mock_of(const http_conn *c)
{
    return LINK_OWNER(c, http_mock, conn);
}

/* ---- The transport ---- */

static bool flush(http_conn *c)
{
    http_mock *m = mock_of(c);
    size_t n = m->take_bytes && m->take_bytes < c->out.bytes ? m->take_bytes : c->out.bytes;
    if (n == 0 || m->is_stuck)
        return true;
    MOCK_CHECK(!m->is_shut_down && !m->is_closed);
    if (!ex_buf_reserve(&m->sent, n))
        return false;
    MOCK_CHECK(output_take(&c->out, &c->core->blocks, m->sent.ptr + m->sent.len, n) == n);
    m->sent.len += n;
    c->given_bytes += n;
    return true;
}

static size_t queued(const http_conn *c)
{
    (void)c;
    return 0;
}

static void set_reading(http_conn *c, bool on)
{
    mock_of(c)->is_reading = on;
}

static void shut_down(http_conn *c)
{
    MOCK_CHECK(!mock_of(c)->is_closed);
    mock_of(c)->is_shut_down = true;
}

static void close_conn(http_conn *c)
{
    MOCK_CHECK(!mock_of(c)->is_closed);
    mock_of(c)->is_closed = true;
}

static ex_slice peer(const http_conn *c, char *out, size_t size)
{
    (void)c, (void)out, (void)size;
    return EX_S("mock");
}

static const conn_transport mock_transport = {
    .flush = flush,
    .queued = queued,
    .unacked = queued,
    .set_reading = set_reading,
    .shutdown = shut_down,
    .close = close_conn,
    .peer = peer,
};

/* ---- Handlers ---- */

static void mix(http_mock *m, ex_slice s)
{
    for (size_t i = 0; i < s.len; i++)
        m->calls_hash = (m->calls_hash ^ (unsigned char)s.ptr[i]) * 1099511628211u;
    m->calls_hash = (m->calls_hash ^ s.len) * 1099511628211u;
}

static http_mock *note_call(http_exchange *x, void *ctx)
{
    http_mock *m = ctx;
    m->calls++;
    m->calls_hash = (m->calls_hash ^ (uint64_t)http_request_method(x)) * 1099511628211u;
    mix(m, http_request_path(x));
    mix(m, http_request_body(x));
    mix(m, http_header(x, "host"));
    mix(m, http_header(x, "x"));
    ex_slice name, value;
    for (size_t at = 0; http_query_next(x, &at, &name, &value);) {
        mix(m, name);
        mix(m, value);
    }
    return m;
}

static void hello(http_exchange *x, void *ctx)
{
    (void)note_call(x, ctx);
    http_respond(x, 200, "text/plain", EX_S("hello"));
}

static void echo(http_exchange *x, void *ctx)
{
    (void)note_call(x, ctx);
    http_respond(x, 200, "application/octet-stream", http_request_body(x));
}

typedef struct mock_stream {
    http_mock *mock;
    http_exchange *x;
    int left;
} mock_stream;

static void on_close(void *ctx)
{
    mock_stream *s = ctx;
    s->mock->closes++;
    free(s);
}

static void on_drain(void *ctx)
{
    mock_stream *s = ctx;
    static const char block[4096];
    while (s->left-- > 0 && http_stream_write(s->x, ex_slice_of(block, sizeof(block))))
        continue;
}

/* NULL: out of memory, and answered so. */
static mock_stream *begin(http_exchange *x, void *ctx, int left)
{
    http_mock *m = note_call(x, ctx);
    mock_stream *s = calloc(1, sizeof(*s));
    if (!s) {
        http_respond(x, 503, NULL, EX_S(""));
        return NULL;
    }
    *s = (mock_stream){.mock = m, .x = x, .left = left};
    m->begun++;
    http_stream_begin(x, 200, "text/event-stream", on_drain, on_close, s);
    return s;
}

static void stream(http_exchange *x, void *ctx)
{
    if (!begin(x, ctx, 0))
        return;
    (void)http_stream_write(x, EX_S("data: 1\n\n"));
    (void)http_stream_write(x, EX_S("data: 2\n\n"));
    http_stream_end(x);
}

static void endless(http_exchange *x, void *ctx)
{
    mock_stream *s = begin(x, ctx, ENDLESS_WRITES);
    if (s)
        on_drain(s);
}

static void later(http_exchange *x, void *ctx)
{
    http_mock *m = note_call(x, ctx);
    if (m->later_count < HTTP_MOCK_LATER_MAX)
        m->later[m->later_count++] = x;
    else
        http_respond(x, 503, NULL, EX_S(""));
}

/* ---- Driving ---- */

void http_mock_open(http_mock *m, const http_options *options)
{
    const http_route routes[] = {
        {HTTP_GET_, "/hello", hello, m},     {HTTP_POST_, "/echo", echo, m},
        {HTTP_GET_, "/stream", stream, m},   {HTTP_GET_, "/endless", endless, m},
        {HTTP_GET_, "/later", later, m},     {HTTP_POST_, "/later", later, m},
        {HTTP_GET_, "/p/{a}/{b}", hello, m}, {HTTP_PUT_, "/p/{a}", echo, m},
    };
    memset(m, 0, sizeof(*m));
    m->is_reading = true;
    ex_buf_init(&m->sent, SENT_BYTES_MAX);
    MOCK_CHECK(http_shared_init(&m->shared, options, routes, sizeof(routes) / sizeof(routes[0]),
                                NULL) == EX_OK);
    MOCK_CHECK(http_core_init(&m->core, &m->shared, NULL, NULL) == EX_OK);
    m->core.now_ms = 1000;
    conn_init(&m->conn, &m->core, &mock_transport);
}

void http_mock_flush(http_mock *m)
{
    int rounds = 0;
    bool has_more = true;
    while (has_more && rounds++ < FLUSH_ROUNDS_MAX) {
        has_more = http_core_flush(&m->core);
        if (!m->is_closed && m->conn.out.bytes && !m->is_stuck) {
            conn_mark_dirty(&m->conn);
            has_more = true;
        }
    }
    MOCK_CHECK(!has_more);
}

void http_mock_input(http_mock *m, ex_slice bytes)
{
    if (m->is_closed || !m->is_reading)
        return;
    conn_input(&m->conn, bytes);
    http_mock_flush(m);
}

void http_mock_eof(http_mock *m)
{
    if (m->is_closed)
        return;
    conn_eof(&m->conn);
    http_mock_flush(m);
}

void http_mock_answer(http_mock *m)
{
    while (m->later_count) { /* answering lets pipelined requests in */
        http_exchange *x = m->later[--m->later_count];
        http_respond(x, 200, "text/plain", EX_S("later"));
        http_mock_flush(m);
    }
}

void http_mock_pass(http_mock *m, uint64_t ms)
{
    http_core_tick(&m->core, m->core.now_ms + ms);
    http_mock_flush(m);
}

void http_mock_close(http_mock *m)
{
    http_core_close_all(&m->core);
    http_mock_flush(m);
    http_mock_answer(m);
    MOCK_CHECK(m->is_closed && m->core.conn_count == 0);
    MOCK_CHECK(m->core.exchange_count == 0);
    MOCK_CHECK(m->closes == m->begun);
    MOCK_CHECK(atomic_load(&m->shared.inflight) == 0);
    http_core_done(&m->core);
    http_shared_done(&m->shared);
    ex_buf_done(&m->sent);
}
