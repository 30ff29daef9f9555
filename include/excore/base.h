/* base.h: what every other header needs: visibility, attributes, slices.
 *
 * A slice is a pointer and a length. It does not own its bytes and is not
 * NUL-terminated. An empty slice may have a NULL pointer. */
#ifndef EXCORE_BASE_H
#define EXCORE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__)
#define EX_API                          __attribute__((visibility("default")))
#define EX_NODISCARD                    __attribute__((warn_unused_result))
#define EX_PRINTF(fmt_index, arg_index) __attribute__((format(printf, fmt_index, arg_index)))
#define EX_UNUSED                       __attribute__((unused))
#else
#define EX_API
#define EX_NODISCARD
#define EX_PRINTF(fmt_index, arg_index)
#define EX_UNUSED
#endif

#ifdef __cplusplus
#define EX_BEGIN_DECLS extern "C" {
#define EX_END_DECLS   }
#else
#define EX_BEGIN_DECLS
#define EX_END_DECLS
#endif

EX_BEGIN_DECLS

/** Bytes that somebody else owns. */
typedef struct ex_slice {
    const char *ptr;
    size_t len;
} ex_slice;

/** A slice over a string literal, usable in static initialisers. */
#define EX_S_INIT(literal)                                                                         \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

#ifdef __cplusplus
#define EX_S(literal) (ex_slice EX_S_INIT(literal))
#else
#define EX_S(literal) ((ex_slice)EX_S_INIT(literal))
#endif

/** For printf: printf("%.*s", EX_ARG(slice)). */
#define EX_ARG(slice) ((int)(slice).len), ((slice).ptr ? (slice).ptr : "")

/** A slice over a NUL-terminated string; NULL gives the empty slice. */
static inline ex_slice ex_str(const char *text)
{
    ex_slice s = {text, text ? strlen(text) : 0};
    return s;
}

static inline ex_slice ex_slice_of(const void *ptr, size_t len)
{
    ex_slice s = {(const char *)ptr, len};
    return s;
}

static inline bool ex_slice_eq(ex_slice a, ex_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool ex_slice_is(ex_slice a, const char *text)
{
    return ex_slice_eq(a, ex_str(text));
}

static inline bool ex_slice_starts(ex_slice a, ex_slice prefix)
{
    return a.len >= prefix.len && (prefix.len == 0 || memcmp(a.ptr, prefix.ptr, prefix.len) == 0);
}

/** Bytewise order: negative, zero or positive, a shorter prefix first. */
static inline int ex_slice_cmp(ex_slice a, ex_slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n ? memcmp(a.ptr, b.ptr, n) : 0;
    return c ? c : (a.len > b.len) - (a.len < b.len);
}

EX_END_DECLS

#endif
