/* h2_client.h: an HTTP/2 client for tests (nghttp2, prior knowledge): requests by stream, and what
 * came of each. A failure fails the test. */
#ifndef EXCORE_TESTS_SUPPORT_H2_CLIENT_H
#define EXCORE_TESTS_SUPPORT_H2_CLIENT_H

#include "support/http_client.h"

#include <nghttp2/nghttp2.h>

typedef struct h2_answer {
    int status;
    bool is_closed;
    uint32_t code;
    bool has_connection; /* a header that HTTP/2 forbids */
    bool has_extra;
    size_t body_len;
    uint64_t body_sum;
    ex_slice upload; /* not sent yet */
    char body[256];  /* its beginning */
} h2_answer;

typedef struct h2_client {
    http_client raw;
    nghttp2_session *session;
    h2_answer *answers; /* by stream id */
    bool has_goaway;
    uint32_t goaway_code;
    int closed_streams;
} h2_client;

#define H2_NV(n, v)                                                                                \
    {                                                                                              \
        (uint8_t *)(uintptr_t)(n), (uint8_t *)(uintptr_t)(v), strlen(n), strlen(v), 0              \
    }

/** With is_manual the client never opens windows by itself. */
void h2_open(h2_client *c, uint16_t port, bool is_manual);
void h2_close(h2_client *c);
/** Send what is to send, receive once; false when the server has closed. */
bool h2_turn(h2_client *c);
/** Queue a request; it goes out with the next turn. x-test comes twice, as "one" and "two"; a
 * body is JSON. The answer belongs to the client; the body is borrowed until it was sent. */
h2_answer *h2_request(h2_client *c, const char *method, const char *path, ex_slice body);
/** The read callback that sends an answer's `upload`. */
ssize_t h2_on_upload(nghttp2_session *session, int32_t stream_id, uint8_t *buf, size_t length,
                     uint32_t *data_flags, nghttp2_data_source *source, void *ctx);
/** Turn until the stream is closed. */
void h2_await(h2_client *c, const h2_answer *a);
/** Request and await. */
h2_answer *h2_call(h2_client *c, const char *method, const char *path, ex_slice body);
bool h2_body_is(const h2_answer *a, const char *text);
/** Turn until the server closes; the last GOAWAY must carry `code`. */
void h2_expect_goaway(h2_client *c, uint32_t code);

#endif
