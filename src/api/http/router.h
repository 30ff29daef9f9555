/* router.h: from method and path to a route.
 *
 * A tree of path segments, built at start and never changed. Literal segments
 * win over {parameters}, from the left; a path that has routes, but none for
 * the method, answers with the methods it has. Thread: any. */
#ifndef EXCORE_API_HTTP_ROUTER_H
#define EXCORE_API_HTTP_ROUTER_H

#include "api/http/http.h"

#define ROUTER_PARAMS_MAX   8
#define ROUTER_SEGMENTS_MAX 32
#define HTTP_METHODS        8 /* values of http_method */

typedef struct router router;

typedef struct route {
    http_method method;
    const char *pattern;
    http_handler *handler;
    void *ctx;
    http_trait trait;
    bool is_for_any_host;
    uint32_t index; /* 0 .. router_count - 1 */
    uint32_t param_count;
    ex_slice params[ROUTER_PARAMS_MAX]; /* names, in path order */
} route;

typedef struct router_match {
    const route *route; /* NULL: none for this path and method */
    uint32_t allowed;   /* bit (1 << method) of each route of the path; 0: unknown path */
    ex_slice params[ROUTER_PARAMS_MAX]; /* values, not decoded */
} router_match;

/** @return EX_OK, EX_EINVAL (a bad or repeated pattern, which err names), EX_ENOMEM */
EX_NODISCARD ex_status router_new(const http_route *routes, size_t count, router **ret,
                                  ex_error *err);
void router_free(router *r);
size_t router_count(const router *r);
/** `path` has been checked by uri_split. HEAD finds GET routes. */
void router_find(const router *r, http_method method, ex_slice path, router_match *ret);
/** "GET, HEAD, OPTIONS" for a set of methods, into `out`. */
ex_slice router_allow_text(uint32_t allowed, char out[64]);

#endif
