/* status_routes.c: GET /v1/status, for people and for `excore status`. The store is asked on a
 * reader thread. */
#include "api/rest/context.h"

#include "api/rest/json_fields.h"
#include "api/status_json.h"

#define ANSWER_LIMIT_BYTES ((size_t)1 << 20)

typedef struct status_job {
    /* loop thread */
    api *api;
    http_exchange *x;
    /* written by the reader thread, read after the post */
    ex_post post;
    ex_status status;
    ex_error err;
    ex_buf out;
} status_job;

static void on_posted(void *arg)
{
    status_job *j = arg;
    gate *g = &j->api->gate; /* the job goes with the exchange */
    ex_buf out = j->out;
    http_add_header(j->x, "cache-control", EX_S("no-store"));
    if (j->status)
        http_respond_error(j->x, &j->err);
    else
        http_respond(j->x, 200, "application/json", ex_buf_slice(&out));
    ex_buf_done(&out);
    gate_leave(g);
}

static ex_status put_status(status_job *j, const ex_store_facts *store)
{
    ex_status st = EX_OK;
    const api_options *o = &j->api->options;
    ex_json_writer w;
    status_json_begin(&w, &j->out);
    status_json_server(
        &w, &(status_server){o->version, o->commit, ex_now_us(o->clock) - j->api->started_us});
    status_json_store(&w, store);
    status_json_runtime(&w, o->runtime);
    if (o->nodes_url)
        st = status_json_nodes(&w, o->nodes_url, &j->err);
    status_json_end(&w);
    return st;
}

static void ask(void *arg)
{
    status_job *j = arg;
    ex_store_facts store;
    ex_buf_init(&j->out, ANSWER_LIMIT_BYTES);
    j->status = ex_store_describe(j->api->options.store, &store, &j->err);
    if (!j->status)
        j->status = put_status(j, &store);
    if (!j->status && ex_buf_status(&j->out))
        j->status = ex_raise(&j->err, ex_buf_status(&j->out), "no memory for the status");
    ex_loop_post(http_loop(j->x), &j->post);
}

void route_status(http_exchange *x, void *ctx)
{
    ex_error err = {0};
    api *a = ctx;
    status_job *j = ex_arena_zalloc(http_arena(x), sizeof(*j));
    ex_status st = j ? gate_enter(&a->gate, &err) : field_no_memory(&err);
    if (!st) {
        *j = (status_job){.api = a, .x = x, .post = {.fn = on_posted, .arg = j}};
        st = ex_workers_submit(a->readers, ask, j, &err);
        if (st)
            gate_leave(&a->gate);
    }
    if (st)
        http_respond_error(x, &err);
}
