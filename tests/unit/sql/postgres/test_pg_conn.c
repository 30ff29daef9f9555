/* test_pg_conn.c: a connection against a real server: values, groups, failures, time-outs,
 * cancelling, notifications, a server that goes away. */
#include "sql/postgres/pg_conn.h"
#include "support/assert_ok.h"
#include "support/postgres.h"

#include <float.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static ex_error err;

static ex_pg *open_url(const char *url)
{
    ex_pg *pg = NULL;
    assert_ok(ex_pg_open(&(ex_pg_options){.url = url}, &pg, &err));
    return pg;
}

static ex_pg *open_with_timeout(uint32_t statement_timeout_ms)
{
    ex_pg *pg = NULL;
    assert_ok(ex_pg_open(
        &(ex_pg_options){.url = postgres_url(), .statement_timeout_ms = statement_timeout_ms}, &pg,
        &err));
    return pg;
}

static ex_pg *open_one(void)
{
    return open_url(postgres_url());
}

static int64_t ask(ex_pg *pg, const char *sql)
{
    ex_pg_result r = {0};
    assert_ok(ex_pg_run(pg, ex_str(sql), NULL, &r, &err));
    assert_int_equal(r.rows, 1);
    int64_t value = ex_pg_get_i64(&r, 0, 0);
    ex_pg_result_free(&r);
    return value;
}

/* R-02-13: quotes, comments and control characters are values and nothing else. */
static void test_pg_conn_values_come_back(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "plain",
                                        "it's",
                                        "\"; DROP TABLE x; --",
                                        "/* a */ -- b",
                                        "\\",
                                        "\xc3\xa9\xf0\x9f\x98\x80",
                                        "$1 ?1 :a %s",
                                        "\x01\t\n"};
    static const int64_t numbers[] = {0, 1, -1, INT64_MAX, INT64_MIN};
    static const double doubles[] = {0, -0.5, DBL_MAX, DBL_MIN, 1e-300};
    static const uint8_t uuid[16] = {1, 2, 0, 255, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    ex_pg *pg = open_one();
    ex_pg_args a;
    ex_pg_args_init(&a);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        ex_pg_args_reset(&a);
        ex_pg_put_text(&a, ex_str(texts[i]));
        ex_pg_put_i64(&a, numbers[i % 5]);
        ex_pg_put_f64(&a, doubles[i % 5]);
        ex_pg_put_bool(&a, i % 2);
        ex_pg_put_bytea(&a, ex_slice_of("\0a\0", i % 4));
        ex_pg_put_uuid(&a, uuid);
        ex_pg_put_null(&a, EX_PG_TEXT);
        ex_pg_put_i32(&a, -5);
        ex_pg_result r = {0};
        assert_ok(
            ex_pg_run(pg, EX_S("SELECT $1, $2, $3, $4, $5, $6, $7, $8, $2::float4"), &a, &r, &err));
        assert_int_equal(r.rows, 1);
        assert_true(ex_slice_is(ex_pg_get_slice(&r, 0, 0), texts[i]));
        assert_false(ex_pg_is_null(&r, 0, 0));
        assert_int_equal(ex_pg_get_i64(&r, 0, 1), numbers[i % 5]);
        assert_true(ex_pg_get_f64(&r, 0, 2) == doubles[i % 5]);
        assert_int_equal(ex_pg_get_bool(&r, 0, 3), i % 2);
        assert_true(ex_slice_eq(ex_pg_get_slice(&r, 0, 4), ex_slice_of("\0a\0", i % 4)));
        assert_memory_equal(ex_pg_get_slice(&r, 0, 5).ptr, uuid, 16);
        assert_true(ex_pg_is_null(&r, 0, 6));
        assert_int_equal(ex_pg_get_i64(&r, 0, 7), -5);
        assert_true(ex_pg_get_f64(&r, 0, 8) == (double)(float)numbers[i % 5]);
        ex_pg_result_free(&r);
    }
    ex_pg_args_reset(&a);
    ex_pg_put_text(&a, ex_slice_of("a\0b", 3));
    assert_int_equal(ex_pg_send(pg, EX_S("SELECT $1"), &a, &err), EX_EINVAL);
    assert_string_equal(err.message, "PostgreSQL cannot store a text with a NUL byte in it");
    assert_int_equal(ask(pg, "SELECT 7"), 7);
    ex_pg_args_done(&a);
    ex_pg_close(pg);
}

