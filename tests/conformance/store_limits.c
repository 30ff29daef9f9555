/* store_limits.c: sizes and counts at and over their limits. R-ES-08, R-FN-06 (adapted). */
#include "conformance/store_suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A JSON string of exactly `size` bytes. */
static ex_slice json_of(size_t size)
{
    char *text = malloc(size);
    assert_non_null(text);
    memset(text, 'x', size);
    text[0] = text[size - 1] = '"';
    return ex_slice_of(text, size);
}

static void test_limits_of_an_events_size(void **state)
{
    suite *s = *state;
    const size_t limit = 1 << 20;
    ex_slice data = json_of(limit + 1);
    ex_new_event event = {.type = EX_S("T"), .data = data};
    ex_error err = {0};
    assert_int_equal(suite_append(s, "a", EX_ANY, &event, 1, NULL, &err), EX_ETOOLARGE);
    assert_string_equal(err.code, "PAYLOAD_TOO_LARGE");
    free((void *)(uintptr_t)data.ptr);
    data = json_of(limit);
    event.data = data;
    event.metadata = EX_S("{}");
    assert_int_equal(suite_append(s, "a", EX_ANY, &event, 1, NULL, NULL), EX_ETOOLARGE);
    event.metadata = EX_S("");
    assert_int_equal(suite_append(s, "a", EX_ANY, &event, 1, NULL, NULL), EX_OK);
    ex_cursor *c = NULL;
    ex_event e;
    assert_int_equal(ex_store_read_log(s->store, &(ex_read_log){0}, &c, NULL), EX_OK);
    assert_int_equal(ex_cursor_next(c, &e, NULL), EX_OK);
    assert_true(ex_slice_eq(e.data, data));
    ex_cursor_close(c);
    free((void *)(uintptr_t)data.ptr);
}

/* Issue 9, item 15. (G-911) */
static void test_limits_of_an_appends_events(void **state)
{
    suite *s = *state;
    enum { MOST = 10000 };
    ex_new_event *events = calloc(MOST + 1, sizeof(*events));
    assert_non_null(events);
    for (int i = 0; i <= MOST; i++) {
        events[i] = EVENT("T", "{}");
        assert_int_equal(ex_id_new(&events[i].id, NULL), EX_OK);
    }
    ex_error err = {0};
    assert_int_equal(suite_append(s, "a", EX_ANY, events, MOST + 1, NULL, &err), EX_ETOOLARGE);
    assert_string_equal(err.field, "writes[0].events");
    ex_id last = events[MOST - 1].id;
    events[MOST - 1].id = events[1].id; /* twins far apart are found */
    assert_int_equal(suite_append(s, "a", EX_ANY, events, MOST, NULL, &err), EX_EINVAL);
    assert_string_equal(err.code, "DUPLICATE_EVENT_ID");
    assert_string_equal(err.field, "writes[0].events[9999].id");
    events[MOST - 1].id = last;
    assert_int_equal(ex_store_head(s->store), 0);
    assert_int_equal(suite_append(s, "a", EX_ANY, events, MOST, NULL, NULL), EX_OK);
    ex_stream_write writes[] = {{EX_S("b"), EX_ANY, events, 6000},
                                {EX_S("c"), EX_ANY, events, 4001}};
    ex_append append = {.writes = writes, .write_count = 2};
    assert_int_equal(ex_store_append(s->store, &append, NULL, NULL), EX_ETOOLARGE);
    writes[1].event_count = 4000;
    assert_int_equal(ex_store_append(s->store, &append, NULL, NULL), EX_OK);
    assert_int_equal(ex_store_head(s->store), 2 * MOST);
    free(events);
}

