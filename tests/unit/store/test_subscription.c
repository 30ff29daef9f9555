/* test_subscription.c: catching up, following live, falling behind: nothing missed, nothing twice.
 * (G-004) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/live.h"
#include "store/tail.h"
#include "support/temp_dir.h"

#define FOREVER (-1)

/* Every test runs on both drivers that need no server. */
typedef struct fixture {
    bool in_memory;
    temp_dir dir;
    ex_store *store;
} fixture;

static ex_store *open_store(const fixture *f, ex_store_options options)
{
    ex_store *s = NULL;
    ex_error err = {0};
    options.in_memory = f->in_memory;
    options.durability = EX_DURABILITY_NORMAL;
    if (ex_store_open(f->in_memory ? NULL : f->dir.path, &options, &s, &err) != EX_OK)
        fail_msg("open: %s", err.message);
    return s;
}

static void setup(fixture *f, bool in_memory, ex_store_options options)
{
    *f = (fixture){.in_memory = in_memory, .dir = temp_dir_make()};
    f->store = open_store(f, options);
}

static void teardown(fixture *f)
{
    ex_store_close(f->store);
    temp_dir_remove(&f->dir);
}

static uint64_t append_tagged(ex_store *s, const char *stream, const char *type, const char *tag,
                              ex_slice data)
{
    ex_slice tags[1] = {ex_str(tag)};
    ex_new_event event = {
        .type = ex_str(type), .data = data, .tags = tags, .tag_count = tag != NULL};
    ex_stream_write write = {.stream = ex_str(stream), .events = &event, .event_count = 1};
    ex_append append = {.writes = &write, .write_count = 1};
    ex_appended appended = {0};
    ex_error err = {0};
    if (ex_store_append(s, &append, &appended, &err) != EX_OK)
        fail_msg("append: %s", err.message);
    return appended.position;
}

static uint64_t append(ex_store *s, const char *stream, const char *type)
{
    return append_tagged(s, stream, type, NULL, EX_S("{\"n\":1}"));
}

static ex_subscription *subscribe(ex_store *s, ex_subscribe request)
{
    ex_subscription *sub = NULL;
    ex_error err = {0};
    if (ex_store_subscribe(s, &request, &sub, &err) != EX_OK)
        fail_msg("subscribe: %s", err.message);
    return sub;
}

static void expect_next(ex_subscription *sub, uint64_t position)
{
    ex_event e;
    ex_error err = {0};
    if (ex_subscription_next(sub, FOREVER, &e, &err) != EX_OK)
        fail_msg("next: %s", err.message);
    assert_int_equal(e.position, position);
}

static void expect_nothing(ex_subscription *sub)
{
    ex_event e;
    ex_error err = {0};
    assert_int_equal(ex_subscription_next(sub, 0, &e, &err), EX_ETIMEOUT);
    assert_int_equal(err.status, EX_ETIMEOUT);
}

static void expect_ahead(ex_subscription *sub, uint64_t asked, uint64_t end)
{
    ex_event e;
    ex_error err = {0};
    for (int i = 0; i < 2; i++) { /* it stays so */
        assert_int_equal(ex_subscription_next(sub, FOREVER, &e, &err), EX_EAHEAD);
        assert_int_equal(err.position, asked);
        assert_int_equal(err.current, end);
    }
}

/* ---- One follower ---- */

static void check_catches_up_and_follows(fixture *f)
{
    for (int i = 0; i < 5; i++)
        append(f->store, "order-1", "Placed");
    ex_subscription *sub = subscribe(f->store, (ex_subscribe){.after = 2});
    assert_false(ex_subscription_is_live(sub));
    assert_int_equal(ex_subscription_position(sub), 2);
    expect_next(sub, 3);
    assert_false(ex_subscription_is_live(sub));
    expect_next(sub, 4);
    expect_next(sub, 5);
    assert_true(ex_subscription_is_live(sub)); /* all that is committed was delivered */
    expect_nothing(sub);
    append(f->store, "order-2", "Placed");
    append(f->store, "order-2", "Paid");
    expect_next(sub, 6);
    assert_false(ex_subscription_is_live(sub));
    expect_next(sub, 7);
    expect_nothing(sub);
    assert_true(ex_subscription_is_live(sub));
    assert_int_equal(ex_subscription_position(sub), 7);
    ex_subscription_close(sub);
}

