/* test_store_outcome.c: a commit fails, and nobody can say whether its batch is stored.
 *
 * What a process that dies then leaves behind is what its files hold: copies of
 * them, opened by another store, show what a restart would find. (issue 8, item 4) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include <semaphore.h>
#include <unistd.h>

#include "kernel/log.h"
#include "store/import.h"
#include "store/submission.h"
#include "store/store_internal.h"
#include "support/fault_vfs.h"
#include "support/temp_dir.h"

enum { EVENTS = 3, MOST = 16 };

static char log_path[sizeof(temp_dir) + 8];

typedef struct fixture {
    temp_dir dir;
    ex_store *store;
} fixture;

static void open_with(fixture *f, ex_durability durability)
{
    ex_store_options options = {.durability = durability, .outcome_wait_ms = 1, .reader_limit = 1};
    store_internals internals = {.sqlite_vfs = FAULT_VFS_NAME};
    ex_error err = {0};
    if (store_open_with(f->dir.path, &options, &internals, &f->store, &err))
        fail_msg("%s", err.message);
}

static void set_up(fixture *f, ex_durability durability)
{
    f->dir = temp_dir_make_fast();
    open_with(f, durability);
}

/* G-302: what operators read. */
static bool has_logged(const char *text)
{
    char line[EX_LOG_LINE_SIZE];
    bool has = false;
    FILE *f = fopen(log_path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f))
        has |= strstr(line, text) != NULL;
    fclose(f);
    assert_int_equal(truncate(log_path, 0), 0);
    return has;
}

static void tear_down(fixture *f)
{
    ex_store_close(f->store);
    temp_dir_remove(&f->dir);
}

/* The files as a process that is killed now would leave them, opened anew. */
static void restart_copy(const fixture *f, fixture *copy)
{
    char command[3 * sizeof(f->dir.path) + 64];
    copy->dir = temp_dir_make_fast();
    (void)snprintf(command, sizeof(command), "cp '%s'/events.db '%s'/events.db-wal '%s'/",
                   f->dir.path, f->dir.path, copy->dir.path); /* fits */
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): our own paths */
    fault_vfs_heal();                     /* opening writes */
    open_with(copy, EX_DURABILITY_FULL);
}

/* EVENTS events to two streams; `ids` NULL: the store's own. */
static ex_status append(ex_store *s, const ex_event_ref *ids, ex_appended *ret, ex_error *err)
{
    ex_new_event events[EVENTS];
    for (int i = 0; i < EVENTS; i++)
        events[i] = (ex_new_event){.type = EX_S("Paid"), .data = EX_S("{\"cents\":500}")};
    for (int i = 0; ids && i < EVENTS; i++)
        events[i].id = ids[i].id;
    ex_stream_write writes[2] = {{EX_S("a"), EX_ANY, events, 1},
                                 {EX_S("b"), EX_ANY, events + 1, EVENTS - 1}};
    ex_append append = {.writes = writes, .write_count = 2};
    return ex_store_append(s, &append, ret, err);
}

static void must_append(ex_store *s, const ex_event_ref *ids, ex_appended *ret)
{
    ex_error err = {0};
    if (append(s, ids, ret, &err))
        fail_msg("%s", err.message);
}

/* From the sync of the next commit on, which writes as much as a commit that is counted first, the
 * disk takes nothing more: neither sync nor what would cover the frames. */
static void fail_from_sync_on(uint64_t calls_of_a_commit)
{
    fault_vfs_plan((fault_plan){.kinds = FAULT_BIT(FAULT_SYNC) | FAULT_BIT(FAULT_WRITE),
                                .at = calls_of_a_commit,
                                .is_sticky = true});
}

static uint64_t count_calls_of_append(ex_store *s)
{
    fault_vfs_plan(
        (fault_plan){.kinds = FAULT_BIT(FAULT_SYNC) | FAULT_BIT(FAULT_WRITE), .at = UINT64_MAX});
    must_append(s, NULL, NULL);
    return fault_vfs_planned();
}

/* G-300, G-301. The frames are whole in the file: a restart finds them, although the store could
 * not know. A retry with the ids that it names is stored once, on either side. */
