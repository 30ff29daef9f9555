/* test_event_check.c: an event must fit every type under which the application reads it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/event_check.h"

typedef struct small {
    int64_t n;
} small;
EX_TYPE(small, "Counted", EX_FIELD(small, n, .min = 1, .max = 10));

typedef struct large {
    int64_t n;
} large;
EX_TYPE(large, "Counted", EX_FIELD(large, n, .min = 5, .max = 1000));

typedef struct seen {
    ex_slice by;
} seen;
EX_TYPE(seen, "Seen", EX_FIELD(seen, by, .min_len = 1));

typedef struct kept {
    ex_slice box_id;
} kept;
EX_TYPE_V(kept, "Kept", 3, EX_KEY(kept, box_id));

static const ex_event_def small_events[] = {{&small_type, NULL}, {&kept_type, NULL}};
static const ex_event_def large_events[] = {{&large_type, NULL}};
static const ex_when_def shown_events[] = {{&seen_type, NULL}};
static const ex_when_def strict_events[] = {{&small_type, NULL}};
static const ex_aggregate box = {
    .name = "box", .events = small_events, .event_count = 2, EX_IGNORES("Looked", "Shaken")};
static const ex_aggregate crate = {.name = "crate", .events = large_events, .event_count = 1};
static const ex_view_def shown = {.name = "shown", .events = shown_events, .event_count = 1};
static const ex_view_def strict = {.name = "strict", .events = strict_events, .event_count = 1};

static const ex_context stores = {.name = "stores", EX_AGGREGATES(&box, &crate), EX_VIEWS(&shown)};
static const ex_context reports = {.name = "reports", EX_VIEWS(&strict)};
static const ex_context *const both[] = {&stores, &reports};

/* issue 8, item 7; G-704 */
static void test_event_check_asks_every_reader_of_the_event(void **state)
{
    (void)state;
    static const struct {
        const char *name, *stream, *type, *data;
        bool has_strict_view; /* a view in another context, with the small type */
        const char *want;     /* in the message; NULL: fits */
        const char *field;    /* NULL: any */
        uint32_t version;
    } cases[] = {
        {"fits its aggregate", "box-1", "Counted", "{\"n\":3}", false, NULL},
        {"does not", "box-1", "Counted", "{\"n\":11}", false, "aggregate 'box'"},
        {"the other aggregate has the same name for another type", "crate-1", "Counted",
         "{\"n\":11}", false, NULL},
        {"and its own bounds", "crate-1", "Counted", "{\"n\":3}", false, "aggregate 'crate'"},
        {"of no aggregate", "shelf-1", "Counted", "{\"n\":0}", false, NULL},
        {"a stream without dash", "box", "Counted", "{\"n\":0}", false, NULL},
        {"a view reads all streams", "shelf-1", "Counted", "{\"n\":0}", true, "view 'strict'"},
        {"fits the aggregate, not the view", "crate-1", "Counted", "{\"n\":11}", true,
         "view 'strict'"},
        {"fits both", "crate-1", "Counted", "{\"n\":7}", true, NULL},
        {"a view only", "shelf-1", "Seen", "{\"by\":\"\"}", false, "view 'shown'"},
        {"a type that nobody reads", "shelf-1", "Other", "not even JSON", false, NULL},
        {"no JSON", "box-1", "Counted", "{\"n\":", false, "aggregate 'box'"},
        {"a member that is not described", "box-1", "Counted", "{\"n\":1,\"m\":2}", false, NULL},
        {"a type that the aggregate lacks", "box-1", "Renamed", "{}", false, "aggregate 'box'",
         "type"},
        {"a view's type in the aggregate's stream", "crate-1", "Seen", "{\"by\":\"x\"}", false,
         "aggregate 'crate'", "type"},
        {"an ignored type", "box-1", "Shaken", "not even JSON", false, NULL, NULL, 7},
        {"ignored by the other aggregate only", "crate-1", "Shaken", "{}", false,
         "aggregate 'crate'", "type"},
        {"no version is 1", "box-1", "Counted", "{\"n\":1}", false, NULL, NULL, 0},
        {"a newer version", "box-1", "Counted", "{\"n\":1}", false, "version 2, and version 1",
         "schema_version", 2},
        {"an older version", "box-1", "Kept", "{\"box_id\":\"1\"}", false,
         "version 1, and version 3", "schema_version"},
        {"its version", "box-1", "Kept", "{\"box_id\":\"1\"}", false, NULL, NULL, 3},
        {"another box's key", "box-1", "Kept", "{\"box_id\":\"2\"}", false, "is not the id",
         "data.box_id", 3},
        {"a key with a dash", "box-1-2", "Kept", "{\"box_id\":\"1-2\"}", false, NULL, NULL, 3},
        {"a newer version for a view", "shelf-1", "Seen", "{\"by\":\"x\"}", false, "view 'shown'",
         "schema_version", 2},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_app app = {EX_APP_ABI, "test", both, cases[i].has_strict_view ? 2 : 1};
        event_check *check = NULL;
        ex_error err = {0};
        assert_int_equal(event_check_new(&app, &check, &err), EX_OK);
        ex_new_event event = {.type = ex_str(cases[i].type),
                              .data = ex_str(cases[i].data),
                              .schema_version = cases[i].version};
        ex_status st = event_check_run(check, ex_str(cases[i].stream), &event, &err);
        if ((st == EX_OK) != !cases[i].want ||
            (cases[i].field && strcmp(err.field, cases[i].field) != 0) ||
            (cases[i].want && (!strstr(err.message, cases[i].want) || err.http_status != 422 ||
                               strcmp(err.code, "EVENT_DOES_NOT_FIT") != 0)))
            fail_msg("%s: %s %s", cases[i].name, ex_status_code(st), err.message);
        event_check_free(check);
    }
}

static void test_event_check_of_an_application_without_events(void **state)
{
    (void)state;
    static const ex_context empty = {.name = "empty"};
    static const ex_context *const contexts[] = {&empty};
    ex_app app = {EX_APP_ABI, "test", contexts, 1};
    event_check *check = NULL;
    assert_int_equal(event_check_new(&app, &check, NULL), EX_OK);
    ex_new_event event = {.type = EX_S("T"), .data = EX_S("{}")};
    assert_int_equal(event_check_run(check, EX_S("a-1"), &event, NULL), EX_OK);
    event_check_free(check);
    event_check_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_event_check_asks_every_reader_of_the_event),
        cmocka_unit_test(test_event_check_of_an_application_without_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
