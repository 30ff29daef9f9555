/* bench_server.c: the server on a long log: start, memory, catch-up over an event stream. */
#include "support/append_load.h"
#include "support/report.h"
#include "support/server.h"
#include "support/sse_reader.h"

#include <stdio.h>

/* Follow the log from its start until the last event; events a second. */
static double catch_up(const bench_server *server, uint64_t events)
{
    sse_reader reader;
    double start = bench_seconds();
    sse_reader_open(&reader, server, 0);
    while (reader.last_id < events)
        sse_reader_read(&reader);
    double took = bench_seconds() - start;
    sse_reader_close(&reader);
    if (reader.events != events)
        fprintf(stderr, "bench: %llu events of %llu came\n", (unsigned long long)reader.events,
                (unsigned long long)events);
    return (double)events / took;
}

static void measure_start(const char *dir, uint64_t events, int rounds)
{
    samples ready = {0};
    bench_server server;
    for (int i = 0; i < rounds; i++) {
        bench_server_start(&server, dir);
        samples_add(&ready, server.ready_seconds * 1e3);
        bench_server_stop(&server);
    }
    char what[96];
    (void)snprintf(what, sizeof(what), "start of the server to its ready line, %.3g million events",
                   (double)events / 1e6);
    report_at_most(what, &ready, " ms", 50);
}

static void measure_serving(const char *dir, uint64_t events, int rounds)
{
    samples idle = {0}, after = {0}, rate = {0};
    bench_server server;
    bench_server_start(&server, dir);
    samples_add(&idle, bench_server_resident_mb(&server));
    for (int i = 0; i < rounds; i++)
        samples_add(&rate, catch_up(&server, events));
    samples_add(&after, bench_server_resident_mb(&server));
    bench_server_stop(&server);
    report_at_most("resident memory, idle", &idle, " MB", 30);
    report_at_most("resident memory after serving the log", &after, " MB", 30);
    report_at_least("catch-up over an event stream", &rate, " events/s", 100000);
}

int main(int argc, char **argv)
{
    uint64_t events = (uint64_t)bench_option(argc, argv, "--events", 1000000);
    int rounds = (int)bench_option(argc, argv, "--rounds", 3);
    char dir[64];
    append_load_fill(bench_dir("server", dir, sizeof(dir)), events);
    bench_server server;
    bench_server_start(&server, dir); /* the first one makes views.db */
    bench_server_stop(&server);
    measure_start(dir, events, rounds * 3);
    measure_serving(dir, events, rounds);
    return 0;
}
