/* sse_reader.h: counts the events of an event stream over HTTP/1.1, and does no more. */
#ifndef EXCORE_BENCH_SSE_READER_H
#define EXCORE_BENCH_SSE_READER_H

#include <stddef.h>

#include "support/server.h"

typedef struct sse_line {
    size_t len;
    char text[32]; /* how it begins */
} sse_line;

typedef struct sse_reader {
    int fd;
    uint64_t events; /* seen so far */
    uint64_t last_id;
    bool is_caught_up; /* the server said so */
    /* the reader's own */
    bool is_in_head, is_in_size;
    size_t chunk_left;
    sse_line framing; /* of the head and of a chunk's size */
    sse_line payload; /* may go on in the next chunk */
    char *buffer;
} sse_reader;

/** GET /v1/events?after=`after` as an event stream. Exits on failure. */
void sse_reader_open(sse_reader *r, const bench_server *server, uint64_t after);
void sse_reader_close(sse_reader *r);
/** Read once what has come; blocks when there is nothing. Exits when the stream ends. */
void sse_reader_read(sse_reader *r);

#endif
