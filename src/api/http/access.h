/* access.h: what is counted and logged about requests and connections (T-6, R-01-44).
 *
 * Series of a route are looked up once for each loop, method and status and
 * kept, so that a request costs no lock. */
#ifndef EXCORE_API_HTTP_ACCESS_H
#define EXCORE_API_HTTP_ACCESS_H

#include "api/http/budget.h"
#include "api/http/http.h"
#include "api/http/router.h"

/* The families; all NULL without a registry. Immutable after registration. */
typedef struct access_metrics {
    ex_counter *requests;
    ex_histogram *duration;
    ex_histogram *request_size;
    ex_histogram *response_size;
    ex_counter *connections_total;
    ex_counter *connections_refused;
    ex_counter *received_bytes;
    ex_counter *sent_bytes;
    ex_gauge *connections;
    ex_gauge *inflight;
    ex_gauge *streams;
    ex_gauge *memory;
    ex_gauge *memory_limit;
    ex_gauge *memory_waiting;
    ex_counter *memory_waits;
    ex_counter *memory_refused[BUDGET_LEVELS]; /* by the level that had no room */
} access_metrics;

#define ACCESS_SERIES_PER_ROUTE 8

typedef struct access_series {
    int status; /* 0: a free place */
    http_method method;
    ex_counter *requests;
    ex_histogram *duration;
    ex_histogram *request_size;
    ex_histogram *response_size;
} access_series;

/* One for each loop thread. */
typedef struct access_cache {
    const access_metrics *metrics;
    access_series *series; /* ACCESS_SERIES_PER_ROUTE for each route, the last are "unmatched" */
    size_t route_count;
} access_cache;

EX_NODISCARD ex_status access_register(ex_metrics *m, access_metrics *ret, ex_error *err);
EX_NODISCARD ex_status access_cache_init(access_cache *c, const access_metrics *metrics,
                                         size_t route_count, ex_error *err);
void access_cache_done(access_cache *c);

/** Log that a handler is about to see the request. */
void access_started(const http_exchange *x);
/** Count and log an answered (or abandoned) request. */
void access_completed(http_exchange *x, int status);

const char *access_method_name(http_method method);

#endif
