/* test_rest_nodes.c: what one node has acknowledged is read on another, by those who ask for it. */
#include "support/api_server.h"
#include "support/postgres.h"
#include "support/tcp_proxy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "support/accounts.h"
#include "support/assert_ok.h"

#define WRITER     0 /* of node b: the first connection through the proxy */
#define TIMEOUT_MS 4000
#define SHORT_MS   200 /* node a's */

static char direct[POSTGRES_URL_SIZE], proxied[POSTGRES_URL_SIZE];
static tcp_proxy *proxy;
static api_server a, b;
static ex_error err;

static void drop(const char *suffix)
{
    char url[POSTGRES_URL_SIZE + 8];
    (void)snprintf(url, sizeof(url), "%s%s", direct, suffix);
    postgres_drop_schema(url);
}

static int start_nodes(void **state)
{
    (void)state;
    proxy = tcp_proxy_start();
    postgres_schema_url(postgres_tcp_url(), "rest_nodes", direct);
    tcp_proxy_url(proxy, "rest_nodes", proxied);
    const api_server_options of_a = {
        .place = direct, .app = &accounts_app, .api.min_position_timeout_ms = SHORT_MS};
    const api_server_options of_b = {
        .place = proxied, .app = &accounts_app, .api.min_position_timeout_ms = TIMEOUT_MS};
    api_server_start(&a, &of_a);
    api_server_start(&b, &of_b);
    return 0;
}

static int stop_nodes(void **state)
{
    (void)state;
    api_server_stop(&b);
    api_server_stop(&a);
    drop("_views");
    drop("");
    tcp_proxy_stop(proxy);
    return 0;
}

static void nap(long ms)
{
    (void)nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* The position of an append at node a, to a stream that nobody has seen. */
static uint64_t append(const char *stream)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "/v1/streams/%s", stream);
    api_answer answer =
        api_call(&a, "POST", path, "", "{\"events\":[{\"type\":\"Seen\",\"data\":{}}]}");
    assert_int_equal(answer.status, 201);
    uint64_t position = (uint64_t)api_int(answer.json, "position");
    api_answer_done(&answer);
    return position;
}

/* Each way in which a read can ask for what was just appended; %s the stream, %llu the position. */
static const char *const ways[] = {
    "/v1/streams/%1$s?min_position=%2$llu",
    "/v1/streams/%1$s?consistency=current",
    "/v1/streams/%1$s?direction=backward&min_position=%2$llu",
    "/v1/events?streams=%1$s&min_position=%2$llu",
    "/v1/events?streams=%1$s&consistency=current",
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

static void read_at_b(size_t way, const char *stream, uint64_t position)
{
    char path[192];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(path, sizeof(path), ways[way], stream, (unsigned long long)position);
#pragma GCC diagnostic pop
    api_answer answer = api_call(&b, "GET", path, "", NULL);
    if (answer.status != 200 || json_array_size(json_object_get(answer.json, "events")) != 1)
        fail_msg("%s: %d", path, answer.status);
    api_answer_done(&answer);
}

/* G-806, issue 8, item 17: 72 of 300 were answered 404. */
static void test_rest_nodes_reads_see_what_was_acknowledged(void **state)
{
    (void)state;
    char stream[32];
    for (unsigned i = 0; i < 300; i++) {
        (void)snprintf(stream, sizeof(stream), "fresh-%u", i);
        read_at_b(i % WAYS, stream, append(stream));
    }
}

/* The writing connection of the node does not matter to that, and is replaced. */
static void test_rest_nodes_reads_do_not_need_the_writer(void **state)
{
    (void)state;
    char stream[32];
    tcp_proxy_freeze_flow(proxy, WRITER);
    for (unsigned i = 0; i < 40; i++) {
        (void)snprintf(stream, sizeof(stream), "frozen-%u", i);
        read_at_b(i % WAYS, stream, append(stream));
    }
    append("frozen-0");
    uint64_t position = append("frozen-0");
    assert_ok(ex_store_wait(b.store, position, 5000, &err)); /* the node itself has caught up */
    assert_true(ex_store_head(b.store) >= position);
}

/* Queries, too: their view waits for what the database says. */
static void test_rest_nodes_queries_are_current(void **state)
{
    (void)state;
    char path[96];
    for (int i = 1; i <= 10; i++) {
        (void)snprintf(path, sizeof(path), "/v1/bank/account/current-%d/open", i);
        api_expect(&a, "POST", path, "", "{\"owner\":\"o\"}", 201);
        api_answer answer =
            api_call(&b, "GET", "/v1/bank/account-count?consistency=current", "", NULL);
        assert_int_equal(answer.status, 200);
        assert_int_equal(api_int(answer.json, "count"), i);
        api_answer_done(&answer);
    }
}

/* A position that nobody has appended yet is waited for, not refused; then it is there or 504. */
static void test_rest_nodes_reads_wait_for_what_is_to_come(void **state)
{
    (void)state;
    char path[96];
    http_client client;
    http_reply reply;
    uint64_t next = append("wait-1") + 1;
    (void)snprintf(path, sizeof(path), "/v1/streams/wait-2?min_position=%llu",
                   (unsigned long long)next);
    assert_true(http_client_open(&client, b.port));
    assert_true(http_client_request(&client, "GET", path, "", EX_S("")));
    nap(50);
    assert_int_equal(append("wait-2"), next);
    assert_true(http_client_read(&client, &reply));
    assert_int_equal(reply.status, 200);
    http_reply_done(&reply);
    http_client_close(&client);
}

/* It never comes: 504 in time, and nothing of it is stored or kept. */
static void test_rest_nodes_reads_do_not_wait_for_ever(void **state)
{
    (void)state;
    static const char *const reads[] = {"/v1/streams/never?min_position=999999",
                                        "/v1/events?min_position=999999",
                                        "/v1/streams/never?direction=backward&min_position=999999",
                                        "/v1/bank/account-count?min_position=999999"};
    append("never");
    for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
        api_answer answer = api_call(&a, "GET", reads[i], "", NULL);
        api_check_problem(&answer, reads[i], 504, "TIMEOUT", NULL);
        api_answer_done(&answer);
    }
}

