/* test_state_load.c: commands on streams that are too long to be folded inside a batch.
 *
 * Runs on SQLite, and with the argument "postgres" on PostgreSQL. A gate in the
 * fold function holds the load where a test wants it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include <excore/runtime.h>

#include "support/counters.h"
#include "support/store_place.h"

enum { LONG = 3000, CALLS = 8 };

typedef struct fixture {
    store_place place;
    ex_store *store;
    ex_runtime *rt;
    ex_error err;
} fixture;

static void set_up_with(fixture *f, ex_store_options store, ex_runtime_options options)
{
    memset(f, 0, sizeof(*f));
    f->place = store_place_make();
    options.dir = f->place.text;
    store.events_per_append = 5000;
    if (ex_store_open(f->place.text, &store, &f->store, &f->err) ||
        ex_runtime_start(f->store, &counters_app, &options, &f->rt, &f->err))
        fail_msg("%s", f->err.message);
}

static void set_up(fixture *f)
{
    set_up_with(f, (ex_store_options){0}, (ex_runtime_options){0});
}

static void tear_down(fixture *f)
{
    atomic_store(&counters_on_fold, NULL);
    ex_runtime_stop(f->rt);
    ex_store_close(f->store);
    store_place_remove(&f->place);
}

/* Append `count` events with n = 1, 2, 3 … and `padding` bytes that the type does not know. */
static void fill_to(ex_store *store, const char *stream, uint32_t count, uint32_t padding)
{
    enum { AT_ONCE = 2500 };
    size_t size = padding + 64;
    uint32_t at_once = padding ? 50 : AT_ONCE;
    ex_new_event *events = calloc(at_once, sizeof(*events));
    char *texts = malloc(at_once * size), *pad = calloc(1, padding + 1);
    memset(pad, 'x', padding);
    for (uint32_t done = 0; done < count;) {
        uint32_t n = count - done < at_once ? count - done : at_once;
        for (uint32_t i = 0; i < n; i++) {
            char *text = texts + i * size;
            (void)snprintf(text, size, "{\"n\":%u,\"pad\":\"%s\"}", done + i + 1, pad);
            events[i] = (ex_new_event){.type = EX_S("Counted"), .data = ex_str(text)};
        }
        ex_stream_write write = {ex_str(stream), EX_ANY, events, n};
        ex_append append = {.writes = &write, .write_count = 1};
        ex_error err;
        if (ex_store_append(store, &append, NULL, &err))
            fail_msg("%s", err.message);
        done += n;
    }
    free(events);
    free(texts);
    free(pad);
}

static void fill(fixture *f, const char *stream, uint32_t count)
{
    fill_to(f->store, stream, count, 0);
}

/* ---- Calls ---- */

