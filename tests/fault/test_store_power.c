/* test_store_power.c: cut the power under a store that appends, again and again.
 *
 *   test_store_power [SEED]
 *
 * Appends enough for several checkpoints. At random changes of the files, hence
 * in the middle of commits and checkpoints, the power is cut in thought: what was
 * synced is kept, of the rest a random part. The store must open on each such
 * disk. With durability full everything that had been acknowledged is there;
 * with normal the last may be missing, but what is there is a log without gaps
 * and without half appends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/store_internal.h"
#include "support/fault_vfs.h"
#include "support/log_check.h"
#include "support/power_cut.h"
#include "support/temp_dir.h"

#define APPENDS         150
#define EVENTS_MAX      3
#define DATA_BYTES      ((size_t)120 * 1000)
#define CHANGES_PER_CUT 300

static uint64_t seed = 20261121;

typedef struct power_run {
    ex_store *store;
    ex_durability durability;
    uint64_t random;
    unsigned cuts;
    bool is_on; /* the store is open: what is cut must be a store */
    ex_event_ref refs[APPENDS][EVENTS_MAX];
    uint32_t counts[APPENDS];
    _Atomic unsigned acknowledged; /* appends below it have their refs and counts */
} power_run;

static ex_status append(power_run *r, unsigned number)
{
    static const char data[DATA_BYTES];
    char name[16];
    char mark[LOG_CHECK_MARK_SIZE];
    ex_new_event events[EVENTS_MAX];
    uint32_t count = 1 + number % EVENTS_MAX;
    snprintf(name, sizeof name, "%u", number);
    ex_slice correlation = log_check_mark(mark, name, count);
    for (uint32_t i = 0; i < count; i++)
        events[i] = (ex_new_event){.type = EX_S("T"),
                                   .data = ex_slice_of(data, 1 + DATA_BYTES * (number % 4) / 4),
                                   .content_type = EX_S("application/octet-stream"),
                                   .correlation_id = correlation};
    ex_stream_write write = {
        .stream = number % 2 ? EX_S("odd") : EX_S("even"), .events = events, .event_count = count};
    ex_append request = {.writes = &write, .write_count = 1};
    ex_appended appended = {.events = r->refs[number], .event_room = EVENTS_MAX};
    r->counts[number] = count;
    return ex_store_append(r->store, &request, &appended, NULL);
}

/* Not on the thread of the test: cmocka's own ways of failing are out of reach. */
static void die(const power_run *r, unsigned acknowledged, const char *why)
{
    fprintf(stderr, "seed %" PRIu64 ", cut %u, %u appends acknowledged: %s\n", seed, r->cuts,
            acknowledged, why);
    abort();
}

static void check_disk(const power_run *r, const char *dir, unsigned acknowledged)
{
    log_check *check = log_check_new();
    log_check_result result;
    ex_store *s = NULL;
    ex_error err = {0};
    unsigned kept = r->durability == EX_DURABILITY_FULL ? acknowledged : 0;
    for (unsigned i = 0; i < kept; i++) {
        for (uint32_t k = 0; k < r->counts[i]; k++)
            log_check_acknowledged(check, &r->refs[i][k].id, r->refs[i][k].position);
    }
    if (ex_store_open(dir, NULL, &s, &err) != EX_OK)
        die(r, acknowledged, err.message);
    if (!log_check_run(check, s, &result))
        die(r, acknowledged, result.fault);
    ex_store_close(s);
    log_check_free(check);
}

static void maybe_cut(void *ctx)
{
    power_run *r = ctx;
    r->random = r->random * 6364136223846793005ULL + 1442695040888963407ULL;
    if (!r->is_on || (r->random >> 33) % CHANGES_PER_CUT != 0)
        return;
    temp_dir disk = temp_dir_make_fast();
    r->cuts++;
    power_cut_take(disk.path, &r->random);
    check_disk(r, disk.path, atomic_load(&r->acknowledged));
    temp_dir_remove(&disk);
}

static void cut_again_and_again(ex_durability durability)
{
    power_run r = {.durability = durability, .random = seed};
    temp_dir dir = temp_dir_make_fast();
    ex_store_options options = {.durability = durability};
    store_internals internals = {.sqlite_vfs = FAULT_VFS_NAME};
    power_cut_start(maybe_cut, &r);
    assert_int_equal(store_open_with(dir.path, &options, &internals, &r.store, NULL), EX_OK);
    r.is_on = true; /* before the first append: the sequencer's thread sleeps */
    for (unsigned i = 0; i < APPENDS; i++) {
        assert_int_equal(append(&r, i), EX_OK);
        atomic_store(&r.acknowledged, i + 1);
    }
    ex_store_close(r.store);
    power_cut_stop();
    temp_dir_remove(&dir);
    print_message("%u cuts\n", r.cuts);
    assert_true(r.cuts > 20);
}

/* G-002 */
static void test_store_keeps_all_that_was_acknowledged_at_a_power_cut(void **state)
{
    (void)state;
    cut_again_and_again(EX_DURABILITY_FULL);
}

/* G-003 */
static void test_store_keeps_a_whole_log_at_a_power_cut_with_normal_durability(void **state)
{
    (void)state;
    cut_again_and_again(EX_DURABILITY_NORMAL);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        seed = strtoull(argv[1], NULL, 10);
    fault_vfs_register();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_keeps_all_that_was_acknowledged_at_a_power_cut),
        cmocka_unit_test(test_store_keeps_a_whole_log_at_a_power_cut_with_normal_durability),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