static void check_event_is_whole_from_log_and_ring(fixture *f)
{
    ex_slice tags[2] = {EX_S("customer:7"), EX_S("product:9")};
    ex_new_event event = {.type = EX_S("Placed"),
                          .data = EX_S("{\"total\": 5}"),
                          .schema_version = 4,
                          .metadata = EX_S("{\"a\":1}"),
                          .tags = tags,
                          .tag_count = 2,
                          .correlation_id = EX_S("corr"),
                          .causation_id = EX_S("cause")};
    ex_stream_write write = {.stream = EX_S("order-1"), .events = &event, .event_count = 1};
    ex_append request = {.writes = &write, .write_count = 1};
    ex_event_ref ref;
    ex_appended appended = {.events = &ref, .event_room = 1};
    assert_int_equal(ex_store_append(f->store, &request, &appended, NULL), EX_OK);
    ex_subscription *sub = subscribe(f->store, (ex_subscribe){0});
    ex_event e;
    assert_int_equal(ex_subscription_next(sub, FOREVER, &e, NULL), EX_OK);
    assert_int_equal(e.version, 1);
    assert_true(ex_slice_is(e.stream, "order-1"));
    assert_true(ex_slice_is(e.type, "Placed"));
    assert_true(ex_slice_is(e.data, "{\"total\": 5}"));
    assert_true(ex_slice_is(e.content_type, "application/json"));
    assert_true(ex_slice_is(e.metadata, "{\"a\":1}"));
    assert_true(ex_slice_is(e.correlation_id, "corr"));
    assert_true(ex_slice_is(e.causation_id, "cause"));
    assert_int_equal(e.schema_version, 4);
    assert_true(ex_id_eq(&e.id, &ref.id));
    assert_true(e.recorded_at_us > 0);
    size_t at = 0;
    ex_slice tag = {0};
    assert_true(ex_tags_next(e.tags, &at, &tag));
    assert_true(ex_slice_is(tag, "customer:7"));
    assert_true(ex_tags_next(e.tags, &at, &tag));
    assert_true(ex_slice_is(tag, "product:9"));
    assert_false(ex_tags_next(e.tags, &at, &tag));
    ex_subscription_close(sub);
}

/* Issue 8, item 1 (G-151): it would wait in silence and miss what comes at 2 and 3. */
static void check_beyond_the_head_is_refused(fixture *f)
{
    append(f->store, "s", "T");
    ex_subscription *sub = subscribe(f->store, (ex_subscribe){.after = 3});
    expect_ahead(sub, 3, 1);
    ex_subscription_close(sub);
    sub = subscribe(f->store, (ex_subscribe){.after = 1});
    expect_nothing(sub);
    append(f->store, "s", "T");
    expect_next(sub, 2);
    ex_subscription_close(sub);
    sub = subscribe(f->store, (ex_subscribe){.stream = EX_S("s"), .after = 3});
    expect_ahead(sub, 3, 2);
    ex_subscription_close(sub);
}

static void check_filter_passes_over_the_rest(fixture *f)
{
    ex_slice type = EX_S("Paid");
    ex_slice tag = EX_S("c:2");
    ex_query_item item = {.types = &type, .type_count = 1, .tags = &tag, .tag_count = 1};
    ex_filter filter = {.query = {&item, 1}};
    for (int i = 0; i < 300; i++)
        append_tagged(f->store, "a", i % 10 == 0 ? "Paid" : "Placed", i % 20 == 0 ? "c:2" : "c:1",
                      EX_S("{}"));
    ex_subscription *sub = subscribe(f->store, (ex_subscribe){.filter = &filter});
    for (uint64_t p = 1; p <= 300; p += 20)
        expect_next(sub, p);
    expect_nothing(sub);
    assert_true(ex_subscription_is_live(sub));
    assert_int_equal(ex_subscription_position(sub), 300); /* not the last match */
    assert_true(ex_counter_value(store_live_of(f->store)->metrics.fills) <= 1); /* no rescan */
    for (int i = 0; i < 50; i++)
        append_tagged(f->store, "b", "Paid", "c:1", EX_S("{}"));
    expect_nothing(sub);
    assert_int_equal(ex_subscription_position(sub), 350);
    append_tagged(f->store, "b", "Paid", "c:2", EX_S("{}"));
    expect_next(sub, 351);
    ex_subscription_close(sub);
}

