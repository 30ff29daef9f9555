/* test_view_away.c: views whose database goes away, for all nodes or for one of two. */
#include <excore/runtime.h>

#include "support/postgres.h"
#include "support/tcp_proxy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "sql/lease.h"
#include "sql/postgres/pg_conn.h"
#include "support/accounts.h"
#include "support/assert_ok.h"

#define LEASE_MS 500

static ex_error err;
static tcp_proxy *proxy;
static char direct[POSTGRES_URL_SIZE], proxied[POSTGRES_URL_SIZE];
static ex_arena arena;

static uint64_t now_ms(void)
{
    return ex_monotonic_ns(ex_clock_system()) / 1000000;
}

static void nap(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

/* A node whose store and leases work whatever happens to its views. */
typedef struct node {
    ex_store *store;
    ex_leases *leases;
    ex_runtime *rt;
} node;

static void start(node *n, const char *views_url)
{
    const ex_leases_options leases = {.url = direct, .ttl_ms = LEASE_MS};
    assert_ok(ex_store_open(direct, NULL, &n->store, &err));
    assert_ok(ex_leases_start(&leases, &n->leases, &err));
    const ex_runtime_options options = {
        .dir = views_url, .leases = n->leases, .lease_ms = LEASE_MS, .view_retry_ms = 20000};
    assert_ok(ex_runtime_start(n->store, &accounts_app, &options, &n->rt, &err));
}

static void stop(node *n)
{
    ex_runtime_stop(n->rt);
    ex_leases_stop(n->leases);
    ex_store_close(n->store);
}

static void set_up(const char *name)
{
    proxy = tcp_proxy_start();
    postgres_schema_url(postgres_tcp_url(), name, direct);
    tcp_proxy_url(proxy, name, proxied);
    ex_arena_init(&arena, 0);
}

static void tear_down(void)
{
    ex_pg *pg = NULL;
    char sql[160];
    assert_ok(ex_pg_open(&(ex_pg_options){.url = direct}, &pg, &err));
    (void)snprintf(sql, sizeof(sql),
                   "SET client_min_messages = warning; DROP SCHEMA IF EXISTS \"%s_views\" CASCADE",
                   ex_pg_target_of(pg)->schema);
    assert_ok(ex_pg_script(pg, sql, &err));
    ex_pg_close(pg);
    postgres_drop_schema(direct);
    ex_arena_done(&arena);
    tcp_proxy_stop(proxy);
}

static uint64_t open_account(node *n, const char *id)
{
    ex_command_call call = {.context = EX_S("bank"),
                            .aggregate = EX_S("account"),
                            .id = ex_str(id),
                            .command = EX_S("open"),
                            .payload = EX_S("{\"owner\":\"a\"}")};
    assert_ok(ex_command_run(n->rt, &call, &arena, &err));
    return call.result.position;
}

static ex_view_state state_of(node *n)
{
    ex_view_status status;
    assert_true(ex_runtime_view_status(n->rt, 0, &status));
    return status.state;
}

static void wait_for_state(node *n, ex_view_state state)
{
    for (uint64_t end = now_ms() + 10000; state_of(n) != state; nap())
        assert_true(now_ms() < end);
}

static ex_status count_accounts(node *n, uint64_t min_position, uint32_t timeout_ms)
{
    ex_buf out;
    ex_buf_init(&out, 0);
    const ex_query_call call = {.context = EX_S("bank"),
                                .query = EX_S("account-count"),
                                .min_position = min_position,
                                .timeout_ms = timeout_ms};
    ex_status st = ex_query_run(n->rt, &call, &arena, &out, &err);
    ex_buf_done(&out);
    return st;
}

/* G-804, issue 8, item 14: a pause of failing handlers, 20 s here, is not that of a database that
 * was away. */
static void test_view_away_goes_on_when_the_database_is_back(void **state)
{
    (void)state;
    node n = {0};
    set_up("view_away");
    start(&n, proxied);
    assert_ok(count_accounts(&n, open_account(&n, "1"), 5000));
    tcp_proxy_refuse(proxy, true);
    uint64_t position = open_account(&n, "2");
    wait_for_state(&n, EX_VIEW_ERROR);
    tcp_proxy_refuse(proxy, false);
    uint64_t begun = now_ms();
    while (count_accounts(&n, position, 2500) != EX_OK) /* the pool connects again in a second */
        assert_true(now_ms() < begun + 2500);
    assert_in_range(now_ms() - begun, 0, 2500);
    stop(&n);
    tear_down();
}

/* G-805: the node renews its lease and cannot work. */
static void test_view_away_leaves_the_lease_to_another_node(void **state)
{
    (void)state;
    node a = {0}, b = {0};
    set_up("view_yield");
    start(&a, proxied);
    wait_for_state(&a, EX_VIEW_ACTIVE);
    start(&b, direct);
    wait_for_state(&b, EX_VIEW_STANDBY);
    tcp_proxy_refuse(proxy, true);
    uint64_t position = open_account(&a, "1");
    assert_ok(count_accounts(&b, position, 10000));
    assert_int_equal(state_of(&b), EX_VIEW_ACTIVE);
    tcp_proxy_refuse(proxy, false);
    stop(&b);
    stop(&a);
    tear_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_view_away_goes_on_when_the_database_is_back),
        cmocka_unit_test(test_view_away_leaves_the_lease_to_another_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
