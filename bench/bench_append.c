/* bench_append.c: durable appends through the library, beside bare SQLite.
 *
 * One 256-byte event to a new stream each, a fixed number in flight, kept by
 * one feeding thread. The yardstick puts that number of rows into a
 * transaction. Both write the same store in turn. With --cpu 1 also the
 * processor time of an event, which is steadier than the clock on a busy machine. */
#include <excore/store.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/append_load.h"
#include "support/report.h"
#include "support/yardstick.h"

/* ---- Processor time: steadier than the clock on a busy machine ---- */

static bool read_line(const char *path, char *out, int size)
{
    FILE *f = fopen(path, "r");
    bool has_line = f && fgets(out, size, f);
    if (f)
        (void)fclose(f); /* only read from */
    return has_line;
}

/* Nanoseconds that the threads of this process with this name have run. */
static uint64_t thread_cpu_ns(const char *name)
{
    uint64_t sum = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *e = tasks ? readdir(tasks) : NULL; e; e = readdir(tasks)) {
        char path[300], line[128];
        (void)snprintf(path, sizeof(path), "/proc/self/task/%s/comm", e->d_name);
        if (!read_line(path, line, sizeof(line)) || strncmp(line, name, strlen(name)) != 0)
            continue;
        (void)snprintf(path, sizeof(path), "/proc/self/task/%s/schedstat", e->d_name);
        if (read_line(path, line, sizeof(line)))
            sum += strtoull(line, NULL, 10);
    }
    if (tasks)
        (void)closedir(tasks);
    return sum;
}

/* ---- Measuring ---- */

typedef struct figures {
    samples ours, bare;        /* a second */
    samples our_cpu, bare_cpu; /* microseconds an event */
} figures;

static void run_ours(const char *dir, uint32_t in_flight, double seconds, figures *f)
{
    ex_store *store = NULL;
    ex_error err;
    bench_require(ex_store_open(dir, NULL, &store, &err), &err);
    uint64_t before = ex_store_head(store);
    samples_add(&f->ours, append_load_run(store, in_flight, seconds));
    samples_add(&f->our_cpu, (double)thread_cpu_ns("ex-sequencer") / 1e3 /
                                 (double)(ex_store_head(store) - before));
    ex_store_close(store);
}

static void run_bare(const char *dir, uint32_t in_flight, double seconds, figures *f)
{
    ex_error err;
    double rate = 0;
    uint64_t cpu = thread_cpu_ns("bench_append");
    bench_require(yardstick_insert(dir, in_flight, seconds, &rate, &err), &err);
    samples_add(&f->bare, rate);
    samples_add(&f->bare_cpu,
                (double)(thread_cpu_ns("bench_append") - cpu) / 1e3 / (rate * seconds));
}

static void measure(const char *dir, uint32_t in_flight, double seconds, int rounds, bool shows_cpu)
{
    figures f = {0};
    char what[64];
    for (int i = 0; i < rounds; i++) {
        run_ours(dir, in_flight, seconds, &f);
        run_bare(dir, in_flight, seconds, &f);
    }
    (void)snprintf(what, sizeof(what), "durable appends, %u in flight", in_flight); /* fits */
    report_ratio(what, &f.ours, "bare SQLite", &f.bare, in_flight >= 64 ? 0.7 : 0);
    if (shows_cpu) {
        report_only("processor time of an event, sequencer", &f.our_cpu, " us");
        report_only("processor time of an event, bare SQLite", &f.bare_cpu, " us");
    }
}

int main(int argc, char **argv)
{
    static const uint32_t in_flight[] = {1, 8, 64, 256, 1024};
    double seconds = bench_option(argc, argv, "--seconds", 0.7);
    int rounds = (int)bench_option(argc, argv, "--rounds", 5);
    uint32_t only = (uint32_t)bench_option(argc, argv, "--in-flight", 0);
    bool shows_cpu = bench_option(argc, argv, "--cpu", 0) != 0;
    char dir[64];
    (void)bench_dir("append", dir, sizeof(dir));
    for (size_t i = 0; i < sizeof(in_flight) / sizeof(in_flight[0]); i++)
        if (only == 0 || only == in_flight[i])
            measure(dir, in_flight[i], seconds, rounds, shows_cpu);
    return 0;
}
