/* store_condition.c: fail_if_match: dynamic consistency boundaries as tags and queries.
 * R-DB-04, R-DB-08, R-DB-09 (adapted: a scope key is a tag). */
#include "conformance/store_suite.h"

#include <string.h>

static const ex_slice tag_a[] = {EX_S_INIT("course:a")};
static const ex_slice tag_ab[] = {EX_S_INIT("course:a"), EX_S_INIT("student:b")};
static const ex_slice tag_b[] = {EX_S_INIT("student:b")};
static const ex_slice type_x[] = {EX_S_INIT("X")};
static const ex_slice type_y[] = {EX_S_INIT("Y")};
static const ex_slice type_xy[] = {EX_S_INIT("X"), EX_S_INIT("Y")};
static const ex_slice unknown[] = {EX_S_INIT("unknown:1")};

/* 1: X course:a   2: Y student:b   3: X course:a student:b   4: Z */
static void put_four(suite *s)
{
    ex_new_event one = EVENT("X", "{}", .tags = tag_a, .tag_count = 1);
    ex_new_event two = EVENT("Y", "{}", .tags = tag_b, .tag_count = 1);
    ex_new_event three = EVENT("X", "{}", .tags = tag_ab, .tag_count = 2);
    ex_new_event four = EVENT("Z", "{}");
    suite_put(s, "s", &one);
    suite_put(s, "s", &two);
    suite_put(s, "s", &three);
    suite_put(s, "t", &four);
}

static ex_status append_if(suite *s, const ex_query *query, uint64_t after, ex_error *err)
{
    ex_new_event event = EVENT("W", "{}");
    ex_stream_write write = {EX_S("w"), EX_ANY, &event, 1};
    ex_append append = {&write, 1, query, after};
    return ex_store_append(s->store, &append, NULL, err);
}

static void test_condition_finds_the_first_match(void **state)
{
    suite *s = *state;
    put_four(s);
    const ex_query_item by_tag = {NULL, 0, tag_a, 1}, both_tags = {NULL, 0, tag_ab, 2},
                        x = {type_x, 1, NULL, 0}, y = {type_y, 1, NULL, 0},
                        xy = {type_xy, 2, NULL, 0}, y_and_a = {type_y, 1, tag_a, 1},
                        xy_and_b = {type_xy, 2, tag_b, 1}, nobody = {NULL, 0, unknown, 1},
                        anything = {0};
    const ex_query_item either[] = {nobody, y};
    const struct {
        const char *name;
        ex_query query;
        uint64_t after;
        uint64_t match; /* 0: the append goes through */
    } cases[] = {
        {"tag", {&by_tag, 1}, 0, 1},
        {"tag, after its first", {&by_tag, 1}, 1, 3},
        {"tag, after its last", {&by_tag, 1}, 3, 0},
        {"tags are and-ed", {&both_tags, 1}, 0, 3},
        {"type", {&x, 1}, 0, 1},
        {"type, after the first", {&x, 1}, 1, 3},
        {"types are or-ed", {&xy, 1}, 1, 2},
        {"type and tag that never meet", {&y_and_a, 1}, 0, 0},
        {"types and a tag", {&xy_and_b, 1}, 0, 2},
        {"unknown tag", {&nobody, 1}, 0, 0},
        {"items are or-ed", {either, 2}, 0, 2},
        {"an empty item matches all", {&anything, 1}, 3, 4},
        {"no item matches all", {NULL, 0}, 2, 3},
        {"no item, after the head", {NULL, 0}, 4, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        /* events W of earlier rows lie behind position 4 and match "all" only */
        suite_tear_down(state);
        suite_set_up(state);
        put_four(s);
        ex_error err = {0};
        ex_status st = append_if(s, &cases[i].query, cases[i].after, &err);
        if (st != (cases[i].match ? EX_ECONDITION : EX_OK) || err.position != cases[i].match)
            fail_msg("%s: %s at %llu", cases[i].name, ex_status_code(st),
                     (unsigned long long)err.position);
        assert_int_equal(ex_store_head(s->store), 4 + (st == EX_OK));
    }
}

/* Issue 8, item 1 (G-151): such a position is from another log, or from what was lost of this one;
 * nobody has looked at the events that are to come before it. */
static void test_condition_after_more_than_there_is_is_refused(void **state)
{
    suite *s = *state;
    put_four(s);
    const ex_query_item x = {type_x, 1, NULL, 0};
    const ex_query query = {&x, 1};
    const uint64_t beyond[] = {5, INT64_MAX, UINT64_MAX};
    for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
        ex_error err = {0};
        assert_int_equal(append_if(s, &query, beyond[i], &err), EX_EAHEAD);
        assert_int_equal(err.position, beyond[i]);
        assert_int_equal(err.current, 4);
    }
    assert_int_equal(append_if(s, &query, 4, NULL), EX_OK);
}

