/* http1.c: HTTP/1.0 and 1.1 on a connection: llhttp behind the strict filter.
 *
 * One request at a time: input behind a request that is being answered waits
 * in `pending` (bounded: reading stops), so pipelined requests are answered in
 * order. A large body waits, unread, until there is memory for it (room.h). The filter decides
 * alone where head and message end; llhttp gets exactly those bytes and must agree on method,
 * framing and end, or the request is refused. Every refusal closes the connection: what follows a
 * malformed request cannot be trusted.
 *
 * Possible failures: a malformed or oversized request (4xx and close), a slow
 * one (408 and close), the client closing early (the exchange is orphaned). */
#include "api/http/room.h"

#include <assert.h>

#define PENDING_HIGH_BYTES  ((size_t)32768)
#define PENDING_LIMIT_BYTES ((size_t)262144) /* high mark and several reads */
#define BODY_FIRST_BYTES    ((size_t)65536)

/* ---- llhttp's side ---- */

static int on_headers_complete(llhttp_t *p)
{
    http_exchange *x = p->data;
    x->parser_head_done = true;
    x->parser_flags = p->flags; /* cleared when the message is complete */
    x->parser_length = p->content_length;
    p->upgrade = 0; /* an offered upgrade is not taken; the message goes on as HTTP/1 */
    return 0;
}

static int on_body(llhttp_t *p, const char *at, size_t n)
{
    http_exchange *x = p->data;
    ex_buf_put(&x->body, ex_slice_of(at, n));
    x->has_body_error = ex_buf_status(&x->body) != EX_OK;
    return x->has_body_error ? -1 : 0;
}

static int on_message_complete(llhttp_t *p)
{
    http_exchange *x = p->data;
    x->parser_message_done = true;
    return 0;
}

