/* test_wal_proof.c: a log is not made where another one left traces, and not opened cut. issue 8,
 * item 2. G-205, G-206 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <excore/store.h>

#include "support/temp_dir.h"

#define EVENTS 5

typedef struct fixture {
    temp_dir top;
    char closed[128]; /* EVENTS events, closed in order */
    char killed[128]; /* a later state of the same log, its process killed */
} fixture;

EX_PRINTF(1, 2) static void shell(const char *format, ...)
{
    char command[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/sh", "sh", "-ec", command, (char *)NULL);
        _exit(127);
    }
    int rc = 0;
    assert_int_equal(waitpid(pid, &rc, 0), pid);
    if (rc != 0)
        fail_msg("%s", command);
}

static ex_status put(ex_store *s, uint32_t count)
{
    ex_status st = EX_OK;
    for (uint32_t i = 0; st == EX_OK && i < count; i++) {
        ex_new_event event = {.type = EX_S("Added"), .data = EX_S("{}")};
        ex_stream_write write = {EX_S("a"), EX_ANY, &event, 1};
        ex_append append = {.writes = &write, .write_count = 1};
        st = ex_store_append(s, &append, NULL, NULL);
    }
    return st;
}

/* Append in a process of its own, which closes the store or is killed. */
static void write_and_end(const char *dir, bool is_killed)
{
    pid_t pid = fork();
    if (pid == 0) {
        ex_store *s = NULL;
        if (ex_store_open(dir, NULL, &s, NULL) || put(s, EVENTS))
            _exit(1);
        if (is_killed)
            _exit(0); /* nothing is closed */
        ex_store_close(s);
        _exit(0);
    }
    int rc = 0;
    assert_int_equal(waitpid(pid, &rc, 0), pid);
    assert_int_equal(rc, 0);
}

static int set_up(void **state)
{
    static fixture f;
    f = (fixture){.top = temp_dir_make_fast()};
    (void)snprintf(f.closed, sizeof(f.closed), "%s/closed", f.top.path);
    (void)snprintf(f.killed, sizeof(f.killed), "%s/killed", f.top.path);
    write_and_end(f.closed, false);
    shell("cp -a %s %s", f.closed, f.killed);
    write_and_end(f.killed, true);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    temp_dir_remove(&f->top);
    return 0;
}

/* What the shell makes of both, in a new directory, with $C closed and $K killed; then what an open
 * says. */
static const struct row {
    const char *name, *command;
    ex_status want;
    const char *message; /* a part of it */
    uint64_t head;       /* when it opens */
} rows[] = {
    /* whole logs */
    {"closed", "cp $C/events.db .", EX_OK, NULL, 5},
    {"killed", "cp $K/events.db* .", EX_OK, NULL, 10},
    {"killed, and its WAL folded in by another program",
     "cp $K/* .; sqlite3 events.db 'SELECT count(*) FROM events' >/dev/null; [ ! -e events.db-wal "
     "]",
     EX_OK, NULL, 10},
    {"an older one put back, nothing else", "cp $K/events.trace .; cp $C/events.db .", EX_OK, NULL,
     5},
    {"nothing", "true", EX_OK, NULL, 0},
    {"an empty file and nothing else", ": >events.db", EX_OK, NULL, 0},
    {"a lock file and nothing else", ": >lock", EX_OK, NULL, 0},
    {"an empty WAL", "cp $C/events.db .; : >events.db-wal", EX_OK, NULL, 5},
    /* without its WAL */
    {"killed, without its WAL", "cp $K/events.db .", EX_ECORRUPT, "events.db-wal, which is missing",
     0},
    {"the same, with all but the WAL", "cp $K/* .; rm events.db-wal", EX_ECORRUPT,
     "which is missing", 0},
    {"one of format 3, alone", "gzip -dc $F/sqlite-3.db.gz >events.db", EX_OK, NULL, 3},
    {"one of format 3 whose WAL was there",
     "gzip -dc $F/sqlite-3.db.gz >events.db; : >events.db-shm", EX_ECORRUPT, "which is missing", 0},
    {"one of format 3 that was only read",
     "gzip -dc $F/sqlite-3.db.gz >events.db; : >events.db-shm; : >events.db-wal", EX_OK, NULL, 3},
    {"an empty WAL instead", "cp $K/events.db .; : >events.db-wal", EX_ECORRUPT, "which is missing",
     0},
    {"a file of an older build that was never checkpointed",
     "sqlite3 events.db 'PRAGMA journal_mode = WAL' >/dev/null; rm -f events.db-wal", EX_ECORRUPT,
     "which is missing", 0},
    /* with another's */
    {"an older log beside a newer WAL", "cp $K/events.db-wal .; cp $C/events.db .", EX_ECORRUPT,
     "belongs to another events.db", 0},
    /* no log, but traces */
    {"only the WAL", "cp $K/events.db-wal .", EX_EPRECONDITION,
     "there was a log here (events.db-wal)", 0},
    {"an empty log beside the WAL", "cp $K/events.db-wal .; : >events.db", EX_EPRECONDITION,
     "(events.db-wal)", 0},
    {"only the trace", "cp $C/events.trace .", EX_EPRECONDITION, "(events.trace)", 0},
    {"only views", "echo x >views.db", EX_EPRECONDITION, "(views.db)", 0},
    {"all but the log", "cp $K/* .; echo x >views.db; rm events.db", EX_EPRECONDITION,
     "(events.db-wal, events.trace, views.db)", 0},
};

