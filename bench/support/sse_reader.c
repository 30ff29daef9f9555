/* sse_reader.c: strips the chunks, looks at how each line begins. */
#include "support/sse_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_SIZE ((size_t)256 << 10)

static void die(const char *what)
{
    perror(what);
    exit(1);
}

void sse_reader_open(sse_reader *r, const bench_server *server, uint64_t after)
{
    char request[256];
    *r = (sse_reader){.is_in_head = true, .is_in_size = true, .buffer = malloc(BUFFER_SIZE)};
    r->fd = bench_server_connect(server, false);
    int len = snprintf(request, sizeof(request),
                       "GET /v1/events?after=%llu HTTP/1.1\r\nhost: localhost\r\n"
                       "accept: text/event-stream\r\n\r\n",
                       (unsigned long long)after);
    if (!r->buffer || send(r->fd, request, (size_t)len, MSG_NOSIGNAL) != len)
        die("event stream");
}

void sse_reader_close(sse_reader *r)
{
    (void)close(r->fd); /* was only read */
    free(r->buffer);
    r->buffer = NULL;
}

/* Keep how the line begins; true when it ends here. `*at` moves behind what was taken. */
static bool take_line(sse_line *line, const char **at, const char *end)
{
    const char *newline = memchr(*at, '\n', (size_t)(end - *at));
    size_t n = (size_t)((newline ? newline : end) - *at);
    size_t room = sizeof(line->text) - 1 - line->len;
    size_t keep = n < room ? n : room;
    memcpy(line->text + line->len, *at, keep);
    line->len += keep;
    line->text[line->len] = '\0';
    *at = newline ? newline + 1 : end;
    return newline != NULL;
}

static void finish_line(sse_reader *r)
{
    const char *line = r->payload.text;
    if (strncmp(line, "id: ", 4) == 0) {
        r->events++;
        r->last_id = strtoull(line + 4, NULL, 10);
    } else if (strncmp(line, "event: caught-up", 16) == 0) {
        r->is_caught_up = true;
    }
    r->payload.len = 0;
}

static void take_payload(sse_reader *r, const char *at, size_t len)
{
    const char *end = at + len;
    while (at < end)
        if (take_line(&r->payload, &at, end))
            finish_line(r);
}

/* "1f40\r\n", and the empty line behind the chunk before */
static void finish_size(sse_reader *r)
{
    size_t size = strtoul(r->framing.text, NULL, 16);
    bool is_separator = r->framing.len <= 1;
    r->framing.len = 0;
    if (is_separator)
        return;
    if (size == 0) {
        fprintf(stderr, "bench: the event stream ended\n");
        exit(1);
    }
    r->chunk_left = size;
    r->is_in_size = false;
}

static void finish_head_line(sse_reader *r)
{
    if (r->framing.len <= 1)
        r->is_in_head = false;
    r->framing.len = 0;
}

void sse_reader_read(sse_reader *r)
{
    ssize_t n = recv(r->fd, r->buffer, BUFFER_SIZE, 0);
    if (n <= 0)
        die("event stream");
    const char *at = r->buffer, *end = at + n;
    while (at < end) {
        if (r->is_in_head || r->is_in_size) {
            if (take_line(&r->framing, &at, end))
                (r->is_in_head ? finish_head_line : finish_size)(r);
            continue;
        }
        size_t here = (size_t)(end - at) < r->chunk_left ? (size_t)(end - at) : r->chunk_left;
        take_payload(r, at, here);
        at += here;
        r->chunk_left -= here;
        if (r->chunk_left == 0)
            r->is_in_size = true;
    }
}
