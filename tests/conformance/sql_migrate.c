/* sql_migrate.c: migrations. R-02-17, R-02-18. */
#include "conformance/sql_suite.h"
#include "sql/sql_migrate.h"

#include <pthread.h>
#include <stdio.h>

static const ex_sql_migration good[] = {
    {0, "first", "CREATE TABLE a (n BIGINT); INSERT INTO a VALUES (1);", NULL},
    {1, "second", "CREATE TABLE b (n INTEGER)", "CREATE TABLE b (n BIGINT)"},
    {2, "third", "INSERT INTO a VALUES (3)", NULL},
};

static void count_applied(void *ctx, const ex_sql_migration *m)
{
    (void)m;
    (*(int *)ctx)++;
}

static ex_status migrate(ex_sql *db, const ex_sql_migration *list, uint32_t count, int *applied)
{
    int ignored = 0;
    ex_sql_migrations m = {list, count, ex_clock_system(), count_applied,
                           applied ? applied : &ignored};
    return ex_sql_migrate(db, &m, &suite_err);
}

static uint32_t missing(ex_sql *db, const ex_sql_migration *list, uint32_t count)
{
    ex_sql_migrations m = {.list = list, .count = count, .clock = ex_clock_system()};
    uint32_t n = UINT32_MAX;
    must(ex_sql_migrations_missing(db, &m, &n, &suite_err));
    return n;
}

static void test_migrate_in_steps(void **state)
{
    suite *s = *state;
    int applied = 0;
    assert_int_equal(missing(s->db, good, 3), 3);
    must(migrate(s->db, good, 2, &applied));
    assert_int_equal(applied, 2);
    assert_int_equal(missing(s->db, good, 3), 1);
    must(migrate(s->db, good, 3, &applied));
    assert_int_equal(applied, 3);
    must(migrate(s->db, good, 3, &applied)); /* a second run does nothing */
    assert_int_equal(applied, 3);
    assert_int_equal(missing(s->db, good, 3), 0);
    assert_int_equal(suite_ask(s->db, "SELECT sum(n) FROM a"), 4);
    ex_sql_stmt *st = NULL;
    must(ex_sql_prepare(s->db,
                        EX_S("SELECT version, name, applied_at FROM excore_migrations ORDER BY 1"),
                        &st, &suite_err));
    for (uint32_t i = 0; i < 3; i++) {
        must(ex_sql_step(st, &suite_err));
        assert_int_equal(ex_sql_i64(st, 0), good[i].version);
        assert_true(ex_slice_is(ex_sql_bytes(st, 1), good[i].name));
        assert_true(ex_sql_i64(st, 2) > INT64_C(1600000000000000));
    }
    ex_sql_reset(st);
}

static void test_migrate_refusals(void **state)
{
    suite *s = *state;
    must(migrate(s->db, good, 2, NULL));
    ex_sql_migration changed[] = {good[0], good[1], good[2]};
    changed[1].sqlite = "CREATE TABLE b (n INTEGER, m INTEGER)";
    changed[1].postgres = NULL;
    assert_int_equal(migrate(s->db, changed, 3, NULL), EX_EFORMAT);
    assert_string_equal(suite_err.message,
                        "migration 1 'second' is not the one that the database was changed by");
    assert_int_equal(migrate(s->db, good, 1, NULL), EX_EFORMAT);
    assert_non_null(
        strstr(suite_err.message, "has migration 1 'second', which this program does not know"));
    const ex_sql_migration gap[] = {good[0], good[2]};
    assert_int_equal(migrate(s->db, gap, 2, NULL), EX_EFORMAT);
    assert_string_equal(suite_err.message, "there is a gap between migrations 0 and 2");
    must(ex_sql_script(s->db, "DELETE FROM excore_migrations WHERE version = 0", &suite_err));
    assert_int_equal(migrate(s->db, good, 3, NULL), EX_EFORMAT);
    assert_string_equal(suite_err.message,
                        "the database lacks migration 0 'first' and has the later 1");
    uint32_t n;
    ex_sql_migrations m = {.list = good, .count = 3, .clock = ex_clock_system()};
    assert_int_equal(ex_sql_migrations_missing(s->db, &m, &n, &suite_err), EX_EFORMAT);
}

/* Of one that fails nothing stays; the ones before it do. */
static void test_migrate_failure(void **state)
{
    suite *s = *state;
    const ex_sql_migration bad[] = {
        good[0], {1, "wrong", "CREATE TABLE b (n BIGINT); INSERT INTO nowhere VALUES (1)", NULL}};
    assert_int_equal(migrate(s->db, bad, 2, NULL), EX_EDATABASE);
    assert_non_null(strstr(suite_err.message, "migration 1 'wrong': "));
    assert_int_equal(missing(s->db, good, 3), 2);
    must(migrate(s->db, good, 3, NULL));
}

typedef struct migrator {
    ex_sql *db;
    int applied;
    ex_status status;
} migrator;

static void *migrate_it(void *arg)
{
    migrator *m = arg;
    ex_sql_migrations list = {good, 3, ex_clock_system(), count_applied, &m->applied};
    m->status = ex_sql_migrate(m->db, &list, NULL);
    return NULL;
}

/* R-02-18 */
static void test_migrate_at_once(void **state)
{
    suite *s = *state;
    enum { MIGRATORS = 4 };
    migrator m[MIGRATORS];
    pthread_t threads[MIGRATORS];
    int applied = 0;
    for (int i = 0; i < MIGRATORS; i++)
        m[i] = (migrator){suite_open(s), 0, EX_OK};
    for (int i = 0; i < MIGRATORS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, migrate_it, &m[i]), 0);
    for (int i = 0; i < MIGRATORS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(m[i].status, EX_OK);
        applied += m[i].applied;
        ex_sql_close(m[i].db);
    }
    assert_int_equal(applied, 3);
    assert_int_equal(suite_ask(s->db, "SELECT sum(n) FROM a"), 4);
}

static void test_migrate_creates_the_schema(void **state)
{
    suite *s = *state;
    if (!s->is_postgres)
        return;
    char name[64];
    (void)snprintf(name, sizeof(name), "DROP SCHEMA %s", strstr(s->place, "schema=") + 7);
    must(ex_sql_script(s->db, name, &suite_err));
    assert_int_equal(missing(s->db, good, 3), 3);
    must(migrate(s->db, good, 3, NULL));
    assert_int_equal(suite_ask(s->db, "SELECT sum(n) FROM a"), 4);
}

int sql_migrate_tests(suite *s)
{
    const struct CMUnitTest tests[] = {
        SQL_TEST(test_migrate_in_steps),
        SQL_TEST(test_migrate_refusals),
        SQL_TEST(test_migrate_failure),
        SQL_TEST(test_migrate_at_once),
        SQL_TEST(test_migrate_creates_the_schema),
    };
    return cmocka_run_group_tests_name("sql migrations", tests, NULL, NULL);
}