static void check_one_stream_by_version(fixture *f)
{
    for (int i = 0; i < 4; i++) {
        append(f->store, "a", "T");
        append(f->store, "b", "T");
    }
    ex_subscription *sub = subscribe(f->store, (ex_subscribe){.stream = EX_S("b"), .after = 1});
    for (uint64_t version = 2; version <= 4; version++) {
        ex_event e;
        assert_int_equal(ex_subscription_next(sub, FOREVER, &e, NULL), EX_OK);
        assert_int_equal(e.version, version);
        assert_true(ex_slice_is(e.stream, "b"));
    }
    expect_nothing(sub);
    assert_true(ex_subscription_is_live(sub));
    append(f->store, "a", "T");
    expect_nothing(sub);
    append(f->store, "b", "T");
    append(f->store, "a", "T");
    expect_next(sub, 10);
    expect_nothing(sub);
    ex_subscription_close(sub);
}

static void check_one_stream_that_does_not_exist_yet(fixture *f)
{
    append(f->store, "a", "T");
    ex_subscription *sub = subscribe(f->store, (ex_subscribe){.stream = EX_S("later")});
    ex_subscription *beyond =
        subscribe(f->store, (ex_subscribe){.stream = EX_S("later"), .after = 2});
    expect_nothing(sub);
    expect_ahead(beyond, 2, 0);
    for (int i = 0; i < 3; i++)
        append(f->store, "later", "T");
    for (uint64_t p = 2; p <= 4; p++)
        expect_next(sub, p);
    expect_nothing(sub);
    ex_subscription_close(sub);
    ex_subscription_close(beyond);
}

/* ---- Behind the ring ---- */

static void check_poll_says_when_the_log_is_needed(fixture *f)
{
    static char big[3000];
    memset(big, 'x', sizeof big);
    big[0] = big[sizeof big - 1] = '"';
    ex_subscription *sub = subscribe(f->store, (ex_subscribe){0});
    ex_event e;
    assert_int_equal(ex_subscription_poll(sub, &e, NULL), EX_ETIMEOUT);
    assert_true(ex_subscription_is_live(sub));
    for (int i = 0; i < 20; i++) /* several times the ring */
        append_tagged(f->store, "s", "T", NULL, ex_slice_of(big, sizeof big));
    assert_int_equal(ex_subscription_poll(sub, &e, NULL), EX_EAGAIN);
    assert_false(ex_subscription_is_live(sub));
    assert_int_equal(ex_subscription_position(sub), 0);
    assert_int_equal(ex_subscription_fill(sub, NULL), EX_OK);
    for (uint64_t p = 1; p <= 20; p++) {
        assert_int_equal(ex_subscription_poll(sub, &e, NULL), EX_OK);
        assert_int_equal(e.position, p);
        assert_int_equal(e.data.len, sizeof big);
        if (p == 7) { /* what is loaded stays, whatever is called in between */
            assert_int_equal(ex_subscription_fill(sub, NULL), EX_OK);
        }
    }
    assert_int_equal(ex_subscription_poll(sub, &e, NULL), EX_ETIMEOUT);
    uint64_t fills = ex_counter_value(store_live_of(f->store)->metrics.fills);
    append(f->store, "s", "T");
    assert_int_equal(ex_subscription_fill(sub, NULL), EX_OK); /* not needed: it reads nothing */
    assert_int_equal(ex_counter_value(store_live_of(f->store)->metrics.fills), fills);
    assert_int_equal(ex_subscription_poll(sub, &e, NULL), EX_OK);
    assert_int_equal(e.position, 21);
    ex_subscription_close(sub);
}

