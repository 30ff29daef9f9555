/* test_pg_beside.c: connections that die without a word, and those that only look like it. */
#include "sql/postgres/pg_conn.h"
#include "support/postgres.h"
#include "support/assert_ok.h"
#include "support/tcp_proxy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include <excore/clock.h>

static ex_error err;

static uint64_t now_ms(void)
{
    return ex_monotonic_ns(ex_clock_system()) / 1000000;
}

static ex_pg *open_with(const ex_pg_options *options)
{
    ex_pg *pg = NULL;
    assert_ok(ex_pg_open(options, &pg, &err));
    return pg;
}

static int64_t ask(ex_pg *pg, const char *sql)
{
    ex_pg_result r = {0};
    assert_ok(ex_pg_run(pg, ex_str(sql), NULL, &r, &err));
    int64_t value = ex_pg_get_i64(&r, 0, 0);
    ex_pg_result_free(&r);
    return value;
}

/* G-801, issue 8, item 14: what the server has answered does not arrive. It answers others: the
 * wait ends, and so does the session, with the locks that it held. */
static void test_pg_beside_dead_connection_is_given_up(void **state)
{
    (void)state;
    char url[POSTGRES_URL_SIZE], sql[128];
    tcp_proxy *proxy = tcp_proxy_start();
    tcp_proxy_url(proxy, "beside", url);
    ex_pg *pg = open_with(&(ex_pg_options){.url = url}), *other = NULL;
    int64_t pid = ask(pg, "SELECT pg_backend_pid()");
    assert_ok(ex_pg_script(pg, "BEGIN; SELECT pg_advisory_xact_lock(8014801)", &err));
    tcp_proxy_mute_flow(proxy, 0);
    uint64_t begun = now_ms();
    assert_int_equal(ex_pg_run(pg, EX_S("SELECT 1"), NULL, NULL, &err), EX_EAGAIN);
    assert_in_range(now_ms() - begun, 900, 2500);
    assert_true(ex_pg_is_broken(pg));
    other = open_with(&(ex_pg_options){.url = postgres_url()});
    (void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM pg_locks WHERE pid = %d", (int)pid);
    for (int i = 0; i < 200 && ask(other, sql) != 0; i++)
        (void)ask(other, "SELECT 1::bigint FROM pg_sleep(0.01)");
    assert_int_equal(ask(other, sql), 0);
    assert_ok(ex_pg_reopen(pg, &err));
    assert_int_equal(ask(pg, "SELECT 2::bigint"), 2);
    ex_pg_close(other);
    ex_pg_close(pg);
    tcp_proxy_stop(proxy);
}

/* A statement that takes long is none of that: it is asked about, and waited for. */
static void test_pg_beside_slow_statement_is_waited_for(void **state)
{
    (void)state;
    char url[POSTGRES_URL_SIZE];
    tcp_proxy *proxy = tcp_proxy_start();
    ex_pg *pg = open_with(&(ex_pg_options){.url = tcp_proxy_url(proxy, "beside", url)});
    assert_int_equal(ask(pg, "SELECT 3::bigint FROM pg_sleep(1.3)"), 3);
    assert_true(tcp_proxy_flows(proxy) > 1); /* it was */
    ex_pg_close(pg);
    tcp_proxy_stop(proxy);
}

/* G-802: a server that answers nobody is waited for until the deadline, and no longer; and the end
 * of the process may come nearer while one waits. */
static void test_pg_beside_waits_end_in_time(void **state)
{
    (void)state;
    char url[POSTGRES_URL_SIZE];
    _Atomic uint64_t end_ns = UINT64_MAX;
    tcp_proxy *proxy = tcp_proxy_start();
    tcp_proxy_url(proxy, "beside", url);
    ex_pg *pg = open_with(&(ex_pg_options){.url = url, .end_ns = &end_ns});
    tcp_proxy_freeze(proxy, true);
    ex_pg_allow(pg, 400);
    uint64_t begun = now_ms();
    assert_int_equal(ex_pg_run(pg, EX_S("SELECT 1"), NULL, NULL, &err), EX_ETIMEOUT);
    assert_int_equal(ex_pg_reopen(pg, &err), EX_ETIMEOUT); /* of the same time */
    assert_in_range(now_ms() - begun, 390, 800);
    ex_pg_set_deadline(pg, UINT64_MAX);
    atomic_store(&end_ns, ex_monotonic_ns(ex_clock_system()) + 300000000);
    begun = now_ms();
    assert_int_equal(ex_pg_reopen(pg, &err), EX_ETIMEOUT);
    assert_in_range(now_ms() - begun, 290, 700);
    atomic_store(&end_ns, UINT64_MAX);
    tcp_proxy_freeze(proxy, false);
    assert_ok(ex_pg_reopen(pg, &err));
    ex_pg_close(pg);
    tcp_proxy_stop(proxy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pg_beside_dead_connection_is_given_up),
        cmocka_unit_test(test_pg_beside_slow_statement_is_waited_for),
        cmocka_unit_test(test_pg_beside_waits_end_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
