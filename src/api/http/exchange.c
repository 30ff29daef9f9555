/* exchange.c: the functions of http.h that a handler uses, and the life of an exchange.
 *
 *   READING ──► HANDLING ──► ENDED            (http_respond: freed at once)
 *                  └──► STREAMING ──► ENDED   (freed after on_close)
 *
 * Answered exchanges return to the loop's pool with their first blocks of
 * memory, so that a request on a busy connection allocates nothing. */
#include "api/http/exchange.h"

#include "api/http/room.h"
#include "api/http/uri.h"

#include <excore/clock.h>
#include <excore/id.h>

#include <assert.h>
#include <stdlib.h>
#include <strings.h>

#define POOLED_EXCHANGES 256
#define POOLED_BYTES     ((size_t)16384) /* of arena, head and body each */

size_t exchange_arena_limit(const http_core *core)
{
    return (size_t)core->shared->options.body_limit_bytes * 16 + (1u << 20);
}

http_exchange *exchange_new(http_core *core, http_conn *conn)
{
    http_exchange *x = core->free_exchanges;
    if (x) {
        core->free_exchanges = x->next_free;
        core->free_count--;
        ex_arena arena = x->arena;
        ex_buf head = x->head, body = x->body;
        memset(x, 0, sizeof(*x));
        x->arena = arena;
        x->head = head;
        x->body = body;
    } else {
        x = calloc(1, sizeof(*x));
        if (!x)
            return NULL;
        ex_arena_init(&x->arena, exchange_arena_limit(core));
        ex_buf_init(&x->head, (size_t)core->limits.head_bytes + 1);
        ex_buf_init(&x->body, core->limits.body_bytes);
    }
    x->core = core;
    x->conn = conn;
    x->account = budget_ref(conn->account);
    x->arena.limit_bytes = exchange_arena_limit(core);
    x->extra_end = &x->extra;
    x->method = HTTP_OTHER_;
    core->exchange_count++;
    return x;
}

static void trim(ex_buf *b)
{
    if (b->cap > POOLED_BYTES)
        ex_buf_done(b);
    ex_buf_reset(b);
}

void exchange_free(http_exchange *x)
{
    http_core *core = x->core;
    assert(!link_is_listed(&x->closing));
    timer_stop(&x->timer);
    link_remove(&x->link);
    room_stop_waiting(x);
    output_clear(&x->out, &core->blocks);
    budget_release(x->account, x->counted_bytes + x->taken_bytes);
    budget_unref(x->account);
    core->exchange_count--;
    if (core->free_count >= POOLED_EXCHANGES) {
        ex_arena_done(&x->arena);
        ex_buf_done(&x->head);
        ex_buf_done(&x->body);
        free(x);
        return;
    }
    if (x->arena.total_bytes > POOLED_BYTES)
        ex_arena_done(&x->arena);
    else
        ex_arena_reset(&x->arena);
    trim(&x->head);
    trim(&x->body);
    x->next_free = core->free_exchanges;
    core->free_exchanges = x;
    core->free_count++;
}

/* ---- The request ---- */

void exchange_method(http_exchange *x, ex_slice name)
{
    x->method_name = name;
    x->method = HTTP_OTHER_;
    for (int m = 0; m < HTTP_OTHER_; m++)
        if (ex_slice_is(name, access_method_name((http_method)m)))
            x->method = (http_method)m;
}

static bool is_request_id(ex_slice id)
{
    if (id.len == 0 || id.len > REQUEST_ID_MAX)
        return false;
    for (size_t i = 0; i < id.len; i++) {
        char c = id.ptr[i];
        bool is_ok = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                     c == '.' || c == '_' || c == '-';
        if (!is_ok)
            return false;
    }
    return true;
}

/* R-01-45: the client's id when it is a plain one, else 32 hexadecimal digits. They rise with time:
 * as correlation ids of events they stay together in the index of the log. */
static void choose_request_id(http_exchange *x, ex_slice given)
{
    if (is_request_id(given)) {
        memcpy(x->request_id, given.ptr, given.len);
        x->request_id_len = (uint8_t)given.len;
        return;
    }
    static const char hex[] = "0123456789abcdef";
    ex_id id;
    x->request_id_len = 0;
    if (ex_id_new(&id, NULL))
        return; /* no random bytes: a request without an id is answered all the same */
    for (int i = 0; i < 16; i++) {
        x->request_id[2 * i] = hex[id.bytes[i] >> 4];
        x->request_id[2 * i + 1] = hex[id.bytes[i] & 15];
    }
    x->request_id_len = 32;
}

