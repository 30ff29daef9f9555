/* store_submission.c: the sequencer's side door, and what submissions of one batch see of each
 * other.
 *
 * A gate holds the sequencer inside its own stage function until everything a
 * test wants in the same batch is queued. */
#include "conformance/store_suite.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "store/submission.h"

/* ---- The gate ---- */

typedef struct gate {
    ex_submission submission;
    pthread_mutex_t mu;
    pthread_cond_t changed;
    bool is_entered, is_open;
    uint32_t done_count; /* of the steps, in order */
} gate;

static void lock(gate *g)
{
    (void)pthread_mutex_lock(&g->mu);
}
static void unlock(gate *g)
{
    (void)pthread_cond_broadcast(&g->changed);
    (void)pthread_mutex_unlock(&g->mu);
}

static ex_status gate_stage(ex_submission *s, ex_batch *b, ex_error *err)
{
    (void)b;
    (void)err;
    gate *g = (gate *)s;
    lock(g);
    g->is_entered = true;
    (void)pthread_cond_broadcast(&g->changed);
    while (!g->is_open)
        (void)pthread_cond_wait(&g->changed, &g->mu);
    unlock(g);
    return EX_OK;
}

static void gate_done(ex_submission *s, ex_status status, const ex_error *err)
{
    (void)s;
    (void)status;
    (void)err;
}

static void gate_close(suite *s, gate *g)
{
    memset(g, 0, sizeof(*g));
    (void)pthread_mutex_init(&g->mu, NULL);
    (void)pthread_cond_init(&g->changed, NULL);
    g->submission.stage = gate_stage;
    g->submission.done = gate_done;
    assert_int_equal(ex_store_submit(s->store, &g->submission, NULL), EX_OK);
    lock(g);
    while (!g->is_entered)
        (void)pthread_cond_wait(&g->changed, &g->mu);
    unlock(g);
}

/* Let them run, and wait until `count` steps are done. */
static void gate_open(gate *g, uint32_t count)
{
    lock(g);
    g->is_open = true;
    (void)pthread_cond_broadcast(&g->changed);
    while (g->done_count < count)
        (void)pthread_cond_wait(&g->changed, &g->mu);
    unlock(g);
}

/* ---- Steps: submissions that run a function ---- */

typedef struct step {
    ex_submission submission;
    gate *gate;
    ex_status (*run)(struct step *step, ex_batch *b, ex_error *err);
    ex_append append;
    ex_appended out;
    uint64_t number;  /* for the test's own use */
    uint32_t done_at; /* how many were done before */
    ex_status status;
    ex_error err;
} step;

static ex_status step_stage(ex_submission *s, ex_batch *b, ex_error *err)
{
    step *st = (step *)s;
    return st->run(st, b, err);
}

static void step_done(ex_submission *s, ex_status status, const ex_error *err)
{
    step *st = (step *)s;
    lock(st->gate);
    st->status = status;
    if (err)
        st->err = *err;
    st->done_at = st->gate->done_count++;
    unlock(st->gate);
}

static void queue_step(suite *s, gate *g, step *st,
                       ex_status (*run)(step *, ex_batch *, ex_error *))
{
    st->submission.stage = step_stage;
    st->submission.done = step_done;
    st->gate = g;
    st->run = run;
    assert_int_equal(ex_store_submit(s->store, &st->submission, NULL), EX_OK);
}

static ex_status run_append(step *st, ex_batch *b, ex_error *err)
{
    return ex_batch_append(b, &st->append, &st->out, err);
}

/* ---- Tests ---- */

static void test_submission_sees_what_earlier_ones_of_the_batch_staged(void **state)
{
    suite *s = *state;
    suite_fill(s, "a", 2);
    ex_new_event event = EVENT("T", "{}");
    ex_stream_write write = {EX_S("a"), EX_EXACT(2), &event, 1},
                    next = {EX_S("a"), EX_EXACT(3), &event, 1};
    step steps[] = {{.append = {&write, 1, NULL, 0}},
                    {.append = {&write, 1, NULL, 0}},
                    {.append = {&next, 1, NULL, 0}}};
    gate g;
    gate_close(s, &g);
    for (int i = 0; i < 3; i++)
        queue_step(s, &g, &steps[i], run_append);
    gate_open(&g, 3);
    assert_int_equal(steps[0].status, EX_OK);
    assert_int_equal(steps[1].status, EX_ECONFLICT);
    assert_int_equal(steps[1].err.current, 3);
    assert_int_equal(steps[2].status, EX_OK);
    assert_int_equal(steps[2].out.position, 4);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(steps[i].done_at, i);
    assert_int_equal(suite_version(s, "a"), 4);
}

