/* access.c: metrics and log lines of requests. */
#include "api/http/access.h"

#include "api/http/conn.h"
#include "kernel/log.h"

#include <excore/clock.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define FAMILY_LABELS                                                                              \
    {                                                                                              \
        "method", "path", "status_code"                                                            \
    }

static ex_status register_requests(ex_metrics *m, access_metrics *ret, ex_error *err)
{
    ex_status s = ex_metrics_counter(
        m, &(ex_metric_desc){"http_request_count_total", "Requests answered.", FAMILY_LABELS},
        &ret->requests, err);
    if (s == EX_OK)
        s = ex_metrics_histogram(
            m,
            &(ex_metric_desc){"http_request_duration_seconds",
                              "From the end of the request head to the answer.", FAMILY_LABELS},
            EX_BUCKETS_SECONDS, 11, &ret->duration, err);
    if (s == EX_OK)
        s = ex_metrics_histogram(
            m, &(ex_metric_desc){"http_request_size_bytes", "Request bodies.", {"method", "path"}},
            EX_BUCKETS_BYTES, 8, &ret->request_size, err);
    if (s == EX_OK)
        s = ex_metrics_histogram(
            m, &(ex_metric_desc){"http_response_size_bytes", "Response bodies.", FAMILY_LABELS},
            EX_BUCKETS_BYTES, 8, &ret->response_size, err);
    return s;
}

static ex_status register_refusals(ex_metrics *m, access_metrics *ret, ex_error *err)
{
    static const ex_metric_desc refused = {
        "http_memory_refused_total",
        "Requests refused because so many bytes were held already, by who held them.",
        {"level"}};
    const ex_slice levels[BUDGET_LEVELS] = {[BUDGET_CONNECTION] = EX_S("connection"),
                                            [BUDGET_ADDRESS] = EX_S("address"),
                                            [BUDGET_SERVER] = EX_S("server")};
    ex_counter *family = NULL;
    ex_status s = ex_metrics_counter(m, &refused, &family, err);
    for (int i = BUDGET_CONNECTION; s == EX_OK && i < BUDGET_LEVELS; i++)
        ret->memory_refused[i] = ex_counter_with(family, &levels[i]);
    return s;
}

ex_status access_register(ex_metrics *m, access_metrics *ret, ex_error *err)
{
    memset(ret, 0, sizeof(*ret));
    if (!m)
        return EX_OK;
    const struct {
        const char *name;
        const char *help;
        ex_counter **counter;
        ex_gauge **gauge;
    } plain[] = {
        {"http_connections_total", "Connections accepted.", &ret->connections_total, NULL},
        {"http_connections_refused_total", "Connections refused at the limit.",
         &ret->connections_refused, NULL},
        {"http_received_bytes_total", "Bytes read from clients.", &ret->received_bytes, NULL},
        {"http_sent_bytes_total", "Bytes handed to the kernel for clients.", &ret->sent_bytes,
         NULL},
        {"http_connections", "Open connections.", NULL, &ret->connections},
        {"http_requests_in_flight", "Requests being handled.", NULL, &ret->inflight},
        {"http_streams", "Streamed answers that are open.", NULL, &ret->streams},
        {"http_memory_bytes", "Bytes held for requests and answers.", NULL, &ret->memory},
        {"http_memory_limit_bytes", "How many there may be.", NULL, &ret->memory_limit},
        {"http_memory_waiting", "Bodies and streams that wait for memory.", NULL,
         &ret->memory_waiting},
        {"http_memory_waits_total", "Times that one began to wait for memory.", &ret->memory_waits,
         NULL},
    };
    ex_status s = register_requests(m, ret, err);
    if (s == EX_OK)
        s = register_refusals(m, ret, err);
    for (size_t i = 0; s == EX_OK && i < sizeof(plain) / sizeof(plain[0]); i++) {
        ex_metric_desc d = {plain[i].name, plain[i].help, {NULL}};
        s = plain[i].counter ? ex_metrics_counter(m, &d, plain[i].counter, err)
                             : ex_metrics_gauge(m, &d, plain[i].gauge, err);
    }
    return s;
}

