/* append_routes.c: POST /v1/streams/{stream} and POST /v1/append.
 *
 * The loop thread reads the body into the exchange's arena and queues the append
 * itself: no thread in between. The sequencer's callback only posts back; the posts
 * of one batch cost one wake-up of the loop.
 *
 * Answers 201 {"position","version","events":[{"id","position","version"}]}, or 200 with the first
 * outcome and "duplicate":true when all of it was stored before, also when the application that is
 * loaded by now could not read it. Entries of /v1/append also
 * name their stream. When it is not known whether it was stored the problem names the ids that its
 * events had, in the order of the request. */
#include "api/rest/route_job.h"

#include "api/rest/cloudevent_headers.h"
#include "api/rest/event_input.h"
#include "api/rest/json_fields.h"
#include "api/rest/request.h"

#include <stdio.h>

typedef struct append_job {
    route_job job;
    /* loop thread */
    append_input input;
    append_body body; /* of one stream */
    bool is_multi;
    ex_error misfit; /* the application could not read it: only its retry is answered */
    /* written on the sequencer's thread, read after the post */
    ex_appended appended;
} append_job;

/* ---- The answer ---- */

static void put_ref(ex_json_writer *w, const append_job *j, uint32_t index, ex_slice stream)
{
    const ex_event_ref *ref = &j->appended.events[index];
    char id[EX_ID_TEXT_SIZE];
    ex_json_begin_object(w);
    if (j->is_multi)
        ex_json_string_member(w, EX_S("stream"), stream);
    ex_json_string_member(w, EX_S("id"), ex_id_text(&ref->id, id));
    ex_json_u64_member(w, EX_S("position"), ref->position);
    ex_json_u64_member(w, EX_S("version"), ref->version);
    ex_json_end_object(w);
}

static void put_refs(ex_json_writer *w, const append_job *j)
{
    const ex_append *a = &j->input.append;
    uint32_t index = 0;
    for (uint32_t i = 0; i < a->write_count; i++)
        for (uint32_t k = 0; k < a->writes[i].event_count; k++)
            put_ref(w, j, index++, a->writes[i].stream);
}

static void put_answer(ex_buf *out, const append_job *j)
{
    ex_json_writer w;
    ex_json_writer_init(&w, out);
    ex_json_begin_object(&w);
    ex_json_u64_member(&w, EX_S("position"), j->appended.position);
    ex_json_u64_member(&w, EX_S("version"), j->appended.version);
    if (j->appended.is_duplicate) {
        ex_json_bool_member(&w, EX_S("duplicate"), true);
    }
    ex_json_key(&w, EX_S("events"));
    ex_json_begin_array(&w);
    put_refs(&w, j);
    ex_json_end_array(&w);
    ex_json_end_object(&w);
}

static ex_status answer(void *job, ex_buf *out, ex_error *err)
{
    append_job *j = job;
    put_answer(out, j);
    if (ex_buf_status(out))
        return ex_raise(err, EX_EOUTCOME, /* whoever repeats it must name the ids */
                        "the events are stored, but there is no memory for the answer");
    route_job_add_log(&j->job);
    if (!j->is_multi)
        request_add_number(j->job.x, "etag", "\"", j->appended.version);
    http_respond(j->job.x, j->appended.is_duplicate ? 200 : 201, "application/json",
                 ex_buf_slice(out));
    return EX_OK;
}

/* Those of a longer append are named by whoever sends it. */
#define EVENT_IDS_MAX 1000u

static void put_problem(void *job, const ex_error *err, ex_json_writer *w)
{
    const append_job *j = job;
    uint32_t count = j->appended.event_count;
    char id[EX_ID_TEXT_SIZE];
    if (err->status != EX_EOUTCOME || count > EVENT_IDS_MAX)
        return;
    ex_json_key(w, EX_S("event_ids"));
    ex_json_begin_array(w);
    for (uint32_t i = 0; i < count; i++)
        ex_json_string(w, ex_id_text(&j->appended.events[i].id, id));
    ex_json_end_array(w);
}

