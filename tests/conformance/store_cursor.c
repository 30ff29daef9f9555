/* store_cursor.c: what a cursor holds while its user does nothing, and how a long search ends.
 * Issue 8, items 12 and 13; G-601, G-603, G-604. */
#include "conformance/store_suite.h"

#include <excore/cancel.h>

#include "sql/postgres/pg_conn.h"
#include "store/cursor.h"

static void fill_tagged(suite *s, uint32_t count)
{
    static const ex_slice odd[] = {EX_S_INIT("n:odd"), EX_S_INIT("k:all")},
                          even[] = {EX_S_INIT("n:even"), EX_S_INIT("k:all")};
    static ex_new_event events[100];
    for (uint32_t i = 0; i < 100; i++)
        events[i] = EVENT("T", "{}", .tags = i % 2 ? even : odd, .tag_count = 2);
    for (uint32_t done = 0; done < count; done += 100)
        assert_int_equal(suite_append(s, "a", EX_ANY, events, 100, NULL, NULL), EX_OK);
}

static void assert_next(ex_cursor *c, uint64_t position)
{
    ex_event e;
    ex_error err = {0};
    if (ex_cursor_next(c, &e, &err))
        fail_msg("position %llu: %s", (unsigned long long)position, err.message);
    assert_int_equal(e.position, position);
}

/* Nobody is in a transaction, and no statement runs. */
static void assert_nothing_is_held(suite *s)
{
    ex_pg *pg = NULL;
    ex_pg_result r = {0};
    if (s->driver != SUITE_POSTGRES)
        return;
    assert_int_equal(ex_pg_open(&(ex_pg_options){.url = s->dir}, &pg, NULL), EX_OK);
    assert_int_equal(
        ex_pg_run(pg,
                  EX_S("SELECT count(*) FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid "
                       "WHERE a.pid <> pg_backend_pid() AND l.relation = 'events'::regclass"),
                  NULL, &r, NULL),
        EX_OK);
    assert_int_equal(ex_pg_get_i64(&r, 0, 0), 0);
    ex_pg_result_free(&r);
    ex_pg_close(pg);
}

/* G-601: with one read connection, any number of cursors stand still and go on by turns. */
static void test_cursor_holds_nothing_while_its_user_does_nothing(void **state)
{
    suite *s = *state;
    static const ex_slice odd = EX_S_INIT("n:odd");
    const ex_query_item item = {NULL, 0, &odd, 1};
    const ex_filter filter = {.query = {&item, 1}};
    fill_tagged(s, 1000);
    if (!suite_forgets(s))
        suite_reopen(s, &(ex_store_options){.reader_limit = 1});
    ex_cursor *log = NULL, *odds = NULL, *forward = NULL, *backward = NULL;
    const ex_read_log read = {0}, filtered = {.filter = &filter};
    const ex_read_stream up = {.stream = EX_S("a")},
                         down = {.stream = EX_S("a"), .direction = EX_BACKWARD};
    assert_int_equal(ex_store_read_log(s->store, &read, &log, NULL), EX_OK);
    assert_int_equal(ex_store_read_log(s->store, &filtered, &odds, NULL), EX_OK);
    assert_int_equal(ex_store_read_stream(s->store, &up, &forward, NULL), EX_OK);
    assert_int_equal(ex_store_read_stream(s->store, &down, &backward, NULL), EX_OK);
    for (uint64_t i = 1; i <= 1000; i++) {
        assert_next(log, i);
        assert_next(forward, i);
        assert_next(backward, 1001 - i);
        if (i % 2)
            assert_next(odds, i);
        if (i == 500) {
            assert_nothing_is_held(s);
            assert_int_equal(suite_version(s, "a"), 1000);
            suite_fill(s, "a", 10); /* behind what they may see */
        }
    }
    ex_event e;
    ex_cursor *const all[] = {log, odds, forward, backward};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(ex_cursor_next(all[i], &e, NULL), EX_EEND);
        assert_int_equal(ex_cursor_next(all[i], &e, NULL), EX_EEND);
        ex_cursor_close(all[i]);
    }
}

/* ---- A search that finds nothing ---- */

