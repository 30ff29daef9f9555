/* test_rest_health.c: liveness, readiness, metrics and the OpenAPI route (R-07-17 to R-07-22). */
#include "support/api_server.h"

#include "model/openapi.h"
#include "store/describe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static api_server server;
static atomic_bool is_broken;

static ex_status check_database(void *ctx, ex_error *err)
{
    (void)ctx;
    return is_broken ? ex_raise(err, EX_ESTORAGE, "disk is gone") : EX_OK;
}

/* A server with a database check, whose results are not kept for long. */
static int setup(void **state)
{
    (void)state;
    ex_error err = {0};
    api_server_options o = {.in_memory = true, .api = {.version = "1.2.3", .commit = "abc"}};
    const ex_health_check check = {.name = "database", .run = check_database};
    atomic_store(&is_broken, false);
    api_server_start(&server, &o);
    assert_int_equal(ex_health_add(server.health, &check, &err), EX_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    api_server_stop(&server);
    return 0;
}

static void test_health_live_is_static(void **state)
{
    (void)state;
    api_answer a = api_call(&server, "GET", "/health/live", NULL, NULL);
    assert_int_equal(a.status, 200);
    assert_true(ex_slice_is(ex_buf_slice(&a.reply.body), "{\"status\":\"alive\"}"));
    api_answer_done(&a);
}

static void test_health_ready_names_checks(void **state)
{
    static const char *const paths[] = {"/health/ready", "/ready"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        api_answer a = api_call(&server, "GET", paths[i], NULL, NULL);
        assert_int_equal(a.status, 200);
        assert_string_equal(api_text(a.json, "status"), "healthy");
        assert_string_equal(api_text(json_object_get(a.json, "checks"), "database"), "ok");
        api_answer_done(&a);
    }
}

static void test_health_failing_check_is_503(void **state)
{
    (void)state;
    atomic_store(&is_broken, true);
    api_answer a = api_call(&server, "GET", "/health/ready", NULL, NULL);
    assert_int_equal(a.status, 503);
    assert_string_equal(api_text(a.json, "status"), "unhealthy");
    assert_int_equal(strncmp(api_text(json_object_get(a.json, "checks"), "database"), "error: ", 7),
                     0);
    api_answer_done(&a);
    api_expect(&server, "GET", "/health", NULL, NULL, 503);
    api_expect(&server, "GET", "/health/live", NULL, NULL, 200);
}

static void test_health_full(void **state)
{
    (void)state;
    api_answer a = api_call(&server, "GET", "/health", NULL, NULL);
    assert_int_equal(a.status, 200);
    assert_string_equal(api_text(a.json, "status"), "healthy");
    assert_string_equal(api_text(a.json, "version"), "1.2.3");
    assert_string_equal(api_text(a.json, "commit"), "abc");
    assert_true(api_int(a.json, "uptime_seconds") >= 0);
    int64_t us;
    assert_int_equal(ex_time_parse(ex_str(api_text(a.json, "timestamp")), &us, NULL), EX_OK);
    assert_string_equal(api_text(json_object_get(a.json, "checks"), "database"), "ok");
    api_answer_done(&a);
}

static void test_health_status(void **state)
{
    (void)state;
    api_answer a = api_call(&server, "GET", "/v1/status", NULL, NULL);
    assert_int_equal(a.status, 200);
    const json_t *about = json_object_get(a.json, "server"),
                 *store = json_object_get(a.json, "store");
    assert_string_equal(api_text(about, "version"), "1.2.3");
    assert_string_equal(api_text(about, "commit"), "abc");
    assert_true(api_int(about, "uptime_seconds") >= 0);
    assert_true(json_is_string(json_object_get(store, "engine")));
    assert_string_equal(api_text(store, "durability"), "none");
    assert_int_equal(api_int(store, "head"), (int64_t)ex_store_head(server.store));
    assert_true(json_is_array(json_object_get(a.json, "views"))); /* no application: empty */
    assert_int_equal(json_array_size(json_object_get(a.json, "views")), 0);
    api_answer_done(&a);
}

static atomic_llong clock_offset_us;

static int64_t shifted_now(void *ctx)
{
    (void)ctx;
    return ex_now_us(ex_clock_system()) + clock_offset_us;
}

static ex_status check_clock(void *ctx, ex_error *err)
{
    return ex_store_check_clock(ctx, err);
}

/* G-307 (issue 8, item 5) */
static void test_health_log_ahead_of_the_clock_is_degraded(void **state)
{
    (void)state;
    ex_clock clock = *ex_clock_system();
    clock.now_us = shifted_now;
    api_server s;
    api_server_start(&s, &(api_server_options){.in_memory = true, .store = {.clock = &clock}});
    const ex_health_check check = {
        .name = "clock", .run = check_clock, .ctx = s.store, .is_minor = true};
    atomic_store(&clock_offset_us, 3600000000LL);
    api_expect(&s, "POST", "/v1/streams/a-1", NULL, "{\"events\":[{\"type\":\"A\",\"data\":1}]}",
               201);
    atomic_store(&clock_offset_us, 0);
    assert_int_equal(ex_health_add(s.health, &check, NULL), EX_OK);
    api_answer a = api_call(&s, "GET", "/health/ready", NULL, NULL);
    assert_int_equal(a.status, 200);
    assert_string_equal(api_text(a.json, "status"), "degraded");
    assert_non_null(
        strstr(api_text(json_object_get(a.json, "checks"), "clock"), " s ahead of the clock"));
    api_answer_done(&a);
    a = api_call(&s, "GET", "/v1/status", NULL, NULL);
    assert_in_range(api_int(json_object_get(a.json, "store"), "clock_ahead_seconds"), 3300, 3600);
    api_answer_done(&a);
    api_server_stop(&s);
}

/* R-07-22 */
static void test_health_drain_is_unready_but_alive(void **state)
{
    (void)state;
    ex_health_drain(server.health);
    api_expect(&server, "GET", "/health/ready", NULL, NULL, 503);
    api_expect(&server, "GET", "/health/live", NULL, NULL, 200);
}

static void test_health_metrics(void **state)
{
    (void)state;
    api_expect(&server, "POST", "/v1/streams/a-1", NULL,
               "{\"events\":[{\"type\":\"A\",\"data\":1}]}", 201);
    api_answer a = api_call(&server, "GET", "/metrics", NULL, NULL);
    assert_int_equal(a.status, 200);
    assert_true(ex_slice_starts(http_reply_header(&a.reply, "content-type"),
                                EX_S("text/plain; version=0.0.4")));
    ex_buf_put_char(&a.reply.body, '\0');
    assert_non_null(strstr(a.reply.body.ptr, "excore_sse_connections 0\n"));
    assert_non_null(strstr(a.reply.body.ptr, "excore_api_jobs_waiting{pool=\"reader\"} 0\n"));
    assert_non_null(strstr(a.reply.body.ptr, "path=\"/v1/streams/{stream}\""));
    api_answer_done(&a);
}

/* Every route but the two that an application expands has its operation in the document. */
static void test_health_openapi_covers_the_routes(void **state)
{
    (void)state;
    api_expect(&server, "GET", "/openapi.json", NULL, NULL, 404);
    ex_buf out;
    ex_error err = {0};
    openapi_source source = {.version = "1.2.3"};
    api_routes(server.api, &source.routes, &source.route_count);
    ex_buf_init(&out, 0);
    openapi_write(&source, &out);
    assert_int_equal(api_set_openapi(server.api, ex_buf_slice(&out), &err), EX_OK);
    ex_buf_done(&out);
    api_answer a = api_call(&server, "GET", "/openapi.json", NULL, NULL);
    assert_int_equal(a.status, 200);
    json_t *path, *operation;
    const char *name, *method;
    size_t operations = 0;
    json_object_foreach(json_object_get(a.json, "paths"), name, path)
    {
        json_object_foreach(path, method, operation)
        {
            if (json_is_object(operation) && !json_object_get(operation, "operationId"))
                fail_msg("%s %s is not described", method, name);
            operations += json_is_object(operation);
        }
    }
    assert_int_equal(operations, source.route_count - 2);
    api_answer_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_health_live_is_static, setup, teardown),
        cmocka_unit_test_setup_teardown(test_health_ready_names_checks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_health_failing_check_is_503, setup, teardown),
        cmocka_unit_test_setup_teardown(test_health_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_health_status, setup, teardown),
        cmocka_unit_test(test_health_log_ahead_of_the_clock_is_degraded),
        cmocka_unit_test_setup_teardown(test_health_drain_is_unready_but_alive, setup, teardown),
        cmocka_unit_test_setup_teardown(test_health_metrics, setup, teardown),
        cmocka_unit_test_setup_teardown(test_health_openapi_covers_the_routes, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
