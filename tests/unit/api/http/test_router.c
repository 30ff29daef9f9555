/* test_router.c: which route a path finds, and which targets are refused. */
#include "api/http/router.h"
#include "api/http/uri.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void handler(http_exchange *x, void *ctx)
{
    (void)x;
    (void)ctx;
}

static const http_route routes[] = {
    {HTTP_GET_, "/", handler, NULL},
    {HTTP_GET_, "/health/live", handler, NULL},
    {HTTP_GET_, "/v1/events", handler, NULL},
    {HTTP_GET_, "/v1/streams/{stream}", handler, NULL},
    {HTTP_POST_, "/v1/streams/{stream}", handler, NULL},
    {HTTP_GET_, "/v1/{context}/{query}", handler, NULL},
    {HTTP_DELETE_, "/v1/{context}/special", handler, NULL},
    {HTTP_POST_, "/v1/{context}/{aggregate}/{id}/{command}", handler, NULL},
    {HTTP_HEAD_, "/own-head", handler, NULL},
    {HTTP_GET_, "/own-head", handler, NULL},
};
#define ROUTES (sizeof(routes) / sizeof(routes[0]))

static router *make(void)
{
    router *r = NULL;
    assert_int_equal(router_new(routes, ROUTES, &r, NULL), EX_OK);
    assert_int_equal(router_count(r), ROUTES);
    return r;
}

static void test_router_finds_the_most_literal_route(void **state)
{
    (void)state;
    static const struct {
        http_method method;
        const char *path;
        const char *pattern; /* NULL: none */
        const char *first;   /* raw value of the first parameter */
        const char *allow;   /* when there is none */
    } cases[] = {
        {HTTP_GET_, "/", "/", NULL, NULL},
        {HTTP_GET_, "/health/live", "/health/live", NULL, NULL},
        {HTTP_GET_, "/v1/events", "/v1/events", NULL, NULL},
        {HTTP_GET_, "/v1/streams/order-1", "/v1/streams/{stream}", "order-1", NULL},
        {HTTP_HEAD_, "/v1/streams/order-1", "/v1/streams/{stream}", "order-1", NULL},
        {HTTP_GET_, "/v1/str%65ams/a%2Fb", "/v1/streams/{stream}", "a%2Fb", NULL},
        {HTTP_GET_, "/v1/orders/open", "/v1/{context}/{query}", "orders", NULL},
        {HTTP_GET_, "/v1/orders/special", "/v1/{context}/{query}", "orders", NULL},
        {HTTP_DELETE_, "/v1/orders/special", "/v1/{context}/special", "orders", NULL},
        {HTTP_DELETE_, "/v1/streams/special", "/v1/{context}/special", "streams", NULL},
        {HTTP_POST_, "/v1/o/order/1/place", "/v1/{context}/{aggregate}/{id}/{command}", "o", NULL},
        {HTTP_POST_, "/v1/streams/order/1/place", "/v1/{context}/{aggregate}/{id}/{command}",
         "streams", NULL},
        {HTTP_HEAD_, "/own-head", "/own-head", NULL, NULL},
        {HTTP_PUT_, "/v1/events", NULL, NULL, "GET, HEAD, OPTIONS"},
        {HTTP_PUT_, "/v1/streams/x", NULL, NULL, "GET, HEAD, POST, OPTIONS"},
        {HTTP_OTHER_, "/v1/events", NULL, NULL, "GET, HEAD, OPTIONS"},
        {HTTP_GET_, "/v1/events/", NULL, NULL, NULL},
        {HTTP_GET_, "/v1//x", NULL, NULL, NULL},
        {HTTP_GET_, "//", NULL, NULL, NULL},
        {HTTP_GET_, "/nothing", NULL, NULL, NULL},
        {HTTP_GET_, "/V1/events", NULL, NULL, NULL},
        {HTTP_GET_, "*", NULL, NULL, NULL},
        {HTTP_GET_, "/1/2/3/4/5/6/7/8/9/10/1/2/3/4/5/6/7/8/9/20/1/2/3/4/5/6/7/8/9/30/1/2/3", NULL,
         NULL, NULL},
    };
    router *r = make();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        router_match m;
        router_find(r, cases[i].method, ex_str(cases[i].path), &m);
        if (!cases[i].pattern) {
            char text[64];
            assert_null(m.route);
            assert_int_equal(m.allowed != 0, cases[i].allow != NULL);
            if (m.allowed)
                assert_true(ex_slice_is(router_allow_text(m.allowed, text), cases[i].allow));
            continue;
        }
        assert_non_null(m.route);
        assert_string_equal(m.route->pattern, cases[i].pattern);
        if (cases[i].first)
            assert_true(ex_slice_is(m.params[0], cases[i].first));
    }
    router_free(r);
}