static struct {
    pthread_mutex_t mu;
    pthread_cond_t changed;
    uint32_t done_count;
} all = {.mu = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

typedef struct call {
    ex_command_call call;
    ex_arena arena;
    char payload[64];
    ex_status status;
    ex_error err;
    uint32_t done_at; /* how many were done before */
    bool is_done;
} call;

static void on_done(ex_command_call *c, ex_status status, const ex_error *err)
{
    call *me = c->ctx;
    (void)pthread_mutex_lock(&all.mu);
    me->status = status;
    if (err)
        me->err = *err;
    me->done_at = all.done_count++;
    me->is_done = true;
    (void)pthread_cond_broadcast(&all.changed);
    (void)pthread_mutex_unlock(&all.mu);
}

static void call_init(call *c, const char *id, uint64_t count)
{
    memset(c, 0, sizeof(*c));
    ex_arena_init(&c->arena, 0);
    (void)snprintf(c->payload, sizeof(c->payload), "{\"n\":0,\"count\":%llu}",
                   (unsigned long long)count);
    c->call = (ex_command_call){.context = EX_S("test"),
                                .aggregate = EX_S("counter"),
                                .id = ex_str(id),
                                .command = EX_S("add"),
                                .payload = ex_str(c->payload),
                                .done = on_done,
                                .ctx = c};
}

static ex_status submit(fixture *f, call *c)
{
    return ex_command_submit(f->rt, &c->call, &c->arena, &c->err);
}

static bool is_done(const call *c)
{
    (void)pthread_mutex_lock(&all.mu);
    bool result = c->is_done;
    (void)pthread_mutex_unlock(&all.mu);
    return result;
}

static ex_status wait_for(call *c)
{
    (void)pthread_mutex_lock(&all.mu);
    while (!c->is_done)
        (void)pthread_cond_wait(&all.changed, &all.mu);
    (void)pthread_mutex_unlock(&all.mu);
    return c->status;
}

static void call_done(call *c)
{
    ex_arena_done(&c->arena);
}

/* Run one that must find `count` events folded. */
static void add(fixture *f, const char *id, uint64_t count)
{
    call c;
    call_init(&c, id, count);
    assert_int_equal(submit(f, &c), EX_OK);
    if (wait_for(&c))
        fail_msg("%s: %s", id, c.err.message);
    assert_int_equal(c.call.result.version, count + 1);
    call_done(&c);
}

/* ---- Watching the fold ---- */

static struct {
    pthread_mutex_t mu;
    pthread_cond_t changed;
    int64_t at; /* n of the event that is held; 0: none */
    bool is_reached, is_open;
    uint32_t folded;
} gate = {.mu = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void stand_at_gate(int64_t n)
{
    (void)pthread_mutex_lock(&gate.mu);
    gate.folded += n != 0; /* without those of the commands themselves */
    if (n == gate.at) {
        gate.is_reached = true;
        (void)pthread_cond_broadcast(&gate.changed);
        while (!gate.is_open && gate.at == n)
            (void)pthread_cond_wait(&gate.changed, &gate.mu);
    }
    (void)pthread_mutex_unlock(&gate.mu);
}

static void shut_gate(int64_t at)
{
    gate.at = at;
    gate.is_reached = gate.is_open = false;
    gate.folded = 0;
    atomic_store(&counters_on_fold, stand_at_gate);
}

static void wait_at_gate(void)
{
    (void)pthread_mutex_lock(&gate.mu);
    while (!gate.is_reached)
        (void)pthread_cond_wait(&gate.changed, &gate.mu);
    (void)pthread_mutex_unlock(&gate.mu);
}

/* Who stands at it goes on, up to where it is now. */
static void move_gate(int64_t at)
{
    (void)pthread_mutex_lock(&gate.mu);
    gate.at = at;
    gate.is_reached = false;
    (void)pthread_cond_broadcast(&gate.changed);
    (void)pthread_mutex_unlock(&gate.mu);
}

static void open_gate(void)
{
    (void)pthread_mutex_lock(&gate.mu);
    gate.is_open = true;
    gate.at = 0;
    (void)pthread_cond_broadcast(&gate.changed);
    (void)pthread_mutex_unlock(&gate.mu);
}

static char first_thread[16], last_thread[16];
static int64_t slow_us;

static void name_thread(int64_t n)
{
    struct timespec pause = {0, slow_us * 1000};
    if (n == 0)
        return; /* of the command itself */
    (void)pthread_getname_np(pthread_self(), n == 1 ? first_thread : last_thread,
                             sizeof(first_thread));
    if (slow_us)
        nanosleep(&pause, NULL);
}

static bool is_sequencer(const char *thread)
{
    return strcmp(thread, "ex-sequencer") == 0;
}

/* ---- Tests ---- */

/* What is much is folded beside the batch: many events, many bytes, a slow fold. */
static void test_load_beside_the_batch_what_is_much(void **ctx)
{
    (void)ctx;
    static const struct {
        const char *name;
        uint32_t events, padding;
        int64_t slow_us;
        bool begins_in_batch, ends_in_batch;
    } cases[] = {
        {"two", 2, 0, 0, true, true},
        {"just not much", 1000, 0, 0, true, true},
        {"much", 1001, 0, 0, false, false},
        {"more than one piece", 25000, 0, 0, false, false},
        {"few large ones", 100, 100000, 0, true, false},
        {"few that take long", 80, 0, 5000, true, false},
    };
    fixture f;
    set_up(&f);
    atomic_store(&counters_on_fold, name_thread);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char id[16], stream[32];
        (void)snprintf(id, sizeof(id), "%zu", i);
        (void)snprintf(stream, sizeof(stream), "counter-%zu", i);
        fill_to(f.store, stream, cases[i].events, cases[i].padding);
        slow_us = cases[i].slow_us;
        first_thread[0] = last_thread[0] = '\0';
        add(&f, id, cases[i].events);
        if (is_sequencer(first_thread) != cases[i].begins_in_batch ||
            is_sequencer(last_thread) != cases[i].ends_in_batch)
            fail_msg("%s: from %s to %s", cases[i].name, first_thread, last_thread);
        first_thread[0] = last_thread[0] = '\0';
        add(&f, id, cases[i].events + 1); /* it is in the cache now */
        assert_string_equal(first_thread, "");
    }
    tear_down(&f);
}

/* The commands of a stream keep their order; those of others, and appends, pass by. (G-023) */
static void test_load_keeps_the_order_of_a_stream_only(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up(&f);
    fill(&f, "counter-long", LONG);
    shut_gate(LONG / 2);
    call calls[CALLS];
    uint32_t before = all.done_count;
    for (uint32_t i = 0; i < CALLS; i++) {
        call_init(&calls[i], "long", LONG + i);
        assert_int_equal(submit(&f, &calls[i]), EX_OK);
        if (i == 0)
            wait_at_gate();
    }
    for (uint32_t i = 0; i < 20; i++)
        add(&f, "short", i);
    fill(&f, "other", 3);
    for (uint32_t i = 0; i < CALLS; i++)
        assert_false(is_done(&calls[i]));
    open_gate();
    for (uint32_t i = 0; i < CALLS; i++) {
        if (wait_for(&calls[i]))
            fail_msg("call %u: %s", i, calls[i].err.message);
        assert_int_equal(calls[i].call.result.version, LONG + i + 1);
        assert_int_equal(calls[i].done_at, before + 20 + i);
        call_done(&calls[i]);
    }
    tear_down(&f);
}

/* Everything is decided when the command is staged again, by what is true then. */
static void test_load_decides_nothing_beforehand(void **ctx)
{
    (void)ctx;
    static const struct {
        const char *name, *command_id;
        uint64_t count, expected; /* 0: any */
        ex_status want;
        bool is_duplicate;
    } rows[] = {
        {"a new id", "x", LONG + 2, 0, EX_OK, false},
        {"the same again", "x", LONG + 2, 0, EX_OK, true},
        {"the same id, another command", "x", LONG + 7, 0, EX_EIDEMPOTENCY, false},
        {"a version that was right", "", LONG + 3, LONG, EX_ECONFLICT, false},
        {"the version that is right", "", LONG + 3, LONG + 3, EX_OK, false},
        {"a rejection", "", 1, 0, EX_EREJECTED, false},
        {"behind a rejection", "", LONG + 4, 0, EX_OK, false},
    };
    enum { ROWS = sizeof(rows) / sizeof(rows[0]) };
    fixture f;
    set_up(&f);
    fill(&f, "counter-long", LONG);
    shut_gate(LONG / 2);
    call calls[ROWS];
    for (size_t i = 0; i < ROWS; i++) {
        call_init(&calls[i], "long", rows[i].count);
        calls[i].call.command_id = ex_str(rows[i].command_id);
        calls[i].call.expected = rows[i].expected ? ex_expect_version(rows[i].expected) : EX_ANY;
        assert_int_equal(submit(&f, &calls[i]), EX_OK);
        if (i == 0)
            wait_at_gate();
    }
    fill(&f, "counter-long", 2); /* beside the commands */
    open_gate();
    for (size_t i = 0; i < ROWS; i++) {
        if (wait_for(&calls[i]) != rows[i].want)
            fail_msg("%s: %d %s", rows[i].name, calls[i].status, calls[i].err.message);
        assert_int_equal(calls[i].call.result.is_duplicate, rows[i].is_duplicate);
        call_done(&calls[i]);
    }
    tear_down(&f);
}

/* A stream that grows while it is read needs further rounds, each reads the rest only. */
static void test_load_goes_on_where_it_was(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up(&f);
    enum { FIRST = 20000, SECOND = 5000, THIRD = 2500 };
    fill(&f, "counter-long", FIRST);
    shut_gate(FIRST - 1);
    call c;
    call_init(&c, "long", FIRST + SECOND + THIRD);
    assert_int_equal(submit(&f, &c), EX_OK);
    wait_at_gate();
    fill(&f, "counter-long", SECOND); /* more than the batch of the second attempt reads */
    move_gate(SECOND - 1);
    wait_at_gate();
    fill(&f, "counter-long", THIRD); /* that of the third reads it */
    open_gate();
    if (wait_for(&c))
        fail_msg("%s", c.err.message);
    assert_int_equal(gate.folded, FIRST + SECOND + THIRD); /* each one once */
    call_done(&c);
    tear_down(&f);
}

/* Streams that take long have all the threads: one that takes less does not wait for their end. */
static void test_load_lets_short_streams_go_first(void **ctx)
{
    (void)ctx;
    enum { VERY_LONG = 25000, FIRST_GATE = 9000, SECOND_GATE = 24000, BUSY = 2 };
    fixture f;
    set_up(&f);
    static const char *const ids[] = {"one", "two", "third"};
    fill(&f, "counter-one", VERY_LONG);
    fill(&f, "counter-two", VERY_LONG);
    fill(&f, "counter-third", LONG);
    shut_gate(FIRST_GATE);
    call calls[BUSY + 1];
    for (uint32_t i = 0; i <= BUSY; i++) {
        call_init(&calls[i], ids[i], i < BUSY ? VERY_LONG : LONG);
        assert_int_equal(submit(&f, &calls[i]), EX_OK);
    }
    wait_at_gate();
    add(&f, "short", 0); /* the third one has left the batch */
    move_gate(SECOND_GATE);
    if (wait_for(&calls[BUSY]))
        fail_msg("%s", calls[BUSY].err.message);
    open_gate();
    for (uint32_t i = 0; i <= BUSY; i++) {
        if (wait_for(&calls[i]))
            fail_msg("%s", calls[i].err.message);
        call_done(&calls[i]);
    }
    tear_down(&f);
}

/* What cannot be folded is told to all who wait, and again to the next. */
static void test_load_failure_is_told_to_all_who_wait(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up(&f);
    fill(&f, "counter-long", LONG);
    ex_new_event event = {.type = EX_S("Counted"), .data = EX_S("{\"n\":\"many\"}")};
    ex_stream_write write = {EX_S("counter-long"), EX_ANY, &event, 1};
    ex_append append = {.writes = &write, .write_count = 1};
    assert_int_equal(ex_store_append(f.store, &append, NULL, &f.err), EX_OK);
    shut_gate(LONG / 2);
    call calls[3];
    for (size_t i = 0; i < 3; i++) {
        call_init(&calls[i], "long", LONG + 1);
        if (i == 2)
            open_gate();
        assert_int_equal(submit(&f, &calls[i]), EX_OK);
        if (i == 0)
            wait_at_gate();
    }
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(wait_for(&calls[i]), EX_ECORRUPT);
        assert_string_equal(calls[i].err.code, "STREAM_UNREADABLE");
        assert_non_null(strstr(calls[i].err.message, "version 3001"));
        call_done(&calls[i]);
    }
    add(&f, "short", 0);
    tear_down(&f);
}

