/* target_remote.c: a target that is a server: pages for reading, server-sent events for following.
 *
 * A follower whose connection breaks asks again from the position it reached:
 * at once, then after 1, 2, 4, 5, 5 … seconds, for a minute. The first connection
 * is tried once only, so that a wrong address fails. */
#include "api/event_depth.h"
#include "cli/remote.h"
#include "cli/remote_event.h"
#include "cli/target.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PAGE_EVENTS       1000
#define FRAME_LIMIT_BYTES ((size_t)1 << 30)
#define RETRY_MAX_MS      5000
#define RETRY_TOTAL_MS    60000

typedef struct remote_target {
    remote *remote;
    ex_buf path, body;
    uint64_t min_position; /* of every read */
    bool is_current;
    ex_arena arena; /* of one answer, or one event */
} remote_target;

/* ---- Append ---- */

static void put_base64(ex_buf *out, ex_slice data)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)data.ptr;
    for (size_t i = 0; i < data.len; i += 3) {
        size_t n = data.len - i < 3 ? data.len - i : 3;
        uint32_t bits = (uint32_t)p[i] << 16;
        bits |= n > 1 ? (uint32_t)p[i + 1] << 8 : 0;
        bits |= n > 2 ? p[i + 2] : 0;
        for (size_t k = 0; k < 4; k++)
            ex_buf_put_char(out, k <= n ? digits[bits >> (18 - 6 * k) & 63] : '=');
    }
}

static void put_expected(ex_json_writer *w, ex_expected expected)
{
    ex_json_key(w, EX_S("expected"));
    if (expected.raw == EX_ANY.raw)
        ex_json_string(w, EX_S("any"));
    else if (expected.raw == EX_EXISTS.raw)
        ex_json_string(w, EX_S("exists"));
    else if (expected.raw == EX_NO_STREAM.raw)
        ex_json_string(w, EX_S("no_stream"));
    else
        ex_json_u64(w, expected.raw - EX_EXACT(0).raw);
}

static void put_data(ex_json_writer *w, const ex_new_event *e)
{
    if (!e->content_type.len) {
        ex_json_raw_member(w, EX_S("data"), e->data);
        return;
    }
    ex_json_string_member(w, EX_S("content_type"), e->content_type);
    ex_json_key(w, EX_S("data_base64"));
    ex_buf text;
    ex_buf_init(&text, 0);
    put_base64(&text, e->data);
    if (ex_buf_status(&text))
        w->out->status = ex_buf_status(&text);
    ex_json_string(w, ex_buf_slice(&text));
    ex_buf_done(&text);
}

static void put_new_event(ex_json_writer *w, const ex_new_event *e)
{
    char id[EX_ID_TEXT_SIZE];
    ex_json_begin_object(w);
    ex_json_string_member(w, EX_S("type"), e->type);
    put_data(w, e);
    if (!ex_id_is_nil(&e->id)) {
        ex_json_string_member(w, EX_S("id"), ex_id_text(&e->id, id));
    }
    if (e->metadata.len) {
        ex_json_raw_member(w, EX_S("metadata"), e->metadata);
    }
    if (e->schema_version) {
        ex_json_u64_member(w, EX_S("schema_version"), e->schema_version);
    }
    ex_json_key(w, EX_S("tags"));
    ex_json_begin_array(w);
    for (uint32_t i = 0; i < e->tag_count; i++)
        ex_json_string(w, e->tags[i]);
    ex_json_end_array(w);
    ex_json_end_object(w);
}

static ex_status read_appended(ex_slice answer, ex_arena *arena, ex_appended *ret, ex_error *err)
{
    ex_json json;
    ex_status status = ex_json_parse(answer, arena, &event_document, &json, err);
    if (status)
        return ex_error_context(err, status, "the server's answer");
    const ex_json *events = ex_json_get(&json, EX_S("events"));
    const ex_json *duplicate = ex_json_get(&json, EX_S("duplicate"));
    if (!events || events->kind != EX_JSON_ARRAY || events->count != 1)
        return ex_raise(err, EX_EMALFORMED, "the server's answer does not name one event");
    ex_event_ref *ref = &ret->events[0];
    ref->position = remote_number(&events->as.items[0], "position", 0);
    ref->version = remote_number(&events->as.items[0], "version", 0);
    ret->position = remote_number(&json, "position", 0);
    ret->version = remote_number(&json, "version", 0);
    ret->is_duplicate = duplicate && duplicate->kind == EX_JSON_BOOL && duplicate->as.boolean;
    ret->event_count = 1;
    return ex_id_parse(remote_text(&events->as.items[0], "id"), &ref->id, err);
}