static void test_pg_conn_arrays(void **state)
{
    (void)state;
    ex_pg *pg = open_one();
    ex_pg_args a;
    ex_pg_args_init(&a);
    for (int count = 0; count < 2000; count = count * 3 + 1) {
        ex_pg_args_reset(&a);
        ex_pg_array_begin(&a, EX_PG_INT8);
        for (int i = 0; i < count; i++)
            ex_pg_put_i64(&a, i);
        ex_pg_array_end(&a);
        ex_pg_array_begin(&a, EX_PG_TEXT);
        for (int i = 0; i < count; i++) {
            if (i % 7 == 3)
                ex_pg_put_null(&a, EX_PG_TEXT);
            else
                ex_pg_put_text(&a, EX_S("x'y"));
        }
        ex_pg_array_end(&a);
        ex_pg_result r = {0};
        assert_ok(ex_pg_run(pg, EX_S("SELECT n, t FROM unnest($1, $2) AS u(n, t) ORDER BY n"), &a,
                            &r, &err));
        assert_int_equal(r.rows, count);
        for (int i = 0; i < count; i++) {
            assert_int_equal(ex_pg_get_i64(&r, i, 0), i);
            assert_int_equal(ex_pg_is_null(&r, i, 1), i % 7 == 3);
        }
        ex_pg_result_free(&r);
    }
    ex_pg_args_done(&a);
    ex_pg_close(pg);
}

/* Several groups under way: results in order, a failure takes its own group away and no other. */
static void test_pg_conn_pipeline_failure_ends_its_group(void **state)
{
    (void)state;
    ex_pg *pg = open_one();
    ex_pg_result r = {0};
    assert_ok(ex_pg_script(pg, "CREATE TEMP TABLE t (n int8 PRIMARY KEY)", &err));
    assert_ok(ex_pg_send(pg, EX_S("INSERT INTO t VALUES (1)"), NULL, &err));
    assert_ok(ex_pg_sync(pg, &err));
    assert_ok(ex_pg_send(pg, EX_S("INSERT INTO t VALUES (2)"), NULL, &err));
    assert_ok(ex_pg_send(pg, EX_S("INSERT INTO t VALUES (1)"), NULL, &err));
    assert_ok(ex_pg_send(pg, EX_S("INSERT INTO t VALUES (3)"), NULL, &err)); /* is never prepared */
    assert_ok(ex_pg_sync(pg, &err));
    assert_ok(ex_pg_send(pg, EX_S("SELECT n FROM t ORDER BY n"), NULL, &err));
    assert_ok(ex_pg_sync(pg, &err));
    assert_int_equal(ex_pg_pending(pg), 5);
    assert_ok(ex_pg_recv(pg, &r, &err));
    assert_int_equal(r.affected, 1);
    ex_pg_result_free(&r);
    assert_ok(ex_pg_recv(pg, NULL, &err)); /* 2, though its group fails later */
    assert_int_equal(ex_pg_recv(pg, NULL, &err), EX_EEXISTS);
    assert_string_equal(ex_pg_sqlstate(pg), "23505");
    assert_int_equal(ex_pg_pending(pg), 1);
    assert_ok(ex_pg_recv(pg, &r, &err));
    assert_int_equal(r.rows, 1);
    ex_pg_result_free(&r);
    assert_int_equal(ex_pg_tx_state(pg), EX_PG_TX_NONE);
    assert_ok(ex_pg_run(pg, EX_S("INSERT INTO t VALUES (3)"), NULL, NULL, &err));
    assert_int_equal(ask(pg, "SELECT count(*) FROM t"), 2);
    ex_pg_close(pg);
}

/* The implicit commit of a group may fail: then its last statement did. */
static void test_pg_conn_failure_at_the_sync(void **state)
{
    (void)state;
    ex_pg *pg = open_one();
    assert_ok(
        ex_pg_script(pg,
                     "CREATE TEMP TABLE p (n int8 PRIMARY KEY);"
                     "CREATE TEMP TABLE c (n int8 REFERENCES p DEFERRABLE INITIALLY DEFERRED)",
                     &err));
    assert_int_equal(ex_pg_run(pg, EX_S("INSERT INTO c VALUES (5)"), NULL, NULL, &err),
                     EX_EDATABASE);
    assert_string_equal(ex_pg_sqlstate(pg), "23503");
    assert_int_equal(ask(pg, "SELECT count(*) FROM c"), 0);
    ex_pg_close(pg);
}

