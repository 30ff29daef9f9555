/* test_last_resort.c: the process ends when its time is over, whatever a part of it still waits for
 * (G-803; issue 8, item 14). */
#include "app/last_resort.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { OTHER_CODE = 42 };

/* The code with which a process ends that stops in time, or never. */
static int end_of(bool is_stuck)
{
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        last_resort l = {0};
        last_resort_start(&l, is_stuck ? 50 : 3600000);
        while (is_stuck)
            (void)pause(); /* as a part that waits for a database without end */
        last_resort_stop(&l);
        _exit(OTHER_CODE);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_last_resort_ends_a_process_that_is_stuck(void **state)
{
    (void)state;
    assert_int_equal(end_of(true), 1);
}

static void test_last_resort_leaves_one_alone_that_stops(void **state)
{
    (void)state;
    assert_int_equal(end_of(false), OTHER_CODE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_last_resort_ends_a_process_that_is_stuck),
        cmocka_unit_test(test_last_resort_leaves_one_alone_that_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
