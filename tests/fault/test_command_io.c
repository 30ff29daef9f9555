/* test_command_io.c: the disk fails under commands: what the runtime keeps of a lost batch.
 *
 * A state that is in the cache must never know an event that is not in the log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <semaphore.h>
#include <stdio.h>

#include <excore/runtime.h>

#include "store/store_internal.h"
#include "store/submission.h"
#include "support/counters.h"
#include "support/fault_vfs.h"
#include "support/temp_dir.h"

enum { LONG = 2000 };

typedef struct fixture {
    temp_dir dir;
    ex_store *store;
    ex_runtime *rt;
} fixture;

static void set_up(fixture *f)
{
    store_internals internals = {.sqlite_vfs = FAULT_VFS_NAME};
    ex_store_options options = {.events_per_append = LONG, .outcome_wait_ms = 1};
    ex_error err;
    f->dir = temp_dir_make_fast();
    if (store_open_with(f->dir.path, &options, &internals, &f->store, &err) ||
        ex_runtime_start(f->store, &counters_app, NULL, &f->rt, &err))
        fail_msg("%s", err.message);
}

static void tear_down(fixture *f)
{
    atomic_store(&counters_on_fold, NULL);
    ex_runtime_stop(f->rt);
    ex_store_close(f->store);
    temp_dir_remove(&f->dir);
}

/* ---- Calls ---- */

typedef struct call {
    ex_command_call call;
    ex_arena arena;
    char payload[64];
    sem_t done;
    ex_status status;
    ex_error err;
} call;

static void on_done(ex_command_call *c, ex_status status, const ex_error *err)
{
    call *me = c->ctx;
    me->status = status;
    if (err)
        me->err = *err;
    sem_post(&me->done);
}

/* `count`: how many events it must find folded. */
static void submit(fixture *f, call *c, uint64_t count)
{
    memset(c, 0, sizeof(*c));
    ex_arena_init(&c->arena, 0);
    sem_init(&c->done, 0, 0);
    (void)snprintf(c->payload, sizeof(c->payload), "{\"n\":0,\"count\":%llu}",
                   (unsigned long long)count);
    c->call = (ex_command_call){.context = EX_S("test"),
                                .aggregate = EX_S("counter"),
                                .id = EX_S("a"),
                                .command = EX_S("add"),
                                .payload = ex_str(c->payload),
                                .done = on_done,
                                .ctx = c};
    if (ex_command_submit(f->rt, &c->call, &c->arena, &c->err))
        fail_msg("%s", c->err.message);
}

static ex_status finish(call *c)
{
    while (sem_wait(&c->done)) {
    } /* interrupted by a signal: wait on */
    sem_destroy(&c->done);
    ex_arena_done(&c->arena);
    return c->status;
}

static void add(fixture *f, uint64_t count)
{
    call c;
    submit(f, &c, count);
    if (finish(&c))
        fail_msg("%s", c.err.message);
    assert_int_equal(c.call.result.version, count + 1);
}

/* ---- A batch that is lost ---- */

typedef struct stop {
    ex_submission submission;
    sem_t entered, go;
} stop;

static ex_status stop_stage(ex_submission *s, ex_batch *b, ex_error *err)
{
    stop *me = (stop *)s;
    (void)b, (void)err;
    sem_post(&me->entered);
    while (sem_wait(&me->go)) {
    } /* interrupted by a signal: wait on */
    return EX_OK;
}

static void stop_done(ex_submission *s, ex_status status, const ex_error *err)
{
    (void)s, (void)status, (void)err;
}

static void on_append(void *ctx, ex_status status, const ex_appended *appended, const ex_error *err)
{
    (void)appended, (void)err;
    assert_int_equal(status, EX_EOUTCOME);
    sem_post(ctx);
}

/* A command that is rejected has folded what others of its batch staged: with the batch that goes.
 */