/* Who waits is bounded as the queue is: the next one is told to come again. */
static void test_load_bounds_those_who_wait(void **ctx)
{
    (void)ctx;
    enum { LIMIT = 4 };
    fixture f;
    set_up_with(&f, (ex_store_options){.queue_limit = LIMIT}, (ex_runtime_options){0});
    fill(&f, "counter-long", LONG);
    fill(&f, "counter-long2", LONG);
    shut_gate(LONG / 2);
    call calls[LIMIT + 2];
    for (uint32_t i = 0; i < LIMIT + 2; i++) {
        call_init(&calls[i], i == LIMIT ? "long2" : "long", LONG + i);
        assert_int_equal(submit(&f, &calls[i]), EX_OK);
        if (i == 0)
            wait_at_gate();
        add(&f, "short", i); /* then it has left the queue */
    }
    for (uint32_t i = LIMIT; i < LIMIT + 2; i++) {
        assert_int_equal(wait_for(&calls[i]), EX_EOVERLOADED);
        call_done(&calls[i]);
    }
    open_gate();
    for (uint32_t i = 0; i < LIMIT; i++) {
        assert_int_equal(wait_for(&calls[i]), EX_OK);
        call_done(&calls[i]);
    }
    add(&f, "long2", LONG);
    tear_down(&f);
}

