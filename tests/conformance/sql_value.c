/* sql_value.c: parameters, rows, statements, time-outs. R-02-10, R-02-12, R-02-13, R-02-15. */
#include "conformance/sql_suite.h"

#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

static void bind_null(ex_sql_stmt *st, uint32_t at, ex_sql_type type)
{
    ex_sql_bind(st, at, (ex_sql_value){.type = type, .is_null = true});
}

static void bind_f64(ex_sql_stmt *st, uint32_t at, double value)
{
    ex_sql_bind(st, at, (ex_sql_value){.type = EX_SQL_F64, .as.f64 = value});
}

static void bind_bool(ex_sql_stmt *st, uint32_t at, bool value)
{
    ex_sql_bind(st, at, (ex_sql_value){.type = EX_SQL_BOOL, .as.boolean = value});
}

static void bind_blob(ex_sql_stmt *st, uint32_t at, ex_slice value)
{
    ex_sql_bind(st, at, (ex_sql_value){.type = EX_SQL_BLOB, .as.bytes = value});
}

static void create_all(suite *s)
{
    char sql[512];
    ex_sql_engine e = ex_sql_engine_of(s->db);
    (void)snprintf(
        sql, sizeof(sql), "CREATE TABLE v (id %s PRIMARY KEY, i %s, f %s, b %s, t %s, x %s)%s",
        ex_sql_type_name(e, EX_SQL_I64), ex_sql_type_name(e, EX_SQL_I64),
        ex_sql_type_name(e, EX_SQL_F64), ex_sql_type_name(e, EX_SQL_BOOL),
        ex_sql_type_name(e, EX_SQL_TEXT), ex_sql_type_name(e, EX_SQL_BLOB), ex_sql_table_suffix(e));
    must(ex_sql_script(s->db, sql, &suite_err));
}

/* R-02-13: what comes back is what was bound, whatever is in it. */
static void test_value_round_trip(void **state)
{
    suite *s = *state;
    static const struct {
        const char *name;
        int64_t i;
        double f;
        bool b;
        ex_slice t, x;
    } cases[] = {
        {"zero", 0, 0, false, EX_S_INIT(""), EX_S_INIT("")},
        {"quotes", 1, -0.5, true, EX_S_INIT("it's \"quoted\""), EX_S_INIT("'\0'")},
        {"comment", -1, 1e300, false, EX_S_INIT("'); DROP TABLE v; -- /* */"), EX_S_INIT("\0")},
        {"largest", INT64_MAX, DBL_MAX, true, EX_S_INIT("\xf0\x9f\x98\x80 \xc3\xa9"),
         EX_S_INIT("\xff\xfe")},
        {"smallest", INT64_MIN, DBL_MIN, true, EX_S_INIT("$1 :name ?1 \\ %s\n\t"),
         EX_S_INIT("\x01")},
    };
    create_all(s);
    ex_sql_stmt *put = NULL, *get = NULL;
    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        must(ex_sql_prepare(s->db, EX_S("INSERT INTO v VALUES ($1, $2, $3, $4, $5, $6)"), &put,
                            &suite_err));
        ex_sql_bind_i64(put, 1, i);
        ex_sql_bind_i64(put, 2, cases[i].i);
        bind_f64(put, 3, cases[i].f);
        bind_bool(put, 4, cases[i].b);
        ex_sql_bind_text(put, 5, cases[i].t);
        bind_blob(put, 6, cases[i].x);
        must(ex_sql_run(put, &suite_err));
        assert_int_equal(ex_sql_affected(put), 1);
        /* and found again by each of them */
        must(ex_sql_prepare(
            s->db,
            EX_S("SELECT i, f, b, t, x FROM v WHERE id = :id AND i = :i AND f = :f AND"
                 " b = :b AND t = :t AND x = :x AND t = :t"),
            &get, &suite_err));
        assert_int_equal(ex_sql_param(get, EX_S("nothing")), 0);
        ex_sql_bind_i64(get, ex_sql_param(get, EX_S("id")), i);
        ex_sql_bind_i64(get, ex_sql_param(get, EX_S("i")), cases[i].i);
        bind_f64(get, ex_sql_param(get, EX_S("f")), cases[i].f);
        bind_bool(get, ex_sql_param(get, EX_S("b")), cases[i].b);
        ex_sql_bind_text(get, ex_sql_param(get, EX_S("t")), cases[i].t);
        bind_blob(get, ex_sql_param(get, EX_S("x")), cases[i].x);
        must(ex_sql_step(get, &suite_err));
        assert_int_equal(ex_sql_i64(get, 0), cases[i].i);
        assert_true(ex_sql_f64(get, 1) == cases[i].f);
        assert_int_equal(ex_sql_bool(get, 2), cases[i].b);
        assert_true(ex_slice_eq(ex_sql_bytes(get, 3), cases[i].t));
        assert_true(ex_slice_eq(ex_sql_bytes(get, 4), cases[i].x));
        assert_false(ex_sql_is_null(get, 3) || ex_sql_is_null(get, 4)); /* empty is not null */
        assert_int_equal(ex_sql_step(get, &suite_err), EX_EEND);
    }
    assert_int_equal(suite_ask(s->db, "SELECT count(*) FROM v"), 5);
}