static void test_pg_conn_transaction_states(void **state)
{
    (void)state;
    ex_pg *pg = open_one();
    assert_int_equal(ex_pg_tx_state(pg), EX_PG_TX_NONE);
    assert_ok(ex_pg_run(pg, EX_S("BEGIN"), NULL, NULL, &err));
    assert_int_equal(ex_pg_tx_state(pg), EX_PG_TX_OPEN);
    assert_int_equal(ex_pg_run(pg, EX_S("SELECT 1 FROM missing"), NULL, NULL, &err), EX_EDATABASE);
    assert_int_equal(ex_pg_tx_state(pg), EX_PG_TX_FAILED);
    assert_ok(ex_pg_run(pg, EX_S("ROLLBACK"), NULL, NULL, &err));
    assert_int_equal(ex_pg_tx_state(pg), EX_PG_TX_NONE);
    ex_pg_close(pg);
}

/* More than a socket buffer in both directions: neither side may wait for the other. */
static void test_pg_conn_large_pipeline(void **state)
{
    (void)state;
    enum { STATEMENTS = 200, BYTES = 100000 };
    ex_pg *pg = open_one();
    char *text = malloc(BYTES);
    memset(text, 'x', BYTES);
    ex_pg_args a;
    ex_pg_args_init(&a);
    ex_pg_put_text(&a, ex_slice_of(text, BYTES));
    for (int i = 0; i < STATEMENTS; i++)
        assert_ok(ex_pg_send(pg, EX_S("SELECT $1"), &a, &err));
    assert_ok(ex_pg_sync(pg, &err));
    for (int i = 0; i < STATEMENTS; i++) {
        ex_pg_result r = {0};
        assert_ok(ex_pg_recv(pg, &r, &err));
        assert_int_equal(ex_pg_get_slice(&r, 0, 0).len, BYTES);
        ex_pg_result_free(&r);
    }
    free(text);
    ex_pg_args_done(&a);
    ex_pg_close(pg);
}

/* More texts than are kept, and the same text with other types. */
static void test_pg_conn_many_statements(void **state)
{
    (void)state;
    ex_pg *pg = open_one();
    char sql[64];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 600; i++) {
            (void)snprintf(sql, sizeof(sql), "SELECT %d::int8", i);
            assert_int_equal(ask(pg, sql), i);
        }
    }
    assert_true(ask(pg, "SELECT count(*) FROM pg_prepared_statements") <= 512);
    ex_pg_close(pg);

    pg = open_one();
    ex_pg_args a;
    ex_pg_args_init(&a);
    ex_pg_result r = {0};
    ex_pg_put_i64(&a, 5);
    assert_ok(ex_pg_run(pg, EX_S("SELECT $1"), &a, &r, &err));
    assert_int_equal(ex_pg_result_type(&r, 0), EX_PG_INT8);
    ex_pg_result_free(&r);
    ex_pg_args_reset(&a);
    ex_pg_put_text(&a, EX_S("five"));
    assert_ok(ex_pg_run(pg, EX_S("SELECT $1"), &a, &r, &err));
    assert_int_equal(ex_pg_result_type(&r, 0), EX_PG_TEXT);
    ex_pg_result_free(&r);
    assert_int_equal(
        ask(pg, "SELECT count(*) FROM pg_prepared_statements WHERE statement = 'SELECT $1'"), 2);
    ex_pg_args_done(&a);
    ex_pg_close(pg);
}

static void test_pg_conn_table_changed_under_a_statement(void **state)
{
    (void)state;
    ex_pg *pg = open_one();
    assert_ok(ex_pg_script(pg, "CREATE TEMP TABLE t (n int8); INSERT INTO t VALUES (1)", &err));
    assert_int_equal(ask(pg, "SELECT * FROM t"), 1);
    assert_ok(ex_pg_script(pg, "ALTER TABLE t ADD COLUMN m int8", &err));
    assert_int_equal(ex_pg_run(pg, EX_S("SELECT * FROM t"), NULL, NULL, &err), EX_EAGAIN);
    assert_int_equal(ask(pg, "SELECT * FROM t"), 1);
    ex_pg_close(pg);
}

