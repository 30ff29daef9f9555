/* utf8.c: checks whole texts; eight ASCII bytes at a time, other sequences one by one. */
#include "kernel/utf8.h"

#include <excore/json.h>

bool ex_utf8_is_valid(ex_slice text)
{
    const char *p = text.ptr, *end = text.len ? text.ptr + text.len : text.ptr;
    while (p < end) {
        uint64_t word;
        while ((size_t)(end - p) >= sizeof(word)) {
            memcpy(&word, p, sizeof(word));
            if (word & UINT64_C(0x8080808080808080))
                break;
            p += sizeof(word);
        }
        if (p == end)
            break;
        size_t n = ex_utf8_step(ex_slice_of(p, (size_t)(end - p)));
        if (n == 0)
            return false;
        p += n;
    }
    return true;
}
