/* http2.c: HTTP/2 with prior knowledge, on nghttp2.
 *
 * A stream is an exchange. nghttp2 checks frames and messages; what it leaves
 * to its user is bounded here: header lists (431), bodies (413, 503), long
 * answers at once, CONTINUATION chains, control frames a second and
 * client resets (GOAWAY with ENHANCE_YOUR_CALM), windows that never open
 * (the write time-out of a stream).
 * nghttp2's callbacks only note a failure of the connection; http2_input acts
 * on it, so the session is never freed below its own feet. */
#include "api/http/http2_answer.h"
#include "api/http/room.h"

#include <strings.h>

#define STREAM_WINDOW_BYTES        (256 << 10)
#define CONN_WINDOW_BYTES          (1 << 20)
#define PUMP_BYTES                 ((size_t)131072) /* output made ahead of the socket */
#define CONTROL_PER_SECOND         1000
#define CONTINUATIONS_MAX          16
#define RESETS_MAX                 200
#define RESETS_FORGIVEN_PER_SECOND 20
#define FIRST_FIELDS               16
#define LONG_ANSWERS_FREE          4  /* long answers at once whatever the connection holds */
#define BUILDING_MAX               16 /* at once at all, not answered yet */
#define CROWDED_STREAMS            8  /* a server that is full lets a connection have so many */

static http2_state *h2_of(http_conn *c)
{
    return &c->as.h2;
}

/* ---- The end of a connection ---- */

static void orphan_all(http_conn *c)
{
    http2_state *h2 = h2_of(c);
    while (h2->session && !link_is_empty(&h2->exchanges)) {
        http_exchange *x = LINK_OWNER(h2->exchanges.next, http_exchange, link);
        link_remove(&x->link);
        exchange_orphan(x);
    }
    h2->exchange_count = h2->long_count = h2->building_count = h2->parked_count = 0;
}

/* Say why and close. The session may be unusable, so the frame is written by hand:
 *
 *   length 8 (3) | type 7 | flags 0 | stream 0 (4) | last stream (4) | error code (4)   */
static void fail_conn(http_conn *c, uint32_t code)
{
    http2_state *h2 = h2_of(c);
    uint32_t last = (uint32_t)nghttp2_session_get_last_proc_stream_id(h2->session);
    const unsigned char frame[17] = {0,
                                     0,
                                     8,
                                     NGHTTP2_GOAWAY,
                                     [9] = (unsigned char)(last >> 24),
                                     (unsigned char)(last >> 16),
                                     (unsigned char)(last >> 8),
                                     (unsigned char)last,
                                     (unsigned char)(code >> 24),
                                     (unsigned char)(code >> 16),
                                     (unsigned char)(code >> 8),
                                     (unsigned char)code};
    orphan_all(c);
    h2->has_failed = true;
    conn_put(c, ex_slice_of(frame, sizeof(frame)));
    conn_close_after_output(c);
}

/* For callbacks: the connection fails when nghttp2 has returned. */
static int note_failure(http_conn *c, uint32_t code)
{
    h2_of(c)->failure = code;
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static void end_if_unused(http_conn *c)
{
    http2_state *h2 = h2_of(c);
    if (h2->exchange_count == 0 && !c->wants_close)
        conn_set_timeout(c, TIMEOUT_IDLE);
}

/* ---- Requests ---- */

static http_exchange *exchange_of(nghttp2_session *session, int32_t stream_id)
{
    return nghttp2_session_get_stream_user_data(session, stream_id);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    http_conn *c = ctx;
    http2_state *h2 = h2_of(c);
    h2->continuations = 0;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    budget_level level = h2->exchange_count < CROWDED_STREAMS
                             ? BUDGET_FREE
                             : budget_check(c->account, BUDGET_OPERATOR, 0);
    if (level) { /* not even an answer: the client may repeat it */
        ex_counter_add(c->core->shared->metrics.memory_refused[level], 1);
        return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                         NGHTTP2_REFUSED_STREAM);
    }
    http_exchange *x = exchange_new(c->core, c);
    if (!x)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    x->stream_id = frame->hd.stream_id;
    link_push(&h2->exchanges, &x->link);
    h2->exchange_count++;
    timer_stop(&c->timer);
    timer_start(&c->core->timeouts[TIMEOUT_STREAM_HEADER], &x->timer, c->core->now_ms);
    return nghttp2_session_set_stream_user_data(session, x->stream_id, x);
}

