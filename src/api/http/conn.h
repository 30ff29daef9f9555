/* conn.h: a connection without its socket, and what the connections of a loop share.
 *
 * Protocol code is sans I/O: a transport (transport.c over libuv, or a test)
 * feeds bytes with conn_input, and finds the answer bytes in conn->out when
 * http_core_flush calls its flush method. Output of one loop iteration leaves
 * in one write. Loop thread. */
#ifndef EXCORE_API_HTTP_CONN_H
#define EXCORE_API_HTTP_CONN_H

#include "api/http/access.h"
#include "api/http/exchange.h"
#include "api/http/guard.h"

#include <nghttp2/nghttp2.h>
#include <stdatomic.h>

enum {
    TIMEOUT_IDLE,
    TIMEOUT_HEADER,
    TIMEOUT_BODY,
    TIMEOUT_WRITE,   /* half of the option: two in a row without progress close */
    TIMEOUT_LINGER,  /* after the last byte was sent, until the client closes */
    TIMEOUT_DISCARD, /* until more of what nobody wants is thrown away */
    TIMEOUT_ROOM,    /* a body of HTTP/1 waits until there is memory for it */
    TIMEOUT_GONE,    /* the client has ended its sending and waits for an answer, or is gone */
    TIMEOUT_STREAM_HEADER, /* the same two for HTTP/2 exchanges */
    TIMEOUT_STREAM_BODY,
    TIMEOUT_STREAM_WRITE, /* no window for an HTTP/2 stream */
    TIMEOUT_KINDS
};

/* What all loops of a server share. */
typedef struct http_shared {
    http_options options; /* defaults filled in; immutable */
    router *router;       /* immutable */
    access_metrics metrics;
    budget budget;
    guard guard; /* immutable */
    atomic_uint inflight;
    atomic_uint connections;
} http_shared;

struct http_core {
    http_shared *shared;
    ex_loop *loop; /* NULL in tests without one */
    http1_limits limits;
    uint64_t now_ms; /* set by whoever calls in */
    timer_list timeouts[TIMEOUT_KINDS];
    output_pool blocks;
    access_cache access;
    http_link conns;
    http_link dirty;   /* connections with something to flush */
    http_link closing; /* exchanges that wait for on_close */
    http_link waiting; /* exchanges that wait for room (room.h), the oldest first */
    uint64_t waiting_looked_ms;
    size_t waiting_used;     /* what the server held then */
    uint32_t waiting_bodies; /* of them */
    size_t conn_count;
    size_t exchange_count; /* not in the pool */
    http_exchange *free_exchanges;
    size_t free_count;
    bool is_draining;
    char date[30]; /* Sun, 06 Nov 1994 08:49:37 GMT */
    int64_t date_s;
};

typedef enum conn_state {
    CONN_SNIFF, /* HTTP/1 or HTTP/2? */
    CONN_OPEN,
    CONN_LINGER, /* all is sent; input is dropped until the client closes */
    CONN_CLOSED
} conn_state;

typedef struct conn_transport {
    /** Send what is in c->out as far as it goes. false: the connection is broken. */
    bool (*flush)(http_conn *c);
    /** Bytes taken from c->out by flush that the kernel has not accepted yet. */
    size_t (*queued)(const http_conn *c);
    /** The same, and those in the kernel that the client has not accepted yet. */
    size_t (*unacked)(const http_conn *c);
    void (*set_reading)(http_conn *c, bool on);
    /** No more output: close the sending side, keep reading. */
    void (*shutdown)(http_conn *c);
    /** Close and, later, free the memory around c. Called once. */
    void (*close)(http_conn *c);
    /** The client's address as text. */
    ex_slice (*peer)(const http_conn *c, char *out, size_t size);
    /** What its budget goes by: false when there is none. NULL: there never is. */
    bool (*address_key)(const http_conn *c, unsigned char key[BUDGET_KEY_BYTES]);
} conn_transport;

typedef struct conn_protocol {
    const char *name;
    void (*input)(http_conn *c, ex_slice in);
    void (*eof)(http_conn *c);
    /** Before each flush: go on with waiting input, fill c->out. */
    void (*wake)(http_conn *c);
    /** After a flush: tell streams that may go on. */
    void (*drained)(http_conn *c);
    /** Finish what is being answered, take nothing new. */
    void (*drain)(http_conn *c);
    /** The connection is gone: orphan the exchanges, free the protocol's state. */
    void (*lost)(http_conn *c);
    void (*timed_out)(http_conn *c, int kind);
    void (*respond)(http_exchange *x, const char *content_type, ex_slice body);
    void (*stream_begin)(http_exchange *x, const char *content_type);
    bool (*stream_write)(http_exchange *x, ex_slice bytes);
    void (*stream_end)(http_exchange *x);
} conn_protocol;