static void make(const fixture *f, const char *dir, const char *command)
{
    shell("C=%s; K=%s; F=%s/formats; mkdir %s; cd %s; %s", f->closed, f->killed, TESTS_DIR, dir,
          dir, command);
}

static void check_row(const fixture *f, const struct row *row, bool read_only)
{
    char dir[128];
    (void)snprintf(dir, sizeof(dir), "%s/%s", f->top.path, read_only ? "reading" : "writing");
    make(f, dir, row->command);
    shell("cd %s; sha256sum events.db events.db-wal events.trace views.db >../before 2>/dev/null "
          "|| true",
          dir);
    ex_store *s = NULL;
    ex_error err = {0};
    ex_status st = ex_store_open(dir, &(ex_store_options){.read_only = read_only}, &s, &err);
    bool is_empty = row->want == EX_EPRECONDITION || (row->want == EX_OK && row->head == 0);
    if (!(read_only && is_empty) && /* where there is nothing to read that is said */
        (st != row->want || (row->message && !strstr(err.message, row->message)) ||
         strstr(err.message, "open it once for writing")))
        fail_msg("%s: %s %s", row->name, ex_status_code(st), err.message);
    if (st == EX_OK && ex_store_head(s) != row->head)
        fail_msg("%s: head %llu", row->name, (unsigned long long)ex_store_head(s));
    if (read_only && is_empty && st == EX_OK)
        fail_msg("%s: it opens", row->name);
    ex_store_close(s);
    if (row->want) /* a refusal changes nothing */
        shell("cd %s; sha256sum --quiet --ignore-missing -c ../before", dir);
    shell("rm -r %s", dir);
}

static void test_wal_proof_of_what_is_there(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check_row(*state, &rows[i], false);
        check_row(*state, &rows[i], true);
    }
}