static void on_done(void *ctx, ex_status status, const ex_appended *appended, const ex_error *err)
{
    append_job *j = ctx;
    (void)appended; /* is j->appended */
    if (!status)
        route_job_note_log(&j->job);
    if (status == EX_ENOTFOUND && j->misfit.status)
        route_job_post(&j->job, j->misfit.status, &j->misfit);
    else
        route_job_post(&j->job, status, err);
}

/* ---- The request ---- */

static ex_status read_stream_request(append_job *j, ex_error *err)
{
    static const char *const types[] = {
        [APPEND_JSON] = "application/json",
        [APPEND_CLOUDEVENT] = "application/cloudevents+json",
        [APPEND_CLOUDEVENT_BATCH] = "application/cloudevents-batch+json",
    };
    expected_input header;
    size_t type = 0;
    ex_status st = request_body_type(j->job.x, types, sizeof(types) / sizeof(types[0]), &type, err);
    bool is_binary = cloudevent_is_binary(j->job.x) && (st || type == APPEND_JSON);
    if (!st || is_binary)
        st = expected_from_headers(http_header(j->job.x, "if-match"),
                                   http_header(j->job.x, "if-none-match"), &header, err);
    j->body = is_binary ? APPEND_CLOUDEVENT_BINARY : (append_body)type;
    if (!st && is_binary)
        return append_input_binary(j->job.x, http_param(j->job.x, "stream"), header,
                                   http_arena(j->job.x), &j->input, err);
    if (!st)
        st = append_input_stream(http_param(j->job.x, "stream"), j->body,
                                 http_request_body(j->job.x), header, http_arena(j->job.x),
                                 &j->input, err);
    return st;
}

static ex_status read_streams_request(append_job *j, ex_error *err)
{
    static const char *const types[] = {"application/json"};
    size_t type = 0;
    ex_status st = request_body_type(j->job.x, types, 1, &type, err);
    return st ? st
              : append_input_streams(http_request_body(j->job.x), http_arena(j->job.x), &j->input,
                                     err);
}

/* The path of a fault in the body: that of the event, then that in the event. A CloudEvent has an
 * attribute schemaversion instead of schema_version. */
static void name_fault(const append_job *j, uint32_t write, uint32_t index, ex_error *err)
{
    char path[2 * EX_ERROR_FIELD_SIZE], below[EX_ERROR_FIELD_SIZE];
    bool is_json = j->is_multi || j->body == APPEND_JSON;
    bool is_version = strcmp(err->field, "schema_version") == 0;
    int at = 0;
    (void)snprintf(below, sizeof(below), "%s", /* fits */
                   is_version && !is_json ? "schemaversion" : err->field);
    if (j->is_multi)
        at = snprintf(path, sizeof(path), "writes[%u].events[%u].", write, index);
    else if (is_json)
        at = snprintf(path, sizeof(path), "events[%u].", index);
    else if (j->body == APPEND_CLOUDEVENT_BATCH)
        at = snprintf(path, sizeof(path), "[%u].", index);
    (void)snprintf(path + at, sizeof(path) - (size_t)at, "%s", below); /* fits */
    ex_error_set_field(err, ex_str(path));                             /* cut is fine: for people */
}

static bool take_prefix(const char **path, const char *prefix)
{
    size_t len = strlen(prefix);
    if (strncmp(*path, prefix, len) != 0)
        return false;
    *path += len;
    return true;
}

/* The store names a fault by its place in the append; whoever sent the body has another view of it:
 * one stream has no list of writes, one CloudEvent no list of events, and its attributes have names
 * of their own. */
static void translate_fault(const append_job *j, ex_error *err)
{
    char path[EX_ERROR_FIELD_SIZE + 8];
    const char *at = err->field, *list = "";
    if (j->is_multi || !take_prefix(&at, "writes[0]"))
        return;
    bool is_cloud = j->body != APPEND_JSON;
    (void)take_prefix(&at, ".");
    if (is_cloud && take_prefix(&at, "events")) {
        list = at;
        at += strcspn(at, "."); /* [3] */
    }
    int list_len = j->body == APPEND_CLOUDEVENT_BATCH ? (int)(at - list) : 0;
    bool has_dot = take_prefix(&at, ".") && list_len > 0;
    if (is_cloud && strcmp(at, "content_type") == 0)
        at = "datacontenttype";
    else if (is_cloud && strcmp(at, "schema_version") == 0)
        at = "schemaversion";
    int rest = is_cloud && strncmp(at, "tags[", 5) == 0 ? 4 : (int)strlen(at);
    (void)snprintf(path, sizeof(path), "%.*s%s%.*s", list_len, list, has_dot ? "." : "", rest, at);
    ex_error_set_field(err, ex_str(path)); /* cut is fine: for people */
}

