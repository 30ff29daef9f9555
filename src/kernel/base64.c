/* base64.c: see base64.h. The two differ in their last two characters and in the padding. */
#include "kernel/base64.h"

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char for_urls[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* ---- Encoding ---- */

static size_t encode(ex_slice bytes, const char *alphabet, char *out)
{
    const unsigned char *in = (const unsigned char *)bytes.ptr;
    size_t i = 0, n = 0;
    for (; i + 3 <= bytes.len; i += 3) {
        uint32_t group = (uint32_t)in[i] << 16 | (uint32_t)in[i + 1] << 8 | in[i + 2];
        out[n++] = alphabet[group >> 18];
        out[n++] = alphabet[group >> 12 & 63];
        out[n++] = alphabet[group >> 6 & 63];
        out[n++] = alphabet[group & 63];
    }
    if (i < bytes.len) {
        bool has_two = bytes.len - i == 2;
        uint32_t group = (uint32_t)in[i] << 16 | (has_two ? (uint32_t)in[i + 1] << 8 : 0);
        out[n++] = alphabet[group >> 18];
        out[n++] = alphabet[group >> 12 & 63];
        if (has_two)
            out[n++] = alphabet[group >> 6 & 63];
    }
    return n;
}

size_t ex_base64_encode(ex_slice bytes, char *out)
{
    size_t n = encode(bytes, standard, out);
    while (n % 4 != 0)
        out[n++] = '=';
    out[n] = '\0';
    return n;
}

size_t ex_base64url_encode(ex_slice bytes, char *out)
{
    size_t n = encode(bytes, for_urls, out);
    out[n] = '\0';
    return n;
}

/* ---- Decoding ---- */

static int value_of(char c, const char *alphabet)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == alphabet[62] ? 62 : c == alphabet[63] ? 63 : -1;
}

/* Without padding. Bits left over must be zero, or two texts would mean the same bytes. */
static bool decode(ex_slice text, const char *alphabet, char *out, size_t *ret_len)
{
    uint32_t group = 0;
    unsigned bits = 0;
    size_t n = 0;
    if (text.len % 4 == 1)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        int v = value_of(text.ptr[i], alphabet);
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

bool ex_base64_decode(ex_slice text, char *out, size_t *ret_len)
{
    if (text.len % 4 != 0)
        return false;
    for (int pad = 0; pad < 2 && text.len && text.ptr[text.len - 1] == '='; pad++)
        text.len--;
    return decode(text, standard, out, ret_len);
}

bool ex_base64url_decode(ex_slice text, char *out, size_t *ret_len)
{
    return decode(text, for_urls, out, ret_len);
}