static bool add_field(http_exchange *x, ex_slice name, ex_slice value)
{
    if (x->field_count == x->field_room) {
        uint32_t room = x->field_room ? x->field_room * 2 : FIRST_FIELDS;
        http_field *more = ex_arena_array(&x->arena, room, sizeof(*more));
        if (!more)
            return false;
        if (x->field_count)
            memcpy(more, x->fields, x->field_count * sizeof(*more));
        x->fields = more;
        x->field_room = room;
    }
    http_field *f = &x->fields[x->field_count++];
    f->name = ex_arena_copy(&x->arena, name);
    f->value = ex_arena_copy(&x->arena, value);
    return f->name.ptr && f->value.ptr;
}

static bool store_field(http_exchange *x, ex_slice name, ex_slice value)
{
    if (name.len == 0 || name.ptr[0] != ':')
        return add_field(x, name, value);
    ex_slice copy = ex_arena_copy(&x->arena, value);
    if (ex_slice_eq(name, EX_S(":method")))
        exchange_method(x, copy);
    else if (ex_slice_eq(name, EX_S(":path")))
        x->target = copy;
    else if (ex_slice_eq(name, EX_S(":authority")))
        x->authority = copy;
    return copy.ptr != NULL;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *ctx)
{
    (void)flags;
    http_conn *c = ctx;
    const http1_limits *limits = &c->core->limits;
    http_exchange *x = exchange_of(session, frame->hd.stream_id);
    if (!x)
        return 0;
    x->head_bytes += name_len + value_len + 32; /* as RFC 9113 counts them */
    if (x->head_bytes > (size_t)limits->head_bytes * 4)
        return note_failure(c, NGHTTP2_ENHANCE_YOUR_CALM);
    if (x->head_bytes > limits->head_bytes || x->field_count >= limits->header_count)
        x->has_head_error = true;
    if (x->is_in_body || x->state != EXCHANGE_READING || x->has_head_error) /* trailers, too much */
        return 0;
    bool is_kept = store_field(x, ex_slice_of(name, name_len), ex_slice_of(value, value_len));
    return is_kept ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* Without this callback nghttp2 would drop a bad header in silence. */
static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
                             const uint8_t *name, size_t name_len, const uint8_t *value,
                             size_t value_len, uint8_t flags, void *ctx)
{
    (void)session, (void)frame, (void)name, (void)name_len;
    (void)value, (void)value_len, (void)flags, (void)ctx;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets the stream */
}

static void refuse(http_exchange *x, ex_status status, int http_status, const char *code,
                   const char *message)
{
    ex_error err;
    (void)ex_raise(&err, status, "%s", message);
    err.http_status = http_status;
    if (code)
        ex_error_set_code(&err, code);
    timer_stop(&x->timer);
    exchange_refuse(x, &err);
}

static bool is_long(const http_exchange *x)
{
    return x->route && x->route->trait == HTTP_LONG_ANSWER;
}

/* A client that takes no answers gets no more of the long ones: how long the next will be is
 * guessed from those before, and the first goes alone. Whatever the client does with one stream,
 * others go on: a few long ones (each gets less than the one before), and all short ones. */
static bool must_wait(const http_conn *c, const http_exchange *x)
{
    const http2_state *h2 = &c->as.h2;
    if (!is_long(x) || h2->long_count == 0)
        return false;
    if (h2->building_count >= BUILDING_MAX || (h2->building_count && !c->typical_bytes))
        return true;
    if (budget_check(c->account, BUDGET_LARGE, 0))
        return true;
    return h2->long_count >= LONG_ANSWERS_FREE && !conn_has_share(c, h2->building_count + 1);
}

static void dispatch(http_conn *c, http_exchange *x)
{
    http2_state *h2 = h2_of(c);
    x->is_long = x->is_building = is_long(x);
    h2->long_count += x->is_long;
    h2->building_count += x->is_building;
    exchange_dispatch(x);
}

void http2_built(http_exchange *x)
{
    h2_of(x->conn)->building_count -= x->is_building;
    x->is_building = false;
}

static void message_done(http_exchange *x)
{
    http_conn *c = x->conn;
    timer_stop(&x->timer);
    x->parser_message_done = true;
    if (x->state != EXCHANGE_READING)
        return;
    exchange_route(x);
    if (must_wait(c, x)) {
        x->is_parked = true;
        h2_of(c)->parked_count++;
    } else {
        dispatch(c, x);
    }
}

