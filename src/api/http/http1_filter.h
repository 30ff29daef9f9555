/* http1_filter.h: the strict reading of an HTTP/1 request, in front of llhttp.
 *
 * llhttp 8.1 lets some request-smuggling shapes through (lone CR, lone LF,
 * folded header lines) and does not judge others (Host, version, repeated
 * Content-Length). The filter reads the same bytes first, in whatever pieces
 * they arrive, knows by itself where a message ends, and refuses every shape
 * on which two parsers could disagree. Sans I/O; no allocation but the arena's.
 *
 * Use: http1_filter_head until FILTER_HEAD_END, collecting the bytes; then
 * http1_head_parse over them; then, unless the message has no body,
 * http1_filter_body until FILTER_MESSAGE_END. */
#ifndef EXCORE_API_HTTP_HTTP1_FILTER_H
#define EXCORE_API_HTTP_HTTP1_FILTER_H

#include <excore/arena.h>
#include <excore/error.h>

typedef struct http_field {
    ex_slice name; /* lower case */
    ex_slice value;
} http_field;

typedef struct http1_limits {
    uint32_t head_bytes;
    uint32_t header_count;
    uint32_t body_bytes;
} http1_limits;

typedef enum filter_result {
    FILTER_MORE,        /* all input used, the part is not finished */
    FILTER_HEAD_END,    /* *ret_used bytes finish the head */
    FILTER_MESSAGE_END, /* *ret_used bytes finish the message */
    FILTER_BAD          /* err holds status, HTTP status and code; the connection must be closed */
} filter_result;

typedef struct http1_filter {
    uint8_t state; /* private, as all of it */
    bool has_skipped_line;
    uint8_t digits;
    uint32_t line_count;
    uint32_t head_bytes; /* and, later, trailers and chunk extensions */
    uint64_t left;       /* of the body or of the chunk */
    uint64_t body_bytes; /* announced so far */
} http1_filter;

/* A complete head. Slices point into the parsed text. */
typedef struct http1_head {
    ex_slice method;
    ex_slice target;
    http_field *fields;
    uint32_t field_count;
    uint8_t minor; /* HTTP/1.minor */
    bool has_length;
    bool is_chunked;
    bool keep_alive;
    bool expects_continue;
    uint64_t content_length;
} http1_head;

/** Ready for the next message. */
void http1_filter_init(http1_filter *f);
/** Scan for the end of the head; refuses what is wrong whatever the header. */
filter_result http1_filter_head(http1_filter *f, const http1_limits *limits, ex_slice in,
                                size_t *ret_used, ex_error *err);
/** Check a head that http1_filter_head has accepted, and take it apart. Header names are turned to
 *  lower case in place. On failure method and target are set as far as they were read.
 *  @return EX_OK, EX_EMALFORMED (400, or err->http_status 417, 501, 505), EX_ETOOLARGE, EX_ENOMEM
 */
EX_NODISCARD ex_status http1_head_parse(char *text, size_t len, const http1_limits *limits,
                                        ex_arena *arena, http1_head *ret, ex_error *err);
/** After the head. True when a body follows. */
bool http1_filter_begin_body(http1_filter *f, const http1_head *head);
filter_result http1_filter_body(http1_filter *f, const http1_limits *limits, ex_slice in,
                                size_t *ret_used, ex_error *err);
/** The same, but no further than to where an extension of a chunk begins or ends: FILTER_MORE may
 * leave input. Nobody reads extensions, and other parsers read fewer of them than RFC 9112 allows:
 * they are kept from them. @param ret_is_extension the piece that was used is one */
filter_result http1_filter_piece(http1_filter *f, const http1_limits *limits, ex_slice in,
                                 size_t *ret_used, bool *ret_is_extension, ex_error *err);

/** A character of RFC 9110 tokens. */
bool http_is_token_char(unsigned char c);

#endif
