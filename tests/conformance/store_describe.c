/* store_describe.c: what a store tells of itself. */
#include "conformance/store_suite.h"

#include <stdio.h>
#include <string.h>

#include "store/describe.h"

static void test_describe_tells_engine_head_and_size(void **state)
{
    suite *s = *state;
    static const char *const engines[] = {
        [SUITE_MEMORY] = "memory", [SUITE_SQLITE] = "sqlite", [SUITE_POSTGRES] = "postgres"};
    bool is_stored = s->driver != SUITE_MEMORY;
    ex_store_facts empty, filled;
    assert_int_equal(ex_store_describe(s->store, &empty, NULL), EX_OK);
    assert_string_equal(empty.engine, engines[s->driver]);
    assert_int_equal(empty.head, 0);
    assert_string_equal(empty.durability, is_stored ? "full" : "none");
    assert_true(is_stored ? empty.format > 0 && empty.size_bytes > 0
                          : empty.format == 0 && empty.size_bytes == 0);

    static char large[500000];
    memset(large, 'x', sizeof(large));
    ex_new_event event = EVENT("Large", "", .content_type = EX_S("text/plain"));
    event.data = ex_slice_of(large, sizeof(large));
    for (size_t i = 0; i < sizeof(large); i += 7) /* what compresses away is not on the disk */
        large[i] = (char)(i * 2654435761u >> 13);
    suite_put(s, "a", &event);
    assert_int_equal(ex_store_describe(s->store, &filled, NULL), EX_OK);
    assert_int_equal(filled.head, 1);
    assert_int_equal(filled.format, empty.format);
    assert_true(!is_stored || filled.size_bytes > empty.size_bytes);
    if (is_stored) {
        const ex_store_options options = {.read_only = true};
        suite_reopen(s, &options);
        assert_int_equal(ex_store_describe(s->store, &filled, NULL), EX_OK);
        assert_null(filled.durability);
    }
}

static void test_describe_inspects_without_changing_anything(void **state)
{
    suite *s = *state;
    if (s->driver == SUITE_MEMORY)
        skip();
    ex_store_facts facts;
    ex_store_format format = {0};
    assert_int_equal(ex_store_describe(s->store, &facts, NULL), EX_OK);
    assert_int_equal(ex_store_inspect(s->dir, &format, NULL), EX_OK); /* while it is in use */
    assert_string_equal(format.engine, facts.engine);
    assert_int_equal(format.found, facts.format);
    assert_int_equal(format.known, facts.format);

    char missing[2048];
    ex_error err = {0};
    ex_store *store = NULL;
    const ex_store_options read_only = {.read_only = true};
    (void)snprintf(missing, sizeof(missing), "%s_missing", s->dir);
    for (int i = 0; i < 2; i++) { /* the first look made nothing */
        assert_int_equal(ex_store_inspect(missing, &format, &err), EX_ENOTFOUND);
        assert_non_null(strstr(err.message, "there is no store in"));
    }
    assert_int_equal(ex_store_open(missing, &read_only, &store, NULL), EX_ENOTFOUND);
}

static _Atomic int64_t clock_offset_us;

static int64_t shifted_now(void *ctx)
{
    (void)ctx;
    return ex_now_us(ex_clock_system()) + clock_offset_us;
}

/* G-307 (issue 8, item 5): a log that is ahead of the clock is told, with how far, as long as it
 * lasts and also when nobody writes. */
static void test_describe_tells_that_the_log_is_ahead_of_the_clock(void **state)
{
    suite *s = *state;
    static ex_clock clock;
    ex_store_facts facts;
    ex_error err = {0};
    clock = *ex_clock_system();
    clock.now_us = shifted_now;
    clock_offset_us = INT64_C(3600) * 1000000;
    suite_reopen(s, &(ex_store_options){.clock = &clock});
    assert_int_equal(ex_store_check_clock(s->store, NULL), EX_OK); /* no event */
    suite_fill(s, "a", 3);
    assert_int_equal(ex_store_check_clock(s->store, NULL), EX_OK);
    assert_int_equal(ex_store_describe(s->store, &facts, NULL), EX_OK);
    assert_int_equal(facts.clock_ahead_us, 0);

    clock_offset_us = 0; /* set right */
    assert_int_equal(ex_store_check_clock(s->store, &err), EX_EAGAIN);
    unsigned seconds = 0;
    assert_int_equal(sscanf(err.message, "the log's last time is %u s ahead", &seconds), 1);
    assert_in_range(seconds, 3300, 3600);
    assert_int_equal(ex_store_describe(s->store, &facts, NULL), EX_OK);
    assert_in_range(facts.clock_ahead_us / 1000000, 3300, 3600);
    if (s->driver != SUITE_MEMORY) {
        suite_reopen(s, &(ex_store_options){.read_only = true, .clock = &clock});
        assert_int_equal(ex_store_check_clock(s->store, NULL), EX_EAGAIN);
    }

    clock_offset_us = INT64_C(3601) * 1000000; /* it has come by it */
    assert_int_equal(ex_store_check_clock(s->store, NULL), EX_OK);
    suite_reopen(s, NULL);
}

int store_describe_tests(suite *s)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_describe_tells_engine_head_and_size),
        STORE_TEST(test_describe_inspects_without_changing_anything),
        STORE_TEST(test_describe_tells_that_the_log_is_ahead_of_the_clock),
    };
    return cmocka_run_group_tests_name("store describe", tests, NULL, NULL);
}