typedef struct http1_state {
    http_exchange *x; /* being read or answered */
    ex_buf pending;   /* input behind a request that is being answered */
    bool is_shedding; /* there was no room for it: no further request is read */
} http1_state;

typedef struct http2_state {
    nghttp2_session *session;
    http_link exchanges;
    uint32_t exchange_count;
    uint32_t long_count; /* long answers being built or sent */
    uint32_t building_count;
    uint32_t parked_count;
    uint32_t resets;   /* streams that the client reset */
    uint32_t finished; /* streams answered whole */
    uint64_t control_since_ms;
    uint32_t control_frames; /* PING, SETTINGS and the like in this second */
    uint32_t continuations;  /* frames of the open header block */
    uint32_t failure;        /* noted by a callback: error code for GOAWAY */
    bool has_failed;         /* GOAWAY is written; the session is not used any more */
} http2_state;

struct http_conn {
    http_core *core;
    const conn_transport *transport;
    const conn_protocol *protocol; /* NULL while sniffing */
    http_link link;
    http_link dirty;
    conn_state state;
    bool wants_close; /* when all output is sent */
    bool has_eof;     /* the client sends no more */
    bool is_reading_paused;
    uint8_t write_strikes; /* half write time-outs without progress */
    uint8_t sniffed;       /* bytes of the HTTP/2 preface seen */
    http_timer timer;      /* idle, header, body or linger */
    http_timer write_timer;
    uint64_t given_bytes;    /* handed to the transport */
    uint64_t write_mark;     /* accepted by the client when the write timer started */
    budget_account *account; /* NULL: there was no memory for one, the connection ends */
    size_t counted_bytes;    /* charged for `out` and waiting input */
    size_t typical_bytes;    /* of a long answer: the largest of late; 0: there was none */
    output out;
    union {
        http1_state h1;
        http2_state h2;
    } as;
};

extern const conn_protocol http1_protocol;
extern const conn_protocol http2_protocol;

/* ---- The loop's part (core.c) ---- */

/** Fill in defaults for zero options. */
void http_options_default(http_options *o);
EX_NODISCARD ex_status http_shared_init(http_shared *s, const http_options *options,
                                        const http_route *routes, size_t route_count,
                                        ex_error *err);
void http_shared_done(http_shared *s);
EX_NODISCARD ex_status http_core_init(http_core *core, http_shared *shared, ex_loop *loop,
                                      ex_error *err);
/** No connection and no exchange may be left. */
void http_core_done(http_core *core);
/** Send what connections have to send and run the on_close calls that are due.
 *  @return true when more came up meanwhile: call again soon */
bool http_core_flush(http_core *core);
/** Look after time-outs and the date. */
void http_core_tick(http_core *core, uint64_t now_ms);
/** Finish what is being answered; close idle connections; end streams. */
void http_core_drain(http_core *core);
/** Close all connections at once. */
void http_core_close_all(http_core *core);
/** Milliseconds between ticks that the time-outs need. */
uint64_t http_core_tick_ms(const http_core *core);

/* ---- Connections (conn.c) ---- */

/** Zeroed memory becomes a connection, which waits for its first byte. */
void conn_init(http_conn *c, http_core *core, const conn_transport *transport);
void conn_input(http_conn *c, ex_slice in);
void conn_eof(http_conn *c);
/** Broken or unwanted: drop everything now. May be called again. */
void conn_lost(http_conn *c);
/** Have it flushed at the end of this loop iteration. */
void conn_mark_dirty(http_conn *c);
void conn_flush(http_conn *c);
/** Output that waits for the kernel to take it. */
size_t conn_unsent(const http_conn *c);
void conn_set_timeout(http_conn *c, int kind);
void conn_put(http_conn *c, ex_slice bytes);
void conn_put_str(http_conn *c, const char *text);
/** No more requests: close after the output. */
void conn_close_after_output(http_conn *c);
void conn_timed_out(http_timer *t, int kind);
void conn_write_timed_out(http_timer *t);
/** While lingering: read again a little later. */
void conn_read_later(http_conn *c);
void conn_discard_timed_out(http_timer *t);
/** A body waits for room. */
bool http1_is_waiting(const http_conn *c);
/** There may be room for the body that waits (http1.c). */
void http1_resume_body(http_exchange *x);
/** Time-outs of HTTP/2 exchanges (http2.c). */
void http2_exchange_timed_out(http_timer *t);
/** Streams may be written to above / again below these numbers of unsent bytes. */
static inline size_t stream_high_bytes(const http_core *core)
{
    return core->shared->options.output_limit_bytes / 4;
}
static inline size_t stream_low_bytes(const http_core *core)
{
    return core->shared->options.output_limit_bytes / 16;
}

#endif
