/* read_routes.c: GET /v1/streams/{stream} and GET /v1/events, as pages or as server-sent events.
 *
 * The loop thread reads the parameters, a reader thread fetches and formats the
 * page, the loop answers. A page ends at limit= events, at page_limit_bytes, at what the
 * server has memory for now (http_take_room) or, while a filter finds little, after
 * page_timeout_ms, whichever comes first. The page is made in slices of about 20 ms, between which
 * others have their turn with the threads and the readers, and given up when its client has gone.
 * As CloudEvents a page is a
 * bare array; what the plain form says beside the events is then in the headers next, has-more and
 * head below "excore-".
 *
 *   next      where the following page begins: from= of a stream, after= of the log. Of the log it
 *             is the position up to which the filter has looked.
 *   has_more  whether another event is there now, or may be: the page's time was over
 *   head      the stream's version, or the log's last position
 *
 * The header excore-log of every answer says which log it is from; who sends it back (or as log=)
 * with a position is told when what stood there may be something else now. */
#include "api/rest/route_job.h"

#include "api/event_json.h"
#include "api/rest/reach.h"
#include "api/rest/request.h"
#include "store/cursor.h"
#include "store/head_known.h"
#include "store/position_check.h"
#include "store/query_check.h"

#include <inttypes.h>
#include <stdio.h>

#define NS_PER_MS         UINT64_C(1000000)
#define SLICE_MS          20  /* on a thread; a cursor's slices with a reader are as long */
#define CLOCK_EVERY       64u /* events between two looks at the clock */
#define EVENT_SLACK_BYTES ((size_t)32 << 20) /* one largest event above the page's limit */

enum { OFFER_JSON, OFFER_SSE, OFFER_BATCH, OFFER_CLOUDEVENT };
static const char *const offers[] = {
    [OFFER_JSON] = "application/json",
    [OFFER_SSE] = "text/event-stream",
    [OFFER_BATCH] = "application/cloudevents-batch+json",
    [OFFER_CLOUDEVENT] = "application/cloudevents+json",
};
#define OFFER_COUNT (sizeof(offers) / sizeof(offers[0]))

typedef struct page_job {
    route_job job;
    /* set on the loop, then read only */
    bool is_stream;
    event_form form;
    uint64_t limit; /* events */
    ex_read_stream stream;
    ex_read_log log;
    ex_filter filter;
    ex_query_item item;
    reach reach;
    bool is_after_head;  /* followers: what is appended from now on */
    ex_subscribe follow; /* for server-sent events */
    bool has_unnamed_frames;
    bool has_token;
    log_token token;     /* of the log that the client's position is from */
    ex_slice none_match; /* the ETags that the client has; empty: none */
    uint64_t deadline_ns;
    /* the reader threads', one after the other */
    ex_cursor *cursor; /* NULL: not begun */
    size_t room;       /* bytes that the page may have */
    uint64_t count;    /* events in the page */
    uint64_t head_before;
    /* written by a reader thread, read after the post */
    uint64_t next, head;
    bool has_more;
    bool is_unchanged;
} page_job;

/* ---- The page, on a reader thread ---- */

static void note_event(page_job *j, const ex_event *e)
{
    if (!j->is_stream)
        j->next = e->position;
    else if (j->stream.direction == EX_BACKWARD)
        j->next = e->version - 1;
    else
        j->next = e->version + 1;
    uint64_t number = j->is_stream ? e->version : e->position;
    if (number > j->head) /* came after the head was read */
        j->head = number;
}