static void test_value_nulls(void **state)
{
    suite *s = *state;
    create_all(s);
    ex_sql_stmt *st = NULL;
    must(ex_sql_prepare(s->db, EX_S("INSERT INTO v VALUES ($1, $2, $3, $4, $5, $6)"), &st,
                        &suite_err));
    ex_sql_bind_i64(st, 1, 1);
    bind_null(st, 2, EX_SQL_I64);
    bind_null(st, 3, EX_SQL_F64);
    bind_null(st, 4, EX_SQL_BOOL);
    bind_null(st, 6, EX_SQL_BLOB); /* 5 is not bound: a null text */
    must(ex_sql_run(st, &suite_err));
    must(ex_sql_prepare(s->db, EX_S("SELECT i, f, b, t, x FROM v WHERE :t IS NULL OR t = :t"), &st,
                        &suite_err));
    bind_null(st, 1, EX_SQL_TEXT);
    must(ex_sql_step(st, &suite_err));
    for (uint32_t i = 0; i < 5; i++)
        assert_true(ex_sql_is_null(st, i));
    assert_int_equal(ex_sql_i64(st, 0), 0);
    assert_null(ex_sql_bytes(st, 3).ptr);
    ex_sql_reset(st);
}

/* A NaN would become a null on SQLite, a NUL cannot be in PostgreSQL's text. */
static void test_value_refused(void **state)
{
    suite *s = *state;
    create_all(s);
    ex_sql_stmt *st = NULL;
    must(ex_sql_prepare(s->db, EX_S("UPDATE v SET t = $1"), &st, &suite_err));
    ex_sql_bind_text(st, 1, EX_S("a\0b"));
    assert_int_equal(ex_sql_run(st, &suite_err), s->is_postgres ? EX_EINVAL : EX_OK);
    must(ex_sql_prepare(s->db, EX_S("UPDATE v SET f = $1"), &st, &suite_err));
    bind_f64(st, 1, (double)NAN);
    assert_int_equal(ex_sql_run(st, &suite_err), EX_EINVAL);
    assert_int_equal(ex_sql_prepare(s->db, EX_S("SELECT $1, :name"), &st, &suite_err), EX_EINVAL);
}

static void test_value_sums(void **state)
{
    suite *s = *state;
    suite_table(s);
    must(ex_sql_script(s->db, "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (40000000000, 'c')",
                       &suite_err));
    assert_int_equal(suite_ask(s->db, "SELECT sum(n) FROM t"), 40000000003);
    assert_int_equal(suite_ask(s->db, "SELECT -sum(n) FROM t"), -40000000003);
    assert_int_equal(suite_ask(s->db, "SELECT max(n) FROM t"), 40000000000);
    ex_sql_stmt *st = NULL;
    must(ex_sql_prepare(s->db,
                        EX_S("SELECT avg(n), sum(n), s FROM t WHERE n < 3 GROUP BY s ORDER BY s"),
                        &st, &suite_err));
    must(ex_sql_step(st, &suite_err));
    assert_true(ex_sql_f64(st, 0) == 1.0);
    ex_sql_reset(st);
    must(ex_sql_prepare(s->db, EX_S("SELECT avg(n) FROM t WHERE n < 3"), &st, &suite_err));
    must(ex_sql_step(st, &suite_err));
    assert_true(ex_sql_f64(st, 0) == 1.5);
    ex_sql_reset(st);
}

