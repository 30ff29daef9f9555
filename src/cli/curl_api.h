/* curl_api.h: libcurl, loaded when a verb is given --url.
 *
 * Linked in, libcurl and the thirty libraries behind it (LDAP, Kerberos, SSH, …)
 * would come with every server and every program that embeds ExCore: 6 MB more of
 * resident memory, measured, for code that neither runs. */
#ifndef EXCORE_CLI_CURL_API_H
#define EXCORE_CLI_CURL_API_H

#include <excore/error.h>

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#define CURL_API_MAP(X)                                                                            \
    X(global_init)                                                                                 \
    X(easy_init)                                                                                   \
    X(easy_cleanup)                                                                                \
    X(easy_reset)                                                                                  \
    X(easy_setopt)                                                                                 \
    X(easy_getinfo)                                                                                \
    X(easy_strerror)                                                                               \
    X(slist_append)                                                                                \
    X(slist_free_all)                                                                              \
    X(multi_init)                                                                                  \
    X(multi_cleanup)                                                                               \
    X(multi_add_handle)                                                                            \
    X(multi_remove_handle)                                                                         \
    X(multi_perform)                                                                               \
    X(multi_poll)                                                                                  \
    X(multi_wakeup)                                                                                \
    X(multi_info_read)

typedef struct curl_api {
#define CURL_API_FIELD(name) __typeof__(curl_##name) *name;
    CURL_API_MAP(CURL_API_FIELD)
#undef CURL_API_FIELD
} curl_api;

/** Load and initialise it; it stays loaded. @return EX_OK, EX_ENOTFOUND (not installed, too old) */
EX_NODISCARD ex_status curl_api_load(curl_api *ret, ex_error *err);

#endif
