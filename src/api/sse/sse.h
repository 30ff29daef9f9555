/* sse.h: following the log over server-sent events.
 *
 * An open stream sends, in this order:
 *
 *   retry: 1000                                       (the client's wait before it reconnects)
 *   event: connected   data: {"head":N}               once (R-06-16)
 *   stored events      event: type, id: position, or version when one stream is followed
 *   event: caught-up   data: {"position":N}           at each switch to live; N is a log position
 *   stored events      live
 *   event: heartbeat   data: {"timestamp":MS}         when nothing else was sent for a period
 * (R-06-14)
 *
 * Frames of the platform carry no id: a client that reconnects resumes after the
 * last stored event. A slow reader stops the polling of its subscription; when it
 * reads again the subscription goes back to the log by itself, and the next
 * switch to live is announced again. */
#ifndef EXCORE_API_SSE_SSE_H
#define EXCORE_API_SSE_SSE_H

#include "api/http/http.h"
#include "api/gate.h"

#include <excore/store.h>

typedef struct sse_service sse_service;

typedef struct sse_options {
    ex_store *store;
    const ex_clock *clock;
    gate *gate;
    ex_metrics *metrics; /* nullable */
    uint32_t connection_limit;
    uint32_t heartbeat_ms;
} sse_options;

EX_NODISCARD ex_status sse_service_new(const sse_options *options, sse_service **ret,
                                       ex_error *err);
/** Join the threads that read the log. The gate is closed before. NULL is accepted. */
void sse_service_stop(sse_service *s);
/** No loop may run any more. NULL is accepted. */
void sse_service_free(sse_service *s);

/** Answer the exchange with a stream, or with the error; HEAD with the stream's headers alone.
 * @param is_unnamed stored events come without `event:`. Loop thread. */
void sse_open(sse_service *s, http_exchange *x, const ex_subscribe *subscribe, bool is_unnamed);

#endif