static void start_path(remote_target *t, const char *path)
{
    ex_buf_reset(&t->path);
    ex_buf_put_str(&t->path, path);
}

static ex_status send_path(remote_target *t, ex_slice body, ex_slice *ret_answer, ex_error *err)
{
    ex_buf_put_char(&t->path, '\0');
    if (ex_buf_status(&t->path))
        return ex_raise(err, ex_buf_status(&t->path), "the address is too long");
    remote_call call = {.path = t->path.ptr, .body = body};
    return remote_send(t->remote, &call, ret_answer, err);
}

static ex_status remote_append(void *impl, const ex_stream_write *write, ex_appended *ret,
                               ex_error *err)
{
    remote_target *t = impl;
    ex_slice answer;
    ex_buf_reset(&t->body);
    ex_json_writer w;
    ex_json_writer_init(&w, &t->body);
    ex_json_begin_object(&w);
    put_expected(&w, write->expected);
    ex_json_key(&w, EX_S("events"));
    ex_json_begin_array(&w);
    put_new_event(&w, &write->events[0]);
    ex_json_end_array(&w);
    ex_json_end_object(&w);
    if (ex_buf_status(&t->body))
        return ex_raise(err, ex_buf_status(&t->body), "the event is too large to send");
    start_path(t, "/v1/streams/");
    remote_put_encoded(&t->path, write->stream);
    ex_status status = send_path(t, ex_buf_slice(&t->body), &answer, err);
    if (status)
        return status;
    ex_arena_reset(&t->arena);
    return read_appended(answer, &t->arena, ret, err);
}

/* ---- Pages ---- */

typedef struct page {
    uint64_t next;
    uint64_t head;
    uint64_t count;
    bool has_more;
} page;

/* Hand over one page. *goes_on is false when `fn` said stop. */
static ex_status read_page(remote_target *t, target_event_fn *fn, void *ctx, page *ret,
                           bool *goes_on, ex_error *err)
{
    ex_slice answer;
    ex_json json;
    ex_event event;
    ex_status status = send_path(t, (ex_slice){0}, &answer, err);
    if (status)
        return status;
    ex_arena_reset(&t->arena);
    status = ex_json_parse(answer, &t->arena, &event_document, &json, err);
    if (status)
        return ex_error_context(err, status, "the server's answer");
    const ex_json *events = ex_json_get(&json, EX_S("events"));
    const ex_json *more = ex_json_get(&json, EX_S("has_more"));
    if (!events || events->kind != EX_JSON_ARRAY)
        return ex_raise(err, EX_EMALFORMED, "the server sent something that is no page of events");
    for (uint32_t i = 0; i < events->count && *goes_on && fn; i++) {
        status = remote_event_read(&events->as.items[i], &t->arena, &event, err);
        if (status)
            return status;
        *goes_on = fn(ctx, &event, events->as.items[i].raw);
    }
    *ret = (page){.next = remote_number(&json, "next", 0),
                  .head = remote_number(&json, "head", 0),
                  .count = events->count,
                  .has_more = more && more->kind == EX_JSON_BOOL && more->as.boolean};
    return EX_OK;
}

static uint64_t page_limit(uint64_t limit, uint64_t seen)
{
    return limit == 0 || limit - seen > PAGE_EVENTS ? PAGE_EVENTS : limit - seen;
}

static void put_parameter(ex_buf *out, char before, const char *name, uint64_t value)
{
    ex_buf_printf(out, "%c%s=%" PRIu64, before, name, value);
}

/* On every request: the next one may meet another node. */
static void put_reach(remote_target *t)
{
    if (t->min_position)
        put_parameter(&t->path, '&', "min_position", t->min_position);
    if (t->is_current)
        ex_buf_put_str(&t->path, "&consistency=current");
}

static ex_status remote_reach(void *impl, uint64_t min_position, bool is_current, ex_error *err)
{
    remote_target *t = impl;
    (void)err; /* the server says what it makes of it */
    t->min_position = min_position;
    t->is_current = is_current;
    return EX_OK;
}

