/* bench_log.c: a long log: reading it forward, and appending behind it.
 *
 * Reading: the cursor beside a bare SELECT of the same rows. Appending: to the
 * long log and to an empty store in turn, 256 in flight. */
#include <excore/store.h>

#include <stdio.h>

#include "support/append_load.h"
#include "support/log_scan.h"
#include "support/report.h"
#include "support/yardstick.h"

static void measure_scan(const char *dir, int rounds)
{
    samples ours = {0}, bare = {0}, joined = {0};
    ex_error err;
    for (int i = 0; i < rounds; i++) {
        double rate = 0;
        samples_add(&ours, log_scan_run(dir));
        bench_require(yardstick_scan(dir, false, &rate, &err), &err);
        samples_add(&bare, rate);
        bench_require(yardstick_scan(dir, true, &rate, &err), &err);
        samples_add(&joined, rate);
    }
    report_ratio("reading the log forward", &ours, "bare SELECT", &bare, 0.7);
    report_ratio("the same with the stream's name", &ours, "SELECT with join", &joined, 0);
}

static void measure_flat(const char *full_dir, const char *empty_dir, double seconds, int rounds)
{
    ex_store *full = NULL, *empty = NULL;
    samples long_log = {0}, fresh = {0};
    ex_error err;
    char what[96];
    bench_require(ex_store_open(full_dir, NULL, &full, &err), &err);
    bench_require(ex_store_open(empty_dir, NULL, &empty, &err), &err);
    (void)snprintf(what, sizeof(what), "durable appends behind %.3g million events, 256 in flight",
                   (double)ex_store_head(full) / 1e6);
    for (int i = 0; i < rounds; i++) {
        samples_add(&long_log, append_load_run(full, 256, seconds));
        samples_add(&fresh, append_load_run(empty, 256, seconds));
    }
    ex_store_close(full);
    ex_store_close(empty);
    report_ratio(what, &long_log, "empty store", &fresh, 0.8);
}

int main(int argc, char **argv)
{
    uint64_t events = (uint64_t)bench_option(argc, argv, "--events", 1000000);
    double seconds = bench_option(argc, argv, "--seconds", 0.7);
    int rounds = (int)bench_option(argc, argv, "--rounds", 5);
    char full_dir[64], empty_dir[64];
    append_load_fill(bench_dir("log", full_dir, sizeof(full_dir)), events);
    measure_scan(full_dir, rounds < 3 ? rounds : 3);
    measure_flat(full_dir, bench_dir("empty", empty_dir, sizeof(empty_dir)), seconds, rounds);
    return 0;
}
