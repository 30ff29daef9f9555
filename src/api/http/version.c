/* version.c: see version.h. */
#include "api/http/version.h"

#include <nghttp2/nghttp2.h>

const char *http_nghttp2_version(void)
{
    return nghttp2_version(0)->version_str;
}
