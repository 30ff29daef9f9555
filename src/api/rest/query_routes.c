/* query_routes.c: GET /v1/{context}/{query}?…&limit=&cursor=&min_position=&consistency=.
 *
 * limit, cursor, min_position and consistency belong to the platform, every other
 * parameter to the query. With min_position the answer waits, without holding a
 * thread, until the view has seen that position; after min_position_timeout_ms it is
 * 504 TIMEOUT. consistency=current asks the database where the log ends, and waits
 * until the view is there. */
#include "api/rest/route_job.h"

#include "api/rest/json_fields.h"
#include "api/rest/reach.h"
#include "api/rest/request.h"

#define ANSWER_FIRST_BYTES ((size_t)1 << 20) /* a longer one is asked for again */
#define ANSWER_LIMIT_BYTES ((size_t)64 << 20)
#define NS_PER_MS          UINT64_C(1000000)

typedef struct query_job {
    route_job job;
    /* loop thread, then read only */
    ex_query_call call;
    ex_json params;
    reach reach; /* only the parameters */
    view_wait wait;
    char etag[REQUEST_ETAG_SIZE]; /* the querying thread's, then read after the post */
} query_job;

static ex_status answer(void *job, ex_buf *out, ex_error *err)
{
    query_job *j = job;
    (void)err;
    route_job_add_log(&j->job);
    http_add_header(j->job.x, "etag", ex_str(j->etag));
    if (request_names_etag(http_header(j->job.x, "if-none-match"), ex_str(j->etag)))
        request_respond_unchanged(j->job.x);
    else
        http_respond(j->job.x, 200, "application/json", ex_buf_slice(out));
    return EX_OK;
}

static ex_status run_query(void *job, ex_buf *out, ex_error *err)
{
    query_job *j = job;
    ex_arena *arena = http_arena(j->job.x);
    route_job_note_log(&j->job);
    ex_arena_mark mark = ex_arena_save(arena);
    for (size_t want = ANSWER_FIRST_BYTES;; want *= 4) {
        size_t room = http_take_room(j->job.x, want);
        if (room == 0)
            return ex_raise(err, EX_EOVERLOADED, "there is no memory for an answer now");
        ex_buf_done(out);
        ex_buf_init(out, room);
        ex_status st = ex_query_run(j->job.api->options.runtime, &j->call, arena, out, err);
        if (ex_buf_status(out) != EX_ETOOLARGE || want >= ANSWER_LIMIT_BYTES) {
            (void)request_body_etag(ex_buf_slice(out), j->etag);
            return st;
        }
        if (room < want)
            return ex_raise(err, EX_EOVERLOADED,
                            "there are only %zu bytes for the answer now, it needs more", room);
        ex_arena_restore(arena, mark);
    }
}

static ex_status queue(query_job *j, ex_error *err)
{
    return route_job_queue(&j->job, j->job.api->queriers, run_query, ANSWER_FIRST_BYTES, err);
}

/* The wait is over, one way or the other: the query itself tells a view that came too late. */
static void on_waited(view_wait *w)
{
    query_job *j = (query_job *)(void *)((char *)w - offsetof(query_job, wait));
    ex_error err = {0};
    j->call.timeout_ms = 1;
    ex_status st = queue(j, &err);
    if (st) /* else the job is the querying thread's now */
        route_job_post(&j->job, st, &err);
}

/* *ret_waits: on_waited goes on with it, and it is not ours any more. */
static ex_status wait_if_early(query_job *j, bool *ret_waits, ex_error *err)
{
    api *a = j->job.api;
    uint32_t view = 0;
    *ret_waits = j->call.min_position &&
                 view_of_query(a->options.runtime, j->call.context, j->call.query, &view) &&
                 !view_has_seen(a->options.runtime, view, j->call.min_position);
    if (!*ret_waits)
        return EX_OK;
    j->wait.view = view;
    j->wait.min_position = j->call.min_position;
    j->wait.done = on_waited;
    return view_waits_add(a->view_waits, &j->wait, err);
}