ex_status access_cache_init(access_cache *c, const access_metrics *metrics, size_t route_count,
                            ex_error *err)
{
    c->metrics = metrics;
    c->route_count = route_count;
    c->series = NULL;
    if (!metrics->requests)
        return EX_OK;
    c->series = calloc((route_count + 1) * ACCESS_SERIES_PER_ROUTE, sizeof(*c->series));
    return c->series ? EX_OK : ex_raise(err, EX_ENOMEM, "request metrics");
}

void access_cache_done(access_cache *c)
{
    free(c->series);
    c->series = NULL;
}

const char *access_method_name(http_method method)
{
    static const char *const names[HTTP_METHODS] = {"GET",   "HEAD",   "POST",    "PUT",
                                                    "PATCH", "DELETE", "OPTIONS", "OTHER"};
    return names[method];
}

static void look_up(const access_metrics *m, const http_exchange *x, int status, access_series *ret)
{
    char text[12];
    int n = snprintf(text, sizeof(text), "%d", status);
    ex_slice values[] = {ex_str(access_method_name(x->method)),
                         x->route ? ex_str(x->route->pattern) : EX_S("unmatched"),
                         ex_slice_of(text, (size_t)n)};
    *ret = (access_series){.status = status,
                           .method = x->method,
                           .requests = ex_counter_with(m->requests, values),
                           .duration = ex_histogram_with(m->duration, values),
                           .request_size = ex_histogram_with(m->request_size, values),
                           .response_size = ex_histogram_with(m->response_size, values)};
}

/* The cached series, or `fallback` filled in when all places of the route are taken. */
static const access_series *series_of(access_cache *c, const http_exchange *x, int status,
                                      access_series *fallback)
{
    size_t row = x->route ? x->route->index : c->route_count;
    access_series *s = c->series + row * ACCESS_SERIES_PER_ROUTE;
    for (int i = 0; i < ACCESS_SERIES_PER_ROUTE; i++) {
        if (s[i].status == 0)
            look_up(c->metrics, x, status, &s[i]);
        if (s[i].status == status && s[i].method == x->method)
            return &s[i];
    }
    look_up(c->metrics, x, status, fallback);
    return fallback;
}

static ex_slice remote_address(const http_exchange *x, char *out, size_t size)
{
    return x->conn ? x->conn->transport->peer(x->conn, out, size) : EX_S("");
}

void access_started(const http_exchange *x)
{
    char peer[64];
    EX_LOG(EX_LOG_DEBUG, "request started", ex_f_str("method", x->method_name),
           ex_f_str("path", x->path), ex_f_str("request_id", http_request_id(x)),
           ex_f_str("remote_addr", remote_address(x, peer, sizeof(peer))));
}

/* 501 and 505 are what the client asked for, 504 is a time that it set or that was written down. */
static bool is_our_failure(int status)
{
    return status >= 500 && status != 501 && status != 504 && status != 505;
}

void access_completed(http_exchange *x, int status)
{
    uint64_t now_ns = ex_monotonic_ns(ex_clock_system());
    double seconds = x->started_ns ? (double)(now_ns - x->started_ns) / 1e9 : 0;
    access_cache *cache = &x->core->access;
    if (cache->series) {
        access_series fallback;
        const access_series *s = series_of(cache, x, status, &fallback);
        ex_counter_add(s->requests, 1);
        ex_histogram_observe(s->duration, seconds);
        ex_histogram_observe(s->request_size, (double)x->request_bytes);
        ex_histogram_observe(s->response_size, (double)x->response_bytes);
    }
    EX_LOG(is_our_failure(status) ? EX_LOG_ERROR : EX_LOG_DEBUG, "request completed",
           ex_f_str("method", x->method_name), ex_f_str("path", x->path),
           ex_f_str("request_id", http_request_id(x)), ex_f_i64("status_code", status),
           ex_f_double("duration_ms", (double)llround(seconds * 1e6) / 1e3));
}
