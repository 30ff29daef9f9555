/* test_condition_search.c: conditions that memory does not decide, over a driver whose searches the
 * test holds up, lets fail or drags on. issue 8, item 10. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "store/store_internal.h"

/* ---- The driver: that in memory, with searches as the test wants them ---- */

static struct {
    pthread_mutex_t mu;
    pthread_cond_t changed;
    bool is_held; /* searches wait */
    uint32_t inside;
    atomic_uint calls;
    atomic_bool is_endless; /* a search for type A moves on by one position a piece */
    _Atomic(ex_status) fails;
    _Atomic uint64_t piece_ns; /* of the fake clock, for a piece */
    _Atomic uint64_t now_ns;
} world = {.mu = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static int64_t fake_now_us(void *ctx)
{
    (void)ctx;
    return 1700000000000000 + (int64_t)(atomic_load(&world.now_ns) / 1000);
}

static uint64_t fake_monotonic_ns(void *ctx)
{
    (void)ctx;
    return atomic_load(&world.now_ns);
}

static ex_status fake_random(void *ctx, void *out, size_t n)
{
    (void)ctx;
    return ex_clock_system()->random(ex_clock_system()->ctx, out, n);
}

static const ex_clock fake_clock = {fake_now_us, fake_monotonic_ns, fake_random, NULL};

static ex_status match(void *reader, store_match *m, ex_error *err)
{
    (void)pthread_mutex_lock(&world.mu);
    world.inside++;
    (void)pthread_cond_broadcast(&world.changed);
    while (world.is_held)
        (void)pthread_cond_wait(&world.changed, &world.mu);
    world.inside--;
    (void)pthread_mutex_unlock(&world.mu);
    atomic_fetch_add(&world.calls, 1);
    atomic_fetch_add(&world.now_ns, atomic_load(&world.piece_ns));
    ex_status fails = atomic_exchange(&world.fails, EX_OK);
    if (fails)
        return ex_raise(err, fails, "the disk of the test is broken");
    if (!atomic_load(&world.is_endless) || !ex_slice_is(m->item->types[0], "A"))
        return store_memory_driver.reader->match(reader, m, err);
    m->after += m->after + 1 < m->upto; /* it never gets there */
    return EX_OK;
}

static ex_store *store;

static void open_store(uint32_t queue_limit)
{
    static store_driver_ops driver;
    static store_reader_ops reader;
    reader = *store_memory_driver.reader;
    reader.match = match;
    driver = store_memory_driver;
    driver.reader = &reader;
    const ex_store_options options = {
        .in_memory = true, .queue_limit = queue_limit, .clock = &fake_clock};
    const store_internals internals = {.driver = &driver};
    ex_error err = {0};
    if (store_open_with(NULL, &options, &internals, &store, &err))
        fail_msg("%s", err.message);
}

static int set_up(void **state)
{
    (void)state;
    world.is_held = false;
    atomic_store(&world.calls, 0);
    atomic_store(&world.is_endless, false);
    atomic_store(&world.fails, EX_OK);
    atomic_store(&world.piece_ns, 1000);
    atomic_store(&world.now_ns, 1);
    open_store(0);
    return 0;
}

static void let_go(void)
{
    (void)pthread_mutex_lock(&world.mu);
    world.is_held = false;
    (void)pthread_cond_broadcast(&world.changed);
    (void)pthread_mutex_unlock(&world.mu);
}

static int tear_down(void **state)
{
    (void)state;
    atomic_store(&world.is_endless, false);
    let_go();
    ex_store_close(store);
    store = NULL;
    return 0;
}

static void hold(void)
{
    (void)pthread_mutex_lock(&world.mu);
    world.is_held = true;
    (void)pthread_mutex_unlock(&world.mu);
}

static void wait_for_searches(uint32_t count)
{
    (void)pthread_mutex_lock(&world.mu);
    while (world.inside < count)
        (void)pthread_cond_wait(&world.changed, &world.mu);
    (void)pthread_mutex_unlock(&world.mu);
}

/* ---- Appends ---- */

static const ex_slice type_a = EX_S_INIT("A"), type_b = EX_S_INIT("B"), tag_t = EX_S_INIT("t:1"),
                      tag_u = EX_S_INIT("u:1");

typedef struct call {
    ex_new_event event;
    ex_stream_write write;
    ex_query_item items[2];
    ex_query query;
    ex_append append;
    ex_appended appended;
    pthread_mutex_t mu;
    pthread_cond_t ended;
    bool is_done;
    ex_status status;
    ex_error err;
} call;

static void done(void *ctx, ex_status status, const ex_appended *appended, const ex_error *err)
{
    (void)appended;
    call *c = ctx;
    (void)pthread_mutex_lock(&c->mu);
    c->status = status;
    if (err)
        c->err = *err;
    c->is_done = true;
    (void)pthread_cond_broadcast(&c->ended);
    (void)pthread_mutex_unlock(&c->mu);
}

static ex_status wait_for(call *c)
{
    (void)pthread_mutex_lock(&c->mu);
    while (!c->is_done)
        (void)pthread_cond_wait(&c->ended, &c->mu);
    (void)pthread_mutex_unlock(&c->mu);
    return c->status;
}

static bool is_done(call *c)
{
    (void)pthread_mutex_lock(&c->mu);
    bool is = c->is_done;
    (void)pthread_mutex_unlock(&c->mu);
    return is;
}

/* An event of type A with tag u to stream "c", if none of type A with tag t is there. */
static void prepare(call *c, uint64_t after)
{
    *c = (call){.event = {.type = type_a, .data = EX_S("{}"), .tags = &tag_u, .tag_count = 1},
                .write = {.stream = EX_S("c"), .expected = EX_ANY, .event_count = 1},
                .items = {{&type_a, 1, &tag_t, 1}},
                .append = {.write_count = 1, .after = after}};
    c->write.events = &c->event;
    c->query = (ex_query){c->items, 1};
    c->append.writes = &c->write;
    c->append.fail_if_match = &c->query;
    (void)pthread_mutex_init(&c->mu, NULL);
    (void)pthread_cond_init(&c->ended, NULL);
}

static void start(call *c)
{
    assert_int_equal(ex_store_append_async(store, &c->append, &c->appended, done, c, NULL), EX_OK);
}

static void put(ex_slice type, const ex_slice *tag)
{
    ex_new_event event = {.type = type, .data = EX_S("{}"), .tags = tag, .tag_count = tag != NULL};
    ex_stream_write write = {EX_S("s"), EX_ANY, &event, 1};
    const ex_append append = {.writes = &write, .write_count = 1};
    ex_error err = {0};
    if (ex_store_append(store, &append, NULL, &err))
        fail_msg("%s", err.message);
}

enum { COMMON = 1000 };

/* A thousand events of type A and of tag t in turn, never both: too many to look at in a batch. */
static void put_common(void)
{
    for (int i = 0; i < COMMON; i++)
        put(i % 2 ? type_a : type_b, i % 2 ? NULL : &tag_t);
}

/* ---- Others ---- */

/* G-501 */
static void test_search_holds_nobody_up(void **state)
{
    (void)state;
    put_common();
    call c;
    prepare(&c, 0);
    hold();
    start(&c);
    wait_for_searches(1);
    for (int i = 0; i < 100; i++)
        put(type_b, NULL);
    assert_int_equal(ex_store_head(store), COMMON + 100);
    assert_false(is_done(&c));
    let_go();
    assert_int_equal(wait_for(&c), EX_OK);
    assert_int_equal(c.appended.position, COMMON + 101);
}

/* G-500: what comes while it is searched counts, too. */
static void test_search_compares_what_came_meanwhile(void **state)
{
    (void)state;
    put_common();
    call c;
    prepare(&c, 0);
    hold();
    start(&c);
    wait_for_searches(1);
    put(type_a, &tag_t);
    put(type_a, &tag_t);
    let_go();
    assert_int_equal(wait_for(&c), EX_ECONDITION);
    assert_int_equal(c.err.position, COMMON + 1);
    assert_int_equal(ex_store_head(store), COMMON + 2);
}

/* Much comes meanwhile: it is searched, too, before the batch is asked to look at the rest. */
static void test_search_goes_on_to_what_came_meanwhile(void **state)
{
    (void)state;
    put_common();
    call c;
    prepare(&c, 0);
    hold();
    start(&c);
    wait_for_searches(1);
    put_common();
    put(type_a, &tag_t);
    let_go();
    assert_int_equal(wait_for(&c), EX_ECONDITION);
    assert_int_equal(c.err.position, 2 * COMMON + 1);
    assert_true(atomic_load(&world.calls) >= 2);
}

/* ---- Memory decides ---- */

static void test_search_is_not_needed_where_words_are_old(void **state)
{
    (void)state;
    put_common();
    call c;
    prepare(&c, COMMON); /* fresh */
    start(&c);
    assert_int_equal(wait_for(&c), EX_OK);
    prepare(&c, COMMON - 1); /* the last one has no tag t */
    start(&c);
    assert_int_equal(wait_for(&c), EX_OK);
    static const ex_slice nobody = EX_S_INIT("t:nobody");
    prepare(&c, 0);
    c.items[0].tags = &nobody;
    start(&c);
    assert_int_equal(wait_for(&c), EX_OK);
    assert_int_equal(atomic_load(&world.calls), 0);
}

/* G-504: a retry is answered before its own events can stand in its way, and is not searched for.
 */
static void test_search_is_not_made_for_what_is_stored(void **state)
{
    (void)state;
    call c, again;
    for (int i = 0; i < 2; i++) {
        call *one = i ? &again : &c;
        prepare(one, 0);
        one->event.tags = &tag_t;
        one->event.id = (ex_id){.bytes = {7}};
        start(one);
        assert_int_equal(wait_for(one), EX_OK);
    }
    assert_false(c.appended.is_duplicate);
    assert_true(again.appended.is_duplicate);
    assert_int_equal(again.appended.position, 1);
    assert_int_equal(atomic_load(&world.calls), 0);
}

/* G-504: also when both are searched at the same time, and the second finds the first one's event.
 */
static void test_search_of_a_retry_finds_its_own_event(void **state)
{
    (void)state;
    put_common();
    call calls[2];
    hold();
    for (int i = 0; i < 2; i++) {
        prepare(&calls[i], 0);
        calls[i].event.tags = &tag_t;
        calls[i].event.id = (ex_id){.bytes = {7}};
        start(&calls[i]);
    }
    wait_for_searches(1);
    put(type_b, NULL); /* both were staged */
    let_go();
    assert_int_equal(wait_for(&calls[0]), EX_OK);
    assert_int_equal(wait_for(&calls[1]), EX_OK);
    assert_int_equal(calls[0].appended.position, COMMON + 2);
    assert_int_equal(calls[1].appended.position, COMMON + 2);
    assert_int_equal(calls[0].appended.is_duplicate + calls[1].appended.is_duplicate, 1);
    assert_int_equal(ex_store_head(store), COMMON + 2);
}

static void test_search_checks_versions_at_the_end(void **state)
{
    (void)state;
    put_common();
    call c;
    prepare(&c, 0);
    c.write.stream = EX_S("s");
    c.write.expected = EX_EXACT(COMMON);
    hold();
    start(&c);
    wait_for_searches(1);
    put(type_b, NULL); /* to stream "s" */
    let_go();
    assert_int_equal(wait_for(&c), EX_ECONFLICT);
    assert_int_equal(c.err.current, COMMON + 1);
}

/* ---- Limits ---- */

/* G-502 */
static void test_search_of_more_than_a_second_is_too_wide(void **state)
{
    (void)state;
    put_common();
    call c;
    prepare(&c, 0);
    static const ex_slice nobody = EX_S_INIT("t:nobody");
    c.items[1] = c.items[0];
    c.items[0].tags = &nobody; /* memory decides that one */
    c.query.item_count = 2;
    atomic_store(&world.is_endless, true);
    atomic_store(&world.piece_ns, 7000000);
    start(&c);
    assert_int_equal(wait_for(&c), EX_ETOOWIDE);
    assert_string_equal(c.err.field, "condition.fail_if_match.items[1]");
    assert_non_null(strstr(c.err.message, "item 2 of the condition (tag 't:1' and 1 more)"));
    uint32_t calls = atomic_load(&world.calls);
    assert_in_range(calls, 140, 150);
    assert_int_equal(ex_store_head(store), COMMON);
    put(type_a, NULL);
}

/* The last piece took the rest of the second, and more: what it has found is answered. The item
 * behind the last one was named instead, which is none: the server died of it. G-502 */
static void test_search_that_ends_late_has_an_answer(void **state)
{
    (void)state;
    put_common();
    call none, one;
    atomic_store(&world.piece_ns, 1100000000);
    prepare(&none, 0);
    start(&none);
    assert_int_equal(wait_for(&none), EX_OK);
    prepare(&one, 0);
    one.items[0] = (ex_query_item){&type_a, 1, &tag_u, 1}; /* as `none` has written it */
    for (int i = 0; i < COMMON; i++)                       /* which memory does not know any more */
        put(i % 2 ? type_a : type_b, i % 2 ? NULL : &tag_u);
    start(&one);
    assert_int_equal(wait_for(&one), EX_ECONDITION);
    assert_int_equal(one.err.position, none.appended.position);
}

/* Time is over before the second item: it is the one that was not looked at. G-502 */
static void test_search_without_time_for_the_next_item_names_it(void **state)
{
    (void)state;
    put_common();
    call c;
    atomic_store(&world.piece_ns, 1100000000);
    prepare(&c, 0);
    c.items[1] = c.items[0];
    c.query.item_count = 2;
    start(&c);
    assert_int_equal(wait_for(&c), EX_ETOOWIDE);
    assert_string_equal(c.err.field, "condition.fail_if_match.items[1]");
}

static void test_search_fails_alone(void **state)
{
    (void)state;
    put_common();
    call c;
    prepare(&c, 0);
    atomic_store(&world.fails, EX_ESTORAGE);
    start(&c);
    assert_int_equal(wait_for(&c), EX_ESTORAGE);
    assert_non_null(strstr(c.err.message, "the disk of the test is broken"));
    prepare(&c, 0);
    start(&c);
    assert_int_equal(wait_for(&c), EX_OK);
}

/* G-840: the one in hand and those that wait for their turn; nothing of them is stored. */
static void test_search_ends_with_its_cancel(void **state)
{
    (void)state;
    enum { COUNT = 4 };
    put_common();
    call calls[COUNT], stays;
    ex_cancel *cancels[COUNT];
    atomic_store(&world.is_endless, true);
    hold();
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(ex_cancel_new(&cancels[i], NULL), EX_OK);
        prepare(&calls[i], 0);
        calls[i].append.cancel = cancels[i];
        start(&calls[i]);
    }
    prepare(&stays, 0);
    stays.items[0].types = &type_b;
    start(&stays);
    wait_for_searches(1);
    for (int i = 0; i < COUNT; i++)
        ex_cancel_request(cancels[i]);
    let_go();
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(wait_for(&calls[i]), EX_ECANCELLED);
        ex_cancel_free(cancels[i]);
    }
    assert_int_equal(wait_for(&stays), EX_ECONDITION);
    assert_true(atomic_load(&world.calls) < 10); /* they were not searched to their end */
    assert_int_equal(ex_store_head(store), COMMON);
}

