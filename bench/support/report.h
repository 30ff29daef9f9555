/* report.h: samples of one figure, and rows of the table that bench/run.sh prints.
 *
 *     what | measured | yardstick | ratio | target | verdict
 *
 * A figure is the median of several short runs, printed with the lowest and
 * the highest. Subject and yardstick run in turn, so what disturbs the machine
 * disturbs both; the ratio is the median of the ratios of the turns. */
#ifndef EXCORE_BENCH_REPORT_H
#define EXCORE_BENCH_REPORT_H

#include <excore/error.h>

#define SAMPLES_MAX 31

typedef struct samples {
    double values[SAMPLES_MAX];
    int count;
} samples;

void samples_add(samples *s, double value);
double samples_median(const samples *s);

/** A rate beside its yardstick, of which there are as many samples.
 *  @param target the ratio to reach; 0: none, the row is for information */
void report_ratio(const char *what, const samples *rate, const char *yardstick_name,
                  const samples *yardstick, double target);
/** A figure of its own. @param unit "ms", "MB", "events/s" */
void report_at_least(const char *what, const samples *s, const char *unit, double target);
void report_at_most(const char *what, const samples *s, const char *unit, double target);
void report_only(const char *what, const samples *s, const char *unit);

/** Seconds of the monotonic clock. */
double bench_seconds(void);
/** A benchmark has nothing to hand a failure to: print it and exit. */
void bench_require(ex_status st, const ex_error *err);
/** The number behind the option `name` ("--rounds"), or `fallback`. */
double bench_option(int argc, char **argv, const char *name, double fallback);
/** A directory below the current one, which bench/run.sh makes and removes. Exits on failure. */
const char *bench_dir(const char *name, char *out, size_t room);

#endif