static ex_status run_append_then_fail(step *st, ex_batch *b, ex_error *err)
{
    ex_status status = ex_batch_append(b, &st->append, &st->out, err);
    uint64_t version = 0;
    if (status == EX_OK)
        status = ex_batch_stream_version(b, EX_S("a"), &version, err);
    st->number = version;
    ex_command_record record = {.command_id = EX_S("failing"), .outcome = EX_S("x")};
    if (status == EX_OK)
        status = ex_batch_command_record(b, &record, err);
    return status ? status : ex_raise(err, EX_EREJECTED, "no");
}

static ex_status run_version(step *st, ex_batch *b, ex_error *err)
{
    ex_command_record record;
    assert_int_equal(ex_batch_command_find(b, EX_S("failing"), &record, NULL), EX_ENOTFOUND);
    return ex_batch_stream_version(b, EX_S("a"), &st->number, err);
}

static void test_submission_that_fails_leaves_nothing(void **state)
{
    suite *s = *state;
    ex_new_event events[] = {EVENT("T", "{}", .id = suite_id(1)), EVENT("T", "{}")};
    ex_stream_write write = {EX_S("a"), EX_NO_STREAM, events, 2};
    step failing = {.append = {&write, 1, NULL, 0}}, looking = {0},
         retry = {.append = {&write, 1, NULL, 0}};
    gate g;
    gate_close(s, &g);
    queue_step(s, &g, &failing, run_append_then_fail);
    queue_step(s, &g, &looking, run_version);
    queue_step(s, &g, &retry, run_append);
    gate_open(&g, 3);
    assert_int_equal(failing.status, EX_EREJECTED);
    assert_int_equal(failing.number, 2);
    assert_int_equal(looking.status, EX_OK);
    assert_int_equal(looking.number, 0);
    assert_int_equal(retry.status, EX_OK);
    assert_false(retry.out.is_duplicate);
    assert_int_equal(retry.out.position, 2);
    assert_int_equal(ex_store_head(s->store), 2);
}

static void test_submission_condition_sees_staged_events(void **state)
{
    suite *s = *state;
    static const ex_slice tags[] = {EX_S_INIT("seat:1"), EX_S_INIT("row:2")};
    ex_new_event event = EVENT("Taken", "{}", .tags = tags, .tag_count = 2);
    ex_stream_write write = {EX_S("seat-1"), EX_ANY, &event, 1};
    const ex_slice taken = EX_S("Taken"), other = EX_S("Other");
    const ex_query_item items[] = {{NULL, 0, tags, 1},   {&taken, 1, tags, 2}, {&taken, 1, NULL, 0},
                                   {&other, 1, NULL, 0}, {&other, 1, tags, 1}, {0}};
    const ex_status want[] = {EX_ECONDITION, EX_ECONDITION, EX_ECONDITION,
                              EX_OK,         EX_OK,         EX_ECONDITION};
    enum { COUNT = sizeof(want) / sizeof(want[0]) };
    ex_query queries[COUNT];
    step first = {.append = {&write, 1, NULL, 0}}, later[COUNT], past = {0};
    memset(later, 0, sizeof(later));
    gate g;
    gate_close(s, &g);
    queue_step(s, &g, &first, run_append);
    for (int i = 0; i < COUNT; i++) {
        queries[i] = (ex_query){&items[i], 1};
        later[i].append = (ex_append){.fail_if_match = &queries[i]};
        queue_step(s, &g, &later[i], run_append);
    }
    past.append = (ex_append){.fail_if_match = &queries[0], .after = 1};
    queue_step(s, &g, &past, run_append);
    gate_open(&g, COUNT + 2);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(later[i].status, want[i]);
        assert_int_equal(later[i].err.position, want[i] ? 1 : 0);
    }
    assert_int_equal(past.status, EX_OK);
}

