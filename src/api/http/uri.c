/* uri.c: request targets. Dot segments are refused, never resolved: nobody sends them in good
 * faith. */
#include "api/http/uri.h"

#include <strings.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte after the escape at in[i], or -1 when it is invalid or NUL. */
static int escape_at(ex_slice in, size_t i)
{
    if (in.len - i < 3)
        return -1;
    int high = hex_digit(in.ptr[i + 1]), low = hex_digit(in.ptr[i + 2]);
    int byte = high < 0 || low < 0 ? -1 : high * 16 + low;
    return byte == 0 ? -1 : byte;
}

bool uri_decode(ex_slice in, bool is_query, char *out, size_t *ret_len)
{
    size_t n = 0;
    for (size_t i = 0; i < in.len; i++) {
        char c = in.ptr[i];
        if (c == '%') {
            int byte = escape_at(in, i);
            if (byte < 0)
                return false;
            c = (char)byte;
            i += 2;
        } else if (c == '+' && is_query) {
            c = ' ';
        }
        out[n++] = c;
    }
    *ret_len = n;
    return true;
}

static ex_status check_escapes(ex_slice in, ex_error *err)
{
    for (size_t i = 0; i < in.len; i++) {
        if (in.ptr[i] == '#')
            return ex_raise(err, EX_EMALFORMED, "the request target has a fragment");
        if (in.ptr[i] == '%' && escape_at(in, i) < 0)
            return ex_raise(err, EX_EMALFORMED, "invalid percent escape in the request target");
    }
    return EX_OK;
}

static bool is_dot_segment(ex_slice segment)
{
    char text[6];
    size_t n = 0;
    return segment.len > 0 && segment.len <= sizeof(text) && uri_decode(segment, false, text, &n) &&
           text[0] == '.' && (n == 1 || (n == 2 && text[1] == '.'));
}

static ex_status check_path(ex_slice path, ex_error *err)
{
    if (path.len == 0 || path.ptr[0] != '/')
        return ex_raise(err, EX_EMALFORMED, "the path does not begin with '/'");
    const char *end = path.ptr + path.len;
    for (const char *p = path.ptr + 1; p <= end;) {
        const char *slash = memchr(p, '/', (size_t)(end - p));
        const char *stop = slash ? slash : end;
        if (is_dot_segment(ex_slice_of(p, (size_t)(stop - p))))
            return ex_raise(err, EX_EMALFORMED, "the path has a dot segment");
        p = stop + 1;
    }
    return EX_OK;
}

/* Take "http://authority" off an absolute target. */
static ex_status strip_authority(ex_slice *target, ex_slice host, ex_error *err)
{
    if (target->len < 7 || strncasecmp(target->ptr, "http://", 7) != 0)
        return EX_OK;
    const char *start = target->ptr + 7;
    size_t left = target->len - 7, n = 0;
    while (n < left && start[n] != '/' && start[n] != '?')
        n++;
    if (n == 0 || n != host.len || strncasecmp(start, host.ptr, n) != 0)
        return ex_raise(err, EX_EMALFORMED, "the request target names another host than Host");
    *target = ex_slice_of(start + n, left - n);
    return EX_OK;
}

ex_status uri_split(ex_slice target, ex_slice host, ex_slice *ret_path, ex_slice *ret_query,
                    ex_error *err)
{
    ex_status s = strip_authority(&target, host, err);
    if (s)
        return s;
    const char *mark = target.len ? memchr(target.ptr, '?', target.len) : NULL;
    size_t n = mark ? (size_t)(mark - target.ptr) : target.len;
    ex_slice path = ex_slice_of(target.ptr, n);
    ex_slice query = mark ? ex_slice_of(mark + 1, target.len - n - 1) : (ex_slice){NULL, 0};
    if (!ex_slice_eq(path, EX_S("*")) && (s = check_path(path, err)))
        return s;
    if ((s = check_escapes(path, err)) || (s = check_escapes(query, err)))
        return s;
    *ret_path = path;
    *ret_query = query;
    return EX_OK;
}

bool uri_query_next(ex_slice query, size_t *at, ex_slice *ret_name, ex_slice *ret_value)
{
    while (*at < query.len) {
        const char *start = query.ptr + *at;
        size_t left = query.len - *at;
        const char *amp = memchr(start, '&', left);
        size_t n = amp ? (size_t)(amp - start) : left;
        *at += amp ? n + 1 : n;
        if (n == 0)
            continue;
        const char *eq = memchr(start, '=', n);
        size_t name_len = eq ? (size_t)(eq - start) : n;
        *ret_name = ex_slice_of(start, name_len);
        *ret_value = eq ? ex_slice_of(eq + 1, n - name_len - 1) : ex_slice_of(start + n, 0);
        return true;
    }
    return false;
}
