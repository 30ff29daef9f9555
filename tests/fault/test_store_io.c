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

/* Checkpoints write the database file itself while appends go on; each run writes some 13 MB.
 * (issue 8, item 13; G-610) */
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

/* Readiness asks: a store whose last batch was lost says so, and is fine again when a batch of its
 * own reaches the disk, also when nobody appends. (G-010) */
static void test_store_tells_that_writes_fail_until_one_works(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        ex_status want;
        fault_plan plan;
    } cases[] = {
        {"writes fail", EX_EOUTCOME, {.kinds = FAULT_BIT(FAULT_WRITE), .at = 1, .is_sticky = true}},
        {"a full disk",
         EX_ESTORAGE,
         {.kinds = FAULT_BIT(FAULT_WRITE), .at = 1, .is_sticky = true, .code = SQLITE_FULL}},
        {"fsync fails", EX_EOUTCOME, {.kinds = FAULT_BIT(FAULT_SYNC), .at = 1, .is_sticky = true}},
    };
    const ex_store_options options = {.outcome_wait_ms = 1};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        temp_dir dir = temp_dir_make_fast();
        store_internals internals = {.sqlite_vfs = FAULT_VFS_NAME};
        ex_store *s = NULL;
        ex_error err = {0};
        assert_int_equal(store_open_with(dir.path, &options, &internals, &s, &err), EX_OK);
        ex_new_event event = {.type = EX_S("T"), .data = EX_S("{}")};
        ex_stream_write write = {EX_S("a"), EX_ANY, &event, 1};
        ex_append append = {.writes = &write, .write_count = 1};
        assert_int_equal(ex_store_append(s, &append, NULL, &err), EX_OK);
        assert_int_equal(ex_store_check_writes(s, &err), EX_OK);
        uint64_t before = fault_vfs_calls(FAULT_WRITE);
        assert_int_equal(ex_store_check_writes(s, &err), EX_OK);
        assert_int_equal(fault_vfs_calls(FAULT_WRITE), before); /* all is well: nothing is tried */

        fault_vfs_plan(cases[i].plan);
        assert_int_equal(ex_store_append(s, &append, NULL, &err), cases[i].want);
        for (int n = 0; n < 3; n++)
            if (ex_store_check_writes(s, &err) == EX_OK || !err.message[0])
                fail_msg("%s: writes are said to work", cases[i].name);
        assert_true(fault_vfs_failures() > 1); /* it was tried again */
        fault_vfs_heal();
        if (ex_store_check_writes(s, &err))
            fail_msg("%s: %s", cases[i].name, err.message);
        assert_int_equal(ex_store_head(s), 1);
        assert_int_equal(ex_store_append(s, &append, NULL, &err), EX_OK);

        /* and the other way to be well again: the next append works */
        fault_vfs_plan(cases[i].plan);
        assert_int_equal(ex_store_append(s, &append, NULL, &err), cases[i].want);
        fault_vfs_heal();
        assert_int_equal(ex_store_append(s, &append, NULL, &err), EX_OK);
        before = fault_vfs_calls(FAULT_WRITE);
        assert_int_equal(ex_store_check_writes(s, &err), EX_OK);
        assert_int_equal(fault_vfs_calls(FAULT_WRITE), before);
        assert_int_equal(ex_store_head(s), 3);
        ex_store_close(s);
        temp_dir_remove(&dir);
    }
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
        cmocka_unit_test(test_store_tells_that_writes_fail_until_one_works),
    };
    return cmocka_run_group_tests(tests, register_vfs, NULL);
}
