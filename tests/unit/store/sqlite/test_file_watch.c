/* test_file_watch.c: files that are moved, replaced or deleted under a store. issue 8, item 2.
 * G-203, G-204 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store_internal.h"
#include "support/temp_dir.h"

typedef struct fixture {
    temp_dir top;
    char dir[128], old[128], copy[128]; /* the store's, and two beside it */
    ex_store *store;
    unsigned ended; /* calls of on_write_end */
    ex_error why;
} fixture;

/* ---- Files ---- */

static const char *in(const char *dir, const char *name)
{
    static char paths[8][256];
    static unsigned next;
    char *path = paths[next++ % 8];
    (void)snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
    return path;
}

static void move(const char *from, const char *to)
{
    if (rename(from, to) != 0)
        fail_msg("%s could not be moved to %s", from, to);
}

static void drop(const char *path)
{
    if (unlink(path) != 0)
        fail_msg("%s could not be deleted", path);
}

/* As cp does it: what is there is written over, in place. One that is not there has no copy. */
static void copy(const char *from, const char *to)
{
    static char bytes[1 << 20];
    int in_fd = open(from, O_RDONLY);
    if (in_fd < 0)
        return;
    int out_fd = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ssize_t n;
    assert_true(out_fd >= 0);
    while ((n = read(in_fd, bytes, sizeof(bytes))) > 0)
        assert_int_equal(write(out_fd, bytes, (size_t)n), n);
    assert_int_equal(n, 0);
    (void)close(in_fd); /* POSIX locks of this process go with it; nobody else is there */
    (void)close(out_fd);
}

static void copy_all(const char *from, const char *to)
{
    static const char *const names[] = {"events.db", "events.db-wal"};
    (void)mkdir(to, 0700);
    for (size_t i = 0; i < 2; i++)
        copy(in(from, names[i]), in(to, names[i]));
}