/* EX_EAGAIN: the slice is over. */
static ex_status put_events(page_job *j, ex_buf *out, ex_error *err)
{
    const api_options *o = &j->job.api->options;
    const uint64_t slice_end_ns = ex_monotonic_ns(o->clock) + SLICE_MS * NS_PER_MS;
    ex_event event;
    ex_status st;
    for (; !(st = ex_cursor_try(j->cursor, &event, err)); j->count++) {
        if (j->count == j->limit || out->len >= j->room) {
            j->has_more = true;
            return EX_OK;
        }
        size_t before = out->len;
        if (j->count)
            ex_buf_put_char(out, ',');
        event_json_put(out, &event, j->form);
        if (j->count && out->len > j->room && j->room < o->page_limit_bytes) {
            out->len = before; /* memory is short: this one comes with the next page */
            j->has_more = true;
            return EX_OK;
        }
        note_event(j, &event);
        if (ex_buf_status(out))
            return ex_raise(err, ex_buf_status(out), "no memory for the page");
        if (j->count % CLOCK_EVERY == CLOCK_EVERY - 1 &&
            ex_monotonic_ns(o->clock) >= slice_end_ns) {
            j->count++;
            return EX_EAGAIN;
        }
    }
    return st == EX_EEND ? EX_OK : st;
}

static ex_status open_cursor(page_job *j, ex_error *err)
{
    ex_store *store = j->job.api->options.store;
    uint64_t bound = j->reach.bound;
    if (!j->is_stream) {
        j->head = ex_store_head(store);
        j->head = bound > j->head ? bound : j->head;
        j->log.min_position = bound;
        return ex_store_read_log(store, &j->log, &j->cursor, err);
    }
    j->stream.min_position = bound;
    ex_status st = ex_store_stream_version_at(store, j->stream.stream, bound, &j->head, err);
    if (!st && j->head == 0) {
        st = ex_raise(err, EX_ENOTFOUND, "there is no stream \"%.*s\"", EX_ARG(j->stream.stream));
        ex_error_set_field(err, EX_S("stream"));
    }
    return st ? st : ex_store_read_stream(store, &j->stream, &j->cursor, err);
}

/* Position of the event of the stream that the reader has seen last; 0: none. */
static ex_status find_position(page_job *j, uint64_t version, uint64_t *ret, ex_error *err)
{
    const ex_read_stream read = {.stream = j->stream.stream, .from = version, .limit = 1};
    ex_cursor *cursor = NULL;
    ex_event event;
    *ret = 0;
    if (version == 0)
        return EX_OK;
    ex_status st = ex_store_read_stream(j->job.api->options.store, &read, &cursor, err);
    st = st ? st : ex_cursor_next(cursor, &event, err);
    if (!st)
        *ret = event.position;
    ex_cursor_close(cursor);
    return st == EX_EEND ? EX_OK : st;
}

/* Is what the client has read still what stands there? On a reader thread. */
static ex_status check_token(page_job *j, uint64_t seen, ex_error *err)
{
    uint64_t position = seen;
    ex_status st = EX_OK;
    if (!j->has_token)
        return EX_OK;
    if (j->is_stream)
        st = find_position(j, seen, &position, err);
    return st ? st : log_token_check(&j->token, j->job.api->options.store, position, err);
}

static uint64_t seen_before(const page_job *j)
{
    if (!j->is_stream)
        return j->log.after;
    return j->stream.from && j->stream.direction == EX_FORWARD ? j->stream.from - 1 : 0;
}

/* The client has this page: the log, or the stream, ends where it did. Who names the log of that
 * time is told so only when what stood there still does. */
static ex_status look_for_change(page_job *j, ex_error *err)
{
    char etag[24];
    (void)snprintf(etag, sizeof(etag), "\"%" PRIu64 "\"", j->head);
    if (seen_before(j) > j->head || !request_names_etag(j->none_match, ex_str(etag)))
        return EX_OK;
    ex_status st = check_token(j, j->head, err);
    j->is_unchanged = st == EX_OK;
    return st == EX_ELOGCHANGED ? EX_OK : st;
}

