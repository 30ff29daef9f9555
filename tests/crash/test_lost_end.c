/* test_lost_end.c: a PostgreSQL that crashes under durability normal loses the end of the log under
 * two running nodes (issue 8, items 1 and 14; G-102, G-104).
 *
 * A server of its own that does not write its WAL for as long as it may. Both
 * nodes, one of them idle, go on by themselves; what was lost is an epoch;
 * followers that saw it end, the others go on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <excore/clock.h>
#include <excore/store.h>

#include "support/postgres.h"
#include "support/temp_dir.h"

enum { ROUNDS = 1, TRIES = 8, LOST = 20 };

#define RECOVERY_MS                                                                                \
    10000 /* from when the database answers; on a quiet machine less than one second */

static uint64_t now_ms(void)
{
    return ex_monotonic_ns(ex_clock_system()) / 1000000;
}

static void rest(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL); /* a shorter one is fine */
}

static ex_store *open_node(const char *url, ex_durability durability)
{
    const ex_store_options options = {.durability = durability};
    ex_store *s = NULL;
    ex_error err = {0};
    if (ex_store_open(url, &options, &s, &err))
        fail_msg("open: %s", err.message);
    return s;
}

static ex_status append(ex_store *s, const char *stream, ex_error *err)
{
    const ex_new_event event = {.type = EX_S("T"), .data = EX_S("{}")};
    const ex_stream_write write = {ex_str(stream), EX_ANY, &event, 1};
    const ex_append a = {.writes = &write, .write_count = 1};
    return ex_store_append(s, &a, NULL, err);
}

static void must_append(ex_store *s, const char *stream, unsigned count)
{
    ex_error err = {0};
    for (unsigned i = 0; i < count; i++)
        if (append(s, stream, &err))
            fail_msg("append: %s", err.message);
}

static void wait_for_head(ex_store *s, uint64_t head)
{
    while (ex_store_head(s) < head)
        rest();
}

static ex_subscription *follow(ex_store *s, uint64_t after, uint64_t upto)
{
    ex_subscription *sub = NULL;
    ex_event event;
    ex_error err = {0};
    const ex_subscribe subscribe = {.after = after};
    assert_int_equal(ex_store_subscribe(s, &subscribe, &sub, NULL), EX_OK);
    for (uint64_t i = after + 1; i <= upto; i++) {
        if (ex_subscription_next(sub, 5000, &event, &err))
            fail_msg("follow: %s", err.message);
        assert_int_equal(event.position, i);
    }
    return sub;
}

static void crash(const char *dir)
{
    assert_true(postgres_run("kill", dir, NULL, 0));
    assert_true(postgres_run("start", dir, NULL, 0));
}

/* By itself: nobody appends here. */
static void wait_for_epoch(ex_store *s, const ex_id *before, uint64_t until_ms)
{
    ex_id now = ex_store_epoch(s).id;
    while (ex_id_eq(&now, before)) {
        if (now_ms() > until_ms)
            fail_msg("the idle node has not learned of the epoch");
        rest();
        now = ex_store_epoch(s).id;
    }
}

static void append_in_time(ex_store *s, const char *stream, uint64_t until_ms)
{
    ex_error err = {0};
    ex_status st;
    while ((st = append(s, stream, &err)) != EX_OK) {
        if (!ex_status_is_retryable(st) || now_ms() > until_ms)
            fail_msg("the node does not go on: %s", err.message);
        rest();
    }
}

static void expect_changed(ex_subscription *sub, uint64_t first)
{
    ex_event event;
    ex_error err = {0};
    ex_status st;
    while ((st = ex_subscription_next(sub, 5000, &event, &err)) == EX_OK)
        fail_msg("an event of another history: position %llu", (unsigned long long)event.position);
    assert_int_equal(st, EX_ELOGCHANGED);
    assert_int_equal(err.position, first);
    ex_subscription_close(sub);
}

static void expect_next(ex_subscription *sub, uint64_t first, uint64_t last)
{
    ex_event event;
    ex_error err = {0};
    for (uint64_t i = first; i <= last; i++) {
        ex_status st;
        while ((st = ex_subscription_next(sub, 5000, &event, &err)) == EX_ESTORAGE)
            rest();
        if (st)
            fail_msg("follow: %s", err.message);
        assert_int_equal(event.position, i);
    }
    ex_subscription_close(sub);
}

