/* command_routes.c: POST /v1/{context}/{aggregate}/{id}/{command}.
 *
 * The body is the command's payload (a JSON object; an empty body is {}), the
 * Idempotency-Key header its id, If-Match the expected version of the aggregate's
 * stream. The loop checks and queues, the sequencer decides and posts back.
 *
 * Answers 201 (200 when it is the stored outcome of an earlier call)
 *
 *   {"outcome":"executed","version":3,"position":12,"events":[{"type","id","position","version"}]}
 *   {"outcome":"failed","reason":"…",…}     a business failure, recorded by its event
 *
 * and a problem otherwise; a rejection is 422 with the rejection's own code. When it is not known
 * whether it took effect the problem has the correlation id to look for, and the command's id. */
#include "api/rest/route_job.h"

#include "api/rest/expected_input.h"
#include "api/rest/request.h"
#include "runtime/outcome.h"

#define COMMAND_ID_MAX 255
#define PARSED_FACTOR  4 /* of a payload: its parsed form while the command waits */

typedef struct command_job {
    route_job job;
    ex_command_call call; /* its result: written on the sequencer's thread, read after the post */
} command_job;

/* ---- The answer ---- */

static void put_answer(ex_buf *out, const ex_command_result *r)
{
    ex_json_writer w;
    ex_json_writer_init(&w, out);
    ex_json_begin_object(&w);
    ex_json_string_member(&w, EX_S("outcome"),
                          r->outcome == EX_FAILED ? EX_S("failed") : EX_S("executed"));
    if (r->outcome == EX_FAILED) {
        ex_json_string_member(&w, EX_S("reason"), r->reason);
    }
    ex_json_u64_member(&w, EX_S("version"), r->version);
    ex_json_u64_member(&w, EX_S("position"), r->position);
    if (r->is_duplicate) {
        ex_json_bool_member(&w, EX_S("duplicate"), true);
    }
    outcome_put_events(&w, r);
    ex_json_end_object(&w);
}

static ex_status answer(void *job, ex_buf *out, ex_error *err)
{
    command_job *j = job;
    const ex_command_result *r = &j->call.result;
    put_answer(out, r);
    if (ex_buf_status(out))
        return ex_raise(err, EX_EOUTCOME, /* a command is not repeated lightly */
                        "the command ran, but there is no memory for the answer");
    route_job_add_log(&j->job);
    request_add_number(j->job.x, "etag", "\"", r->version);
    http_respond(j->job.x, r->is_duplicate ? 200 : 201, "application/json", ex_buf_slice(out));
    return EX_OK;
}

/* With an id it is repeated, without one its events are looked for. */
static void put_problem(void *job, const ex_error *err, ex_json_writer *w)
{
    const ex_command_call *call = &((command_job *)job)->call;
    if (err->status != EX_EOUTCOME)
        return;
    if (call->command_id.len)
        ex_json_string_member(w, EX_S("command_id"), call->command_id);
    ex_json_string_member(w, EX_S("correlation_id"), call->result.correlation_id);
}

static void on_done(ex_command_call *call, ex_status status, const ex_error *err)
{
    command_job *j = call->ctx;
    if (!status)
        route_job_note_log(&j->job);
    route_job_post(&j->job, status, err);
}

/* ---- The request ---- */

static ex_status read_command_id(const http_exchange *x, ex_slice *ret, ex_error *err)
{
    ex_slice id = http_header(x, "idempotency-key");
    if (id.ptr && (id.len == 0 || id.len > COMMAND_ID_MAX)) {
        ex_status st =
            ex_raise(err, EX_EINVAL, "Idempotency-Key must have 1 to %d bytes", COMMAND_ID_MAX);
        ex_error_set_field(err, EX_S("Idempotency-Key"));
        return st;
    }
    *ret = id;
    return EX_OK;
}

static ex_status read_request(command_job *j, ex_error *err)
{
    static const char *const types[] = {"application/json"};
    http_exchange *x = j->job.x;
    ex_command_call *call = &j->call;
    expected_input expected = {0};
    size_t type = 0;
    call->context = http_param(x, "context");
    call->aggregate = http_param(x, "aggregate");
    call->id = http_param(x, "id");
    call->command = http_param(x, "command");
    call->payload = http_request_body(x);
    call->correlation_id = request_correlation_id(x);
    ex_status st = request_check_params(x, NULL, 0, err);
    if (!st && call->payload.len)
        st = request_body_type(x, types, 1, &type, err);
    if (!st)
        st = read_command_id(x, &call->command_id, err);
    if (!st)
        st = expected_from_headers(http_header(x, "if-match"), http_header(x, "if-none-match"),
                                   &expected, err);
    call->expected = expected.value;
    return st;
}

static ex_status submit(command_job *j, ex_error *err)
{
    ex_runtime *rt = j->job.api->options.runtime;
    if (!rt) {
        ex_status st =
            ex_raise(err, EX_ENOTFOUND, "there is no context \"%.*s\": no application is loaded",
                     EX_ARG(j->call.context));
        ex_error_set_code(err, "UNKNOWN_CONTEXT");
        return st;
    }
    ex_status st = route_job_enter(&j->job, err);
    if (st)
        return st;
    http_count_memory(j->job.x, PARSED_FACTOR * j->call.payload.len);
    j->call.done = on_done;
    j->call.ctx = j;
    st = ex_command_submit(rt, &j->call, http_arena(j->job.x), err);
    if (st)
        route_job_leave(&j->job);
    return st;
}

void route_command(http_exchange *x, void *ctx)
{
    ex_error err = {0};
    command_job *j = route_job_new(x, ctx, sizeof(*j), answer);
    if (!j)
        return;
    j->job.problem = put_problem;
    ex_status st = read_request(j, &err);
    if (!st)
        st = submit(j, &err);
    if (st)
        http_respond_error(x, &err);
}
