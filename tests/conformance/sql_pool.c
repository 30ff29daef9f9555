/* sql_pool.c: the pool of connections. R-02-06, R-02-09, R-02-11, R-02-14, R-02-15. */
#include "conformance/sql_suite.h"
#include "sql/sql_pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

/* A clock that the test moves; randomness is the system's. */
typedef struct fake_clock {
    ex_clock clock;
    atomic_ullong ns;
} fake_clock;

static uint64_t fake_ns(void *ctx)
{
    return atomic_load(&((fake_clock *)ctx)->ns);
}

static int64_t fake_us(void *ctx)
{
    return (int64_t)(fake_ns(ctx) / 1000);
}

static ex_status no_random(void *ctx, void *out, size_t n)
{
    (void)ctx;
    memset(out, 0xff, n);
    return EX_OK;
}

static void fake_init(fake_clock *f)
{
    f->clock = (ex_clock){fake_us, fake_ns, no_random, f};
    atomic_store(&f->ns, UINT64_C(1000000000));
}

static void pass_ms(fake_clock *f, uint64_t ms)
{
    atomic_fetch_add(&f->ns, ms * 1000000);
}

static ex_sql_pool *open_pool(suite *s, uint32_t max, uint32_t wait_ms, const ex_clock *clock)
{
    ex_sql_pool *pool = NULL;
    ex_sql_pool_options o = {.conn = {.place = s->place},
                             .min_conns = 1,
                             .max_conns = max,
                             .wait_ms = wait_ms,
                             .clock = clock};
    must(ex_sql_pool_open(&o, &pool, &suite_err));
    return pool;
}

static void test_pool_hands_out_and_takes_back(void **state)
{
    suite *s = *state;
    suite_table(s);
    ex_sql_pool *pool = open_pool(s, 2, 20, NULL);
    ex_sql *a = NULL, *b = NULL, *c = NULL;
    must(ex_sql_pool_take(pool, EX_SQL_READ, &a, &suite_err));
    must(ex_sql_pool_take(pool, EX_SQL_READ, &b, &suite_err));
    assert_ptr_not_equal(a, b);
    assert_int_equal(ex_sql_pool_take(pool, EX_SQL_READ, &c, &suite_err),
                     EX_EOVERLOADED); /* R-02-09 */
    assert_true(ex_status_is_retryable(EX_EOVERLOADED));
    ex_sql_pool_give(pool, a);
    must(ex_sql_pool_take(pool, EX_SQL_READ, &c, &suite_err));
    assert_ptr_equal(a, c);
    ex_sql_pool_give(pool, b);
    ex_sql_pool_give(pool, c);
    ex_sql_pool_stats stats = ex_sql_pool_stats_of(pool);
    assert_int_equal(stats.in_use, 0);
    assert_int_equal(stats.waiting, 0);
    ex_sql_pool_free(pool);
}

/* R-02-06: an open transaction does not go to the next user. */
static void test_pool_undoes_what_was_left_open(void **state)
{
    suite *s = *state;
    suite_table(s);
    ex_sql_pool *pool = open_pool(s, 1, 1000, NULL);
    ex_sql *db = NULL;
    ex_sql_tx tx;
    must(ex_sql_pool_take(pool, EX_SQL_WRITE, &db, &suite_err));
    must(ex_sql_begin(db, EX_SQL_WRITE, &tx, &suite_err));
    must(ex_sql_script(db, "INSERT INTO t VALUES (1, 'x')", &suite_err));
    ex_sql_pool_give(pool, db);
    must(ex_sql_pool_take(pool, EX_SQL_WRITE, &db, &suite_err));
    suite_no_tx(db);
    assert_int_equal(suite_ask(db, "SELECT count(*) FROM t"), 0);
    ex_sql_pool_give(pool, db);
    ex_sql_pool_free(pool);
}

typedef struct user {
    ex_sql_pool *pool;
    int done;
} user;

static void *use_often(void *arg)
{
    user *u = arg;
    for (int i = 0; i < 50; i++) {
        ex_sql *db = NULL;
        if (ex_sql_pool_take(u->pool, i % 2 ? EX_SQL_READ : EX_SQL_WRITE, &db, NULL))
            continue;
        u->done += suite_ask(db, "SELECT 1") == 1;
        ex_sql_pool_give(u->pool, db);
    }
    return NULL;
}

