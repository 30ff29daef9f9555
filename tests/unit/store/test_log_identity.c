/* test_log_identity.c: epochs of a log: what is still current, and what followers and cursors do
 * when one is opened under them (issue 8, item 1; G-101, G-102). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "store/store_internal.h"
#include "support/assert_ok.h"

static ex_id id_of(uint8_t n)
{
    ex_id id = {.bytes = {n}};
    return id;
}

/* ---- The list ---- */

static void test_log_identity_tells_what_is_current(void **state)
{
    (void)state;
    /* 3 lost the end of 2; 4 was opened over what is there; 5 went back before 3 and 4 */
    const ex_log_epoch list[] = {{.id = id_of(1), .first = 1},
                                 {.id = id_of(2), .first = 101},
                                 {.id = id_of(3), .first = 151},
                                 {.id = id_of(4), .first = 151},
                                 {.id = id_of(5), .first = 121}};
    static const struct {
        const char *name;
        uint32_t count;
        uint8_t epoch;
        uint64_t want;
    } rows[] = {
        {"no epochs at all", 0, 1, 0},
        {"the only one", 1, 1, UINT64_MAX},
        {"the last one", 4, 4, UINT64_MAX},
        {"one before", 2, 1, 101},
        {"an epoch without events ends where it began", 4, 3, 151},
        {"the lowest of all later ones", 5, 3, 121},
        {"also when an earlier one begins lower", 5, 1, 101},
        {"unknown", 5, 9, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ex_id id = id_of(rows[i].epoch);
        uint64_t have = log_epochs_bound(list, rows[i].count, &id);
        if (have != rows[i].want)
            fail_msg("%s: %llu instead of %llu", rows[i].name, (unsigned long long)have,
                     (unsigned long long)rows[i].want);
    }
}

/* A copy may list the epochs of its source once more, after its own. */
static void test_log_identity_goes_by_the_last_of_two(void **state)
{
    (void)state;
    const ex_log_epoch list[] = {{.id = id_of(1), .first = 1},
                                 {.id = id_of(8), .first = 1},
                                 {.id = id_of(1), .first = 1},
                                 {.id = id_of(9), .first = 301}};
    ex_id id = id_of(1);
    assert_int_equal(log_epochs_bound(list, 4, &id), 301);
}

static void test_log_identity_keeps_the_newest(void **state)
{
    (void)state;
    enum { MANY = LOG_EPOCHS_KEPT + 10 };
    ex_log_epoch *list = calloc(MANY, sizeof(*list)), newest[3];
    log_identity li;
    assert_non_null(list);
    for (uint32_t i = 0; i < MANY; i++) {
        list[i].id.bytes[0] = (uint8_t)(i >> 8);
        list[i].id.bytes[1] = (uint8_t)i;
        list[i].first = 1 + i;
    }
    log_identity_init(&li);
    ex_id log_id = id_of(77);
    assert_int_equal(log_identity_set(&li, &log_id, list, MANY, NULL), EX_OK);
    uint64_t generation = log_identity_generation(&li);
    assert_int_equal(log_identity_list(&li, newest, 3), LOG_EPOCHS_KEPT);
    assert_int_equal(newest[2].first, MANY);
    assert_int_equal(newest[0].first, MANY - 2);
    assert_int_equal(log_identity_bound(&li, &list[9].id, NULL), 0); /* forgotten: unknown */
    assert_int_equal(log_identity_bound(&li, &list[10].id, NULL), 12);
    assert_int_equal(log_identity_set(&li, &log_id, list, MANY, NULL), EX_OK);
    assert_int_equal(log_identity_generation(&li), generation); /* the same */
    assert_int_equal(log_identity_set(&li, &log_id, list, MANY - 1, NULL), EX_OK);
    assert_int_equal(log_identity_generation(&li), generation + 1);
    log_identity_done(&li);
    free(list);
}

static void test_log_identity_names_its_reasons(void **state)
{
    (void)state;
    assert_string_equal(ex_epoch_reason_name(EX_EPOCH_CREATED), "created");
    assert_string_equal(ex_epoch_reason_name(EX_EPOCH_COPIED), "copied");
    assert_string_equal(ex_epoch_reason_name((ex_epoch_reason)99), "unknown");
}

/* ---- Under a running store ---- */

static ex_store *open_filled(uint32_t events)
{
    const ex_store_options options = {.in_memory = true};
    ex_store *s = NULL;
    ex_error err = {0};
    assert_int_equal(ex_store_open(NULL, &options, &s, &err), EX_OK);
    for (uint32_t i = 0; i < events; i++) {
        const ex_new_event event = {.type = EX_S("Added"), .data = EX_S("{}")};
        const ex_stream_write write = {EX_S("a"), EX_ANY, &event, 1};
        const ex_append append = {.writes = &write, .write_count = 1};
        assert_int_equal(ex_store_append(s, &append, NULL, &err), EX_OK);
    }
    return s;
}

/* What the sequencer does when its driver tells of an epoch; nobody appends meanwhile. */
static void open_epoch(ex_store *s, uint64_t first)
{
    ex_log_epoch list[8];
    uint32_t count = ex_store_epochs(s, list, 8);
    ex_id log_id = ex_store_log_id(s);
    assert_int_equal(log_epoch_make(first, EX_EPOCH_RECOVERED, &list[count], NULL), EX_OK);
    live_restart(&s->live, first - 1);
    assert_int_equal(log_identity_set(&s->identity, &log_id, list, count + 1, NULL), EX_OK);
    live_restart(&s->live, 10); /* as if somebody had written anew up to here */
    live_wake(&s->live);
}

static ex_subscription *follow_to(ex_store *s, uint64_t position)
{
    ex_subscription *sub = NULL;
    ex_event event;
    const ex_subscribe subscribe = {.after = 0};
    assert_int_equal(ex_store_subscribe(s, &subscribe, &sub, NULL), EX_OK);
    for (uint64_t i = 1; i <= position; i++) {
        assert_int_equal(ex_subscription_next(sub, 5000, &event, NULL), EX_OK);
        assert_int_equal(event.position, i);
    }
    return sub;
}

static void test_log_identity_ends_followers_that_saw_more(void **state)
{
    (void)state;
    ex_store *s = open_filled(10);
    ex_subscription *below = follow_to(s, 5), *beyond = follow_to(s, 6), *live = follow_to(s, 10);
    ex_id before = ex_subscription_epoch(below);
    ex_event event;
    ex_error err = {0};
    open_epoch(s, 6);
    ex_log_epoch now = ex_store_epoch(s);
    for (uint64_t i = 6; i <= 10; i++) {
        assert_int_equal(ex_subscription_next(below, 5000, &event, NULL), EX_OK);
        assert_int_equal(event.position, i);
    }
    assert_true(ex_id_eq(&now.id, &(ex_id){0}) == false);
    ex_id after = ex_subscription_epoch(below);
    assert_true(ex_id_eq(&after, &now.id));
    assert_false(ex_id_eq(&after, &before));
    for (int i = 0; i < 2; i++) { /* and it stays so */
        assert_int_equal(ex_subscription_next(beyond, 5000, &event, &err), EX_ELOGCHANGED);
        assert_int_equal(err.position, 6);
        assert_int_equal(ex_subscription_next(live, 5000, &event, &err), EX_ELOGCHANGED);
    }
    ex_subscription_close(below);
    ex_subscription_close(beyond);
    ex_subscription_close(live);
    ex_store_close(s);
}

/* Blocks of the ring and chunks of the log that are in hand belong to the epoch before. */
static void test_log_identity_drops_what_is_in_hand(void **state)
{
    (void)state;
    ex_store *s = open_filled(10);
    ex_subscription *sub = follow_to(s, 3); /* a chunk of ten is in hand */
    ex_event event;
    open_epoch(s, 6);
    assert_int_equal(ex_subscription_next(sub, 0, &event, NULL), EX_OK);
    assert_int_equal(event.position, 4);
    ex_id have = ex_subscription_epoch(sub), want = ex_store_epoch(s).id;
    assert_true(ex_id_eq(&have, &want));
    ex_subscription_close(sub);
    ex_store_close(s);
}

static void test_log_identity_ends_cursors_that_see_more(void **state)
{
    (void)state;
    ex_store *s = open_filled(10);
    ex_cursor *c = NULL;
    ex_event event;
    assert_int_equal(ex_store_read_log(s, &(ex_read_log){0}, &c, NULL), EX_OK);
    assert_int_equal(ex_cursor_next(c, &event, NULL), EX_OK);
    open_epoch(s, 3);
    assert_int_equal(ex_cursor_next(c, &event, NULL), EX_OK);
    assert_int_equal(event.position, 2);
    assert_int_equal(ex_cursor_next(c, &event, NULL), EX_ELOGCHANGED);
    ex_cursor_close(c);
    ex_store_close(s);
}

static void test_log_identity_is_checked_when_subscribing(void **state)
{
    (void)state;
    ex_store *s = open_filled(10);
    ex_id first = ex_store_epoch(s).id, unknown = id_of(200);
    open_epoch(s, 6);
    ex_id second = ex_store_epoch(s).id;
    const struct {
        const char *name;
        const ex_id *epoch;
        uint64_t position;
        ex_status subscribe, check;
    } rows[] = {
        {"below", &first, 5, EX_OK, EX_OK},
        {"the first that may differ", &first, 6, EX_ELOGCHANGED, EX_ELOGCHANGED},
        {"the epoch of now", &second, 10, EX_OK, EX_OK},
        {"the epoch of now, ahead", &second, 11, EX_OK, EX_EAHEAD},
        {"unknown epoch", &unknown, 0, EX_ELOGCHANGED, EX_ELOGCHANGED},
        {"no epoch", NULL, 10, EX_OK, EX_OK},
        {"no epoch, ahead", NULL, 11, EX_OK, EX_EAHEAD},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const ex_subscribe subscribe = {.after = rows[i].position, .epoch = rows[i].epoch};
        ex_subscription *sub = NULL;
        ex_error err = {0};
        ex_status st = ex_store_check_position(s, rows[i].epoch, rows[i].position, &err);
        if (st != rows[i].check || (st && err.current != 10))
            fail_msg("%s: checked %s, head %llu", rows[i].name, ex_status_code(st),
                     (unsigned long long)err.current);
        st = ex_store_subscribe(s, &subscribe, &sub, NULL);
        if (st != rows[i].subscribe)
            fail_msg("%s: subscribed %s", rows[i].name, ex_status_code(st));
        ex_subscription_close(sub);
    }
    ex_store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_identity_tells_what_is_current),
        cmocka_unit_test(test_log_identity_goes_by_the_last_of_two),
        cmocka_unit_test(test_log_identity_keeps_the_newest),
        cmocka_unit_test(test_log_identity_names_its_reasons),
        cmocka_unit_test(test_log_identity_ends_followers_that_saw_more),
        cmocka_unit_test(test_log_identity_drops_what_is_in_hand),
        cmocka_unit_test(test_log_identity_ends_cursors_that_see_more),
        cmocka_unit_test(test_log_identity_is_checked_when_subscribing),
    };
    return cmocka_run_group_tests_name("store log identity", tests, NULL, NULL);
}
