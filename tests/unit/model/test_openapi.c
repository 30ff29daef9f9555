/* test_openapi.c: the document is JSON, names every route, and every reference leads somewhere
 * (R-06-07). */
#include "model/openapi.h"

#include "model/openapi_text.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const http_route routes[] = {
    {HTTP_POST_, "/v1/streams/{stream}", NULL, NULL},
    {HTTP_GET_, "/v1/streams/{stream}", NULL, NULL},
    {HTTP_POST_, "/v1/append", NULL, NULL},
    {HTTP_GET_, "/v1/events", NULL, NULL},
    {HTTP_GET_, "/health/live", NULL, NULL},
    {HTTP_GET_, "/openapi.json", NULL, NULL},
    {HTTP_GET_, "/unheard-of/{a}/{b}", NULL, NULL},
    {HTTP_POST_, "/v1/{context}/{aggregate}/{id}/{command}", NULL, NULL},
    {HTTP_GET_, "/v1/{context}/{query}", NULL, NULL},
};

typedef struct line {
    ex_slice product;
    int64_t quantity;
} line;
EX_TYPE(line, "Line", EX_FIELD(line, product, .min_len = 1), EX_FIELD(line, quantity, .min = 1));

typedef struct place {
    ex_slice order_id;
    EX_LIST(line) lines;
} place;
EX_TYPE(place, "Place", EX_KEY(place, order_id), EX_LIST_OF(place, lines, line));

typedef struct find {
    ex_slice customer;
    ex_opt_i64 above;
} find;
EX_TYPE(find, "Find", EX_FIELD(find, customer), EX_FIELD(find, above));

static const ex_command_def commands[] = {{"place", &place_type, NULL}};
static const ex_aggregate order = {
    .name = "order", .state = &place_type, .commands = commands, .command_count = 1};
static const ex_view_def view = {.name = "orders", .version = 1};
static const ex_query_def queries[] = {
    {.name = "open-orders",
     .view = &view,
     .kind = EX_QUERY_PAGE,
     .params = &find_type,
     .row = &place_type},
    {.name = "order-list", .view = &view, .kind = EX_QUERY_LIST, .row = &place_type},
    {.name = "order-by-id", .view = &view, .kind = EX_QUERY_SINGLE, .row = &place_type},
    {.name = "order-count", .view = &view, .kind = EX_QUERY_COUNT},
};
static const ex_aggregate *const aggregates[] = {&order};
static const ex_query_def *const query_list[] = {&queries[0], &queries[1], &queries[2],
                                                 &queries[3]};
static const ex_context shop = {.name = "shop",
                                .aggregates = aggregates,
                                .aggregate_count = 1,
                                .queries = query_list,
                                .query_count = 4};
static const ex_context *const contexts[] = {&shop};
static const ex_app app = {EX_APP_ABI, "shop", contexts, 1};

static json_t *load(const ex_app *a)
{
    ex_buf out;
    json_error_t error;
    openapi_source source = {routes, sizeof(routes) / sizeof(routes[0]), a, "1.2.3"};
    ex_buf_init(&out, 0);
    openapi_write(&source, &out);
    assert_int_equal(ex_buf_status(&out), EX_OK);
    json_t *tree = json_loadb(out.ptr, out.len, JSON_REJECT_DUPLICATES, &error);
    if (!tree)
        fail_msg("%s at %d: %.60s", error.text, error.position, out.ptr + error.position);
    ex_buf_done(&out);
    return tree;
}

static json_t *resolve(json_t *root, const char *ref)
{
    char path[256];
    assert_int_equal(strncmp(ref, "#/", 2), 0);
    assert_true(strlen(ref) < sizeof(path));
    strcpy(path, ref + 2);
    for (char *part = strtok(path, "/"); part && root; part = strtok(NULL, "/"))
        root = json_object_get(root, part);
    return root;
}

static void check_refs(json_t *root, json_t *node)
{
    const char *key;
    json_t *value;
    size_t i;
    json_object_foreach(node, key, value)
    {
        if (strcmp(key, "$ref") == 0 && !resolve(root, json_string_value(value)))
            fail_msg("%s leads nowhere", json_string_value(value));
        check_refs(root, value);
    }
    if (json_is_array(node))
        json_array_foreach(node, i, value) check_refs(root, value);
}

