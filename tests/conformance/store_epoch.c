/* store_epoch.c: the commit that opens an epoch is lost itself. PostgreSQL only. (issue 8, items 1 and 14)
 *
 * The witness is taken away and the node's sessions end, as after a crash; what the node then tries to
 * write is lost on its way, or its answer is. */
#include "conformance/store_suite.h"

#include <stdio.h>

#include <excore/clock.h>

#include "sql/postgres/pg_conn.h"
#include "support/pg_proxy.h"
#include "support/postgres.h"

enum { EPOCHS = 8, ANSWER_MS = 2000 };

#define SKIP_WITHOUT_POSTGRES(s)                                                                   \
    if ((s)->driver != SUITE_POSTGRES)                                                             \
    skip()

typedef struct fixture {
    pg_proxy *proxy;
    ex_pg *raw;
    ex_store *store; /* the node, through the proxy */
    ex_store *other; /* the suite's */
    char url[POSTGRES_URL_SIZE];
    ex_error err;
} fixture;

static int64_t ask(fixture *f, const char *sql)
{
    ex_pg_result r = {0};
    if (ex_pg_run(f->raw, ex_str(sql), NULL, &r, &f->err))
        fail_msg("%s", f->err.message);
    int64_t value = r.rows ? ex_pg_get_i64(&r, 0, 0) : -1;
    ex_pg_result_free(&r);
    return value;
}

static ex_status append(fixture *f, ex_store *store)
{
    const ex_new_event event = EVENT("T", "{}");
    const ex_stream_write write = {EX_S("a"), EX_ANY, &event, 1};
    const ex_append a = {.writes = &write, .write_count = 1};
    return ex_store_append(store, &a, NULL, &f->err);
}

static void must_append(fixture *f, ex_store *store)
{
    if (append(f, store))
        fail_msg("%s", f->err.message);
}

static ex_status open_node(fixture *f)
{
    const ex_store_options options = {.answer_timeout_ms = ANSWER_MS};
    return ex_store_open(f->url, &options, &f->store, &f->err);
}

static void set_up(suite *s, fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->other = s->store;
    f->proxy = pg_proxy_new(s->dir);
    int len = snprintf(f->url, sizeof(f->url), "%s&application_name=lossy", pg_proxy_url(f->proxy));
    assert_true(len > 0 && (size_t)len < sizeof(f->url));
    if (ex_pg_open(&(ex_pg_options){.url = s->dir}, &f->raw, &f->err) || open_node(f))
        fail_msg("%s", f->err.message);
    must_append(f, f->store);
    must_append(f, f->other);
}

static void tear_down(fixture *f)
{
    ex_store_close(f->store);
    ex_pg_close(f->raw);
    pg_proxy_free(f->proxy);
}

/* ---- Losing ---- */

typedef enum loss { LOSE_ANSWERS, LOSE_QUESTION, HOLD_QUESTION } loss;

static const struct {
    const char *name;
    loss loss;
    unsigned count;
} cases[] = {{"the answer is lost", LOSE_ANSWERS, 1},
             {"the answer is lost twice", LOSE_ANSWERS, 2},
             {"the question is lost", LOSE_QUESTION, 1},
             {"the question is late", HOLD_QUESTION, 1}};
enum { CASES = sizeof(cases) / sizeof(cases[0]) };

/* From here on whoever connects has to open an epoch. */
static void lose(fixture *f, size_t which)
{
    if (cases[which].loss == LOSE_ANSWERS)
        pg_proxy_lose_commit_answers(f->proxy, cases[which].count);
    else if (cases[which].loss == LOSE_QUESTION)
        pg_proxy_lose_question(f->proxy, "recovered");
    else
        pg_proxy_hold_question(f->proxy, "recovered");
    assert_int_equal(
        ask(f, "WITH gone AS (DELETE FROM log_witness RETURNING 1) SELECT count(*) FROM gone"), 1);
}

static void end_sessions(fixture *f)
{
    (void)ask(f, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE "
                 "application_name = 'lossy'");
}

/* It begins at `first`, is the only new one, and both nodes go on in it. */
static void expect_one_epoch(fixture *f, const char *name, int64_t before, uint64_t first)
{
    must_append(f, f->other);
    ex_log_epoch mine = ex_store_epoch(f->store), others = ex_store_epoch(f->other), list[EPOCHS];
    if (ask(f, "SELECT count(*) FROM log_epochs") != before + 1)
        fail_msg("%s: %d epochs", name, (int)ask(f, "SELECT count(*) FROM log_epochs"));
    assert_int_equal(ex_store_epochs(f->store, list, EPOCHS), before + 1);
    assert_true(ex_id_eq(&mine.id, &others.id));
    assert_int_equal(mine.reason, EX_EPOCH_RECOVERED);
    assert_int_equal(mine.first, first);
    assert_int_equal(ask(f,
                         "SELECT count(*) FROM log_head h JOIN log_epochs e ON e.number = h.epoch "
                         "JOIN log_witness w ON w.epoch = h.epoch"),
                     1);
}