void http2_resume_parked(http_conn *c)
{
    http2_state *h2 = h2_of(c);
    for (http_link *l = h2->exchanges.next, *next; h2->parked_count && l != &h2->exchanges;
         l = next) {
        next = l->next;
        http_exchange *x = LINK_OWNER(l, http_exchange, link);
        if (!x->is_parked)
            continue;
        if (must_wait(c, x))
            return;
        x->is_parked = false;
        h2->parked_count--;
        dispatch(c, x);
    }
}

static bool refuse_body(http_exchange *x, size_t bytes)
{
    ex_error err;
    budget_level level = exchange_claim_body(x, bytes);
    if (!level)
        return false;
    (void)exchange_raise_full(x, level, &err);
    timer_stop(&x->timer);
    exchange_refuse(x, &err);
    return true;
}

/* What the head says of the body; 1 when it says nothing. nghttp2 has checked the number. */
static size_t announced_bytes(const http_exchange *x)
{
    ex_slice text = http_header(x, "content-length");
    size_t n = 0, limit = x->core->limits.body_bytes;
    for (size_t i = 0; i < text.len && n < limit; i++)
        n = n * 10 + (size_t)(text.ptr[i] - '0');
    return n == 0 ? 1 : n < limit ? n : limit;
}

/* :authority and Host say the same, or two readers of the request would not agree (RFC 9113 8.3.1).
 */
static bool has_other_host(const http_exchange *x)
{
    ex_slice host = http_header(x, "host");
    return x->authority.len && host.ptr &&
           (host.len != x->authority.len || strncasecmp(host.ptr, x->authority.ptr, host.len) != 0);
}

/* @return false when the request was refused */
static bool meet_expectation(http_conn *c, http_exchange *x, bool is_last)
{
    ex_slice expect = http_header(x, "expect");
    if (!expect.ptr)
        return true;
    if (expect.len != 12 || strncasecmp(expect.ptr, "100-continue", 12) != 0) {
        refuse(x, EX_EMALFORMED, 417, "EXPECTATION_FAILED", "only Expect: 100-continue is known");
        return false;
    }
    static const nghttp2_nv go_on = {(uint8_t *)(uintptr_t) ":status", (uint8_t *)(uintptr_t) "100",
                                     7, 3, NGHTTP2_NV_FLAG_NONE};
    if (!is_last && nghttp2_submit_headers(h2_of(c)->session, NGHTTP2_FLAG_NONE, x->stream_id, NULL,
                                           &go_on, 1, NULL) == 0)
        conn_mark_dirty(c); /* without memory for it the client sends after a while, too */
    return true;
}

static void head_done(http_conn *c, http_exchange *x, bool is_last)
{
    ex_error err;
    x->is_in_body = true;
    x->parser_message_done = is_last;
    if (x->has_head_error) {
        refuse(x, EX_ETOOLARGE, 431, "HEADERS_TOO_LARGE", "request headers too large");
        return;
    }
    if (x->authority.len && !http_header(x, "host").ptr &&
        !add_field(x, EX_S("host"), x->authority)) {
        refuse(x, EX_ENOMEM, 0, NULL, "request headers");
        return;
    }
    if (has_other_host(x)) {
        refuse(x, EX_EMALFORMED, 0, NULL, "Host differs from :authority");
        return;
    }
    if (exchange_head_done(x, &err)) {
        timer_stop(&x->timer);
        exchange_refuse(x, &err);
        return;
    }
    exchange_count(x);
    if (is_last) {
        if (meet_expectation(c, x, true))
            message_done(x);
    } else if (!refuse_body(x, announced_bytes(x)) && meet_expectation(c, x, false))
        timer_start(&c->core->timeouts[TIMEOUT_STREAM_BODY], &x->timer, c->core->now_ms);
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data,
                   size_t n, void *ctx)
{
    (void)flags;
    const http_conn *c = ctx;
    http_exchange *x = exchange_of(session, stream_id);
    if (!x || x->state != EXCHANGE_READING)
        return 0;
    size_t limit = c->core->limits.body_bytes;
    if (n > limit || x->body.len > limit - n) {
        refuse(x, EX_ETOOLARGE, 0, NULL, "request body too large");
        return 0;
    }
    if (refuse_body(x, x->body.len + n))
        return 0;
    ex_buf_put(&x->body, ex_slice_of(data, n));
    if (ex_buf_status(&x->body)) {
        refuse(x, EX_ENOMEM, 0, NULL, "request body");
        return 0;
    }
    exchange_count(x);
    return 0;
}