/* What needs no search is written, cancelled or not. */
static void test_search_that_is_not_needed_is_not_cancelled(void **state)
{
    (void)state;
    call c;
    ex_cancel *cancel = NULL;
    put_common();
    assert_int_equal(ex_cancel_new(&cancel, NULL), EX_OK);
    ex_cancel_request(cancel);
    prepare(&c, COMMON);
    c.append.cancel = cancel;
    start(&c);
    assert_int_equal(wait_for(&c), EX_OK);
    prepare(&c, 0);
    c.append.cancel = cancel;
    start(&c);
    assert_int_equal(wait_for(&c), EX_ECANCELLED);
    assert_int_equal(atomic_load(&world.calls), 0);
    ex_cancel_free(cancel);
}

/* As many wait as the queue may hold. */
static void test_searches_are_bounded(void **state)
{
    (void)state;
    enum { LIMIT = 4 };
    ex_store_close(store);
    open_store(LIMIT);
    put_common();
    call calls[LIMIT], late;
    hold();
    for (int i = 0; i < LIMIT; i++) {
        prepare(&calls[i], 0);
        start(&calls[i]);
        put(type_b, NULL); /* it was staged */
    }
    prepare(&late, 0);
    start(&late);
    assert_int_equal(wait_for(&late), EX_EOVERLOADED);
    let_go();
    for (int i = 0; i < LIMIT; i++)
        assert_int_equal(wait_for(&calls[i]), EX_OK);
}