/* R-02-10: the server ends the statement, and the connection is good for the next. */
static void test_pg_conn_statement_timeout(void **state)
{
    (void)state;
    ex_pg *pg = open_with_timeout(50);
    assert_int_equal(ex_pg_run(pg, EX_S("SELECT pg_sleep(60)"), NULL, NULL, &err), EX_ETIMEOUT);
    assert_string_equal(err.message, "PostgreSQL cancelled a statement that took too long");
    assert_false(ex_pg_is_broken(pg));
    assert_int_equal(ask(pg, "SELECT 7"), 7);
    ex_pg_close(pg);
}

/* The server does not hold its own limit: ours ends the connection. */
static void test_pg_conn_deadline_without_the_server(void **state)
{
    (void)state;
    ex_pg *pg = open_with_timeout(50);
    assert_ok(ex_pg_script(pg, "SET statement_timeout = 0", &err));
    assert_int_equal(ex_pg_run(pg, EX_S("SELECT pg_sleep(60)"), NULL, NULL, &err), EX_ETIMEOUT);
    assert_true(ex_pg_is_broken(pg));
    assert_int_equal(ex_pg_send(pg, EX_S("SELECT 1"), NULL, &err), EX_EAGAIN);
    assert_ok(ex_pg_reopen(pg, &err));
    assert_int_equal(ask(pg, "SELECT 7"), 7);
    ex_pg_close(pg);
}

typedef struct helper {
    ex_pg *watched;  /* its statement is waited for */
    int64_t backend; /* of `watched` */
    void (*act)(struct helper *h, ex_pg *own);
} helper;

/* Once the watched connection runs a statement, act. */
static void *when_active(void *arg)
{
    helper *h = arg;
    ex_pg *own = open_one();
    char sql[128];
    (void)snprintf(sql, sizeof(sql),
                   "SELECT count(*) FROM pg_stat_activity WHERE pid = %d AND state = 'active'",
                   (int)h->backend);
    while (ask(own, sql) == 0)
        continue;
    h->act(h, own);
    ex_pg_close(own);
    return NULL;
}

static ex_status run_watched(ex_pg *pg, void (*act)(helper *h, ex_pg *own), const char *sql)
{
    helper h = {.watched = pg, .backend = ask(pg, "SELECT pg_backend_pid()"), .act = act};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, when_active, &h), 0);
    ex_error mine = {0};
    ex_status st = ex_pg_run(pg, ex_str(sql), NULL, NULL, &mine);
    pthread_join(thread, NULL);
    err = mine;
    return st;
}

static void cancel_it(helper *h, ex_pg *own)
{
    (void)own;
    ex_pg_cancel(h->watched);
}

static void terminate_it(helper *h, ex_pg *own)
{
    char sql[64];
    (void)snprintf(sql, sizeof(sql), "SELECT pg_terminate_backend(%d)", (int)h->backend);
    assert_ok(ex_pg_script(own, sql, &err));
}

/* R-02-10: cancelling ends the statement on the server too. */
static void test_pg_conn_cancel(void **state)
{
    (void)state;
    ex_pg *pg = open_one();
    assert_int_equal(run_watched(pg, cancel_it, "SELECT pg_sleep(60)"), EX_ECANCELLED);
    assert_false(ex_pg_is_broken(pg));
    assert_int_equal(ex_pg_run(pg, EX_S("SELECT 7"), NULL, NULL, &err), EX_ECANCELLED);
    ex_pg_uncancel(pg);
    assert_int_equal(ask(pg, "SELECT 7"), 7);
    ex_pg_close(pg);
}