/* What the application knows it must be able to read. */
static ex_status check_types(const append_job *j, ex_error *err)
{
    const ex_append *append = &j->input.append;
    const ex_runtime *rt = j->job.api->options.runtime;
    for (uint32_t w = 0; rt && w < append->write_count; w++) {
        const ex_stream_write *write = &append->writes[w];
        for (uint32_t i = 0; i < write->event_count; i++) {
            ex_status st = ex_runtime_check_event(rt, write->stream, &write->events[i], err);
            if (st == EX_EINVAL)
                name_fault(j, w, i, err);
            if (st)
                return st;
        }
    }
    return EX_OK;
}

static bool has_all_ids(const ex_append *append)
{
    for (uint32_t w = 0; w < append->write_count; w++)
        for (uint32_t i = 0; i < append->writes[w].event_count; i++)
            if (ex_id_is_nil(&append->writes[w].events[i].id))
                return false;
    return true;
}

/* What an earlier application has let in, or nobody looked at, is stored: a retry of it is told so,
 * whatever is loaded by now. */
static ex_status check_fit(append_job *j, ex_error *err)
{
    ex_status st = check_types(j, err);
    if (st != EX_EINVAL || !has_all_ids(&j->input.append))
        return st;
    j->misfit = *err;
    j->input.append.is_retry_only = true;
    return EX_OK;
}

/* That it is this log; the epoch is looked at where the condition is. */
static ex_status check_log(const append_job *j, ex_error *err)
{
    const log_token *given = &j->input.log;
    const ex_id log = ex_store_log_id(j->job.api->options.store);
    return !j->input.has_log || ex_id_eq(&given->log, &log)
               ? EX_OK
               : log_token_check(given, j->job.api->options.store, j->input.append.after, err);
}

/* A search for a condition ends with its client; what needs none is written anyway. */
static ex_status enter(append_job *j, ex_error *err)
{
    ex_append *a = &j->input.append;
    return a->fail_if_match ? route_job_enter_cancellable(&j->job, &a->cancel, err)
                            : route_job_enter(&j->job, err);
}

static ex_status submit(append_job *j, ex_error *err)
{
    ex_arena *arena = http_arena(j->job.x);
    append_input_correlate(&j->input, request_correlation_id(j->job.x));
    j->appended.event_room = j->input.event_count;
    j->appended.events = ex_arena_array(arena, j->input.event_count, sizeof(ex_event_ref));
    if (!j->appended.events)
        return field_no_memory(err);
    ex_status st = enter(j, err);
    if (st)
        return st;
    st = ex_store_append_async(j->job.api->options.store, &j->input.append, &j->appended, on_done,
                               j, err);
    if (st) {
        translate_fault(j, err);
        route_job_leave(&j->job);
    }
    return st;
}

static void handle(http_exchange *x, api *a, bool is_multi)
{
    ex_error err = {0};
    append_job *j = route_job_new(x, a, sizeof(*j), answer);
    if (!j)
        return;
    j->is_multi = is_multi;
    j->job.problem = put_problem;
    ex_status st = request_check_params(x, NULL, 0, &err);
    if (!st)
        st = is_multi ? read_streams_request(j, &err) : read_stream_request(j, &err);
    if (!st)
        st = check_log(j, &err);
    if (!st)
        st = check_fit(j, &err);
    if (!st)
        st = submit(j, &err);
    if (st)
        http_respond_error(x, &err);
}

void route_append_stream(http_exchange *x, void *ctx)
{
    handle(x, ctx, false);
}

void route_append_streams(http_exchange *x, void *ctx)
{
    handle(x, ctx, true);
}