/* Keyset pages: text in the order of its bytes, rows compared as a whole. */
static void test_value_order_of_text(void **state)
{
    suite *s = *state;
    suite_table(s);
    must(ex_sql_script(
        s->db, "INSERT INTO t VALUES (1, 'b'), (2, 'a'), (3, 'B'), (4, '\xc3\xa9'), (5, 'a')",
        &suite_err));
    ex_sql_stmt *st = NULL;
    must(ex_sql_prepare(
        s->db,
        EX_S("SELECT n FROM (SELECT n, s FROM t) AS q WHERE (s, n) > (:s, :n) ORDER BY s, n"
             " LIMIT :limit"),
        &st, &suite_err));
    ex_sql_bind_text(st, 1, EX_S("a"));
    ex_sql_bind_i64(st, 2, 2);
    ex_sql_bind_i64(st, 3, 3);
    static const int64_t want[] = {5, 1, 4};
    for (size_t i = 0; i < 3; i++) {
        must(ex_sql_step(st, &suite_err));
        assert_int_equal(ex_sql_i64(st, 0), want[i]);
    }
    assert_int_equal(ex_sql_step(st, &suite_err), EX_EEND);
    assert_int_equal(suite_ask(s->db, "SELECT n FROM t ORDER BY s LIMIT 1"), 3);
}

static void test_value_failures(void **state)
{
    suite *s = *state;
    suite_table(s);
    must(ex_sql_script(s->db, "CREATE TABLE c (n BIGINT NOT NULL REFERENCES t (n), CHECK (n > 0))",
                       &suite_err));
    static const struct {
        const char *sql;
        ex_status want;
    } cases[] = {
        {"INSERT INTO t VALUES (1, 'one')", EX_OK},
        {"INSERT INTO t VALUES (1, 'again')", EX_EEXISTS},
        {"INSERT INTO c VALUES (99)", EX_EDATABASE},   /* no such parent: foreign keys are on */
        {"INSERT INTO c VALUES (-1)", EX_EDATABASE},   /* check */
        {"INSERT INTO c VALUES (NULL)", EX_EDATABASE}, /* not null */
        {"INSERT INTO c VALUES (1)", EX_OK},
        {"SELECT nothing FROM nowhere", EX_EDATABASE},
        {"SELEC", EX_EDATABASE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_sql_stmt *st = NULL;
        ex_status status = ex_sql_prepare(s->db, ex_str(cases[i].sql), &st, &suite_err);
        status = status ? status : ex_sql_run(st, &suite_err);
        if (status != cases[i].want)
            fail_msg("%s: %s: %s", cases[i].sql, ex_status_code(status), suite_err.message);
        assert_null(strchr(suite_err.message, '\n'));
    }
}

/* More texts than are kept. */
static void test_value_many_statements(void **state)
{
    suite *s = *state;
    char sql[64];
    for (int i = 0; i < 1200; i++) {
        (void)snprintf(sql, sizeof(sql), "SELECT %d", i);
        assert_int_equal(suite_ask(s->db, sql), i);
    }
}

/* R-02-10 */
static void test_value_timeout(void **state)
{
    suite *s = *state;
    ex_sql *db = NULL;
    ex_sql_stmt *st = NULL;
    must(
        ex_sql_open(&(ex_sql_options){.place = s->place, .query_timeout_ms = 50}, &db, &suite_err));
    must(ex_sql_prepare(db, ex_str(suite_endless(s)), &st, &suite_err));
    assert_int_equal(ex_sql_run(st, &suite_err), EX_ETIMEOUT);
    assert_int_equal(suite_ask(db, "SELECT 7"), 7);
    ex_sql_close(db);
}

static void *cancel_soon(void *arg)
{
    const struct timespec pause = {.tv_nsec = 20000000}; /* any: before or after it began */
    (void)nanosleep(&pause, NULL);
    ex_sql_cancel(arg);
    return NULL;
}

/* R-02-10: ends what runs and lasts until the next user. */
static void test_value_cancel(void **state)
{
    suite *s = *state;
    pthread_t thread;
    ex_sql_stmt *st = NULL;
    must(ex_sql_prepare(s->db, ex_str(suite_endless(s)), &st, &suite_err));
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, s->db), 0);
    assert_int_equal(ex_sql_run(st, &suite_err), EX_ECANCELLED);
    pthread_join(thread, NULL);
    assert_int_equal(ex_sql_prepare(s->db, EX_S("SELECT 7"), &st, &suite_err), EX_ECANCELLED);
    must(ex_sql_abandon(s->db));
    assert_int_equal(suite_ask(s->db, "SELECT 7"), 7);
}

