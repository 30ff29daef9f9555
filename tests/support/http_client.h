/* http_client.h: a small blocking HTTP/1.1 client for tests: raw bytes out, parsed answers in.
 *
 * It follows no redirects, keeps the connection, and never hides what was on
 * the wire. Every read gives up after ten seconds, so a test fails instead of
 * hanging. Functions return false on a broken connection or a time-out. */
#ifndef EXCORE_TESTS_SUPPORT_HTTP_CLIENT_H
#define EXCORE_TESTS_SUPPORT_HTTP_CLIENT_H

#include <excore/buf.h>

#include <stdint.h>

typedef struct http_client {
    int fd;
    ex_buf in; /* received, from `at` on not used yet */
    size_t at;
    bool is_chunked; /* the streamed body being read */
    size_t chunk_left;
    ex_buf text; /* streamed body bytes, decoded, from `text_at` on not used yet */
    size_t text_at;
} http_client;

typedef struct http_reply {
    int status;
    ex_buf head; /* status line and headers, names in lower case */
    ex_buf body;
} http_reply;

typedef struct http_event {
    char id[64];
    char event[64];
    ex_buf data;     /* lines joined with LF */
    bool is_comment; /* a comment line alone: data holds its text */
} http_event;

bool http_client_open(http_client *c, uint16_t port);
void http_client_close(http_client *c);
bool http_client_send(http_client *c, ex_slice bytes);
bool http_client_send_text(http_client *c, const char *text);
/** One byte a write, so that the server sees many reads. */
bool http_client_send_slowly(http_client *c, ex_slice bytes);

/** Read one whole answer (100 Continue is skipped). `r` is filled; done with http_reply_done. */
bool http_client_read(http_client *c, http_reply *r);
/** The same for the answer to HEAD. */
bool http_client_read_head_only(http_client *c, http_reply *r);
/** Only status line and headers; the body is then read with http_client_next_event or _read_stream.
 */
bool http_client_begin_stream(http_client *c, http_reply *r);
/** Some bytes of a streamed body, at least one; false at its end. The slice holds until the next
 * call. */
bool http_client_read_stream(http_client *c, ex_slice *ret);
/** The next server-sent event (or comment) of a streamed body. Zero `e` once, done with
 * http_event_done. */
bool http_client_next_event(http_client *c, http_event *e);
/** Wait for the server to close: true when no further byte came. */
bool http_client_is_closed(http_client *c);

/** Send METHOD path with Host, `headers` (each line with its CRLF, or NULL) and a body with its
 * length. */
bool http_client_request(http_client *c, const char *method, const char *path, const char *headers,
                         ex_slice body);
/** Request and read the answer. */
bool http_client_call(http_client *c, const char *method, const char *path, const char *headers,
                      ex_slice body, http_reply *r);
/** A new connection for one call. */
bool http_call(uint16_t port, const char *method, const char *path, const char *headers,
               ex_slice body, http_reply *r);

/** A header by lower-case name; {NULL, 0} when absent. */
ex_slice http_reply_header(const http_reply *r, const char *lower_name);
void http_reply_done(http_reply *r);
void http_event_done(http_event *e);

#endif