static void try_append(fixture *f, const char *name, uint64_t until_ms)
{
    ex_status st;
    while ((st = append(f, f->store)) != EX_OK)
        if ((!ex_status_is_retryable(st) && st != EX_EOUTCOME) ||
            ex_monotonic_ns(ex_clock_system()) / 1000000 > until_ms)
            fail_msg("%s: %s: %s", name, f->err.code, f->err.message);
}

/* G-831. */
static void test_epoch_whose_commit_is_lost_is_there_once(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_POSTGRES(s);
    for (size_t i = 0; i < CASES; i++) {
        fixture f;
        set_up(s, &f);
        int64_t before = ask(&f, "SELECT count(*) FROM log_epochs");
        uint64_t first = (uint64_t)ask(&f, "SELECT position FROM log_head") + 1;
        unsigned losses = pg_proxy_losses(f.proxy);
        lose(&f, i);
        end_sessions(&f);
        try_append(&f, cases[i].name, ex_monotonic_ns(ex_clock_system()) / 1000000 + 20000);
        if (pg_proxy_losses(f.proxy) != losses + cases[i].count)
            fail_msg("%s: %u losses", cases[i].name, pg_proxy_losses(f.proxy) - losses);
        if (cases[i].loss == HOLD_QUESTION)
            pg_proxy_deliver(f.proxy);
        expect_one_epoch(&f, cases[i].name, before, first);
        tear_down(&f);
    }
}

/* G-831. The same when the node is being opened: it says that it cannot, or it can. */
static void test_epoch_whose_commit_is_lost_at_open(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_POSTGRES(s);
    for (size_t i = 0; i < CASES; i++) {
        fixture f;
        set_up(s, &f);
        ex_store_close(f.store);
        f.store = NULL;
        int64_t before = ask(&f, "SELECT count(*) FROM log_epochs");
        uint64_t first = (uint64_t)ask(&f, "SELECT position FROM log_head") + 1;
        lose(&f, i);
        unsigned tries = 1;
        while (open_node(&f)) {
            if (++tries > 10)
                fail_msg("%s: %s", cases[i].name, f.err.message);
        }
        assert_true(tries > 1 || cases[i].loss == HOLD_QUESTION);
        if (cases[i].loss == HOLD_QUESTION)
            pg_proxy_deliver(f.proxy);
        must_append(&f, f.store);
        expect_one_epoch(&f, cases[i].name, before, first);
        tear_down(&f);
    }
}

/* G-832. The server was started anew: both nodes go on in one epoch more, and whoever is at the end,
 * or below it, stays current. */
static void test_epoch_of_a_restart_costs_nobody_anything(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_POSTGRES(s);
    fixture f;
    set_up(s, &f);
    ex_id before = ex_store_epoch(f.store).id;
    uint64_t end = (uint64_t)ask(&f, "SELECT position FROM log_head");
    assert_int_equal(ask(&f,
                         "WITH earlier AS (UPDATE log_witness SET server_start = 1 RETURNING 1) "
                         "SELECT count(*) FROM earlier"),
                     1);
    end_sessions(&f);
    must_append(&f, f.store);
    must_append(&f, f.other);
    ex_log_epoch mine = ex_store_epoch(f.store), others = ex_store_epoch(f.other);
    assert_true(ex_id_eq(&mine.id, &others.id));
    assert_int_equal(mine.reason, EX_EPOCH_RESTARTED);
    assert_int_equal(mine.first, end + 1);
    assert_int_equal(ex_store_check_position(f.store, &before, end, NULL), EX_OK);
    assert_int_equal(ex_store_check_position(f.other, &before, end + 1, NULL), EX_ELOGCHANGED);
    assert_int_equal(ask(&f, "SELECT count(*) FROM log_epochs"), 2);
    tear_down(&f);
}

int store_epoch_tests(suite *s)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_epoch_whose_commit_is_lost_is_there_once),
        STORE_TEST(test_epoch_whose_commit_is_lost_at_open),
        STORE_TEST(test_epoch_of_a_restart_costs_nobody_anything),
    };
    return cmocka_run_group_tests_name("store epoch", tests, NULL, NULL);
}