static void test_router_finds_head_by_its_own_route_first(void **state)
{
    (void)state;
    router *r = make();
    router_match m;
    router_find(r, HTTP_HEAD_, EX_S("/own-head"), &m);
    assert_int_equal(m.route->method, HTTP_HEAD_);
    router_find(r, HTTP_HEAD_, EX_S("/v1/events"), &m);
    assert_int_equal(m.route->method, HTTP_GET_);
    router_free(r);
}

static void test_router_refuses_bad_patterns(void **state)
{
    (void)state;
    static const char *const patterns[] = {
        "",
        "no-slash",
        "/{",
        "/{}",
        "/a{b}",
        "/{a}b",
        "/{a",
        "/{a}}",
        "/{{a}}",
        "/{a}{b}",
        "/{1}/{2}/{3}/{4}/{5}/{6}/{7}/{8}/{9}",
    };
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        router *r = NULL;
        http_route bad = {HTTP_GET_, patterns[i], handler, NULL};
        assert_int_equal(router_new(&bad, 1, &r, NULL), EX_EINVAL);
        assert_null(r);
    }
    router *r = NULL;
    http_route twice[] = {{HTTP_GET_, "/a/{x}", handler, NULL},
                          {HTTP_GET_, "/a/{y}", handler, NULL}};
    assert_int_equal(router_new(twice, 2, &r, NULL), EX_EINVAL);
}

static void test_uri_split_checks_the_target(void **state)
{
    (void)state;
    static const struct {
        const char *target;
        const char *path; /* NULL: refused */
        const char *query;
    } cases[] = {
        {"/", "/", ""},
        {"/a/b?c=d", "/a/b", "c=d"},
        {"/a?", "/a", ""},
        {"/a?b?c", "/a", "b?c"},
        {"/a?/../b", "/a", "/../b"},
        {"/a%20b", "/a%20b", ""},
        {"/...", "/...", ""},
        {"/.well-known/x", "/.well-known/x", ""},
        {"/a..b", "/a..b", ""},
        {"*", "*", ""},
        {"http://host/x?y", "/x", "y"},
        {"HTTP://HOST/x", "/x", ""},
        {"http://other/x", NULL, NULL},
        {"http://host", NULL, NULL},
        {"http://host:80/", NULL, NULL},
        {"http:///x", NULL, NULL},
        {"https://host/x", NULL, NULL},
        {"a/b", NULL, NULL},
        {"?a", NULL, NULL},
        {"/a#b", NULL, NULL},
        {"/a?b#c", NULL, NULL},
        {"/%", NULL, NULL},
        {"/%4", NULL, NULL},
        {"/%zz", NULL, NULL},
        {"/%00", NULL, NULL},
        {"/a?b=%00", NULL, NULL},
        {"/a?b=%g0", NULL, NULL},
        {"/a?b=%2", NULL, NULL},
        {"/.", NULL, NULL},
        {"/..", NULL, NULL},
        {"/a/../b", NULL, NULL},
        {"/a/./b", NULL, NULL},
        {"/a/..", NULL, NULL},
        {"/%2e%2E/b", NULL, NULL},
        {"/a/.%2e", NULL, NULL},
        {"/%2e", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_slice path, query;
        ex_status s = uri_split(ex_str(cases[i].target), EX_S("host"), &path, &query, NULL);
        if (s != (cases[i].path ? EX_OK : EX_EMALFORMED))
            fail_msg("%s: %s", cases[i].target, ex_status_code(s));
        if (s == EX_OK) {
            assert_true(ex_slice_is(path, cases[i].path));
            assert_true(ex_slice_is(query, cases[i].query));
        }
    }
}

static void test_uri_query_next_cuts_pairs(void **state)
{
    (void)state;
    static const char *const want[][2] = {
        {"a", "1"}, {"b", ""}, {"c", ""}, {"", "d"}, {"e", "f=g"}};
    ex_slice query = EX_S("a=1&&b=&c&=d&e=f=g&"), name, value;
    size_t at = 0, n = 0;
    for (; uri_query_next(query, &at, &name, &value); n++) {
        assert_true(n < 5);
        assert_true(ex_slice_is(name, want[n][0]));
        assert_true(ex_slice_is(value, want[n][1]));
    }
    assert_int_equal(n, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_router_finds_the_most_literal_route),
        cmocka_unit_test(test_router_finds_head_by_its_own_route_first),
        cmocka_unit_test(test_router_refuses_bad_patterns),
        cmocka_unit_test(test_uri_split_checks_the_target),
        cmocka_unit_test(test_uri_query_next_cuts_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