static void test_submission_idempotency_sees_staged_events(void **state)
{
    suite *s = *state;
    ex_new_event event = EVENT("T", "{}", .id = suite_id(7)),
                 other = EVENT("T", "[]", .id = suite_id(7));
    ex_stream_write write = {EX_S("a"), EX_NO_STREAM, &event, 1},
                    changed = {EX_S("a"), EX_ANY, &other, 1},
                    elsewhere = {EX_S("b"), EX_ANY, &other, 1};
    step steps[] = {{.append = {&write, 1, NULL, 0}},
                    {.append = {&write, 1, NULL, 0}},
                    {.append = {&changed, 1, NULL, 0}},
                    {.append = {&elsewhere, 1, NULL, 0}}};
    gate g;
    gate_close(s, &g);
    for (int i = 0; i < 4; i++)
        queue_step(s, &g, &steps[i], run_append);
    gate_open(&g, 4);
    assert_int_equal(steps[0].status, EX_OK);
    assert_int_equal(steps[1].status, EX_OK);
    assert_true(steps[1].out.is_duplicate);
    assert_int_equal(steps[1].out.position, 1);
    assert_int_equal(steps[2].status, EX_EIDEMPOTENCY);
    assert_int_equal(steps[2].err.position, 1);
    assert_int_equal(steps[3].status, EX_OK);
    assert_int_equal(ex_store_head(s->store), 2);
}

/* ---- Reading inside a batch ---- */

static ex_status add_version(void *ctx, const ex_event *event, ex_error *err)
{
    (void)err;
    uint64_t *sum = ctx;
    *sum = *sum * 10 + event->version;
    return EX_OK;
}

static ex_status run_read(step *st, ex_batch *b, ex_error *err)
{
    ex_status status = ex_batch_append(b, &st->append, NULL, err);
    return status ? status : ex_batch_read_stream(b, EX_S("a"), 2, add_version, &st->number, err);
}

static void test_submission_reads_committed_and_staged_events(void **state)
{
    suite *s = *state;
    suite_fill(s, "a", 3);
    ex_new_event events[] = {EVENT("T", "{}"), EVENT("T", "{}")};
    ex_stream_write write = {EX_S("a"), EX_ANY, events, 1}, last = {EX_S("a"), EX_ANY, events, 2};
    step first = {.append = {&write, 1, NULL, 0}}, reading = {.append = {&last, 1, NULL, 0}};
    gate g;
    gate_close(s, &g);
    queue_step(s, &g, &first, run_append);
    queue_step(s, &g, &reading, run_read);
    gate_open(&g, 2);
    assert_int_equal(reading.status, EX_OK);
    assert_int_equal(reading.number, 23456);
}

static ex_status stop_reading(void *ctx, const ex_event *event, ex_error *err)
{
    (void)ctx;
    return ex_raise(err, EX_EREJECTED, "stopped at %d", (int)event->version);
}

static ex_status run_stopped_read(step *st, ex_batch *b, ex_error *err)
{
    (void)st;
    return ex_batch_read_stream(b, EX_S("a"), 1, stop_reading, NULL, err);
}

static void test_submission_that_stops_reading_harms_nobody_else(void **state)
{
    suite *s = *state;
    suite_fill(s, "a", 3);
    ex_new_event event = EVENT("T", "{}");
    ex_stream_write write = {EX_S("a"), EX_EXACT(3), &event, 1};
    step stopped = {0}, appending = {.append = {&write, 1, NULL, 0}};
    gate g;
    gate_close(s, &g);
    queue_step(s, &g, &stopped, run_stopped_read);
    queue_step(s, &g, &appending, run_append);
    gate_open(&g, 2);
    assert_int_equal(stopped.status, EX_EREJECTED);
    assert_string_equal(stopped.err.message, "stopped at 1");
    assert_int_equal(appending.status, EX_OK);
}

static ex_status run_append_to_platform(step *st, ex_batch *b, ex_error *err)
{
    char name[] = "$users"; /* gone when the batch is written: ex_batch_stream_version copies */
    ex_status status = ex_batch_stream_version(b, ex_str(name), &st->number, err);
    memset(name, 'x', sizeof(name) - 1);
    return status ? status : ex_batch_append(b, &st->append, &st->out, err);
}

static void test_submission_may_write_streams_of_the_platform(void **state)
{
    suite *s = *state;
    ex_new_event event = EVENT("T", "{}");
    ex_stream_write write = {EX_S("$users"), EX_ANY, &event, 1};
    step st = {.append = {&write, 1, NULL, 0}};
    gate g;
    gate_close(s, &g);
    queue_step(s, &g, &st, run_append_to_platform);
    gate_open(&g, 1);
    assert_int_equal(st.status, EX_OK);
    assert_int_equal(suite_version(s, "$users"), 1);
}

/* ---- Commands ---- */

