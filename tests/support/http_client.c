/* http_client.c: the blocking test client. */
#include "support/http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define READ_TIMEOUT_S 10

bool http_client_open(http_client *c, uint16_t port)
{
    memset(c, 0, sizeof(*c));
    ex_buf_init(&c->in, 0);
    ex_buf_init(&c->text, 0);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {.tv_sec = READ_TIMEOUT_S};
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1;
    return c->fd >= 0 && setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0 &&
           setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0 &&
           setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0 &&
           connect(c->fd, (struct sockaddr *)&a, sizeof(a)) == 0;
}

void http_client_close(http_client *c)
{
    if (c->fd >= 0)
        (void)close(c->fd); /* a test client has nothing to lose */
    c->fd = -1;
    ex_buf_done(&c->in);
    ex_buf_done(&c->text);
}

bool http_client_send(http_client *c, ex_slice bytes)
{
    while (bytes.len) {
        ssize_t n = send(c->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        bytes.ptr += n;
        bytes.len -= (size_t)n;
    }
    return true;
}

bool http_client_send_text(http_client *c, const char *text)
{
    return http_client_send(c, ex_str(text));
}

bool http_client_send_slowly(http_client *c, ex_slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        if (!http_client_send(c, ex_slice_of(bytes.ptr + i, 1)))
            return false;
    return true;
}

/* Receive more; false at the end of the connection or after the time limit. */
static bool receive(http_client *c)
{
    if (c->at == c->in.len)
        c->at = c->in.len = 0;
    if (!ex_buf_reserve(&c->in, 65536))
        return false;
    ssize_t n = recv(c->fd, c->in.ptr + c->in.len, 65536, 0);
    if (n <= 0)
        return false;
    c->in.len += (size_t)n;
    return true;
}

static bool next_line(http_client *c, ex_slice *ret)
{
    for (size_t from = 0;;) {
        size_t have = c->in.len - c->at;
        const char *start = c->in.ptr + c->at;
        const char *lf = have > from ? memchr(start + from, '\n', have - from) : NULL;
        if (lf) {
            size_t n = (size_t)(lf - start);
            c->at += n + 1;
            *ret = ex_slice_of(start, n && start[n - 1] == '\r' ? n - 1 : n);
            return true;
        }
        from = have;
        if (!receive(c))
            return false;
        if (c->in.len - c->at < from)
            from = 0;
    }
}

static void put_lower_name(ex_buf *out, ex_slice line)
{
    bool is_name = true;
    for (size_t i = 0; i < line.len; i++) {
        char ch = line.ptr[i];
        is_name = is_name && ch != ':';
        ex_buf_put_char(out, is_name && ch >= 'A' && ch <= 'Z' ? (char)(ch | 0x20) : ch);
    }
    ex_buf_put_str(out, "\r\n");
}

bool http_client_begin_stream(http_client *c, http_reply *r)
{
    memset(r, 0, sizeof(*r));
    ex_buf_init(&r->head, 0);
    ex_buf_init(&r->body, 0);
    ex_slice line;
    do {
        ex_buf_reset(&r->head);
        if (!next_line(c, &line) || line.len < 12 || memcmp(line.ptr, "HTTP/1.1 ", 9) != 0)
            return false;
        r->status = atoi(line.ptr + 9);
        ex_buf_put(&r->head, line);
        ex_buf_put_str(&r->head, "\r\n");
        do {
            if (!next_line(c, &line))
                return false;
            put_lower_name(&r->head, line);
        } while (line.len);
    } while (r->status == 100);
    ex_buf_reset(&c->text);
    c->text_at = 0;
    c->chunk_left = 0;
    c->is_chunked = ex_slice_is(http_reply_header(r, "transfer-encoding"), "chunked");
    return true;
}

/* Append n body bytes to `out`. */
static bool read_bytes(http_client *c, size_t n, ex_buf *out)
{
    while (n) {
        if (c->at == c->in.len && !receive(c))
            return false;
        size_t part = c->in.len - c->at < n ? c->in.len - c->at : n;
        ex_buf_put(out, ex_slice_of(c->in.ptr + c->at, part));
        c->at += part;
        n -= part;
    }
    return true;
}

/* One more chunk (or whatever has arrived) of a streamed body into c->text. */
static bool read_piece(http_client *c)
{
    ex_slice line;
    if (!c->is_chunked) {
        if (c->at == c->in.len && !receive(c))
            return false;
        return read_bytes(c, c->in.len - c->at, &c->text);
    }
    if (!next_line(c, &line))
        return false;
    size_t n = strtoul(line.ptr, NULL, 16);
    bool is_whole = read_bytes(c, n, &c->text) && next_line(c, &line) && line.len == 0;
    return is_whole && n > 0;
}

bool http_client_read_stream(http_client *c, ex_slice *ret)
{
    if (c->text_at == c->text.len) {
        ex_buf_reset(&c->text);
        c->text_at = 0;
        if (!read_piece(c))
            return false;
    }
    *ret = ex_slice_of(c->text.ptr + c->text_at, c->text.len - c->text_at);
    c->text_at = c->text.len;
    return true;
}

bool http_client_read(http_client *c, http_reply *r)
{
    if (!http_client_begin_stream(c, r))
        return false;
    ex_slice length = http_reply_header(r, "content-length");
    if (length.ptr)
        return read_bytes(c, strtoul(length.ptr, NULL, 10), &r->body);
    if (r->status == 204 || r->status == 304)
        return true;
    for (ex_slice piece; http_client_read_stream(c, &piece);)
        ex_buf_put(&r->body, piece);
    return true;
}

bool http_client_read_head_only(http_client *c, http_reply *r)
{
    return http_client_begin_stream(c, r);
}

static bool next_text_line(http_client *c, ex_slice *ret)
{
    for (;;) {
        size_t have = c->text.len - c->text_at;
        const char *start = c->text.ptr + c->text_at;
        const char *lf = have ? memchr(start, '\n', have) : NULL;
        if (lf) {
            *ret = ex_slice_of(start, (size_t)(lf - start));
            c->text_at += ret->len + 1;
            return true;
        }
        if (c->text_at == c->text.len) {
            ex_buf_reset(&c->text);
            c->text_at = 0;
        }
        if (!read_piece(c))
            return false;
    }
}

static void copy_text(char *out, size_t size, ex_slice s)
{
    size_t n = s.len < size - 1 ? s.len : size - 1;
    memcpy(out, s.ptr, n);
    out[n] = '\0';
}

bool http_client_next_event(http_client *c, http_event *e)
{
    if (!e->data.limit_bytes)
        ex_buf_init(&e->data, 0);
    ex_buf_reset(&e->data);
    e->id[0] = e->event[0] = '\0';
    e->is_comment = false;
    bool has_fields = false, has_data = false;
    for (ex_slice line; next_text_line(c, &line);) {
        if (line.len == 0 && has_fields)
            return true;
        if (line.len == 0)
            continue;
        has_fields = true;
        const char *colon = memchr(line.ptr, ':', line.len);
        size_t n = colon ? (size_t)(colon - line.ptr) : line.len;
        ex_slice name = ex_slice_of(line.ptr, n);
        size_t skip = n + 1 < line.len && line.ptr[n + 1] == ' ' ? n + 2 : n + 1;
        ex_slice value = skip < line.len ? ex_slice_of(line.ptr + skip, line.len - skip) : EX_S("");
        if (ex_slice_is(name, "id"))
            copy_text(e->id, sizeof(e->id), value);
        else if (ex_slice_is(name, "event"))
            copy_text(e->event, sizeof(e->event), value);
        else if (ex_slice_is(name, "data") || n == 0) {
            if (has_data)
                ex_buf_put_char(&e->data, '\n');
            ex_buf_put(&e->data, value);
            has_data = n > 0;
            e->is_comment = n == 0;
        }
    }
    return false;
}

bool http_client_is_closed(http_client *c)
{
    char byte;
    return c->at == c->in.len && recv(c->fd, &byte, 1, 0) == 0;
}

bool http_client_request(http_client *c, const char *method, const char *path, const char *headers,
                         ex_slice body)
{
    ex_buf out;
    ex_buf_init(&out, 0);
    ex_buf_printf(&out, "%s %s HTTP/1.1\r\nHost: localhost\r\n%s", method, path,
                  headers ? headers : "");
    if (body.len || strcmp(method, "POST") == 0)
        ex_buf_printf(&out, "Content-Length: %zu\r\n", body.len);
    ex_buf_put_str(&out, "\r\n");
    ex_buf_put(&out, body);
    bool is_sent = ex_buf_status(&out) == EX_OK && http_client_send(c, ex_buf_slice(&out));
    ex_buf_done(&out);
    return is_sent;
}

bool http_client_call(http_client *c, const char *method, const char *path, const char *headers,
                      ex_slice body, http_reply *r)
{
    memset(r, 0, sizeof(*r));
    if (!http_client_request(c, method, path, headers, body))
        return false;
    return strcmp(method, "HEAD") == 0 ? http_client_read_head_only(c, r) : http_client_read(c, r);
}

bool http_call(uint16_t port, const char *method, const char *path, const char *headers,
               ex_slice body, http_reply *r)
{
    http_client c;
    memset(r, 0, sizeof(*r));
    bool is_ok = http_client_open(&c, port) && http_client_call(&c, method, path, headers, body, r);
    http_client_close(&c);
    return is_ok;
}

ex_slice http_reply_header(const http_reply *r, const char *lower_name)
{
    size_t n = strlen(lower_name);
    const char *end = r->head.ptr + r->head.len;
    for (const char *line = r->head.ptr; line && line < end;) {
        const char *cr = memchr(line, '\r', (size_t)(end - line));
        if (!cr)
            break;
        if ((size_t)(cr - line) > n && memcmp(line, lower_name, n) == 0 && line[n] == ':') {
            const char *value = line + n + 1;
            while (value < cr && *value == ' ')
                value++;
            return ex_slice_of(value, (size_t)(cr - value));
        }
        line = cr + 2;
    }
    return (ex_slice){NULL, 0};
}

void http_reply_done(http_reply *r)
{
    ex_buf_done(&r->head);
    ex_buf_done(&r->body);
}

void http_event_done(http_event *e)
{
    ex_buf_done(&e->data);
}