/* A short search does not wait for the end of long ones. */
static void test_search_that_is_short_overtakes_long_ones(void **state)
{
    (void)state;
    put_common();
    enum { LONG = 6 };
    call longs[LONG], quick;
    atomic_store(&world.is_endless, true);
    for (int i = 0; i < LONG; i++) {
        prepare(&longs[i], 0);
        start(&longs[i]);
    }
    while (atomic_load(&world.calls) < 10 * LONG)
        ;
    prepare(&quick, 0);
    quick.items[0].types = &type_b;
    start(&quick);
    assert_int_equal(wait_for(&quick), EX_ECONDITION);
    assert_int_equal(quick.err.position, 1);
    for (int i = 0; i < LONG; i++)
        assert_false(is_done(&longs[i]));
    atomic_store(&world.is_endless, false);
    for (int i = 0; i < LONG; i++)
        assert_int_equal(wait_for(&longs[i]), EX_OK);
}

/* ---- Closing ---- */

/* G-506 */
static void test_close_finishes_what_is_searched(void **state)
{
    (void)state;
    put_common();
    call calls[5];
    hold();
    for (int i = 0; i < 5; i++) {
        prepare(&calls[i], 0);
        start(&calls[i]);
    }
    wait_for_searches(1);
    let_go();
    ex_store_close(store);
    store = NULL;
    for (int i = 0; i < 5; i++)
        assert_int_equal(wait_for(&calls[i]), EX_OK);
}

