/* api.h: the HTTP surface as the composition sees it: make it, hand its routes to a server, stop
 * it.
 *
 *   api_new → api_routes → http_server_start
 *   http_server_drain → api_stop → http_server_stop → api_free → ex_store_close
 *
 * api_stop comes before http_server_stop: it waits for the work that still holds
 * an exchange (reads on worker threads, appends in the sequencer), and that work
 * comes back through the server's loops. */
#ifndef EXCORE_API_REST_API_H
#define EXCORE_API_REST_API_H

#include "api/http/http.h"
#include "observe/metrics.h"

#include <excore/runtime.h>

typedef struct api api;

struct ex_health;

/** Zero-initialised fields take the default in brackets. Everything pointed to must outlive the
 * api. */
typedef struct api_options {
    ex_store *store;                  /* required */
    ex_runtime *runtime;              /* [none] commands and queries; 404 without */
    ex_metrics *metrics;              /* [none] /metrics answers 404 without */
    struct ex_health *health;         /* [none] readiness is then always healthy */
    bool shows_causes;                /* [no] a failure of ours carries its cause to the client */
    const char *nodes_url;            /* [none] the PostgreSQL that nodes share; copied */
    const ex_clock *clock;            /* [system] */
    const char *version;              /* ["unknown"] shown by /health */
    const char *commit;               /* ["unknown"] */
    uint32_t reader_threads;          /* [4] pages, queries and catching up run here */
    uint32_t reader_queue_limit;      /* [1024] further requests get 503 */
    uint32_t page_timeout_ms;         /* [5000] a page that is looked for longer is short */
    uint32_t page_limit_bytes;        /* [4 MiB] a page ends early above it */
    uint32_t stream_page_events;      /* [1000] default of limit= for one stream */
    uint32_t log_page_events;         /* [100] default of limit= for the log */
    uint32_t page_events_limit;       /* [1000] above it limit= is clamped */
    uint32_t sse_connection_limit;    /* [1000] further ones get 503 */
    uint32_t sse_heartbeat_ms;        /* [15000] */
    uint32_t min_position_timeout_ms; /* [5000] longest wait of a query for min_position: 504 */
} api_options;

/** Start the reader threads and build the route table.
 *  @return EX_OK, EX_EINVAL (no store), EX_ENOMEM, EX_EINTERNAL. Thread: any. */
EX_NODISCARD ex_status api_new(const api_options *options, api **ret, ex_error *err);
/** The table for http_server_start; belongs to the api. */
void api_routes(const api *a, const http_route **ret, size_t *ret_count);
/** The OpenAPI document served at /openapi.json (copied); 404 until it is set. Before the server
 * starts. */
EX_NODISCARD ex_status api_set_openapi(api *a, ex_slice document, ex_error *err);
/** As ex_store_end_by, for the list of nodes in the status. Thread: any. Blocking: no. */
void api_end_by(api *a, uint64_t deadline_ns);
/** Refuse further work with 503, end queries of views that still run, wait until what was accepted
 * is answered. The server must still run. Blocking. Thread: any but a loop or the sequencer. */
void api_stop(api *a);
/** After http_server_stop. NULL is accepted. */
void api_free(api *a);

#endif