static void test_outcome_failing_sync_is_unknown_and_the_ids_make_the_retry_exact(void **state)
{
    (void)state;
    fixture f, restarted;
    ex_event_ref refs[EVENTS];
    ex_appended ret = {.events = refs, .event_room = EVENTS};
    ex_error err = {0};
    char first[EX_ID_TEXT_SIZE];
    set_up(&f, EX_DURABILITY_FULL);
    must_append(f.store, NULL, NULL);
    fail_from_sync_on(count_calls_of_append(f.store));
    assert_int_equal(append(f.store, NULL, &ret, &err), EX_EOUTCOME);
    assert_int_equal(ret.event_count, EVENTS);
    assert_int_equal(ret.position, 0);
    assert_false(ex_status_is_retryable(EX_EOUTCOME));
    assert_string_equal(err.event_id, ex_id_text(&refs[0].id, first).ptr);
    fault_vfs_heal();
    ex_event_ref used[EVENTS];
    memcpy(used, refs, sizeof(used));

    restart_copy(&f, &restarted);
    assert_int_equal(ex_store_head(restarted.store), 3 * EVENTS);
    must_append(restarted.store, used, &ret);
    assert_true(ret.is_duplicate);
    assert_int_equal(ex_store_head(restarted.store), 3 * EVENTS);
    tear_down(&restarted);

    must_append(f.store, used, &ret);
    assert_false(ret.is_duplicate);
    assert_int_equal(ex_store_head(f.store), 3 * EVENTS);
    tear_down(&f);
}

/* G-302. While it is not known nothing else is committed, so that one batch is in doubt and not
 * all that come; and what a later commit has covered never comes back. */
static void test_outcome_one_batch_is_in_doubt_and_the_next_commit_settles_it(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        ex_durability durability;
        fault_plan plan;
    } cases[] = {
        {"fsync fails",
         EX_DURABILITY_FULL,
         {.kinds = FAULT_BIT(FAULT_SYNC), .at = 1, .is_sticky = true}},
        {"writes fail, mode normal",
         EX_DURABILITY_NORMAL,
         {.kinds = FAULT_BIT(FAULT_WRITE) | FAULT_BIT(FAULT_SYNC), .at = 1, .is_sticky = true}},
        {"the index of the WAL cannot grow",
         EX_DURABILITY_FULL,
         {.kinds = FAULT_BIT(FAULT_SYNC) | FAULT_BIT(FAULT_SHM_MAP), .at = 1, .is_sticky = true}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fixture f, restarted;
        ex_error err = {0};
        set_up(&f, cases[i].durability);
        must_append(f.store, NULL, NULL);
        fault_vfs_plan(cases[i].plan);
        if (append(f.store, NULL, NULL, &err) != EX_EOUTCOME)
            fail_msg("%s: %s", cases[i].name, err.code);
        for (int n = 0; n < 3; n++)
            if (append(f.store, NULL, NULL, &err) != EX_ESTORAGE)
                fail_msg("%s, append %d: %s", cases[i].name, n, err.code);
        assert_int_not_equal(ex_store_check_writes(f.store, &err), EX_OK);
        fault_vfs_heal();
        assert_true(has_logged("it is not known whether a batch was stored"));
        assert_int_equal(ex_store_check_writes(f.store, &err), EX_OK);
        assert_true(has_logged("the batch of unknown outcome was not stored"));
        restart_copy(&f, &restarted);
        if (ex_store_head(restarted.store) != EVENTS)
            fail_msg("%s: the lost batch came back", cases[i].name);
        tear_down(&restarted);
        must_append(f.store, NULL, NULL);
        assert_int_equal(ex_store_head(f.store), 2 * EVENTS);
        tear_down(&f);
    }
}

/* G-302. A single failure: the next commit, which the store makes itself, proves at once that
 * nothing is stored; and a full disk needs no proof. */
static void test_outcome_what_is_proved_is_not_called_unknown(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        fault_plan plan;
    } cases[] = {
        {"one fsync", {.kinds = FAULT_BIT(FAULT_SYNC), .at = 1}},
        {"one write", {.kinds = FAULT_BIT(FAULT_WRITE), .at = 1}},
        {"one write cut short", {.kinds = FAULT_BIT(FAULT_WRITE), .at = 1, .is_short = true}},
        {"a full disk",
         {.kinds = FAULT_BIT(FAULT_WRITE), .at = 1, .is_sticky = true, .code = SQLITE_FULL}},
        {"a full disk after some frames", /* they are written together: half of them */
         {.kinds = FAULT_BIT(FAULT_WRITE),
          .at = 1,
          .is_sticky = true,
          .code = SQLITE_FULL,
          .is_short = true}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fixture f, restarted;
        ex_error err = {0};
        set_up(&f, EX_DURABILITY_FULL);
        must_append(f.store, NULL, NULL);
        fault_vfs_plan(cases[i].plan);
        if (append(f.store, NULL, NULL, &err) != EX_ESTORAGE)
            fail_msg("%s: %s", cases[i].name, err.code);
        restart_copy(&f, &restarted); /* before anything else is written */
        if (ex_store_head(restarted.store) != EVENTS)
            fail_msg("%s: it was stored", cases[i].name);
        tear_down(&restarted);
        fault_vfs_heal();
        must_append(f.store, NULL, NULL);
        assert_int_equal(ex_store_head(f.store), 2 * EVENTS);
        tear_down(&f);
    }
}

/* G-302. All connections are replaced while it is not known: the new one recovers the frames, and
 * the batch is stored. */
