/* own_copy.h: a text in a block of its own, so that a sanitizer sees a read past its end. */
#ifndef EXCORE_TESTS_SUPPORT_OWN_COPY_H
#define EXCORE_TESTS_SUPPORT_OWN_COPY_H

#include <excore/base.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static inline ex_slice own_copy(const char *text, size_t len)
{
    char *copy = malloc(len ? len : 1);
    if (!copy)
        abort();
    memcpy(copy, text, len);
    return (ex_slice){copy, len};
}

static inline void own_copy_free(ex_slice copy)
{
    free((void *)(uintptr_t)copy.ptr);
}

#endif
