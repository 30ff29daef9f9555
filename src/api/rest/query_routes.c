/* query_routes.c: GET /v1/{context}/{query}?…&limit=&cursor=&min_position=.
 *
 * limit, cursor and min_position belong to the platform, every other parameter to
 * the query. With min_position the answer waits, without holding a thread, until
 * the view has seen that position; after min_position_timeout_ms it is 504 TIMEOUT. */
#include "api/rest/context.h"

#include "api/rest/json_fields.h"
#include "api/rest/request.h"

#define QUERY_ANSWER_LIMIT_BYTES ((size_t)64 << 20)
#define NS_PER_MS                UINT64_C(1000000)

typedef struct query_job {
    /* loop thread, then read only */
    api *api;
    http_exchange *x;
    ex_query_call call;
    ex_json params;
    view_wait wait;
    /* written by the thread that runs it, read after the post */
    ex_post post;
    ex_status status;
    ex_error err;
    ex_buf out;
} query_job;

static void on_posted(void *arg)
{
    query_job *j = arg;
    gate *g = &j->api->gate; /* the job goes with the exchange */
    ex_buf out = j->out;
    if (j->status)
        http_respond_error(j->x, &j->err);
    else
        http_respond(j->x, 200, "application/json", ex_buf_slice(&out));
    ex_buf_done(&out);
    gate_leave(g);
}

static void run_query(void *arg)
{
    query_job *j = arg;
    ex_buf_init(&j->out, QUERY_ANSWER_LIMIT_BYTES);
    j->status = ex_query_run(j->api->options.runtime, &j->call, http_arena(j->x), &j->out, &j->err);
    if (!j->status && ex_buf_status(&j->out))
        j->status = ex_raise(&j->err, ex_buf_status(&j->out), "no memory for the answer");
    ex_loop_post(http_loop(j->x), &j->post);
}

static ex_status queue(query_job *j, ex_error *err)
{
    return ex_workers_submit(j->api->queriers, run_query, j, err);
}

/* The wait is over, one way or the other: the query itself tells a view that came too late. */
static void on_waited(view_wait *w)
{
    query_job *j = (query_job *)(void *)((char *)w - offsetof(query_job, wait));
    ex_error err = {0};
    j->call.timeout_ms = 1;
    ex_status st = queue(j, &err);
    if (!st)
        return; /* the job is the querying thread's now */
    j->status = st;
    j->err = err;
    ex_loop_post(http_loop(j->x), &j->post);
}

static ex_status start(query_job *j, ex_error *err)
{
    api *a = j->api;
    uint32_t view = 0;
    ex_status st = gate_enter(&a->gate, err);
    if (st)
        return st;
    j->post = (ex_post){.fn = on_posted, .arg = j};
    if (j->call.min_position &&
        view_of_query(a->options.runtime, j->call.context, j->call.query, &view) &&
        !view_has_seen(a->options.runtime, view, j->call.min_position)) {
        j->wait.view = view;
        j->wait.min_position = j->call.min_position;
        j->wait.deadline_ns =
            ex_monotonic_ns(a->options.clock) + a->options.min_position_timeout_ms * NS_PER_MS;
        j->wait.done = on_waited;
        st = view_waits_add(a->view_waits, &j->wait, err);
    } else {
        st = queue(j, err);
    }
    if (st)
        gate_leave(&a->gate);
    return st;
}

/* ---- Parameters ---- */

static bool is_platform_param(ex_slice name)
{
    return ex_slice_is(name, "limit") || ex_slice_is(name, "cursor") ||
           ex_slice_is(name, "min_position");
}

static ex_status raise_twice(ex_error *err, ex_slice name)
{
    ex_status st =
        ex_raise(err, EX_EINVAL, "query parameter \"%.*s\" is given twice", EX_ARG(name));
    ex_error_set_field(err, name);
    return st;
}

/* The query's own parameters as an object of texts. */
static ex_status collect_params(query_job *j, ex_error *err)
{
    ex_slice name, value;
    size_t at = 0, count = 0;
    while (http_query_next(j->x, &at, &name, &value))
        count++;
    ex_json_member *members = ex_arena_array(http_arena(j->x), count ? count : 1, sizeof(*members));
    if (!members)
        return field_no_memory(err);
    j->params = (ex_json){.kind = EX_JSON_OBJECT, .as.members = members};
    for (at = 0; http_query_next(j->x, &at, &name, &value);) {
        if (is_platform_param(name))
            continue;
        if (ex_json_get(&j->params, name))
            return raise_twice(err, name);
        members[j->params.count++] =
            (ex_json_member){.key = name, .value = {.kind = EX_JSON_STRING, .as.text = value}};
    }
    j->call.params = &j->params;
    return EX_OK;
}

static ex_status check_platform_params(const http_exchange *x, ex_error *err)
{
    uint32_t limits = 0, cursors = 0, positions = 0;
    ex_slice name, value;
    for (size_t at = 0; http_query_next(x, &at, &name, &value);) {
        limits += ex_slice_is(name, "limit");
        cursors += ex_slice_is(name, "cursor");
        positions += ex_slice_is(name, "min_position");
        if (limits > 1 || cursors > 1 || positions > 1)
            return raise_twice(err, name);
    }
    return EX_OK;
}

/* R-QA-02: 0 reads as 1; above the query's own maximum it is clamped there. */
static ex_status read_limit(query_job *j, ex_error *err)
{
    bool is_given = false;
    uint64_t limit = 0;
    ex_status st = request_u64(j->x, "limit", &limit, err);
    (void)http_query(j->x, "limit", &is_given); /* whether it is there is all that matters */
    if (is_given)
        j->call.limit = limit < 1 ? 1 : limit > UINT32_MAX ? UINT32_MAX : (uint32_t)limit;
    return st;
}

static ex_status read_request(query_job *j, ex_error *err)
{
    static const char *const offers[] = {"application/json"};
    size_t offer = 0;
    bool is_given = false;
    j->call.context = http_param(j->x, "context");
    j->call.query = http_param(j->x, "query");
    j->call.timeout_ms = j->api->options.min_position_timeout_ms;
    ex_status st = request_accept(j->x, offers, 1, &offer, err);
    if (!st)
        st = check_platform_params(j->x, err);
    if (!st)
        st = read_limit(j, err);
    if (!st)
        st = request_u64(j->x, "min_position", &j->call.min_position, err);
    if (!st)
        st = collect_params(j, err);
    j->call.cursor = http_query(j->x, "cursor", &is_given);
    if (!st && is_given && j->call.cursor.len == 0) {
        st = ex_raise(err, EX_EINVAL, "an empty cursor names no page"); /* R-QA-03 */
        ex_error_set_code(err, "INVALID_CURSOR");
        ex_error_set_field(err, EX_S("cursor"));
    }
    return st;
}

void route_query(http_exchange *x, void *ctx)
{
    ex_error err = {0};
    api *a = ctx;
    query_job *j = ex_arena_zalloc(http_arena(x), sizeof(*j));
    ex_status st = EX_OK;
    if (!j) {
        st = field_no_memory(&err);
    } else if (!a->options.runtime) {
        st = ex_raise(&err, EX_ENOTFOUND, "there is no context \"%.*s\": no application is loaded",
                      EX_ARG(http_param(x, "context")));
        ex_error_set_code(&err, "UNKNOWN_CONTEXT");
    } else {
        j->api = a;
        j->x = x;
        st = read_request(j, &err);
        if (!st)
            st = start(j, &err);
    }
    if (st)
        http_respond_error(x, &err);
}