static void put_tail(const page_job *j, ex_buf *out)
{
    if (j->form == EVENT_CLOUDEVENT) {
        ex_buf_put_char(out, ']');
        return;
    }
    ex_buf_put(out, EX_S("],\"next\":"));
    ex_buf_put_u64(out, j->next);
    ex_buf_put(out, j->has_more ? EX_S(",\"has_more\":true,\"head\":")
                                : EX_S(",\"has_more\":false,\"head\":"));
    ex_buf_put_u64(out, j->head);
    ex_buf_put_char(out, '}');
}

static ex_status begin_page(page_job *j, ex_buf *out, ex_error *err)
{
    if (ex_cancel_is_requested(j->job.cancel)) /* while it waited for a thread */
        return ex_raise(err, EX_ECANCELLED, "the client has gone");
    j->room = http_take_room(j->job.x, j->job.api->options.page_limit_bytes);
    if (j->room == 0)
        return ex_raise(err, EX_EOVERLOADED, "there is no memory for a page now");
    ex_status st = reach_look(&j->reach, false, err);
    route_job_note_log(&j->job);
    st = st ? st : check_token(j, seen_before(j), err);
    st = st ? st : open_cursor(j, err);
    st = st ? st : look_for_change(j, err);
    if (st || j->is_unchanged)
        return st;
    j->head_before = j->head;
    j->next = j->is_stream ? j->stream.from : j->log.after;
    ex_buf_put(out, j->form == EVENT_CLOUDEVENT ? EX_S("[") : EX_S("{\"events\":["));
    return EX_OK;
}

/* A short page: what follows begins behind all that was looked at. */
static void cut_page(page_job *j)
{
    j->has_more = true;
    uint64_t looked_at = j->is_stream ? 0 : ex_cursor_position(j->cursor);
    if (looked_at > j->next)
        j->next = looked_at;
}

static ex_status read_page(void *job, ex_buf *out, ex_error *err)
{
    page_job *j = job;
    ex_status st = j->cursor ? EX_OK : begin_page(j, out, err);
    if (st == ROUTE_JOB_PARKED)
        return st;
    if (!st && !j->is_unchanged)
        st = put_events(j, out, err);
    if (st == EX_EAGAIN && ex_monotonic_ns(j->job.api->options.clock) < j->deadline_ns) {
        j->job.goes_on = true;
        return EX_OK;
    }
    if (st == EX_EAGAIN) {
        cut_page(j);
        st = EX_OK;
    }
    ex_cursor_close(j->cursor);
    j->cursor = NULL;
    if (!st && !j->is_stream && !j->has_more && j->head_before > j->next)
        j->next = j->head_before; /* the filter passed over everything up to there */
    put_tail(j, out);
    return st;
}

/* ---- The answer, on the loop ---- */

static ex_status answer(void *job, ex_buf *out, ex_error *err)
{
    page_job *j = job;
    (void)err;
    route_job_add_log(&j->job);
    request_add_number(j->job.x, "etag", "\"", j->head);
    http_add_header(j->job.x, "vary", EX_S("accept"));
    /* A browser would ask again by itself, without naming the log, and believe the 304. */
    http_add_header(j->job.x, "cache-control", EX_S("no-store"));
    if (j->is_unchanged) {
        request_respond_unchanged(j->job.x);
        return EX_OK;
    }
    if (j->form == EVENT_CLOUDEVENT) {
        request_add_number(j->job.x, "excore-next", "", j->next);
        http_add_header(j->job.x, "excore-has-more", j->has_more ? EX_S("true") : EX_S("false"));
        request_add_number(j->job.x, "excore-head", "", j->head);
    }
    http_respond(j->job.x, 200, offers[j->form == EVENT_CLOUDEVENT ? OFFER_BATCH : OFFER_JSON],
                 ex_buf_slice(out));
    return EX_OK;
}

