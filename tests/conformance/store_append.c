/* store_append.c: appending: versions, positions, several streams, what comes back.
 * R-ES-02, R-ES-03, R-ES-04, R-ES-12, R-08-10. */
#include "conformance/store_suite.h"

#include <stdio.h>
#include <string.h>

static void test_append_numbers_versions_and_positions(void **state)
{
    suite *s = *state;
    ex_new_event events[] = {EVENT("A", "{}"), EVENT("B", "{\"x\":1}"), EVENT("C", "[]")};
    ex_event_ref refs[3];
    ex_appended out = {.events = refs, .event_room = 3};
    assert_int_equal(suite_append(s, "one-1", EX_NO_STREAM, events, 3, &out, NULL), EX_OK);
    assert_int_equal(out.position, 3);
    assert_int_equal(out.version, 3);
    assert_int_equal(out.event_count, 3);
    assert_false(out.is_duplicate);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(refs[i].position, i + 1);
        assert_int_equal(refs[i].version, i + 1);
        assert_false(ex_id_is_nil(&refs[i].id));
    }
    assert_int_equal(suite_append(s, "two-1", EX_ANY, events, 1, &out, NULL), EX_OK);
    assert_int_equal(out.position, 4);
    assert_int_equal(out.version, 1);
    assert_int_equal(ex_store_head(s->store), 4);
    assert_int_equal(suite_version(s, "one-1"), 3);
    assert_int_equal(suite_version(s, "none"), 0);
}