/* R-02-11: a lost connection is temporary, and the next one works. */
static void test_pg_conn_cut_while_running(void **state)
{
    (void)state;
    ex_pg *pg = open_one();
    assert_int_equal(run_watched(pg, terminate_it, "SELECT pg_sleep(60)"), EX_EAGAIN);
    assert_non_null(strstr(err.message, "lost the connection to PostgreSQL at "));
    assert_true(ex_pg_is_broken(pg));
    assert_int_equal(ex_pg_tx_state(pg), EX_PG_TX_BROKEN);
    assert_int_equal(ex_pg_run(pg, EX_S("SELECT 1"), NULL, NULL, &err), EX_EAGAIN);
    assert_int_equal(ex_pg_check(pg, &err), EX_EAGAIN);
    assert_ok(ex_pg_reopen(pg, &err));
    assert_ok(ex_pg_ping(pg, 5000, &err));
    ex_pg_close(pg);
}

static void test_pg_conn_cut_while_idle(void **state)
{
    (void)state;
    ex_pg *pg = open_url(postgres_tcp_url()), *other = open_one();
    char sql[128];
    int backend = (int)ask(pg, "SELECT pg_backend_pid()");
    assert_ok(ex_pg_check(pg, &err));
    (void)snprintf(sql, sizeof(sql), "SELECT pg_terminate_backend(%d, 5000)", backend);
    assert_ok(ex_pg_script(other, sql, &err));
    /* its end may still be on the way */
    ex_status st = ex_pg_wait_notify(pg, 10000, NULL, NULL, &err);
    while (st == EX_OK)
        st = ex_pg_wait_notify(pg, 10000, NULL, NULL, &err);
    assert_int_equal(st, EX_EAGAIN);
    assert_true(ex_pg_is_broken(pg));
    ex_pg_close(pg);
    ex_pg_close(other);
}

/* Each a sentence, no text of libpq's, no password. */
static void test_pg_conn_refused(void **state)
{
    (void)state;
    char good[POSTGRES_URL_SIZE], url[POSTGRES_URL_SIZE];
    (void)snprintf(good, sizeof(good), "%s", postgres_tcp_url());
    const char *address = strchr(good, '@') + 1; /* HOST:PORT/excore */
    char server[64];
    (void)snprintf(server, sizeof(server), "%.*s", (int)strcspn(address, "/"), address);
    static const struct {
        const char *format; /* %s: HOST:PORT */
        const char *reason;
        ex_status want;
    } cases[] = {
        {"postgres://excore:wrong%%20one@%s/excore", "the password for role \"excore\" is wrong",
         EX_EDATABASE},
        {"postgres://nobody_here:wrong@%s/excore", "the password for role \"nobody_here\" is wrong",
         EX_EDATABASE},
        {"postgres://excore@%s/excore", "it asks for the password of role \"excore\"",
         EX_EDATABASE},
        {"postgres://excore:x@127.0.0.1:1/excore", ": connection refused", EX_EAGAIN},
        {"postgres://excore:x@no-such-host.invalid/excore",
         "host \"no-such-host.invalid\" is unknown", EX_EAGAIN},
        {"postgres://excore:x@%s/excore?sslmode=require", "SSL was required", EX_EDATABASE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_pg *pg = NULL;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        (void)snprintf(url, sizeof(url), cases[i].format, server);
#pragma GCC diagnostic pop
        assert_int_equal(ex_pg_open(&(ex_pg_options){.url = url}, &pg, &err), cases[i].want);
        if (!strstr(err.message, cases[i].reason))
            fail_msg("%s", err.message);
        assert_non_null(strstr(err.message, "cannot connect to PostgreSQL at "));
        assert_null(strpbrk(err.message, "\n\t"));
        assert_null(strstr(err.message, "FATAL"));
        assert_null(strstr(err.message, "wrong one"));
    }
    (void)snprintf(url, sizeof(url), "%.500snope", good); /* database excorenope */
    ex_pg *pg = NULL;
    assert_int_equal(ex_pg_open(&(ex_pg_options){.url = url}, &pg, &err), EX_EDATABASE);
    assert_non_null(strstr(err.message, "database \"excorenope\" does not exist"));
}

static void test_pg_conn_missing_grant(void **state)
{
    (void)state;
    ex_pg *pg = open_one();
    assert_ok(
        ex_pg_script(pg,
                     "DROP SCHEMA IF EXISTS conn_test_s CASCADE; DROP ROLE IF EXISTS conn_test_r;"
                     "CREATE SCHEMA conn_test_s; CREATE TABLE conn_test_s.t (n int8);"
                     "CREATE ROLE conn_test_r",
                     &err));
    assert_ok(ex_pg_script(pg, "SET ROLE conn_test_r", &err));
    assert_int_equal(ex_pg_run(pg, EX_S("SELECT n FROM conn_test_s.t"), NULL, NULL, &err),
                     EX_EDATABASE);
    assert_non_null(strstr(err.message, "lacks a grant on schema conn_test_s of PostgreSQL at "));
    assert_ok(ex_pg_script(pg, "RESET ROLE; DROP SCHEMA conn_test_s CASCADE; DROP ROLE conn_test_r",
                           &err));
    ex_pg_close(pg);
}

static void test_pg_conn_value_stays_out_of_messages(void **state)
{
    (void)state;
    ex_pg *pg = open_one();
    ex_pg_args a;
    ex_pg_args_init(&a);
    ex_pg_put_text(&a, EX_S("hush-hush"));
    assert_int_equal(ex_pg_run(pg, EX_S("SELECT $1::text::int8"), &a, NULL, &err), EX_EINVAL);
    assert_null(strstr(err.message, "hush"));
    assert_ok(ex_pg_script(pg, "CREATE TEMP TABLE t (s text PRIMARY KEY)", &err));
    assert_ok(ex_pg_run(pg, EX_S("INSERT INTO t VALUES ($1)"), &a, NULL, &err));
    assert_int_equal(ex_pg_run(pg, EX_S("INSERT INTO t VALUES ($1)"), &a, NULL, &err), EX_EEXISTS);
    assert_null(strstr(err.message, "hush"));
    assert_string_equal(err.message,
                        "a row of table \"t\" breaks constraint \"t_pkey\" (SQLSTATE 23505)");
    ex_pg_args_done(&a);
    ex_pg_close(pg);
}

/* COPY has no place here: it is refused, and does not keep the caller for ever. */
static void test_pg_conn_copy_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"COPY (SELECT 1) TO STDOUT", "COPY copied FROM STDIN"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        ex_pg *pg = open_one();
        assert_ok(ex_pg_script(pg, "CREATE TEMP TABLE copied (n int)", &err));
        assert_int_equal(ex_pg_run(pg, ex_str(texts[i]), NULL, NULL, &err), EX_EINVAL);
        assert_non_null(strstr(err.message, "COPY"));
        assert_true(ex_pg_is_broken(pg));
        ex_pg_close(pg);
    }
}

