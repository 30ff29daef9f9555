/* store_concurrency.c: many threads at one store. R-08-10, R-ES-02, R-ES-12. */
#include "conformance/store_suite.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/submission.h"

enum { THREADS = 50, ROUNDS = 20 };

typedef struct racer {
    suite *s;
    pthread_barrier_t *start;
    uint32_t number;
    atomic_uint *wins;
    atomic_uint *other;
} racer;

/* R-08-10: 50 parallel appends at one version: one wins */
static void *race_for_versions(void *arg)
{
    racer *r = arg;
    ex_new_event event = EVENT("T", "{}");
    for (uint32_t round = 0; round < ROUNDS; round++) {
        (void)pthread_barrier_wait(r->start);
        ex_status st = suite_append(r->s, "hot", EX_EXACT(round), &event, 1, NULL, NULL);
        if (st == EX_OK)
            atomic_fetch_add(&r->wins[round], 1);
        else if (st != EX_ECONFLICT)
            atomic_fetch_add(r->other, 1);
        (void)pthread_barrier_wait(r->start);
    }
    return NULL;
}

static void run_threads(racer *racers, uint32_t count, void *(*fn)(void *))
{
    pthread_t threads[THREADS];
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, fn, &racers[i]), 0);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

/* G-005 */
static void test_concurrency_one_wins_a_version(void **state)
{
    suite *s = *state;
    atomic_uint wins[ROUNDS] = {0}, other = 0;
    pthread_barrier_t start;
    racer racers[THREADS];
    assert_int_equal(pthread_barrier_init(&start, NULL, THREADS), 0);
    for (uint32_t i = 0; i < THREADS; i++)
        racers[i] = (racer){s, &start, i, wins, &other};
    run_threads(racers, THREADS, race_for_versions);
    for (int i = 0; i < ROUNDS; i++)
        assert_int_equal(wins[i], 1);
    assert_int_equal(other, 0);
    assert_int_equal(suite_version(s, "hot"), ROUNDS);
    pthread_barrier_destroy(&start);
}

/* ---- Writers and a reader that follows ---- */

enum { WRITERS = 8, APPENDS = 200 };

static void *write_many(void *arg)
{
    racer *r = arg;
    char stream[32];
    ex_new_event events[3] = {EVENT("T", "{}"), EVENT("T", "{}"), EVENT("U", "{}")};
    for (uint32_t i = 0; i < APPENDS; i++) {
        (void)snprintf(stream, sizeof(stream), "s-%u", i % 2 ? r->number : 99);
        if (suite_append(r->s, stream, EX_ANY, events, 1 + i % 3, NULL, NULL))
            atomic_fetch_add(r->other, 1);
    }
    return NULL;
}

/* Positions come one after the other: a reader that follows the head never skips one. */
static void *follow(void *arg)
{
    racer *r = arg;
    uint64_t seen = 0;
    while (atomic_load(r->wins) == 0) {
        uint64_t head = ex_store_head(r->s->store);
        ex_read_log read = {.after = seen};
        ex_cursor *c = NULL;
        ex_event e;
        if (ex_store_read_log(r->s->store, &read, &c, NULL))
            break;
        while (ex_cursor_next(c, &e, NULL) == EX_OK)
            if (e.position != ++seen)
                atomic_fetch_add(r->other, 1);
        ex_cursor_close(c);
        if (seen < head)
            atomic_fetch_add(r->other, 1);
    }
    return NULL;
}

/* G-004 */
static void test_concurrency_readers_never_skip(void **state)
{
    suite *s = *state;
    atomic_uint other = 0, is_finished = 0;
    racer writers[WRITERS], reader = {s, NULL, 0, &is_finished, &other};
    for (uint32_t i = 0; i < WRITERS; i++)
        writers[i] = (racer){s, NULL, i, NULL, &other};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, follow, &reader), 0);
    run_threads(writers, WRITERS, write_many);
    atomic_store(&is_finished, 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(other, 0);

    uint64_t versions[100] = {0}, position = 0;
    ex_cursor *c = NULL;
    ex_event e;
    assert_int_equal(ex_store_read_log(s->store, &(ex_read_log){0}, &c, NULL), EX_OK);
    while (ex_cursor_next(c, &e, NULL) == EX_OK) {
        int stream = atoi(e.stream.ptr + 2);
        assert_int_equal(e.position, ++position);
        assert_int_equal(e.version, ++versions[stream]);
    }
    ex_cursor_close(c);
    assert_int_equal(position, ex_store_head(s->store));
    /* each writer: appends of 1, 2, 3, 1, 2, ... events */
    uint64_t each = 0;
    for (uint32_t i = 0; i < APPENDS; i++)
        each += 1 + i % 3;
    assert_int_equal(position, WRITERS * each);
}

/* ---- A full queue, and closing ---- */

typedef struct blocker {
    ex_submission submission;
    atomic_bool is_entered, is_open, has_failed;
    atomic_uint done;
} blocker;

static ex_status block(ex_submission *s, ex_batch *b, ex_error *err)
{
    (void)b;
    (void)err;
    blocker *k = (blocker *)s;
    atomic_store(&k->is_entered, true);
    while (!atomic_load(&k->is_open))
        sched_yield();
    return EX_OK;
}

static void unblocked(ex_submission *s, ex_status status, const ex_error *err)
{
    if (!status)
        return;
    print_error("the blocking submission: %s\n", err->message);
    atomic_store(&((blocker *)s)->has_failed, true);
}

static void count_done(void *ctx, ex_status status, const ex_appended *appended,
                       const ex_error *err)
{
    (void)appended;
    (void)err;
    if (status == EX_OK)
        atomic_fetch_add((atomic_uint *)ctx, 1);
}

static void test_concurrency_full_queue_refuses_and_recovers(void **state)
{
    suite *s = *state;
    ex_store_options options = {.queue_limit = 10};
    suite_reopen(s, &options);
    blocker k = {.submission = {.stage = block, .done = unblocked}};
    assert_int_equal(ex_store_submit(s->store, &k.submission, NULL), EX_OK);
    while (!atomic_load(&k.is_entered)) {
        assert_false(atomic_load(&k.has_failed));
        sched_yield();
    }
    ex_new_event event = EVENT("T", "{}");
    ex_stream_write write = {EX_S("a"), EX_ANY, &event, 1};
    ex_append append = {.writes = &write, .write_count = 1};
    uint32_t queued = 0;
    ex_error err = {0};
    ex_status st;
    while ((st = ex_store_append_async(s->store, &append, NULL, count_done, &k.done, &err)) ==
           EX_OK)
        queued++;
    atomic_store(&k.is_open, true); /* whatever follows, the store can be closed */
    assert_int_equal(st, EX_EOVERLOADED);
    assert_string_equal(err.code, "OVERLOADED");
    assert_in_range(queued, 9, 10); /* on PostgreSQL a question for news may have one place */
    ex_store_close(s->store);       /* finishes what is queued */
    s->store = NULL;
    assert_int_equal(k.done, queued);
    suite_reopen(s, NULL);
}

int store_concurrency_tests(suite *s)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_concurrency_one_wins_a_version),
        STORE_TEST(test_concurrency_readers_never_skip),
        STORE_TEST(test_concurrency_full_queue_refuses_and_recovers),
    };
    return cmocka_run_group_tests_name("store concurrency", tests, NULL, NULL);
}
