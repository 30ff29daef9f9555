/* test_blind_batch.c: when a batch asks nothing, and what happens when it believed too much. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>

#include "store/submission.h"
#include "support/shared_model.h"

#define QUIET 16 /* QUIET_BATCHES of sequencer_begin.c */

static ex_store *store;

static int set_up(void **state)
{
    (void)state;
    return shared_model_open(&store, NULL) == EX_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    ex_store_close(store);
    return 0;
}

static ex_status append(const char *stream, ex_expected expected, ex_appended *ret, ex_error *err)
{
    ex_new_event event = {.type = EX_S_INIT("T"), .data = EX_S_INIT("{}")};
    ex_stream_write write = {ex_str(stream), expected, &event, 1};
    const ex_append one = {.writes = &write, .write_count = 1};
    return ex_store_append(store, &one, ret, err);
}

static void must_append(const char *stream, ex_expected expected)
{
    ex_error err = {0};
    if (append(stream, expected, NULL, &err))
        fail_msg("%s: %s", stream, err.message);
}

static void be_alone(void)
{
    static unsigned number;
    for (int i = 0; i <= QUIET; i++) { /* one more: the first may meet others */
        char stream[32];
        (void)snprintf(stream, sizeof(stream), "alone-%u", number++);
        must_append(stream, EX_NO_STREAM);
    }
    shared_model_reset();
}

/* ---- When it asks nothing ---- */

static void test_blind_after_quiet_batches(void **state)
{
    (void)state;
    for (int i = 0; i < QUIET; i++) {
        char stream[32];
        (void)snprintf(stream, sizeof(stream), "s-%d", i);
        must_append(stream, EX_NO_STREAM);
    }
    assert_int_equal(shared_model.begun_blind, 0);
    assert_int_equal(shared_model.begun, QUIET);
    must_append("new", EX_NO_STREAM); /* believed */
    must_append("new", EX_EXACT(1));  /* known */
    must_append("s-1", EX_ANY);       /* known */
    assert_int_equal(shared_model.begun_blind, 3);
    assert_int_equal(shared_model.begun, QUIET);
    assert_int_equal(shared_model.looked_up, 0);
    assert_int_equal(ex_store_head(store), QUIET + 3);
}

static void test_blind_never_for_a_stream_that_may_exist(void **state)
{
    (void)state;
    be_alone();
    must_append("any", EX_ANY);
    assert_int_equal(shared_model.begun, 1);
    assert_int_equal(shared_model.begun_blind, 0);
    must_append("any", EX_ANY); /* known now, and the others were quiet */
    assert_int_equal(shared_model.begun_blind, 1);
    assert_int_equal(shared_model.begun, 1);
}

/* Streams are believed to be new from the first batch on, but for whoever is not sure. */
static void test_blind_to_new_streams_without_quiet(void **state)
{
    (void)state;
    must_append("new", EX_NO_STREAM);
    must_append("newer", EX_NO_STREAM);
    assert_int_equal(shared_model.begun, 2);
    assert_int_equal(shared_model.asked, 0);
    must_append("any", EX_ANY);
    assert_int_equal(shared_model.asked, 1);
    assert_int_equal(shared_model.begun_blind, 0);
    assert_int_equal(shared_model.looked_up, 0);
}

/* ---- When it was wrong ---- */

static void test_blind_starts_over_when_others_appended(void **state)
{
    (void)state;
    be_alone();
    uint64_t head = ex_store_head(store);
    shared_model_others_append("theirs", "T", "{}");
    ex_appended ret = {0};
    assert_int_equal(append("ours", EX_NO_STREAM, &ret, NULL), EX_OK);
    assert_int_equal(ret.position, head + 2);
    assert_int_equal(shared_model.begun_blind, 1);
    assert_int_equal(shared_model.begun, 1);
    assert_int_equal(shared_model.rolled_back, 1);
    assert_int_equal(shared_model.committed, 1);
    must_append("next", EX_NO_STREAM); /* and asks from then on */
    assert_int_equal(shared_model.begun_blind, 1);
    assert_int_equal(shared_model.begun, 2);
}

/* R-ES-02: the version that others gave is met, not the one that we believed. */
static void test_blind_wrong_belief_is_no_wrong_answer(void **state)
{
    (void)state;
    ex_error err = {0};
    must_append("known", EX_NO_STREAM);
    be_alone();
    shared_model_others_append("known", "T", "{}");
    assert_int_equal(append("known", EX_EXACT(1), NULL, &err), EX_ECONFLICT);
    assert_int_equal(err.current, 2);
    be_alone();
    shared_model_others_append("new", "T", "{}");
    assert_int_equal(append("new", EX_NO_STREAM, NULL, &err), EX_ECONFLICT);
    assert_int_equal(err.current, 1);
}

