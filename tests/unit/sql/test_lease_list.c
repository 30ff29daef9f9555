/* test_lease_list.c: listing nodes and leases over a connection that stays. */
#include "sql/lease.h"
#include "sql/lease_list.h"
#include "sql/postgres/pg_lease.h"
#include "support/assert_ok.h"
#include "support/postgres.h"
#include "support/tcp_proxy.h"

#include <excore/clock.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

static ex_error err;

typedef struct told {
    uint32_t nodes, leases;
} told;

static void tell_node(void *ctx, const ex_node_info *info)
{
    assert_true(info->is_live);
    ((told *)ctx)->nodes++;
}

static void tell_lease(void *ctx, const ex_lease_info *info)
{
    assert_true(ex_slice_is(info->name, "view:a"));
    ((told *)ctx)->leases++;
}

static int64_t ask(ex_pg *pg, const char *sql)
{
    ex_pg_result r = {0};
    assert_ok(ex_pg_run(pg, ex_str(sql), NULL, &r, &err));
    assert_int_equal(r.rows, 1);
    int64_t value = ex_pg_get_i64(&r, 0, 0);
    ex_pg_result_free(&r);
    return value;
}

/* List, and give the backend that did it: there is exactly one. */
static int64_t list(ex_pg *pg, ex_lease_lister *l)
{
    told t = {0, 0};
    char sql[256];
    assert_ok(ex_lease_lister_read(l, &(ex_lease_list){NULL, tell_node, tell_lease, &t}, &err));
    assert_int_equal(t.nodes, 1);
    assert_int_equal(t.leases, 1);
    (void)snprintf(sql, sizeof(sql),
                   "SELECT max(pid)::bigint FROM pg_stat_activity WHERE application_name = "
                   "'lister_%d' HAVING count(*) = 1",
                   (int)getpid());
    return ask(pg, sql);
}

/* A server that is asked often does not connect each time, and outlives its connection. */
static void test_lease_lister_stays_connected(void **state)
{
    (void)state;
    char url[POSTGRES_URL_SIZE], lister_url[POSTGRES_URL_SIZE + 64], sql[256];
    ex_pg *pg = NULL;
    ex_leases *node = NULL;
    ex_lease *lease = NULL;
    ex_lease_lister *l = NULL;
    (void)postgres_schema_url(postgres_url(), "lease_list", url);
    (void)snprintf(lister_url, sizeof(lister_url), "%s&application_name=lister_%d", url,
                   (int)getpid());
    assert_ok(ex_pg_open(&(ex_pg_options){.url = url}, &pg, &err));
    (void)snprintf(sql, sizeof(sql), "CREATE SCHEMA %s", ex_pg_target_of(pg)->schema);
    assert_ok(ex_pg_script(pg, sql, &err));
    assert_ok(ex_pg_script(pg, pg_lease_schema, &err));
    assert_ok(ex_leases_start(&(ex_leases_options){.url = url, .ttl_ms = 60000}, &node, &err));
    assert_ok(ex_lease_want(node, "view:a", NULL, NULL, &lease, &err));
    assert_true(ex_leases_wait(node, 20000));

    assert_ok(ex_lease_lister_new(lister_url, &l, &err));
    int64_t first = list(pg, l);
    assert_int_equal(list(pg, l), first);
    (void)snprintf(sql, sizeof(sql), "SELECT pg_terminate_backend(%d, 5000)::int", (int)first);
    assert_int_equal(ask(pg, sql), 1);
    assert_int_not_equal(list(pg, l), first);

    ex_lease_lister_free(l);
    ex_lease_drop(lease);
    ex_leases_stop(node);
    postgres_drop_schema(url);
    ex_pg_close(pg);
}

static uint64_t now_ns(void)
{
    return ex_monotonic_ns(ex_clock_system());
}

static ex_status list_nothing(ex_lease_lister *l)
{
    told t = {0, 0};
    return ex_lease_lister_read(l, &(ex_lease_list){NULL, tell_node, tell_lease, &t}, &err);
}

/* G-803, issue 8, item 14: a status that is being made when the program has to end, and the database
 * answers nobody. Without the bound a list takes five seconds, or ten. */
static void test_lease_lister_ends_in_time(void **state)
{
    (void)state;
    char url[POSTGRES_URL_SIZE];
    ex_lease_lister *l = NULL;
    tcp_proxy *proxy = tcp_proxy_start();
    assert_ok(ex_lease_lister_new(tcp_proxy_url(proxy, "lister_end", url), &l, &err));
    assert_ok(list_nothing(l));
    tcp_proxy_freeze(proxy, true);
    uint64_t begun_ns = now_ns();
    ex_lease_lister_end_by(l, begun_ns + 100000000);
    assert_int_not_equal(list_nothing(l), EX_OK);
    assert_int_not_equal(list_nothing(l), EX_OK); /* connecting ends, too */
    assert_in_range(now_ns() - begun_ns, 0, 4000000000);
    ex_lease_lister_free(l);
    tcp_proxy_stop(proxy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lease_lister_stays_connected),
        cmocka_unit_test(test_lease_lister_ends_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
