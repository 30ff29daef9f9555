/* test_lock_file.c: one owner at a time, named to whoever comes second; gone with its process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/lock_file.h"

typedef struct fixture {
    char dir[64];
    char path[80];
} fixture;

static int setup(void **state)
{
    static fixture f;
    snprintf(f.dir, sizeof f.dir, "/tmp/excore-lock-XXXXXX");
    if (mkdtemp(f.dir) == NULL)
        return -1;
    snprintf(f.path, sizeof f.path, "%s/lock", f.dir);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    chmod(f->dir, 0755);
    unlink(f->path);
    return rmdir(f->dir);
}

static ex_status take(const fixture *f, lock_file *ret, ex_error *err)
{
    return lock_file_open(f->dir, f->dir, ex_clock_system(), ret, err);
}

static void read_text(const fixture *f, char text[128])
{
    int fd = open(f->path, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t n = read(fd, text, 127);
    assert_true(n >= 0);
    text[n] = '\0';
    close(fd);
}

static void test_lock_file_says_who_holds_it_and_since_when(void **state)
{
    fixture *f = *state;
    lock_file lock = LOCK_FILE_NONE;
    char text[128];
    char want[32];
    assert_int_equal(take(f, &lock, NULL), EX_OK);
    read_text(f, text);
    int n = snprintf(want, sizeof want, "%ld\n", (long)getpid());
    assert_memory_equal(text, want, (size_t)n);
    int64_t since = 0;
    ex_slice time = ex_slice_of(text + n, strcspn(text + n, "\n"));
    assert_int_equal(ex_time_parse(time, &since, NULL), EX_OK);
    lock_file_close(&lock);
    assert_int_equal(lock.fd, -1);
    read_text(f, text);
    assert_string_equal(text, "");
    lock_file_close(&lock); /* not held: nothing happens */
}

static void test_lock_file_is_refused_in_the_same_process(void **state)
{
    fixture *f = *state;
    lock_file first = LOCK_FILE_NONE;
    lock_file second = LOCK_FILE_NONE;
    ex_error err = {0};
    assert_int_equal(take(f, &first, &err), EX_OK);
    assert_int_equal(take(f, &second, &err), EX_EINUSE);
    assert_int_equal(second.fd, -1);
    lock_file_close(&first);
    assert_int_equal(take(f, &second, &err), EX_OK);
    lock_file_close(&second);
}

