/* status_routes.c: GET /v1/status, for people and for `excore status`. The store is asked on the
 * thread of the health checks: the readers may be busy when somebody wants to know why. */
#include "api/rest/route_job.h"

#include "api/status_json.h"

#define ANSWER_LIMIT_BYTES ((size_t)1 << 20)

static ex_status ask(void *job, ex_buf *out, ex_error *err)
{
    const route_job *j = job;
    const api_options *o = &j->api->options;
    ex_store_facts store;
    ex_json_writer w;
    ex_status st = ex_store_describe(o->store, &store, err);
    if (st)
        return st;
    status_json_begin(&w, out);
    status_json_server(
        &w, &(status_server){o->version, o->commit, ex_now_us(o->clock) - j->api->started_us});
    status_json_store(&w, &store);
    status_json_runtime(&w, o->runtime);
    if (j->api->nodes)
        st = status_json_nodes(&w, j->api->nodes, err);
    status_json_end(&w);
    return st;
}

static ex_status answer(void *job, ex_buf *out, ex_error *err)
{
    route_job *j = job;
    (void)err;
    http_respond(j->x, 200, "application/json", ex_buf_slice(out));
    return EX_OK;
}

void route_status(http_exchange *x, void *ctx)
{
    ex_error err = {0};
    api *a = ctx;
    route_job *j = route_job_new(x, a, sizeof(*j), answer);
    if (!j)
        return;
    http_add_header(x, "cache-control", EX_S("no-store"));
    if (route_job_run(j, a->prober, ask, ANSWER_LIMIT_BYTES, &err))
        http_respond_error(x, &err);
}
