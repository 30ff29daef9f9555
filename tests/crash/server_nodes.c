/* server_nodes.c: three nodes on one PostgreSQL, killed and stopped under load.
 *
 *   server_nodes [--kills N] [--seconds N] [--seed N]
 *
 *   stop      the node that applies the view's events is stopped (SIGSTOP) for longer than
 *             its lease and woken: another one goes on meanwhile, and the woken one writes nothing
 *   kill      the node that applies them is killed, N times, each time as soon as another
 *             took over; now and then another node with it
 *   end       the node that applies them ends by SIGTERM and has given its lease back
 *   check     the log: every acknowledged command once, positions contiguous; the view's
 *             rows on every node against a fold of the log
 *   rebuild   the view's schema is dropped: the rows of a fresh rebuild are the same, byte by byte
 *
 * R-PC-01, R-PC-02, R-PC-03: rows and checkpoint move together, whoever moves them. The seed fixes
 * what is sent and when signals come, not how threads and nodes interleave. (G-050) */
#include "support/postgres.h"

#include "crash/server_cluster.h"
#include "crash/server_run.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <excore/clock.h>

#define LEASE       "view:order_summary"
#define LEASE_MS    300
#define LEASE_TIME  "runtime.lease_time=300ms"
#define STOPS       6
#define HANDOVER_MS 20000 /* far more than it takes: a machine may be busy */
#define STEP_MAX_MS 60    /* between a handover and the next blow */

static server_cluster c;
static uint64_t random_state;
static struct {
    uint64_t kills, double_kills, stops, handover_ms, handover_max_ms, rows;
} counts;

/* ---- Holders ---- */

/* Wait until a node other than `not` holds the lease. */
static unsigned wait_for_holder(unsigned not )
{
    uint64_t end_ms = run_now_ms() + HANDOVER_MS;
    for (;;) {
        unsigned holder = cluster_holder(&c, LEASE);
        if (holder < CLUSTER_NODES && holder != not )
            return holder;
        if (run_now_ms() > end_ms)
            run_fail("no node took the lease");
        run_sleep_ms(5);
    }
}

static void note_handover(uint64_t since_ms)
{
    uint64_t took_ms = run_now_ms() - since_ms;
    counts.handover_ms += took_ms;
    if (took_ms > counts.handover_max_ms)
        counts.handover_max_ms = took_ms;
}

/* ---- Steps ---- */

static int64_t position_of_view(void)
{
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT max(position) FROM %s_views.excore_views", c.schema);
    return cluster_ask(&c, sql);
}

/* The view moves on although a node sleeps that believes it is the one to move it. */
static void stop_and_wake(void)
{
    unsigned sleeper = wait_for_holder(CLUSTER_NODES);
    run_sleep_ms(run_below(&random_state, STEP_MAX_MS));
    cluster_avoid(&c, sleeper);
    if (!server_signal(&c.nodes[sleeper], SIGSTOP))
        run_fail("node %u had ended", sleeper);
    (void)wait_for_holder(sleeper);
    int64_t before = position_of_view();
    uint64_t end_ms = run_now_ms() + HANDOVER_MS;
    while (position_of_view() <= before) {
        if (run_now_ms() > end_ms)
            run_fail("the view stands still at %" PRId64 " while a node sleeps", before);
        run_sleep_ms(5);
    }
    (void)server_signal(&c.nodes[sleeper], SIGCONT);
    cluster_use(&c, sleeper);
    counts.stops++;
}

static void kill_holder(void)
{
    unsigned holder = wait_for_holder(CLUSTER_NODES), second = CLUSTER_NODES;
    run_sleep_ms(run_below(&random_state, STEP_MAX_MS));
    uint64_t since_ms = run_now_ms();
    cluster_kill(&c, holder);
    counts.kills++;
    if (run_below(&random_state, 8) == 0) {
        second = (holder + 1 + run_below(&random_state, CLUSTER_NODES - 1)) % CLUSTER_NODES;
        cluster_kill(&c, second);
        counts.double_kills++;
    }
    (void)wait_for_holder(holder); /* a node that comes anew has another pid */
    note_handover(since_ms);
    cluster_start(&c, holder);
    if (second < CLUSTER_NODES)
        cluster_start(&c, second);
}

static void end_holder(void)
{
    unsigned holder = wait_for_holder(CLUSTER_NODES);
    cluster_end(&c, holder);
    (void)wait_for_holder(holder);
    cluster_start(&c, holder);
}

