/* test_log_epoch.c: what the log in a file takes for a reason to open an epoch, and what not (issue
 * 8, item 1; G-101, G-103). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <excore/store.h>

#include "support/temp_dir.h"

static ex_store *open_as(const char *dir, ex_durability durability)
{
    const ex_store_options options = {.durability = durability};
    ex_store *s = NULL;
    ex_error err = {0};
    if (ex_store_open(dir, &options, &s, &err))
        fail_msg("open: %s", err.message);
    return s;
}

static void append(ex_store *s, unsigned count)
{
    const ex_new_event event = {.type = EX_S("T"), .data = EX_S("{}")};
    const ex_stream_write write = {EX_S("a"), EX_ANY, &event, 1};
    const ex_append a = {.writes = &write, .write_count = 1};
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(ex_store_append(s, &a, NULL, NULL), EX_OK);
}

static void append_and_close(const char *dir, unsigned count)
{
    ex_store *s = open_as(dir, EX_DURABILITY_FULL);
    append(s, count);
    ex_store_close(s);
}

/* In a process of its own that is killed with the store open. */
static void append_and_die(const char *dir, ex_durability durability, unsigned count)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        append(open_as(dir, durability), count);
        (void)raise(SIGKILL);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* Over what is there, as cp does: the inode stays. */
static void copy_file(const char *from, const char *to)
{
    char bytes[4096];
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(in >= 0 && out >= 0);
    for (ssize_t n; (n = read(in, bytes, sizeof(bytes))) > 0;)
        assert_int_equal(write(out, bytes, (size_t)n), n);
    assert_int_equal(close(in) + close(out), 0);
}

static void copy_files(const char *from, const char *to, bool log_only)
{
    char a[600], b[600];
    DIR *d = opendir(from);
    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.' || (log_only && strcmp(e->d_name, "events.db") != 0))
            continue;
        (void)snprintf(a, sizeof(a), "%s/%s", from, e->d_name);
        (void)snprintf(b, sizeof(b), "%s/%s", to, e->d_name);
        copy_file(a, b);
    }
    assert_int_equal(closedir(d), 0);
}

static void remove_trace(const char *dir)
{
    char path[300];
    (void)snprintf(path, sizeof(path), "%s/events.trace", dir);
    assert_int_equal(unlink(path), 0);
}

