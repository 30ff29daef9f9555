/* exchange.h: the inside of http_exchange: one request and its answer.
 *
 * Ownership: while READING an exchange belongs to its connection. From
 * exchange_dispatch until it is answered it belongs to the handler; when the
 * connection goes away meanwhile, `conn` becomes NULL and answering frees it.
 * A streamed answer belongs to the connection again and ends with on_close,
 * which is only ever called from http_core_flush: never inside a call of the
 * handler's. Everything is on the loop's thread. */
#ifndef EXCORE_API_HTTP_EXCHANGE_H
#define EXCORE_API_HTTP_EXCHANGE_H

#include "api/http/budget.h"
#include "api/http/http.h"
#include "api/http/http1_filter.h"
#include "api/http/list.h"
#include "api/http/output.h"
#include "api/http/router.h"
#include "api/http/timers.h"

#include <excore/buf.h>

#include <llhttp.h>

typedef struct http_core http_core;
typedef struct http_conn http_conn;

#define REQUEST_ID_MAX 128

typedef enum exchange_state {
    EXCHANGE_READING,   /* head or body still arriving */
    EXCHANGE_HANDLING,  /* the handler's */
    EXCHANGE_STREAMING, /* http_stream_begin was called */
    EXCHANGE_ENDED      /* answered whole, or the stream's end was queued */
} exchange_state;

/* A header of the answer, in the arena. */
typedef struct extra_header {
    struct extra_header *next;
    http_field field;
} extra_header;

struct http_exchange {
    http_core *core;
    http_conn *conn;   /* NULL once the client is gone */
    http_link link;    /* conn's exchanges (HTTP/2) */
    http_link closing; /* core's list of streams that wait for on_close */
    struct http_exchange *next_free;
    exchange_state state;
    bool keep_alive; /* HTTP/1 */
    bool is_counted; /* in the server's in-flight number */
    bool wants_drain;
    bool has_failed; /* a header of the answer was lost: out of memory */
    bool has_body_error;
    bool is_stream; /* http_stream_begin was called */

    /* memory (room.h) */
    budget_account *account; /* of its connection; it may outlive that */
    size_t counted_bytes;    /* charged for what it holds */
    size_t taken_bytes;    /* charged for an answer that is being built; whose thread works for x */
    size_t expected_bytes; /* another thread is going to allocate */
    size_t claim_bytes;    /* for a body that has not arrived */
    size_t body_room;      /* bytes that the body may have without asking again */
    http_link waiting;     /* core's list of those that wait for room */
    bool is_long;          /* HTTP/2: one of conn's long answers */
    bool is_building;      /* and not answered yet */
    bool is_parked;        /* HTTP/2: whole, and waits until conn holds less */

    /* HTTP/1 parsing */
    bool is_in_body;
    bool says_continue; /* Expect: 100-continue, to be answered */
    size_t body_length; /* announced; 1: not known */
    bool parser_head_done;
    bool parser_message_done; /* HTTP/2: the request is whole */
    uint16_t parser_flags;    /* llhttp's view of the framing */
    uint64_t parser_length;
    uint8_t minor;
    http1_filter filter;
    llhttp_t parser;

    /* HTTP/2 */
    int32_t stream_id;
    bool is_deferred; /* the data provider waits for bytes */
    bool has_head_error;
    uint32_t field_room;
    size_t head_bytes;
    http_timer timer;
    output out; /* body bytes not yet framed */

    /* the request */
    http_method method;
    ex_slice method_name;
    ex_slice target;
    ex_slice authority;
    ex_slice path;
    ex_slice query;
    http_field *fields;
    uint32_t field_count;
    const route *route;
    bool is_routed;
    uint32_t allowed; /* methods of the path */
    ex_slice params[ROUTER_PARAMS_MAX];
    char request_id[REQUEST_ID_MAX];
    uint8_t request_id_len;
    uint64_t started_ns;
    ex_arena arena;
    ex_buf head; /* HTTP/1: the text that the slices point into */
    ex_buf body;

    /* the answer */
    extra_header *extra;
    extra_header **extra_end;
    int status;
    uint64_t request_bytes; /* of the body */
    uint64_t response_bytes;
    void (*on_drain)(void *ctx);
    void (*on_close)(void *ctx);
    void *ctx;
    void (*on_gone)(void *ctx); /* of http_on_gone; NULL once it was called */
    void *gone_ctx;
};

/** From the pool; NULL when out of memory. */
http_exchange *exchange_new(http_core *core, http_conn *conn);
void exchange_free(http_exchange *x);
/** The most that an exchange's arena may ever take. */
size_t exchange_arena_limit(const http_core *core);
/** Method, target and headers are known: take target and request id apart.
 *  @return EX_OK, EX_EMALFORMED, EX_ENOMEM */
EX_NODISCARD ex_status exchange_head_done(http_exchange *x, ex_error *err);
/** Find the route, once. */
void exchange_route(http_exchange *x);
/** The request is whole: route it and call the handler. x must not be used after. */
void exchange_dispatch(http_exchange *x);
/** Answer without a handler; HTTP/1 closes the connection after it. x must not be used after. */
void exchange_refuse(http_exchange *x, const ex_error *err);
/** The client is gone, or seems to be: tell the handler that still works for it. */
void exchange_gone(http_exchange *x);
/** The client is gone. x must not be used after. */
void exchange_orphan(http_exchange *x);
/** The answer is complete: count, log and free. Called by the protocols. */
void exchange_answered(http_exchange *x);
/** A stream is over: on_close follows from http_core_flush. */
void exchange_close_later(http_exchange *x);
/** Call on_close and free. Called by http_core_flush. */
void exchange_closed(http_exchange *x);
/** Tell the handler that it may write again, when it was told to stop. */
void exchange_drained(http_exchange *x);
void exchange_method(http_exchange *x, ex_slice name);

/** The reason phrase of a status; "" for an unknown one. */
const char *http_reason(int status);
/** Build the problem+json body of `err` for x. @return the HTTP status */
int problem_write(const http_exchange *x, const ex_error *err, http_problem_fn *fn, void *ctx,
                  ex_buf *out);

#endif