static ex_status run_command(step *st, ex_batch *b, ex_error *err)
{
    ex_command_record record;
    ex_status status = ex_batch_command_find(b, EX_S("cmd-1"), &record, NULL);
    if (status == EX_OK) {
        st->number = record.fingerprint;
        st->out.is_duplicate = ex_slice_is(record.outcome, "done");
        return EX_OK;
    }
    record = (ex_command_record){EX_S("cmd-1"), 42, ex_batch_now_us(b), EX_S("done")};
    return ex_batch_command_record(b, &record, err);
}

static void run_alone(suite *s, step *st, ex_status (*run)(step *, ex_batch *, ex_error *))
{
    gate g;
    gate_close(s, &g);
    queue_step(s, &g, st, run);
    gate_open(&g, 1);
    assert_int_equal(st->status, EX_OK);
}

static void test_submission_command_records(void **state)
{
    suite *s = *state;
    step first = {0}, same_batch = {0}, later = {0};
    gate g;
    gate_close(s, &g);
    queue_step(s, &g, &first, run_command);
    queue_step(s, &g, &same_batch, run_command);
    gate_open(&g, 2);
    assert_int_equal(first.number, 0);
    assert_int_equal(same_batch.number, 42);
    assert_true(same_batch.out.is_duplicate);
    run_alone(s, &later, run_command);
    assert_int_equal(later.number, 42);
    assert_true(later.out.is_duplicate);
    assert_int_equal(ex_store_head(s->store), 0);
}

static _Atomic int64_t expiry_now_us, expiry_passed_us;

static int64_t expiry_now(void *ctx)
{
    (void)ctx;
    return expiry_now_us;
}

static ex_status record_id(const char *id, ex_batch *b, ex_error *err)
{
    ex_command_record record = {ex_str(id), 1, ex_batch_now_us(b), EX_S("")};
    ex_status status = ex_batch_command_find(b, record.command_id, &record, NULL);
    return status == EX_OK ? EX_OK : ex_batch_command_record(b, &record, err);
}

/* One that nobody has run before. */
static ex_status run_new_command(step *st, ex_batch *b, ex_error *err)
{
    static int number;
    char id[32];
    (void)st;
    (void)snprintf(id, sizeof(id), "cmd-new-%d", ++number);
    return record_id(id, b, err);
}

/* The clock's time that passes with the wall, as it should. */
static uint64_t expiry_monotonic(void *ctx)
{
    const ex_clock *system = ex_clock_system();
    (void)ctx;
    return ex_monotonic_ns(system) + (uint64_t)expiry_passed_us * 1000;
}

static void pass(int64_t us)
{
    expiry_now_us += us;
    expiry_passed_us += us;
}

static void open_with_ttl(suite *s)
{
    static ex_clock clock;
    clock = *ex_clock_system();
    clock.now_us = expiry_now;
    clock.monotonic_ns = expiry_monotonic;
    suite_reopen(s, &(ex_store_options){.clock = &clock, .command_ttl_s = 10});
}

/* The log's last time moves, as it does with every command that emits something. */
static void record_event(suite *s)
{
    suite_put(s, "clock", &EVENT("Ticked", "{}"));
}

/* R-CB-03: outcomes are kept for a time, then forgotten as new ones come; what an earlier process
 * has seen of time counts, too. */
static void test_submission_command_records_expire(void **state)
{
    suite *s = *state;
    expiry_now_us = 1000000000;
    open_with_ttl(s);
    step first = {0}, other = {0}, still = {0}, after = {0};
    record_event(s);
    run_alone(s, &first, run_command);
    run_alone(s, &other, run_new_command); /* a node knows what is kept from its second one on */
    pass(9000000);
    run_alone(s, &other, run_new_command);
    run_alone(s, &still, run_command);
    assert_int_equal(still.number, 42);
    if (s->driver != SUITE_MEMORY)
        open_with_ttl(s);
    for (int i = 0; i < 2; i++)
        run_alone(s, &other, run_new_command);
    pass(2000000);
    run_alone(s, &other, run_new_command);
    run_alone(s, &after, run_command);
    assert_int_equal(after.number, 0); /* it was new again */
    suite_reopen(s, NULL);
}

/* G-305 (issue 8, item 5): a clock that jumps ahead, and any number of starts under a wrong one,
 * with events recorded meanwhile, let no outcome expire; a clock that is set back makes them live
 * longer. */