static void write_trace(const char *dir, const char *text)
{
    char path[300];
    (void)snprintf(path, sizeof(path), "%s/events.trace", dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void change_file(const char *dir)
{
    char path[300];
    (void)snprintf(path, sizeof(path), "%s/events.db", dir);
    assert_int_equal(chmod(path, 0640), 0);
}

/* ---- What is done between two starts, and what the second one makes of it ---- */

typedef struct between {
    char dir[300], backup[300];
    unsigned before; /* events, in the log and in the backup */
} between;

static void do_nothing(const between *b)
{
    (void)b;
}

static void close_normal(const between *b)
{
    ex_store *s = open_as(b->dir, EX_DURABILITY_NORMAL);
    append(s, 3);
    ex_store_close(s);
}

static void kill_normal(const between *b)
{
    append_and_die(b->dir, EX_DURABILITY_NORMAL, 3);
}

static void kill_normal_before_the_first(const between *b)
{
    append_and_die(b->dir, EX_DURABILITY_NORMAL, 0);
}

/* A power cut: the trace is not synced, and may be that of long ago. */
static void kill_normal_and_lose_the_trace(const between *b)
{
    char a[600], path[600];
    (void)snprintf(a, sizeof(a), "%s/events.trace", b->backup);
    (void)snprintf(path, sizeof(path), "%s/events.trace", b->dir);
    append_and_die(b->dir, EX_DURABILITY_NORMAL, 3);
    copy_file(a, path);
}

static void kill_full(const between *b)
{
    append_and_die(b->dir, EX_DURABILITY_FULL, 3);
}

static void restore_over(const between *b)
{
    append_and_close(b->dir, 3);
    copy_files(b->backup, b->dir, true);
}

static void restore_all_over(const between *b)
{
    append_and_close(b->dir, 3);
    copy_files(b->backup, b->dir, false);
}

static void restore_as_another_file(const between *b)
{
    char path[600];
    append_and_close(b->dir, 3);
    (void)snprintf(path, sizeof(path), "%s/events.db", b->dir);
    assert_int_equal(unlink(path), 0);
    copy_files(b->backup, b->dir, true);
}

/* Nothing was appended since: only the place tells. */
static void restore_the_same(const between *b)
{
    char path[600];
    (void)snprintf(path, sizeof(path), "%s/events.db", b->dir);
    assert_int_equal(unlink(path), 0);
    copy_files(b->backup, b->dir, false);
}

static void restore_after_a_kill(const between *b)
{
    append_and_die(b->dir, EX_DURABILITY_FULL, 3);
    char path[600];
    (void)snprintf(path, sizeof(path), "%s/events.db-wal", b->dir);
    assert_int_equal(unlink(path), 0);
    copy_files(b->backup, b->dir, true);
}

static void forget_trace(const between *b)
{
    remove_trace(b->dir);
}

static void spoil_trace(const between *b)
{
    write_trace(b->dir, "log of something\n");
}

static void change_owner(const between *b)
{
    change_file(b->dir);
}

static void test_log_epoch_reasons(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        void (*act)(const between *b);
        ex_epoch_reason want; /* CREATED: no epoch is opened */
        unsigned head;        /* events, beyond those before */
    } rows[] = {
        {"closed in order", do_nothing, EX_EPOCH_CREATED, 0},
        {"closed in order, mode normal", close_normal, EX_EPOCH_CREATED, 3},
        {"killed in mode normal", kill_normal, EX_EPOCH_UNCLEAN, 3},
        {"killed in mode normal before anything", kill_normal_before_the_first, EX_EPOCH_UNCLEAN,
         0},
        {"power cut in mode normal", kill_normal_and_lose_the_trace, EX_EPOCH_UNCLEAN, 3},
        {"killed in mode full", kill_full, EX_EPOCH_UNCLEAN, 3},
        {"an older file over it", restore_over, EX_EPOCH_LOST_END, 0},
        {"an older directory over it", restore_all_over, EX_EPOCH_REPLACED, 0},
        {"an older file for it", restore_as_another_file, EX_EPOCH_LOST_END, 0},
        {"a copy of the same", restore_the_same, EX_EPOCH_REPLACED, 0},
        {"an older file after kill -9", restore_after_a_kill, EX_EPOCH_LOST_END, 0},
        {"no trace", forget_trace, EX_EPOCH_REPLACED, 0},
        {"a trace that says nothing", spoil_trace, EX_EPOCH_REPLACED, 0},
        {"touched by somebody", change_owner, EX_EPOCH_REPLACED, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        temp_dir dir = temp_dir_make(), backup = temp_dir_make();
        between b = {.before = 5};
        (void)snprintf(b.dir, sizeof(b.dir), "%s", dir.path);
        (void)snprintf(b.backup, sizeof(b.backup), "%s", backup.path);
        append_and_close(b.dir, b.before);
        copy_files(b.dir, b.backup, false);
        rows[i].act(&b);
        ex_store *s = open_as(b.dir, EX_DURABILITY_FULL);
        ex_log_epoch epochs[4];
        bool is_opened = rows[i].want != EX_EPOCH_CREATED;
        uint32_t count = ex_store_epochs(s, epochs, 4);
        uint64_t head = ex_store_head(s);
        if (count != 1u + is_opened || ex_store_epoch(s).reason != rows[i].want ||
            head != b.before + rows[i].head)
            fail_msg("%s: %u epochs, the last for '%s', head %llu", rows[i].name, count,
                     ex_epoch_reason_name(ex_store_epoch(s).reason), (unsigned long long)head);
        if (is_opened) { /* costs nobody anything who holds what is there */
            assert_int_equal(ex_store_epoch(s).first, head + 1);
            assert_int_equal(ex_store_check_position(s, &epochs[0].id, head, NULL), EX_OK);
            append(s, 5);
            assert_int_equal(ex_store_check_position(s, &epochs[0].id, head, NULL), EX_OK);
            assert_int_equal(ex_store_check_position(s, &epochs[0].id, head + 1, NULL),
                             EX_ELOGCHANGED);
        }
        ex_store_close(s);
        s = open_as(b.dir, EX_DURABILITY_FULL); /* it was found once, not each time */
        if (ex_store_epochs(s, NULL, 0) != count)
            fail_msg("%s: another one at the next start", rows[i].name);
        ex_store_close(s);
        temp_dir_remove(&dir);
        temp_dir_remove(&backup);
    }
}

/* The log knows its id and its epochs again, and those who only read are told the same. */
static void test_log_epoch_is_told_to_readers(void **state)
{
    (void)state;
    temp_dir dir = temp_dir_make();
    append_and_die(dir.path, EX_DURABILITY_NORMAL, 3);
    const ex_store_options options = {.read_only = true};
    ex_store *reader = NULL;
    assert_int_equal(ex_store_open(dir.path, &options, &reader, NULL), EX_OK);
    ex_id created = ex_store_epoch(reader).id;
    assert_int_equal(ex_store_check_position(reader, &created, 3, NULL), EX_OK);
    ex_store *s = open_as(dir.path, EX_DURABILITY_NORMAL);
    append(s, 3);
    assert_int_equal(ex_store_check_position(reader, &created, 3, NULL), EX_OK);
    assert_int_equal(ex_store_check_position(reader, &created, 4, NULL), EX_ELOGCHANGED);
    assert_int_equal(ex_store_check_position(reader, &created, 7, NULL), EX_ELOGCHANGED);
    assert_int_equal(ex_store_check_position(reader, NULL, 7, NULL), EX_EAHEAD);
    ex_id want = ex_store_epoch(s).id, have = ex_store_epoch(reader).id;
    assert_true(ex_id_eq(&want, &have));
    want = ex_store_log_id(s);
    have = ex_store_log_id(reader);
    assert_true(ex_id_eq(&want, &have) && !ex_id_is_nil(&want));
    ex_store_close(reader);
    ex_store_close(s);
    temp_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_epoch_reasons),
        cmocka_unit_test(test_log_epoch_is_told_to_readers),
    };
    return cmocka_run_group_tests_name("store log epoch", tests, NULL, NULL);
}
