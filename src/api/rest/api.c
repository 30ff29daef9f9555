/* api.c: the table of routes and the life of what they share. */
#include "api/rest/route_job.h"

#include <assert.h>
#include <stdlib.h>

#define PROBE_QUEUE_LIMIT 256
#define VIEW_WAIT_LIMIT   1024

static uint32_t or_default(uint32_t value, uint32_t preset)
{
    return value ? value : preset;
}

static void fill_defaults(api_options *o)
{
    o->clock = o->clock ? o->clock : ex_clock_system();
    o->version = o->version ? o->version : "unknown";
    o->commit = o->commit ? o->commit : "unknown";
    o->reader_threads = or_default(o->reader_threads, 4);
    o->reader_queue_limit = or_default(o->reader_queue_limit, 1024);
    o->page_timeout_ms = or_default(o->page_timeout_ms, 5000);
    o->page_limit_bytes = or_default(o->page_limit_bytes, 4u << 20);
    o->page_events_limit = or_default(o->page_events_limit, 1000);
    o->stream_page_events = or_default(o->stream_page_events, 1000);
    o->log_page_events = or_default(o->log_page_events, 100);
    o->sse_connection_limit = or_default(o->sse_connection_limit, 1000);
    o->sse_heartbeat_ms = or_default(o->sse_heartbeat_ms, 15000);
    o->min_position_timeout_ms = or_default(o->min_position_timeout_ms, 5000);
}

static void add_route(api *a, http_method method, const char *pattern, http_handler *handler)
{
    assert(a->route_count < API_ROUTES_MAX);
    a->routes[a->route_count++] =
        (http_route){.method = method, .pattern = pattern, .handler = handler, .ctx = a};
}

static void add_long_route(api *a, const char *pattern, http_handler *handler)
{
    add_route(a, HTTP_GET_, pattern, handler);
    a->routes[a->route_count - 1].trait = HTTP_LONG_ANSWER;
}

/* For those who look after the server: it answers them also when it is full. */
static void add_operator_route(api *a, const char *pattern, http_handler *handler)
{
    add_route(a, HTTP_GET_, pattern, handler);
    a->routes[a->route_count - 1].trait = HTTP_OPERATOR;
}

/* For probes of those who look after many servers and know them by names of their own. */
static void add_probe_route(api *a, const char *pattern, http_handler *handler, http_trait trait)
{
    add_operator_route(a, pattern, handler);
    a->routes[a->route_count - 1].trait = trait;
    a->routes[a->route_count - 1].is_for_any_host = true;
}

static void add_routes(api *a)
{
    add_route(a, HTTP_POST_, "/v1/streams/{stream}", route_append_stream);
    add_route(a, HTTP_POST_, "/v1/append", route_append_streams);
    add_long_route(a, "/v1/streams/{stream}", route_read_stream);
    add_long_route(a, "/v1/events", route_read_log);
    add_operator_route(a, "/v1/status", route_status);
    add_operator_route(a, "/v1/views", route_views);
    add_operator_route(a, "/v1/views/{view}", route_view);
    add_long_route(a, "/v1/views/{view}/parked", route_view_parked);
    add_route(a, HTTP_POST_, "/v1/views/{view}/parked/retry", route_view_retry_all);
    add_route(a, HTTP_POST_, "/v1/views/{view}/parked/{position}/retry", route_view_retry);
    add_route(a, HTTP_POST_, "/v1/views/{view}/parked/{position}/skip", route_view_skip);
    add_probe_route(a, "/health/live", route_live, HTTP_LIVENESS);
    add_probe_route(a, "/health/ready", route_ready, HTTP_OPERATOR);
    add_probe_route(a, "/ready", route_ready, HTTP_OPERATOR);
    add_operator_route(a, "/health", route_health);
    if (a->options.metrics)
        add_operator_route(a, "/metrics", route_metrics);
    add_long_route(a, "/openapi.json", route_openapi);
    add_route(a, HTTP_POST_, "/v1/{context}/{aggregate}/{id}/{command}", route_command);
    add_long_route(a, "/v1/{context}/{query}", route_query);
}

