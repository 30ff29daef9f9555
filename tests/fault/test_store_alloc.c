/* test_store_alloc.c: the heap fails under the store: the n-th allocation of a life, for every n.
 *
 *   test_store_alloc [POINTS]   allocations tried for each test, the early ones densest (0: every
 * one)
 *
 * A life is open, append, read, follow, close, on each driver; SQLite's own
 * allocations are among those that fail. The sanitizer finds what leaks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "fault_run.h"
#include "support/alloc_fault.h"

#define POINTS_DEFAULT 150

static uint64_t points = POINTS_DEFAULT;

/* When in the life the failing allocation is looked for. */
typedef enum phase { PHASE_OPEN, PHASE_USE, PHASE_CLOSE } phase;

/* @return whether an allocation failed: when none did, n is beyond the last */
static bool run_once(const char *where, bool in_memory, phase when, uint64_t nth, bool is_sticky)
{
    fault_run r = {.where = where, .in_memory = in_memory, .large_bytes = 5000};
    uint64_t failures = 0;
    fault_run_begin(&r);
    if (when == PHASE_OPEN)
        alloc_fault_arm(nth, is_sticky);
    ex_status status = fault_run_open(&r);
    if (when == PHASE_OPEN)
        failures = alloc_fault_disarm();
    assert_true(status == EX_OK || when == PHASE_OPEN);
    if (status == EX_OK) {
        if (when == PHASE_USE)
            alloc_fault_arm(nth, is_sticky);
        fault_run_use(&r);
        if (when == PHASE_USE)
            failures = alloc_fault_disarm();
    }
    fault_run_recover(&r);
    if (when == PHASE_CLOSE)
        alloc_fault_arm(nth, is_sticky);
    fault_run_close(&r);
    if (when == PHASE_CLOSE)
        failures = alloc_fault_disarm();
    fault_run_end(&r);
    return failures != 0;
}

static void fail_each(const char *name, bool in_memory, phase when)
{
    uint64_t tried = 0;
    uint64_t nth = 1;
    for (bool has_failed = true; has_failed; tried++) {
        char where[160];
        has_failed = false;
        for (int is_sticky = 0; is_sticky <= 1; is_sticky++) {
            snprintf(where, sizeof where, "%s, allocation %" PRIu64 "%s", name, nth,
                     is_sticky ? " and all after it" : "");
            has_failed |= run_once(where, in_memory, when, nth, is_sticky != 0);
        }
        nth += points != 0 ? nth * 4 / points + 1 : 1;
    }
    print_message("%s: %" PRIu64 " allocations tried, up to number %" PRIu64 "\n", name, tried - 1,
                  nth);
    assert_true(tried > 1 || when == PHASE_CLOSE);
}

#define ALLOC_TEST(name, in_memory, when)                                                          \
    static void test_store_survives_no_memory_##name(void **state)                                 \
    {                                                                                              \
        (void)state;                                                                               \
        fail_each(#name, in_memory, when);                                                         \
    }

ALLOC_TEST(to_open_files, false, PHASE_OPEN)
ALLOC_TEST(to_use_files, false, PHASE_USE)
ALLOC_TEST(to_close_files, false, PHASE_CLOSE)
ALLOC_TEST(to_open_in_memory, true, PHASE_OPEN)
ALLOC_TEST(to_use_in_memory, true, PHASE_USE)
ALLOC_TEST(to_close_in_memory, true, PHASE_CLOSE)

int main(int argc, char **argv)
{
    if (argc > 1)
        points = strtoull(argv[1], NULL, 10);
    alloc_fault_cover_sqlite();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_survives_no_memory_to_open_files),
        cmocka_unit_test(test_store_survives_no_memory_to_use_files),
        cmocka_unit_test(test_store_survives_no_memory_to_close_files),
        cmocka_unit_test(test_store_survives_no_memory_to_open_in_memory),
        cmocka_unit_test(test_store_survives_no_memory_to_use_in_memory),
        cmocka_unit_test(test_store_survives_no_memory_to_close_in_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
