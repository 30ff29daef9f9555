/* base64.h: base64url without padding (RFC 4648, section 5), strict. */
#ifndef EXCORE_KERNEL_BASE64_H
#define EXCORE_KERNEL_BASE64_H

#include <excore/base.h>

/** Bytes of text for `len` bytes, with room for a NUL. */
static inline size_t ex_base64url_size(size_t len)
{
    return (len + 2) / 3 * 4 + 1;
}

/** Write the text and a NUL into `out` (ex_base64url_size bytes); returns its length. */
size_t ex_base64url_encode(ex_slice bytes, char *out);
/** Decode into `out` (at least text.len bytes). False for a character, length or trailing bits that
 *  no encoder writes. */
bool ex_base64url_decode(ex_slice text, char *out, size_t *ret_len);

#endif
