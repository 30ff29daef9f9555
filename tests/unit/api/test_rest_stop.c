/* test_rest_stop.c: stopping while clients write, read, follow and wait: everything accepted is
 * answered, what was acknowledged is stored, nothing hangs. ASan and TSan watch the rest. */
#include "support/accounts.h"
#include "support/api_server.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define WRITERS   4
#define READERS   2
#define FOLLOWERS 3
#define ENOUGH    300 /* acknowledged appends before the stop */

static api_server server;
static atomic_uint acknowledged;

static void *write_events(void *arg)
{
    http_client c;
    http_reply r;
    char path[64];
    (void)snprintf(path, sizeof(path), "/v1/streams/writer-%u", *(unsigned *)arg);
    if (!http_client_open(&c, server.port))
        return NULL;
    while (http_client_call(&c, "POST", path, "Content-Type: application/json\r\n",
                            EX_S("{\"events\":[{\"type\":\"T\",\"data\":1}]}"), &r)) {
        bool is_stored = r.status == 201;
        http_reply_done(&r);
        if (!is_stored)
            break;
        atomic_fetch_add(&acknowledged, 1);
    }
    http_client_close(&c);
    return NULL;
}

static void *read_pages(void *arg)
{
    http_client c;
    http_reply r;
    (void)arg;
    if (!http_client_open(&c, server.port))
        return NULL;
    for (bool goes_on = true;
         goes_on && http_client_call(&c, "GET", "/v1/events?limit=1000", NULL, EX_S(""), &r);) {
        goes_on = r.status == 200;
        http_reply_done(&r);
    }
    http_client_close(&c);
    return NULL;
}

/* Whatever came before the end came in order. */
static void *follow_log(void *arg)
{
    http_client c;
    http_reply r;
    http_event e = {0};
    uint64_t *last = arg;
    if (!http_client_open(&c, server.port))
        return NULL;
    (void)http_client_request(&c, "GET", "/v1/events", "Accept: text/event-stream\r\n", EX_S(""));
    if (http_client_begin_stream(&c, &r)) {
        while (http_client_next_event(&c, &e)) {
            uint64_t id = strtoull(e.id, NULL, 10);
            if (id && id != *last + 1)
                break;
            *last = id ? id : *last;
        }
        http_reply_done(&r);
    }
    http_event_done(&e);
    http_client_close(&c);
    return NULL;
}

/* A query for a position that never comes. */
static void *wait_for_view(void *arg)
{
    http_reply r;
    (void)arg;
    if (http_call(server.port, "GET", "/v1/bank/account-count?min_position=99999999", NULL,
                  EX_S(""), &r))
        http_reply_done(&r);
    return NULL;
}

static void check_stop(bool in_memory)
{
    pthread_t threads[WRITERS + READERS + FOLLOWERS + 1];
    unsigned numbers[WRITERS], n = 0;
    uint64_t followed[FOLLOWERS] = {0};
    api_server_options o = {
        .in_memory = in_memory,
        .app = &accounts_app,
        .store = {.durability = EX_DURABILITY_NORMAL, .ring_limit_bytes = 64 << 10},
        .api = {.min_position_timeout_ms = 500},
        .http = {.loops = 2}};
    atomic_store(&acknowledged, 0);
    api_server_start(&server, &o);
    for (unsigned i = 0; i < WRITERS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[n++], NULL, write_events, &numbers[i]), 0);
    }
    for (unsigned i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[n++], NULL, read_pages, NULL), 0);
    for (unsigned i = 0; i < FOLLOWERS; i++)
        assert_int_equal(pthread_create(&threads[n++], NULL, follow_log, &followed[i]), 0);
    assert_int_equal(pthread_create(&threads[n++], NULL, wait_for_view, NULL), 0);
    while (atomic_load(&acknowledged) < ENOUGH)
        (void)sched_yield();
    api_server_stop_serving(&server);
    for (unsigned i = 0; i < n; i++)
        (void)pthread_join(threads[i], NULL);
    uint64_t head = ex_store_head(server.store);
    assert_in_range(head, atomic_load(&acknowledged), atomic_load(&acknowledged) + WRITERS);
    for (unsigned i = 0; i < FOLLOWERS; i++)
        assert_in_range(followed[i], 1, head);
    api_server_stop(&server);
}

static void test_stop_under_load_in_memory(void **state)
{
    (void)state;
    check_stop(true);
}

static void test_stop_under_load_on_disk(void **state)
{
    (void)state;
    check_stop(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stop_under_load_in_memory),
        cmocka_unit_test(test_stop_under_load_on_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
