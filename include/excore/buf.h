/* buf.h: a growing byte buffer with a hard limit and sticky failure.
 *
 * Build with any number of ex_buf_put* calls, then check once with
 * ex_buf_status: after the first failure all further puts do nothing. */
#ifndef EXCORE_BUF_H
#define EXCORE_BUF_H

#include <excore/status.h>

EX_BEGIN_DECLS

typedef struct ex_buf {
    char *ptr;
    size_t len;
    size_t cap;
    size_t limit_bytes;
    ex_status status; /* EX_OK, EX_ENOMEM or EX_ETOOLARGE */
} ex_buf;

/** Prepare an empty buffer; allocates nothing. limit_bytes 0 means 64 MiB. */
EX_API void ex_buf_init(ex_buf *b, size_t limit_bytes);
/** Free the bytes. NULL and a zeroed buffer are accepted. */
EX_API void ex_buf_done(ex_buf *b);
/** Empty it and clear the failure, keep the memory. */
EX_API void ex_buf_reset(ex_buf *b);
/** Make room for `extra` more bytes; false on failure. */
EX_API bool ex_buf_reserve(ex_buf *b, size_t extra);

EX_API void ex_buf_put(ex_buf *b, ex_slice s);
EX_API void ex_buf_put_char(ex_buf *b, char c);
EX_API void ex_buf_put_str(ex_buf *b, const char *text);
EX_API void ex_buf_put_u64(ex_buf *b, uint64_t n);
EX_API void ex_buf_put_i64(ex_buf *b, int64_t n);
EX_API void ex_buf_printf(ex_buf *b, const char *fmt, ...) EX_PRINTF(2, 3);

static inline ex_slice ex_buf_slice(const ex_buf *b)
{
    ex_slice s = {b->ptr, b->len};
    return s;
}
static inline ex_status ex_buf_status(const ex_buf *b)
{
    return b->status;
}

EX_END_DECLS

#endif
