/* sql_tx.c: transactions, savepoints, units of work. R-02-05, R-02-07, R-02-08. */
#include "conformance/sql_suite.h"

#include <stdio.h>

static ex_status insert(ex_sql *db, int64_t n, ex_error *err)
{
    ex_sql_stmt *st = NULL;
    ex_status status = ex_sql_prepare(db, EX_S("INSERT INTO t VALUES ($1, 'x')"), &st, err);
    if (status)
        return status;
    ex_sql_bind_i64(st, 1, n);
    return ex_sql_run(st, err);
}

static ex_status insert_queued(ex_sql *db, int64_t n, ex_error *err)
{
    ex_sql_stmt *st = NULL;
    ex_status status = ex_sql_prepare(db, EX_S("INSERT INTO t VALUES ($1, 'x')"), &st, err);
    if (status)
        return status;
    ex_sql_bind_i64(st, 1, n);
    return ex_sql_queue(st, err);
}

static int64_t count(ex_sql *db)
{
    return suite_ask(db, "SELECT count(*) FROM t");
}

static void test_tx_commit_and_rollback(void **state)
{
    suite *s = *state;
    suite_table(s);
    ex_sql_tx tx;
    must(ex_sql_begin(s->db, EX_SQL_WRITE, &tx, &suite_err));
    must(insert(s->db, 1, &suite_err));
    must(ex_sql_commit(&tx, &suite_err));
    assert_int_equal(count(s->db), 1);
    must(ex_sql_begin(s->db, EX_SQL_WRITE, &tx, &suite_err));
    must(insert(s->db, 2, &suite_err));
    must(ex_sql_rollback(&tx, &suite_err));
    assert_int_equal(count(s->db), 1);
    suite_no_tx(s->db);
}

/* R-02-08 */
static void test_tx_handle_is_used_up(void **state)
{
    suite *s = *state;
    suite_table(s);
    ex_sql_tx tx, next;
    must(ex_sql_begin(s->db, EX_SQL_WRITE, &tx, &suite_err));
    must(ex_sql_commit(&tx, &suite_err));
    assert_int_equal(ex_sql_commit(&tx, &suite_err), EX_ESTATE);
    assert_string_equal(suite_err.code, "TX_CLOSED");
    assert_int_equal(ex_sql_rollback(&tx, &suite_err), EX_ESTATE);
    must(ex_sql_begin(s->db, EX_SQL_WRITE, &next, &suite_err));
    assert_int_equal(ex_sql_rollback(&tx, &suite_err),
                     EX_ESTATE); /* not the one that is open now */
    must(insert(s->db, 1, &suite_err));
    must(ex_sql_commit(&next, &suite_err));
    assert_int_equal(count(s->db), 1);
}

/* R-02-08: the inner part alone is undone. */
static void test_tx_savepoints(void **state)
{
    suite *s = *state;
    suite_table(s);
    ex_sql_tx outer, inner, innermost;
    must(ex_sql_begin(s->db, EX_SQL_WRITE, &outer, &suite_err));
    must(insert(s->db, 1, &suite_err));
    must(ex_sql_begin(s->db, EX_SQL_WRITE, &inner, &suite_err));
    must(insert(s->db, 2, &suite_err));
    assert_int_equal(ex_sql_commit(&outer, &suite_err), EX_ESTATE);
    assert_string_equal(suite_err.code, "TX_NESTED");
    assert_int_equal(insert(s->db, 2, &suite_err), EX_EEXISTS);
    assert_int_equal(insert(s->db, 3, &suite_err), EX_ESTATE); /* only a rollback is left */
    assert_string_equal(suite_err.code, "TX_FAILED");
    must(ex_sql_rollback(&inner, &suite_err));
    must(ex_sql_begin(s->db, EX_SQL_WRITE, &inner, &suite_err));
    must(ex_sql_begin(s->db, EX_SQL_WRITE, &innermost, &suite_err));
    must(insert(s->db, 4, &suite_err));
    must(ex_sql_commit(&innermost, &suite_err));
    must(ex_sql_commit(&inner, &suite_err));
    must(ex_sql_commit(&outer, &suite_err));
    assert_int_equal(count(s->db), 2);
    assert_int_equal(suite_ask(s->db, "SELECT sum(n) FROM t"), 5);
}

