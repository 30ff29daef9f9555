/* bench_condition.c: what conditions of appends cost, and what they cost others.
 *
 * Behind a long log, on SQLite and, with EXCORE_POSTGRES, there too: appends with
 * a fresh condition beside the same without one; and appends without a condition
 * while others ask for what takes a look at the whole log. */
#include <stdio.h>
#include <stdlib.h>

#include "support/condition_load.h"
#include "support/fresh_store.h"
#include "support/report.h"

#define IN_FLIGHT 256u
#define CLIENTS   4u

static void measure(const char *engine, const char *place, uint64_t events, double seconds,
                    int rounds)
{
    ex_store *store = NULL;
    ex_error err;
    samples plain = {0}, fresh = {0}, alone = {0}, beside = {0};
    char what[128];
    condition_load_fill(place, events);
    bench_require(ex_store_open(place, NULL, &store, &err), &err);
    for (int i = 0; i < rounds; i++) {
        samples_add(&plain, condition_load_run(store, false, IN_FLIGHT, seconds));
        samples_add(&fresh, condition_load_run(store, true, IN_FLIGHT, seconds));
        samples_add(&alone, condition_load_run(store, false, IN_FLIGHT, seconds));
        wide_clients *others = wide_clients_start(store, CLIENTS);
        samples_add(&beside, condition_load_run(store, false, IN_FLIGHT, seconds));
        (void)wide_clients_stop(others);
    }
    ex_store_close(store);
    (void)snprintf(what, sizeof(what),
                   "%sdurable appends with a fresh condition, behind %.3g million events, %u in "
                   "flight",
                   engine, (double)events / 1e6, IN_FLIGHT); /* fits */
    report_ratio(what, &fresh, "the same without", &plain, 0.5);
    (void)snprintf(what, sizeof(what),
                   "%sdurable appends while %u clients' conditions look at the whole log", engine,
                   CLIENTS); /* fits */
    report_ratio(what, &beside, "alone", &alone, 0.9);
}

int main(int argc, char **argv)
{
    uint64_t events = (uint64_t)bench_option(argc, argv, "--events", 1000000);
    uint64_t pg_events = (uint64_t)bench_option(argc, argv, "--postgres-events", 200000);
    double seconds = bench_option(argc, argv, "--seconds", 0.7);
    int rounds = (int)bench_option(argc, argv, "--rounds", 5);
    char place[BENCH_URL_SIZE];
    if (events)
        measure("", bench_dir("condition", place, sizeof(place)), events, seconds, rounds);
    if (pg_events && getenv("EXCORE_POSTGRES"))
        measure("PostgreSQL: ", bench_fresh_store("condition", place), pg_events, seconds, rounds);
    return 0;
}
