/* router.c: a tree of path segments. */
#include "api/http/router.h"

#include "api/http/uri.h"

#include <stdlib.h>

#define LITERAL_MAX 255

typedef struct node {
    ex_slice literal;
    struct node *next;     /* sibling literal */
    struct node *literals; /* children */
    struct node *param;    /* the child for any other segment */
    const route *routes[HTTP_METHODS];
} node;

struct router {
    ex_arena arena; /* all nodes and routes */
    node root;
    size_t count;
};

typedef struct path_segments {
    ex_slice at[ROUTER_SEGMENTS_MAX];
    size_t count;
} path_segments;

static bool split(ex_slice path, path_segments *ret)
{
    ret->count = 0;
    if (path.len == 0 || path.ptr[0] != '/')
        return false;
    const char *end = path.ptr + path.len;
    for (const char *p = path.ptr + 1; p <= end;) {
        const char *slash = memchr(p, '/', (size_t)(end - p));
        const char *stop = slash ? slash : end;
        if (ret->count == ROUTER_SEGMENTS_MAX)
            return false;
        ret->at[ret->count++] = ex_slice_of(p, (size_t)(stop - p));
        p = stop + 1;
    }
    return true;
}

/* ---- Building ---- */

static node *literal_child(router *r, node *parent, ex_slice text)
{
    for (node *n = parent->literals; n; n = n->next)
        if (ex_slice_eq(n->literal, text))
            return n;
    node *n = ex_arena_zalloc(&r->arena, sizeof(*n));
    if (!n)
        return NULL;
    n->literal = text;
    n->next = parent->literals;
    parent->literals = n;
    return n;
}

static ex_status add_segment(router *r, node **at, route *rt, ex_slice segment, ex_error *err)
{
    bool has_brace = segment.len && (memchr(segment.ptr, '{', segment.len) ||
                                     memchr(segment.ptr, '}', segment.len));
    bool is_param = segment.len > 2 && segment.ptr[0] == '{' &&
                    memchr(segment.ptr, '}', segment.len) == segment.ptr + segment.len - 1 &&
                    !memchr(segment.ptr + 1, '{', segment.len - 1);
    if (has_brace != is_param || segment.len > LITERAL_MAX)
        return ex_raise(err, EX_EINVAL, "bad segment in route \"%s\"", rt->pattern);
    if (!is_param) {
        *at = literal_child(r, *at, segment);
        return *at ? EX_OK : ex_raise(err, EX_ENOMEM, "routes");
    }
    if (rt->param_count == ROUTER_PARAMS_MAX)
        return ex_raise(err, EX_EINVAL, "too many parameters in route \"%s\"", rt->pattern);
    rt->params[rt->param_count++] = ex_slice_of(segment.ptr + 1, segment.len - 2);
    if (!(*at)->param)
        (*at)->param = ex_arena_zalloc(&r->arena, sizeof(node));
    *at = (*at)->param;
    return *at ? EX_OK : ex_raise(err, EX_ENOMEM, "routes");
}

static ex_status add_route(router *r, const http_route *source, ex_error *err)
{
    route *rt = ex_arena_zalloc(&r->arena, sizeof(*rt));
    if (!rt)
        return ex_raise(err, EX_ENOMEM, "routes");
    rt->method = source->method;
    rt->pattern = source->pattern;
    rt->handler = source->handler;
    rt->ctx = source->ctx;
    rt->trait = source->trait;
    rt->is_for_any_host = source->is_for_any_host;
    path_segments segments;
    if (!source->pattern || !source->handler || (unsigned)source->method >= HTTP_METHODS ||
        !split(ex_str(source->pattern), &segments))
        return ex_raise(err, EX_EINVAL, "bad route \"%s\"", source->pattern ? source->pattern : "");
    node *at = &r->root;
    for (size_t i = 0; i < segments.count; i++) {
        ex_status s = add_segment(r, &at, rt, segments.at[i], err);
        if (s)
            return s;
    }
    if (at->routes[rt->method])
        return ex_raise(err, EX_EINVAL, "route \"%s\" collides with \"%s\"", rt->pattern,
                        at->routes[rt->method]->pattern);
    rt->index = (uint32_t)r->count++;
    at->routes[rt->method] = rt;
    return EX_OK;
}

ex_status router_new(const http_route *routes, size_t count, router **ret, ex_error *err)
{
    router *r = calloc(1, sizeof(*r));
    if (!r)
        return ex_raise(err, EX_ENOMEM, "routes");
    ex_arena_init(&r->arena, 0);
    for (size_t i = 0; i < count; i++) {
        ex_status s = add_route(r, &routes[i], err);
        if (s) {
            router_free(r);
            return s;
        }
    }
    *ret = r;
    return EX_OK;
}

void router_free(router *r)
{
    if (!r)
        return;
    ex_arena_done(&r->arena);
    free(r);
}

size_t router_count(const router *r)
{
    return r->count;
}

/* ---- Finding ---- */

/* "str%65ams" is "streams": an escape may stand for any character of a literal. */
static bool literal_is(const node *n, ex_slice segment)
{
    if (segment.len == 0 || !memchr(segment.ptr, '%', segment.len))
        return ex_slice_eq(n->literal, segment);
    char text[3 * LITERAL_MAX];
    size_t len = 0;
    return segment.len <= sizeof(text) && uri_decode(segment, false, text, &len) &&
           ex_slice_eq(n->literal, ex_slice_of(text, len));
}

static const route *route_of(const node *n, http_method method, uint32_t *allowed)
{
    for (int m = 0; m < HTTP_METHODS; m++)
        if (n->routes[m])
            *allowed |= 1u << m;
    if (method == HTTP_HEAD_ && !n->routes[method])
        method = HTTP_GET_;
    return n->routes[method];
}

/* Depth-first, literal before parameter; visits each node of a level at most once. */
static const route *search(const node *n, const path_segments *segments, size_t depth,
                           size_t params, http_method method, router_match *match)
{
    if (depth == segments->count)
        return route_of(n, method, &match->allowed);
    ex_slice segment = segments->at[depth];
    for (const node *child = n->literals; child; child = child->next) {
        if (!literal_is(child, segment))
            continue;
        const route *found = search(child, segments, depth + 1, params, method, match);
        if (found)
            return found;
        break;
    }
    if (!n->param || segment.len == 0)
        return NULL;
    match->params[params] = segment;
    return search(n->param, segments, depth + 1, params + 1, method, match);
}

void router_find(const router *r, http_method method, ex_slice path, router_match *ret)
{
    memset(ret, 0, sizeof(*ret));
    path_segments segments;
    if (split(path, &segments))
        ret->route = search(&r->root, &segments, 0, 0, method, ret);
}

ex_slice router_allow_text(uint32_t allowed, char out[64])
{
    static const char *const names[HTTP_METHODS] = {"GET",   "HEAD",   "POST",    "PUT",
                                                    "PATCH", "DELETE", "OPTIONS", NULL};
    if (allowed & (1u << HTTP_GET_))
        allowed |= 1u << HTTP_HEAD_;
    allowed |= 1u << HTTP_OPTIONS_;
    size_t n = 0;
    for (int m = 0; m < HTTP_METHODS; m++) {
        if (!(allowed & (1u << m)) || !names[m])
            continue;
        if (n) {
            memcpy(out + n, ", ", 2);
            n += 2;
        }
        memcpy(out + n, names[m], strlen(names[m]));
        n += strlen(names[m]);
    }
    return ex_slice_of(out, n);
}