/* Asked for by name. */
static void test_wal_proof_is_overruled(void **state)
{
    const fixture *f = *state;
    static const struct {
        const char *name, *command;
        ex_store_options options;
        uint64_t head;
        const char *aside;
    } asked[] = {
        {"new log",
         "cp $K/* .; echo x >views.db; rm events.db",
         {.new_log = true},
         0,
         "events.db-wal.old"},
        {"new log over an empty one",
         "cp $K/* .; : >events.db",
         {.new_log = true},
         0,
         "events.trace.old"},
        {"without its WAL", "cp $K/events.db .", {.without_wal = true}, 5, NULL},
        {"without another's",
         "cp $K/events.db-wal .; cp $C/events.db .",
         {.without_wal = true},
         5,
         "events.db-wal.old"},
        {"new log where there is one", "cp $C/* .", {.new_log = true}, 5, NULL},
        {"without a WAL that is not there", "cp $C/* .", {.without_wal = true}, 5, NULL},
    };
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        char dir[128], aside[256];
        (void)snprintf(dir, sizeof(dir), "%s/asked", f->top.path);
        make(f, dir, asked[i].command);
        for (int again = 0; again < 2; again++) { /* then it is an ordinary log */
            ex_store *s = NULL;
            ex_error err = {0};
            uint64_t head = asked[i].head + (again ? 2 : 0);
            ex_status st = ex_store_open(dir, again ? NULL : &asked[i].options, &s, &err);
            if (st || ex_store_head(s) != head)
                fail_msg("%s: %s", asked[i].name, err.message);
            assert_int_equal(put(s, again ? 0 : 2), EX_OK);
            ex_store_close(s);
        }
        (void)snprintf(aside, sizeof(aside), "%s/%s", dir, asked[i].aside ? asked[i].aside : "");
        if (access(aside, F_OK) != 0)
            fail_msg("%s: %s is not there", asked[i].name, aside);
        shell("rm -r %s", dir);
    }
}

/* A foreign reader in the way when it is closed: the WAL stays, and is found. */
static void test_wal_proof_with_a_foreign_reader(void **state)
{
    const fixture *f = *state;
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/events.db", f->closed);
    ex_store *s = NULL;
    ex_error err = {0};
    for (int waits = 0; waits < 2; waits++) {
        sqlite3 *db = NULL;
        assert_int_equal(ex_store_open(f->closed, NULL, &s, NULL), EX_OK);
        assert_int_equal(put(s, 1), EX_OK);
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db,
                                      waits ? "BEGIN; SELECT count(*) FROM events"
                                            : "SELECT count(*) FROM events",
                                      NULL, NULL, NULL),
                         SQLITE_OK);
        assert_int_equal(put(s, 1), EX_OK);
        ex_store_close(s);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
        if (ex_store_open(f->closed, NULL, &s, &err))
            fail_msg("%s", err.message);
        assert_int_equal(ex_store_head(s), EVENTS + 2 * (waits + 1));
        ex_store_close(s);
    }
}

/* A backup is copied over events.db under a running store, whose file keeps its inode, and whose
 * pages are in memory. What is in the WAL does not belong to that file. */
static void test_wal_proof_of_a_file_that_was_written_over(void **state)
{
    const fixture *f = *state;
    static const struct {
        const char *name, *command;
    } overs[] = {
        {"an older state of the same log", "cp ../before.db events.db"},
        {"another log", "cp $C/events.db events.db"},
    };
    for (size_t i = 0; i < sizeof(overs) / sizeof(overs[0]); i++) {
        char dir[128];
        ex_store *s = NULL;
        ex_error err = {0};
        (void)snprintf(dir, sizeof(dir), "%s/over", f->top.path);
        make(f, dir, "true");
        write_and_end(dir, false);
        shell("cp %s/events.db %s/before.db", dir, f->top.path);
        write_and_end(dir, false);
        assert_int_equal(ex_store_open(dir, NULL, &s, NULL), EX_OK);
        assert_int_equal(put(s, 3), EX_OK);
        shell("C=%s; cd %s; %s", f->closed, dir, overs[i].command);
        shell("sha256sum %s/events.db >%s/sum", dir, f->top.path);
        ex_store_close(s);
        shell("sha256sum --quiet -c %s/sum", f->top.path); /* nothing was written into it */
        shell("[ -s %s/events.db-wal ]", dir);             /* nothing is lost */
        if (ex_store_open(dir, NULL, &s, &err) != EX_ECORRUPT)
            fail_msg("%s: %s", overs[i].name, err.message);
        assert_non_null(strstr(err.message, "belongs to another events.db"));
        shell("rm -r %s", dir);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wal_proof_of_what_is_there),
        cmocka_unit_test(test_wal_proof_is_overruled),
        cmocka_unit_test(test_wal_proof_with_a_foreign_reader),
        cmocka_unit_test(test_wal_proof_of_a_file_that_was_written_over),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