static void test_pool_many_users(void **state)
{
    suite *s = *state;
    ex_sql_pool *pool = open_pool(s, 3, 60000, NULL);
    pthread_t threads[8];
    user users[8];
    for (int i = 0; i < 8; i++) {
        users[i] = (user){pool, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, use_often, &users[i]), 0);
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(users[i].done, 50);
    }
    ex_sql_pool_stats stats = ex_sql_pool_stats_of(pool);
    assert_true(stats.open <= stats.max);
    assert_int_equal(stats.in_use, 0);
    ex_sql_pool_free(pool);
}

/* R-02-15 */
static void test_pool_health(void **state)
{
    suite *s = *state;
    ex_sql_pool *pool = open_pool(s, 1, 1000, NULL);
    must(ex_sql_pool_health(pool, &suite_err));
    uint32_t max = ex_sql_pool_stats_of(pool).max, taken = 0;
    ex_sql *dbs[2] = {NULL, NULL};
    must(ex_sql_pool_take(pool, EX_SQL_WRITE, &dbs[taken++], &suite_err));
    if (max == 2)
        must(ex_sql_pool_take(pool, EX_SQL_READ, &dbs[taken++], &suite_err));
    assert_int_equal(ex_sql_pool_health(pool, &suite_err), EX_EOVERLOADED);
    char want[32];
    (void)snprintf(want, sizeof(want), "%u/%u in use", max, max);
    assert_string_equal(suite_err.message, want);
    while (taken > 0)
        ex_sql_pool_give(pool, dbs[--taken]);
    must(ex_sql_pool_health(pool, &suite_err));
    ex_sql_pool_free(pool);
}

typedef struct runner {
    suite *s;
    ex_sql_pool *pool;
    pthread_barrier_t *begun;
    ex_status status;
} runner;

static void *run_endless(void *arg)
{
    runner *r = arg;
    ex_sql *db = NULL;
    ex_sql_stmt *st = NULL;
    r->status = ex_sql_pool_take(r->pool, EX_SQL_READ, &db, NULL);
    pthread_barrier_wait(r->begun);
    if (r->status)
        return NULL;
    r->status = ex_sql_prepare(db, ex_str(suite_endless(r->s)), &st, NULL);
    r->status = r->status ? r->status : ex_sql_run(st, NULL);
    ex_sql_pool_give(r->pool, db);
    return NULL;
}

/* R-02-14: refuses new work, ends what runs on past its time, and may be called twice. */
static void test_pool_close(void **state)
{
    suite *s = *state;
    ex_sql_pool *pool = open_pool(s, 2, 60000, NULL);
    pthread_t thread;
    pthread_barrier_t begun;
    pthread_barrier_init(&begun, NULL, 2);
    runner r = {s, pool, &begun, EX_OK};
    assert_int_equal(pthread_create(&thread, NULL, run_endless, &r), 0);
    pthread_barrier_wait(&begun);
    must(ex_sql_pool_close(pool, 100, &suite_err));
    pthread_join(thread, NULL);
    assert_int_equal(r.status, EX_ECANCELLED);
    ex_sql *db = NULL;
    assert_int_equal(ex_sql_pool_take(pool, EX_SQL_READ, &db, &suite_err), EX_ECLOSED);
    must(ex_sql_pool_close(pool, 100, &suite_err));
    assert_int_equal(ex_sql_pool_stats_of(pool).open, 0);
    pthread_barrier_destroy(&begun);
    ex_sql_pool_free(pool);
}

static void test_pool_start_fails(void **state)
{
    suite *s = *state;
    ex_sql_pool *pool = NULL;
    ex_sql_pool_options o = {.conn.place =
                                 s->is_postgres ? "postgres://127.0.0.1:1/x" : "/no/such/dir/x.db"};
    assert_true(ex_status_is_retryable(ex_sql_pool_open(&o, &pool, &suite_err)));
    o = (ex_sql_pool_options){.conn.place = s->place, .min_conns = 5, .max_conns = 2};
    assert_int_equal(ex_sql_pool_open(&o, &pool, &suite_err), EX_EINVAL);
}

/* ---- with a server ---- */

static void cut_all(suite *s, ex_sql *but)
{
    char sql[256];
    (void)s;
    (void)snprintf(sql, sizeof(sql),
                   "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid <> "
                   "pg_backend_pid() AND query LIKE '%%pool_marker_%u%%'",
                   s->number);
    must(ex_sql_script(but, sql, &suite_err));
}

static void mark(suite *s, ex_sql *db)
{
    char sql[64];
    (void)snprintf(sql, sizeof(sql), "SELECT 1 AS pool_marker_%u", s->number);
    assert_int_equal(suite_ask(db, sql), 1);
}