static void run_sql(const char *dir, const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(in(dir, "events.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* ---- The store ---- */

static void on_write_end(void *ctx, const ex_error *why)
{
    fixture *f = ctx;
    f->ended++;
    f->why = *why;
}

static void open_store(fixture *f)
{
    const ex_store_options options = {.on_write_end = on_write_end, .write_end_ctx = f};
    ex_error err = {0};
    if (ex_store_open(f->dir, &options, &f->store, &err))
        fail_msg("%s", err.message);
}

static ex_status put(fixture *f, const ex_id *id, ex_error *err)
{
    ex_new_event event = {.type = EX_S("Added"), .data = EX_S("{}")};
    if (id)
        event.id = *id;
    ex_stream_write write = {EX_S("a"), EX_ANY, &event, 1};
    ex_append append = {.writes = &write, .write_count = 1};
    return ex_store_append(f->store, &append, NULL, err);
}

static void fill(fixture *f, int count)
{
    for (int i = 0; i < count; i++)
        assert_int_equal(put(f, NULL, NULL), EX_OK);
}

static int set_up(void **state)
{
    static fixture f;
    f = (fixture){.top = temp_dir_make_fast()};
    (void)snprintf(f.dir, sizeof(f.dir), "%s/data", f.top.path);
    (void)snprintf(f.old, sizeof(f.old), "%s/old", f.top.path);
    (void)snprintf(f.copy, sizeof(f.copy), "%s/copy", f.top.path);
    *state = &f;
    open_store(&f);
    fill(&f, 3);
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    ex_store_close(f->store);
    temp_dir_remove(&f->top);
    return 0;
}

/* ---- What is done to them ---- */

static void delete_log(fixture *f)
{
    drop(in(f->dir, "events.db"));
}
static void delete_wal(fixture *f)
{
    drop(in(f->dir, "events.db-wal"));
}
static void move_directory(fixture *f)
{
    move(f->dir, f->old);
}
static void replace_directory(fixture *f)
{
    copy_all(f->dir, f->copy);
    move(f->dir, f->old);
    move(f->copy, f->dir);
}
static void replace_log(fixture *f)
{
    copy(in(f->dir, "events.db"), in(f->top.path, "new"));
    move(in(f->top.path, "new"), in(f->dir, "events.db"));
}
static void replace_wal(fixture *f)
{
    copy(in(f->dir, "events.db-wal"), in(f->top.path, "new"));
    move(in(f->top.path, "new"), in(f->dir, "events.db-wal"));
}
static void link_elsewhere(fixture *f)
{
    move(f->dir, f->old);
    copy_all(f->old, f->copy);
    assert_int_equal(symlink(f->copy, f->dir), 0);
}
/* A backup of the same length, from before the last events. */
static void write_wal_over(fixture *f)
{
    copy(in(f->dir, "events.db-wal"), in(f->top.path, "before"));
    fill(f, 5);
    struct stat st;
    assert_int_equal(stat(in(f->dir, "events.db-wal"), &st), 0);
    copy(in(f->top.path, "before"), in(f->dir, "events.db-wal"));
    assert_int_equal(truncate(in(f->dir, "events.db-wal"), st.st_size), 0);
}
static void cut_wal(fixture *f)
{
    assert_int_equal(truncate(in(f->dir, "events.db-wal"), 32), 0);
}
static void write_log_over(fixture *f)
{
    assert_int_equal(truncate(in(f->dir, "events.db"), 4096), 0);
}

static const struct change {
    const char *name;
    void (*act)(fixture *f);
    bool is_seen_idle; /* without an append: what stands at the path is looked at, not the WAL */
} changes[] = {
    {"the log is deleted", delete_log, true},
    {"the WAL is deleted", delete_wal, false},
    {"the directory is moved away", move_directory, true},
    {"another directory is put in its place", replace_directory, true},
    {"another log is put in its place", replace_log, true},
    {"another WAL is put in its place", replace_wal, false},
    {"the directory becomes a link to another one", link_elsewhere, true},
    {"an older WAL is written over it", write_wal_over, false},
    {"the WAL is cut", cut_wal, false},
    {"the log is written over", write_log_over, false},
};

/* So that the log has pages that could be missing. */
static void fold_in(const fixture *f)
{
    run_sql(f->dir, "PRAGMA wal_checkpoint(FULL)");
}

static void check_refusals(fixture *f, const char *name)
{
    ex_error err = {0};
    const ex_id known = {.form = EX_ID_UUID, .bytes = {1}};
    for (int i = 0; i < 2; i++) {
        ex_status st = put(f, i ? &known : NULL, &err);
        if (st != EX_ESTORAGE || !strstr(err.message, "while it was in use"))
            fail_msg("%s: %s %s", name, ex_status_code(st), err.message);
    }
    ex_status st = ex_store_check_writes(f->store, &err);
    if (st != EX_ESTORAGE || !strstr(err.message, "while it was in use"))
        fail_msg("%s: writes: %s %s", name, ex_status_code(st), err.message);
    if (f->ended != 1 || strcmp(f->why.message, err.message) != 0)
        fail_msg("%s: told %u times: %s", name, f->ended, f->why.message);
}

/* The append that meets it is not acknowledged, nor is any later one. */
static void test_file_watch_ends_writing(void **state)
{
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        if (i) {
            tear_down(state);
            set_up(state);
        }
        fixture *f = *state;
        ex_error err = {0};
        fold_in(f);
        fill(f, 1);
        changes[i].act(f);
        ex_status st = put(f, NULL, &err);
        if (st != EX_EOUTCOME || !strstr(err.message, "while it was in use"))
            fail_msg("%s: %s %s", changes[i].name, ex_status_code(st), err.message);
        check_refusals(f, changes[i].name);
    }
}

/* Readiness finds it without an append. */
static void test_file_watch_is_asked_by_readiness(void **state)
{
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        if (!changes[i].is_seen_idle)
            continue;
        tear_down(state);
        set_up(state);
        fixture *f = *state;
        fold_in(f);
        assert_int_equal(ex_store_check_writes(f->store, NULL), EX_OK);
        changes[i].act(f);
        if (ex_store_check_writes(f->store, NULL) != EX_ESTORAGE)
            fail_msg("%s: not seen", changes[i].name);
        check_refusals(f, changes[i].name);
    }
}

/* "It is stored already" is an acknowledgement as well. */
static void test_file_watch_guards_duplicates(void **state)
{
    fixture *f = *state;
    const ex_id id = {.form = EX_ID_UUID, .bytes = {1}};
    assert_int_equal(put(f, &id, NULL), EX_OK);
    assert_int_equal(put(f, &id, NULL), EX_OK);
    move_directory(f);
    assert_int_equal(put(f, &id, NULL), EX_ESTORAGE);
    assert_int_equal(f->ended, 1);
}

/* A connection that is opened later does not read what is not ours. */
static void test_file_watch_keeps_readers_together(void **state)
{
    fixture *f = *state;
    ex_error err = {0};
    const store_driver *d = &f->store->driver;
    void *first = NULL, *second = NULL;
    uint64_t head = 0;
    assert_int_equal(d->ops->reader->open(d->impl, &first, &err), EX_OK);
    assert_int_equal(d->ops->reader->head(first, &head, &err), EX_OK);
    replace_directory(f);
    assert_int_equal(d->ops->reader->open(d->impl, &second, &err), EX_ESTORAGE);
    assert_non_null(strstr(err.message, "was replaced while it was in use"));
    head = 0;
    assert_int_equal(d->ops->reader->head(first, &head, &err), EX_OK); /* the files it has */
    assert_int_equal(head, 3);
    d->ops->reader->close(first);
}

/* Closing touches neither what stands at the path now, nor what was moved away. */
static void test_file_watch_leaves_files_alone(void **state)
{
    fixture *f = *state;
    move_directory(f);
    assert_int_equal(put(f, NULL, NULL), EX_EOUTCOME);
    fixture other = *f; /* a second store at the same path */
    other.ended = 0;
    open_store(&other);
    fill(&other, 2);
    ex_store_close(f->store);
    assert_int_equal(access(in(f->dir, "events.db-wal"), F_OK), 0);
    assert_int_equal(access(in(f->old, "events.db-wal"), F_OK), 0);
    fill(&other, 1);
    assert_int_equal(ex_store_head(other.store), 3);
    ex_store_close(other.store);
    (void)snprintf(f->dir, sizeof(f->dir), "%s", f->old); /* and nothing is lost there */
    open_store(f);
    assert_int_equal(ex_store_head(f->store), 4);
}

/* What people may do while it runs goes unnoticed. */
static void test_file_watch_allows_what_is_allowed(void **state)
{
    fixture *f = *state;
    static const char *const commands[] = {"SELECT * FROM log",
                                           "PRAGMA wal_checkpoint(PASSIVE)",
                                           "PRAGMA wal_checkpoint(FULL)",
                                           "PRAGMA wal_checkpoint(RESTART)",
                                           "PRAGMA wal_checkpoint(TRUNCATE)",
                                           "VACUUM",
                                           "PRAGMA wal_checkpoint(TRUNCATE)",
                                           "CREATE TABLE x (y); DROP TABLE x; VACUUM",
                                           "PRAGMA wal_checkpoint(TRUNCATE)"};
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        run_sql(f->dir, commands[i]);
        fill(f, 3);
        assert_int_equal(ex_store_check_writes(f->store, NULL), EX_OK);
    }
    assert_int_equal(chmod(in(f->dir, "events.db"), 0640), 0);
    fill(f, 3);
    move(f->dir, f->old); /* and back before anybody looked */
    move(f->old, f->dir);
    fill(f, 3);
    assert_int_equal(f->ended, 0);
}

