/* http_mock.h: HTTP connections without sockets, for fuzzers and tests of the protocol code.
 *
 * One loop's worth of server (http_core) with a mock transport: the test feeds
 * bytes and reads what comes out; time passes when it says so. Handlers:
 *   GET  /hello        "hello"          POST /echo      the body
 *   GET  /stream       streamed, ends   GET  /endless   streamed until told to stop
 *   GET  /later        answered by http_mock_answer     any method the router knows */
#ifndef EXCORE_TESTS_SUPPORT_HTTP_MOCK_H
#define EXCORE_TESTS_SUPPORT_HTTP_MOCK_H

#include "api/http/conn.h"

#define HTTP_MOCK_LATER_MAX 64

typedef struct http_mock {
    http_shared shared;
    http_core core;
    http_conn conn;
    ex_buf sent;       /* all output so far */
    size_t take_bytes; /* most that one flush sends; 0: all */
    bool is_stuck;     /* the client takes nothing */
    bool is_shut_down;
    bool is_closed;
    bool is_reading;
    uint64_t calls;      /* of handlers */
    uint64_t calls_hash; /* over method, path, body and headers of all of them */
    uint64_t begun;      /* streams */
    uint64_t closes;     /* on_close calls */
    http_exchange *later[HTTP_MOCK_LATER_MAX];
    size_t later_count;
} http_mock;

/** Zero options are defaults. Aborts when out of memory. */
void http_mock_open(http_mock *m, const http_options *options);
/** What the transport would do: feed, then flush until nothing more comes. */
void http_mock_input(http_mock *m, ex_slice bytes);
void http_mock_eof(http_mock *m);
/** Flush as a loop would before it sleeps. */
void http_mock_flush(http_mock *m);
/** Answer everything that /later has kept. */
void http_mock_answer(http_mock *m);
/** Let time pass. */
void http_mock_pass(http_mock *m, uint64_t ms);
/** Close, answer, and check that nothing is left: no exchange, and one on_close for each stream. */
void http_mock_close(http_mock *m);

#endif
