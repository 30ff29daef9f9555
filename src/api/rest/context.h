/* context.h: what the routes of the HTTP surface share. Private to api/rest. */
#ifndef EXCORE_API_REST_CONTEXT_H
#define EXCORE_API_REST_CONTEXT_H

#include "api/rest/api.h"
#include "api/rest/request.h"
#include "api/gate.h"
#include "api/log_token.h"
#include "api/http/list.h"
#include "api/rest/view_wait.h"
#include "api/sse/sse.h"
#include "kernel/workers.h"
#include "sql/lease_list.h"

#define API_ROUTES_MAX 32
#define API_POOLS      3 /* readers, queriers, prober */

struct api {
    /* immutable once the server runs */
    api_options options; /* every default filled in */
    http_route routes[API_ROUTES_MAX];
    size_t route_count;
    ex_workers *readers;  /* pages */
    ex_workers *queriers; /* queries of views; NULL without an application */
    ex_workers *prober;   /* one thread: health checks may take seconds; and for the status */
    view_waits *view_waits;
    ex_lease_lister *nodes; /* NULL: no other node can be */
    sse_service *sse;
    ex_buf openapi;
    char openapi_etag[REQUEST_ETAG_SIZE];
    int64_t started_us;
    ex_gauge *waiting[API_POOLS]; /* NULL without metrics */
    /* their own synchronisation */
    gate gate;
    log_token_cache log_texts;
    /* guarded by jobs_mu */
    pthread_mutex_t jobs_mu;
    http_link jobs; /* that can be cancelled */
    bool is_stopping;
};

/* Handlers; ctx is the api. */
http_handler route_append_stream, route_append_streams;
http_handler route_read_stream, route_read_log;
http_handler route_live, route_ready, route_health, route_metrics, route_openapi, route_status;
http_handler route_command, route_query;
http_handler route_views, route_view, route_view_parked;
http_handler route_view_retry_all, route_view_retry, route_view_skip;

#endif
