/* http1_head.c: take a finished HTTP/1 head apart and judge its headers.
 *
 * Refused: anything but "METHOD SP target SP HTTP/1.x", blanks before a colon,
 * missing or repeated Host, repeated or non-decimal Content-Length, any
 * Transfer-Encoding but a single "chunked", both of them together, and
 * Connection naming a header that frames the message. */
#include "api/http/http1_filter.h"

#include <strings.h>

/* clang-format off */
static const bool token_chars[256] = {
    ['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1, ['&'] = 1, ['\''] = 1, ['*'] = 1, ['+'] = 1,
    ['-'] = 1, ['.'] = 1, ['^'] = 1, ['_'] = 1, ['`'] = 1, ['|'] = 1, ['~'] = 1,
    ['0'] = 1, ['1'] = 1, ['2'] = 1, ['3'] = 1, ['4'] = 1, ['5'] = 1, ['6'] = 1, ['7'] = 1,
    ['8'] = 1, ['9'] = 1,
    ['A'] = 1, ['B'] = 1, ['C'] = 1, ['D'] = 1, ['E'] = 1, ['F'] = 1, ['G'] = 1, ['H'] = 1,
    ['I'] = 1, ['J'] = 1, ['K'] = 1, ['L'] = 1, ['M'] = 1, ['N'] = 1, ['O'] = 1, ['P'] = 1,
    ['Q'] = 1, ['R'] = 1, ['S'] = 1, ['T'] = 1, ['U'] = 1, ['V'] = 1, ['W'] = 1, ['X'] = 1,
    ['Y'] = 1, ['Z'] = 1,
    ['a'] = 1, ['b'] = 1, ['c'] = 1, ['d'] = 1, ['e'] = 1, ['f'] = 1, ['g'] = 1, ['h'] = 1,
    ['i'] = 1, ['j'] = 1, ['k'] = 1, ['l'] = 1, ['m'] = 1, ['n'] = 1, ['o'] = 1, ['p'] = 1,
    ['q'] = 1, ['r'] = 1, ['s'] = 1, ['t'] = 1, ['u'] = 1, ['v'] = 1, ['w'] = 1, ['x'] = 1,
    ['y'] = 1, ['z'] = 1,
};
/* clang-format on */

bool http_is_token_char(unsigned char c)
{
    return token_chars[c];
}

/* What the checks of single headers leave for the check of the whole. */
typedef struct head_seen {
    uint32_t hosts;
    uint32_t lengths;
    uint32_t encodings;
    bool says_close;
    bool says_keep_alive;
    bool says_continue;
    bool says_unknown_expectation;
} head_seen;

static ex_status malformed(ex_error *err, const char *what)
{
    return ex_raise(err, EX_EMALFORMED, "malformed HTTP request: %s", what);
}

static ex_status refused(ex_error *err, int http_status, const char *code, const char *what)
{
    ex_status s = ex_raise(err, EX_EMALFORMED, "%s", what);
    if (err)
        err->http_status = http_status;
    ex_error_set_code(err, code);
    return s;
}

static bool is_ci(ex_slice a, const char *text)
{
    return a.len == strlen(text) && strncasecmp(a.ptr, text, a.len) == 0;
}

/* The line at *at without its CRLF, which http1_filter_head has made sure of. */
static ex_slice next_line(char *text, size_t len, size_t *at)
{
    char *start = text + *at;
    char *cr = memchr(start, '\r', len - *at);
    size_t n = cr ? (size_t)(cr - start) : len - *at;
    *at += n + 2 < len - *at ? n + 2 : len - *at;
    return ex_slice_of(start, n);
}