/* ---- Floods ---- */

static void roll_second(http_conn *c)
{
    http2_state *h2 = h2_of(c);
    uint64_t passed_ms = c->core->now_ms - h2->control_since_ms;
    if (passed_ms < 1000)
        return;
    uint64_t forgiven = passed_ms / 1000 * RESETS_FORGIVEN_PER_SECOND;
    h2->resets = forgiven < h2->resets ? h2->resets - (uint32_t)forgiven : 0;
    h2->control_since_ms = c->core->now_ms;
    h2->control_frames = 0;
}

/* PING, SETTINGS, PRIORITY, unknown types and empty DATA carry nothing and may come only so often.
 */
static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *ctx)
{
    (void)session;
    http_conn *c = ctx;
    http2_state *h2 = h2_of(c);
    roll_second(c);
    switch (hd->type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_WINDOW_UPDATE:
        return 0;
    case NGHTTP2_CONTINUATION:
        return ++h2->continuations > CONTINUATIONS_MAX ? note_failure(c, NGHTTP2_ENHANCE_YOUR_CALM)
                                                       : 0;
    case NGHTTP2_DATA:
        if (hd->length > 0 || (hd->flags & NGHTTP2_FLAG_END_STREAM))
            return 0;
        break;
    case NGHTTP2_RST_STREAM:
        if (++h2->resets > RESETS_MAX && h2->resets > h2->finished)
            return note_failure(c, NGHTTP2_ENHANCE_YOUR_CALM);
        break;
    default:
        break;
    }
    return ++h2->control_frames > CONTROL_PER_SECOND ? note_failure(c, NGHTTP2_ENHANCE_YOUR_CALM)
                                                     : 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    http_conn *c = ctx;
    bool is_message = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    http_exchange *x = is_message ? exchange_of(session, frame->hd.stream_id) : NULL;
    if (!x)
        return 0;
    bool is_last = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        head_done(c, x, is_last);
    else if (is_last)
        message_done(x);
    return 0;
}

/* Answered before the request was whole: tell the client to stop sending. */
static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    (void)ctx;
    bool is_message = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (!is_message || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    const http_exchange *x = exchange_of(session, frame->hd.stream_id);
    if (!x || x->parser_message_done)
        return 0;
    return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                     NGHTTP2_NO_ERROR);
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t code, void *ctx)
{
    http_conn *c = ctx;
    http2_state *h2 = h2_of(c);
    http_exchange *x = exchange_of(session, stream_id);
    if (!x)
        return 0;
    h2->exchange_count--;
    h2->long_count -= x->is_long;
    h2->building_count -= x->is_building;
    h2->parked_count -= x->is_parked;
    h2->finished += code == NGHTTP2_NO_ERROR;
    link_remove(&x->link);
    exchange_orphan(x);
    end_if_unused(c);
    return 0;
}

/* ---- The session ---- */

static nghttp2_session_callbacks *make_callbacks(void)
{
    nghttp2_session_callbacks *cb = NULL;
    if (nghttp2_session_callbacks_new(&cb))
        return NULL;
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(cb, on_invalid_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin_frame);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    return cb;
}

static int make_session(http_conn *c)
{
    nghttp2_option *option = NULL;
    nghttp2_session_callbacks *callbacks = make_callbacks();
    int rc = callbacks ? nghttp2_option_new(&option) : NGHTTP2_ERR_NOMEM;
    if (rc == 0) {
        nghttp2_option_set_no_closed_streams(option, 1);
        nghttp2_option_set_max_outbound_ack(option, CONTROL_PER_SECOND);
        rc = nghttp2_session_server_new2(&h2_of(c)->session, callbacks, c, option);
    }
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return rc;
}

/* Let nghttp2 fill c->out, to a point. */
static bool pump(http_conn *c)
{
    while (c->out.bytes < PUMP_BYTES && !c->out.has_failed) {
        const uint8_t *data = NULL;
        ssize_t n = nghttp2_session_mem_send(h2_of(c)->session, &data);
        if (n <= 0)
            return n == 0;
        conn_put(c, ex_slice_of(data, (size_t)n));
    }
    return true;
}

