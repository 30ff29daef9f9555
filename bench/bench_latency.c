/* bench_latency.c: the slowest hundredth of durable appends, beside that of bare commits.
 *
 * What an append may take at most: its turn (p50), and half as long again as the
 * slowest hundredth of the disk's commits, of as many rows, in the same run. The
 * runs are long enough for several checkpoints. */
#include <excore/store.h>

#include <stdio.h>

#include "support/append_load.h"
#include "support/report.h"
#include "support/yardstick.h"

typedef struct figures {
    samples p50, p99, bare;
} figures;

static void run_ours(const char *dir, uint32_t in_flight, double seconds, figures *f)
{
    ex_store *store = NULL;
    ex_error err;
    latencies took = {0};
    bench_require(ex_store_open(dir, NULL, &store, &err), &err);
    (void)append_load_timed(store, in_flight, seconds, &took); /* the rate is bench_append's */
    ex_store_close(store);
    samples_add(&f->p50, latencies_at(&took, 0.5));
    samples_add(&f->p99, latencies_at(&took, 0.99));
    latencies_done(&took);
}

static void measure(const char *dir, const char *bare_dir, uint32_t in_flight, double seconds,
                    int rounds)
{
    figures f = {0};
    char what[96];
    ex_error err;
    for (int i = 0; i < rounds; i++) {
        double bare = 0;
        run_ours(dir, in_flight, seconds, &f);
        bench_require(yardstick_commit(bare_dir, in_flight, seconds / 2, &bare, &err), &err);
        samples_add(&f.bare, bare);
    }
    (void)snprintf(what, sizeof(what), "durable appends, %u in flight, p50", in_flight); /* fits */
    report_only(what, &f.p50, " ms");
    (void)snprintf(what, sizeof(what), "bare commits of %u rows, p99", in_flight);
    report_only(what, &f.bare, " ms");
    (void)snprintf(what, sizeof(what), "durable appends, %u in flight, p99", in_flight);
    report_at_most(what, &f.p99, " ms", 1.5 * samples_median(&f.bare) + samples_median(&f.p50));
}

int main(int argc, char **argv)
{
    static const uint32_t in_flight[] = {64, 256};
    double seconds = bench_option(argc, argv, "--seconds", 0.7) * 4;
    int rounds = (int)bench_option(argc, argv, "--rounds", 5);
    char dir[64], bare_dir[64];
    ex_store *store = NULL;
    ex_error err;
    (void)bench_dir("latency", dir, sizeof(dir));
    (void)bench_dir("bare", bare_dir, sizeof(bare_dir));
    bench_require(ex_store_open(bare_dir, NULL, &store, &err), &err); /* makes the tables */
    ex_store_close(store);
    for (size_t i = 0; i < sizeof(in_flight) / sizeof(in_flight[0]); i++)
        measure(dir, bare_dir, in_flight[i], seconds, rounds < 5 ? rounds : 5);
    return 0;
}