static uint64_t count_log(ex_store *s, const char *stream)
{
    ex_cursor *c = NULL;
    ex_event e;
    uint64_t position = 0, found = 0;
    assert_int_equal(ex_store_read_log(s, &(ex_read_log){0}, &c, NULL), EX_OK);
    while (ex_cursor_next(c, &e, NULL) == EX_OK) {
        assert_int_equal(e.position, ++position);
        found += ex_slice_is(e.stream, stream);
    }
    ex_cursor_close(c);
    return found;
}

static void close_all(ex_subscription *const *subs, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        ex_subscription_close(subs[i]);
}

/* @return false: the server wrote all of it in time */
static bool lose_end(const char *url, const char *dir, bool is_blind)
{
    ex_store *full = open_node(url, EX_DURABILITY_FULL);
    must_append(full, "kept", 1);
    uint64_t kept = ex_store_head(full);
    ex_store_close(full);
    ex_store *node = open_node(url, EX_DURABILITY_NORMAL),
             *idle = open_node(url, EX_DURABILITY_NORMAL);
    ex_id before = ex_store_epoch(node).id;
    if (is_blind) { /* it has been alone for long: the crash is met by a commit */
        must_append(node, "kept", 40);
        full = open_node(url, EX_DURABILITY_FULL);
        must_append(full, "kept", 1);
        kept = ex_store_head(full);
        ex_store_close(full);
        wait_for_head(node, kept);
    }
    must_append(node, "lost", LOST);
    wait_for_head(idle, kept + LOST);
    ex_subscription *live = follow(node, kept, kept + LOST),
                    *live_idle = follow(idle, kept, kept + LOST);
    ex_subscription *behind = follow(node, kept - 1, kept), *fresh = follow(idle, 0, 0);
    crash(dir);
    uint64_t back_ms = now_ms(), until_ms = back_ms + RECOVERY_MS;
    wait_for_epoch(idle, &before, until_ms);
    append_in_time(node, "new", until_ms);
    append_in_time(idle, "new", until_ms);
    print_message("both nodes went on %llu ms after the database\n",
                  (unsigned long long)(now_ms() - back_ms));
    ex_log_epoch epoch = ex_store_epoch(node), same = ex_store_epoch(idle);
    assert_true(ex_id_eq(&epoch.id, &same.id));
    assert_int_equal(epoch.reason, EX_EPOCH_RECOVERED);
    assert_in_range(epoch.first, kept + 1, kept + LOST + 1);
    bool is_lost = epoch.first <= kept + LOST;
    if (!is_lost) {
        close_all((ex_subscription *[]){live, live_idle, behind, fresh}, 4);
        ex_store_close(node);
        ex_store_close(idle);
        return false;
    }
    uint64_t last = epoch.first + 1;
    wait_for_head(node, last);
    assert_int_equal(ex_store_head(node), last);
    expect_changed(live, epoch.first);
    expect_changed(live_idle, epoch.first);
    expect_next(behind, kept + 1, last);
    expect_next(fresh, 1, last);
    assert_int_equal(ex_store_check_position(node, &before, epoch.first - 1, NULL), EX_OK);
    assert_int_equal(ex_store_check_position(idle, &before, epoch.first, NULL), EX_ELOGCHANGED);
    assert_int_equal(ex_store_check_position(idle, &epoch.id, last, NULL), EX_OK);
    assert_int_equal(count_log(node, "new"), count_log(idle, "new"));
    ex_store_close(node);
    ex_store_close(idle);
    return true;
}

/* The server goes, however the test ends. */
static temp_dir place;
static char server_url[POSTGRES_URL_SIZE];

static int start_server(void **state)
{
    (void)state;
    place = temp_dir_make();
    (void)setenv("EXCORE_POSTGRES_OPTIONS", "-c wal_writer_delay=10s -c autovacuum=off", 1);
    return postgres_run("start", place.path, server_url, sizeof(server_url)) ? 0 : -1;
}

static int remove_server(void **state)
{
    (void)state;
    bool is_down = postgres_run("kill", place.path, NULL, 0); /* its WAL writer takes its time */
    is_down &= postgres_run("remove", place.path, NULL, 0);
    temp_dir_remove(&place);
    return is_down ? 0 : -1;
}

static void test_lost_end_is_an_epoch(void **state)
{
    (void)state;
    int lost = 0;
    for (int i = 0; lost < ROUNDS && i < TRIES; i++)
        lost += lose_end(server_url, place.path, lost % 2 == 0);
    assert_int_equal(lost, ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lost_end_is_an_epoch),
    };
    return cmocka_run_group_tests_name("lost end", tests, start_server, remove_server);
}