static ex_status parse_version(ex_slice v, http1_head *ret, ex_error *err)
{
    if (v.len == 8 && memcmp(v.ptr, "HTTP/1.", 7) == 0 && (v.ptr[7] == '0' || v.ptr[7] == '1')) {
        ret->minor = (uint8_t)(v.ptr[7] - '0');
        return EX_OK;
    }
    bool is_version = v.len == 8 && memcmp(v.ptr, "HTTP/", 5) == 0 && v.ptr[5] >= '0' &&
                      v.ptr[5] <= '9' && v.ptr[6] == '.' && v.ptr[7] >= '0' && v.ptr[7] <= '9';
    if (is_version)
        return refused(err, 505, "HTTP_VERSION_NOT_SUPPORTED", "only HTTP/1.0 and HTTP/1.1 here");
    return malformed(err, "bad or missing HTTP version");
}

static ex_status parse_request_line(ex_slice line, http1_head *ret, ex_error *err)
{
    size_t i = 0;
    while (i < line.len && http_is_token_char((unsigned char)line.ptr[i]))
        i++;
    ret->method = ex_slice_of(line.ptr, i);
    if (i == 0 || i == line.len || line.ptr[i] != ' ')
        return malformed(err, "bad request line");
    size_t start = ++i;
    while (i < line.len && (unsigned char)line.ptr[i] > 0x20 && (unsigned char)line.ptr[i] < 0x7F)
        i++;
    if (i == start || i == line.len || line.ptr[i] != ' ')
        return malformed(err, i == line.len ? "missing HTTP version" : "bad request target");
    ret->target = ex_slice_of(line.ptr + start, i - start);
    return parse_version(ex_slice_of(line.ptr + i + 1, line.len - i - 1), ret, err);
}

static ex_status parse_field(char *line, size_t len, http_field *ret, ex_error *err)
{
    size_t i = 0;
    for (; i < len && http_is_token_char((unsigned char)line[i]); i++)
        if (line[i] >= 'A' && line[i] <= 'Z')
            line[i] = (char)(line[i] | 0x20);
    if (i == 0 || i == len || line[i] != ':')
        return malformed(err, "bad header name");
    ret->name = ex_slice_of(line, i);
    size_t start = i + 1;
    while (start < len && (line[start] == ' ' || line[start] == '\t'))
        start++;
    size_t end = len;
    while (end > start && (line[end - 1] == ' ' || line[end - 1] == '\t'))
        end--;
    if (memchr(line + start, 0x7F, end - start))
        return malformed(err, "control character in a header");
    ret->value = ex_slice_of(line + start, end - start);
    return EX_OK;
}

static ex_status check_host(ex_slice v, ex_error *err)
{
    for (size_t i = 0; i < v.len; i++) {
        unsigned char c = (unsigned char)v.ptr[i];
        if (c <= 0x20 || c >= 0x7F || memchr("/?#@\\\"<>,^`{|}", c, 14))
            return malformed(err, "bad Host");
    }
    return EX_OK;
}

static ex_status parse_length(ex_slice v, http1_head *head, ex_error *err)
{
    uint64_t n = 0;
    if (v.len == 0 || v.len > 18)
        return malformed(err, "bad Content-Length");
    for (size_t i = 0; i < v.len; i++) {
        if (v.ptr[i] < '0' || v.ptr[i] > '9')
            return malformed(err, "bad Content-Length");
        n = n * 10 + (uint64_t)(v.ptr[i] - '0');
    }
    head->has_length = true;
    head->content_length = n;
    return EX_OK;
}

static ex_status check_connection(ex_slice v, head_seen *seen, ex_error *err)
{
    while (v.len) {
        const char *comma = memchr(v.ptr, ',', v.len);
        size_t part = comma ? (size_t)(comma - v.ptr) : v.len;
        ex_slice t = ex_slice_of(v.ptr, part);
        v.ptr += comma ? part + 1 : part;
        v.len -= comma ? part + 1 : part;
        while (t.len && (t.ptr[0] == ' ' || t.ptr[0] == '\t'))
            t.ptr++, t.len--;
        while (t.len && (t.ptr[t.len - 1] == ' ' || t.ptr[t.len - 1] == '\t'))
            t.len--;
        if (is_ci(t, "close"))
            seen->says_close = true;
        else if (is_ci(t, "keep-alive"))
            seen->says_keep_alive = true;
        else if (is_ci(t, "host") || is_ci(t, "content-length") || is_ci(t, "transfer-encoding"))
            return malformed(err, "Connection names a framing header");
    }
    return EX_OK;
}

