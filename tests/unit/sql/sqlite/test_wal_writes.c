/* test_wal_writes.c: what a commit writes goes to the WAL together, and nothing is missing there.
 * issue 8, item 2: what the acknowledgement of a batch may cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

#include "sql/sqlite/wal_writes.h"
#include "support/fault_vfs.h"
#include "support/temp_dir.h"

typedef struct fixture {
    temp_dir dir;
    char path[256];
    ex_wal_writes writes;
    sqlite3 *db;
} fixture;

static void run_sql(sqlite3 *db, const char *sql)
{
    char *why = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", sql, why);
}

static int64_t number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *st = NULL;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(st, 0);
    assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
    return n;
}

static int set_up(void **state)
{
    static fixture f;
    f = (fixture){.dir = temp_dir_make_fast()};
    (void)snprintf(f.path, sizeof(f.path), "%s/x.db", f.dir.path);
    assert_int_equal(ex_wal_writes_register(&f.writes, FAULT_VFS_NAME, NULL), EX_OK);
    assert_int_equal(
        sqlite3_open_v2(f.path, &f.db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, f.writes.name),
        SQLITE_OK);
    assert_null(ex_wal_writes_last(f.db));
    run_sql(f.db, "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;"
                  "CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB)");
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    fault_vfs_heal();
    assert_int_equal(sqlite3_close(f->db), SQLITE_OK);
    ex_wal_writes_unregister(&f->writes);
    assert_null(sqlite3_vfs_find(f->writes.name));
    temp_dir_remove(&f->dir);
    return 0;
}

/* As another process sees it: its own connection, and a copy of the files, which recovers the WAL.
 */
static void check_others_see(const fixture *f, int64_t rows)
{
    sqlite3 *other = NULL;
    char copy[300], command[1200];
    assert_int_equal(sqlite3_open(f->path, &other), SQLITE_OK);
    assert_int_equal(number(other, "SELECT count(*) FROM t"), rows);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    (void)snprintf(copy, sizeof(copy), "%s/copy.db", f->dir.path);
    (void)snprintf(command, sizeof(command), "cp %s %s && cp %s-wal %s-wal", f->path, copy, f->path,
                   copy);
    assert_int_equal(system(command), 0);
    assert_int_equal(sqlite3_open(copy, &other), SQLITE_OK);
    assert_int_equal(number(other, "SELECT count(*) FROM t"), rows);
    run_sql(other, "PRAGMA integrity_check");
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    (void)snprintf(command, sizeof(command), "rm -f %s*", copy);
    assert_int_equal(system(command), 0);
}

/* The frame that is told is the one in the file. */
static void check_last(const fixture *f)
{
    unsigned char found[WAL_FRAME_HEADER];
    char wal[300];
    const ex_wal_frame *last = ex_wal_writes_last(f->db);
    assert_non_null(last);
    assert_true(last->at >= 32 && last->end == last->at + WAL_FRAME_HEADER + 4096);
    (void)snprintf(wal, sizeof(wal), "%s-wal", f->path);
    int fd = open(wal, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, found, sizeof(found), (off_t)last->at), sizeof(found));
    assert_memory_equal(found, last->header, sizeof(found));
    assert_int_equal(close(fd), 0);
}

/* Twelve pages are one write, of whatever durability, and others see them. */
static void test_wal_writes_a_commit_at_once(void **state)
{
    fixture *f = *state;
    static const char *const modes[] = {"PRAGMA synchronous = FULL", "PRAGMA synchronous = NORMAL"};
    for (int i = 0; i < 2; i++) {
        run_sql(f->db, modes[i]);
        fault_vfs_plan((fault_plan){0});
        run_sql(f->db, "INSERT INTO t (b) VALUES (zeroblob(40000))");
        assert_in_range(fault_vfs_calls(FAULT_WRITE), 1, 2); /* the WAL's own header, once */
        check_others_see(f, i + 1);
        check_last(f);
    }
}

/* A transaction that the page cache cannot hold goes into the WAL before its commit, and its frames
 * are written over there: all of it is in the file afterwards. */
static void test_wal_writes_what_is_written_over(void **state)
{
    fixture *f = *state;
    run_sql(f->db, "PRAGMA synchronous = NORMAL; PRAGMA cache_size = 10; PRAGMA cache_spill = 10");
    for (int i = 0; i < 3; i++) {
        run_sql(f->db, "BEGIN");
        for (int k = 0; k < 40; k++)
            run_sql(f->db, "INSERT INTO t (b) VALUES (randomblob(20000));"
                           "UPDATE t SET b = randomblob(20000) WHERE a % 7 = 1");
        run_sql(f->db, "COMMIT");
        check_others_see(f, 40 * (i + 1));
        check_last(f);
        run_sql(f->db, "BEGIN; DELETE FROM t; INSERT INTO t (b) VALUES (randomblob(900000));"
                       "ROLLBACK; INSERT INTO t (a, b) VALUES (0, 'x'); DELETE FROM t WHERE a = 0");
        check_others_see(f, 40 * (i + 1));
        check_last(f);
    }
}

/* The WAL starts anew in place; what is told is of its new life. */
static void test_wal_writes_goes_on_when_the_wal_starts_anew(void **state)
{
    fixture *f = *state;
    run_sql(f->db, "INSERT INTO t (b) VALUES (zeroblob(400000))");
    uint64_t before = ex_wal_writes_last(f->db)->at;
    run_sql(f->db, "PRAGMA wal_checkpoint(PASSIVE); INSERT INTO t (b) VALUES (1)");
    assert_true(ex_wal_writes_last(f->db)->at < before);
    check_others_see(f, 2);
    check_last(f);
    run_sql(f->db, "PRAGMA wal_checkpoint(TRUNCATE); INSERT INTO t (b) VALUES (1)");
    check_others_see(f, 3);
    check_last(f);
}

/* Whichever write fails, the commit fails, and the next one works. */
static void test_wal_writes_fails_with_the_commit(void **state)
{
    fixture *f = *state;
    run_sql(f->db, "INSERT INTO t (b) VALUES (1)");
    for (unsigned at = 1; at <= 5; at++) {
        const fault_plan plan = {
            .kinds = FAULT_BIT(FAULT_WRITE), .at = at, .is_short = at % 2, .code = SQLITE_FULL};
        fault_vfs_plan(plan);
        assert_int_equal(
            sqlite3_exec(f->db, "INSERT INTO t (b) VALUES (randomblob(300000))", NULL, NULL, NULL),
            SQLITE_FULL);
        assert_int_equal(fault_vfs_failures(), 1);
        fault_vfs_heal();
        check_others_see(f, at);
        run_sql(f->db, "INSERT INTO t (b) VALUES (1)");
        check_others_see(f, at + 1);
        check_last(f);
    }
}

int main(void)
{
#define WRITES_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WRITES_TEST(test_wal_writes_a_commit_at_once),
        WRITES_TEST(test_wal_writes_what_is_written_over),
        WRITES_TEST(test_wal_writes_goes_on_when_the_wal_starts_anew),
        WRITES_TEST(test_wal_writes_fails_with_the_commit),
    };
    fault_vfs_register();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