static void check_event_outlives_its_block(fixture *f)
{
    static char big[3000];
    memset(big, 'x', sizeof big);
    big[0] = big[sizeof big - 1] = '"';
    append_tagged(f->store, "s", "First", NULL, ex_slice_of(big, sizeof big));
    ex_subscription *sub = subscribe(f->store, (ex_subscribe){0});
    ex_event e;
    assert_int_equal(ex_subscription_next(sub, FOREVER, &e, NULL), EX_OK);
    for (int i = 0; i < 20; i++)
        append_tagged(f->store, "s", "T", NULL, ex_slice_of(big, sizeof big));
    assert_true(ex_slice_is(e.type, "First"));
    assert_memory_equal(e.data.ptr, big, sizeof big);
    expect_next(sub, 2);
    ex_subscription_close(sub);
}

/* ---- Waiting ---- */

typedef struct waiter {
    ex_subscription *sub;
    ex_status status;
    uint64_t position;
} waiter;

static void *wait_for_next(void *arg)
{
    waiter *w = arg;
    ex_event e = {0};
    w->status = ex_subscription_next(w->sub, FOREVER, &e, NULL);
    w->position = e.position;
    return NULL;
}

static void check_append_wakes_a_waiting_reader(fixture *f)
{
    ex_subscription *sub = subscribe(f->store, (ex_subscribe){0});
    for (uint64_t p = 1; p <= 50;
         p++) { /* now and then the append is first: both orders must work */
        waiter w = {.sub = sub};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, wait_for_next, &w), 0);
        append(f->store, "s", "T");
        pthread_join(thread, NULL);
        assert_int_equal(w.status, EX_OK);
        assert_int_equal(w.position, p);
    }
    ex_subscription_close(sub);
}

static void check_stop_wakes_a_waiting_reader(fixture *f)
{
    for (int i = 0; i < 50; i++) {
        waiter w = {.sub = subscribe(f->store, (ex_subscribe){0})};
        pthread_t thread;
        ex_event e;
        assert_int_equal(pthread_create(&thread, NULL, wait_for_next, &w), 0);
        ex_subscription_stop(w.sub);
        pthread_join(thread, NULL);
        assert_int_equal(w.status, EX_ECANCELLED);
        assert_int_equal(ex_subscription_poll(w.sub, &e, NULL), EX_ECANCELLED);
        ex_subscription_close(w.sub);
    }
}

static void check_closing_store_ends_the_wait(fixture *f)
{
    append(f->store, "s", "T");
    waiter w = {.sub = subscribe(f->store, (ex_subscribe){0})};
    pthread_t thread;
    live_close(store_live_of(f->store));
    expect_next(w.sub, 1); /* what is committed is still delivered */
    assert_int_equal(pthread_create(&thread, NULL, wait_for_next, &w), 0);
    pthread_join(thread, NULL);
    assert_int_equal(w.status, EX_ECLOSED);
    ex_subscription_close(w.sub);
}

static void check_waiting_ends_after_the_time_out(fixture *f)
{
    const ex_clock *clock = ex_clock_system();
    ex_subscription *sub = subscribe(f->store, (ex_subscribe){0});
    ex_event e;
    uint64_t start = ex_monotonic_ns(clock);
    assert_int_equal(ex_subscription_next(sub, 30, &e, NULL), EX_ETIMEOUT);
    assert_true(ex_monotonic_ns(clock) - start >= 30 * 1000000ULL);
    ex_subscription_close(sub);
}

/* ---- Watchers ---- */

typedef struct counting_watcher {
    ex_watcher watcher; /* first */
    _Atomic uint64_t head;
    atomic_int calls;
} counting_watcher;

static void count_wake(ex_watcher *w, uint64_t head)
{
    counting_watcher *c = (counting_watcher *)w;
    atomic_store(&c->head, head);
    atomic_fetch_add(&c->calls, 1);
}

static void check_watchers_hear_of_commits_until_removed(fixture *f)
{
    counting_watcher w[3] = {
        {.watcher.wake = count_wake}, {.watcher.wake = count_wake}, {.watcher.wake = count_wake}};
    for (int i = 0; i < 3; i++)
        ex_store_watch(f->store, &w[i].watcher);
    uint64_t head = append(f->store, "s", "T");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(atomic_load(&w[i].calls), 1); /* before the append was acknowledged */
        assert_int_equal(atomic_load(&w[i].head), head);
    }
    ex_store_unwatch(f->store, &w[1].watcher);
    head = append(f->store, "s", "T");
    assert_int_equal(atomic_load(&w[0].head), head);
    assert_int_equal(atomic_load(&w[2].head), head);
    assert_int_equal(atomic_load(&w[1].calls), 1);
    ex_store_unwatch(f->store, &w[0].watcher);
    ex_store_unwatch(f->store, &w[2].watcher);
    append(f->store, "s", "T");
    assert_int_equal(atomic_load(&w[0].calls), 2);
}

