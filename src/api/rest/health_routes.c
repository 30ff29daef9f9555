/* health_routes.c: /health/live, /health/ready, /ready, /health, /metrics, /openapi.json.
 *
 * Liveness is static bytes and touches nothing (R-07-17). Readiness comes from what
 * the checks said within the last second, else from a thread that may block. */
#include "api/rest/route_job.h"

#include "api/rest/request.h"
#include "observe/health.h"

#define ANSWER_LIMIT_BYTES ((size_t)64 << 10)

void route_live(http_exchange *x, void *ctx)
{
    (void)ctx;
    http_respond(x, 200, "application/json", EX_S("{\"status\":\"alive\"}"));
}

/* ---- Readiness ---- */

typedef struct health_job {
    route_job job;
    bool is_full; /* /health: build and uptime as well */
    /* written by the thread that runs the checks, read after the post */
    bool is_healthy;
    ex_buf checks;
} health_job;

/* R-07-21: time, build and uptime before what readiness says. */
static void put_full(const health_job *j, ex_buf *out)
{
    const api_options *o = &j->job.api->options;
    char now[EX_TIME_TEXT_SIZE];
    int64_t now_us = ex_now_us(o->clock);
    int64_t uptime_us = now_us > j->job.api->started_us ? now_us - j->job.api->started_us : 0;
    ex_slice checks = ex_buf_slice(&j->checks);
    ex_buf_put(out, EX_S("{\"timestamp\":"));
    ex_json_put_string(out, ex_time_text(now_us, now));
    ex_buf_put(out, EX_S(",\"version\":"));
    ex_json_put_string(out, ex_str(o->version));
    ex_buf_put(out, EX_S(",\"commit\":"));
    ex_json_put_string(out, ex_str(o->commit));
    ex_buf_put(out, EX_S(",\"uptime_seconds\":"));
    ex_buf_put_i64(out, uptime_us / 1000000);
    ex_buf_put_char(out, ',');
    ex_buf_put(out, ex_slice_of(checks.ptr + 1, checks.len - 1)); /* the members of an object */
}

static ex_status answer(void *job, ex_buf *full, ex_error *err)
{
    health_job *j = job;
    ex_buf checks = j->checks; /* the job goes with the exchange */
    (void)err;
    if (j->is_full && !ex_buf_status(&checks))
        put_full(j, full);
    http_add_header(j->job.x, "cache-control", EX_S("no-store"));
    if (ex_buf_status(&checks) || ex_buf_status(full))
        http_respond(j->job.x, 503, "application/json",
                     EX_S("{\"status\":\"unhealthy\",\"checks\":{}}"));
    else
        http_respond(j->job.x, j->is_healthy ? 200 : 503, "application/json",
                     ex_buf_slice(j->is_full ? full : &checks));
    ex_buf_done(&checks);
    return EX_OK;
}

static ex_status run_checks(void *job, ex_buf *full, ex_error *err)
{
    health_job *j = job;
    (void)full; /* is for the answer, which knows what to say when there is no memory */
    (void)err;
    j->is_healthy = ex_health_run(j->job.api->options.health, &j->checks);
    return EX_OK;
}

/* Answer at once from what is known; false when the checks have to run. */
static bool respond_known(health_job *j)
{
    ex_health *health = j->job.api->options.health;
    j->is_healthy = true;
    if (!health)
        ex_buf_put(&j->checks, EX_S("{\"status\":\"healthy\",\"checks\":{}}"));
    else if (!ex_health_peek(health, &j->checks, &j->is_healthy))
        return false;
    ex_buf full;
    ex_buf_init(&full, ANSWER_LIMIT_BYTES);
    (void)answer(j, &full, NULL); /* always answers */
    ex_buf_done(&full);
    return true;
}

static void handle(http_exchange *x, api *a, bool is_full)
{
    ex_error err = {0};
    health_job *j = route_job_new(x, a, sizeof(*j), answer);
    if (!j)
        return;
    j->is_full = is_full;
    ex_buf_init(&j->checks, ANSWER_LIMIT_BYTES);
    if (!respond_known(j) &&
        route_job_run(&j->job, a->prober, run_checks, ANSWER_LIMIT_BYTES, &err))
        http_respond_error(x, &err);
}

void route_ready(http_exchange *x, void *ctx)
{
    handle(x, ctx, false);
}

void route_health(http_exchange *x, void *ctx)
{
    handle(x, ctx, true);
}

/* ---- Documents ---- */

void route_metrics(http_exchange *x, void *ctx)
{
    api *a = ctx;
    ex_buf out;
    ex_buf_init(&out, 0);
    ex_metrics_write(a->options.metrics, &out);
    if (ex_buf_status(&out)) {
        ex_error err = {0};
        (void)ex_raise(&err, ex_buf_status(&out), "no memory for the metrics");
        http_respond_error(x, &err);
    } else {
        http_respond(x, 200, "text/plain; version=0.0.4; charset=utf-8", ex_buf_slice(&out));
    }
    ex_buf_done(&out);
}

void route_openapi(http_exchange *x, void *ctx)
{
    api *a = ctx;
    ex_error err = {0};
    if (a->openapi.len) {
        ex_slice etag = ex_str(a->openapi_etag);
        http_add_header(x, "etag", etag);
        http_add_header(x, "cache-control", EX_S("no-cache"));
        if (request_names_etag(http_header(x, "if-none-match"), etag))
            request_respond_unchanged(x);
        else
            http_respond(x, 200, "application/json", ex_buf_slice(&a->openapi));
        return;
    }
    (void)ex_raise(&err, EX_ENOTFOUND, "there is no OpenAPI document");
    http_respond_error(x, &err);
}
