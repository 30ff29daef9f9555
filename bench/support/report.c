/* report.c: medians, and rows of the table. */
#include "support/report.h"

#include <excore/clock.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* ---- Samples ---- */

void samples_add(samples *s, double value)
{
    assert(s->count < SAMPLES_MAX);
    s->values[s->count++] = value;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static samples sorted(const samples *s)
{
    samples copy = *s;
    qsort(copy.values, (size_t)copy.count, sizeof(double), compare_doubles);
    return copy;
}

double samples_median(const samples *s)
{
    samples in_order = sorted(s);
    assert(s->count > 0);
    double upper = in_order.values[s->count / 2];
    return s->count % 2 ? upper : (upper + in_order.values[s->count / 2 - 1]) / 2;
}

/* ---- Rows ---- */

#define FIGURE_SIZE 128

/* 123456 as "123,456", 1.5 as "1.50" */
static const char *print_number(double value, char *out)
{
    char digits[32];
    if (value < 1000) {
        (void)snprintf(out, 32, "%.*f", value < 10 ? 2 : value < 100 ? 1 : 0, value); /* fits */
        return out;
    }
    int len = snprintf(digits, sizeof(digits), "%.0f", value);
    char *at = out;
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            *at++ = ',';
        *at++ = digits[i];
    }
    *at = '\0';
    return out;
}

/* "1,234/s (1,100 to 1,300)" */
static const char *print_figure(const samples *s, const char *unit, char out[FIGURE_SIZE])
{
    char middle[32], low[32], high[32];
    samples in_order = sorted(s);
    (void)print_number(samples_median(s), middle);
    if (s->count == 1)
        (void)snprintf(out, FIGURE_SIZE, "%s%s", middle, unit); /* fits */
    else
        (void)snprintf(out, FIGURE_SIZE, "%s%s (%s to %s)", middle, unit, /* fits */
                       print_number(in_order.values[0], low),
                       print_number(in_order.values[s->count - 1], high));
    return out;
}

static const char *verdict(bool is_met, double short_by, char *out, size_t room)
{
    if (is_met)
        return "met";
    (void)snprintf(out, room, "**missed by %.0f %%**", short_by * 100); /* fits */
    return out;
}

void report_ratio(const char *what, const samples *rate, const char *yardstick_name,
                  const samples *yardstick, double target)
{
    char measured[FIGURE_SIZE], bare[FIGURE_SIZE], result[48] = "";
    samples ratios = {0};
    assert(rate->count == yardstick->count);
    for (int i = 0; i < rate->count; i++)
        samples_add(&ratios, rate->values[i] / yardstick->values[i]);
    double ratio = samples_median(&ratios);
    printf("| %s | %s | %s: %s | %.2f | ", what, print_figure(rate, "/s", measured), yardstick_name,
           print_figure(yardstick, "/s", bare), ratio);
    if (target > 0)
        printf("%.2f | %s |\n", target,
               verdict(ratio >= target, 1 - ratio / target, result, sizeof(result)));
    else
        printf("| |\n");
    fflush(stdout);
}

static void report_limit(const char *what, const samples *s, const char *unit, double target,
                         bool is_floor)
{
    char measured[FIGURE_SIZE], number[32], result[48];
    double middle = samples_median(s);
    bool is_met = is_floor ? middle >= target : middle <= target;
    double short_by = is_floor ? 1 - middle / target : middle / target - 1;
    printf("| %s | %s | | | %s %s%s | %s |\n", what, print_figure(s, unit, measured),
           is_floor ? "≥" : "≤", print_number(target, number), unit,
           verdict(is_met, short_by, result, sizeof(result)));
    fflush(stdout);
}

void report_at_least(const char *what, const samples *s, const char *unit, double target)
{
    report_limit(what, s, unit, target, true);
}

void report_at_most(const char *what, const samples *s, const char *unit, double target)
{
    report_limit(what, s, unit, target, false);
}

void report_only(const char *what, const samples *s, const char *unit)
{
    char measured[FIGURE_SIZE];
    printf("| %s | %s | | | | |\n", what, print_figure(s, unit, measured));
    fflush(stdout);
}

/* ---- Programs ---- */

double bench_seconds(void)
{
    return (double)ex_monotonic_ns(ex_clock_system()) / 1e9;
}

void bench_require(ex_status st, const ex_error *err)
{
    if (st == EX_OK)
        return;
    fprintf(stderr, "bench: %s\n", err->message);
    exit(1);
}

double bench_option(int argc, char **argv, const char *name, double fallback)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return atof(argv[i + 1]);
    return fallback;
}

const char *bench_dir(const char *name, char *out, size_t room)
{
    (void)snprintf(out, room, "%s-XXXXXX", name); /* names are short */
    if (!mkdtemp(out)) {
        perror(name);
        exit(1);
    }
    return out;
}
