/* version.c: see version.h. */
#include "io/version.h"

#include <uv.h>

const char *io_libuv_version(void)
{
    return uv_version_string();
}