ex_status exchange_head_done(http_exchange *x, ex_error *err)
{
    x->started_ns = ex_monotonic_ns(ex_clock_system());
    choose_request_id(x, http_header(x, "x-request-id"));
    ex_slice host = x->authority.len ? x->authority : http_header(x, "host");
    return uri_split(x->target, host, &x->path, &x->query, err);
}

http_method http_request_method(const http_exchange *x)
{
    return x->method;
}

ex_slice http_request_path(const http_exchange *x)
{
    return x->path;
}

ex_slice http_request_body(const http_exchange *x)
{
    return ex_buf_slice(&x->body);
}

ex_slice http_request_id(const http_exchange *x)
{
    return ex_slice_of(x->request_id, x->request_id_len);
}

/* Not const at heart: what is joined or decoded lies in the exchange's arena. */
static ex_arena *scratch(const http_exchange *x)
{
    return &((http_exchange *)(uintptr_t)x)->arena;
}

static ex_slice join_fields(const http_exchange *x, ex_slice name, size_t len)
{
    char *text = ex_arena_alloc(scratch(x), len);
    size_t n = 0;
    for (uint32_t i = 0; text && i < x->field_count; i++) {
        if (!ex_slice_eq(x->fields[i].name, name))
            continue;
        if (n) {
            memcpy(text + n, ", ", 2);
            n += 2;
        }
        if (x->fields[i].value.len)
            memcpy(text + n, x->fields[i].value.ptr, x->fields[i].value.len);
        n += x->fields[i].value.len;
    }
    return ex_slice_of(text, n);
}

ex_slice http_header(const http_exchange *x, const char *lower_name)
{
    ex_slice name = ex_str(lower_name);
    const http_field *found = NULL;
    size_t count = 0, len = 0;
    for (uint32_t i = 0; i < x->field_count; i++) {
        const http_field *f = &x->fields[i];
        if (!ex_slice_eq(f->name, name))
            continue;
        found = found ? found : f;
        count++;
        len += f->value.len + 2;
    }
    if (!found)
        return (ex_slice){NULL, 0};
    return count == 1 ? found->value : join_fields(x, name, len);
}

bool http_header_next(const http_exchange *x, size_t *at, ex_slice *ret_name, ex_slice *ret_value)
{
    if (*at >= x->field_count)
        return false;
    *ret_name = x->fields[*at].name;
    *ret_value = x->fields[*at].value;
    ++*at;
    return true;
}

ex_slice http_param(const http_exchange *x, const char *name)
{
    for (uint32_t i = 0; x->route && i < x->route->param_count; i++)
        if (ex_slice_is(x->route->params[i], name))
            return x->params[i];
    assert(!"the route has no such parameter");
    return (ex_slice){NULL, 0};
}

/* Decoded, in the arena when something changed. The escapes are valid: uri_split has looked. */
static ex_slice decoded(const http_exchange *x, ex_slice raw, bool is_query)
{
    bool is_plain = raw.len == 0 || (!memchr(raw.ptr, '%', raw.len) &&
                                     !(is_query && memchr(raw.ptr, '+', raw.len)));
    if (is_plain)
        return raw;
    size_t n = 0;
    char *text = ex_arena_alloc(scratch(x), raw.len);
    if (!text || !uri_decode(raw, is_query, text, &n))
        return (ex_slice){NULL, 0};
    return ex_slice_of(text, n);
}

bool http_query_next(const http_exchange *x, size_t *at, ex_slice *ret_name, ex_slice *ret_value)
{
    ex_slice name, value;
    if (!uri_query_next(x->query, at, &name, &value))
        return false;
    *ret_name = decoded(x, name, true);
    *ret_value = decoded(x, value, true);
    return true;
}

ex_slice http_query(const http_exchange *x, const char *name, bool *ret_found)
{
    ex_slice raw_name, raw_value;
    for (size_t at = 0; uri_query_next(x->query, &at, &raw_name, &raw_value);) {
        if (!ex_slice_is(decoded(x, raw_name, true), name))
            continue;
        if (ret_found)
            *ret_found = true;
        return decoded(x, raw_value, true);
    }
    if (ret_found)
        *ret_found = false;
    return (ex_slice){NULL, 0};
}

ex_arena *http_arena(http_exchange *x)
{
    return &x->arena;
}

ex_loop *http_loop(http_exchange *x)
{
    return x->core->loop;
}

bool http_is_closed(const http_exchange *x)
{
    return x->conn == NULL;
}

/* ---- Dispatch ---- */

/* An operator's route is not counted: it must answer when all places are taken (issue 8, item 16).
 */
static bool enter(http_exchange *x)
{
    if (x->route->trait >= HTTP_OPERATOR)
        return true;
    http_shared *shared = x->core->shared;
    unsigned had = atomic_fetch_add_explicit(&shared->inflight, 1, memory_order_relaxed);
    x->is_counted = true;
    ex_gauge_add(shared->metrics.inflight, 1);
    return had < shared->options.inflight_limit;
}

