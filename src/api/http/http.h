/* http.h: the HTTP server as its routes see it: one exchange, whatever the protocol.
 *
 * HTTP/1.1 and HTTP/2 connections (http1.c, http2.c) fill in an http_exchange
 * and hand it to the router (router.c), which calls the route's handler on the
 * loop's thread. A handler answers at once, or keeps the exchange and answers
 * later from the same loop (other threads post to http_loop(x)). */
#ifndef EXCORE_API_HTTP_HTTP_H
#define EXCORE_API_HTTP_HTTP_H

#include "io/loop.h"
#include "observe/metrics.h"

#include <excore/arena.h>
#include <excore/json.h>

typedef struct http_server http_server;
typedef struct http_exchange http_exchange;

typedef enum http_method {
    HTTP_GET_,
    HTTP_HEAD_,
    HTTP_POST_,
    HTTP_PUT_,
    HTTP_PATCH_,
    HTTP_DELETE_,
    HTTP_OPTIONS_,
    HTTP_OTHER_
} http_method;

typedef void http_handler(http_exchange *x, void *ctx);

/* What a server that is full does with a route. */
typedef enum http_trait {
    HTTP_ORDINARY,
    HTTP_LONG_ANSWER, /* may build megabytes: waits while its connection holds its share of answers
                       */
    HTTP_OPERATOR,    /* small, for those who look after the server: answered beyond inflight_limit,
                         and from memory of its own. The handler bounds how many it keeps. */
    HTTP_LIVENESS,    /* some bytes, at once: always answered */
} http_trait;

/** "/v1/streams/{stream}": a {name} is one path segment, percent-decoded after splitting, so an
 *  encoded slash belongs to the value. More literal routes win. HEAD is answered by GET's handler.
 */
typedef struct http_route {
    http_method method;
    const char *pattern; /* also the `path` label of the metrics; must outlive the server */
    http_handler *handler;
    void *ctx;
    http_trait trait;
    bool is_for_any_host; /* answered under any name (guard.h) */
} http_route;

typedef struct http_options {
    const char *host;  /* ["127.0.0.1"] */
    uint16_t port;     /* 0 picks one */
    const char *hosts; /* names in Host besides addresses and localhost, with commas; *: any.
                          NULL: no look at who sends a request (guard.h) */
    uint32_t loops;    /* [1] loop threads, each with its own listening socket */
    uint32_t header_limit_bytes; /* [64 KiB] request line and all headers: 431 (414 for the line) */
    uint32_t header_count_limit; /* [100] */
    uint32_t body_limit_bytes;   /* [4 MiB] 413 */
    uint32_t header_timeout_ms;  /* [10000] first byte to end of headers: 408 and close */
    uint32_t body_timeout_ms;    /* [30000] end of headers to end of body: 408 and close */
    uint32_t idle_timeout_ms;    /* [60000] between requests: close */
    uint32_t
        write_timeout_ms; /* [30000] no byte accepted by the client while output waits: close */
    uint32_t connection_limit; /* [10000] further ones get 503 and are closed */
    uint32_t inflight_limit; /* [4096] exchanges per server not yet answered (streams do not count):
                                503 */
    uint32_t output_limit_bytes; /* [1 MiB] per exchange: http_stream_write answers false above a
                                    quarter of it */
    uint64_t memory_limit_bytes; /* [64 MiB] requests and answers held for all clients (budget.h);
                                    at least four times body_limit_bytes */
    uint32_t address_percent;    /* [75] of it that one client address may hold; 100: any of it. At
                                    least four times body_limit_bytes */
    uint64_t connection_memory_bytes; /* [16 MiB] that one connection may hold; at least four times
                                         body_limit_bytes */
    uint32_t h2_streams_limit;        /* [128] concurrent streams of a connection */
    ex_metrics *metrics;              /* [none] */
} http_options;

/** Bind, listen and start the loop threads. Routes are copied (not their strings).
 *  @return EX_OK, EX_EINVAL (a bad route or host), EX_EFILESYSTEM (cannot listen; names the
 * address), EX_ENOMEM */
EX_NODISCARD ex_status http_server_start(const http_options *options, const http_route *routes,
                                         size_t route_count, http_server **ret, ex_error *err);
/** The port in use. */
uint16_t http_server_port(const http_server *s);
/** Stop accepting; idle connections close; answers in progress are finished (Connection: close,
 * GOAWAY); streams get their on_close. Returns when all connections are closed or after timeout_ms.
 * Blocking. */