static ex_status submit_page(page_job *j, ex_error *err)
{
    const api *a = j->job.api;
    ex_cancel *cancel = NULL;
    ex_status st = route_job_enter_cancellable(&j->job, &cancel, err);
    if (st)
        return st;
    j->stream.cancel = j->log.cancel = cancel;
    j->deadline_ns =
        ex_monotonic_ns(a->options.clock) + (uint64_t)a->options.page_timeout_ms * NS_PER_MS;
    reach_prepare(&j->reach, &j->job, a->readers, read_page,
                  a->options.page_limit_bytes + EVENT_SLACK_BYTES);
    st = route_job_queue(&j->job, a->readers, read_page,
                         a->options.page_limit_bytes + EVENT_SLACK_BYTES, err);
    if (st)
        route_job_leave(&j->job);
    return st;
}

/* ---- Parameters ---- */

static ex_status read_limit(const page_job *j, uint64_t preset, uint64_t *ret, ex_error *err)
{
    uint64_t limit = preset, cap = j->job.api->options.page_events_limit;
    ex_status st = request_u64(j->job.x, "limit", &limit, err);
    *ret = limit < 1 ? 1 : limit > cap ? cap : limit;
    return st;
}

static ex_status read_direction(page_job *j, ex_error *err)
{
    bool is_given = false;
    ex_slice text = http_query(j->job.x, "direction", &is_given);
    if (ex_slice_is(text, "backward")) {
        j->stream.direction = EX_BACKWARD;
    } else if (is_given && !ex_slice_is(text, "forward")) {
        ex_status st =
            ex_raise(err, EX_EINVAL, "query parameter \"direction\" must be forward or backward");
        ex_error_set_field(err, EX_S("direction"));
        return st;
    }
    return EX_OK;
}

static ex_status read_number(const page_job *j, const char *name, uint64_t *ret, ex_error *err)
{
    ex_status st = request_u64(j->job.x, name, ret, err);
    if (!st && *ret > INT64_MAX)
        *ret = INT64_MAX; /* beyond every event there can be */
    return st;
}

/* The header of an earlier answer, or, for what cannot send headers, the parameter. */
static ex_status read_token(page_job *j, ex_error *err)
{
    ex_slice text = http_query(j->job.x, "log", &j->has_token);
    const char *field = "log";
    if (!j->has_token) {
        text = http_header(j->job.x, LOG_TOKEN_HEADER);
        j->has_token = text.len != 0;
        field = LOG_TOKEN_HEADER;
    }
    ex_status st = j->has_token ? log_token_parse(text, &j->token, err) : EX_OK;
    if (st)
        ex_error_set_field(err, ex_str(field));
    return st;
}

/* EventSource hands frames with a name to those who ask for that very name, the others to onmessage.
 */
static ex_status read_frames(page_job *j, bool is_live, ex_error *err)
{
    bool is_given = false;
    ex_slice text = http_query(j->job.x, "frames", &is_given);
    j->has_unnamed_frames = ex_slice_is(text, "unnamed");
    if (!is_given || (is_live && (j->has_unnamed_frames || ex_slice_is(text, "named"))))
        return EX_OK;
    ex_status st =
        ex_raise(err, EX_EINVAL,
                 is_live ? "query parameter \"frames\" must be named or unnamed"
                         : "query parameter \"frames\" only goes with text/event-stream");
    ex_error_set_field(err, EX_S("frames"));
    return st;
}

static ex_status read_stream_params(page_job *j, ex_error *err)
{
    static const request_param known[] = {{"from", false}, {"limit", false},  {"direction", false},
                                          {"log", false},  {"frames", false}, REACH_PARAMS};
    j->stream.stream = http_param(j->job.x, "stream");
    ex_status st = request_check_params(j->job.x, known, sizeof(known) / sizeof(known[0]), err);
    if (!st)
        st = store_name_check(j->stream.stream, "stream", err);
    if (!st)
        st = read_number(j, "from", &j->stream.from, err);
    if (!st)
        st = read_direction(j, err);
    if (!st)
        st = reach_read_params(j->job.x, &j->reach, err);
    if (!st)
        st = read_limit(j, j->job.api->options.stream_page_events, &j->limit, err);
    j->stream.limit = j->limit + 1; /* one more tells whether there is more */
    return st;
}