/* Rolling the outer one back ends what is open inside. */
static void test_tx_rollback_of_all(void **state)
{
    suite *s = *state;
    suite_table(s);
    ex_sql_tx outer, inner;
    must(ex_sql_begin(s->db, EX_SQL_WRITE, &outer, &suite_err));
    must(ex_sql_begin(s->db, EX_SQL_WRITE, &inner, &suite_err));
    must(insert(s->db, 1, &suite_err));
    must(ex_sql_rollback(&outer, &suite_err));
    assert_int_equal(ex_sql_rollback(&inner, &suite_err), EX_ESTATE);
    assert_int_equal(count(s->db), 0);
}

static void test_tx_commit_after_a_failure_rolls_back(void **state)
{
    suite *s = *state;
    suite_table(s);
    ex_sql_tx tx;
    must(ex_sql_begin(s->db, EX_SQL_WRITE, &tx, &suite_err));
    must(insert(s->db, 1, &suite_err));
    assert_int_equal(insert(s->db, 1, &suite_err), EX_EEXISTS);
    assert_int_equal(ex_sql_commit(&tx, &suite_err), EX_ESTATE);
    assert_string_equal(suite_err.code, "TX_FAILED");
    assert_int_equal(count(s->db), 0);
    assert_int_equal(ex_sql_rollback(&tx, &suite_err), EX_ESTATE);
}

/* A queued statement's failure comes out at the latest with the commit. */
static void test_tx_queued_statements(void **state)
{
    suite *s = *state;
    suite_table(s);
    ex_sql_tx tx;
    must(ex_sql_begin(s->db, EX_SQL_WRITE, &tx, &suite_err));
    for (int i = 0; i < 1000; i++)
        must(insert_queued(s->db, i, &suite_err));
    assert_int_equal(count(s->db), 1000); /* a reader sees what was queued before it */
    must(insert_queued(s->db, 1000, &suite_err));
    must(ex_sql_commit(&tx, &suite_err));
    assert_int_equal(count(s->db), 1001);

    must(ex_sql_begin(s->db, EX_SQL_WRITE, &tx, &suite_err));
    must(insert_queued(s->db, 2000, &suite_err));
    ex_status st = insert_queued(s->db, 1, &suite_err);
    st = st ? st : insert_queued(s->db, 2001, &suite_err);
    assert_int_equal(ex_sql_end(&tx, st, &suite_err), EX_EEXISTS);
    assert_int_equal(count(s->db), 1001);
    suite_no_tx(s->db);
}

static ex_status fail_inside(ex_sql *db, void *ctx, ex_error *err)
{
    (void)ctx;
    ex_status st = insert(db, 7, err);
    return st ? st : ex_raise(err, EX_EREJECTED, "no");
}

static ex_status insert_inside(ex_sql *db, void *ctx, ex_error *err)
{
    return insert(db, *(int *)ctx, err);
}

static ex_status nested(ex_sql *db, void *ctx, ex_error *err)
{
    ex_status st = insert(db, 1, err);
    st = st ? st
         : ex_sql_transact(db, EX_SQL_WRITE, fail_inside, NULL, NULL) == EX_EREJECTED
             ? EX_OK
             : EX_EINTERNAL;
    return st ? st : ex_sql_transact(db, EX_SQL_WRITE, insert_inside, ctx, err);
}