static void test_condition_and_version_must_both_hold(void **state)
{
    suite *s = *state;
    put_four(s);
    const ex_query_item item = {NULL, 0, tag_a, 1};
    const ex_query query = {&item, 1};
    ex_new_event event = EVENT("W", "{}");
    ex_stream_write write = {EX_S("s"), EX_EXACT(2), &event, 1};
    ex_append append = {&write, 1, &query, 4};
    assert_int_equal(ex_store_append(s->store, &append, NULL, NULL), EX_ECONFLICT);
    write.expected = EX_EXACT(3);
    append.after = 2;
    assert_int_equal(ex_store_append(s->store, &append, NULL, NULL), EX_ECONDITION);
    append.after = 3;
    assert_int_equal(ex_store_append(s->store, &append, NULL, NULL), EX_OK);
}

/* An append's own events do not stand in its way; those of an earlier one in the same batch do. */
static void test_condition_does_not_see_its_own_events(void **state)
{
    suite *s = *state;
    const ex_query_item item = {NULL, 0, tag_a, 1};
    const ex_query query = {&item, 1};
    ex_new_event event = EVENT("X", "{}", .tags = tag_a, .tag_count = 1);
    ex_stream_write write = {EX_S("s"), EX_ANY, &event, 1};
    ex_append append = {&write, 1, &query, 0};
    assert_int_equal(ex_store_append(s->store, &append, NULL, NULL), EX_OK);
    assert_int_equal(ex_store_append(s->store, &append, NULL, NULL), EX_ECONDITION);
}

static void test_condition_alone_writes_nothing(void **state)
{
    suite *s = *state;
    put_four(s);
    const ex_query_item item = {NULL, 0, tag_a, 1};
    const ex_query query = {&item, 1};
    ex_append append = {.fail_if_match = &query, .after = 0};
    assert_int_equal(ex_store_append(s->store, &append, NULL, NULL), EX_ECONDITION);
    append.after = 4;
    assert_int_equal(ex_store_append(s->store, &append, NULL, NULL), EX_OK);
    assert_int_equal(ex_store_head(s->store), 4);
}

static void test_condition_that_is_malformed_is_refused(void **state)
{
    suite *s = *state;
    const ex_slice no_colon[] = {EX_S_INIT("course")}, empty[] = {EX_S_INIT("")};
    const ex_query_item bad[] = {{NULL, 0, no_colon, 1}, {empty, 1, NULL, 0}};
    for (size_t i = 0; i < 2; i++) {
        const ex_query query = {&bad[i], 1};
        assert_int_equal(append_if(s, &query, 0, NULL), EX_EINVAL);
    }
    static ex_query_item many[65];
    const ex_query query = {many, 65};
    assert_int_equal(append_if(s, &query, 0, NULL), EX_EINVAL);
}

int store_condition_tests(suite *s)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_condition_finds_the_first_match),
        STORE_TEST(test_condition_after_more_than_there_is_is_refused),
        STORE_TEST(test_condition_and_version_must_both_hold),
        STORE_TEST(test_condition_does_not_see_its_own_events),
        STORE_TEST(test_condition_alone_writes_nothing),
        STORE_TEST(test_condition_that_is_malformed_is_refused),
    };
    return cmocka_run_group_tests_name("store condition", tests, NULL, NULL);
}