/* R-02-11: no restart is needed. */
static void test_pool_replaces_lost_connections(void **state)
{
    suite *s = *state;
    if (!s->is_postgres)
        return;
    fake_clock clock;
    fake_init(&clock);
    ex_sql_pool *pool = open_pool(s, 2, 1000, &clock.clock);
    ex_sql *db = NULL;
    must(ex_sql_pool_take(pool, EX_SQL_WRITE, &db, &suite_err));
    mark(s, db);
    cut_all(s, s->db);
    ex_sql_tx tx;
    ex_status st = ex_sql_begin(db, EX_SQL_WRITE, &tx, &suite_err);
    st = st ? st : ex_sql_end(&tx, ex_sql_script(db, "SELECT 1", &suite_err), &suite_err);
    assert_int_equal(st, EX_EAGAIN);
    assert_null(strstr(suite_err.message, "rollback"));
    assert_true(ex_sql_is_broken(db));
    ex_sql_pool_give(pool, db);
    must(ex_sql_pool_take(pool, EX_SQL_WRITE, &db, &suite_err));
    mark(s, db);
    ex_sql_pool_give(pool, db);
    cut_all(s, s->db); /* while it is idle: found out before it is handed out */
    pass_ms(&clock, 2000);
    must(ex_sql_pool_take(pool, EX_SQL_WRITE, &db, &suite_err));
    mark(s, db);
    ex_sql_pool_give(pool, db);
    assert_int_equal(ex_sql_pool_stats_of(pool).opened, 3);
    ex_sql_pool_free(pool);
}

static void test_pool_lifetimes(void **state)
{
    suite *s = *state;
    if (!s->is_postgres)
        return;
    fake_clock clock;
    fake_init(&clock);
    ex_sql_pool *pool = open_pool(s, 3, 1000, &clock.clock);
    ex_sql *dbs[3];
    for (int i = 0; i < 3; i++)
        must(ex_sql_pool_take(pool, EX_SQL_READ, &dbs[i], &suite_err));
    for (int i = 0; i < 3; i++)
        ex_sql_pool_give(pool, dbs[i]);
    ex_sql_pool_tend(pool);
    assert_int_equal(ex_sql_pool_stats_of(pool).open, 3);
    pass_ms(&clock, 11 * 60 * 1000);
    ex_sql_pool_tend(pool);
    assert_int_equal(ex_sql_pool_stats_of(pool).open, 1); /* min_conns */
    pass_ms(&clock, 60 * 60 * 1000);
    must(ex_sql_pool_take(pool, EX_SQL_READ, &dbs[0], &suite_err)); /* a new one for the outlived */
    assert_int_equal(ex_sql_pool_stats_of(pool).opened, 4);
    ex_sql_pool_give(pool, dbs[0]);
    ex_sql_pool_free(pool);
}

/* Poll the pool and the server until both have what is wanted; fails after ten seconds. */
static void wait_for_conns(suite *s, ex_sql_pool *pool, uint32_t open, int64_t marked,
                           uint64_t opened)
{
    char sql[160];
    const struct timespec pause = {.tv_nsec = 2000000};
    uint64_t until_ns = ex_monotonic_ns(ex_clock_system()) + UINT64_C(10000000000);
    (void)snprintf(sql, sizeof(sql),
                   "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query "
                   "LIKE '%%pool_marker_%u%%'",
                   s->number);
    for (;;) {
        ex_sql_pool_stats stats = ex_sql_pool_stats_of(pool);
        int64_t seen = suite_ask(s->db, sql);
        if (stats.open == open && seen == marked && stats.opened == opened)
            return;
        if (ex_monotonic_ns(ex_clock_system()) > until_ns)
            fail_msg("open %u, on the server %lld, opened %llu", stats.open, (long long)seen,
                     (unsigned long long)stats.opened);
        (void)nanosleep(&pause, NULL);
    }
}

/* R-02-09: the pool looks after itself: what is idle above the minimum goes, the minimum stays,
 * also when the server ends its connections. */