static void *close_store(void *arg)
{
    (void)arg;
    ex_store_close(store);
    return NULL;
}

/* It cannot be over while the searches are held. */
static void wait_for_closing(void)
{
    ex_new_event event = {.type = type_b, .data = EX_S("{}")};
    ex_stream_write write = {EX_S("s"), EX_ANY, &event, 1};
    const ex_append append = {.writes = &write, .write_count = 1};
    ex_status st;
    while ((st = ex_store_append(store, &append, NULL, NULL)) == EX_OK)
        sched_yield();
    assert_int_equal(st, EX_ECLOSED);
}

/* G-506 */
static void test_close_ends_what_takes_longer_than_a_second(void **state)
{
    (void)state;
    put_common();
    call calls[5];
    atomic_store(&world.is_endless, true);
    hold();
    for (int i = 0; i < 5; i++) {
        prepare(&calls[i], 0);
        start(&calls[i]);
    }
    wait_for_searches(1);
    pthread_t closer;
    assert_int_equal(pthread_create(&closer, NULL, close_store, NULL), 0);
    wait_for_closing();
    atomic_store(&world.piece_ns, 3000000);
    let_go();
    (void)pthread_join(closer, NULL);
    store = NULL;
    for (int i = 0; i < 5; i++)
        assert_int_equal(wait_for(&calls[i]), EX_ECLOSED);
}

#define SEARCH_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SEARCH_TEST(test_search_holds_nobody_up),
        SEARCH_TEST(test_search_compares_what_came_meanwhile),
        SEARCH_TEST(test_search_goes_on_to_what_came_meanwhile),
        SEARCH_TEST(test_search_is_not_needed_where_words_are_old),
        SEARCH_TEST(test_search_is_not_made_for_what_is_stored),
        SEARCH_TEST(test_search_of_a_retry_finds_its_own_event),
        SEARCH_TEST(test_search_checks_versions_at_the_end),
        SEARCH_TEST(test_search_of_more_than_a_second_is_too_wide),
        SEARCH_TEST(test_search_that_ends_late_has_an_answer),
        SEARCH_TEST(test_search_without_time_for_the_next_item_names_it),
        SEARCH_TEST(test_search_fails_alone),
        SEARCH_TEST(test_search_ends_with_its_cancel),
        SEARCH_TEST(test_search_that_is_not_needed_is_not_cancelled),
        SEARCH_TEST(test_searches_are_bounded),
        SEARCH_TEST(test_search_that_is_short_overtakes_long_ones),
        SEARCH_TEST(test_close_finishes_what_is_searched),
        SEARCH_TEST(test_close_ends_what_takes_longer_than_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