static void test_command_forgets_what_a_lost_batch_had_staged(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up(&f);
    add(&f, 0);
    stop s = {.submission = {.stage = stop_stage, .done = stop_done}};
    sem_init(&s.entered, 0, 0);
    sem_init(&s.go, 0, 0);
    assert_int_equal(ex_store_submit(f.store, &s.submission, NULL), EX_OK);
    while (sem_wait(&s.entered)) {
    } /* interrupted by a signal: wait on */
    sem_t appended;
    sem_init(&appended, 0, 0);
    ex_new_event event = {.type = EX_S("Counted"), .data = EX_S("{\"n\":1}")};
    ex_stream_write write = {EX_S("counter-a"), EX_ANY, &event, 1};
    ex_append append = {.writes = &write, .write_count = 1};
    assert_int_equal(ex_store_append_async(f.store, &append, NULL, on_append, &appended, NULL),
                     EX_OK);
    call rejected;
    submit(&f, &rejected, 77);
    fault_vfs_plan((fault_plan){.kinds = FAULT_BIT(FAULT_SYNC), .at = 1, .is_sticky = true});
    sem_post(&s.go);
    assert_int_equal(finish(&rejected), EX_ESTORAGE);
    while (sem_wait(&appended)) {
    } /* interrupted by a signal: wait on */
    fault_vfs_heal();
    add(&f, 1);
    sem_destroy(&appended);
    sem_destroy(&s.entered);
    sem_destroy(&s.go);
    tear_down(&f);
}

/* ---- A batch that is lost while a state is loaded ---- */

static sem_t at_last, go_on;

static void stand_at_last(int64_t n)
{
    if (n != LONG)
        return;
    sem_post(&at_last);
    while (sem_wait(&go_on)) {
    } /* interrupted by a signal: wait on */
}

static void put(fixture *f, const char *stream, const ex_new_event *events, uint32_t count)
{
    ex_stream_write write = {ex_str(stream), EX_ANY, events, count};
    ex_append append = {.writes = &write, .write_count = 1};
    ex_error err;
    if (ex_store_append(f->store, &append, NULL, &err))
        fail_msg("%s", err.message);
}

static void fill(fixture *f)
{
    static ex_new_event events[LONG];
    static char texts[LONG][32];
    for (int i = 0; i < LONG; i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), "{\"n\":%d}", i + 1);
        events[i] = (ex_new_event){.type = EX_S("Counted"), .data = ex_str(texts[i])};
    }
    put(f, "counter-a", events, LONG);
}

/* Those who wait for it are told like all others of the batch; the next try finds it sound. */
static void test_command_load_survives_a_lost_batch(void **ctx)
{
    (void)ctx;
    static const struct {
        const char *name;
        unsigned kinds;
        ex_status want;
    } cases[] = {
        {"the batch cannot begin", FAULT_BIT(FAULT_SHM_LOCK), EX_ESTORAGE},
        {"the batch cannot be committed", FAULT_BIT(FAULT_SYNC), EX_EOUTCOME},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fixture f;
        set_up(&f);
        fill(&f);
        sem_init(&at_last, 0, 0);
        sem_init(&go_on, 0, 0);
        atomic_store(&counters_on_fold, stand_at_last);
        call calls[2];
        submit(&f, &calls[0], LONG);
        while (sem_wait(&at_last)) {
        } /* interrupted by a signal: wait on */
        submit(&f, &calls[1], LONG + 1);
        put(&f, "b", &(ex_new_event){.type = EX_S("T"), .data = EX_S("{}")}, 1); /* it waits now */
        while (!f.rt || ex_store_check_writes(f.store, NULL)) {
        }
        atomic_store(&counters_on_fold, NULL);
        fault_vfs_plan((fault_plan){.kinds = cases[i].kinds, .at = 1, .is_sticky = true});
        sem_post(&go_on);
        for (int n = 0; n < 2; n++)
            if (finish(&calls[n]) != cases[i].want)
                fail_msg("%s: %d %s", cases[i].name, calls[n].status, calls[n].err.message);
        fault_vfs_heal();
        add(&f, LONG);
        sem_destroy(&at_last);
        sem_destroy(&go_on);
        tear_down(&f);
    }
}

int main(void)
{
    fault_vfs_register();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command_forgets_what_a_lost_batch_had_staged),
        cmocka_unit_test(test_command_load_survives_a_lost_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