static void test_openapi_without_application(void **state)
{
    (void)state;
    json_t *tree = load(NULL);
    json_t *paths = json_object_get(tree, "paths");
    check_refs(tree, tree);
    assert_string_equal(json_string_value(json_object_get(tree, "openapi")), "3.1.0");
    assert_int_equal(json_object_size(paths),
                     6); /* one path has two methods, two patterns are expanded */
    json_t *stream = json_object_get(paths, "/v1/streams/{stream}");
    assert_non_null(json_object_get(stream, "get"));
    assert_non_null(json_object_get(stream, "post"));
    json_t *param = json_array_get(json_object_get(stream, "parameters"), 0);
    assert_string_equal(json_string_value(json_object_get(param, "name")), "stream");
    assert_true(json_is_true(json_object_get(param, "required")));
    assert_int_equal(json_array_size(json_object_get(json_object_get(paths, "/unheard-of/{a}/{b}"),
                                                     "parameters")),
                     2);
    json_decref(tree);
}

static void test_openapi_with_application(void **state)
{
    (void)state;
    json_t *tree = load(&app);
    json_t *paths = json_object_get(tree, "paths");
    check_refs(tree, tree);
    json_t *place_op = json_object_get(json_object_get(paths, "/v1/shop/order/{id}/place"), "post");
    assert_string_equal(json_string_value(json_object_get(place_op, "operationId")),
                        "shop_order_place");
    json_t *schemas = json_object_get(json_object_get(tree, "components"), "schemas");
    assert_non_null(json_object_get(schemas, "Place"));
    assert_non_null(json_object_get(schemas, "Line"));
    json_t *find_op = json_object_get(json_object_get(paths, "/v1/shop/open-orders"), "get");
    json_t *params = json_object_get(find_op, "parameters");
    /* min_position, consistency, If-None-Match, limit, cursor, customer, above */
    assert_int_equal(json_array_size(params), 7);
    assert_true(json_is_true(json_object_get(json_array_get(params, 5), "required")));
    assert_true(json_is_false(json_object_get(json_array_get(params, 6), "required")));
    assert_non_null(json_object_get(json_object_get(paths, "/v1/shop/order-count"), "get"));
    json_decref(tree);
}

/* Issue 9, item 11; tests/repo/test_openapi.sh has a validator. (G-908) */
static void test_openapi_tells_what_an_answer_has(void **state)
{
    (void)state;
    json_t *tree = load(&app), *paths = json_object_get(tree, "paths");
    json_t *server = json_array_get(json_object_get(tree, "servers"), 0);
    assert_string_equal(json_string_value(json_object_get(server, "url")), "/");
    json_t *command = json_object_get(json_object_get(paths, "/v1/shop/order/{id}/place"), "post");
    static const char *const statuses[] = {"400", "403", "409", "413", "415", "421", "422", "503"};
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
        assert_non_null(json_object_get(json_object_get(command, "responses"), statuses[i]));
    json_t *known = resolve(tree, "#/components/schemas/KnownEvent/anyOf");
    assert_int_equal(json_array_size(known), 1); /* the aggregate has no event: nothing is known */
    json_t *count = resolve(tree, "#/paths");
    count = json_object_get(json_object_get(count, "/v1/shop/order-count"), "get");
    count = json_object_get(json_object_get(json_object_get(count, "responses"), "200"), "content");
    count = json_object_get(json_object_get(count, "application/json"), "schema");
    assert_int_equal(json_array_size(json_object_get(count, "required")), 2);
    json_decref(tree);
}

static void test_openapi_operation_ids_are_unique(void **state)
{
    (void)state;
    json_t *tree = load(&app), *seen = json_object(), *path, *operation;
    const char *name, *method;
    json_object_foreach(json_object_get(tree, "paths"), name, path)
    {
        json_object_foreach(path, method, operation)
        {
            json_t *id = json_object_get(operation, "operationId");
            if (!id)
                continue;
            assert_null(json_object_get(seen, json_string_value(id)));
            json_object_set(seen, json_string_value(id), json_true());
        }
    }
    assert_true(json_object_size(seen) > 8);
    json_decref(seen);
    json_decref(tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_openapi_without_application),
        cmocka_unit_test(test_openapi_with_application),
        cmocka_unit_test(test_openapi_tells_what_an_answer_has),
        cmocka_unit_test(test_openapi_operation_ids_are_unique),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