static void test_outcome_a_new_connection_finds_the_batch(void **state)
{
    (void)state;
    fixture f;
    ex_error err = {0};
    ex_event_ref refs[EVENTS];
    ex_appended ret = {.events = refs, .event_room = EVENTS};
    uint64_t head = 0;
    set_up(&f, EX_DURABILITY_FULL);
    must_append(f.store, NULL, NULL);
    fail_from_sync_on(count_calls_of_append(f.store));
    assert_int_equal(append(f.store, NULL, &ret, &err), EX_EOUTCOME);
    fault_vfs_plan((fault_plan){.kinds = (1u << FAULT_KINDS) - 1, .at = 1, .is_sticky = true});
    assert_int_not_equal(ex_store_read_head(f.store, &head, &err), EX_OK); /* its reader goes */
    assert_int_not_equal(append(f.store, NULL, NULL, &err), EX_OK);        /* the writer, too */
    fault_vfs_heal();
    must_append(f.store, refs, &ret);
    assert_true(ret.is_duplicate);
    assert_true(has_logged("the batch of unknown outcome was stored"));
    assert_int_equal(ex_store_head(f.store), 3 * EVENTS);
    must_append(f.store, NULL, NULL);
    assert_int_equal(ex_store_head(f.store), 4 * EVENTS);
    tear_down(&f);
}

/* ---- Batches without events ---- */

typedef struct recording {
    ex_submission submission; /* first */
    sem_t done;
    ex_status status;
    const char *id;
    bool records;
} recording;

static ex_status record_stage(ex_submission *s, ex_batch *b, ex_error *err)
{
    ex_command_record found, record = {.command_id = ex_str(((recording *)s)->id),
                                       .fingerprint = 7,
                                       .recorded_at_us = ex_batch_now_us(b),
                                       .outcome = EX_S("{}")};
    if (!((recording *)s)->records)
        return ex_batch_command_find(b, record.command_id, &found, err);
    return ex_batch_command_record(b, &record, err);
}

static void record_done(ex_submission *s, ex_status status, const ex_error *err)
{
    (void)err;
    ((recording *)s)->status = status;
    sem_post(&((recording *)s)->done);
}

/* To record the outcome of a command, or to look for it. */
static ex_status record(ex_store *s, const char *id, bool records)
{
    recording r = {
        .submission = {.stage = record_stage, .done = record_done}, .id = id, .records = records};
    ex_error err = {0};
    sem_init(&r.done, 0, 0);
    assert_int_equal(ex_store_submit(s, &r.submission, &err), EX_OK);
    while (sem_wait(&r.done)) {
    } /* interrupted by a signal: wait on */
    sem_destroy(&r.done);
    return r.status;
}

/* G-300. The outcome of a command that emitted nothing: as unknown as an event, and repeating the
 * command by its id is exact. One that wrote nothing at all is not in doubt. */
static void test_outcome_of_a_command_record_is_unknown_too(void **state)
{
    (void)state;
    fixture f, restarted;
    set_up(&f, EX_DURABILITY_FULL);
    must_append(f.store, NULL, NULL);
    assert_int_equal(record(f.store, "pay-1", true), EX_OK);
    fault_vfs_plan(
        (fault_plan){.kinds = FAULT_BIT(FAULT_SYNC) | FAULT_BIT(FAULT_WRITE), .at = UINT64_MAX});
    assert_int_equal(record(f.store, "pay-2", true), EX_OK);
    fail_from_sync_on(fault_vfs_planned());
    assert_int_equal(record(f.store, "pay-3", true), EX_EOUTCOME);
    assert_int_equal(record(f.store, "pay-3", false), EX_ESTORAGE);
    fault_vfs_heal();
    restart_copy(&f, &restarted);
    assert_int_equal(record(restarted.store, "pay-3", false), EX_OK);
    tear_down(&restarted);
    assert_int_equal(record(f.store, "pay-3", false), EX_ENOTFOUND);
    assert_int_equal(record(f.store, "pay-3", true), EX_OK);
    tear_down(&f);
}

int main(void)
{
    fault_vfs_register();
    temp_dir dir = temp_dir_make();
    (void)snprintf(log_path, sizeof(log_path), "%s/log", dir.path); /* fits */
    if (ex_log_open(&(ex_log_options){.output = log_path}, NULL))
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outcome_failing_sync_is_unknown_and_the_ids_make_the_retry_exact),
        cmocka_unit_test(test_outcome_one_batch_is_in_doubt_and_the_next_commit_settles_it),
        cmocka_unit_test(test_outcome_what_is_proved_is_not_called_unknown),
        cmocka_unit_test(test_outcome_a_new_connection_finds_the_batch),
        cmocka_unit_test(test_outcome_of_a_command_record_is_unknown_too),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ex_log_close();
    temp_dir_remove(&dir);
    return failed;
}
