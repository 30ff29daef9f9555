/* store_blind.c: a node that was alone for a while believes that it still is; another one appends.
 * R-ES-02/05/12. PostgreSQL only.
 *
 * Whether a batch is blind cannot be told from outside (unit/store/test_blind_batch.c can): here
 * the other node appends at the moment when it should be, and the answers must be right. */
#include "conformance/store_suite.h"

#include <stdio.h>

#include "store/submission.h"

static const ex_id no_id;

enum { ALONE = 20, BURSTS = 12, BURST = 30 };

#define SKIP_WITHOUT_POSTGRES(s)                                                                   \
    if ((s)->driver != SUITE_POSTGRES)                                                             \
    skip()

static ex_store *open_other(const suite *s)
{
    ex_store *other = NULL;
    ex_error err = {0};
    if (ex_store_open(s->dir, NULL, &other, &err))
        fail_msg("%s", err.message);
    return other;
}

static ex_status append_one(ex_store *store, const char *stream, ex_expected expected, ex_id id,
                            ex_appended *ret, ex_error *err)
{
    ex_new_event event = EVENT("T", "{}", .id = id);
    ex_stream_write write = {ex_str(stream), expected, &event, 1};
    ex_append append = {.writes = &write, .write_count = 1};
    return ex_store_append(store, &append, ret, err);
}

static ex_appended must_append(ex_store *store, const char *stream, ex_expected expected, ex_id id)
{
    ex_appended ret = {0};
    ex_error err = {0};
    if (append_one(store, stream, expected, id, &ret, &err))
        fail_msg("%s: %s", stream, err.message);
    return ret;
}

/* As long as it takes to believe. */
static void be_alone(ex_store *store)
{
    static unsigned number;
    for (int i = 0; i < ALONE; i++) {
        char stream[32];
        (void)snprintf(stream, sizeof(stream), "alone-%u", number++);
        (void)must_append(store, stream, EX_NO_STREAM, no_id);
    }
}

/* R-ES-12: positions are contiguous whoever appends, and each append is acknowledged with its own.
 */
static void test_blind_bursts_of_two_nodes_follow_each_other(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_POSTGRES(s);
    ex_store *nodes[] = {s->store, open_other(s)};
    uint64_t position = 0;
    for (unsigned burst = 0; burst < BURSTS; burst++) {
        for (unsigned i = 0; i < BURST; i++) {
            char stream[32];
            (void)snprintf(stream, sizeof(stream), "s-%u-%u", burst, i);
            ex_appended a = must_append(nodes[burst % 2], stream, EX_NO_STREAM, no_id);
            assert_int_equal(a.position, ++position);
            assert_int_equal(a.version, 1);
        }
        /* a stream of both */
        ex_appended a = must_append(nodes[burst % 2], "both", EX_EXACT(burst), no_id);
        assert_int_equal(a.position, ++position);
    }
    while (ex_store_head(s->store) < position) {
    } /* it hears of the last burst a moment later */
    uint64_t have[BURSTS * (BURST + 1) + 1];
    assert_int_equal(suite_read_log(s, 0, NULL, have, BURSTS * (BURST + 1) + 1), position);
    assert_int_equal(have[position - 1], position);
    ex_store_close(nodes[1]);
}

/* A stream of one case only. */
static const char *name_of(const char *stream, size_t number, char out[16])
{
    (void)snprintf(out, 16, "%s-%zu", stream, number);
    return out;
}

/* What the other one does in the meantime, and what must come of ours. */
static void test_blind_belief_that_is_wrong_changes_no_answer(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_POSTGRES(s);
    static const struct {
        const char *name;
        const char *before; /* the node itself appends to it first, with id 1 */
        const char *theirs; /* then the other one, with id 2 */
        const char *ours;
        enum { NO_STREAM, EXACT_1, EXISTS, ANY } expected;
        uint8_t id;
        ex_status want;
        uint64_t version; /* of the answer; in the error: current */
        bool is_duplicate;
    } cases[] = {
        {"new there", NULL, "x", "x", NO_STREAM, 3, EX_ECONFLICT, 1, false},
        {"new there, any version", NULL, "x", "x", ANY, 3, EX_OK, 2, false},
        {"new there, must exist", NULL, "x", "x", EXISTS, 3, EX_OK, 2, false},
        {"nothing there, must exist", NULL, "y", "x", EXISTS, 3, EX_ECONFLICT, 0, false},
        {"longer there", "x", "x", "x", EXACT_1, 3, EX_ECONFLICT, 2, false},
        {"longer there, any version", "x", "x", "x", ANY, 3, EX_OK, 3, false},
        {"another stream", "x", "y", "x", EXACT_1, 3, EX_OK, 2, false},
        {"repeated there", NULL, "x", "x", NO_STREAM, 2, EX_OK, 1, true},
        {"repeated here", "x", "y", "x", NO_STREAM, 1, EX_OK, 1, true},
        {"repeated behind it", "x", "x", "x", EXACT_1, 2, EX_OK, 2, true},
    };
    const ex_expected expected[] = {EX_NO_STREAM, EX_EXACT(1), EX_EXISTS, EX_ANY};
    ex_store *other = open_other(s);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char name[16];
        if (cases[i].before)
            (void)must_append(s->store, name_of(cases[i].before, i, name), EX_NO_STREAM,
                              suite_id(1));
        be_alone(s->store);
        (void)must_append(other, name_of(cases[i].theirs, i, name), EX_ANY, suite_id(2));
        ex_appended ret = {0};
        ex_error err = {0};
        ex_status st = append_one(s->store, name_of(cases[i].ours, i, name),
                                  expected[cases[i].expected], suite_id(cases[i].id), &ret, &err);
        if (st != cases[i].want || (st ? err.current : ret.version) != cases[i].version ||
            ret.is_duplicate != cases[i].is_duplicate)
            fail_msg("%s: status %d, version %llu, %s", cases[i].name, st,
                     (unsigned long long)(st ? err.current : ret.version), err.message);
    }
    ex_store_close(other);
}

/* R-ES-05: its cache is empty after a restart, and nothing but the index of streams knows better.
 */
static void test_blind_retry_after_a_restart_is_a_duplicate(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_POSTGRES(s);
    ex_appended first = must_append(s->store, "x", EX_NO_STREAM, suite_id(1));
    suite_reopen(s, NULL);
    be_alone(s->store);
    ex_appended again = must_append(s->store, "x", EX_NO_STREAM, suite_id(1));
    assert_true(again.is_duplicate);
    assert_int_equal(again.position, first.position);
    be_alone(s->store);
    ex_error err = {0};
    assert_int_equal(append_one(s->store, "x", EX_NO_STREAM, suite_id(9), NULL, &err),
                     EX_ECONFLICT);
    suite_reopen(s, NULL);
    be_alone(s->store);
    assert_int_equal(append_one(s->store, "x", EX_NO_STREAM, suite_id(9), NULL, &err),
                     EX_ECONFLICT);
    assert_int_equal(err.current, 1);
}

int store_blind_tests(suite *s)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_blind_bursts_of_two_nodes_follow_each_other),
        STORE_TEST(test_blind_belief_that_is_wrong_changes_no_answer),
        STORE_TEST(test_blind_retry_after_a_restart_is_a_duplicate),
    };
    return cmocka_run_group_tests_name("store blind", tests, NULL, NULL);
}