static ex_status remote_read_stream(void *impl, const ex_read_stream *read, target_event_fn *fn,
                                    void *ctx, ex_error *err)
{
    remote_target *t = impl;
    uint64_t seen = 0;
    page p = {.next = read->from, .has_more = true};
    bool goes_on = true;
    ex_status status = EX_OK;
    while (!status && goes_on && p.has_more && (read->limit == 0 || seen < read->limit)) {
        start_path(t, "/v1/streams/");
        remote_put_encoded(&t->path, read->stream);
        put_parameter(&t->path, '?', "limit", page_limit(read->limit, seen));
        if (p.next)
            put_parameter(&t->path, '&', "from", p.next);
        if (read->direction == EX_BACKWARD)
            ex_buf_put_str(&t->path, "&direction=backward");
        put_reach(t);
        status = read_page(t, fn, ctx, &p, &goes_on, err);
        seen += p.count;
    }
    return status == EX_ECANCELLED ? EX_OK : status;
}

static void put_list(ex_buf *out, const char *name, const ex_slice *items, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0)
            ex_buf_printf(out, "&%s=", name);
        else
            ex_buf_put_char(out, ',');
        remote_put_encoded(out, items[i]);
    }
}

/* The verbs make filters of at most one item. */
static void put_filter(ex_buf *out, const ex_filter *filter)
{
    if (!filter)
        return;
    if (filter->query.item_count > 0) {
        const ex_query_item *item = &filter->query.items[0];
        put_list(out, "types", item->types, item->type_count);
        put_list(out, "tags", item->tags, item->tag_count);
    }
    put_list(out, "streams", filter->streams, filter->stream_count);
    if (filter->correlation_id.len) {
        ex_buf_put_str(out, "&correlation_id=");
        remote_put_encoded(out, filter->correlation_id);
    }
}

static ex_status remote_read_log(void *impl, const ex_read_log *read, target_event_fn *fn,
                                 void *ctx, ex_error *err)
{
    remote_target *t = impl;
    uint64_t seen = 0;
    page p = {.next = read->after, .has_more = true};
    bool goes_on = true;
    ex_status status = EX_OK;
    while (!status && goes_on && p.has_more && (read->limit == 0 || seen < read->limit)) {
        start_path(t, "/v1/events");
        put_parameter(&t->path, '?', "after", p.next);
        put_parameter(&t->path, '&', "limit", page_limit(read->limit, seen));
        put_filter(&t->path, read->filter);
        put_reach(t);
        status = read_page(t, fn, ctx, &p, &goes_on, err);
        seen += p.count;
    }
    return status == EX_ECANCELLED ? EX_OK : status;
}

static ex_status remote_head(void *impl, uint64_t *ret, ex_error *err)
{
    remote_target *t = impl;
    page p = {0};
    bool goes_on = true;
    start_path(t, "/v1/events?limit=1");
    put_reach(t);
    ex_status status = read_page(t, NULL, NULL, &p, &goes_on, err);
    if (!status)
        *ret = p.head;
    return status;
}

/* ---- Following ---- */

typedef struct follower {
    remote_target *target;
    target_event_fn *fn;
    void *ctx;
    sse_reader sse;
    uint64_t position; /* of the last event handed over */
    char log[96];      /* that it is of, as the server named it; "" before */
    bool has_started;  /* the server has sent something: later failures are a lost connection */
    bool is_ended;     /* fn said stop */
    ex_status status;  /* what ended the reading besides */
    ex_error *err;
} follower;

/* Of the notes those count that say which log the events are of, or that it is no longer so. */
static ex_status take_note(follower *f, const ex_json *json)
{
    ex_slice log = remote_text(json, "log");
    if (remote_text(json, "now").len)
        return ex_raise(f->err, EX_ELOGCHANGED,
                        "the log has changed: what was read up to position %" PRIu64
                        " is no longer all in it",
                        f->position);
    if (log.len && log.len < sizeof(f->log)) {
        memcpy(f->log, log.ptr, log.len);
        f->log[log.len] = '\0';
    }
    return EX_OK;
}

static bool on_frame(void *ctx, ex_slice data, bool has_id)
{
    follower *f = ctx;
    ex_json json;
    ex_event event;
    ex_arena *arena = &f->target->arena;
    ex_arena_reset(arena);
    f->status = ex_json_parse(data, arena, &event_document, &json, f->err);
    if (!f->status && !has_id)
        f->status = take_note(f, &json);
    if (f->status || !has_id)
        return !f->status;
    f->status = remote_event_read(&json, arena, &event, f->err);
    if (f->status)
        return false;
    f->position = event.position;
    f->is_ended = !f->fn(f->ctx, &event, data);
    return !f->is_ended;
}

