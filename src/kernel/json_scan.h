/* json_scan.h: the scan over the plain part of a JSON string, shared by reader and writer.
 *
 * Inline: reading and writing JSON spends most of its time here. */
#ifndef EXCORE_KERNEL_JSON_SCAN_H
#define EXCORE_KERNEL_JSON_SCAN_H

#include <excore/base.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static inline bool json_is_plain(char c)
{
    return (unsigned char)c >= 0x20 && (unsigned char)c < 0x80 && c != '"' && c != '\\';
}

/** json_plain_end for less than a vector: eight bytes at once, then one by one. */
static inline const char *json_plain_end_short(const char *p, const char *end)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
    for (; end - p >= 8; p += 8) {
        uint64_t v;
        memcpy(&v, p, sizeof(v));
        uint64_t quote = v ^ ones * '"', slash = v ^ ones * '\\';
        /* a borrow can mark a byte too many, never one too few: the loop below decides */
        if ((v | (v - ones * ' ') | ((quote - ones) & ~quote) | ((slash - ones) & ~slash)) & tops)
            break;
    }
    while (p < end && json_is_plain(*p))
        p++;
    return p;
}

/** The first byte that a JSON string cannot hold as it is, or that is not ASCII: a quote, a
 *  backslash, a control character, or 0x80 and above; `end` when there is none. */
static inline const char *json_plain_end(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\');
    const __m128i space = _mm_set1_epi8(' ');
    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        /* signed compare: 0x80 and above count as less than a space too */
        __m128i stop =
            _mm_or_si128(_mm_cmplt_epi8(v, space),
                         _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash)));
        int mask = _mm_movemask_epi8(stop);
        if (mask)
            return p + __builtin_ctz((unsigned)mask);
    }
#endif
    return json_plain_end_short(p, end);
}

#endif
