/* server_storm.c: three nodes on one PostgreSQL, random ones killed under load, and the database
 * too.
 *
 *   server_storm [--seconds N] [--seed N]
 *
 * A round:
 *
 *   load      the clients of server_crash.c, two at each node, and a follower
 *   blow      SIGKILL to one, two or all three nodes at once; every eighth time SIGTERM; or the
 *             database server is killed and started (DATABASE_KILLS times in a run). Whoever was
 *             not hit goes on
 *   start     the nodes that were hit, under the load of the others; some are killed as they start
 *   check     the log: every acknowledged event once, where it was acknowledged; nothing in part,
 *             nothing twice, no gap; nothing of what was rejected or refused
 *   follow    the follower resumes at any node, without a gap; what it saw is in the log
 *   repeat    at any node, what got no answer: it takes effect once and is answered as the
 *             first time
 *   view      the rows, asked of any node, against a fold of the log
 *
 * In every round, while nodes die and write, one statement looks at the database: no row is newer
 * than its view's checkpoint, no order is missing before it, no checkpoint is ahead of the log.
 * In the end nothing runs: the rows are compared once more, and again with those of a fresh
 * rebuild.
 *
 * The seed fixes what the clients send and who is hit when, not how threads and nodes interleave.
 * (G-050) */
#include "support/postgres.h"

#include "crash/server_follower.h"
#include "crash/server_process.h"
#include "crash/server_run.h"
#include "crash/server_tally.h"
#include "sql/postgres/pg_conn.h"
#include "support/temp_dir.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <excore/clock.h>

#define NODES           LOAD_NODES_MAX
#define SECONDS_DEFAULT 30
#define DATABASE_KILLS  2
#define LOAD_MIN_MS     20
#define LOAD_MAX_MS     400
#define EARLY_MAX_MS    80
#define HEAD_MS         20000 /* until every node has heard of the last event; a busy machine */
#define SCHEMA          "storm"

static struct {
    uint64_t kills, all_at_once, early_kills, terms, database_kills;
    uint64_t rows, looks;
    server_tally attempts;
} counts;

static struct {
    temp_dir dir;
    char database[96]; /* folder of the cluster */
    char url[POSTGRES_URL_SIZE];
    char logs[NODES][96];
    server_options options[NODES];
    server_process nodes[NODES];
    server_load load;
    server_log *log;
    server_orders *orders;
    server_follower follower;
    uint64_t random;
} storm;

/* ---- The database ---- */

static void run_database(const char *verb, char *out, size_t size)
{
    if (!postgres_run(verb, storm.database, out, size))
        run_fail("postgres.sh %s failed", verb);
}

static void kill_database(void)
{
    (void)postgres_run("kill", storm.database, NULL, 0); /* perhaps it is not running */
}

static void run_sql(const char *sql, ex_pg_result *ret)
{
    ex_pg *pg = NULL;
    ex_error err = {0};
    if (ex_pg_open(&(ex_pg_options){.url = storm.url}, &pg, &err) ||
        (ret ? ex_pg_run(pg, ex_str(sql), NULL, ret, &err) : ex_pg_script(pg, sql, &err)))
        run_fail("%s: %s", sql, err.message);
    ex_pg_close(pg);
}

/* One statement sees one moment, whatever the nodes are doing. */
static void look_at_views(void)
{
    static const char sql[] =
        "SELECT v.position, h.position,"
        " (SELECT coalesce(max(last_position), 0) FROM " SCHEMA "_views.order_summary),"
        " (SELECT count(*) FROM " SCHEMA "_views.order_summary),"
        " (SELECT count(*) FROM events e"
        "  WHERE e.type = 'OrderCreated' AND e.position <= v.position)"
        " FROM " SCHEMA "_views.excore_views v, log_head h";
    ex_pg_result r = {0};
    run_sql(sql, &r);
    if (r.rows != 1)
        run_fail("%d views have a checkpoint", r.rows);
    int64_t n[5];
    for (int i = 0; i < 5; i++)
        n[i] = ex_pg_get_i64(&r, 0, i);
    ex_pg_result_free(&r);
    if (n[0] > n[1] || n[2] > n[0] || n[3] != n[4])
        run_fail("the log ends at %" PRId64 ", the view's checkpoint is %" PRId64
                 ", its newest row %" PRId64 "; it has %" PRId64 " orders of %" PRId64,
                 n[1], n[0], n[2], n[3], n[4]);
    counts.looks++;
}

static uint64_t head_in_database(void)
{
    ex_pg_result r = {0};
    run_sql("SELECT position FROM log_head", &r);
    uint64_t head = (uint64_t)ex_pg_get_i64(&r, 0, 0);
    ex_pg_result_free(&r);
    return head;
}

/* ---- Nodes ---- */

