/* http_load.h: requests over HTTP/1.1 keep-alive connections, one thread, epoll.
 *
 * Each connection has one request unanswered. The generator shares the machine
 * with the server, so it does little: it looks for the end of the head and the
 * content-length, and keeps the time. */
#ifndef EXCORE_BENCH_HTTP_LOAD_H
#define EXCORE_BENCH_HTTP_LOAD_H

#include <stddef.h>

#include "support/server.h"

typedef struct http_load {
    const bench_server *server;
    uint32_t connections;
    double seconds;
    int status; /* that every answer must have */
    /** Write request `number`, whole. @return its length, at most `room` */
    size_t (*write)(void *ctx, uint64_t number, char *out, size_t room);
    void *ctx;
} http_load;

typedef struct http_load_result {
    double rate; /* answers a second */
    double p50_ms, p99_ms;
} http_load_result;

/** Run the load. Exits when an answer has another status. */
void http_load_run(const http_load *load, http_load_result *ret);

/** Length of the answer at the start of `text` once it is whole, 0 before; its status in `ret`. */
size_t http_answer_length(const char *text, size_t len, int *ret_status);

#endif