static void test_rest_nodes_refuse_what_makes_no_sense(void **state)
{
    (void)state;
    static const api_refusal rows[] = {
        {"an unknown consistency", "GET", "/v1/events?consistency=strong", "", NULL, 400,
         "INVALID_INPUT", "consistency"},
        {"no number", "GET", "/v1/streams/x?min_position=a", "", NULL, 400, "INVALID_INPUT",
         "min_position"},
        {"twice", "GET", "/v1/events?min_position=1&min_position=2", "", NULL, 400, "INVALID_INPUT",
         "min_position"},
        {"of a query", "GET", "/v1/bank/account-count?consistency=", "", NULL, 400, "INVALID_INPUT",
         "consistency"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        api_answer answer = api_call(&b, rows[i].method, rows[i].path, "", NULL);
        api_check_problem(&answer, rows[i].name, rows[i].status, rows[i].code, rows[i].field);
        api_answer_done(&answer);
    }
}

static void expect_followed(const char *path, const char *first)
{
    http_client client;
    http_reply reply;
    http_event event = {0};
    assert_true(http_client_open(&client, b.port));
    assert_true(
        http_client_request(&client, "GET", path, "Accept: text/event-stream\r\n", EX_S("")));
    assert_true(http_client_begin_stream(&client, &reply));
    assert_int_equal(reply.status, 200);
    assert_true(http_client_next_event(&client, &event)); /* connected */
    assert_true(http_client_next_event(&client, &event));
    assert_string_equal(event.event, first);
    http_event_done(&event);
    http_reply_done(&reply);
    http_client_close(&client);
}

/* A follower that asks for a position is not told that it has caught up before it is there. */
static void test_rest_nodes_followers_begin_where_they_ask(void **state)
{
    (void)state;
    char path[128], stream[32];
    for (unsigned i = 0; i < 20; i++) {
        (void)snprintf(stream, sizeof(stream), "follow-%u", i);
        uint64_t position = append(stream);
        (void)snprintf(path, sizeof(path), "/v1/streams/%s?min_position=%llu", stream,
                       (unsigned long long)position);
        expect_followed(path, "Seen");
        append(stream);
        expect_followed("/v1/events?after=head&consistency=current", "caught-up");
    }
}

/* G-807: a node whose knowledge is old says so. */
static void test_rest_nodes_tell_how_old_their_knowledge_is(void **state)
{
    (void)state;
    while (ex_store_head_age_ms(b.store) > 900)
        nap(10);
    tcp_proxy_freeze(proxy, true);
    nap(1100);
    assert_in_range(ex_store_head_age_ms(b.store), 1000, 30000);
    assert_int_equal(ex_store_wait(b.store, ex_store_head(a.store) + 1, 20, &err), EX_ETIMEOUT);
    api_answer answer = api_call(&b, "GET", "/metrics", "", NULL);
    assert_non_null(memmem(answer.reply.body.ptr, answer.reply.body.len,
                           "excore_store_head_age_milliseconds 1", 36));
    api_answer_done(&answer);
    tcp_proxy_freeze(proxy, false);
    for (int i = 0; i < 500 && ex_store_head_age_ms(b.store) > 1000; i++)
        nap(10);
    assert_in_range(ex_store_head_age_ms(b.store), 0, 1000);
    assert_int_equal(ex_store_head_age_ms(a.store) > 1000, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rest_nodes_reads_see_what_was_acknowledged),
        cmocka_unit_test(test_rest_nodes_queries_are_current),
        cmocka_unit_test(test_rest_nodes_reads_wait_for_what_is_to_come),
        cmocka_unit_test(test_rest_nodes_reads_do_not_wait_for_ever),
        cmocka_unit_test(test_rest_nodes_refuse_what_makes_no_sense),
        cmocka_unit_test(test_rest_nodes_followers_begin_where_they_ask),
        cmocka_unit_test(test_rest_nodes_reads_do_not_need_the_writer),
        cmocka_unit_test(test_rest_nodes_tell_how_old_their_knowledge_is),
    };
    return cmocka_run_group_tests(tests, start_nodes, stop_nodes);
}