static void test_append_expected_versions(void **state)
{
    suite *s = *state;
    const struct {
        const char *name;
        uint32_t have;
        ex_expected expected;
        ex_status want;
        uint64_t err_expected;
    } cases[] = {
        {"new stream, none expected", 0, EX_NO_STREAM, EX_OK, 0},
        {"new stream, any", 0, EX_ANY, EX_OK, 0},
        {"new stream, exists", 0, EX_EXISTS, EX_ECONFLICT, 1},
        {"new stream, version 1", 0, EX_EXACT(1), EX_ECONFLICT, 1},
        {"at 3, expected 3", 3, EX_EXACT(3), EX_OK, 0},
        {"at 3, expected 2", 3, EX_EXACT(2), EX_ECONFLICT, 2},
        {"at 3, expected 4", 3, EX_EXACT(4), EX_ECONFLICT, 4},
        {"at 3, exists", 3, EX_EXISTS, EX_OK, 0},
        {"at 3, any", 3, EX_ANY, EX_OK, 0},
        {"at 3, a version beyond all", 3, EX_EXACT(UINT64_MAX), EX_ECONFLICT, UINT64_MAX - 2},
        {"at 3, none expected", 3, EX_NO_STREAM, EX_ECONFLICT, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char stream[32];
        (void)snprintf(stream, sizeof(stream), "case-%zu", i);
        suite_fill(s, stream, cases[i].have);
        uint64_t head = ex_store_head(s->store);
        ex_error err = {0};
        ex_status st = suite_append(s, stream, cases[i].expected, &EVENT("E", "{}"), 1, NULL, &err);
        if (st != cases[i].want)
            fail_msg("%s: %s", cases[i].name, ex_status_code(st));
        assert_int_equal(suite_version(s, stream), cases[i].have + (st == EX_OK));
        assert_int_equal(ex_store_head(s->store), head + (st == EX_OK));
        if (st) {
            assert_int_equal(err.current, cases[i].have);
            assert_int_equal(err.expected, cases[i].err_expected);
            assert_string_equal(err.code, "VERSION_CONFLICT");
        }
    }
}

/* G-001 */
static void test_append_to_several_streams_is_all_or_none(void **state)
{
    suite *s = *state;
    suite_fill(s, "a", 2);
    ex_new_event events[] = {EVENT("X", "{}"), EVENT("Y", "{}")};
    ex_stream_write writes[] = {{EX_S("a"), EX_EXACT(2), events, 2},
                                {EX_S("b"), EX_NO_STREAM, events, 1}};
    ex_append append = {.writes = writes, .write_count = 2};
    ex_event_ref refs[3];
    ex_appended out = {.events = refs, .event_room = 3};
    assert_int_equal(ex_store_append(s->store, &append, &out, NULL), EX_OK);
    assert_int_equal(out.position, 5);
    assert_int_equal(out.version, 1);
    assert_int_equal(out.event_count, 3);
    assert_int_equal(refs[1].version, 4);
    assert_int_equal(refs[2].version, 1);

    writes[0].expected = EX_EXACT(4);
    writes[1].expected = EX_EXACT(9); /* does not hold: nothing of it is written */
    assert_int_equal(ex_store_append(s->store, &append, NULL, NULL), EX_ECONFLICT);
    assert_int_equal(suite_version(s, "a"), 4);
    assert_int_equal(suite_version(s, "b"), 1);
    assert_int_equal(ex_store_head(s->store), 5);
}

static void test_append_checks_a_stream_that_it_does_not_write(void **state)
{
    suite *s = *state;
    suite_fill(s, "customer", 3);
    ex_new_event event = EVENT("X", "{}");
    ex_stream_write writes[] = {{EX_S("order"), EX_ANY, &event, 1},
                                {EX_S("customer"), EX_EXACT(2), NULL, 0}};
    ex_append append = {.writes = writes, .write_count = 2};
    ex_error err = {0};
    assert_int_equal(ex_store_append(s->store, &append, NULL, &err), EX_ECONFLICT);
    assert_int_equal(err.current, 3);
    assert_int_equal(suite_version(s, "order"), 0);
    writes[1].expected = EX_EXACT(3);
    assert_int_equal(ex_store_append(s->store, &append, NULL, NULL), EX_OK);
    assert_int_equal(suite_version(s, "customer"), 3);
}

/* R-08-10: zero events is success with nothing stored */
static void test_append_of_nothing_only_checks(void **state)
{
    suite *s = *state;
    suite_fill(s, "a", 2);
    ex_appended out = {0};
    assert_int_equal(suite_append(s, "a", EX_EXACT(2), NULL, 0, &out, NULL), EX_OK);
    assert_int_equal(out.event_count, 0);
    assert_int_equal(out.position, 2);
    assert_int_equal(suite_append(s, "a", EX_EXACT(1), NULL, 0, NULL, NULL), EX_ECONFLICT);
    ex_append nothing = {0};
    assert_int_equal(ex_store_append(s->store, &nothing, NULL, NULL), EX_OK);
    assert_int_equal(ex_store_head(s->store), 2);
}

static void test_append_fills_no_more_refs_than_there_is_room(void **state)
{
    suite *s = *state;
    ex_new_event events[] = {EVENT("A", "{}"), EVENT("B", "{}"), EVENT("C", "{}")};
    ex_event_ref refs[3];
    memset(refs, 0xee, sizeof(refs));
    ex_appended out = {.events = refs, .event_room = 2};
    assert_int_equal(suite_append(s, "a", EX_ANY, events, 3, &out, NULL), EX_OK);
    assert_int_equal(out.event_count, 3);
    assert_int_equal(refs[1].position, 2);
    assert_int_equal(refs[2].id.bytes[0], 0xee);
}

static void test_append_leaves_outputs_alone_on_failure(void **state)
{
    suite *s = *state;
    ex_appended out = {.position = 77, .version = 78};
    ex_error err = {0};
    assert_int_equal(suite_append(s, "a", EX_EXISTS, &EVENT("A", "{}"), 1, &out, &err),
                     EX_ECONFLICT);
    assert_int_equal(out.position, 77);
    assert_int_equal(out.version, 78);
}

/* ---- Time ---- */

typedef struct fake_clock {
    ex_clock clock;
    _Atomic int64_t now_us;
} fake_clock;

static int64_t fake_now(void *ctx)
{
    return ((fake_clock *)ctx)->now_us;
}

static uint64_t fake_monotonic(void *ctx)
{
    (void)ctx;
    return 1;
}

static int64_t recorded_at(suite *s, uint64_t position)
{
    ex_read_log read = {.after = position - 1, .limit = 1};
    ex_cursor *c = NULL;
    ex_event e;
    assert_int_equal(ex_store_read_log(s->store, &read, &c, NULL), EX_OK);
    assert_int_equal(ex_cursor_next(c, &e, NULL), EX_OK);
    int64_t at = e.recorded_at_us;
    ex_cursor_close(c);
    return at;
}

/* G-009 */
static void test_append_time_never_goes_back_although_the_clock_does(void **state)
{
    suite *s = *state;
    fake_clock clock = {.clock = *ex_clock_system(), .now_us = 5000000};
    clock.clock.now_us = fake_now;
    clock.clock.monotonic_ns = fake_monotonic;
    clock.clock.ctx = &clock;
    ex_store_options options = {.clock = &clock.clock};
    suite_reopen(s, &options);
    suite_fill(s, "a", 1);
    clock.now_us = 1000000;
    suite_fill(s, "a", 1);
    clock.now_us = 6000000;
    suite_fill(s, "a", 1);
    assert_int_equal(recorded_at(s, 1), 5000000);
    assert_int_equal(recorded_at(s, 2), 5000000);
    assert_int_equal(recorded_at(s, 3), 6000000);
    suite_reopen(s, NULL);
}

int store_append_tests(suite *s)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_append_numbers_versions_and_positions),
        STORE_TEST(test_append_expected_versions),
        STORE_TEST(test_append_to_several_streams_is_all_or_none),
        STORE_TEST(test_append_checks_a_stream_that_it_does_not_write),
        STORE_TEST(test_append_of_nothing_only_checks),
        STORE_TEST(test_append_fills_no_more_refs_than_there_is_room),
        STORE_TEST(test_append_leaves_outputs_alone_on_failure),
        STORE_TEST(test_append_time_never_goes_back_although_the_clock_does),
    };
    return cmocka_run_group_tests_name("store append", tests, NULL, NULL);
}