static ex_status start_threads(api *a, ex_error *err)
{
    const api_options *o = &a->options;
    const sse_options sse = {.store = o->store,
                             .clock = o->clock,
                             .gate = &a->gate,
                             .metrics = o->metrics,
                             .connection_limit = o->sse_connection_limit,
                             .heartbeat_ms = o->sse_heartbeat_ms};
    ex_status st = sse_service_new(&sse, &a->sse, err);
    if (!st)
        st = ex_workers_start("reader", o->reader_threads, o->reader_queue_limit, &a->readers, err);
    if (!st)
        st = ex_workers_start("probe", 1, PROBE_QUEUE_LIMIT, &a->prober, err);
    if (!st && o->runtime)
        st = ex_workers_start("query", o->reader_threads, o->reader_queue_limit, &a->queriers, err);
    if (!st)
        st = view_waits_start(o->runtime, o->store, o->clock, VIEW_WAIT_LIMIT, &a->view_waits, err);
    return st;
}

/* ---- Metrics ---- */

static void measure_pools(void *ctx)
{
    api *a = ctx;
    const ex_workers *const pools[API_POOLS] = {a->readers, a->queriers, a->prober};
    for (int i = 0; i < API_POOLS; i++)
        ex_gauge_set(a->waiting[i], pools[i] ? ex_workers_queued(pools[i]) : 0);
}

static ex_status add_metrics(api *a, ex_error *err)
{
    static const ex_metric_desc waiting = {
        "api_jobs_waiting", "Reads, queries and probes that wait for a thread.", {"pool"}};
    const ex_slice names[API_POOLS] = {EX_S("reader"), EX_S("query"), EX_S("probe")};
    ex_gauge *family = NULL;
    if (!a->options.metrics)
        return EX_OK;
    ex_status st = ex_metrics_gauge(a->options.metrics, &waiting, &family, err);
    if (st)
        return st;
    for (int i = 0; i < API_POOLS; i++)
        a->waiting[i] = ex_gauge_with(family, &names[i]);
    return ex_metrics_on_collect(a->options.metrics, measure_pools, a)
               ? ex_raise(err, EX_ENOMEM, "no memory for the metrics of the HTTP surface")
               : EX_OK;
}

/* ---- Life ---- */

ex_status api_new(const api_options *options, api **ret, ex_error *err)
{
    if (!options->store)
        return ex_raise(err, EX_EINVAL, "the HTTP surface needs a store");
    api *a = calloc(1, sizeof(*a));
    if (!a)
        return ex_raise(err, EX_ENOMEM, "no memory for the HTTP surface");
    a->options = *options;
    fill_defaults(&a->options);
    a->started_us = ex_now_us(a->options.clock);
    gate_init(&a->gate);
    (void)pthread_mutex_init(&a->jobs_mu, NULL); /* cannot fail with default attributes on Linux */
    link_init_head(&a->jobs);
    ex_buf_init(&a->openapi, 0);
    ex_status st = start_threads(a, err);
    if (!st && a->options.nodes_url)
        st = ex_lease_lister_new(a->options.nodes_url, &a->nodes, err);
    st = st ? st : add_metrics(a, err);
    if (st) {
        api_free(a);
        return st;
    }
    add_routes(a);
    *ret = a;
    return EX_OK;
}

void api_routes(const api *a, const http_route **ret, size_t *ret_count)
{
    *ret = a->routes;
    *ret_count = a->route_count;
}

ex_status api_set_openapi(api *a, ex_slice document, ex_error *err)
{
    ex_buf_reset(&a->openapi);
    ex_buf_put(&a->openapi, document);
    if (ex_buf_status(&a->openapi))
        return ex_raise(err, ex_buf_status(&a->openapi), "no memory for the OpenAPI document");
    (void)request_body_etag(document, a->openapi_etag);
    return EX_OK;
}

void api_stop(api *a)
{
    route_jobs_cancel(a); /* the server has drained: these are late */
    gate_close(&a->gate);
    ex_metrics_off_collect(a->options.metrics, measure_pools, a); /* it reads the pools */
    view_waits_stop(a->view_waits);
    ex_workers_stop(a->readers);
    ex_workers_stop(a->queriers);
    ex_workers_stop(a->prober);
    a->view_waits = NULL;
    a->readers = a->queriers = a->prober = NULL;
    sse_service_stop(a->sse);
}

void api_end_by(api *a, uint64_t deadline_ns)
{
    if (a->nodes)
        ex_lease_lister_end_by(a->nodes, deadline_ns);
}

void api_free(api *a)
{
    if (!a)
        return;
    api_stop(a);
    sse_service_free(a->sse);
    ex_lease_lister_free(a->nodes);
    ex_buf_done(&a->openapi);
    gate_done(&a->gate);
    log_token_cache_done(&a->log_texts);
    (void)pthread_mutex_destroy(&a->jobs_mu);
    free(a);
}