/* Sometimes with a small ring: the follower falls back to the log. */
static void choose_ring(unsigned i)
{
    storm.options[i].settings[1] =
        run_below(&storm.random, 2) ? "store.ring_limit=64KiB" : "store.ring_limit=8MiB";
}

static void start_node(unsigned i)
{
    choose_ring(i);
    server_start(&storm.nodes[i], &storm.options[i]);
}

static uint16_t any_port(void)
{
    return storm.nodes[run_below(&storm.random, NODES)].port;
}

/* ---- Blows ---- */

static void hit_nodes(const bool *is_hit)
{
    bool is_term = run.round % 8 == 7;
    for (unsigned i = 0; i < NODES; i++)
        if (is_hit[i])
            server_load_expect_end(&storm.load, i);
    for (unsigned i = 0; i < NODES; i++)
        if (is_hit[i])
            (void)server_signal(&storm.nodes[i], is_term ? SIGTERM : SIGKILL); /* waiting tells */
    for (unsigned i = 0; i < NODES; i++) {
        if (!is_hit[i])
            continue;
        if (is_term)
            server_ended_in_order(&storm.nodes[i]);
        else
            server_was_killed(&storm.nodes[i]);
        counts.terms += is_term;
        counts.kills += !is_term;
    }
}

static void bring_back(const bool *is_hit)
{
    for (unsigned i = 0; i < NODES; i++) {
        if (!is_hit[i])
            continue;
        if (run_below(&storm.random, 6) == 0) {
            choose_ring(i);
            server_start_and_kill(&storm.nodes[i], &storm.options[i],
                                  run_below(&storm.random, EARLY_MAX_MS));
            counts.early_kills++;
        }
        start_node(i);
    }
}

static void hit_database(void)
{
    server_load_expect_refusals(&storm.load);
    run_database("kill", NULL, 0);
    run_sleep_ms(run_below(&storm.random, 300));
    run_database("start", NULL, 0);
    counts.database_kills++;
}

static void choose(bool *is_hit)
{
    uint32_t left = run_below(&storm.random, 6) == 0 ? NODES : 1 + run_below(&storm.random, 2);
    counts.all_at_once += left == NODES;
    while (left > 0) {
        unsigned i = run_below(&storm.random, NODES);
        left -= !is_hit[i];
        is_hit[i] = true;
    }
}

/* The follower is at a node that is hit, or the connection would not end. */
static void load_and_blow(bool is_database)
{
    bool is_hit[NODES] = {false};
    uint16_t ports[NODES];
    unsigned victim = 0;
    if (!is_database)
        choose(is_hit);
    while (victim < NODES - 1 && !is_hit[victim])
        victim++;
    for (unsigned i = 0; i < NODES; i++)
        ports[i] = storm.nodes[i].port;
    server_load_start(&storm.load, ports, NODES, storm.log, storm.orders);
    if (!is_database)
        server_follower_start(&storm.follower, ports[victim]);
    run_sleep_ms(LOAD_MIN_MS + run_below(&storm.random, LOAD_MAX_MS - LOAD_MIN_MS + 1));
    if (is_database) {
        hit_database();
    } else {
        hit_nodes(is_hit);
        look_at_views();
        bring_back(is_hit);
    }
    run_sleep_ms(run_below(&storm.random, LOAD_MAX_MS));
    look_at_views();
    server_load_stop(&storm.load);
    server_load_join(&storm.load);
    if (!is_database)
        server_follower_join(&storm.follower);
}

/* ---- Checking ---- */

static uint64_t head_of(uint16_t port)
{
    http_reply r;
    ex_arena arena;
    ex_arena_init(&arena, (size_t)1 << 20);
    if (!http_call(port, "GET", "/v1/events?after=0&limit=1", NULL, EX_S(""), &r) ||
        r.status != 200)
        run_fail("a node that nobody ended does not show its log: %d", r.status);
    ex_json page = run_json(ex_buf_slice(&r.body), &arena);
    uint64_t head = run_number(&page, "head");
    http_reply_done(&r);
    ex_arena_done(&arena);
    return head;
}

/* Nobody writes any more, and a node hears a moment later of what another one wrote. */
static void read_log(void)
{
    uint64_t head = head_in_database(), give_up_ms = run_now_ms() + HEAD_MS;
    for (unsigned i = 0; i < NODES; i++)
        while (head_of(storm.nodes[i].port) != head) {
            if (run_now_ms() > give_up_ms)
                run_fail("node %u has not heard of position %" PRIu64, i, head);
            run_sleep_ms(2);
        }
    server_log_read(storm.log, any_port());
}