/* Two directories would write one file and not know of each other. */
static void test_file_watch_refuses_second_names(void **state)
{
    fixture *f = *state;
    ex_store *second = NULL;
    ex_error err = {0};
    const ex_store_options reading = {.read_only = true};
    ex_store_close(f->store);
    f->store = NULL;
    assert_int_equal(mkdir(f->copy, 0700), 0);
    assert_int_equal(symlink(in(f->dir, "events.db"), in(f->copy, "events.db")), 0);
    assert_int_equal(ex_store_open(f->copy, NULL, &second, &err), EX_EFILESYSTEM);
    assert_non_null(strstr(err.message, "symbolic link"));
    assert_int_equal(ex_store_open(f->copy, &reading, &second, &err), EX_OK);
    ex_store_close(second);
    drop(in(f->copy, "events.db"));
    assert_int_equal(link(in(f->dir, "events.db"), in(f->copy, "events.db")), 0);
    assert_int_equal(ex_store_open(f->copy, NULL, &second, &err), EX_EFILESYSTEM);
    assert_non_null(strstr(err.message, "hard link"));
    assert_int_equal(ex_store_open(f->dir, NULL, &second, &err), EX_EFILESYSTEM);
    drop(in(f->copy, "events.db"));
    open_store(f);
}

int main(void)
{
#define WATCH_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WATCH_TEST(test_file_watch_ends_writing),
        WATCH_TEST(test_file_watch_is_asked_by_readiness),
        WATCH_TEST(test_file_watch_guards_duplicates),
        WATCH_TEST(test_file_watch_keeps_readers_together),
        WATCH_TEST(test_file_watch_leaves_files_alone),
        WATCH_TEST(test_file_watch_allows_what_is_allowed),
        WATCH_TEST(test_file_watch_refuses_second_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
