/* test_places.c: a directory is the one that was named, wherever the process stands later on.
 * issue 8, item 3. G-201, G-202 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include <excore/runtime.h>

#include "store/writers.h"
#include "support/accounts.h"
#include "support/temp_dir.h"

typedef struct fixture {
    char back[4096];
    temp_dir dir;
    ex_error err;
} fixture;

static int set_up(void **state)
{
    static fixture f;
    *state = &f;
    f.dir = temp_dir_make();
    f.err = (ex_error){0};
    if (!getcwd(f.back, sizeof(f.back)) || chdir(f.dir.path) || mkdir("here", 0700) ||
        mkdir("there", 0700) || symlink("here", "link") || chdir("here"))
        return -1;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    int rc = chdir(f->back);
    temp_dir_remove(&f->dir);
    return rc;
}

static ex_status put(ex_store *s, ex_error *err)
{
    ex_new_event event = {.type = EX_S("Noted"), .data = EX_S("{}")};
    ex_stream_write write = {EX_S("account-a"), EX_ANY, &event, 1};
    ex_append append = {.writes = &write, .write_count = 1};
    return ex_store_append(s, &append, NULL, err);
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* Every connection is opened by the same path: the writer's, the readers', those of the views. */
static void test_places_hold_after_a_chdir(void **state)
{
    fixture *f = *state;
    ex_store *s = NULL;
    ex_runtime *rt = NULL;
    ex_writers *writers = NULL;
    assert_int_equal(ex_store_open("data", NULL, &s, &f->err), EX_OK);
    assert_int_equal(ex_writers_new("data", &writers, &f->err), EX_OK);
    assert_int_equal(chdir("../there"), 0);
    if (ex_runtime_start(s, &accounts_app, &(ex_runtime_options){.dir = "data"}, &rt, &f->err))
        fail_msg("%s", f->err.message);
    uint64_t version = 0;
    for (int i = 0; i < 3; i++)
        assert_int_equal(put(s, &f->err), EX_OK);
    ex_cursor *cursors[3] = {NULL}; /* each has a connection of its own */
    for (size_t i = 0; i < 3; i++) {
        ex_event event;
        assert_int_equal(ex_store_read_log(s, &(ex_read_log){0}, &cursors[i], &f->err), EX_OK);
        assert_int_equal(ex_cursor_next(cursors[i], &event, &f->err), EX_OK);
    }
    assert_int_equal(ex_store_stream_version(s, EX_S("account-a"), &version, &f->err), EX_OK);
    assert_int_equal(version, 3);
    for (size_t i = 0; i < 3; i++)
        ex_cursor_close(cursors[i]);
    ex_query_call query = {
        .context = EX_S("bank"), .query = EX_S("account-count"), .min_position = 3};
    ex_arena arena;
    ex_buf out;
    ex_arena_init(&arena, 0);
    ex_buf_init(&out, 0);
    if (ex_query_run(rt, &query, &arena, &out, &f->err))
        fail_msg("%s", f->err.message);
    ex_buf_done(&out);
    ex_arena_done(&arena);
    bool is_written = false;
    assert_int_equal(ex_writers_ask(writers, &is_written, &f->err), EX_OK);
    assert_true(is_written);
    ex_writers_free(writers);
    ex_runtime_stop(rt);
    ex_store_close(s);
    assert_false(exists("data"));
    assert_true(exists("../here/data/events.db") && exists("../here/data/views.db"));
}

/* Names with a meaning to SQLite are directories like others, and have one lock. */
static void test_places_are_locked_under_every_name(void **state)
{
    fixture *f = *state;
    static const char *const rows[][2] = {
        {"data", "../link/data"},     {"data", "../here/./data/"},
        {"file:data", "./file:data"}, {"a?b=c#d", "../link/a?b=c#d"},
        {":memory:x", "./:memory:x"}, {"file::memory:", "./file::memory:"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ex_store *s = NULL, *second = NULL, *reader = NULL;
        char path[256];
        if (ex_store_open(rows[i][0], NULL, &s, &f->err) || put(s, &f->err))
            fail_msg("%s: %s", rows[i][0], f->err.message);
        (void)snprintf(path, sizeof(path), "%s/events.db", rows[i][1]);
        if (!exists(path))
            fail_msg("%s is not where it should be", path);
        ex_status st = ex_store_open(rows[i][1], NULL, &second, &f->err);
        if (st != EX_EINUSE)
            fail_msg("%s: %s", rows[i][1], ex_status_code(st));
        st = ex_store_open(rows[i][1], &(ex_store_options){.read_only = true}, &reader, &f->err);
        if (st || ex_store_head(reader) != ex_store_head(s))
            fail_msg("%s: %s", rows[i][1], f->err.message);
        ex_store_close(reader);
        ex_store_close(s);
    }
}

/* Deleting the file does not let a second one in. */
static void test_places_stay_locked_without_the_lock_file(void **state)
{
    fixture *f = *state;
    ex_store *s = NULL, *second = NULL;
    ex_writers *writers = NULL;
    bool is_written = false;
    assert_int_equal(ex_store_open("data", NULL, &s, &f->err), EX_OK);
    for (int i = 0; i < 2; i++) { /* the second time there is one again, which nobody holds */
        assert_int_equal(unlink("data/lock"), 0);
        assert_int_equal(ex_writers_new("data", &writers, &f->err), EX_OK);
        assert_int_equal(ex_writers_ask(writers, &is_written, &f->err), EX_OK);
        assert_true(is_written);
        ex_writers_free(writers);
        assert_int_equal(ex_store_open("data", NULL, &second, &f->err), EX_EINUSE);
    }
    assert_int_equal(put(s, &f->err), EX_OK); /* it does no harm */
    ex_store_close(s);
    assert_int_equal(ex_store_open("data", NULL, &s, &f->err), EX_OK);
    ex_store_close(s);
}

int main(void)
{
#define PLACE_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        PLACE_TEST(test_places_hold_after_a_chdir),
        PLACE_TEST(test_places_are_locked_under_every_name),
        PLACE_TEST(test_places_stay_locked_without_the_lock_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
