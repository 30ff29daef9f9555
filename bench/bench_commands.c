/* bench_commands.c: durable commands through the library beside durable appends.
 *
 * Four loads run in turn with the same number in flight: appends to new streams,
 * appends to 10,000 streams, commands on 10,000 streams, commands on one. */
#include <stdio.h>

#include "support/append_load.h"
#include "support/command_load.h"
#include "support/report.h"

#define STREAMS 10000u

static void measure(ex_store *store, ex_runtime *runtime, uint32_t in_flight, double seconds,
                    int rounds)
{
    samples appends = {0}, spread = {0}, many = {0}, one = {0};
    command_load load = {.runtime = runtime, .in_flight = in_flight};
    char what[96];
    for (int i = 0; i < rounds; i++) {
        samples_add(&appends, append_load_run(store, in_flight, seconds));
        samples_add(&spread, append_load_spread(store, STREAMS, in_flight, seconds));
        /* the appends' new streams have pushed the 10,000 out of the store's cache */
        load.streams = STREAMS;
        load.seconds = 0;
        load.limit = STREAMS;
        (void)command_load_run(&load);
        load.seconds = seconds;
        load.limit = 0;
        samples_add(&many, command_load_run(&load));
        load.streams = 1;
        samples_add(&one, command_load_run(&load));
    }
    (void)snprintf(what, sizeof(what), "durable commands, 10,000 streams, %u in flight", in_flight);
    report_ratio(what, &many, "appends", &appends, 0.8);
    report_ratio("the same, beside appends to 10,000 streams", &many, "appends", &spread, 0);
    (void)snprintf(what, sizeof(what), "durable commands, one hot stream, %u in flight", in_flight);
    report_ratio(what, &one, "appends", &appends, 0.8);
}

int main(int argc, char **argv)
{
    double seconds = bench_option(argc, argv, "--seconds", 0.7);
    int rounds = (int)bench_option(argc, argv, "--rounds", 5);
    ex_store *store = NULL;
    ex_runtime *runtime = NULL;
    ex_error err;
    char dir[64];
    bench_require(ex_store_open(bench_dir("commands", dir, sizeof(dir)), NULL, &store, &err), &err);
    bench_require(ex_runtime_start(store, &command_load_app, NULL, &runtime, &err), &err);
    measure(store, runtime, 256, seconds, rounds);
    measure(store, runtime, 1024, seconds, rounds);
    ex_runtime_stop(runtime);
    ex_store_close(store);
    return 0;
}
