/* test_network.c: a store in PostgreSQL over a network that swallows what it should carry. */
#include <excore/store.h>

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "store/store_end.h"
#include "support/assert_ok.h"
#include "support/postgres.h"
#include "support/tcp_proxy.h"

#define WRITER 0 /* the first connection that a store opens */

static ex_error err;
static tcp_proxy *proxy;
static char url[POSTGRES_URL_SIZE];
static ex_store *store;

static uint64_t now_ms(void)
{
    return ex_monotonic_ns(ex_clock_system()) / 1000000;
}

static void open_store(const char *name, uint32_t answer_ms)
{
    proxy = tcp_proxy_start();
    const ex_store_options options = {.answer_timeout_ms = answer_ms};
    assert_ok(ex_store_open(tcp_proxy_url(proxy, name, url), &options, &store, &err));
}

static void close_store(void)
{
    ex_store_close(store);
    postgres_drop_schema(url);
    tcp_proxy_stop(proxy);
}

static ex_status append(const char *stream, ex_expected expected, ex_error *ret_err)
{
    const ex_new_event event = {.type = EX_S_INIT("Seen"), .data = EX_S_INIT("{}")};
    const ex_stream_write write = {
        .stream = ex_str(stream), .expected = expected, .events = &event, .event_count = 1};
    return ex_store_append(store, &(ex_append){.writes = &write, .write_count = 1}, NULL, ret_err);
}

static uint64_t version_of(const char *stream)
{
    uint64_t version = 0;
    assert_ok(ex_store_stream_version(store, ex_str(stream), &version, &err));
    return version;
}

/* G-801, issue 8, item 14: 31 s became one or two. */
static void test_network_dead_writer_is_replaced(void **state)
{
    (void)state;
    open_store("network_dead", 0);
    assert_ok(append("a", EX_ANY, &err));
    tcp_proxy_freeze_flow(proxy, WRITER);
    uint64_t begun = now_ms();
    assert_ok(append("a", EX_EXACT(1), &err));
    assert_in_range(now_ms() - begun, 0, 3000);
    assert_int_equal(version_of("a"), 2);
    close_store();
}

/* The commit happened and its answer is swallowed: it is looked for and acknowledged, once. */
static void test_network_lost_answer_is_found_out(void **state)
{
    (void)state;
    open_store("network_mute", 0);
    for (int i = 0; i < 20; i++) /* alone for so long that a batch is one round trip */
        assert_ok(append("a", EX_ANY, &err));
    tcp_proxy_mute_flow(proxy, WRITER);
    uint64_t begun = now_ms();
    assert_ok(append("b", EX_NO_STREAM, &err));
    assert_in_range(now_ms() - begun, 500, 3500);
    assert_int_equal(version_of("b"), 1);
    assert_int_equal(ex_store_head(store), 21);
    close_store();
}

typedef struct caller {
    pthread_t thread;
    char stream[16];
    uint64_t took_ms;
    ex_status status;
} caller;

static void *call(void *arg)
{
    caller *c = arg;
    ex_error own;
    uint64_t begun = now_ms();
    c->status = append(c->stream, EX_ANY, &own);
    c->took_ms = now_ms() - begun;
    return NULL;
}

/* G-802: a database that answers nobody: every append is told in its time, also those that wait
 * behind others; and when it answers again the store works at once. */
static void test_network_frozen_database_keeps_nobody(void **state)
{
    (void)state;
    enum { COUNT = 24, ANSWER_MS = 1000 };
    caller callers[COUNT] = {0};
    open_store("network_frozen", ANSWER_MS);
    assert_ok(append("a", EX_ANY, &err));
    tcp_proxy_freeze(proxy, true);
    for (int i = 0; i < COUNT; i++) {
        const struct timespec pause = {.tv_nsec = 30000000};
        (void)snprintf(callers[i].stream, sizeof(callers[i].stream), "s-%d", i);
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
        (void)nanosleep(&pause, NULL); /* spread over most of the time of the first batch */
    }
    for (int i = 0; i < COUNT; i++) {
        (void)pthread_join(callers[i].thread, NULL);
        if (callers[i].status == EX_OK || callers[i].took_ms > ANSWER_MS + 300)
            fail_msg("append %d: %s after %llu ms", i, ex_status_code(callers[i].status),
                     (unsigned long long)callers[i].took_ms);
    }
    tcp_proxy_freeze(proxy, false);
    uint64_t begun = now_ms();
    while (append("b", EX_ANY, &err) != EX_OK) {
        assert_in_range(now_ms() - begun, 0, 2000);
    }
    close_store();
}

/* G-803: neither does it keep a store from closing, when the process has said when it ends. */
static void test_network_frozen_database_lets_the_store_close(void **state)
{
    (void)state;
    caller waiting = {.stream = "w"};
    open_store("network_close", 0);
    assert_ok(append("a", EX_ANY, &err));
    tcp_proxy_freeze(proxy, true);
    assert_int_equal(pthread_create(&waiting.thread, NULL, call, &waiting), 0);
    const struct timespec pause = {.tv_nsec = 50000000};
    (void)nanosleep(&pause, NULL); /* it may as well come too late: then it is refused */
    uint64_t begun = now_ms();
    ex_store_end_by(store, ex_monotonic_ns(ex_clock_system()) + 300000000);
    ex_store_close(store);
    assert_in_range(now_ms() - begun, 0, 1000);
    (void)pthread_join(waiting.thread, NULL);
    assert_int_not_equal(waiting.status, EX_OK);
    tcp_proxy_freeze(proxy, false);
    postgres_drop_schema(url);
    tcp_proxy_stop(proxy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_network_dead_writer_is_replaced),
        cmocka_unit_test(test_network_lost_answer_is_found_out),
        cmocka_unit_test(test_network_frozen_database_keeps_nobody),
        cmocka_unit_test(test_network_frozen_database_lets_the_store_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
