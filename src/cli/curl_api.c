/* curl_api.c: see curl_api.h. */
#include "cli/curl_api.h"

#include <dlfcn.h>

static const char library[] = "libcurl.so.4"; /* the name behind which the interface is stable */

ex_status curl_api_load(curl_api *ret, ex_error *err)
{
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return ex_raise(err, EX_ENOTFOUND, "--url needs libcurl: %s", dlerror());
    curl_api api = {0};
    /* ISO C has no cast from an object pointer to a function pointer; POSIX promises the copy. */
#define CURL_API_FIND(name)                                                                        \
    void *name = dlsym(handle, "curl_" #name);                                                     \
    if (!name)                                                                                     \
        return ex_raise(err, EX_ENOTFOUND, "%s has no curl_%s: it is too old", library, #name);    \
    memcpy(&api.name, &name, sizeof(name));
    CURL_API_MAP(CURL_API_FIND)
#undef CURL_API_FIND
    if (api.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return ex_raise(err, EX_EINTERNAL, "libcurl does not start");
    *ret = api;
    return EX_OK;
}