/* ---- Checking ---- */

/* All rows as one text. */
static void read_rows(ex_buf *out)
{
    char sql[192];
    ex_error err = {0};
    ex_pg_result r = {0};
    snprintf(sql, sizeof sql,
             "SELECT string_agg(t::text, E'\\n' ORDER BY order_id) FROM %s_views.order_summary t",
             c.schema);
    if (ex_pg_run(c.pg, ex_str(sql), NULL, &r, &err))
        run_fail("the rows: %s", err.message);
    ex_buf_put(out, ex_pg_get_slice(&r, 0, 0));
    ex_pg_result_free(&r);
    run_need(ex_buf_status(out) == EX_OK && out->len > 0);
}

static void drop_views(void)
{
    char sql[128];
    ex_error err = {0};
    snprintf(sql, sizeof sql, "SET client_min_messages = error; DROP SCHEMA %s_views CASCADE",
             c.schema);
    if (ex_pg_script(c.pg, sql, &err))
        run_fail("drop the views: %s", err.message);
}

/* The log as this node shows it, and its answers with min_position, whether it applies events or
 * not. */
static void check_node(unsigned node)
{
    server_orders *orders = server_orders_new();
    server_log *log = server_log_new(orders);
    server_log_read(log, c.nodes[node].port);
    if (server_log_head(log) != server_log_head(c.log))
        run_fail("node %u shows %" PRIu64 " events instead of %" PRIu64, node, server_log_head(log),
                 server_log_head(c.log));
    counts.rows += server_orders_check(orders, c.nodes[node].port, server_log_head(log));
    server_log_free(log);
    server_orders_free(orders);
}

static void compare_with_rebuild(void)
{
    ex_buf rows, fresh;
    ex_buf_init(&rows, 0);
    ex_buf_init(&fresh, 0);
    read_rows(&rows);
    for (unsigned i = 0; i < CLUSTER_NODES; i++)
        cluster_end(&c, i);
    drop_views();
    cluster_start(&c, 0);
    check_node(0);
    read_rows(&fresh);
    if (!ex_slice_eq(ex_buf_slice(&rows), ex_buf_slice(&fresh)))
        run_fail("the rows differ from those of a fresh rebuild");
    ex_buf_done(&rows);
    ex_buf_done(&fresh);
}

/* ---- The run ---- */

static void print_counts(void)
{
    printf("%" PRIu64 " kills (%" PRIu64 " of two nodes), %" PRIu64
           " stops; handover after %" PRIu64 " ms in the mean, %" PRIu64
           " ms at most (lease time %d ms)\n",
           counts.kills, counts.double_kills, counts.stops,
           counts.kills ? counts.handover_ms / counts.kills : 0, counts.handover_max_ms, LEASE_MS);
    printf("%llu commands acknowledged, %llu times sent again, %" PRIu64 " events, %" PRIu64
           " rows compared\n",
           (unsigned long long)atomic_load(&c.numbers), (unsigned long long)atomic_load(&c.resent),
           server_log_head(c.log), counts.rows);
}

int main(int argc, char **argv)
{
    uint64_t kills = 100, seconds = 60;
    run.seed = (uint64_t)ex_now_us(ex_clock_system());
    const run_option options[] = {
        {"--kills", &kills}, {"--seconds", &seconds}, {"--seed", &run.seed}};
    run_read_options(argc, argv, options, 3);
    printf("seed %" PRIu64 ", at most %" PRIu64 " kills and %" PRIu64 " s\n", run.seed, kills,
           seconds);
    fflush(stdout);
    random_state = run_random(1, 1);
    run.step = "start";
    cluster_init(&c, LEASE_TIME);
    for (unsigned i = 0; i < CLUSTER_NODES; i++)
        cluster_start(&c, i);
    cluster_write(&c);
    uint64_t end_ms = run_now_ms() + seconds * 1000;
    run.step = "stop";
    for (run.round = 0; run.round < STOPS; run.round++)
        stop_and_wake();
    run.step = "kill";
    for (run.round = 0; run.round < kills && run_now_ms() < end_ms; run.round++)
        kill_holder();
    run.step = "end";
    end_holder();
    run.step = "check";
    cluster_stop_writing(&c);
    for (unsigned i = 0; i < CLUSTER_NODES; i++)
        check_node(i);
    run.step = "rebuild";
    compare_with_rebuild();
    print_counts();
    cluster_done(&c);
    return 0;
}
