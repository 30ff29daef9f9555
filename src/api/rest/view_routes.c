/* view_routes.c: what operators see and ask of views.
 *
 *   GET  /v1/views                                  {"views":[…]} as in /v1/status
 *   GET  /v1/views/{view}                           one of them
 *   GET  /v1/views/{view}/parked?after=&limit=      {"parked":[…],"next":N,"has_more":bool}
 *   POST /v1/views/{view}/parked/retry              all that are parked
 *   POST /v1/views/{view}/parked/{position}/retry   one event          {"by"?}
 *   POST /v1/views/{view}/parked/{position}/skip                       {"reason","by"?}
 *
 * A retry answers 200 {"asked","applied","parked_again","waiting"} when all of it is tried, 202 when
 * some are left waiting after five seconds. */
#include "api/rest/route_job.h"

#include "api/rest/json_fields.h"
#include "api/rest/request.h"
#include "api/status_json.h"

#define ANSWER_LIMIT_BYTES ((size_t)4 << 20)
#define PARKED_DEFAULT     100u
#define PARKED_MAX         1000u
#define RETRY_WAIT_MS      5000u

typedef struct view_job {
    route_job job;
    /* loop thread, then read only */
    const char *view; /* NUL-terminated; NULL: all */
    uint64_t position, after, limit;
    ex_slice by, reason;
    /* written by the thread that works */
    ex_view_retried retried;
    ex_json_writer *writer;
    uint64_t listed, last;
} view_job;

static ex_status answer(void *job, ex_buf *out, ex_error *err)
{
    const view_job *j = job;
    (void)err;
    http_add_header(j->job.x, "cache-control", EX_S("no-store"));
    http_respond(j->job.x, j->retried.waiting ? 202 : 200, "application/json", ex_buf_slice(out));
    return EX_OK;
}

/* ---- What there is ---- */

static ex_status no_such_view(const char *view, ex_error *err)
{
    return ex_raise(err, EX_ENOTFOUND, "there is no view '%s'", view);
}

static ex_status put_views(void *job, ex_buf *out, ex_error *err)
{
    const view_job *j = job;
    ex_json_writer w;
    (void)err;
    status_json_begin(&w, out);
    status_json_runtime(&w, j->job.api->options.runtime);
    status_json_end(&w);
    return EX_OK;
}

static ex_status put_view(void *job, ex_buf *out, ex_error *err)
{
    const view_job *j = job;
    ex_runtime *rt = j->job.api->options.runtime;
    ex_view_status view;
    ex_json_writer w;
    ex_json_writer_init(&w, out);
    for (uint32_t i = 0; rt && ex_runtime_view_status(rt, i, &view); i++) {
        if (strcmp(view.name, j->view) == 0) {
            status_json_view_status(&w, &view);
            return EX_OK;
        }
    }
    return no_such_view(j->view, err);
}

static void put_parked_event(void *ctx, const ex_parked_event *e)
{
    view_job *j = ctx;
    if (j->listed++ < j->limit) {
        status_json_parked(j->writer, e);
        j->last = e->position;
    }
}

static ex_status put_parked(void *job, ex_buf *out, ex_error *err)
{
    view_job *j = job;
    ex_json_writer w;
    j->writer = &w;
    j->last = j->after;
    status_json_begin(&w, out);
    ex_json_key(&w, EX_S("parked"));
    ex_json_begin_array(&w);
    ex_status st = ex_runtime_view_parked(j->job.api->options.runtime, j->view, j->after,
                                          (uint32_t)j->limit + 1, put_parked_event, j, err);
    ex_json_end_array(&w);
    ex_json_u64_member(&w, EX_S("next"), j->last);
    ex_json_bool_member(&w, EX_S("has_more"), j->listed > j->limit);
    status_json_end(&w);
    return st;
}

/* ---- What is asked ---- */

static ex_status do_retry(void *job, ex_buf *out, ex_error *err)
{
    view_job *j = job;
    ex_status st = ex_runtime_view_retry(j->job.api->options.runtime, j->view, j->position, j->by,
                                         RETRY_WAIT_MS, &j->retried, err);
    if (!st)
        status_json_retried(out, &j->retried);
    return st;
}

static ex_status do_skip(void *job, ex_buf *out, ex_error *err)
{
    view_job *j = job;
    ex_status st = ex_runtime_view_skip(j->job.api->options.runtime, j->view, j->position, j->by,
                                        j->reason, err);
    if (!st)
        ex_buf_put(out, EX_S("{\"skipped\":1}"));
    return st;
}

static ex_status read_by(const ex_json *value, ex_arena *arena, void *into, ex_error *err)
{
    (void)arena;
    return field_read_string(value, &((view_job *)into)->by, err);
}