static int begin(http_conn *c)
{
    http2_state *h2 = h2_of(c);
    const http_options *o = &c->core->shared->options;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, o->h2_streams_limit},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, o->header_limit_bytes},
    };
    link_init_head(&h2->exchanges);
    h2->control_since_ms = c->core->now_ms;
    int rc = make_session(c);
    if (rc == 0)
        rc = nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, settings,
                                     sizeof(settings) / sizeof(settings[0]));
    if (rc == 0)
        rc = nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0,
                                                   CONN_WINDOW_BYTES);
    if (rc == 0 && !pump(c)) /* SETTINGS go first, also before a GOAWAY of fail_conn */
        rc = NGHTTP2_ERR_NOMEM;
    end_if_unused(c);
    return rc;
}

static void http2_input(http_conn *c, ex_slice in)
{
    http2_state *h2 = h2_of(c);
    if (!h2->session && begin(c)) {
        conn_close_after_output(c); /* out of memory */
        return;
    }
    ssize_t rc = nghttp2_session_mem_recv(h2->session, (const uint8_t *)in.ptr, in.len);
    size_t queue_limit =
        2 * CONTROL_PER_SECOND + 4 * (size_t)c->core->shared->options.h2_streams_limit;
    if (nghttp2_session_get_outbound_queue_size(h2->session) > queue_limit)
        h2->failure =
            NGHTTP2_ENHANCE_YOUR_CALM; /* resets, say, that it makes us send and never reads */
    if (h2->failure)
        fail_conn(c, h2->failure);
    else if (rc < 0) /* of the fatal errors all but one mean a flood */
        fail_conn(c, rc == NGHTTP2_ERR_NOMEM ? NGHTTP2_INTERNAL_ERROR : NGHTTP2_ENHANCE_YOUR_CALM);
    conn_mark_dirty(c);
}

static void http2_wake(http_conn *c)
{
    http2_state *h2 = h2_of(c);
    if (!h2->session || h2->has_failed)
        return;
    if (!pump(c)) {
        fail_conn(c, NGHTTP2_INTERNAL_ERROR);
        return;
    }
    bool is_over =
        !nghttp2_session_want_read(h2->session) && !nghttp2_session_want_write(h2->session);
    bool is_drained = c->core->is_draining && h2->exchange_count == 0;
    if (!c->wants_close && (is_over || (is_drained && !nghttp2_session_want_write(h2->session))))
        conn_close_after_output(c);
}

static void http2_eof(http_conn *c)
{
    conn_lost(c); /* without a reading client no stream can go on for long */
}

static void http2_drain(http_conn *c)
{
    http2_state *h2 = h2_of(c);
    if (!h2->session || h2->has_failed)
        return;
    (void)nghttp2_submit_goaway(
        h2->session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(h2->session),
        NGHTTP2_NO_ERROR, NULL, 0); /* without it the client sees the close */
    for (http_link *l = h2->exchanges.next, *next; l != &h2->exchanges; l = next) {
        next = l->next;
        http_stream_end(LINK_OWNER(l, http_exchange, link)); /* does nothing to other exchanges */
    }
    conn_mark_dirty(c);
}

static void http2_lost(http_conn *c)
{
    http2_state *h2 = h2_of(c);
    orphan_all(c);
    nghttp2_session_del(h2->session);
    h2->session = NULL;
}

static void http2_timed_out(http_conn *c, int kind)
{
    (void)kind; /* only idleness is timed here */
    fail_conn(c, NGHTTP2_NO_ERROR);
}

void http2_exchange_timed_out(http_timer *t)
{
    http_exchange *x = LINK_OWNER(t, http_exchange, timer);
    http_conn *c = x->conn;
    if (x->state != EXCHANGE_READING) { /* the client does not take the answer */
        (void)nghttp2_submit_rst_stream(h2_of(c)->session, NGHTTP2_FLAG_NONE, x->stream_id,
                                        NGHTTP2_CANCEL); /* fails only without memory */
        conn_mark_dirty(c);
    } else if (!x->is_in_body) {
        fail_conn(c, NGHTTP2_ENHANCE_YOUR_CALM); /* a header block blocks the whole connection */
    } else {
        refuse(x, EX_ETIMEOUT, 408, "REQUEST_TIMEOUT", "the request body took too long");
    }
}

const conn_protocol http2_protocol = {
    .name = "http/2",
    .input = http2_input,
    .eof = http2_eof,
    .wake = http2_wake,
    .drained = http2_drained,
    .drain = http2_drain,
    .lost = http2_lost,
    .timed_out = http2_timed_out,
    .respond = http2_respond,
    .stream_begin = http2_stream_begin,
    .stream_write = http2_stream_write,
    .stream_end = http2_stream_end,
};