static ex_status check_field(const http_field *f, http1_head *head, head_seen *seen, ex_error *err)
{
    if (ex_slice_eq(f->name, EX_S("host"))) {
        seen->hosts++;
        return check_host(f->value, err);
    }
    if (ex_slice_eq(f->name, EX_S("content-length"))) {
        seen->lengths++;
        return parse_length(f->value, head, err);
    }
    if (ex_slice_eq(f->name, EX_S("transfer-encoding"))) {
        seen->encodings++;
        head->is_chunked = is_ci(f->value, "chunked");
        return head->is_chunked ? EX_OK : malformed(err, "Transfer-Encoding is not chunked");
    }
    if (ex_slice_eq(f->name, EX_S("connection")))
        return check_connection(f->value, seen, err);
    if (ex_slice_eq(f->name, EX_S("expect"))) {
        if (is_ci(f->value, "100-continue"))
            seen->says_continue = true;
        else
            seen->says_unknown_expectation = true;
    }
    return EX_OK;
}

static ex_status check_whole(http1_head *head, const head_seen *seen, const http1_limits *limits,
                             ex_error *err)
{
    if (seen->hosts > 1)
        return malformed(err, "more than one Host");
    if (seen->hosts == 0 && head->minor > 0)
        return malformed(err, "missing Host");
    if (seen->lengths > 1)
        return malformed(err, "more than one Content-Length");
    if (seen->encodings > 1)
        return malformed(err, "more than one Transfer-Encoding");
    if (seen->lengths && seen->encodings)
        return malformed(err, "Content-Length with Transfer-Encoding");
    if (seen->encodings && head->minor == 0)
        return malformed(err, "Transfer-Encoding in HTTP/1.0");
    head->keep_alive = !seen->says_close && (head->minor > 0 || seen->says_keep_alive);
    head->expects_continue = seen->says_continue && head->minor > 0;
    if (seen->says_unknown_expectation)
        return refused(err, 417, "EXPECTATION_FAILED", "only Expect: 100-continue is known");
    if (head->content_length > limits->body_bytes)
        return ex_raise(err, EX_ETOOLARGE, "request body over %u bytes", limits->body_bytes);
    return EX_OK;
}

static uint32_t count_lines(const char *text, size_t len)
{
    uint32_t n = 0;
    for (const char *p = text, *end = text + len;
         p < end && (p = memchr(p, '\n', (size_t)(end - p))); p++)
        n++;
    return n;
}

ex_status http1_head_parse(char *text, size_t len, const http1_limits *limits, ex_arena *arena,
                           http1_head *ret, ex_error *err)
{
    memset(ret, 0, sizeof(*ret));
    size_t at = len >= 2 && text[0] == '\r' ? 2 : 0;
    uint32_t lines = count_lines(text + at, len - at); /* request line, headers, empty line */
    ex_status s = parse_request_line(next_line(text, len, &at), ret, err);
    if (s)
        return s;
    ret->fields = ex_arena_array(arena, lines, sizeof(*ret->fields));
    if (!ret->fields)
        return ex_raise(err, EX_ENOMEM, "request headers");
    head_seen seen = {0};
    for (;;) {
        char *start = text + at;
        ex_slice line = next_line(text, len, &at);
        if (line.len == 0)
            break;
        http_field *f = &ret->fields[ret->field_count];
        if ((s = parse_field(start, line.len, f, err)) || (s = check_field(f, ret, &seen, err)))
            return s;
        ret->field_count++;
    }
    return check_whole(ret, &seen, limits, err);
}