static bool on_bytes(void *ctx, ex_slice bytes)
{
    follower *f = ctx;
    f->has_started = true;
    if (bytes.len > 0) {
        ex_status status = sse_reader_feed(&f->sse, bytes);
        if (status && status != EX_ECANCELLED)
            f->status = ex_raise(f->err, status, "an event of the server is too large");
        if (status)
            return false;
    }
    f->is_ended = !f->fn(f->ctx, NULL, (ex_slice){0});
    return !f->is_ended;
}

/* One connection. EX_OK: the server ended it. */
static ex_status follow_once(follower *f, const ex_filter *filter, ex_error *err)
{
    remote_target *t = f->target;
    sse_reader_reset(&f->sse);
    start_path(t, "/v1/events");
    put_parameter(&t->path, '?', "after", f->position);
    if (f->log[0]) {
        ex_buf_put_str(&t->path, "&log=");
        remote_put_encoded(&t->path, ex_str(f->log));
    }
    put_filter(&t->path, filter);
    put_reach(t);
    ex_buf_put_char(&t->path, '\0');
    if (ex_buf_status(&t->path))
        return ex_raise(err, ex_buf_status(&t->path), "the address is too long");
    remote_call call = {.path = t->path.ptr, .on_bytes = on_bytes, .ctx = f};
    return remote_send(t->remote, &call, NULL, err);
}

static bool is_worth_retrying(ex_status status)
{
    return status == EX_OK || status == EX_EUPSTREAM || ex_status_is_retryable(status);
}

static ex_status follow_on(follower *f, const ex_filter *filter, ex_error *err)
{
    int delay_ms = 0, waited_ms = 0;
    for (;;) {
        uint64_t before = f->position;
        ex_status status = follow_once(f, filter, err);
        if (f->status)
            return f->status;
        if (f->is_ended || remote_is_stopped(f->target->remote))
            return EX_OK;
        if (f->position != before)
            delay_ms = waited_ms = 0;
        if (!f->has_started || !is_worth_retrying(status))
            return status;
        if (waited_ms >= RETRY_TOTAL_MS)
            return status ? status : ex_raise(err, EX_EUPSTREAM, "the server ended the stream");
        if (delay_ms == 0)
            fprintf(stderr, "connection lost; asking again after position %" PRIu64 "\n",
                    f->position);
        remote_wait(f->target->remote, delay_ms);
        waited_ms += delay_ms;
        delay_ms = delay_ms == 0 ? 1000 : delay_ms * 2 < RETRY_MAX_MS ? delay_ms * 2 : RETRY_MAX_MS;
    }
}

static ex_status remote_follow(void *impl, uint64_t after, const ex_filter *filter,
                               target_event_fn *fn, void *ctx, ex_error *err)
{
    follower f = {.target = impl, .fn = fn, .ctx = ctx, .position = after, .err = err};
    f.sse.on_frame = on_frame;
    f.sse.ctx = &f;
    sse_reader_init(&f.sse, FRAME_LIMIT_BYTES);
    ex_status status = follow_on(&f, filter, err);
    sse_reader_done(&f.sse);
    return status;
}

/* ---- Life ---- */

static void remote_target_stop(void *impl)
{
    remote_target *t = impl;
    remote_stop(t->remote);
}

static void remote_target_close(void *impl)
{
    remote_target *t = impl;
    remote_close(t->remote);
    ex_buf_done(&t->path);
    ex_buf_done(&t->body);
    ex_arena_done(&t->arena);
    free(t);
}

static const target_ops remote_ops = {
    .append = remote_append,
    .read_stream = remote_read_stream,
    .read_log = remote_read_log,
    .follow = remote_follow,
    .head = remote_head,
    .reach = remote_reach,
    .stop = remote_target_stop,
    .close = remote_target_close,
};

ex_status target_remote_open(const char *url, target *ret, ex_error *err)
{
    remote_target *t = calloc(1, sizeof(*t));
    if (!t)
        return ex_raise(err, EX_ENOMEM, "out of memory");
    ex_buf_init(&t->path, 0);
    ex_buf_init(&t->body, 0);
    ex_arena_init(&t->arena, (size_t)1 << 30);
    ex_status status = remote_open(url, &t->remote, err);
    if (status) {
        remote_target_close(t);
        return status;
    }
    *ret = (target){&remote_ops, t};
    return EX_OK;
}