/* R-ES-16. An empty one would otherwise mean all, which is not what was asked for. */
static ex_status read_correlation(page_job *j, ex_error *err)
{
    bool is_given = false;
    j->filter.correlation_id = http_query(j->job.x, "correlation_id", &is_given);
    if (!is_given || j->filter.correlation_id.len)
        return EX_OK;
    ex_status st = ex_raise(err, EX_EINVAL, "query parameter \"correlation_id\" is empty");
    ex_error_set_field(err, EX_S("correlation_id"));
    return st;
}

/* The store names a filter's fault as items[0].tags[1]: here that is a parameter. */
static ex_status name_parameter(ex_status st, ex_error *err)
{
    static const char *const names[] = {"types", "tags", "streams"};
    for (size_t i = 0; st && i < sizeof(names) / sizeof(names[0]); i++)
        if (strncmp(err->field, names[i], strlen(names[i])) == 0 ||
            (strncmp(err->field, "items[0].", 9) == 0 &&
             strncmp(err->field + 9, names[i], strlen(names[i])) == 0))
            ex_error_set_field(err, ex_str(names[i]));
    return st;
}

static ex_status read_filter(page_job *j, ex_error *err)
{
    ex_status st = request_list(j->job.x, "types", &j->item.types, &j->item.type_count, err);
    if (!st)
        st = request_list(j->job.x, "tags", &j->item.tags, &j->item.tag_count, err);
    if (!st)
        st = request_list(j->job.x, "streams", &j->filter.streams, &j->filter.stream_count, err);
    if (!st)
        st = read_correlation(j, err);
    if (j->item.type_count || j->item.tag_count)
        j->filter.query = (ex_query){.items = &j->item, .item_count = 1};
    if (j->filter.query.item_count || j->filter.stream_count || j->filter.correlation_id.len)
        j->log.filter = &j->filter;
    return st || !j->log.filter ? st : name_parameter(filter_check(&j->filter, err), err);
}

static ex_status read_log_params(page_job *j, bool is_live, ex_error *err)
{
    static const request_param known[] = {
        {"after", false}, {"limit", false},  {"types", true},
        {"tags", true},   {"streams", true}, {"correlation_id", false},
        {"log", false},   {"frames", false}, REACH_PARAMS};
    ex_status st = request_check_params(j->job.x, known, sizeof(known) / sizeof(known[0]), err);
    bool is_given = false;
    if (!st)
        st = reach_read_params(j->job.x, &j->reach, err);
    j->is_after_head =
        !st && is_live && ex_slice_is(http_query(j->job.x, "after", &is_given), "head");
    if (!st && !j->is_after_head)
        st = read_number(j, "after", &j->log.after, err);
    if (!st)
        st = read_filter(j, err);
    if (!st)
        st = read_limit(j, j->job.api->options.log_page_events, &j->limit, err);
    j->log.limit = j->limit + 1; /* one more tells whether there is more */
    return st;
}

/* ---- Following ---- */

/* A reconnecting client's Last-Event-ID: the number that `id:` had. It wins over from and after. */
static ex_status read_last_event_id(const http_exchange *x, uint64_t *ret, ex_error *err)
{
    ex_slice text = http_header(x, "last-event-id");
    uint64_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || text.len > 18) {
            ex_status st =
                ex_raise(err, EX_EINVAL, "Last-Event-ID must be the id of an event of this stream");
            ex_error_set_field(err, EX_S("Last-Event-ID"));
            return st;
        }
        n = n * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    if (text.len)
        *ret = n;
    return EX_OK;
}