static void test_pg_conn_session(void **state)
{
    (void)state;
    char url[POSTGRES_URL_SIZE];
    ex_pg *pg = NULL;
    ex_pg_result r = {0};
    ex_pg_options o = {.url = postgres_schema_url(postgres_url(), "x", url),
                       .setup_sql = "SET lock_timeout = 1234"};
    assert_ok(ex_pg_open(&o, &pg, &err));
    assert_ok(
        ex_pg_run(pg,
                  EX_S("SELECT current_setting('application_name'), current_setting('search_path'),"
                       " current_setting('lock_timeout'), current_setting('client_encoding'),"
                       " current_setting('statement_timeout')"),
                  NULL, &r, &err));
    assert_true(ex_slice_is(ex_pg_get_slice(&r, 0, 0), "excore"));
    assert_true(ex_slice_is(ex_pg_get_slice(&r, 0, 1), ex_pg_target_of(pg)->schema));
    assert_true(ex_slice_is(ex_pg_get_slice(&r, 0, 2), "1234ms"));
    assert_true(ex_slice_is(ex_pg_get_slice(&r, 0, 3), "UTF8"));
    assert_true(ex_slice_is(ex_pg_get_slice(&r, 0, 4), "30s"));
    ex_pg_result_free(&r);
    ex_pg_close(pg);
}

typedef struct heard {
    int count;
    char last[64];
} heard;

static void hear(void *ctx, const char *channel, ex_slice payload)
{
    heard *h = ctx;
    h->count++;
    (void)snprintf(h->last, sizeof(h->last), "%s:%.*s", channel, EX_ARG(payload));
}

static void *wake_it(void *arg)
{
    ex_pg_wake(arg);
    return NULL;
}

