/* bench_postgres.c: the store on PostgreSQL, from one node and from three.
 *
 * The server's URL is in the environment's EXCORE_POSTGRES; each load has a
 * schema of its own there. Nodes are processes. Subject and yardstick run in
 * turn on the same server, synchronous_commit=on. With --peers FILE the rates of
 * other event stores on that server ("NAME CONNECTIONS RATE" a line, see
 * peers/run.sh) stand beside ours. */
#include <excore/runtime.h>

#include <stdio.h>
#include <stdlib.h>

#include "support/append_load.h"
#include "support/command_load.h"
#include "support/fresh_store.h"
#include "support/log_scan.h"
#include "support/nodes.h"
#include "support/pg_yardstick.h"
#include "support/report.h"

/* ---- Nodes ---- */

typedef struct node_plan {
    const char *url;
    uint32_t in_flight; /* on each node */
    double seconds;
    bool runs_commands;
} node_plan;

typedef struct node {
    const node_plan *plan;
    ex_store *store;
    ex_runtime *runtime;
} node;

static void *open_node(void *ctx, uint32_t number)
{
    (void)number;
    node *n = calloc(1, sizeof(*n));
    ex_error err;
    if (!n)
        abort();
    n->plan = ctx;
    bench_require(ex_store_open(n->plan->url, NULL, &n->store, &err), &err);
    if (n->plan->runs_commands) {
        bench_require(ex_runtime_start(n->store, &command_load_app, NULL, &n->runtime, &err), &err);
        /* a long stream is read once; that is not what is measured */
        command_load first = {.runtime = n->runtime, .streams = 1, .in_flight = 1, .limit = 1};
        (void)command_load_run(&first);
    }
    return n;
}

static double run_node(void *opened)
{
    node *n = opened;
    if (!n->plan->runs_commands)
        return append_load_run(n->store, n->plan->in_flight, n->plan->seconds);
    command_load load = {.runtime = n->runtime,
                         .streams = 1,
                         .in_flight = n->plan->in_flight,
                         .seconds = n->plan->seconds};
    return command_load_run(&load);
}

static void close_node(void *opened)
{
    node *n = opened;
    ex_runtime_stop(n->runtime);
    ex_store_close(n->store);
    free(n);
}

static double run_nodes(const char *url, uint32_t nodes, uint32_t in_flight, bool runs_commands,
                        double seconds)
{
    node_plan plan = {url, in_flight, seconds, runs_commands};
    nodes_load load = {nodes, open_node, run_node, close_node, &plan};
    return nodes_run(&load);
}

/* ---- Rows ---- */

/* The best rate of a file of peers, 0 without one. */
static double best_peer(const char *path, char name[64])
{
    double best = 0, rate;
    char peer[48];
    unsigned connections;
    FILE *f = path ? fopen(path, "r") : NULL;
    while (f && fscanf(f, "%47s %u %lf", peer, &connections, &rate) == 3)
        if (rate > best) {
            best = rate;
            (void)snprintf(name, 64, "%s, %u connections", peer, connections); /* fits */
        }
    if (f)
        (void)fclose(f); /* only read from */
    return best;
}

static void measure_appends(uint32_t in_flight, double seconds, int rounds)
{
    samples one = {0}, three = {0}, shared = {0}, bare = {0};
    ex_error err;
    char url[BENCH_URL_SIZE], what[96];
    (void)bench_fresh_store("append", url);
    (void)run_nodes(url, 1, in_flight, false, 0.2); /* makes the schema and the type */
    for (int i = 0; i < rounds; i++) {
        double rate = 0;
        samples_add(&one, run_nodes(url, 1, in_flight, false, seconds));
        bench_require(pg_yardstick_insert(url, in_flight, seconds, &rate, &err), &err);
        samples_add(&bare, rate);
        samples_add(&three, run_nodes(url, 3, in_flight, false, seconds));
        samples_add(&shared, run_nodes(url, 3, in_flight / 3, false, seconds));
    }
    (void)snprintf(what, sizeof(what), "PostgreSQL: durable appends, %u in flight, one node",
                   in_flight);
    report_ratio(what, &one, "bare unnest", &bare, 0.6);
    (void)snprintf(what, sizeof(what),
                   "PostgreSQL: durable appends, three nodes, %u in flight on each", in_flight);
    report_ratio(what, &three, "one node", &one, 0.7);
    (void)snprintf(what, sizeof(what), "the same, %u in flight on all three together", in_flight);
    report_ratio(what, &shared, "one node", &one, 0);
}

/* Ours at 1,024 in flight beside theirs at their best. */
static void measure_peers(const char *path, double seconds, int rounds)
{
    samples ours = {0}, peer = {0};
    char url[BENCH_URL_SIZE], name[64];
    double best = best_peer(path, name);
    if (best == 0)
        return;
    (void)bench_fresh_store("peers", url);
    (void)run_nodes(url, 1, 1024, false, 0.2);
    for (int i = 0; i < rounds; i++) {
        samples_add(&ours, run_nodes(url, 1, 1024, false, seconds));
        samples_add(&peer, best);
    }
    report_ratio("PostgreSQL: durable appends, 1024 in flight, one node", &ours, name, &peer, 10);
}

static void measure_hot_stream(double seconds, int rounds)
{
    samples one = {0}, three = {0};
    char url[BENCH_URL_SIZE];
    (void)bench_fresh_store("hot", url);
    (void)run_nodes(url, 1, 256, true, 0.2);
    for (int i = 0; i < rounds; i++) {
        samples_add(&one, run_nodes(url, 1, 256, true, seconds));
        samples_add(&three, run_nodes(url, 3, 85, true, seconds));
    }
    report_ratio("PostgreSQL: commands on one hot stream, 256 in flight on three nodes", &three,
                 "one node", &one, 0.5);
}

static void measure_scan(uint64_t events, int rounds)
{
    samples ours = {0}, bare = {0};
    ex_error err;
    char url[BENCH_URL_SIZE];
    append_load_fill(bench_fresh_store("log", url), events);
    for (int i = 0; i < rounds; i++) {
        double rate = 0;
        samples_add(&ours, log_scan_run(url));
        bench_require(pg_yardstick_scan(url, &rate, &err), &err);
        samples_add(&bare, rate);
    }
    report_ratio("PostgreSQL: reading the log forward", &ours, "bare SELECT", &bare, 0.6);
}

static const char *text_option(int argc, char **argv, const char *name)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    return NULL;
}

int main(int argc, char **argv)
{
    double seconds = bench_option(argc, argv, "--seconds", 0.7);
    int rounds = (int)bench_option(argc, argv, "--rounds", 5);
    uint64_t events = (uint64_t)bench_option(argc, argv, "--events", 200000);
    const char *peers = text_option(argc, argv, "--peers");
    const char *only = text_option(argc, argv, "--only"); /* append, hot, log */
    if (!only || strcmp(only, "append") == 0) {
        measure_appends(64, seconds, rounds);
        measure_appends(256, seconds, rounds);
        measure_peers(peers, seconds, rounds);
    }
    if (!only || strcmp(only, "hot") == 0)
        measure_hot_stream(seconds, rounds);
    if (!only || strcmp(only, "log") == 0)
        measure_scan(events, rounds < 3 ? rounds : 3);
    return 0;
}