/* A cancel that comes between two statements is not lost, and the transaction can be undone. */
static void test_value_cancel_between_statements(void **state)
{
    suite *s = *state;
    ex_sql_tx tx;
    ex_sql_stmt *st = NULL;
    suite_table(s);
    must(ex_sql_begin(s->db, EX_SQL_WRITE, &tx, &suite_err));
    must(ex_sql_prepare(s->db, EX_S("INSERT INTO t VALUES (1, 'x')"), &st, &suite_err));
    must(ex_sql_run(st, &suite_err));
    must(ex_sql_prepare(s->db, ex_str(suite_endless(s)), &st, &suite_err));
    ex_sql_cancel(s->db);
    ex_status status = ex_sql_run(st, &suite_err);
    assert_int_equal(status, EX_ECANCELLED);
    assert_int_equal(ex_sql_end(&tx, status, &suite_err), EX_ECANCELLED);
    assert_null(strstr(suite_err.message, "rollback"));
    must(ex_sql_abandon(s->db));
    assert_int_equal(suite_ask(s->db, "SELECT count(*) FROM t"), 0);
}

typedef struct slow_note {
    int count;
    char text[128];
} slow_note;

static void note_slow(void *ctx, ex_slice sql, uint32_t elapsed_ms)
{
    slow_note *n = ctx;
    n->count++;
    assert_true(elapsed_ms >= 1);
    (void)snprintf(n->text, sizeof(n->text), "%.*s", EX_ARG(sql));
}

/* R-02-12: text and time, never values. */
static void test_value_slow_statements(void **state)
{
    suite *s = *state;
    slow_note note = {0};
    ex_sql *db = NULL;
    ex_sql_stmt *st = NULL;
    const char *sql = s->is_postgres
                          ? "SELECT pg_sleep(0.05), $1"
                          : "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r LIMIT "
                            "200000) SELECT count(*), $1 FROM r";
    ex_sql_options o = {.place = s->place, .slow_ms = 1, .on_slow = note_slow, .slow_ctx = &note};
    must(ex_sql_open(&o, &db, &suite_err));
    must(ex_sql_prepare(db, ex_str(sql), &st, &suite_err));
    ex_sql_bind_text(st, 1, EX_S("hush"));
    must(ex_sql_run(st, &suite_err));
    assert_true(note.count >= 1);
    assert_memory_equal(note.text, sql, 20);
    assert_null(strstr(note.text, "hush"));
    ex_sql_close(db);
}

/* R-02-15 */
static void test_value_ping(void **state)
{
    suite *s = *state;
    must(ex_sql_ping(s->db, &suite_err));
    must(ex_sql_check(s->db, &suite_err));
    assert_false(ex_sql_is_broken(s->db));
}

int sql_value_tests(suite *s)
{
    const struct CMUnitTest tests[] = {
        SQL_TEST(test_value_round_trip),      SQL_TEST(test_value_nulls),
        SQL_TEST(test_value_refused),         SQL_TEST(test_value_sums),
        SQL_TEST(test_value_order_of_text),   SQL_TEST(test_value_failures),
        SQL_TEST(test_value_many_statements), SQL_TEST(test_value_timeout),
        SQL_TEST(test_value_cancel),          SQL_TEST(test_value_cancel_between_statements),
        SQL_TEST(test_value_slow_statements), SQL_TEST(test_value_ping),
    };
    return cmocka_run_group_tests_name("sql values", tests, NULL, NULL);
}
