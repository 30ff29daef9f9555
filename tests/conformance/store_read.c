/* store_read.c: reading streams both ways and the log; what an event holds.
 * R-ES-10, R-ES-14 (adapted), R-08-11, R-08-12, R-CC-01 (ids are kept). */
#include "conformance/store_suite.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static void test_read_stream_ranges(void **state)
{
    suite *s = *state;
    suite_fill(s, "other", 3);
    suite_fill(s, "a", 5);
    const struct {
        const char *name;
        ex_read_stream read;
        uint64_t want[6];
        uint32_t want_count;
    } cases[] = {
        {"forward", {EX_S("a"), 0, 0, EX_FORWARD}, {1, 2, 3, 4, 5}, 5},
        {"forward from 3", {EX_S("a"), 3, 0, EX_FORWARD}, {3, 4, 5}, 3},
        {"forward, limited", {EX_S("a"), 2, 2, EX_FORWARD}, {2, 3}, 2},
        {"forward from the end", {EX_S("a"), 6, 0, EX_FORWARD}, {0}, 0},
        {"backward", {EX_S("a"), 0, 0, EX_BACKWARD}, {5, 4, 3, 2, 1}, 5},
        {"backward from 3", {EX_S("a"), 3, 0, EX_BACKWARD}, {3, 2, 1}, 3},
        {"backward from beyond", {EX_S("a"), UINT64_MAX, 2, EX_BACKWARD}, {5, 4}, 2},
        {"no such stream", {EX_S("none"), 0, 0, EX_FORWARD}, {0}, 0},
        {"no such stream, backward", {EX_S("none"), 0, 0, EX_BACKWARD}, {0}, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t have[6];
        uint32_t count = suite_read_stream(s, &cases[i].read, have, 6);
        suite_assert_numbers(cases[i].name, have, count, cases[i].want, cases[i].want_count);
    }
}

static void test_read_log_ranges(void **state)
{
    suite *s = *state;
    suite_fill(s, "a", 2);
    suite_fill(s, "b", 3);
    const struct {
        const char *name;
        uint64_t after;
        uint64_t want[5];
        uint32_t want_count;
    } cases[] = {
        {"all", 0, {1, 2, 3, 4, 5}, 5},
        {"after 3", 3, {4, 5}, 2},
        {"after the head", 5, {0}, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t have[6];
        uint32_t count = suite_read_log(s, cases[i].after, NULL, have, 6);
        suite_assert_numbers(cases[i].name, have, count, cases[i].want, cases[i].want_count);
    }
}

/* Issue 8, item 1 (G-151): a reader that begins beyond the end would miss what is to come there. */
static void test_read_from_beyond_the_end_is_refused(void **state)
{
    suite *s = *state;
    suite_fill(s, "a", 2);
    suite_fill(s, "b", 3);
    const struct {
        const char *name;
        ex_slice stream; /* empty: the log */
        uint64_t from;   /* of a stream; of the log, after */
        uint64_t want, end;
    } cases[] = {
        {"log", EX_S(""), 6, 6, 5},
        {"log, no position at all", EX_S(""), UINT64_MAX, INT64_MAX - 1, 5},
        {"stream", EX_S("a"), 4, 3, 2},
        {"stream, no version at all", EX_S("a"), UINT64_MAX, INT64_MAX - 1, 2},
        {"a stream that is not there", EX_S("c"), 2, 1, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_cursor *cursor = NULL;
        ex_event event;
        ex_error err = {0};
        ex_read_stream stream = {.stream = cases[i].stream, .from = cases[i].from};
        ex_read_log log = {.after = cases[i].from};
        ex_status st = cases[i].stream.len ? ex_store_read_stream(s->store, &stream, &cursor, &err)
                                           : ex_store_read_log(s->store, &log, &cursor, &err);
        assert_int_equal(st, EX_OK);
        st = ex_cursor_next(cursor, &event, &err);
        ex_cursor_close(cursor);
        if (st != EX_EAHEAD || err.position != cases[i].want || err.current != cases[i].end)
            fail_msg("%s: %s, %llu of %llu", cases[i].name, ex_status_code(st),
                     (unsigned long long)err.position, (unsigned long long)err.current);
    }
}

static void assert_slice(ex_slice have, ex_slice want)
{
    if (!ex_slice_eq(have, want))
        fail_msg("'%.*s' is not '%.*s'", EX_ARG(have), EX_ARG(want));
}

static void read_one(suite *s, uint64_t position, ex_cursor **ret_cursor, ex_event *ret)
{
    ex_read_log read = {.after = position - 1, .limit = 1};
    assert_int_equal(ex_store_read_log(s->store, &read, ret_cursor, NULL), EX_OK);
    assert_int_equal(ex_cursor_next(*ret_cursor, ret, NULL), EX_OK);
}

static void test_read_gives_back_every_field(void **state)
{
    suite *s = *state;
    static const ex_slice tags[] = {EX_S_INIT("customer:7"), EX_S_INIT("k:\xc3\xa4\xc3\xb6")};
    ex_new_event given =
        EVENT("Typ\xc3\xa4", " {\"total\": 5.00 } ", .id = suite_id(9), .schema_version = 3,
              .metadata = EX_S("{ \"who\":\"me\"}"), .tags = tags, .tag_count = 2,
              .correlation_id = EX_S("corr-1"), .causation_id = EX_S("cause-1"));
    suite_put(s, "order-\xe2\x82\xac", &given);
    ex_cursor *c = NULL;
    ex_event e;
    read_one(s, 1, &c, &e);
    assert_int_equal(e.position, 1);
    assert_int_equal(e.version, 1);
    assert_slice(e.stream, EX_S("order-\xe2\x82\xac"));
    assert_slice(e.type, given.type);
    assert_slice(e.data, given.data); /* byte for byte, blanks too */
    assert_slice(e.metadata, given.metadata);
    assert_slice(e.content_type, EX_S("application/json"));
    assert_slice(e.correlation_id, EX_S("corr-1"));
    assert_slice(e.causation_id, EX_S("cause-1"));
    assert_int_equal(e.schema_version, 3);
    assert_true(ex_id_eq(&e.id, &given.id));
    assert_true(e.recorded_at_us > 1577836800000000); /* 2020 */
    size_t at = 0;
    ex_slice tag;
    for (uint32_t i = 0; i < 2; i++) {
        assert_true(ex_tags_next(e.tags, &at, &tag));
        assert_slice(tag, tags[i]);
    }
    assert_false(ex_tags_next(e.tags, &at, &tag));
    ex_cursor_close(c);
}

static void test_read_gives_defaults(void **state)
{
    suite *s = *state;
    suite_put(s, "a", &EVENT("T", "null"));
    ex_cursor *c = NULL;
    ex_event e;
    read_one(s, 1, &c, &e);
    assert_slice(e.metadata, EX_S("{}"));
    assert_slice(e.content_type, EX_S("application/json"));
    assert_int_equal(e.schema_version, 1);
    assert_int_equal(e.tags.packed.len, 0);
    assert_int_equal(e.correlation_id.len, 0);
    assert_int_equal(e.causation_id.len, 0);
    assert_false(ex_id_is_nil(&e.id));
    ex_cursor_close(c);
}

static void test_read_gives_back_bytes_that_are_no_json(void **state)
{
    suite *s = *state;
    char bytes[256];
    for (int i = 0; i < 256; i++)
        bytes[i] = (char)i;
    ex_new_event event = {.type = EX_S("T"),
                          .data = ex_slice_of(bytes, sizeof(bytes)),
                          .content_type = EX_S("application/octet-stream")};
    suite_put(s, "a", &event);
    event.data = EX_S("");
    suite_put(s, "a", &event);
    ex_cursor *c = NULL;
    ex_event e;
    read_one(s, 1, &c, &e);
    assert_slice(e.data, ex_slice_of(bytes, sizeof(bytes)));
    assert_slice(e.content_type, EX_S("application/octet-stream"));
    ex_cursor_close(c);
    read_one(s, 2, &c, &e);
    assert_int_equal(e.data.len, 0);
    ex_cursor_close(c);
}

/* Metadata carries the correlation chain unless it is given beside it. */
static void test_read_takes_correlation_from_metadata(void **state)
{
    suite *s = *state;
    const ex_slice metadata =
        EX_S("{\"$correlation_id\":\"c\\u00e4\",\"$causation_id\":\"x\",\"other\":1}");
    suite_put(s, "a", &EVENT("T", "{}", .metadata = metadata));
    suite_put(s, "a", &EVENT("T", "{}", .metadata = metadata, .correlation_id = EX_S("given")));
    ex_cursor *c = NULL;
    ex_event e;
    read_one(s, 1, &c, &e);
    assert_slice(e.correlation_id, EX_S("c\xc3\xa4"));
    assert_slice(e.causation_id, EX_S("x"));
    ex_cursor_close(c);
    read_one(s, 2, &c, &e);
    assert_slice(e.correlation_id, EX_S("given"));
    assert_slice(e.causation_id, EX_S("x"));
    ex_cursor_close(c);
}

/* A cursor ends where the log ended when it began, forward and backward. */
static void test_read_sees_the_log_as_it_was(void **state)
{
    suite *s = *state;
    suite_fill(s, "a", 3);
    ex_cursor *log = NULL, *stream = NULL;
    ex_event e;
    ex_read_stream read = {.stream = EX_S("a")};
    assert_int_equal(ex_store_read_log(s->store, &(ex_read_log){0}, &log, NULL), EX_OK);
    assert_int_equal(ex_store_read_stream(s->store, &read, &stream, NULL), EX_OK);
    assert_int_equal(ex_cursor_next(log, &e, NULL), EX_OK);
    assert_int_equal(ex_cursor_next(stream, &e, NULL), EX_OK);
    suite_fill(s, "a", 3);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ex_cursor_next(log, &e, NULL), EX_OK);
        assert_int_equal(ex_cursor_next(stream, &e, NULL), EX_OK);
    }
    assert_int_equal(ex_cursor_next(log, &e, NULL), EX_EEND);
    assert_int_equal(ex_cursor_next(stream, &e, NULL), EX_EEND);
    ex_cursor_close(log);
    ex_cursor_close(stream);
}

/* More rows than a reader keeps one statement for. */
static void test_read_of_a_long_log_misses_nothing(void **state)
{
    suite *s = *state;
    static ex_new_event events[100];
    for (int i = 0; i < 100; i++)
        events[i] = EVENT("T", "{}");
    for (int i = 0; i < 90; i++)
        assert_int_equal(suite_append(s, "a", EX_ANY, events, 100, NULL, NULL), EX_OK);
    const ex_slice type = EX_S("T"), stream = EX_S("a");
    const ex_query_item item = {&type, 1, NULL, 0};
    const ex_filter filters[] = {{.query = {&item, 1}}, {.streams = &stream, .stream_count = 1}};
    for (int how = 0; how < 5; how++) {
        ex_read_stream read = {.stream = EX_S("a"),
                               .direction = how == 1 ? EX_BACKWARD : EX_FORWARD};
        ex_read_log read_log = {.filter = how >= 3 ? &filters[how - 3] : NULL};
        ex_cursor *c = NULL;
        ex_status st = how < 2 ? ex_store_read_stream(s->store, &read, &c, NULL)
                               : ex_store_read_log(s->store, &read_log, &c, NULL);
        assert_int_equal(st, EX_OK);
        ex_event e;
        for (uint64_t i = 1; i <= 9000; i++) {
            assert_int_equal(ex_cursor_next(c, &e, NULL), EX_OK);
            assert_int_equal(e.position, how == 1 ? 9001 - i : i);
        }
        assert_int_equal(ex_cursor_next(c, &e, NULL), EX_EEND);
        ex_cursor_close(c);
    }
}

static void test_read_can_be_stopped_early(void **state)
{
    suite *s = *state;
    suite_fill(s, "a", 10);
    for (int i = 0; i < 100; i++) { /* more than there are readers: they are given back */
        ex_cursor *c = NULL;
        ex_event e;
        assert_int_equal(ex_store_read_log(s->store, &(ex_read_log){0}, &c, NULL), EX_OK);
        if (i % 2)
            assert_int_equal(ex_cursor_next(c, &e, NULL), EX_OK);
        ex_cursor_close(c);
    }
    ex_cursor_close(NULL);
}

static void *close_cursor(void *arg)
{
    ex_cursor_close(arg);
    return NULL;
}

static void test_read_waits_for_a_free_reader(void **state)
{
    suite *s = *state;
    ex_store_options options = {.reader_limit = 1};
    /* in memory the content goes with the store: the reader is what is tested */
    suite_reopen(s, &options);
    ex_cursor *first = NULL, *second = NULL;
    pthread_t thread;
    assert_int_equal(ex_store_read_log(s->store, &(ex_read_log){0}, &first, NULL), EX_OK);
    assert_int_equal(pthread_create(&thread, NULL, close_cursor, first), 0);
    assert_int_equal(ex_store_read_log(s->store, &(ex_read_log){0}, &second, NULL), EX_OK);
    assert_int_equal(pthread_join(thread, NULL), 0);
    ex_cursor_close(second);
}

int store_read_tests(suite *s)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_read_stream_ranges),
        STORE_TEST(test_read_log_ranges),
        STORE_TEST(test_read_from_beyond_the_end_is_refused),
        STORE_TEST(test_read_gives_back_every_field),
        STORE_TEST(test_read_gives_defaults),
        STORE_TEST(test_read_gives_back_bytes_that_are_no_json),
        STORE_TEST(test_read_takes_correlation_from_metadata),
        STORE_TEST(test_read_sees_the_log_as_it_was),
        STORE_TEST(test_read_of_a_long_log_misses_nothing),
        STORE_TEST(test_read_can_be_stopped_early),
        STORE_TEST(test_read_waits_for_a_free_reader),
    };
    return cmocka_run_group_tests_name("store read", tests, NULL, NULL);
}
