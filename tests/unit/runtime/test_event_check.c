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

static const ex_event_def small_events[] = {{&small_type, NULL}};
static const ex_event_def large_events[] = {{&large_type, NULL}};
static const ex_when_def shown_events[] = {{&seen_type, NULL}};
static const ex_when_def strict_events[] = {{&small_type, NULL}};
static const ex_aggregate box = {.name = "box", .events = small_events, .event_count = 1};
static const ex_aggregate crate = {.name = "crate", .events = large_events, .event_count = 1};
static const ex_view_def shown = {.name = "shown", .events = shown_events, .event_count = 1};
static const ex_view_def strict = {.name = "strict", .events = strict_events, .event_count = 1};

static const ex_context stores = {.name = "stores", EX_AGGREGATES(&box, &crate), EX_VIEWS(&shown)};
static const ex_context reports = {.name = "reports", EX_VIEWS(&strict)};
static const ex_context *const both[] = {&stores, &reports};

static void test_event_check_asks_every_reader_of_the_event(void **state)
{
    (void)state;
    static const struct {
        const char *name, *stream, *type, *data;
        bool has_strict_view; /* a view in another context, with the small type */
        const char *want;     /* in the message; NULL: fits */
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
        {"a view only", "box-1", "Seen", "{\"by\":\"\"}", false, "view 'shown'"},
        {"a type that nobody reads", "box-1", "Other", "not even JSON", false, NULL},
        {"no JSON", "box-1", "Counted", "{\"n\":", false, "aggregate 'box'"},
        {"a member that is not described", "box-1", "Counted", "{\"n\":1,\"m\":2}", false, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_app app = {EX_APP_ABI, "test", both, cases[i].has_strict_view ? 2 : 1};
        event_check *check = NULL;
        ex_error err = {0};
        assert_int_equal(event_check_new(&app, &check, &err), EX_OK);
        ex_status st = event_check_run(check, ex_str(cases[i].stream), ex_str(cases[i].type),
                                       ex_str(cases[i].data), &err);
        if ((st == EX_OK) != !cases[i].want ||
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
    assert_int_equal(event_check_run(check, EX_S("a-1"), EX_S("T"), EX_S("{}"), NULL), EX_OK);
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