static void test_pg_conn_notifications(void **state)
{
    (void)state;
    ex_pg *pg = open_one(), *other = open_one();
    heard h = {0};
    assert_ok(ex_pg_listen(pg, "pg_conn_test", &err));
    assert_ok(ex_pg_script(other, "NOTIFY pg_conn_test, 'one'", &err));
    while (h.count < 1)
        assert_ok(ex_pg_wait_notify(pg, 10000, hear, &h, &err));
    assert_string_equal(h.last, "pg_conn_test:one");
    /* one that arrives while a statement runs is kept */
    assert_ok(ex_pg_script(pg, "NOTIFY pg_conn_test, 'two'", &err));
    while (h.count < 2)
        assert_ok(ex_pg_wait_notify(pg, 10000, hear, &h, &err));
    assert_string_equal(h.last, "pg_conn_test:two");
    assert_ok(ex_pg_wait_notify(pg, 1, hear, &h, &err)); /* time over */
    pthread_t thread;
    pthread_create(&thread, NULL, wake_it, pg);
    assert_ok(ex_pg_wait_notify(pg, EX_PG_NO_TIMEOUT, hear, &h, &err));
    pthread_join(thread, NULL);
    assert_int_equal(h.count, 2);
    ex_pg_close(pg);
    ex_pg_close(other);
}

static void note_slow(void *ctx, ex_slice sql, uint32_t elapsed_ms)
{
    heard *h = ctx;
    h->count++;
    assert_true(elapsed_ms >= 20);
    (void)snprintf(h->last, sizeof(h->last), "%.*s", EX_ARG(sql));
}

/* R-02-12 */
static void test_pg_conn_slow_statements(void **state)
{
    (void)state;
    heard h = {0};
    ex_pg *pg = NULL;
    ex_pg_options o = {.url = postgres_url(), .slow_ms = 20, .on_slow = note_slow, .slow_ctx = &h};
    assert_ok(ex_pg_open(&o, &pg, &err));
    ex_pg_args a;
    ex_pg_args_init(&a);
    ex_pg_put_f64(&a, 0.05);
    assert_ok(ex_pg_run(pg, EX_S("SELECT pg_sleep($1)"), &a, NULL, &err));
    assert_true(h.count >= 1);
    assert_string_equal(h.last, "SELECT pg_sleep($1)");
    h.count = 0; /* of a group, all of it: its results come together */
    assert_ok(ex_pg_send(pg, EX_S("BEGIN"), NULL, &err));
    assert_ok(ex_pg_send(pg, EX_S("SELECT pg_sleep($1)"), &a, &err));
    assert_ok(ex_pg_send(pg, EX_S("COMMIT"), NULL, &err));
    assert_ok(ex_pg_sync(pg, &err));
    assert_ok(ex_pg_recv_all(pg, &err));
    assert_int_equal(h.count, 1);
    assert_string_equal(h.last, "BEGIN; SELECT pg_sleep($1); COMMIT");
    ex_pg_args_done(&a);
    ex_pg_close(pg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pg_conn_values_come_back),
        cmocka_unit_test(test_pg_conn_arrays),
        cmocka_unit_test(test_pg_conn_pipeline_failure_ends_its_group),
        cmocka_unit_test(test_pg_conn_failure_at_the_sync),
        cmocka_unit_test(test_pg_conn_transaction_states),
        cmocka_unit_test(test_pg_conn_large_pipeline),
        cmocka_unit_test(test_pg_conn_many_statements),
        cmocka_unit_test(test_pg_conn_table_changed_under_a_statement),
        cmocka_unit_test(test_pg_conn_statement_timeout),
        cmocka_unit_test(test_pg_conn_deadline_without_the_server),
        cmocka_unit_test(test_pg_conn_cancel),
        cmocka_unit_test(test_pg_conn_cut_while_running),
        cmocka_unit_test(test_pg_conn_cut_while_idle),
        cmocka_unit_test(test_pg_conn_refused),
        cmocka_unit_test(test_pg_conn_missing_grant),
        cmocka_unit_test(test_pg_conn_value_stays_out_of_messages),
        cmocka_unit_test(test_pg_conn_copy_is_refused),
        cmocka_unit_test(test_pg_conn_session),
        cmocka_unit_test(test_pg_conn_notifications),
        cmocka_unit_test(test_pg_conn_slow_statements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
