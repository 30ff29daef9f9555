/* test_path.c: paths made absolute once. G-201 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/path.h"
#include "support/temp_dir.h"

static void test_path_resolve(void **state)
{
    (void)state;
    temp_dir dir = temp_dir_make();
    char back[4096];
    assert_non_null(getcwd(back, sizeof(back)));
    assert_int_equal(chdir(dir.path), 0);
    assert_int_equal(mkdir("here", 0700), 0);
    assert_int_equal(symlink("here", "link"), 0);
    assert_int_equal(symlink("nowhere", "dangling"), 0);
    static const struct {
        const char *name;
        const char *given;
        ex_status want;
        const char *below; /* of the directory; NULL: as given */
    } rows[] = {
        {"there", "here", EX_OK, "/here"},
        {"by a link", "link", EX_OK, "/here"},
        {"with dots", "./here/../link/.", EX_OK, "/here"},
        {"not there yet", "new", EX_OK, "/new"},
        {"not there yet, below a link", "link/new", EX_OK, "/here/new"},
        {"with a slash behind", "new/", EX_OK, "/new"},
        {"a name that SQLite knows", "file:x", EX_OK, "/file:x"},
        {"another one", ":memory:x", EX_OK, "/:memory:x"},
        {"what a URI would cut", "a?b#c%d", EX_OK, "/a?b#c%d"},
        {"a link to nothing", "dangling", EX_OK, "/dangling"},
        {"the root", "/", EX_OK, NULL},
        {"below the root", "/no-such-entry", EX_OK, NULL},
        {"nothing", "", EX_EINVAL, NULL},
        {"the directory above is missing", "no/deeper", EX_ENOTFOUND, NULL},
        {"out of what is missing", "no/..", EX_ENOTFOUND, NULL},
        {"below a file", "/dev/null/x", EX_ENOTFOUND, NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char want[256], *have = NULL;
        ex_error err = {0};
        ex_status st = ex_path_resolve(rows[i].given, &have, &err);
        if (st != rows[i].want)
            fail_msg("%s: %s %s", rows[i].name, ex_status_code(st), err.message);
        (void)snprintf(want, sizeof(want), "%s%s", rows[i].below ? dir.path : "",
                       rows[i].below ? rows[i].below : rows[i].given);
        if (st == EX_OK && strcmp(have, want) != 0)
            fail_msg("%s: %s instead of %s", rows[i].name, have, want);
        free(have);
    }
    assert_int_equal(chdir(back), 0);
    temp_dir_remove(&dir);
}

static void test_path_absolute(void **state)
{
    (void)state;
    temp_dir dir = temp_dir_make();
    char back[4096], want[256];
    assert_non_null(getcwd(back, sizeof(back)));
    assert_int_equal(chdir(dir.path), 0);
    assert_int_equal(symlink("there", "link"), 0);
    static const char *const rows[][2] = {
        {"link/file", "%s/link/file"}, {"a/../b", "%s/a/../b"}, {"/x/y", "/x/y"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *have = NULL;
        assert_int_equal(ex_path_absolute(rows[i][0], &have, NULL), EX_OK);
        (void)snprintf(want, sizeof(want), "%s%s", rows[i][0][0] == '/' ? "" : dir.path,
                       rows[i][1] + (rows[i][0][0] == '/' ? 0 : 2));
        assert_string_equal(have, want);
        free(have);
    }
    char *none = NULL;
    ex_error err = {0};
    assert_int_equal(ex_path_absolute("", &none, &err), EX_EINVAL);
    assert_int_equal(mkdir("gone", 0700), 0);
    assert_int_equal(chdir("gone"), 0);
    assert_int_equal(rmdir("../gone"), 0);
    assert_int_equal(ex_path_absolute("x", &none, &err), EX_EFILESYSTEM);
    assert_int_equal(ex_path_absolute("/x", &none, &err), EX_OK);
    free(none);
    assert_int_equal(chdir(back), 0);
    temp_dir_remove(&dir);
}

static void test_path_join(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        {"/a", "b", "/a/b"}, {"/a/", "b", "/a/b"}, {"/", "b", "/b"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *have = ex_path_join(rows[i][0], rows[i][1]);
        assert_string_equal(have, rows[i][2]);
        free(have);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_path_resolve),
        cmocka_unit_test(test_path_absolute),
        cmocka_unit_test(test_path_join),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