void http_server_drain(http_server *s, uint32_t timeout_ms);
/** Close what is left, join the loops, free. NULL is accepted. Waits until handlers have answered
 * every exchange that they hold (they are the loops' memory): stop the server before what answers
 * them. Blocking. */
void http_server_stop(http_server *s);

/* ---- The request. Slices live as long as the exchange. Loop thread. ---- */

http_method http_request_method(const http_exchange *x);
ex_slice http_request_path(const http_exchange *x); /* raw, as sent */
ex_slice http_request_body(const http_exchange *x);
ex_slice http_request_id(const http_exchange *x); /* X-Request-ID, or 32 hex characters (R-01-45) */
/** A header by lower-case name; {NULL, 0} when absent. Repeated ones are joined with ", ". */
ex_slice http_header(const http_exchange *x, const char *lower_name);
/** Walk all headers: start with *at = 0. Names are in lower case. */
bool http_header_next(const http_exchange *x, size_t *at, ex_slice *ret_name, ex_slice *ret_value);
/** A {name} of the route, percent-decoded; not checked for UTF-8. A name the route does not have
 * asserts. */
ex_slice http_param(const http_exchange *x, const char *name);
/** A query parameter, percent-decoded, '+' as a blank; `ret_found` (nullable) tells absent from
 * empty. A repeated one: the first. */
ex_slice http_query(const http_exchange *x, const char *name, bool *ret_found);
/** Walk all query parameters: start with *at = 0. */
bool http_query_next(const http_exchange *x, size_t *at, ex_slice *ret_name, ex_slice *ret_value);
ex_arena *http_arena(http_exchange *x);
ex_loop *http_loop(http_exchange *x);
/** True once the client is gone; answering is then a harmless no-op (but must still happen). */
bool http_is_closed(const http_exchange *x);
/** Have fn called, at most once, when the client goes away before it is answered; answering is
 * still due, and not from within fn. A client of HTTP/1 that only ended its sending looks the same:
 * it is given 400 ms to be answered in. */
void http_on_gone(http_exchange *x, void (*fn)(void *ctx), void *ctx);

/* ---- Memory (budget.h). What a request holds is counted until its exchange is freed. ---- */

/** Count what was allocated since, and `expected_bytes` that another thread is going to allocate in
 *  http_arena(x). Before the exchange is handed to another thread. Loop thread. */
void http_count_memory(http_exchange *x, size_t expected_bytes);
/** Take room for an answer of up to `want` bytes, in place of what was taken before.
 *  @return how many bytes it may have, at least 64 KiB; 0: there is none, answer EX_EOVERLOADED
 *  Thread: the one that works for x. */
size_t http_take_room(http_exchange *x, size_t want);
/** The answer is built and holds so many bytes; until it is given to http_respond. Thread: the
 * same. */
void http_settle_room(http_exchange *x, size_t bytes);

/* ---- The answer. Exactly one of http_respond, http_respond_error or http_stream_begin. ---- */

/** Add a header before answering; both copied. Names lower-case; CR, LF and NUL are refused
 * (assert). */
void http_add_header(http_exchange *x, const char *lower_name, ex_slice value);
/** Answer and give the exchange back; x must not be used after. The body is copied. */
void http_respond(http_exchange *x, int status, const char *content_type, ex_slice body);
/** problem+json (RFC 9457) with type, title, status, detail, instance (= request id), code,
 * timestamp, and expected/current/position/field where the error has them. Internal failures (>=
 * 500 and not retryable) show a neutral detail; the real one goes to the log under the request id
 * (R-01-14). */
void http_respond_error(http_exchange *x, const ex_error *err);
/** Adds members to a problem. */
typedef void http_problem_fn(void *ctx, const ex_error *err, ex_json_writer *w);
/** The same with members that the error has no room for. @param fn NULL: none */
void http_respond_problem(http_exchange *x, const ex_error *err, http_problem_fn *fn, void *ctx);

/** Start a streamed answer (SSE). on_drain: output fell below the low-water mark. on_close: called
 * exactly once, at the latest when the connection or the server closes, also after http_stream_end;
 * x must not be used after. */
void http_stream_begin(http_exchange *x, int status, const char *content_type,
                       void (*on_drain)(void *ctx), void (*on_close)(void *ctx), void *ctx);
/** Queue bytes (copied). false: stop writing until on_drain (the bytes were taken all the same). */
bool http_stream_write(http_exchange *x, ex_slice bytes);
/** Ask before making what would be written. false: the server holds too much for this client now;
 *  on_drain comes when it may be tried again. */
bool http_stream_has_room(http_exchange *x);
void http_stream_end(http_exchange *x);

#endif
