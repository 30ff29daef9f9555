/* base64.c: base64url without padding, strict. */
#include "kernel/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

size_t ex_base64url_encode(ex_slice bytes, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t group = (uint32_t)(unsigned char)bytes.ptr[i] << 16;
        if (left > 1)
            group |= (uint32_t)(unsigned char)bytes.ptr[i + 1] << 8;
        if (left > 2)
            group |= (unsigned char)bytes.ptr[i + 2];
        out[n++] = alphabet[group >> 18];
        out[n++] = alphabet[group >> 12 & 63];
        if (left > 1)
            out[n++] = alphabet[group >> 6 & 63];
        if (left > 2)
            out[n++] = alphabet[group & 63];
    }
    out[n] = '\0';
    return n;
}

bool ex_base64url_decode(ex_slice text, char *out, size_t *ret_len)
{
    uint32_t group = 0;
    unsigned bits = 0;
    size_t n = 0;
    if (text.len % 4 == 1)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        int v = value_of(text.ptr[i]);
        if (v < 0)
            return false;
        group = group << 6 | (uint32_t)v;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[n++] = (char)(group >> bits & 0xff);
        }
    }
    *ret_len = n;
    return (group & ((1u << bits) - 1)) == 0;
}