/* Each look at it is later by more than a slice. */
static uint64_t hasty_ns(void *ctx)
{
    uint64_t *now = ctx;
    return __atomic_add_fetch(now, UINT64_C(30000000), __ATOMIC_RELAXED);
}

static int64_t real_us(void *ctx)
{
    (void)ctx;
    return ex_now_us(ex_clock_system());
}

static ex_status real_random(void *ctx, void *out, size_t n)
{
    (void)ctx;
    return ex_clock_system()->random(NULL, out, n);
}

static const ex_slice never[] = {EX_S_INIT("n:odd"), EX_S_INIT("n:even")};
static const ex_query_item never_item = {NULL, 0, never, 2};
static const ex_filter nothing = {.query = {&never_item, 1}};

/* G-603: it is done in slices, after each of which the caller is back and the reader is free. */
static void test_cursor_searches_in_slices(void **state)
{
    suite *s = *state;
    uint64_t now = 0;
    const ex_clock hasty = {real_us, hasty_ns, real_random, &now};
    if (suite_forgets(s))
        skip();
    fill_tagged(s, 2000);
    suite_reopen(s, &(ex_store_options){.reader_limit = 1, .clock = &hasty});
    ex_cursor *c = NULL;
    ex_event e;
    ex_status st;
    uint64_t at = 0, slices = 0;
    const ex_read_log read = {.filter = &nothing};
    assert_int_equal(ex_store_read_log(s->store, &read, &c, NULL), EX_OK);
    for (; (st = ex_cursor_try(c, &e, NULL)) == EX_EAGAIN; slices++) {
        assert_true(ex_cursor_position(c) > at);
        at = ex_cursor_position(c);
        assert_int_equal(suite_version(s, "a"), 2000);
    }
    assert_int_equal(st, EX_EEND);
    assert_int_equal(ex_cursor_position(c), 2000);
    if (s->driver != SUITE_POSTGRES) /* which has its own time there: store_postgres_search.c */
        assert_true(slices > 5);
    ex_cursor_close(c);
    assert_int_equal(ex_store_read_log(s->store, &read, &c, NULL), EX_OK);
    assert_int_equal(ex_cursor_next(c, &e, NULL), EX_EEND);
    ex_cursor_close(c);
    suite_reopen(s, NULL);
}

/* G-604: and it ends when nobody wants it any more; what follows can go on from there. */
static void test_cursor_is_cancelled(void **state)
{
    suite *s = *state;
    ex_cancel *cancel = NULL;
    ex_cursor *c = NULL, *stream = NULL;
    ex_event e;
    fill_tagged(s, 1000);
    assert_int_equal(ex_cancel_new(&cancel, NULL), EX_OK);
    const ex_read_log read = {.cancel = cancel};
    const ex_read_stream read_stream = {.stream = EX_S("a"), .cancel = cancel};
    assert_int_equal(ex_store_read_log(s->store, &read, &c, NULL), EX_OK);
    assert_int_equal(ex_store_read_stream(s->store, &read_stream, &stream, NULL), EX_OK);
    assert_next(c, 1);
    assert_int_equal(ex_cursor_position(c), 1);
    ex_cancel_request(cancel);
    ex_status st;
    uint64_t last = 1;
    while ((st = ex_cursor_next(c, &e, NULL)) == EX_OK)
        last = e.position; /* what was read ahead */
    assert_int_equal(st, EX_ECANCELLED);
    assert_true(last < 1000);
    assert_int_equal(ex_cursor_position(c), last);
    assert_int_equal(ex_cursor_next(stream, &e, NULL), EX_ECANCELLED);
    ex_cursor_close(c);
    ex_cursor_close(stream);
    ex_cancel_free(cancel);
    assert_int_equal(ex_store_read_log(s->store, &(ex_read_log){.after = last}, &c, NULL), EX_OK);
    assert_next(c, last + 1);
    ex_cursor_close(c);
}

int store_cursor_tests(suite *s)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_cursor_holds_nothing_while_its_user_does_nothing),
        STORE_TEST(test_cursor_searches_in_slices),
        STORE_TEST(test_cursor_is_cancelled),
    };
    return cmocka_run_group_tests_name("cursors", tests, NULL, NULL);
}