/* R-02-05 */
static void test_tx_unit_of_work(void **state)
{
    suite *s = *state;
    suite_table(s);
    int n = 2;
    must(ex_sql_transact(s->db, EX_SQL_WRITE, insert_inside, &n, &suite_err));
    assert_int_equal(ex_sql_transact(s->db, EX_SQL_WRITE, fail_inside, NULL, &suite_err),
                     EX_EREJECTED);
    assert_string_equal(suite_err.message, "no");
    assert_int_equal(count(s->db), 1);
    n = 3;
    must(ex_sql_transact(s->db, EX_SQL_WRITE, nested, &n, &suite_err));
    assert_int_equal(suite_ask(s->db, "SELECT sum(n) FROM t"), 6);
}

/* Takes the savepoint away under the unit of work, so that it cannot be rolled back to. */
static ex_status steal_savepoint(ex_sql *db, void *ctx, ex_error *err)
{
    (void)ctx;
    ex_status st = ex_sql_script(db, "RELEASE SAVEPOINT excore_1", err);
    return st ? st : ex_raise(err, EX_EREJECTED, "the first failure");
}

/* R-02-07: the first failure stays, the second is mentioned; the transaction takes no more. */
static void test_tx_rollback_fails(void **state)
{
    suite *s = *state;
    suite_table(s);
    ex_sql_tx tx;
    must(ex_sql_begin(s->db, EX_SQL_WRITE, &tx, &suite_err));
    must(insert(s->db, 1, &suite_err));
    assert_int_equal(ex_sql_transact(s->db, EX_SQL_WRITE, steal_savepoint, NULL, &suite_err),
                     EX_EREJECTED);
    assert_non_null(strstr(suite_err.message, "the first failure; and the rollback failed: "));
    assert_int_equal(ex_sql_commit(&tx, &suite_err), EX_ESTATE);
    assert_int_equal(count(s->db), 0);
    must(insert(s->db, 1, &suite_err));
}

/* One snapshot for all of a reading transaction; writing in it fails. */
static void test_tx_read_snapshot(void **state)
{
    suite *s = *state;
    suite_table(s);
    ex_sql *other = suite_open(s), *reader = NULL;
    ex_sql_tx tx;
    must(ex_sql_open(&(ex_sql_options){.place = s->place, .is_read_only = true}, &reader,
                     &suite_err));
    must(ex_sql_begin(reader, EX_SQL_READ, &tx, &suite_err));
    assert_int_equal(count(reader), 0);
    must(insert(other, 1, &suite_err));
    assert_int_equal(count(reader), 0);
    must(ex_sql_commit(&tx, &suite_err));
    assert_int_equal(count(reader), 1);
    assert_int_equal(insert(reader, 2, &suite_err), EX_EREADONLY);
    ex_sql_close(reader);
    ex_sql_close(other);
}

/* R-02-16: foreign keys hold on both engines, and a file is in WAL mode. */
static void test_tx_foreign_keys(void **state)
{
    suite *s = *state;
    suite_table(s);
    must(ex_sql_script(s->db, "CREATE TABLE child (n BIGINT REFERENCES t (n))", &suite_err));
    assert_int_equal(ex_sql_script(s->db, "INSERT INTO child VALUES (1)", &suite_err),
                     EX_EDATABASE);
    must(insert(s->db, 1, &suite_err));
    must(ex_sql_script(s->db, "INSERT INTO child VALUES (1)", &suite_err));
    if (s->is_postgres)
        return;
    ex_sql_stmt *st = NULL;
    must(ex_sql_prepare(s->db, EX_S("PRAGMA journal_mode"), &st, &suite_err));
    must(ex_sql_step(st, &suite_err));
    assert_true(ex_slice_is(ex_sql_bytes(st, 0), "wal"));
    ex_sql_reset(st);
}