/* The cache has room for one state: what was loaded is used before it goes. */
static void test_load_is_used_before_it_is_evicted(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up_with(&f, (ex_store_options){0}, (ex_runtime_options){.state_cache_count = 1});
    call calls[CALLS];
    char ids[CALLS][8];
    for (uint32_t i = 0; i < CALLS; i++) {
        char stream[32];
        (void)snprintf(ids[i], sizeof(ids[i]), "%u", i % (CALLS / 2));
        (void)snprintf(stream, sizeof(stream), "counter-%u", i % (CALLS / 2));
        if (i < CALLS / 2)
            fill(&f, stream, LONG);
    }
    for (uint32_t i = 0; i < CALLS; i++) {
        call_init(&calls[i], ids[i], LONG + i / (CALLS / 2));
        assert_int_equal(submit(&f, &calls[i]), EX_OK);
    }
    for (uint32_t i = 0; i < CALLS; i++) {
        if (wait_for(&calls[i]))
            fail_msg("%s", calls[i].err.message);
        call_done(&calls[i]);
    }
    tear_down(&f);
}

static void dawdle(int64_t n)
{
    struct timespec pause = {0, 20000000};
    (void)n;
    nanosleep(&pause, NULL); /* a minute for all of them */
}

/* Who stops the runtime does not wait for the end of a long stream. */
static void test_load_ends_with_the_runtime(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up(&f);
    fill(&f, "counter-long", LONG);
    atomic_store(&counters_on_fold, dawdle);
    call calls[2];
    for (size_t i = 0; i < 2; i++) {
        call_init(&calls[i], "long", LONG + i);
        assert_int_equal(submit(&f, &calls[i]), EX_OK);
    }
    ex_runtime_stop(f.rt);
    f.rt = NULL;
    for (size_t i = 0; i < 2; i++) {
        assert_true(is_done(&calls[i]));
        assert_int_equal(calls[i].status, EX_ECLOSED);
        call_done(&calls[i]);
    }
    tear_down(&f);
}

