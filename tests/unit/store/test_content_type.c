/* test_content_type.c: which content types are JSON. */
#include "store/content_type.h"

#include <excore/store.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_content_type_is_json(void **state)
{
    static const struct {
        const char *type;
        bool is_json;
    } cases[] = {
        {"application/json", true},
        {"Application/JSON", true},
        {"application/json; charset=utf-8", true},
        {"application/json ;x", true},
        {"application/problem+json", true},
        {"text/json", true},
        {"application/jsonx", false},
        {"text/plain", false},
        {"+json", false},
        {"", false},
        {"application/xml;a=+json", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (ex_content_is_json(ex_str(cases[i].type)) != cases[i].is_json)
            fail_msg("%s", cases[i].type);
}

/* What readers embed as JSON is JSON, whatever its type is called. */
static void test_content_type_json_is_checked_at_append(void **state)
{
    static const struct {
        const char *type, *data;
        ex_status want;
    } cases[] = {
        {"application/json", "{", EX_EMALFORMED},
        {"application/vnd.order+json", "{", EX_EMALFORMED},
        {"application/vnd.order+json; v=1", "{}", EX_OK},
        {"text/json", "[1,]", EX_EMALFORMED},
        {"text/plain", "{", EX_OK},
    };
    (void)state;
    ex_store *store = NULL;
    ex_store_options options = {.in_memory = true};
    assert_int_equal(ex_store_open(NULL, &options, &store, NULL), EX_OK);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_new_event e = {.type = EX_S("T"),
                          .data = ex_str(cases[i].data),
                          .content_type = ex_str(cases[i].type)};
        ex_stream_write w = {.stream = EX_S("s-1"), .events = &e, .event_count = 1};
        ex_append append = {.writes = &w, .write_count = 1};
        if (ex_store_append(store, &append, NULL, NULL) != cases[i].want)
            fail_msg("%s %s", cases[i].type, cases[i].data);
    }
    ex_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_content_type_is_json),
        cmocka_unit_test(test_content_type_json_is_checked_at_append),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