static void one_round(bool is_database)
{
    run.step = is_database ? "load, and the database killed" : "load";
    load_and_blow(is_database);
    run.step = "check";
    read_log();
    server_load_check(&storm.load, storm.log);
    server_tally_unanswered(&counts.attempts, &storm.load, storm.log);
    run.step = "follow";
    server_follower_check(&storm.follower, storm.log);
    server_follower_catch_up(&storm.follower, any_port(), server_log_head(storm.log));
    server_follower_check(&storm.follower, storm.log);
    run.step = "repeat";
    counts.attempts.repeated +=
        server_load_repeat(&storm.load, storm.log, any_port(), &storm.random);
    read_log();
    server_load_check(&storm.load, storm.log);
    server_tally_outcomes(&counts.attempts, &storm.load);
    run.step = "view";
    counts.rows += server_orders_check(storm.orders, any_port(), server_log_head(storm.log));
    if (run.round % 8 == 7 || is_database) {
        run.step = "read all again";
        server_log_read_again(storm.log, any_port());
    }
    server_load_clear(&storm.load);
}

/* ---- Begin and end ---- */

static void begin(void)
{
    char url[POSTGRES_URL_SIZE - 32] = "";
    storm.dir = temp_dir_make();
    run.dir = storm.dir.path;
    run.step = "start";
    snprintf(storm.database, sizeof storm.database, "%s/database", storm.dir.path);
    if (chmod(storm.dir.path, 0755) != 0) /* PostgreSQL may run as somebody else */
        run_fail("chmod %s", storm.dir.path);
    run.stop = kill_database;
    run_database("start", url, sizeof url);
    snprintf(storm.url, sizeof storm.url, "%s&schema=" SCHEMA, url);
    storm.orders = server_orders_new();
    storm.log = server_log_new(storm.orders);
    storm.random = run_random(1000, 1000);
    for (unsigned i = 0; i < NODES; i++) {
        snprintf(storm.logs[i], sizeof storm.logs[i], "%s/server-%u.log", storm.dir.path, i);
        storm.options[i] = (server_options){.data = storm.url,
                                            .log = storm.logs[i],
                                            .app = ORDERS_APP,
                                            .settings = {"runtime.lease_time=500ms"}};
        start_node(i);
    }
}

static void check_rows_by_library(void)
{
    if (server_orders_check_library(storm.orders, storm.url) != server_orders_count(storm.orders))
        run_fail("not every order was compared");
}

static void end(void)
{
    run.step = "end";
    for (unsigned i = 0; i < NODES; i++) {
        (void)server_signal(&storm.nodes[i], SIGTERM); /* waiting tells */
        server_ended_in_order(&storm.nodes[i]);
    }
    run.step = "rows when nothing runs";
    look_at_views();
    check_rows_by_library();
    run.step = "a fresh rebuild";
    run_sql("SET client_min_messages = error; DROP SCHEMA " SCHEMA "_views CASCADE", NULL);
    check_rows_by_library();
    look_at_views();
    run_database("stop", NULL, 0);
    run.stop = NULL;
    server_load_done(&storm.load);
    server_follower_done(&storm.follower);
    server_log_free(storm.log);
    server_orders_free(storm.orders);
    temp_dir_remove(&storm.dir);
}

static void print_counts(uint64_t begun_ms, uint64_t events)
{
    printf("%lu rounds in %" PRIu64 " s: %" PRIu64 " SIGKILL under load (%" PRIu64
           " times all three nodes at once), %" PRIu64 " while starting, %" PRIu64
           " SIGTERM, the database killed %" PRIu64 " times\n",
           run.round, (run_now_ms() - begun_ms) / 1000, counts.kills, counts.all_at_once,
           counts.early_kills, counts.terms, counts.database_kills);
    server_tally_print(&counts.attempts);
    printf("%" PRIu64 " events, %" PRIu64 " rows compared, %" PRIu64 " looks at the checkpoint\n",
           events, counts.rows, counts.looks);
}

int main(int argc, char **argv)
{
    uint64_t seconds = SECONDS_DEFAULT;
    run.seed = (uint64_t)ex_now_us(ex_clock_system());
    const run_option options[] = {{"--seconds", &seconds}, {"--seed", &run.seed}};
    run_read_options(argc, argv, options, 2);
    printf("seed %" PRIu64 ", %" PRIu64 " s\n", run.seed, seconds);
    fflush(stdout);
    begin();
    uint64_t begun_ms = run_now_ms(), span_ms = seconds * 1000;
    for (uint64_t at_ms = 0; at_ms < span_ms; at_ms = run_now_ms() - begun_ms, run.round++)
        one_round(at_ms > span_ms * (counts.database_kills + 1) / (DATABASE_KILLS + 1));
    uint64_t events = server_log_head(storm.log);
    end();
    print_counts(begun_ms, events);
    run.step = "counts";
    const server_tally *t = &counts.attempts;
    if (!t->acknowledged || !t->rejected || !t->unanswered || !t->repeated || !t->rows_asked ||
        counts.database_kills != DATABASE_KILLS)
        run_fail("some of what this test is about never happened; see the counts");
    return 0;
}