static ex_status read_reason(const ex_json *value, ex_arena *arena, void *into, ex_error *err)
{
    (void)arena;
    return field_read_string(value, &((view_job *)into)->reason, err);
}

static ex_status read_body(view_job *j, bool needs_reason, ex_error *err)
{
    static const char *const types[] = {"application/json"};
    const field_rule rules[] = {{"by", false, read_by}, {"reason", true, read_reason}};
    http_exchange *x = j->job.x;
    ex_slice body = http_request_body(x);
    size_t type = 0;
    ex_json json = {.kind = EX_JSON_OBJECT};
    ex_status st = body.len ? request_body_type(x, types, 1, &type, err) : EX_OK;
    if (!st && body.len)
        st = ex_json_parse(body, http_arena(x), NULL, &json, err);
    return st ? st : field_read_object(&json, rules, needs_reason ? 2 : 1, http_arena(x), j, err);
}

/* ---- The requests ---- */

static ex_status read_position(view_job *j, ex_error *err)
{
    ex_slice text = http_param(j->job.x, "position");
    uint64_t n = 0;
    bool is_number = text.len > 0 && text.len < 20;
    for (size_t i = 0; i < text.len && is_number; i++) {
        is_number = text.ptr[i] >= '0' && text.ptr[i] <= '9';
        n = n * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    if (is_number && n > 0) {
        j->position = n;
        return EX_OK;
    }
    (void)ex_raise(err, EX_EINVAL, "\"%.*s\" is no position", EX_ARG(text));
    ex_error_set_field(err, EX_S("position"));
    return EX_EINVAL;
}

static ex_status read_view(view_job *j, ex_error *err)
{
    ex_slice name = http_param(j->job.x, "view");
    ex_slice copy = ex_arena_copy(http_arena(j->job.x), name);
    if (!copy.ptr)
        return field_no_memory(err);
    j->view = copy.ptr;
    if (name.len && memchr(name.ptr, '\0', name.len))
        return no_such_view("", err);
    return j->job.api->options.runtime ? EX_OK : no_such_view(j->view, err);
}

static ex_status read_page(view_job *j, ex_error *err)
{
    static const request_param known[] = {{"after", false}, {"limit", false}};
    j->limit = PARKED_DEFAULT;
    ex_status st = request_check_params(j->job.x, known, 2, err);
    st = st ? st : request_u64(j->job.x, "after", &j->after, err);
    st = st ? st : request_u64(j->job.x, "limit", &j->limit, err);
    j->limit = j->limit < 1 ? 1 : j->limit > PARKED_MAX ? PARKED_MAX : j->limit;
    return st;
}

static void run(view_job *j, ex_status st, ex_workers *pool, route_job_work *work, ex_error *err)
{
    http_exchange *x = j->job.x;
    st = st ? st : route_job_run(&j->job, pool, work, ANSWER_LIMIT_BYTES, err);
    if (st)
        http_respond_error(x, err);
}

void route_views(http_exchange *x, void *ctx)
{
    ex_error err = {0};
    api *a = ctx;
    view_job *j = route_job_new(x, a, sizeof(*j), answer);
    if (j)
        run(j, request_check_params(x, NULL, 0, &err), a->prober, put_views, &err);
}

void route_view(http_exchange *x, void *ctx)
{
    ex_error err = {0};
    api *a = ctx;
    view_job *j = route_job_new(x, a, sizeof(*j), answer);
    if (!j)
        return;
    ex_status st = read_view(j, &err);
    st = st ? st : request_check_params(x, NULL, 0, &err);
    run(j, st, a->prober, put_view, &err);
}

void route_view_parked(http_exchange *x, void *ctx)
{
    ex_error err = {0};
    api *a = ctx;
    view_job *j = route_job_new(x, a, sizeof(*j), answer);
    if (!j)
        return;
    ex_status st = read_view(j, &err);
    st = st ? st : read_page(j, &err);
    run(j, st, a->queriers, put_parked, &err);
}

static void settle(http_exchange *x, api *a, bool is_one, bool is_skip)
{
    ex_error err = {0};
    view_job *j = route_job_new(x, a, sizeof(*j), answer);
    if (!j)
        return;
    ex_status st = read_view(j, &err);
    st = st ? st : request_check_params(x, NULL, 0, &err);
    st = st || !is_one ? st : read_position(j, &err);
    st = st ? st : read_body(j, is_skip, &err);
    run(j, st, a->queriers, is_skip ? do_skip : do_retry, &err);
}

void route_view_retry_all(http_exchange *x, void *ctx)
{
    settle(x, ctx, false, false);
}

void route_view_retry(http_exchange *x, void *ctx)
{
    settle(x, ctx, true, false);
}

void route_view_skip(http_exchange *x, void *ctx)
{
    settle(x, ctx, true, true);
}