/* ---- Two nodes ---- */

/* A session that idles inside a transaction is ended by the server after 10 s. R-ES-12. */
#define SESSION_LIMIT_NS ((uint64_t)10 * 1000000000)

/* While one node folds a long stream, for longer than a transaction may last, another one appends,
 * also to that stream. */
static void test_load_holds_no_other_node_up(void **ctx)
{
    (void)ctx;
    if (!store_place_is_server())
        skip();
    enum { APPENDS = 200 };
    fixture f;
    ex_store *other = NULL;
    set_up(&f);
    ex_store_options options = {.events_per_append = 5000};
    assert_int_equal(ex_store_open(f.place.text, &options, &other, &f.err), EX_OK);
    fill_to(other, "counter-long", LONG, 0);
    while (ex_store_head(f.store) < LONG)
        sched_yield();
    shut_gate(LONG / 2);
    call c;
    call_init(&c, "long", LONG + APPENDS);
    assert_int_equal(submit(&f, &c), EX_OK);
    wait_at_gate();
    const ex_clock *clock = ex_clock_system();
    uint64_t started_ns = ex_monotonic_ns(clock);
    for (uint32_t i = 0; i < APPENDS; i++)
        fill_to(other, "counter-long", 1, 0); /* each waits for its commit */
    while (ex_monotonic_ns(clock) - started_ns < SESSION_LIMIT_NS + SESSION_LIMIT_NS / 10)
        fill_to(other, "something-else", 1, 0);
    assert_false(is_done(&c));
    open_gate();
    if (wait_for(&c))
        fail_msg("%s", c.err.message);
    assert_int_equal(c.call.result.version, LONG + APPENDS + 1);
    call_done(&c);
    ex_store_close(other);
    tear_down(&f);
}

int main(int argc, char **argv)
{
    store_place_use(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load_beside_the_batch_what_is_much),
        cmocka_unit_test(test_load_keeps_the_order_of_a_stream_only),
        cmocka_unit_test(test_load_decides_nothing_beforehand),
        cmocka_unit_test(test_load_goes_on_where_it_was),
        cmocka_unit_test(test_load_lets_short_streams_go_first),
        cmocka_unit_test(test_load_failure_is_told_to_all_who_wait),
        cmocka_unit_test(test_load_bounds_those_who_wait),
        cmocka_unit_test(test_load_is_used_before_it_is_evicted),
        cmocka_unit_test(test_load_ends_with_the_runtime),
        cmocka_unit_test(test_load_holds_no_other_node_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