static void test_limits_of_an_appends_streams(void **state)
{
    suite *s = *state;
    enum { STREAMS = 1000 };
    static char names[STREAMS][16];
    static ex_stream_write writes[STREAMS];
    const ex_new_event event = EVENT("T", "{}");
    for (int i = 0; i < STREAMS; i++) {
        int n = snprintf(names[i], sizeof(names[i]), "s-%d", i);
        writes[i] = (ex_stream_write){ex_slice_of(names[i], (size_t)n), EX_ANY, &event, 1};
    }
    ex_append append = {.writes = writes, .write_count = STREAMS};
    writes[STREAMS - 1].stream = writes[3].stream;
    ex_error err = {0};
    assert_int_equal(ex_store_append(s->store, &append, NULL, &err), EX_EINVAL);
    assert_string_equal(err.field, "writes[999].stream");
    writes[STREAMS - 1].stream = EX_S("other");
    assert_int_equal(ex_store_append(s->store, &append, NULL, NULL), EX_OK);
    assert_int_equal(ex_store_head(s->store), STREAMS);
}

static void test_limits_come_from_the_options(void **state)
{
    suite *s = *state;
    ex_store_options options = {.events_per_append = 2, .event_limit_bytes = 10};
    suite_reopen(s, &options);
    ex_new_event events[3] = {EVENT("T", "12345678"), EVENT("T", "1"), EVENT("T", "1")};
    assert_int_equal(suite_append(s, "a", EX_ANY, events, 3, NULL, NULL), EX_ETOOLARGE);
    events[0].metadata = EX_S("{}");
    assert_int_equal(suite_append(s, "a", EX_ANY, events, 2, NULL, NULL), EX_OK);
    events[0].metadata = EX_S("{ }");
    assert_int_equal(suite_append(s, "a", EX_ANY, events, 2, NULL, NULL), EX_ETOOLARGE);
}

static void test_limits_of_schema_versions(void **state)
{
    suite *s = *state;
    ex_new_event event = EVENT("T", "1", .schema_version = 2147483647);
    assert_int_equal(suite_append(s, "a", EX_ANY, &event, 1, NULL, NULL), EX_OK);
    event.schema_version++;
    assert_int_equal(suite_append(s, "a", EX_ANY, &event, 1, NULL, NULL), EX_EINVAL);
}

/* More than one statement or transaction takes: it is spread, and nothing is lost. */
static void test_limits_of_a_batchs_bytes_lose_nothing(void **state)
{
    suite *s = *state;
    static ex_new_event events[40];
    ex_slice data = json_of(1 << 20);
    for (int i = 0; i < 40; i++)
        events[i] = (ex_new_event){.type = EX_S("T"), .data = data};
    ex_appended out = {0};
    assert_int_equal(suite_append(s, "a", EX_ANY, events, 40, &out, NULL), EX_OK);
    assert_int_equal(out.position, 40);
    ex_cursor *cursor = NULL;
    ex_event event;
    assert_int_equal(ex_store_read_log(s->store, &(ex_read_log){0}, &cursor, NULL), EX_OK);
    for (uint64_t i = 1; i <= 40; i++) {
        assert_int_equal(ex_cursor_next(cursor, &event, NULL), EX_OK);
        assert_int_equal(event.position, i);
        assert_int_equal(event.version, i);
        assert_true(ex_slice_eq(event.data, data));
    }
    ex_cursor_close(cursor);
    free((void *)(uintptr_t)data.ptr);
}

static void test_limits_options_out_of_range_are_refused(void **state)
{
    (void)state;
    ex_store *store = NULL;
    const ex_store_options bad[] = {{.in_memory = true, .durability = (ex_durability)7},
                                    {.in_memory = true, .read_only = true},
                                    {.in_memory = true, .event_limit_bytes = 1u << 31}};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(ex_store_open(NULL, &bad[i], &store, NULL), EX_EINVAL);
    assert_int_equal(ex_store_open(NULL, NULL, &store, NULL),
                     EX_EINVAL); /* files need a directory */
    assert_null(store);
}

int store_limits_tests(suite *s)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_limits_of_an_events_size),
        STORE_TEST(test_limits_of_an_appends_events),
        STORE_TEST(test_limits_of_an_appends_streams),
        STORE_TEST(test_limits_come_from_the_options),
        STORE_TEST(test_limits_of_schema_versions),
        STORE_TEST(test_limits_of_a_batchs_bytes_lose_nothing),
        STORE_TEST(test_limits_options_out_of_range_are_refused),
    };
    return cmocka_run_group_tests_name("store limits", tests, NULL, NULL);
}
