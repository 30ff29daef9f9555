/* test_condition_group.c: conditions that wait to be searched in PostgreSQL go there together.
 * Issue 8, item 10; G-843. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>

#include "store/store_internal.h"
#include "support/assert_ok.h"
#include "support/postgres.h"
#include "support/tcp_proxy.h"

#define COMMON     1000 /* of each tag: more than memory is asked for in a batch */
#define CONDITIONS 12

/* ---- The driver, with searches that the test holds up, counts and lets fail ---- */

static struct {
    tcp_proxy *proxy;
    char url[POSTGRES_URL_SIZE];
    ex_store *store;
    pthread_mutex_t mu;
    pthread_cond_t changed;
    bool is_held;
    atomic_uint calls;      /* of the driver: each one a round trip */
    atomic_uint most;       /* searches of one call */
    _Atomic uint64_t turns; /* round trips of that call */
    atomic_bool fails;      /* all that go together */
} world = {.mu = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static ex_error err;

static void pass(void)
{
    (void)pthread_mutex_lock(&world.mu);
    while (world.is_held)
        (void)pthread_cond_wait(&world.changed, &world.mu);
    (void)pthread_mutex_unlock(&world.mu);
    atomic_fetch_add(&world.calls, 1);
}

static ex_status match(void *reader, store_match *m, ex_error *ret_err)
{
    pass();
    return store_postgres_driver.reader->match(reader, m, ret_err);
}

static ex_status match_each(void *reader, store_match *const *matches, uint32_t count,
                            ex_error *ret_err)
{
    pass();
    if (atomic_load(&world.fails))
        return ex_raise(ret_err, EX_ESTORAGE, "the network of the test is broken");
    uint64_t before = tcp_proxy_turns(world.proxy);
    ex_status st = store_postgres_driver.reader->match_each(reader, matches, count, ret_err);
    if (count > atomic_load(&world.most)) {
        atomic_store(&world.most, count);
        atomic_store(&world.turns, tcp_proxy_turns(world.proxy) - before);
    }
    return st;
}

static void hold(bool is_held)
{
    (void)pthread_mutex_lock(&world.mu);
    world.is_held = is_held;
    (void)pthread_cond_broadcast(&world.changed);
    (void)pthread_mutex_unlock(&world.mu);
}

/* ---- Appends ---- */

static const ex_slice tags[2] = {EX_S_INIT("n:old"), EX_S_INIT("n:new")};

static void put(const ex_slice *tag, uint32_t count)
{
    static ex_new_event events[COMMON];
    for (uint32_t i = 0; i < count; i++)
        events[i] = (ex_new_event){
            .type = EX_S("A"), .data = EX_S("{}"), .tags = tag, .tag_count = tag != NULL};
    const ex_stream_write write = {EX_S("s"), EX_ANY, events, count};
    assert_ok(
        ex_store_append(world.store, &(ex_append){.writes = &write, .write_count = 1}, NULL, &err));
}

static int set_up(void **state)
{
    (void)state;
    static store_driver_ops driver;
    static store_reader_ops reader;
    reader = *store_postgres_driver.reader;
    reader.match = match;
    reader.match_each = match_each;
    driver = store_postgres_driver;
    driver.reader = &reader;
    const store_internals internals = {.driver = &driver};
    atomic_store(&world.calls, 0);
    atomic_store(&world.most, 0);
    atomic_store(&world.fails, false);
    world.proxy = tcp_proxy_start();
    assert_ok(store_open_with(tcp_proxy_url(world.proxy, "condition_group", world.url), NULL,
                              &internals, &world.store, &err));
    put(&tags[0], COMMON);
    put(&tags[1], COMMON);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hold(false);
    ex_store_close(world.store);
    postgres_drop_schema(world.url);
    tcp_proxy_stop(world.proxy);
    return 0;
}

typedef struct call {
    ex_new_event event;
    ex_stream_write write;
    ex_append append;
    atomic_bool is_done;
    ex_status status;
} call;

static void done(void *ctx, ex_status status, const ex_appended *appended, const ex_error *unused)
{
    (void)appended, (void)unused;
    call *c = ctx;
    c->status = status;
    (void)pthread_mutex_lock(&world.mu);
    atomic_store(&c->is_done, true);
    (void)pthread_cond_broadcast(&world.changed);
    (void)pthread_mutex_unlock(&world.mu);
}

/* If no event has both tags; none has. */
static void start(call *c, ex_cancel *cancel)
{
    static const ex_query_item item = {.tags = tags, .tag_count = 2};
    static const ex_query query = {&item, 1};
    *c = (call){.event = {.type = EX_S("C"), .data = EX_S("{}")},
                .write = {.stream = EX_S("c"), .expected = EX_ANY, .event_count = 1},
                .append = {.write_count = 1, .fail_if_match = &query, .cancel = cancel}};
    c->write.events = &c->event;
    c->append.writes = &c->write;
    assert_ok(ex_store_append_async(world.store, &c->append, NULL, done, c, &err));
}

static ex_status wait_for(call *c)
{
    (void)pthread_mutex_lock(&world.mu);
    while (!atomic_load(&c->is_done))
        (void)pthread_cond_wait(&world.changed, &world.mu);
    (void)pthread_mutex_unlock(&world.mu);
    return c->status;
}

/* All wait to be searched, but for those in the hands of the two threads. */
static void start_all(call calls[CONDITIONS], ex_cancel *const *cancels)
{
    hold(true);
    for (int i = 0; i < CONDITIONS; i++)
        start(&calls[i], cancels ? cancels[i] : NULL);
    put(NULL, 1); /* they were staged before */
}

/* ---- Tests ---- */

/* G-843 */
static void test_group_of_conditions_costs_a_round_trip(void **state)
{
    (void)state;
    call calls[CONDITIONS];
    start_all(calls, NULL);
    hold(false);
    for (int i = 0; i < CONDITIONS; i++)
        assert_int_equal(wait_for(&calls[i]), EX_OK);
    assert_in_range(atomic_load(&world.calls), 1, 4);
    assert_true(atomic_load(&world.most) >= CONDITIONS / 4);
    assert_true(atomic_load(&world.turns) < atomic_load(&world.most));
    assert_int_equal(ex_store_head(world.store), 2 * COMMON + 1 + CONDITIONS);
}

/* Each of them goes alone then. */
static void test_group_that_fails_fails_nobody(void **state)
{
    (void)state;
    call calls[CONDITIONS];
    atomic_store(&world.fails, true);
    start_all(calls, NULL);
    hold(false);
    for (int i = 0; i < CONDITIONS; i++)
        assert_int_equal(wait_for(&calls[i]), EX_OK);
}

/* G-840: who has left it is not written, the others are. */
static void test_group_goes_on_without_those_who_left(void **state)
{
    (void)state;
    call calls[CONDITIONS];
    ex_cancel *cancels[CONDITIONS];
    for (int i = 0; i < CONDITIONS; i++)
        assert_ok(ex_cancel_new(&cancels[i], &err));
    start_all(calls, cancels);
    for (int i = 0; i < CONDITIONS; i += 2)
        ex_cancel_request(cancels[i]);
    hold(false);
    for (int i = 0; i < CONDITIONS; i++) {
        assert_int_equal(wait_for(&calls[i]), i % 2 ? EX_OK : EX_ECANCELLED);
        ex_cancel_free(cancels[i]);
    }
    assert_int_equal(ex_store_head(world.store), 2 * COMMON + 1 + CONDITIONS / 2);
}

#define GROUP_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        GROUP_TEST(test_group_of_conditions_costs_a_round_trip),
        GROUP_TEST(test_group_that_fails_fails_nobody),
        GROUP_TEST(test_group_goes_on_without_those_who_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