/* consistency=current. On a querying thread: the database is asked. */
static ex_status ask_current(void *job, ex_buf *out, ex_error *err)
{
    query_job *j = job;
    uint64_t head = 0;
    bool waits = false;
    ex_status st = ex_store_current_head(j->job.api->options.store, &head, err);
    if (st)
        return st;
    if (j->call.min_position < head)
        j->call.min_position = head;
    st = wait_if_early(j, &waits, err);
    if (st)
        return st;
    return waits ? ROUTE_JOB_PARKED : run_query(j, out, err);
}

static ex_status start(query_job *j, ex_error *err)
{
    api *a = j->job.api;
    bool waits = false;
    ex_status st = route_job_enter_cancellable(&j->job, &j->call.cancel, err);
    if (st)
        return st;
    j->wait.cancel = j->call.cancel;
    j->wait.deadline_ns =
        ex_monotonic_ns(a->options.clock) + a->options.min_position_timeout_ms * NS_PER_MS;
    if (j->reach.is_current) {
        st = route_job_queue(&j->job, a->queriers, ask_current, ANSWER_FIRST_BYTES, err);
    } else {
        st = wait_if_early(j, &waits, err);
        st = st || waits ? st : queue(j, err);
    }
    if (st)
        route_job_leave(&j->job);
    return st;
}

/* ---- Parameters ---- */

static bool is_platform_param(ex_slice name)
{
    return ex_slice_is(name, "limit") || ex_slice_is(name, "cursor") ||
           ex_slice_is(name, "min_position") || ex_slice_is(name, "consistency");
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
    while (http_query_next(j->job.x, &at, &name, &value))
        count++;
    ex_json_member *members =
        ex_arena_array(http_arena(j->job.x), count ? count : 1, sizeof(*members));
    if (!members)
        return field_no_memory(err);
    j->params = (ex_json){.kind = EX_JSON_OBJECT, .as.members = members};
    for (at = 0; http_query_next(j->job.x, &at, &name, &value);) {
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
    uint32_t limits = 0, cursors = 0, positions = 0, consistencies = 0;
    ex_slice name, value;
    for (size_t at = 0; http_query_next(x, &at, &name, &value);) {
        limits += ex_slice_is(name, "limit");
        cursors += ex_slice_is(name, "cursor");
        positions += ex_slice_is(name, "min_position");
        consistencies += ex_slice_is(name, "consistency");
        if (limits > 1 || cursors > 1 || positions > 1 || consistencies > 1)
            return raise_twice(err, name);
    }
    return EX_OK;
}

/* R-QA-02: 0 reads as 1; above the query's own maximum it is clamped there. */
static ex_status read_limit(query_job *j, ex_error *err)
{
    bool is_given = false;
    uint64_t limit = 0;
    ex_status st = request_u64(j->job.x, "limit", &limit, err);
    (void)http_query(j->job.x, "limit", &is_given); /* whether it is there is all that matters */
    if (is_given)
        j->call.limit = limit < 1 ? 1 : limit > UINT32_MAX ? UINT32_MAX : (uint32_t)limit;
    return st;
}

static ex_status read_request(query_job *j, ex_error *err)
{
    static const char *const offers[] = {"application/json"};
    size_t offer = 0;
    bool is_given = false;
    j->call.context = http_param(j->job.x, "context");
    j->call.query = http_param(j->job.x, "query");
    j->call.timeout_ms = j->job.api->options.min_position_timeout_ms;
    ex_status st = request_accept(j->job.x, offers, 1, &offer, err);
    if (!st)
        st = check_platform_params(j->job.x, err);
    if (!st)
        st = read_limit(j, err);
    if (!st)
        st = reach_read_params(j->job.x, &j->reach, err);
    j->call.min_position = j->reach.min_position;
    if (!st)
        st = collect_params(j, err);
    j->call.cursor = http_query(j->job.x, "cursor", &is_given);
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
    query_job *j = route_job_new(x, a, sizeof(*j), answer);
    ex_status st = EX_OK;
    if (!j)
        return;
    if (!a->options.runtime) {
        st = ex_raise(&err, EX_ENOTFOUND, "there is no context \"%.*s\": no application is loaded",
                      EX_ARG(http_param(x, "context")));
        ex_error_set_code(&err, "UNKNOWN_CONTEXT");
    } else {
        st = read_request(j, &err);
        if (!st)
            st = start(j, &err);
    }
    if (st)
        http_respond_error(x, &err);
}