static void leave(http_exchange *x)
{
    if (!x->is_counted)
        return;
    http_shared *shared = x->core->shared;
    x->is_counted = false;
    atomic_fetch_sub_explicit(&shared->inflight, 1, memory_order_relaxed);
    ex_gauge_add(shared->metrics.inflight, -1);
}

static void respond_status(http_exchange *x, ex_status status, const char *message)
{
    ex_error err;
    (void)ex_raise(&err, status, "%s", message);
    http_respond_error(x, &err);
}

static void answer_unrouted(http_exchange *x, uint32_t allowed)
{
    char text[64];
    bool is_any = ex_slice_eq(x->path, EX_S("*"));
    if (allowed == 0 && !(is_any && x->method == HTTP_OPTIONS_)) {
        respond_status(x, EX_ENOTFOUND, "no such path");
        return;
    }
    http_add_header(x, "allow", router_allow_text(is_any ? ~0u : allowed, text));
    if (x->method == HTTP_OPTIONS_)
        http_respond(x, 204, NULL, (ex_slice){NULL, 0});
    else
        respond_status(x, EX_EMETHOD, "this path does not know the method");
}

static bool decode_params(http_exchange *x)
{
    for (uint32_t i = 0; i < x->route->param_count; i++) {
        x->params[i] = decoded(x, x->params[i], false);
        if (!x->params[i].ptr)
            return false;
    }
    return true;
}

void exchange_route(http_exchange *x)
{
    router_match match;
    if (x->is_routed)
        return;
    router_find(x->core->shared->router, x->method, x->path, &match);
    x->is_routed = true;
    x->route = match.route;
    x->allowed = match.allowed;
    for (uint32_t i = 0; match.route && i < match.route->param_count; i++)
        x->params[i] = match.params[i];
}

/* Load balancers ask for health under any name, and learn nothing else by it. */
static ex_status check_sender(const http_exchange *x, ex_error *err)
{
    const guard *g = &x->core->shared->guard;
    bool is_any = x->route && x->route->is_for_any_host;
    ex_status s = is_any ? EX_OK : guard_check_host(g, x, err);
    return s || !x->route ? s : guard_check_change(g, x, err);
}

/* No body is unpacked here: a small one could become a huge one. */
static ex_status check_encoding(http_exchange *x, ex_error *err)
{
    ex_slice coding = http_header(x, "content-encoding");
    if (coding.len == 0 || (coding.len == 8 && strncasecmp(coding.ptr, "identity", 8) == 0))
        return EX_OK;
    ex_status s = ex_raise(err, EX_EMEDIATYPE, "send the body as it is, without Content-Encoding");
    ex_error_set_field(err, EX_S("Content-Encoding"));
    http_add_header(x, "accept-encoding", EX_S("identity"));
    return s;
}

void exchange_dispatch(http_exchange *x)
{
    ex_error err;
    assert(x->state == EXCHANGE_READING);
    exchange_route(x);
    x->state = EXCHANGE_HANDLING;
    x->request_bytes = x->body.len;
    access_started(x);
    exchange_limit_arena(x);
    if (check_sender(x, &err))
        http_respond_error(x, &err);
    else if (!x->route)
        answer_unrouted(x, x->allowed);
    else if (check_encoding(x, &err))
        http_respond_error(x, &err);
    else if (!enter(x))
        respond_status(x, EX_EOVERLOADED, "too many requests in flight");
    else if (exchange_check_room(x, &err))
        http_respond_error(x, &err);
    else if (!decode_params(x))
        respond_status(x, EX_ENOMEM, "path parameters");
    else
        x->route->handler(x, x->route->ctx);
}

void exchange_refuse(http_exchange *x, const ex_error *err)
{
    x->state = EXCHANGE_HANDLING;
    x->keep_alive = false;
    if (x->request_id_len == 0)
        choose_request_id(x, (ex_slice){NULL, 0});
    http_respond_error(x, err);
}

/* ---- The answer ---- */

static bool is_header_text(ex_slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] == '\r' || s.ptr[i] == '\n' || s.ptr[i] == '\0')
            return false;
    return true;
}

void http_add_header(http_exchange *x, const char *lower_name, ex_slice value)
{
    assert(x->state == EXCHANGE_HANDLING);
    bool is_ok = is_header_text(ex_str(lower_name)) && is_header_text(value);
    assert(is_ok);
    if (!is_ok) /* rather no header than a split response */
        return;
    extra_header *h = ex_arena_zalloc(&x->arena, sizeof(*h));
    if (h) {
        h->field.name = ex_arena_copy(&x->arena, ex_str(lower_name));
        h->field.value = ex_arena_copy(&x->arena, value);
    }
    if (!h || !h->field.name.ptr || !h->field.value.ptr) {
        x->has_failed = true;
        return;
    }
    *x->extra_end = h;
    x->extra_end = &h->next;
}