static const llhttp_settings_t parser_settings = {
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

static ex_status disagreement(http_exchange *x, ex_error *err)
{
    const char *reason = llhttp_get_error_reason(&x->parser);
    return ex_raise(err, EX_EMALFORMED, "malformed HTTP request: %s",
                    reason ? reason : "ambiguous framing");
}

/* llhttp reads the head that the filter has accepted, and must see the same message. */
static ex_status cross_check_head(http_exchange *x, const http1_head *head, bool has_body,
                                  ex_error *err)
{
    llhttp_init(&x->parser, HTTP_REQUEST, &parser_settings);
    x->parser.data = x;
    llhttp_errno_t rc = llhttp_execute(&x->parser, x->head.ptr, x->head.len);
    if (rc == HPE_INVALID_METHOD) {
        ex_status s = ex_raise(err, EX_EMETHOD, "unknown method");
        if (err)
            err->http_status = 501;
        ex_error_set_code(err, "NOT_IMPLEMENTED");
        return s;
    }
    bool is_chunked = (x->parser_flags & F_CHUNKED) != 0;
    bool has_length = (x->parser_flags & F_CONTENT_LENGTH) != 0;
    bool agrees = rc == HPE_OK && x->parser_head_done && x->parser_message_done == !has_body &&
                  is_chunked == head->is_chunked && has_length == head->has_length &&
                  x->parser.http_minor == head->minor &&
                  ex_slice_is(head->method, llhttp_method_name(x->parser.method)) &&
                  (!has_length || x->parser_length == head->content_length);
    return agrees ? EX_OK : disagreement(x, err);
}

/* ---- Reading ---- */

static void refuse(http_conn *c, http_exchange *x, const ex_error *err)
{
    timer_stop(&c->timer);
    exchange_refuse(x, err);
}

static http_exchange *begin_request(http_conn *c)
{
    http_exchange *x = exchange_new(c->core, c);
    if (!x)
        return NULL;
    http1_filter_init(&x->filter);
    c->as.h1.x = x;
    conn_set_timeout(c, TIMEOUT_HEADER);
    return x;
}

static void message_done(http_conn *c, http_exchange *x)
{
    timer_stop(&c->timer);
    exchange_dispatch(x);
}

static ex_status refuse_connect(ex_error *err)
{
    ex_status s = ex_raise(err, EX_EMETHOD, "CONNECT is not served here");
    if (err)
        err->http_status = 501;
    ex_error_set_code(err, "NOT_IMPLEMENTED");
    return s;
}

static ex_status admit_body(http_conn *c, http_exchange *x, ex_error *err)
{
    size_t expected = x->body_length < BODY_FIRST_BYTES ? x->body_length : BODY_FIRST_BYTES;
    conn_set_timeout(c, TIMEOUT_BODY);
    if (!ex_buf_reserve(&x->body, expected))
        return ex_raise(err, EX_ENOMEM, "request body");
    exchange_count(x);
    if (x->says_continue) {
        conn_put_str(c, "HTTP/1.1 100 Continue\r\n\r\n");
        conn_mark_dirty(c);
    }
    return EX_OK;
}

/* A large one that has no room waits. What came with its head, a read or two, is not charged: it
 * would take the room that it waits for. So only some may wait. */
static ex_status begin_body(http_conn *c, http_exchange *x, ex_error *err)
{
    budget_level level = exchange_claim_body(x, x->body_length);
    if (!level)
        return admit_body(c, x, err);
    if (x->body_length <= BUDGET_SMALL_BYTES || c->core->waiting_bodies >= WAITING_BODIES_MAX)
        return exchange_raise_full(x, level, err);
    exchange_count(x);
    room_wait(x);
    conn_set_timeout(c, TIMEOUT_ROOM);
    return EX_OK;
}

static ex_status head_done(http_conn *c, http_exchange *x, bool has_more, ex_error *err)
{
    http1_head head;
    if (ex_buf_status(&x->head))
        return ex_raise(err, EX_ENOMEM, "request head");
    ex_status s =
        http1_head_parse(x->head.ptr, x->head.len, &c->core->limits, &x->arena, &head, err);
    exchange_method(x, head.method);
    x->minor = head.minor;
    if (s)
        return s;
    if (ex_slice_eq(head.method, EX_S("CONNECT"))) /* llhttp reads its target in another way */
        return refuse_connect(err);
    x->is_in_body = http1_filter_begin_body(&x->filter, &head);
    if ((s = cross_check_head(x, &head, x->is_in_body, err)))
        return s;
    x->target = head.target;
    x->fields = head.fields;
    x->field_count = head.field_count;
    x->keep_alive = head.keep_alive;
    if ((s = exchange_head_done(x, err)))
        return s;
    if (!x->is_in_body) {
        exchange_count(x);
        return EX_OK;
    }
    x->says_continue = head.expects_continue && !has_more;
    x->body_length = head.content_length ? (size_t)head.content_length : 1; /* chunked: not known */
    return begin_body(c, x, err);
}

/* Returns how much of `in` was used; x may be gone afterwards. */
static size_t read_head(http_conn *c, http_exchange *x, ex_slice in)
{
    size_t used = 0;
    ex_error err;
    filter_result r = http1_filter_head(&x->filter, &c->core->limits, in, &used, &err);
    if (r == FILTER_BAD) {
        refuse(c, x, &err);
        return in.len;
    }
    ex_buf_put(&x->head, ex_slice_of(in.ptr, used));
    if (r == FILTER_MORE) {
        exchange_count(x);
        budget_level level = budget_check(x->account, BUDGET_OPERATOR, 0);
        if (!level)
            return used;
        (void)exchange_raise_full(x, level, &err);
        refuse(c, x, &err);
        return in.len;
    }
    if (head_done(c, x, used < in.len, &err)) {
        refuse(c, x, &err);
        return in.len;
    }
    if (!x->is_in_body)
        message_done(c, x);
    return used;
}

static size_t read_body(http_conn *c, http_exchange *x, ex_slice in)
{
    size_t used = 0;
    ex_error err;
    bool is_extension;
    filter_result r =
        http1_filter_piece(&x->filter, &c->core->limits, in, &used, &is_extension, &err);
    if (r == FILTER_BAD) {
        refuse(c, x, &err);
        return in.len;
    }
    budget_level level = exchange_claim_body(x, x->body.len + used);
    if (level) { /* a chunked one; those with a length have room */
        (void)exchange_raise_full(x, level, &err);
        refuse(c, x, &err);
        return in.len;
    }
    llhttp_errno_t rc = is_extension ? HPE_OK : llhttp_execute(&x->parser, in.ptr, used);
    if (x->has_body_error)
        (void)ex_raise(&err, ex_buf_status(&x->body), "request body");
    else if (rc != HPE_OK || x->parser_message_done != (r == FILTER_MESSAGE_END))
        (void)disagreement(x, &err);
    else if (r == FILTER_MORE)
        return used;
    else {
        message_done(c, x);
        return used;
    }
    refuse(c, x, &err);
    return in.len;
}

bool http1_is_waiting(const http_conn *c)
{
    const http_exchange *x = c->as.h1.x;
    return x && x->state == EXCHANGE_READING && link_is_listed(&x->waiting);
}

/* Not while a request is answered or waits for room, nor while the client leaves too many answers
 * unread. */
static bool may_read(const http_conn *c)
{
    const http_exchange *x = c->as.h1.x;
    if (c->state != CONN_OPEN || c->wants_close || (x && x->state != EXCHANGE_READING) ||
        http1_is_waiting(c))
        return false;
    size_t unsent = conn_unsent(c);
    return unsent == 0 ||
           (unsent < c->core->shared->options.output_limit_bytes && conn_has_share(c, 1));
}

static size_t consume(http_conn *c, ex_slice in)
{
    size_t at = 0;
    while (at < in.len && may_read(c)) {
        http_exchange *x = c->as.h1.x ? c->as.h1.x : begin_request(c);
        if (!x) { /* out of memory before there is anything to answer with */
            conn_close_after_output(c);
            break;
        }
        ex_slice rest = ex_slice_of(in.ptr + at, in.len - at);
        at += x->is_in_body ? read_body(c, x, rest) : read_head(c, x, rest);
    }
    return c->wants_close ? in.len : at;
}

static void pause_reading(http_conn *c, bool pause)
{
    if (pause == c->is_reading_paused)
        return;
    c->is_reading_paused = pause;
    c->transport->set_reading(c, !pause);
}

static void refuse_waiting(http_conn *c, http_exchange *x)
{
    ex_error err;
    budget_level level = exchange_claim_body(x, x->body_length);
    room_stop_waiting(x);
    (void)exchange_raise_full(x, level ? level : BUDGET_SERVER, &err);
    refuse(c, x, &err);
}

/* There is no memory for input that cannot be read yet: what is being answered is the last. */
static void shed_input(http_conn *c)
{
    http_exchange *x = c->as.h1.x;
    ex_buf_done(&c->as.h1.pending);
    c->as.h1.is_shedding = true;
    if (x && x->state != EXCHANGE_READING)
        x->keep_alive = false;
    else
        conn_close_after_output(c);
}

static void http1_input(http_conn *c, ex_slice in)
{
    ex_buf *pending = &c->as.h1.pending;
    if (c->as.h1.is_shedding)
        return;
    if (pending->limit_bytes == 0)
        ex_buf_init(pending, PENDING_LIMIT_BYTES);
    size_t used = pending->len ? 0 : consume(c, in);
    if (used == in.len) {
        if (http1_is_waiting(c))
            pause_reading(c, true);
        return;
    }
    ex_buf_put(pending, ex_slice_of(in.ptr + used, in.len - used));
    conn_count(c);
    if (ex_buf_status(pending))
        conn_close_after_output(c); /* out of memory */
    else if (!http1_is_waiting(c) && budget_check(c->account, BUDGET_WAITING, 0))
        shed_input(c);
    else
        pause_reading(c, pending->len >= PENDING_HIGH_BYTES || http1_is_waiting(c));
    conn_mark_dirty(c);
}

void http1_resume_body(http_exchange *x)
{
    http_conn *c = x->conn;
    ex_error err;
    if (exchange_claim_body(x, x->body_length))
        return;
    room_stop_waiting(x);
    if (admit_body(c, x, &err))
        refuse(c, x, &err);
    pause_reading(c, c->as.h1.pending.len >= PENDING_HIGH_BYTES);
    conn_mark_dirty(c); /* what came with the head is read when it wakes */
}

static void http1_wake(http_conn *c)
{
    ex_buf *pending = &c->as.h1.pending;
    if (pending->len && may_read(c)) {
        size_t used = consume(c, ex_buf_slice(pending));
        memmove(pending->ptr, pending->ptr + used, pending->len - used);
        pending->len -= used;
        if (pending->len == 0)
            ex_buf_done(pending);
        pause_reading(c, pending->len >= PENDING_HIGH_BYTES);
    }
    if (may_read(c) && (c->has_eof || (c->core->is_draining && !c->as.h1.x)))
        conn_close_after_output(c); /* nothing more can become, or should become, a request */
}

static void http1_eof(http_conn *c)
{
    http_exchange *x = c->as.h1.x;
    bool is_working = x && x->state == EXCHANGE_HANDLING && x->on_gone;
    if (x && x->state == EXCHANGE_STREAMING)
        conn_lost(c); /* nobody listens to the stream any more */
    else
        conn_mark_dirty(c); /* what was asked is still answered, unless it takes long: */
    if (is_working)
        conn_set_timeout(c, TIMEOUT_GONE); /* few clients half-close, many go away */
}

/* ---- Answering ---- */

static void put_field(http_conn *c, const char *name, ex_slice value)
{
    conn_put_str(c, name);
    conn_put(c, EX_S(": "));
    conn_put(c, value);
    conn_put(c, EX_S("\r\n"));
}

static void put_head(http_conn *c, http_exchange *x, const char *content_type)
{
    if (c->core->is_draining || c->has_eof)
        x->keep_alive = x->keep_alive && c->as.h1.pending.len > 0;
    conn_put(c, EX_S("HTTP/1.1 "));
    output_put_u64(&c->out, &c->core->blocks, (uint64_t)x->status);
    conn_put(c, EX_S(" "));
    conn_put_str(c, http_reason(x->status));
    conn_put(c, EX_S("\r\n"));
    if (content_type)
        put_field(c, "content-type", ex_str(content_type));
    for (const extra_header *h = x->extra; h; h = h->next)
        put_field(c, h->field.name.ptr, h->field.value);
    put_field(c, "x-request-id", http_request_id(x));
    put_field(c, "date", ex_slice_of(c->core->date, sizeof(c->core->date) - 1));
    if (!x->keep_alive)
        conn_put(c, EX_S("connection: close\r\n"));
    else if (x->minor == 0)
        conn_put(c, EX_S("connection: keep-alive\r\n"));
}

/* The connection is free for the next request. */
static void release(http_conn *c, bool keep_alive)
{
    c->as.h1.x = NULL;
    if (keep_alive)
        conn_set_timeout(c, TIMEOUT_IDLE);
    else
        conn_close_after_output(c);
    conn_mark_dirty(c);
}

static void http1_respond(http_exchange *x, const char *content_type, ex_slice body)
{
    http_conn *c = x->conn;
    bool has_body = x->status != 204 && x->status != 304;
    put_head(c, x, content_type);
    if (has_body) {
        conn_put(c, EX_S("content-length: "));
        output_put_u64(&c->out, &c->core->blocks, body.len);
        conn_put(c, EX_S("\r\n"));
    }
    conn_put(c, EX_S("\r\n"));
    if (has_body && x->method != HTTP_HEAD_)
        conn_put(c, body);
    if (body.len >= OUTPUT_BLOCK_BYTES)
        conn_count(c); /* before what it was made from is given back */
    release(c, x->keep_alive);
    exchange_answered(x);
}

static void http1_stream_begin(http_exchange *x, const char *content_type)
{
    http_conn *c = x->conn;
    if (x->minor == 0)
        x->keep_alive = false; /* the end of the connection is the end of the body */
    put_head(c, x, content_type);
    conn_put(c, x->minor == 0 ? EX_S("\r\n") : EX_S("transfer-encoding: chunked\r\n\r\n"));
    conn_mark_dirty(c);
    if (c->has_eof || x->method == HTTP_HEAD_) {
        release(c, x->keep_alive && !c->has_eof);
        exchange_close_later(x);
    }
}

static bool http1_stream_write(http_exchange *x, ex_slice bytes)
{
    static const char digits[] = "0123456789abcdef";
    http_conn *c = x->conn;
    const http_options *o = &c->core->shared->options;
    if (conn_unsent(c) >= o->output_limit_bytes) {
        c->out.has_failed = true; /* the handler did not stop when it was told to */
        conn_mark_dirty(c);
        return false;
    }
    if (x->minor > 0) {
        char size[20];
        size_t at = sizeof(size);
        size[--at] = '\n';
        size[--at] = '\r';
        for (size_t n = bytes.len; n; n >>= 4)
            size[--at] = digits[n & 15];
        conn_put(c, ex_slice_of(size + at, sizeof(size) - at));
    }
    conn_put(c, bytes);
    if (x->minor > 0)
        conn_put(c, EX_S("\r\n"));
    conn_mark_dirty(c);
    return conn_unsent(c) <= stream_high_bytes(c->core);
}

static void http1_stream_end(http_exchange *x)
{
    http_conn *c = x->conn;
    if (x->minor > 0)
        conn_put(c, EX_S("0\r\n\r\n"));
    release(c, x->keep_alive && !c->core->is_draining);
    exchange_close_later(x);
}

static void http1_drained(http_conn *c)
{
    if (c->as.h1.x && conn_unsent(c) <= stream_low_bytes(c->core))
        exchange_drained(c->as.h1.x);
}

/* ---- Ending ---- */

static void http1_drain(http_conn *c)
{
    http_exchange *x = c->as.h1.x;
    if (!x && c->as.h1.pending.len == 0)
        conn_close_after_output(c);
    else if (x && x->state == EXCHANGE_STREAMING)
        http_stream_end(x);
}

static void http1_lost(http_conn *c)
{
    http_exchange *x = c->as.h1.x;
    c->as.h1.x = NULL;
    ex_buf_done(&c->as.h1.pending);
    if (x)
        exchange_orphan(x);
}

static void http1_timed_out(http_conn *c, int kind)
{
    http_exchange *x = c->as.h1.x;
    ex_error err;
    if (kind == TIMEOUT_GONE && x) {
        exchange_gone(x);
        return;
    }
    if (kind == TIMEOUT_ROOM && x) {
        refuse_waiting(c, x);
        return;
    }
    if (kind == TIMEOUT_IDLE || !x) {
        conn_close_after_output(c);
        return;
    }
    assert(x->state == EXCHANGE_READING);
    (void)ex_raise(&err, EX_ETIMEOUT, "the request %s took too long",
                   kind == TIMEOUT_HEADER ? "head" : "body");
    err.http_status = 408;
    ex_error_set_code(&err, "REQUEST_TIMEOUT");
    exchange_refuse(x, &err);
}

const conn_protocol http1_protocol = {
    .name = "http/1.1",
    .input = http1_input,
    .eof = http1_eof,
    .wake = http1_wake,
    .drained = http1_drained,
    .drain = http1_drain,
    .lost = http1_lost,
    .timed_out = http1_timed_out,
    .respond = http1_respond,
    .stream_begin = http1_stream_begin,
    .stream_write = http1_stream_write,
    .stream_end = http1_stream_end,
};
