/* http1_filter.c: where an HTTP/1 head and body end, and every malformed shape on the way.
 *
 * Two small state machines over single bytes, so that any split of the input
 * gives the same answer. http1_head.c takes the finished head apart. */
#include "api/http/http1_filter.h"

#include <assert.h>

enum {
    HEAD_START,      /* before the request line */
    HEAD_START_LF,   /* CR seen there: one empty line is skipped */
    HEAD_LINE,       /* inside a line */
    HEAD_LINE_LF,    /* CR seen at its end */
    HEAD_LINE_START, /* first byte of a header line, or the CR of the end */
    HEAD_END_LF,
    HEAD_DONE,
    BODY_LENGTH,
    CHUNK_SIZE,      /* hexadecimal digits */
    CHUNK_EXT_BLANK, /* before the next ';' */
    CHUNK_EXT_START, /* after it */
    CHUNK_EXT_NAME,
    CHUNK_EXT_NAME_BLANK, /* before '=' or the next ';' */
    CHUNK_EXT_VALUE,
    CHUNK_EXT_TOKEN,
    CHUNK_EXT_QUOTED,
    CHUNK_EXT_ESCAPE,
    CHUNK_EXT_AFTER, /* the closing quote */
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    TRAILER_START,
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    TRAILER_END_LF,
};

#define CHUNK_DIGITS_MAX 8

void http1_filter_init(http1_filter *f)
{
    memset(f, 0, sizeof(*f));
    f->state = HEAD_START;
}

static filter_result bad(ex_error *err, const char *what)
{
    (void)ex_raise(err, EX_EMALFORMED, "malformed HTTP request: %s", what);
    return FILTER_BAD;
}

static filter_result head_too_large(ex_error *err, bool is_request_line, uint32_t limit)
{
    (void)ex_raise(err, EX_ETOOLARGE,
                   is_request_line ? "request line over %u bytes" : "request head over %u bytes",
                   limit);
    if (err)
        err->http_status = is_request_line ? 414 : 431;
    ex_error_set_code(err, is_request_line ? "URI_TOO_LONG" : "HEADERS_TOO_LARGE");
    return FILTER_BAD;
}

static filter_result body_too_large(ex_error *err, uint32_t limit)
{
    (void)ex_raise(err, EX_ETOOLARGE, "request body over %u bytes", limit);
    return FILTER_BAD;
}

/* How many bytes from `at` on are plain line content. */
static size_t plain_bytes(ex_slice in, size_t at)
{
    size_t i = at;
    while (i < in.len && ((unsigned char)in.ptr[i] >= 0x20 || in.ptr[i] == '\t'))
        i++;
    return i - at;
}

static filter_result head_byte(http1_filter *f, const http1_limits *limits, unsigned char c,
                               ex_error *err)
{
    switch (f->state) {
    case HEAD_START:
        if (c == '\r' && !f->has_skipped_line) {
            f->state = HEAD_START_LF;
            return FILTER_MORE;
        }
        if (!http_is_token_char(c))
            return bad(err, "the method is not a token");
        f->state = HEAD_LINE;
        return FILTER_MORE;
    case HEAD_START_LF:
        f->has_skipped_line = true;
        f->state = HEAD_START;
        return c == '\n' ? FILTER_MORE : bad(err, "CR without LF");
    case HEAD_LINE:
        if (c == '\r')
            f->state = HEAD_LINE_LF;
        else if (c == '\n')
            return bad(err, "LF without CR");
        else if (c == 0)
            return bad(err, "NUL byte");
        else if (c < 0x20 && c != '\t')
            return bad(err, "control character");
        return FILTER_MORE;
    case HEAD_LINE_LF:
        if (c != '\n')
            return bad(err, "CR without LF");
        if (f->line_count++ > limits->header_count) {
            (void)ex_raise(err, EX_ETOOLARGE, "more than %u headers", limits->header_count);
            if (err)
                err->http_status = 431;
            ex_error_set_code(err, "HEADERS_TOO_LARGE");
            return FILTER_BAD;
        }
        f->state = HEAD_LINE_START;
        return FILTER_MORE;
    case HEAD_LINE_START:
        if (c == '\r') {
            f->state = HEAD_END_LF;
            return FILTER_MORE;
        }
        if (c == ' ' || c == '\t')
            return bad(err, "folded header line");
        if (!http_is_token_char(c))
            return bad(err, "the header name is not a token");
        f->state = HEAD_LINE;
        return FILTER_MORE;
    case HEAD_END_LF:
        if (c != '\n')
            return bad(err, "CR without LF");
        f->state = HEAD_DONE;
        return FILTER_HEAD_END;
    default:
        assert(!"head bytes after the head");
        return bad(err, "internal state");
    }
}