static void test_pool_tends_itself(void **state)
{
    suite *s = *state;
    if (!s->is_postgres)
        return;
    ex_sql_pool *pool = NULL;
    ex_sql *dbs[4];
    ex_sql_pool_options o = {.conn = {.place = s->place},
                             .min_conns = 2,
                             .max_conns = 4,
                             .max_idle_ms = 100,
                             .tend_ms = 10};
    must(ex_sql_pool_open(&o, &pool, &suite_err));
    for (int i = 0; i < 4; i++) {
        must(ex_sql_pool_take(pool, EX_SQL_READ, &dbs[i], &suite_err));
        mark(s, dbs[i]);
    }
    wait_for_conns(s, pool, 4, 4, 4);
    for (int i = 0; i < 4; i++)
        ex_sql_pool_give(pool, dbs[i]);
    wait_for_conns(s, pool, 2, 2, 4); /* the server says so as well */
    cut_all(s, s->db);
    wait_for_conns(s, pool, 2, 0, 6); /* new ones, which nobody asked for */
    ex_sql_pool_free(pool);
}

/* What has lived for too long is replaced while it is idle, not under the next user's hands. */
static void test_pool_replaces_outlived_ones(void **state)
{
    suite *s = *state;
    if (!s->is_postgres)
        return;
    fake_clock clock;
    fake_init(&clock);
    ex_sql_pool *pool = open_pool(s, 2, 1000, &clock.clock);
    pass_ms(&clock, 61 * 60 * 1000);
    ex_sql_pool_tend(pool);
    ex_sql_pool_stats stats = ex_sql_pool_stats_of(pool);
    assert_int_equal(stats.open, 1);
    assert_int_equal(stats.opened, 2);
    ex_sql_pool_free(pool);
}

/* R-02-11: while the server is away tries are spaced, and the reason stays in the message. */
static void test_pool_spaces_its_tries(void **state)
{
    suite *s = *state;
    if (!s->is_postgres)
        return;
    fake_clock clock;
    fake_init(&clock);
    ex_sql_pool *pool = open_pool(s, 1, 1000, &clock.clock);
    must(ex_sql_script(s->db, "DROP ROLE IF EXISTS pool_away", &suite_err));
    ex_sql_pool_free(pool);
    char url[1100];
    (void)snprintf(url, sizeof(url), "%s", s->place);
    ex_sql *db = NULL;
    must(ex_sql_script(s->db, "CREATE ROLE pool_away LOGIN", &suite_err));
    char *role = strstr(url, "//excore") + 2;
    memmove(role + 9, role + 6, strlen(role + 6) + 1);
    memcpy(role, "pool_away", 9);
    ex_sql_pool_options o = {
        .conn = {.place = url}, .min_conns = 1, .max_conns = 1, .clock = &clock.clock};
    must(ex_sql_pool_open(&o, &pool, &suite_err));
    must(ex_sql_pool_take(pool, EX_SQL_READ, &db, &suite_err));
    mark(s, db);
    must(ex_sql_script(s->db, "ALTER ROLE pool_away NOLOGIN", &suite_err));
    ex_sql_pool_give(pool, db);
    cut_all(s, s->db);
    pass_ms(&clock, 2000);
    assert_int_equal(ex_sql_pool_take(pool, EX_SQL_READ, &db, &suite_err), EX_EDATABASE);
    assert_non_null(strstr(suite_err.message, "not permitted to log in"));
    must(ex_sql_script(s->db, "ALTER ROLE pool_away LOGIN", &suite_err));
    assert_int_equal(ex_sql_pool_take(pool, EX_SQL_READ, &db, &suite_err),
                     EX_EAGAIN); /* too early */
    assert_non_null(strstr(suite_err.message, "not permitted to log in"));
    pass_ms(&clock, 200);
    must(ex_sql_pool_take(pool, EX_SQL_READ, &db, &suite_err));
    assert_int_equal(ex_sql_pool_stats_of(pool).failed, 1);
    ex_sql_pool_give(pool, db);
    ex_sql_pool_free(pool);
    must(ex_sql_script(s->db, "DROP ROLE pool_away", &suite_err));
}

int sql_pool_tests(suite *s)
{
    const struct CMUnitTest tests[] = {
        SQL_TEST(test_pool_hands_out_and_takes_back),
        SQL_TEST(test_pool_undoes_what_was_left_open),
        SQL_TEST(test_pool_many_users),
        SQL_TEST(test_pool_health),
        SQL_TEST(test_pool_close),
        SQL_TEST(test_pool_start_fails),
        SQL_TEST(test_pool_replaces_lost_connections),
        SQL_TEST(test_pool_lifetimes),
        SQL_TEST(test_pool_tends_itself),
        SQL_TEST(test_pool_replaces_outlived_ones),
        SQL_TEST(test_pool_spaces_its_tries),
    };
    return cmocka_run_group_tests_name("sql pool", tests, NULL, NULL);
}
