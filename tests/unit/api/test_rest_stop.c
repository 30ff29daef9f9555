/* test_rest_stop.c: stopping while clients write, read, follow and wait: everything accepted is
 * answered, what was acknowledged is stored, nothing hangs. ASan and TSan watch the rest. */
#include "support/accounts.h"
#include "support/api_server.h"

#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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

/* The mask of blocked signals in /proc/self/task/ID/status. */
static uint64_t blocked_signals(const char *task)
{
    char path[320], line[256];
    unsigned long long mask = 0;
    bool is_found = false;
    (void)snprintf(path, sizeof(path), "/proc/self/task/%s/status", task);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (!is_found && fgets(line, sizeof(line), f))
        is_found = sscanf(line, "SigBlk: %llx", &mask) == 1;
    (void)fclose(f);
    assert_true(is_found);
    return mask;
}

/* A signal sent to the process finds the program's thread, whatever the server is doing. */
static void test_threads_of_a_server_leave_signals_to_the_program(void **state)
{
    (void)state;
    api_server_start(&server, &(api_server_options){.app = &accounts_app});
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    unsigned count = 0;
    for (const struct dirent *e; (e = readdir(tasks));) {
        if (e->d_name[0] == '.' || atoi(e->d_name) == getpid())
            continue;
        if (!(blocked_signals(e->d_name) & UINT64_C(1) << (SIGTERM - 1)))
            fail_msg("thread %s takes SIGTERM", e->d_name);
        count++;
    }
    (void)closedir(tasks);
    assert_true(count >= 10); /* sequencer, watchdog, views, readers, queriers, loop */
    api_server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stop_under_load_in_memory),
        cmocka_unit_test(test_stop_under_load_on_disk),
        cmocka_unit_test(test_threads_of_a_server_leave_signals_to_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
