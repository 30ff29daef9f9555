/* bench_tags.c: what tags cost an append, and pages by several tags.
 *
 * Appends with three tags beside the same without, on SQLite or, with --postgres 1,
 * on EXCORE_POSTGRES; there also pages of the events that have two tags beside a
 * plain table of the same rows with text[] and a GIN index, both after VACUUM
 * ANALYZE. */
#include <stdio.h>

#include "support/fresh_store.h"
#include "support/report.h"
#include "support/tag_load.h"

#define IN_FLIGHT 256u
#define PAGES     20u   /* of a sample */
#define PAGE      1000u /* more than there are in the default log */

static void measure_appends(const char *engine, const char *place, double seconds, int rounds)
{
    ex_store *store = NULL;
    ex_error err;
    samples tagged = {0}, plain = {0};
    char what[96];
    bench_require(ex_store_open(place, NULL, &store, &err), &err);
    (void)tag_load_run(store, true, IN_FLIGHT, 0.2); /* makes the names */
    for (int i = 0; i < rounds; i++) {
        samples_add(&tagged, tag_load_run(store, true, IN_FLIGHT, seconds));
        samples_add(&plain, tag_load_run(store, false, IN_FLIGHT, seconds));
    }
    ex_store_close(store);
    (void)snprintf(what, sizeof(what), "%sdurable appends with three tags, %u in flight", engine,
                   IN_FLIGHT); /* fits */
    report_ratio(what, &tagged, "without tags", &plain, 0.6);
}

static double pages_a_second(ex_store *store, uint64_t *ret_events)
{
    double start = bench_seconds();
    for (uint32_t i = 0; i < PAGES; i++)
        *ret_events += tag_load_page(store, i, PAGE);
    return PAGES / (bench_seconds() - start);
}

static double plain_a_second(ex_pg *pg, uint64_t *ret_events)
{
    ex_error err;
    uint64_t count = 0;
    double start = bench_seconds();
    for (uint32_t i = 0; i < PAGES; i++) {
        bench_require(tag_yardstick_page(pg, i, PAGE, &count, &err), &err);
        *ret_events += count;
    }
    return PAGES / (bench_seconds() - start);
}

static void measure_pages(uint64_t events, int rounds)
{
    ex_store *store = NULL;
    ex_pg *pg = NULL;
    ex_error err;
    samples ours = {0}, plain = {0};
    uint64_t got = 0, want = 0;
    char url[BENCH_URL_SIZE], what[96];
    tag_load_fill(bench_fresh_store("tags", url), events);
    bench_require(tag_yardstick_make(url, &err), &err);
    bench_require(ex_store_open(url, NULL, &store, &err), &err);
    /* planned for each page: a plan for any tags reads the whole table by position */
    const ex_pg_options options = {.url = url,
                                   .setup_sql = "SET plan_cache_mode = force_custom_plan"};
    bench_require(ex_pg_open(&options, &pg, &err), &err);
    (void)pages_a_second(store, &got);
    (void)plain_a_second(pg, &want);
    for (int i = 0; i < rounds; i++) {
        samples_add(&ours, pages_a_second(store, &got));
        samples_add(&plain, plain_a_second(pg, &want));
    }
    if (got != want)
        (void)fprintf(stderr, "bench_tags: %llu events, the yardstick has %llu\n",
                      (unsigned long long)got, (unsigned long long)want);
    ex_pg_close(pg);
    ex_store_close(store);
    (void)snprintf(what, sizeof(what),
                   "PostgreSQL: pages by two tags, %.0f of %.3g thousand events",
                   (double)got / (PAGES * (rounds + 1)), (double)events / 1e3); /* fits */
    report_ratio(what, &ours, "text[] with GIN", &plain, 0.33); /* within three times */
}

int main(int argc, char **argv)
{
    uint64_t events = (uint64_t)bench_option(argc, argv, "--events", 200000);
    double seconds = bench_option(argc, argv, "--seconds", 0.7);
    int rounds = (int)bench_option(argc, argv, "--rounds", 5);
    char place[BENCH_URL_SIZE];
    if (bench_option(argc, argv, "--postgres", 0) == 0) {
        measure_appends("", bench_dir("tags", place, sizeof(place)), seconds, rounds);
        return 0;
    }
    measure_appends("PostgreSQL: ", bench_fresh_store("tag_appends", place), seconds, rounds);
    measure_pages(events, rounds);
    return 0;
}