/* A child that takes the lock, says so and stays. */
static pid_t start_owner(const fixture *f)
{
    int said[2];
    assert_int_equal(pipe(said), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        lock_file lock = LOCK_FILE_NONE;
        char answer = take(f, &lock, NULL) == EX_OK ? 'y' : 'n';
        if (write(said[1], &answer, 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    char answer = 0;
    close(said[1]);
    assert_int_equal(read(said[0], &answer, 1), 1);
    close(said[0]);
    assert_int_equal(answer, 'y');
    return pid;
}

/* G-011 */
static void test_lock_file_names_the_other_process_and_is_free_after_its_kill(void **state)
{
    fixture *f = *state;
    lock_file lock = LOCK_FILE_NONE;
    ex_error err = {0};
    char text[128];
    char want[256];
    pid_t owner = start_owner(f);

    assert_int_equal(take(f, &lock, &err), EX_EINUSE);
    read_text(f, text);
    char *since = strchr(text, '\n') + 1;
    since[strcspn(since, "\n")] = '\0';
    snprintf(want, sizeof want, "store '%s' is in use by process %ld since %s", f->dir, (long)owner,
             since);
    assert_string_equal(err.message, want);

    kill(owner, SIGKILL);
    assert_int_equal(waitpid(owner, NULL, 0), owner);
    assert_int_equal(take(f, &lock, &err), EX_OK);
    lock_file_close(&lock);
}

static void test_lock_file_tells_whether_it_is_held(void **state)
{
    fixture *f = *state;
    lock_file lock = LOCK_FILE_NONE;
    bool is_held = true;
    assert_int_equal(lock_file_is_held(f->dir, &is_held, NULL), EX_OK);
    assert_false(is_held); /* there is no file yet */
    pid_t owner = start_owner(f);
    assert_int_equal(lock_file_is_held(f->dir, &is_held, NULL), EX_OK);
    assert_true(is_held);
    kill(owner, SIGKILL);
    assert_int_equal(waitpid(owner, NULL, 0), owner);
    assert_int_equal(lock_file_is_held(f->dir, &is_held, NULL), EX_OK);
    assert_false(is_held);
    assert_int_equal(take(f, &lock, NULL), EX_OK); /* by this process */
    assert_int_equal(lock_file_is_held(f->dir, &is_held, NULL), EX_OK);
    assert_true(is_held);
    lock_file_close(&lock);
}

/* What the file says is only believed of a process that lives. */
static void test_lock_file_does_not_name_a_process_that_is_gone(void **state)
{
    fixture *f = *state;
    lock_file lock = LOCK_FILE_NONE;
    lock_file second = LOCK_FILE_NONE;
    ex_error err = {0};
    static const char *const texts[] = {"", "12", "nonsense\n", "-5\n", "99999999999999999999\n"};
    assert_int_equal(take(f, &lock, &err), EX_OK);
    pid_t gone = fork();
    if (gone == 0)
        _exit(0);
    assert_int_equal(waitpid(gone, NULL, 0), gone);
    char stale[32];
    snprintf(stale, sizeof stale, "%ld\n", (long)gone);
    for (size_t i = 0; i <= sizeof texts / sizeof *texts; i++) {
        const char *text = i < sizeof texts / sizeof *texts ? texts[i] : stale;
        assert_int_equal(ftruncate(lock.fd, 0), 0);
        assert_int_equal(pwrite(lock.fd, text, strlen(text), 0), (ssize_t)strlen(text));
        assert_int_equal(take(f, &second, &err), EX_EINUSE);
        assert_non_null(strstr(err.message, "in use by another process"));
    }
    lock_file_close(&lock);
}

static void test_lock_file_fails_clearly(void **state)
{
    (void)state;
    char longest[5000];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    const struct {
        const char *name;
        const char *dir;
        ex_status want;
    } rows[] = {
        {"no such directory", "/tmp/excore-lock-no-such-directory", EX_ENOTFOUND},
        {"not a directory", "/dev/null", EX_ENOTFOUND},
        {"path too long", longest, EX_EFILESYSTEM},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        lock_file lock = LOCK_FILE_NONE;
        ex_error err = {0};
        if (lock_file_open(rows[i].dir, rows[i].dir, ex_clock_system(), &lock, &err) !=
            rows[i].want)
            fail_msg("%s: %s", rows[i].name, err.message);
    }
}

static void test_lock_file_in_a_directory_that_may_not_be_written(void **state)
{
    fixture *f = *state;
    assert_int_equal(chmod(f->dir, 0555), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) { /* root may write anywhere: become somebody else */
        lock_file lock = LOCK_FILE_NONE;
        if (geteuid() == 0 && setuid(65534) != 0)
            _exit(2);
        _exit(take(f, &lock, NULL) == EX_EREADONLY ? 0 : 1);
    }
    int result = 0;
    assert_int_equal(waitpid(pid, &result, 0), pid);
    assert_true(WIFEXITED(result));
    assert_int_equal(WEXITSTATUS(result), 0);
}

static void test_lock_file_is_not_followed_through_a_link(void **state)
{
    fixture *f = *state;
    lock_file lock = LOCK_FILE_NONE;
    assert_int_equal(symlink("/tmp/excore-lock-elsewhere", f->path), 0);
    assert_int_equal(take(f, &lock, NULL), EX_EFILESYSTEM);
}

int main(void)
{
#define LOCK_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        LOCK_TEST(test_lock_file_says_who_holds_it_and_since_when),
        LOCK_TEST(test_lock_file_is_refused_in_the_same_process),
        LOCK_TEST(test_lock_file_names_the_other_process_and_is_free_after_its_kill),
        LOCK_TEST(test_lock_file_tells_whether_it_is_held),
        LOCK_TEST(test_lock_file_does_not_name_a_process_that_is_gone),
        cmocka_unit_test(test_lock_file_fails_clearly),
        LOCK_TEST(test_lock_file_in_a_directory_that_may_not_be_written),
        LOCK_TEST(test_lock_file_is_not_followed_through_a_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
