/* utf8.h: one step over UTF-8 text, for code that must look at each character anyway. */
#ifndef EXCORE_KERNEL_UTF8_H
#define EXCORE_KERNEL_UTF8_H

#include <excore/base.h>

/** Bytes of the well-formed character at the start of `s` (1 to 4); 0 when `s` is empty or begins
 * with bytes that are none: stray continuation, overlong form, surrogate, above U+10FFFF, cut
 * short. */
static inline size_t ex_utf8_step(ex_slice s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    if (s.len == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xC2 || p[0] > 0xF4)
        return 0;
    size_t need = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    if (s.len < need)
        return 0;
    /* the second byte has a narrower range after these leads: overlong, surrogate, too large */
    unsigned char low = p[0] == 0xE0 ? 0xA0 : p[0] == 0xF0 ? 0x90 : 0x80;
    unsigned char high = p[0] == 0xED ? 0x9F : p[0] == 0xF4 ? 0x8F : 0xBF;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < need; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    }
    return need;
}

#endif