void exchange_answered(http_exchange *x)
{
    leave(x);
    access_completed(x, x->status);
    exchange_free(x);
}

void http_respond(http_exchange *x, int status, const char *content_type, ex_slice body)
{
    assert(x->state == EXCHANGE_HANDLING && status >= 200 && status < 600);
    assert(!x->core->loop || ex_loop_is_current(x->core->loop));
    leave(x);
    x->state = EXCHANGE_ENDED;
    x->status = x->conn ? status : 499;
    if (x->has_failed) { /* a header is missing, which may have mattered */
        x->status = 503;
        content_type = NULL;
        body = (ex_slice){NULL, 0};
    }
    if (!x->conn) {
        exchange_answered(x);
        return;
    }
    x->response_bytes = body.len;
    if (x->route && x->route->trait == HTTP_LONG_ANSWER)
        conn_note_long(x->conn, body.len);
    x->conn->protocol->respond(x, content_type, body);
}

void http_on_gone(http_exchange *x, void (*fn)(void *ctx), void *ctx)
{
    assert(x->state == EXCHANGE_HANDLING);
    x->on_gone = fn;
    x->gone_ctx = ctx;
    if (x->conn && x->conn->has_eof) /* it was pipelined, and nothing comes after it */
        conn_set_timeout(x->conn, TIMEOUT_GONE);
}

void exchange_gone(http_exchange *x)
{
    void (*fn)(void *ctx) = x->on_gone;
    x->on_gone = NULL;
    if (fn && x->state == EXCHANGE_HANDLING)
        fn(x->gone_ctx);
}

void http_stream_begin(http_exchange *x, int status, const char *content_type,
                       void (*on_drain)(void *ctx), void (*on_close)(void *ctx), void *ctx)
{
    assert(x->state == EXCHANGE_HANDLING && status >= 200 && status < 600);
    assert(!x->core->loop || ex_loop_is_current(x->core->loop));
    leave(x);
    x->state = EXCHANGE_STREAMING;
    x->is_stream = true;
    x->status = status;
    x->on_drain = on_drain;
    x->on_close = on_close;
    x->ctx = ctx;
    ex_gauge_add(x->core->shared->metrics.streams, 1);
    if (x->conn)
        x->conn->protocol->stream_begin(x, content_type);
    else
        exchange_close_later(x);
}

bool http_stream_write(http_exchange *x, ex_slice bytes)
{
    assert(x->state == EXCHANGE_STREAMING || x->state == EXCHANGE_ENDED);
    if (!x->conn || x->state != EXCHANGE_STREAMING)
        return false;
    if (bytes.len == 0)
        return !x->wants_drain;
    x->response_bytes += bytes.len;
    bool may_go_on = x->conn->protocol->stream_write(x, bytes);
    x->wants_drain = !may_go_on;
    return may_go_on;
}

void http_stream_end(http_exchange *x)
{
    if (x->state != EXCHANGE_STREAMING)
        return;
    x->state = EXCHANGE_ENDED;
    if (x->conn)
        x->conn->protocol->stream_end(x);
    else
        exchange_close_later(x);
}

void exchange_drained(http_exchange *x)
{
    if (!x->wants_drain || x->state != EXCHANGE_STREAMING)
        return;
    x->wants_drain = false;
    if (x->on_drain)
        x->on_drain(x->ctx);
}

void exchange_close_later(http_exchange *x)
{
    x->conn = NULL;
    link_remove(&x->link);
    timer_stop(&x->timer);
    room_stop_waiting(x);
    if (!link_is_listed(&x->closing))
        link_push(&x->core->closing, &x->closing);
}

void exchange_closed(http_exchange *x)
{
    ex_gauge_add(x->core->shared->metrics.streams, -1);
    if (x->on_close)
        x->on_close(x->ctx);
    exchange_answered(x);
}

void exchange_orphan(http_exchange *x)
{
    switch (x->state) {
    case EXCHANGE_READING:
        exchange_free(x);
        break;
    case EXCHANGE_HANDLING:
        x->conn = NULL;
        link_remove(&x->link);
        timer_stop(&x->timer);
        output_clear(&x->out, &x->core->blocks);
        exchange_gone(x);
        break;
    case EXCHANGE_STREAMING:
    case EXCHANGE_ENDED:
        if (x->is_stream)
            exchange_close_later(x);
        else
            exchange_answered(x);
        break;
    }
}
