/* store_reopen.c: what is on disk after closing, and directories that cannot be opened.
 * Missing, read-only, of a newer format, in use, not a store at all. SQLite only. */
#include "conformance/store_suite.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SKIP_IN_MEMORY(s)                                                                          \
    if (suite_forgets(s))                                                                          \
    skip()
#define SKIP_WITHOUT_FILES(s)                                                                      \
    if (suite_skips_files(s))                                                                      \
    skip()

static void path_of(suite *s, const char *name, char out[256])
{
    (void)snprintf(out, 256, "%s/%s", s->dir, name);
}

static void run_sql(suite *s, const char *sql)
{
    char path[256];
    sqlite3 *db = NULL;
    path_of(s, "events.db", path);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void close_store(suite *s)
{
    ex_store_close(s->store);
    s->store = NULL;
}

static void test_reopen_finds_everything(void **state)
{
    suite *s = *state;
    SKIP_IN_MEMORY(s);
    suite_fill(s, "a", 3);
    suite_fill(s, "b", 2);
    for (int i = 0; i < 3; i++) {
        suite_reopen(s, NULL);
        assert_int_equal(ex_store_head(s->store), 5 + i);
        assert_int_equal(suite_version(s, "b"), 2);
        ex_new_event event = EVENT("T", "{}", .id = suite_id(1));
        assert_int_equal(suite_append(s, "b", EX_EXACT(2), &event, i, NULL, NULL),
                         i == 2 ? EX_EIDEMPOTENCY : EX_OK);
        suite_fill(s, "a", 1);
        if (i == 1)
            break;
    }
}

static void test_reopen_knows_stored_ids(void **state)
{
    suite *s = *state;
    SKIP_IN_MEMORY(s);
    ex_new_event event = EVENT("T", "{}", .id = suite_id(1));
    suite_put(s, "a", &event);
    suite_reopen(s, NULL);
    ex_appended out = {0};
    assert_int_equal(suite_append(s, "a", EX_NO_STREAM, &event, 1, &out, NULL), EX_OK);
    assert_true(out.is_duplicate);
    assert_int_equal(out.position, 1);
}

static void test_reopen_with_normal_durability(void **state)
{
    suite *s = *state;
    SKIP_IN_MEMORY(s);
    ex_store_options options = {.durability = EX_DURABILITY_NORMAL};
    suite_reopen(s, &options);
    suite_fill(s, "a", 3);
    suite_reopen(s, NULL);
    assert_int_equal(ex_store_head(s->store), 3);
}

/* A second writer is refused and told who the first one is. */
static void test_reopen_while_in_use_is_refused(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_FILES(s);
    ex_store *second = NULL;
    ex_error err = {0};
    assert_int_equal(ex_store_open(s->dir, NULL, &second, &err), EX_EINUSE);
    char pid[32];
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    assert_non_null(strstr(err.message, pid));
    assert_null(second);
    suite_fill(s, "a", 1); /* the first one did not notice */
}

static void test_reopen_read_only_beside_a_writer(void **state)
{
    suite *s = *state;
    SKIP_IN_MEMORY(s);
    suite_fill(s, "a", 2);
    suite reader = *s;
    ex_store_options options = {.read_only = true};
    assert_int_equal(ex_store_open(s->dir, &options, &reader.store, NULL), EX_OK);
    assert_int_equal(ex_store_head(reader.store), 2);
    suite_fill(s, "a", 3);
    assert_int_equal(ex_store_head(reader.store), 5);
    uint64_t have[8];
    const uint64_t want[] = {1, 2, 3, 4, 5};
    uint32_t count = suite_read_log(&reader, 0, NULL, have, 8);
    suite_assert_numbers("read-only", have, count, want, 5);
    ex_new_event event = EVENT("T", "{}");
    assert_int_equal(suite_append(&reader, "a", EX_ANY, &event, 1, NULL, NULL), EX_EREADONLY);
    ex_store_close(reader.store);
}

static void test_reopen_of_a_read_only_directory(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_FILES(s);
    suite_fill(s, "a", 2);
    close_store(s);
    char path[256];
    path_of(s, "events.db", path);
    assert_int_equal(chmod(path, 0400), 0);
    assert_int_equal(chmod(s->dir, 0500), 0);
    ex_error err = {0};
    if (access(s->dir, W_OK) == 0) { /* root may write everywhere: nothing to test */
        assert_int_equal(chmod(s->dir, 0700), 0);
        assert_int_equal(chmod(path, 0600), 0);
        suite_reopen(s, NULL);
        skip();
    }
    ex_status writing = ex_store_open(s->dir, NULL, &s->store, &err);
    ex_store_options options = {.read_only = true};
    ex_status reading = ex_store_open(s->dir, &options, &s->store, &err);
    uint64_t head = reading == EX_OK ? ex_store_head(s->store) : 0;
    close_store(s);
    assert_int_equal(chmod(s->dir, 0700), 0);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(writing, EX_EREADONLY);
    assert_int_equal(reading, EX_OK);
    assert_int_equal(head, 2);
}

static void test_reopen_of_what_is_missing(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_FILES(s);
    close_store(s);
    char missing[256], deeper[256], file[256];
    path_of(s, "missing", missing);
    path_of(s, "missing/deeper", deeper);
    path_of(s, "file", file);
    int fd = open(file, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    const struct {
        const char *name;
        const char *dir;
        ex_store_options options;
        ex_status want;
    } cases[] = {
        {"read-only", missing, {.read_only = true}, EX_ENOTFOUND},
        {"must exist", missing, {.must_exist = true}, EX_ENOTFOUND},
        {"the directory above is missing", deeper, {0}, EX_ENOTFOUND},
        {"a file, not a directory", file, {0}, EX_EFILESYSTEM},
        {"made", missing, {0}, EX_OK},
        {"there now", missing, {.must_exist = true}, EX_OK},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_error err = {0};
        ex_status st = ex_store_open(cases[i].dir, &cases[i].options, &s->store, &err);
        if (st != cases[i].want)
            fail_msg("%s: %s %s", cases[i].name, ex_status_code(st), err.message);
        close_store(s);
    }
}

static void test_reopen_must_exist_leaves_an_empty_directory_alone(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_FILES(s);
    close_store(s);
    char dir[256], lock[300];
    path_of(s, "empty", dir);
    assert_int_equal(mkdir(dir, 0700), 0);
    ex_store_options options = {.must_exist = true};
    assert_int_equal(ex_store_open(dir, &options, &s->store, NULL), EX_ENOTFOUND);
    (void)snprintf(lock, sizeof(lock), "%s/lock", dir);
    assert_int_not_equal(access(lock, F_OK), 0);
}

static void test_reopen_of_another_format(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_FILES(s);
    suite_fill(s, "a", 1);
    close_store(s);
    const struct {
        const char *name;
        const char *sql;
        ex_status want;
        const char *text;
    } cases[] = {
        {"newer", "PRAGMA user_version = 999", EX_EFORMAT, "999"},
        {"negative", "PRAGMA user_version = -1", EX_EFORMAT, "-1"},
        {"older", "PRAGMA user_version = 2", EX_EFORMAT,
         "has format 2, of excore before its first"},
        {"somebody else's", "PRAGMA user_version = 4; PRAGMA application_id = 7", EX_EFORMAT,
         "not an event store"},
        {"back again", "PRAGMA application_id = 1163412303", EX_OK, ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        run_sql(s, cases[i].sql);
        for (int read_only = 0; read_only < 2; read_only++) {
            ex_store_options options = {.read_only = read_only};
            ex_error err = {0};
            ex_status st = ex_store_open(s->dir, &options, &s->store, &err);
            if (st != cases[i].want || !strstr(err.message, cases[i].text))
                fail_msg("%s: %s %s", cases[i].name, ex_status_code(st), err.message);
            close_store(s);
        }
    }
}

static void test_reopen_of_something_that_is_no_database(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_FILES(s);
    close_store(s);
    char path[256];
    path_of(s, "events.db", path);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (int i = 0; i < 2000; i++)
        (void)fputs("no database ", f);
    assert_int_equal(fclose(f), 0);
    ex_error err = {0};
    assert_int_equal(ex_store_open(s->dir, NULL, &s->store, &err), EX_ECORRUPT);
}

/* An empty file of the right name, and nothing else: creation was cut short, or a hand made it. */
static void test_reopen_of_an_empty_file_makes_a_store(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_FILES(s);
    close_store(s);
    char path[256], trace[256];
    path_of(s, "events.db", path);
    path_of(s, "events.trace", trace);
    assert_int_equal(unlink(trace), 0);
    assert_int_equal(truncate(path, 0), 0);
    suite_reopen(s, NULL);
    suite_fill(s, "a", 1);
    assert_int_equal(ex_store_head(s->store), 1);
}

int store_reopen_tests(suite *s)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_reopen_finds_everything),
        STORE_TEST(test_reopen_knows_stored_ids),
        STORE_TEST(test_reopen_with_normal_durability),
        STORE_TEST(test_reopen_while_in_use_is_refused),
        STORE_TEST(test_reopen_read_only_beside_a_writer),
        STORE_TEST(test_reopen_of_a_read_only_directory),
        STORE_TEST(test_reopen_of_what_is_missing),
        STORE_TEST(test_reopen_must_exist_leaves_an_empty_directory_alone),
        STORE_TEST(test_reopen_of_another_format),
        STORE_TEST(test_reopen_of_something_that_is_no_database),
        STORE_TEST(test_reopen_of_an_empty_file_makes_a_store),
    };
    return cmocka_run_group_tests_name("store reopen", tests, NULL, NULL);
}