static void test_submission_command_records_outlive_a_wrong_clock(void **state)
{
    suite *s = *state;
    static const int64_t day_us = INT64_C(86400) * 1000000;
    expiry_now_us = 1000000000;
    open_with_ttl(s);
    step first = {0}, other = {0}, still = {0}, back = {0};
    record_event(s);
    run_alone(s, &first, run_command);
    expiry_now_us += 10 * day_us;
    for (int starts = 0; starts < (s->driver == SUITE_MEMORY ? 1 : 3); starts++) {
        for (int i = 0; i < 4; i++) {
            record_event(s); /* the log's last time is a wrong one, too */
            pass(500000);
            run_alone(s, &other, run_new_command);
        }
        run_alone(s, &still, run_command);
        assert_int_equal(still.number, 42);
        still.number = 0;
        if (s->driver != SUITE_MEMORY)
            open_with_ttl(s);
    }
    expiry_now_us -= 10 * day_us;
    run_alone(s, &other, run_new_command);
    run_alone(s, &back, run_command);
    assert_int_equal(back.number, 42);
    suite_reopen(s, NULL);
}

/* number: how often it was staged. */
static ex_status run_leave_once(step *st, ex_batch *b, ex_error *err)
{
    ex_status status = ex_batch_append(b, &st->append, &st->out, err);
    uint64_t version = 0, committed = 0;
    if (status == EX_OK)
        status = ex_batch_stream_version(b, EX_S("a"), &version, err);
    if (status == EX_OK)
        status = ex_batch_committed_version(b, EX_S("a"), &committed, err);
    if (status == EX_OK && (version != 3 || committed != 2))
        status = ex_raise(err, EX_EINTERNAL, "%llu of %llu", (unsigned long long)committed,
                          (unsigned long long)version);
    if (status == EX_OK && ++st->number == 1) {
        ex_batch_defer(b);
        return EX_EAGAIN;
    }
    return status;
}

static step *leaver;

static ex_status run_bring_back(step *st, ex_batch *b, ex_error *err)
{
    (void)st, (void)err;
    leaver->submission.next = NULL;
    ex_batch_resume(b, &leaver->submission);
    return EX_OK;
}

/* Who leaves stages nothing and is not answered; who comes back is next, whoever waits. */
static void test_submission_leaves_and_comes_back(void **state)
{
    suite *s = *state;
    suite_fill(s, "a", 2);
    ex_new_event event = EVENT("T", "{}");
    ex_stream_write write = {EX_S("a"), EX_EXACT(2), &event, 1};
    step leaves = {.append = {&write, 1, NULL, 0}}, before = {0}, brings = {0}, after = {0};
    leaver = &leaves;
    gate g;
    gate_close(s, &g);
    queue_step(s, &g, &leaves, run_leave_once);
    queue_step(s, &g, &before, run_version);
    brings.submission = (ex_submission){.stage = step_stage, .done = step_done};
    brings.gate = &g;
    brings.run = run_bring_back;
    ex_store_submit_again(s->store, &brings.submission);
    queue_step(s, &g, &after, run_version);
    gate_open(&g, 4);
    if (leaves.status)
        fail_msg("%s", leaves.err.message);
    assert_int_equal(leaves.number, 2);
    assert_int_equal(leaves.out.version, 3);
    assert_int_equal(before.number, 2);
    assert_int_equal(after.number, 3);
    assert_int_equal(before.done_at, 0);
    assert_int_equal(brings.done_at, 1);
    assert_int_equal(leaves.done_at, 2);
    assert_int_equal(after.done_at, 3);
    assert_int_equal(suite_version(s, "a"), 3);
}

int store_submission_tests(suite *s)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_submission_sees_what_earlier_ones_of_the_batch_staged),
        STORE_TEST(test_submission_that_fails_leaves_nothing),
        STORE_TEST(test_submission_condition_sees_staged_events),
        STORE_TEST(test_submission_idempotency_sees_staged_events),
        STORE_TEST(test_submission_reads_committed_and_staged_events),
        STORE_TEST(test_submission_that_stops_reading_harms_nobody_else),
        STORE_TEST(test_submission_may_write_streams_of_the_platform),
        STORE_TEST(test_submission_command_records),
        STORE_TEST(test_submission_command_records_expire),
        STORE_TEST(test_submission_command_records_outlive_a_wrong_clock),
        STORE_TEST(test_submission_leaves_and_comes_back),
    };
    return cmocka_run_group_tests_name("store submission", tests, NULL, NULL);
}