filter_result http1_filter_head(http1_filter *f, const http1_limits *limits, ex_slice in,
                                size_t *ret_used, ex_error *err)
{
    for (size_t i = 0; i < in.len;) {
        size_t n = f->state == HEAD_LINE ? plain_bytes(in, i) : 0;
        filter_result r = FILTER_MORE;
        if (n == 0) {
            r = head_byte(f, limits, (unsigned char)in.ptr[i], err);
            n = 1;
        }
        if (r == FILTER_BAD)
            return r;
        i += n;
        if (n > limits->head_bytes - f->head_bytes)
            return head_too_large(err, f->line_count == 0, limits->head_bytes);
        f->head_bytes += (uint32_t)n;
        if (r == FILTER_HEAD_END) {
            *ret_used = i;
            return r;
        }
    }
    *ret_used = in.len;
    return FILTER_MORE;
}

bool http1_filter_begin_body(http1_filter *f, const http1_head *head)
{
    assert(f->state == HEAD_DONE);
    f->left = head->is_chunked ? 0 : head->content_length;
    f->state = head->is_chunked ? CHUNK_SIZE : BODY_LENGTH;
    f->digits = 0;
    return head->is_chunked || f->left > 0;
}

static bool is_blank(unsigned char c)
{
    return c == ' ' || c == '\t';
}

