/* base64.h: base64 with padding (RFC 4648, section 4) and base64url without (section 5), strict. */
#ifndef EXCORE_KERNEL_BASE64_H
#define EXCORE_KERNEL_BASE64_H

#include <excore/base.h>

/** Bytes of either text for `len` bytes, with room for a NUL. */
static inline size_t ex_base64_size(size_t len)
{
    return (len + 2) / 3 * 4 + 1;
}

/** Bytes that a text of `len` characters may stand for, at the most. */
static inline size_t ex_base64_bytes(size_t len)
{
    return len / 4 * 3 + 2;
}

/** Write the text and a NUL into `out` (ex_base64_size bytes); returns its length. */
size_t ex_base64_encode(ex_slice bytes, char *out);
size_t ex_base64url_encode(ex_slice bytes, char *out);
/** Decode into `out` (ex_base64_bytes). False for a character, length, padding or trailing
 *  bits that no encoder writes. */
bool ex_base64_decode(ex_slice text, char *out, size_t *ret_len);
bool ex_base64url_decode(ex_slice text, char *out, size_t *ret_len);

#endif