static ex_status check_follow_params(const http_exchange *x, ex_error *err)
{
    static const char *const paged[] = {"limit", "direction"};
    for (size_t i = 0; i < 2; i++) {
        bool is_given = false;
        (void)http_query(x, paged[i], &is_given); /* whether it is there is all that matters */
        if (!is_given)
            continue;
        ex_status st = ex_raise(
            err, EX_EINVAL, "query parameter \"%s\" does not go with text/event-stream", paged[i]);
        ex_error_set_field(err, ex_str(paged[i]));
        return st;
    }
    return EX_OK;
}

/* On a reader thread: a client that has seen more than there is must be told before its stream
 * begins, else it would wait for what it misses. */
static ex_status check_place(void *job, ex_buf *out, ex_error *err)
{
    page_job *j = job;
    ex_store *store = j->job.api->options.store;
    (void)out;
    ex_status st = reach_look(&j->reach, true, err);
    if (st || j->is_after_head)
        return st;
    st = check_token(j, j->follow.after, err);
    if (st)
        return st;
    return j->is_stream ? position_check_stream(store, j->follow.stream, j->follow.after, err)
                        : position_check_log(store, j->follow.after, err);
}

static ex_status open_stream(void *job, ex_buf *out, ex_error *err)
{
    page_job *j = job;
    (void)out;
    (void)err; /* sse_open has answered */
    if (j->is_after_head && j->reach.is_current)
        j->follow.after = j->reach.bound;
    else if (j->is_after_head)
        j->follow.after = ex_store_head(j->job.api->options.store);
    sse_open(j->job.api->sse, j->job.x, &j->follow, j->has_unnamed_frames);
    return EX_OK;
}

static ex_status follow(page_job *j, ex_error *err)
{
    api *a = j->job.api;
    j->follow = (ex_subscribe){.after = j->log.after, .filter = j->log.filter};
    if (j->is_stream) {
        j->follow.stream = j->stream.stream;
        j->follow.after = j->stream.from ? j->stream.from - 1 : 0;
    }
    ex_status st = check_follow_params(j->job.x, err);
    if (!st)
        st = read_last_event_id(j->job.x, &j->follow.after, err);
    if (st)
        return st;
    if (http_header(j->job.x, "last-event-id").len) /* it wins */
        j->is_after_head = false;
    uint64_t known = j->is_stream ? 0 : ex_store_head(a->options.store);
    if (j->has_token && !j->is_stream && !j->is_after_head)
        j->follow.epoch = &j->token.epoch; /* what it is told is of one history from there on */
    if (j->follow.after <= known && !j->has_token && !reach_is_asked(&j->reach))
        return open_stream(j, NULL, err);
    j->job.answer = open_stream;
    return reach_run(&j->reach, &j->job, a->readers, check_place, 0, err);
}

/* ---- Routes ---- */

static void handle(http_exchange *x, api *a, bool is_stream)
{
    ex_error err = {0};
    size_t offer = OFFER_JSON;
    page_job *j = route_job_new(x, a, sizeof(*j), answer);
    if (!j)
        return;
    ex_status st = request_accept(x, offers, OFFER_COUNT, &offer, &err);
    if (!st) {
        j->is_stream = is_stream;
        j->form = offer == OFFER_JSON ? EVENT_PLAIN : EVENT_CLOUDEVENT;
        st = is_stream ? read_stream_params(j, &err) : read_log_params(j, offer == OFFER_SSE, &err);
    }
    if (!st)
        st = read_frames(j, offer == OFFER_SSE, &err);
    if (!st)
        st = read_token(j, &err);
    j->none_match = http_header(x, "if-none-match");
    if (!st)
        st = offer == OFFER_SSE ? follow(j, &err) : submit_page(j, &err);
    if (st)
        http_respond_error(x, &err);
}

void route_read_stream(http_exchange *x, void *ctx)
{
    handle(x, ctx, true);
}

void route_read_log(http_exchange *x, void *ctx)
{
    handle(x, ctx, false);
}