/* R-02-16: a lock that is not free in time is a failure to try again. */
static void test_tx_waits_for_a_lock(void **state)
{
    suite *s = *state;
    suite_table(s);
    must(insert(s->db, 1, &suite_err));
    ex_sql *other = NULL;
    must(ex_sql_open(&(ex_sql_options){.place = s->place, .query_timeout_ms = 500}, &other,
                     &suite_err));
    ex_sql_tx tx;
    must(ex_sql_begin(s->db, EX_SQL_WRITE, &tx, &suite_err));
    must(ex_sql_script(s->db, "UPDATE t SET s = 'y'", &suite_err));
    ex_status st = ex_sql_script(other, "UPDATE t SET s = 'z'", &suite_err);
    assert_true(ex_status_is_retryable(st));
    must(ex_sql_rollback(&tx, &suite_err));
    must(ex_sql_script(other, "UPDATE t SET s = 'z'", &suite_err));
    ex_sql_close(other);
}

/* A failure that comes out while an inner transaction is undone is the outer one's when the
 * statement was: nothing of the outer one may be lost without a word. */
static void test_tx_queued_failure_before_a_savepoint(void **state)
{
    suite *s = *state;
    suite_table(s);
    must(insert(s->db, 1, &suite_err));
    ex_sql_tx tx, inner, next;
    must(ex_sql_begin(s->db, EX_SQL_WRITE, &tx, &suite_err));
    must(ex_sql_begin(s->db, EX_SQL_WRITE, &inner, &suite_err));
    must(insert(s->db, 2, &suite_err));
    ex_status st = insert_queued(s->db, 1, &suite_err); /* taken: may fail later */
    st = ex_sql_end(&inner, st, &suite_err);
    if (!st) {
        st = ex_sql_begin(s->db, EX_SQL_WRITE, &next, &suite_err);
        if (!st)
            st = ex_sql_rollback(&next, &suite_err);
    }
    st = ex_sql_end(&tx, st, &suite_err);
    assert_int_equal(st, EX_EEXISTS);
    assert_int_equal(count(s->db), 1);
}

/* A statement that has rows left does not keep the transaction from ending. */
static void test_tx_ends_with_rows_left(void **state)
{
    suite *s = *state;
    suite_table(s);
    ex_sql_tx tx;
    ex_sql_stmt *st = NULL;
    for (int round = 0; round < 2; round++) {
        must(ex_sql_begin(s->db, EX_SQL_WRITE, &tx, &suite_err));
        must(insert(s->db, round * 10 + 1, &suite_err));
        must(insert(s->db, round * 10 + 2, &suite_err));
        must(ex_sql_prepare(s->db, EX_S("SELECT n FROM t"), &st, &suite_err));
        must(ex_sql_step(st, &suite_err));
        must(round ? ex_sql_rollback(&tx, &suite_err) : ex_sql_commit(&tx, &suite_err));
    }
    assert_int_equal(count(s->db), 2);
    must(ex_sql_begin(s->db, EX_SQL_WRITE, &tx, &suite_err));
    must(insert(s->db, 3, &suite_err));
    must(ex_sql_abandon(s->db));
    assert_int_equal(count(s->db), 2);
}

int sql_tx_tests(suite *s)
{
    const struct CMUnitTest tests[] = {
        SQL_TEST(test_tx_commit_and_rollback),
        SQL_TEST(test_tx_handle_is_used_up),
        SQL_TEST(test_tx_savepoints),
        SQL_TEST(test_tx_rollback_of_all),
        SQL_TEST(test_tx_commit_after_a_failure_rolls_back),
        SQL_TEST(test_tx_queued_statements),
        SQL_TEST(test_tx_queued_failure_before_a_savepoint),
        SQL_TEST(test_tx_unit_of_work),
        SQL_TEST(test_tx_rollback_fails),
        SQL_TEST(test_tx_read_snapshot),
        SQL_TEST(test_tx_foreign_keys),
        SQL_TEST(test_tx_waits_for_a_lock),
        SQL_TEST(test_tx_ends_with_rows_left),
    };
    return cmocka_run_group_tests_name("sql transactions", tests, NULL, NULL);
}
