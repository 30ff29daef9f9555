/* test_progress.c: the text of a piece of work. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/progress.h"

static const struct {
    const char *name, *want;
    uint64_t done, total;
    double rate;
    bool has_bar;
} cases[] = {
    {"half of it", "copying [##########----------]  50%  500/1000  250/s  2 s left", 500, 1000, 250,
     true},
    {"no terminal", "copying  50%  500/1000  250/s  2 s left", 500, 1000, 250, false},
    {"the beginning", "copying [--------------------]   0%  0/1000  0/s", 0, 1000, 0, true},
    {"the end", "copying [####################] 100%  1000/1000  10/s", 1000, 1000, 10, true},
    {"beyond the end", "copying 100%  1001/1000  10/s", 1001, 1000, 10, false},
    {"minutes", "copying   0%  0/200  1/s  3m20s left", 0, 200, 1, false},
    {"hours", "copying   0%  0/7500  1/s  2h05m left", 0, 7500, 1, false},
    {"no end known", "copying 17", 17, 0, 3, true},
    {"the largest numbers",
     "copying 100%  18446744073709551614/18446744073709551615  0/s  277777h46m left",
     UINT64_MAX - 1, UINT64_MAX, 1e-300, false},
};

static void test_progress_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[PROGRESS_TEXT_SIZE];
        progress_text(text, "copying", cases[i].done, cases[i].total, cases[i].rate,
                      cases[i].has_bar);
        if (strcmp(text, cases[i].want) != 0)
            fail_msg("%s: \"%s\"", cases[i].name, text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_progress_text)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