static int hex_value(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static filter_result chunk_size_byte(http1_filter *f, unsigned char c, ex_error *err)
{
    int digit = hex_value(c);
    if (digit >= 0) {
        if (++f->digits > CHUNK_DIGITS_MAX)
            return bad(err, "chunk size too long");
        f->left = f->left * 16 + (unsigned)digit;
        return FILTER_MORE;
    }
    if (f->digits == 0 || (c != '\r' && c != ';' && !is_blank(c)))
        return bad(err, "chunk size is not hexadecimal");
    f->state = c == '\r' ? CHUNK_SIZE_LF : c == ';' ? CHUNK_EXT_START : CHUNK_EXT_BLANK;
    return FILTER_MORE;
}

/* What may follow a finished name, or a value that needs no end of its own. */
static filter_result chunk_ext_next(http1_filter *f, unsigned char c, bool is_name, ex_error *err)
{
    if (c == ';')
        f->state = CHUNK_EXT_START;
    else if (c == '=' && is_name)
        f->state = CHUNK_EXT_VALUE;
    else if (is_blank(c))
        f->state = is_name ? CHUNK_EXT_NAME_BLANK : CHUNK_EXT_BLANK;
    else if (c == '\r' && f->state != CHUNK_EXT_BLANK && f->state != CHUNK_EXT_NAME_BLANK)
        f->state = CHUNK_SIZE_LF;
    else
        return bad(err, "malformed chunk extension");
    return FILTER_MORE;
}

/* chunk-ext = *( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] ), RFC 9112 7.1.1. */
static filter_result chunk_ext_byte(http1_filter *f, unsigned char c, ex_error *err)
{
    bool is_text = c == '\t' || (c >= 0x20 && c != 0x7F);
    bool is_token = http_is_token_char(c);
    switch (f->state) {
    case CHUNK_EXT_START:
        if (!is_token && !is_blank(c))
            return bad(err, "chunk extension without a name");
        f->state = is_token ? CHUNK_EXT_NAME : CHUNK_EXT_START;
        return FILTER_MORE;
    case CHUNK_EXT_NAME:
        return is_token ? FILTER_MORE : chunk_ext_next(f, c, true, err);
    case CHUNK_EXT_NAME_BLANK:
        return chunk_ext_next(f, c, true, err);
    case CHUNK_EXT_VALUE:
        if (c != '"' && !is_token && !is_blank(c))
            return bad(err, "chunk extension without a value");
        if (!is_blank(c))
            f->state = c == '"' ? CHUNK_EXT_QUOTED : CHUNK_EXT_TOKEN;
        return FILTER_MORE;
    case CHUNK_EXT_TOKEN:
        return is_token ? FILTER_MORE : chunk_ext_next(f, c, false, err);
    case CHUNK_EXT_QUOTED:
        f->state = c == '"' ? CHUNK_EXT_AFTER : c == '\\' ? CHUNK_EXT_ESCAPE : CHUNK_EXT_QUOTED;
        return is_text ? FILTER_MORE : bad(err, "control character in a chunk extension");
    case CHUNK_EXT_ESCAPE:
        f->state = CHUNK_EXT_QUOTED;
        return is_text ? FILTER_MORE : bad(err, "control character in a chunk extension");
    default: /* CHUNK_EXT_AFTER, CHUNK_EXT_BLANK */
        return chunk_ext_next(f, c, false, err);
    }
}

static filter_result chunk_begin(http1_filter *f, const http1_limits *limits, unsigned char c,
                                 ex_error *err)
{
    if (c != '\n')
        return bad(err, "CR without LF after a chunk size");
    if (f->left > limits->body_bytes || f->body_bytes > limits->body_bytes - f->left)
        return body_too_large(err, limits->body_bytes);
    f->body_bytes += f->left;
    f->state = f->left ? CHUNK_DATA : TRAILER_START;
    return FILTER_MORE;
}

static filter_result trailer_byte(http1_filter *f, unsigned char c, ex_error *err)
{
    switch (f->state) {
    case TRAILER_START:
        if (c != '\r' && !http_is_token_char(c))
            return bad(err, "malformed trailer");
        f->state = c == '\r' ? TRAILER_END_LF : TRAILER_NAME;
        return FILTER_MORE;
    case TRAILER_NAME:
        if (c == ':')
            f->state = TRAILER_VALUE;
        else if (!http_is_token_char(c))
            return bad(err, "malformed trailer");
        return FILTER_MORE;
    case TRAILER_VALUE:
        if (c == '\r')
            f->state = TRAILER_LF;
        else if ((c < 0x20 && c != '\t') || c == 0x7F)
            return bad(err, "control character in a trailer");
        return FILTER_MORE;
    case TRAILER_LF:
        f->state = TRAILER_START;
        return c == '\n' ? FILTER_MORE : bad(err, "CR without LF");
    default: /* TRAILER_END_LF */
        return c == '\n' ? FILTER_MESSAGE_END : bad(err, "CR without LF");
    }
}

static filter_result chunked_byte(http1_filter *f, const http1_limits *limits, unsigned char c,
                                  ex_error *err)
{
    switch (f->state) {
    case CHUNK_SIZE:
        return chunk_size_byte(f, c, err);
    case CHUNK_SIZE_LF:
        return chunk_begin(f, limits, c, err);
    case CHUNK_DATA_CR:
        f->state = CHUNK_DATA_LF;
        return c == '\r' ? FILTER_MORE : bad(err, "chunk longer than its size");
    case CHUNK_DATA_LF:
        f->state = CHUNK_SIZE;
        f->left = 0;
        f->digits = 0;
        return c == '\n' ? FILTER_MORE : bad(err, "CR without LF after a chunk");
    default:
        /* Extensions and trailers are bounded together with the head. */
        if (f->head_bytes++ >= limits->head_bytes)
            return head_too_large(err, false, limits->head_bytes);
        return f->state < CHUNK_SIZE_LF ? chunk_ext_byte(f, c, err) : trailer_byte(f, c, err);
    }
}

/* Whether the next byte belongs to an extension, whose CR does not. */
static bool is_extension(const http1_filter *f, unsigned char c)
{
    if (f->state == CHUNK_SIZE)
        return c == ';' || is_blank(c);
    return f->state > CHUNK_SIZE && f->state < CHUNK_SIZE_LF && c != '\r';
}

filter_result http1_filter_piece(http1_filter *f, const http1_limits *limits, ex_slice in,
                                 size_t *ret_used, bool *ret_is_extension, ex_error *err)
{
    *ret_is_extension = in.len && is_extension(f, (unsigned char)in.ptr[0]);
    for (size_t i = 0; i < in.len;) {
        if (f->state == BODY_LENGTH || f->state == CHUNK_DATA) {
            size_t n = in.len - i < f->left ? in.len - i : (size_t)f->left;
            f->left -= n;
            i += n;
            if (f->left == 0 && f->state == BODY_LENGTH) {
                *ret_used = i;
                return FILTER_MESSAGE_END;
            }
            if (f->left == 0)
                f->state = CHUNK_DATA_CR;
            continue;
        }
        if (is_extension(f, (unsigned char)in.ptr[i]) != *ret_is_extension) {
            *ret_used = i;
            return FILTER_MORE;
        }
        filter_result r = chunked_byte(f, limits, (unsigned char)in.ptr[i++], err);
        *ret_used = i;
        if (r != FILTER_MORE)
            return r;
    }
    *ret_used = in.len;
    return FILTER_MORE;
}

filter_result http1_filter_body(http1_filter *f, const http1_limits *limits, ex_slice in,
                                size_t *ret_used, ex_error *err)
{
    filter_result r = FILTER_MORE;
    size_t at = 0;
    while (r == FILTER_MORE && at < in.len) {
        size_t used = 0;
        bool is_extension_piece;
        r = http1_filter_piece(f, limits, ex_slice_of(in.ptr + at, in.len - at), &used,
                               &is_extension_piece, err);
        at += used;
    }
    *ret_used = at;
    return r;
}
