/* health_routes.c: /health/live, /health/ready, /ready, /health, /metrics, /openapi.json. */
#include "api/rest/context.h"

void route_live(http_exchange *x, void *ctx)
{
    (void)ctx;
    http_respond(x, 200, "application/json", EX_S("{\"status\":\"alive\"}"));
}

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
        http_respond(x, 200, "application/json", ex_buf_slice(&a->openapi));
        return;
    }
    (void)ex_raise(&err, EX_ENOTFOUND, "there is no OpenAPI document");
    http_respond_error(x, &err);
}