/* The stream is no news: it was there before, but this node does not know it. */
static void test_blind_stream_that_was_not_new(void **state)
{
    (void)state;
    shared_model_others_append("old", "T", "{}");
    be_alone();
    ex_error err = {0};
    assert_int_equal(append("old", EX_NO_STREAM, NULL, &err), EX_ECONFLICT);
    assert_int_equal(err.current, 1);
    assert_int_equal(shared_model.begun_blind, 1);
    assert_int_equal(shared_model.begun, 1);
}

/* Then it asks for a while, and believes again. */
static void test_blind_to_a_stream_that_is_there(void **state)
{
    (void)state;
    shared_model_others_append("old", "T", "{}");
    ex_error err = {0};
    must_append("first", EX_NO_STREAM); /* knows where the log ends from here on */
    shared_model_reset();
    assert_int_equal(append("old", EX_NO_STREAM, NULL, &err), EX_ECONFLICT);
    assert_int_equal(err.current, 1);
    assert_int_equal(shared_model.begun, 2);
    assert_int_equal(shared_model.asked, 1);
    be_alone();
    must_append("last", EX_NO_STREAM);
    assert_int_equal(shared_model.asked, 0);
}

/* Nothing that is written would prove a refusal. */
static void test_blind_refusal_is_asked_for(void **state)
{
    (void)state;
    must_append("known", EX_NO_STREAM);
    be_alone();
    ex_error err = {0};
    assert_int_equal(append("known", EX_EXACT(7), NULL, &err), EX_ECONFLICT);
    assert_int_equal(shared_model.begun_blind, 1);
    assert_int_equal(shared_model.begun, 1);
    assert_int_equal(shared_model.committed, 0);
    be_alone();
    shared_model_others_append("known", "T", "{}");
    assert_int_equal(append("known", EX_EXACT(2), NULL, NULL), EX_OK); /* it is right by now */
}

/* A commit of unknown fate is not tried again. */
static void test_blind_failed_commit_is_not_repeated(void **state)
{
    (void)state;
    be_alone();
    uint64_t head = ex_store_head(store);
    shared_model.commit_fails = EX_ESTORAGE;
    assert_int_equal(append("x", EX_NO_STREAM, NULL, NULL), EX_ESTORAGE);
    assert_int_equal(shared_model.begun_blind, 1);
    assert_int_equal(shared_model.begun, 0);
    assert_int_equal(ex_store_head(store), head);
    must_append("x", EX_NO_STREAM); /* and nothing of it was stored or is believed to be */
}

/* ---- Submissions that can be staged once ---- */

typedef struct once {
    ex_submission submission; /* first */
    unsigned staged;
    bool writes;
    atomic_bool is_done;
} once;

static ex_status once_stage(ex_submission *s, ex_batch *b, ex_error *err)
{
    static ex_new_event event = {.type = EX_S_INIT("T"), .data = EX_S_INIT("{}")};
    static ex_stream_write write = {EX_S_INIT("once"), {0}, &event, 1};
    write.expected = EX_ANY;
    static ex_append append_once = {.writes = &write, .write_count = 1};
    ((once *)s)->staged++;
    return ex_batch_append(b, &append_once, NULL, err);
}

static void once_done(ex_submission *s, ex_status status, const ex_error *err)
{
    (void)err;
    assert_int_equal(status, EX_OK);
    atomic_store(&((once *)s)->is_done, true);
}

static void test_blind_never_for_what_can_be_staged_once(void **state)
{
    (void)state;
    be_alone();
    once o = {.submission = {.stage = once_stage, .done = once_done}};
    assert_int_equal(ex_store_submit(store, &o.submission, NULL), EX_OK);
    while (!atomic_load(&o.is_done)) {
    }
    assert_int_equal(o.staged, 1);
    assert_int_equal(shared_model.begun_blind, 0);
    assert_int_equal(shared_model.begun, 1);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_blind_after_quiet_batches),
        TEST(test_blind_never_for_a_stream_that_may_exist),
        TEST(test_blind_to_new_streams_without_quiet),
        TEST(test_blind_to_a_stream_that_is_there),
        TEST(test_blind_starts_over_when_others_appended),
        TEST(test_blind_wrong_belief_is_no_wrong_answer),
        TEST(test_blind_stream_that_was_not_new),
        TEST(test_blind_refusal_is_asked_for),
        TEST(test_blind_failed_commit_is_not_repeated),
        TEST(test_blind_never_for_what_can_be_staged_once),
    };
    return cmocka_run_group_tests_name("blind batch", tests, NULL, NULL);
}
