/* buf.c: a growing byte buffer with sticky failure. */
#include <excore/buf.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_LIMIT_BYTES ((size_t)64 << 20)
#define FIRST_BYTES         ((size_t)256)

void ex_buf_init(ex_buf *b, size_t limit_bytes)
{
    memset(b, 0, sizeof(*b));
    b->limit_bytes = limit_bytes ? limit_bytes : DEFAULT_LIMIT_BYTES;
}

void ex_buf_done(ex_buf *b)
{
    if (!b)
        return;
    free(b->ptr);
    b->ptr = NULL;
    b->len = b->cap = 0;
}

void ex_buf_reset(ex_buf *b)
{
    b->len = 0;
    b->status = EX_OK;
}

bool ex_buf_reserve(ex_buf *b, size_t extra)
{
    if (b->status)
        return false;
    if (extra <= b->cap - b->len)
        return true;
    if (extra > b->limit_bytes || b->len > b->limit_bytes - extra) {
        b->status = EX_ETOOLARGE;
        return false;
    }
    size_t cap = b->cap ? b->cap * 2 : FIRST_BYTES;
    if (cap < b->len + extra)
        cap = b->len + extra;
    if (cap > b->limit_bytes)
        cap = b->limit_bytes;
    char *p = realloc(b->ptr, cap);
    if (!p) {
        b->status = EX_ENOMEM;
        return false;
    }
    b->ptr = p;
    b->cap = cap;
    return true;
}

void ex_buf_put(ex_buf *b, ex_slice s)
{
    if (s.len == 0 || !ex_buf_reserve(b, s.len))
        return;
    memcpy(b->ptr + b->len, s.ptr, s.len);
    b->len += s.len;
}

void ex_buf_put_char(ex_buf *b, char c)
{
    if (ex_buf_reserve(b, 1))
        b->ptr[b->len++] = c;
}

void ex_buf_put_str(ex_buf *b, const char *text)
{
    ex_buf_put(b, ex_str(text));
}

void ex_buf_put_u64(ex_buf *b, uint64_t n)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    ex_buf_put(b, ex_slice_of(digits + at, sizeof(digits) - at));
}

void ex_buf_put_i64(ex_buf *b, int64_t n)
{
    if (n < 0)
        ex_buf_put_char(b, '-');
    ex_buf_put_u64(b, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
}

void ex_buf_printf(ex_buf *b, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    /* one byte more for the NUL that vsnprintf writes and len does not count */
    if (n >= 0 && ex_buf_reserve(b, (size_t)n + 1)) {
        (void)vsnprintf(b->ptr + b->len, (size_t)n + 1, fmt,
                        again); /* the size was just measured */
        b->len += (size_t)n;
    }
    va_end(again);
}
