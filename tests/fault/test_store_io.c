/* test_store_io.c: the disk fails under the store: every kind of call, the n-th one, for every n.
 *
 *   test_store_io [POINTS]   failing calls tried for each plan, spread evenly (0: every one) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "fault_run.h"
#include "support/fault_vfs.h"

#define POINTS_DEFAULT 60
#define ANY_KIND       ((1u << FAULT_KINDS) - 1)
#define OVER_A_PAGE    5000
/* The 12 large events of a run are more than the WAL may grow to before a checkpoint. */
#define FOR_CHECKPOINT ((size_t)1000 * 1000)

static uint64_t points = POINTS_DEFAULT;
static size_t large_bytes = OVER_A_PAGE;

static unsigned run_once(const char *where, const fault_plan *plan)
{
    fault_run r = {.where = where, .vfs = FAULT_VFS_NAME, .large_bytes = large_bytes};
    fault_run_begin(&r);
    fault_vfs_plan(*plan);
    if (fault_run_open(&r) == EX_OK)
        fault_run_use(&r);
    uint64_t failures = fault_vfs_failures();
    if (failures == 0 && plan->at != UINT64_MAX && r.store != NULL) {
        fault_run_close(&r); /* the call is one of those that closing makes */
        failures = fault_vfs_failures();
    }
    fault_vfs_heal();
    fault_run_recover(&r);
    fault_run_close(&r);
    fault_run_end(&r);
    return failures != 0;
}

/* Calls of these kinds from open to close when nothing fails. */
static uint64_t count_calls(const fault_plan *plan)
{
    fault_plan counting = *plan;
    counting.at = UINT64_MAX;
    fault_run r = {.where = "no fault", .vfs = FAULT_VFS_NAME, .large_bytes = large_bytes};
    fault_run_begin(&r);
    fault_vfs_plan(counting);
    assert_int_equal(fault_run_open(&r), EX_OK);
    fault_run_use(&r);
    assert_int_equal(r.refused, 0);
    fault_run_close(&r);
    uint64_t calls = fault_vfs_planned();
    fault_vfs_heal();
    fault_run_end(&r);
    return calls;
}

static void run_at_every_call(const char *name, fault_plan plan)
{
    uint64_t calls = count_calls(&plan);
    uint64_t step = points != 0 ? (calls + points - 1) / points : 1;
    uint64_t struck = 0;
    assert_true(calls > 0);
    for (plan.at = 1; plan.at <= calls; plan.at += step) {
        char where[160];
        snprintf(where, sizeof where, "%s, call %" PRIu64 " of %" PRIu64, name, plan.at, calls);
        struck += run_once(where, &plan);
    }
    print_message("%s: %" PRIu64 " calls, %" PRIu64 " of them failed in turn\n", name, calls,
                  struck);
    assert_true(struck >=
                calls / step / 2); /* a run that fails makes fewer calls, but not so few */
}

#define PLAN_TEST(name, ...)                                                                       \
    static void test_store_survives_##name(void **state)                                           \
    {                                                                                              \
        (void)state;                                                                               \
        run_at_every_call(#name, (fault_plan){__VA_ARGS__});                                       \
    }

PLAN_TEST(failing_write, .kinds = FAULT_BIT(FAULT_WRITE))
PLAN_TEST(short_write, .kinds = FAULT_BIT(FAULT_WRITE), .is_short = true)
PLAN_TEST(full_disk, .kinds = FAULT_BIT(FAULT_WRITE), .code = SQLITE_FULL, .is_short = true)
PLAN_TEST(full_disk_that_stays_full, .kinds = FAULT_BIT(FAULT_WRITE), .code = SQLITE_FULL,
          .is_sticky = true)
PLAN_TEST(failing_sync, .kinds = FAULT_BIT(FAULT_SYNC))
PLAN_TEST(sync_that_keeps_failing, .kinds = FAULT_BIT(FAULT_SYNC), .is_sticky = true)
PLAN_TEST(failing_read, .kinds = FAULT_BIT(FAULT_READ))
PLAN_TEST(failing_truncate, .kinds = FAULT_BIT(FAULT_TRUNCATE) | FAULT_BIT(FAULT_SIZE))
PLAN_TEST(failing_open, .kinds = FAULT_BIT(FAULT_OPEN))
PLAN_TEST(failing_lock, .kinds = FAULT_BIT(FAULT_LOCK) | FAULT_BIT(FAULT_SHM_LOCK))
PLAN_TEST(failing_shared_memory, .kinds = FAULT_BIT(FAULT_SHM_MAP))
PLAN_TEST(failing_directory, .kinds = FAULT_BIT(FAULT_DELETE) | FAULT_BIT(FAULT_ACCESS))
PLAN_TEST(disk_that_goes_away, .kinds = ANY_KIND, .is_sticky = true)

/* Checkpoints write the database file itself while appends go on; each run writes some 13 MB. */
static void test_store_survives_faults_in_a_checkpoint(void **state)
{
    (void)state;
    const fault_plan plans[] = {
        {.kinds = FAULT_BIT(FAULT_WRITE), .suffix = ".db"},
        {.kinds = FAULT_BIT(FAULT_WRITE), .suffix = ".db", .is_short = true, .is_sticky = true},
        {.kinds = FAULT_BIT(FAULT_SYNC)},
        {.kinds = FAULT_BIT(FAULT_SYNC), .is_sticky = true},
    };
    uint64_t points_before = points;
    large_bytes = FOR_CHECKPOINT;
    points = points != 0 ? points / 10 + 1 : 0;
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++)
        run_at_every_call("faults in a checkpoint", plans[i]);
    points = points_before;
    large_bytes = OVER_A_PAGE;
}

static int register_vfs(void **state)
{
    (void)state;
    fault_vfs_register();
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        points = strtoull(argv[1], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_survives_failing_write),
        cmocka_unit_test(test_store_survives_short_write),
        cmocka_unit_test(test_store_survives_full_disk),
        cmocka_unit_test(test_store_survives_full_disk_that_stays_full),
        cmocka_unit_test(test_store_survives_failing_sync),
        cmocka_unit_test(test_store_survives_sync_that_keeps_failing),
        cmocka_unit_test(test_store_survives_failing_read),
        cmocka_unit_test(test_store_survives_failing_truncate),
        cmocka_unit_test(test_store_survives_failing_open),
        cmocka_unit_test(test_store_survives_failing_lock),
        cmocka_unit_test(test_store_survives_failing_shared_memory),
        cmocka_unit_test(test_store_survives_failing_directory),
        cmocka_unit_test(test_store_survives_disk_that_goes_away),
        cmocka_unit_test(test_store_survives_faults_in_a_checkpoint),
    };
    return cmocka_run_group_tests(tests, register_vfs, NULL);
}