/* ---- Refusals ---- */

static void check_refuses_what_cannot_be_followed(fixture *f)
{
    static char name[EX_STREAM_NAME_MAX + 1];
    memset(name, 'a', sizeof name);
    ex_filter filter = {0};
    ex_slice empty = {0};
    ex_filter wrong = {.streams = &empty, .stream_count = 1};
    const struct {
        const char *name;
        ex_subscribe request;
        ex_status want;
    } rows[] = {
        {"longest name", {.stream = {name, EX_STREAM_NAME_MAX}}, EX_OK},
        {"name too long", {.stream = {name, EX_STREAM_NAME_MAX + 1}}, EX_EINVAL},
        {"stream and filter", {.stream = EX_S_INIT("a"), .filter = &filter}, EX_EINVAL},
        {"empty name in the filter", {.filter = &wrong}, EX_EINVAL},
        {"empty filter", {.filter = &filter}, EX_OK},
        {"last possible position", {.after = INT64_MAX - 1}, EX_OK},
        {"last possible version", {.stream = EX_S_INIT("a"), .after = INT64_MAX - 1}, EX_OK},
        {"beyond any position", {.after = INT64_MAX}, EX_EINVAL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ex_subscription *sub = NULL;
        ex_error err = {0};
        if (ex_store_subscribe(f->store, &rows[i].request, &sub, &err) != rows[i].want)
            fail_msg("%s: %s", rows[i].name, err.message);
        if (sub != NULL && rows[i].request.after > 0)
            expect_ahead(sub, rows[i].request.after, 0);
        else if (sub != NULL)
            expect_nothing(sub);
        ex_subscription_close(sub);
    }
    ex_subscription_close(NULL);
}

/* ---- Each check on each driver ---- */

typedef void check_fn(fixture *f);

static void on_both_drivers(check_fn *check, ex_store_options options)
{
    for (int in_memory = 0; in_memory <= 1; in_memory++) {
        fixture f;
        ex_metrics *metrics = NULL;
        assert_int_equal(ex_metrics_new("excore", &metrics, NULL), EX_OK);
        options.metrics = metrics;
        setup(&f, in_memory != 0, options);
        check(&f);
        teardown(&f);
        ex_metrics_free(metrics);
    }
}

#define SMALL_RING ((ex_store_options){.ring_limit_bytes = 8192})
/* A ring that never holds an event: everything comes from the log. */
#define NO_RING ((ex_store_options){.ring_limit_bytes = 1})
#define ANY_RING(name)                                                                             \
    static void test_subscription_##name(void **state)                                             \
    {                                                                                              \
        (void)state;                                                                               \
        on_both_drivers(check_##name, (ex_store_options){0});                                      \
        on_both_drivers(check_##name, NO_RING);                                                    \
    }
#define ONE_RING(name, options)                                                                    \
    static void test_subscription_##name(void **state)                                             \
    {                                                                                              \
        (void)state;                                                                               \
        on_both_drivers(check_##name, options);                                                    \
    }

ANY_RING(catches_up_and_follows)
ANY_RING(event_is_whole_from_log_and_ring)
ANY_RING(beyond_the_head_is_refused)
ANY_RING(filter_passes_over_the_rest)
ANY_RING(one_stream_by_version)
ANY_RING(one_stream_that_does_not_exist_yet)
ONE_RING(poll_says_when_the_log_is_needed, SMALL_RING)
ONE_RING(event_outlives_its_block, SMALL_RING)
ANY_RING(append_wakes_a_waiting_reader)
ONE_RING(stop_wakes_a_waiting_reader, SMALL_RING)
ONE_RING(closing_store_ends_the_wait, SMALL_RING)
ONE_RING(waiting_ends_after_the_time_out, SMALL_RING)
ONE_RING(watchers_hear_of_commits_until_removed, SMALL_RING)
ONE_RING(refuses_what_cannot_be_followed, SMALL_RING)

/* ---- Beside the server: a read-only store on the same files ---- */

static void test_subscription_on_a_read_only_store_follows_the_writer(void **state)
{
    (void)state;
    fixture f;
    setup(&f, false, (ex_store_options){0});
    append(f.store, "a", "T");
    append(f.store, "b", "T");
    ex_store *reader = open_store(&f, (ex_store_options){.read_only = true});
    ex_subscription *sub = subscribe(reader, (ex_subscribe){0});
    ex_subscription *one = subscribe(reader, (ex_subscribe){.stream = EX_S("b")});
    expect_next(sub, 1);
    expect_next(sub, 2);
    expect_nothing(sub);
    assert_true(ex_subscription_is_live(sub));
    expect_next(one, 2);
    expect_nothing(one);
    for (uint64_t p = 3; p <= 6; p++) {
        append(f.store, p % 2 == 0 ? "b" : "a", "T");
        expect_next(sub, p); /* waits until the probe sees it */
        if (p % 2 == 0)
            expect_next(one, p);
    }
    waiter w = {.sub = one};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wait_for_next, &w), 0);
    ex_subscription_stop(one);
    pthread_join(thread, NULL);
    assert_int_equal(w.status, EX_ECANCELLED);
    ex_subscription_close(one);
    ex_subscription_close(sub);
    ex_store_close(reader);
    teardown(&f);
}

static void test_subscription_metrics_tell_lag_and_state(void **state)
{
    (void)state;
    fixture f;
    ex_metrics *metrics = NULL;
    ex_buf text;
    assert_int_equal(ex_metrics_new("excore", &metrics, NULL), EX_OK);
    setup(&f, true, (ex_store_options){.metrics = metrics});
    ex_subscription *slow = subscribe(f.store, (ex_subscribe){0});
    ex_subscription *fast = subscribe(f.store, (ex_subscribe){0});
    for (uint64_t p = 1; p <= 5; p++) {
        append(f.store, "s", "T");
        expect_next(fast, p);
    }
    expect_next(slow, 1);
    ex_buf_init(&text, 0);
    ex_metrics_write(metrics, &text);
    ex_buf_put_char(&text, '\0');
    static const char *const lines[] = {
        "\nexcore_store_subscriptions{state=\"live\"} 1\n",
        "\nexcore_store_subscriptions{state=\"catching_up\"} 1\n",
        "\nexcore_store_subscription_lag_events 4\n",
        "\nexcore_store_ring_events 5\n",
        "\nexcore_store_subscription_fills_total 0\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        if (strstr(text.ptr, lines[i]) == NULL)
            fail_msg("no %s in %s", lines[i], text.ptr);
    }
    ex_buf_reset(&text);
    ex_subscription_close(slow);
    ex_subscription_close(fast);
    teardown(&f);
    ex_metrics_write(metrics, &text); /* the store is gone, its registry is not */
    ex_buf_done(&text);
    ex_metrics_free(metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_subscription_catches_up_and_follows),
        cmocka_unit_test(test_subscription_event_is_whole_from_log_and_ring),
        cmocka_unit_test(test_subscription_beyond_the_head_is_refused),
        cmocka_unit_test(test_subscription_filter_passes_over_the_rest),
        cmocka_unit_test(test_subscription_one_stream_by_version),
        cmocka_unit_test(test_subscription_one_stream_that_does_not_exist_yet),
        cmocka_unit_test(test_subscription_poll_says_when_the_log_is_needed),
        cmocka_unit_test(test_subscription_event_outlives_its_block),
        cmocka_unit_test(test_subscription_append_wakes_a_waiting_reader),
        cmocka_unit_test(test_subscription_stop_wakes_a_waiting_reader),
        cmocka_unit_test(test_subscription_closing_store_ends_the_wait),
        cmocka_unit_test(test_subscription_waiting_ends_after_the_time_out),
        cmocka_unit_test(test_subscription_watchers_hear_of_commits_until_removed),
        cmocka_unit_test(test_subscription_refuses_what_cannot_be_followed),
        cmocka_unit_test(test_subscription_on_a_read_only_store_follows_the_writer),
        cmocka_unit_test(test_subscription_metrics_tell_lag_and_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
