/* bench_append.c: durable appends and log reads through the library, beside bare SQLite.
 *
 * Appends: one 256-byte event to a new stream each, a fixed number in flight,
 * kept by one feeding thread. The yardstick puts that number of rows into a
 * transaction. Both run in turn, several rounds; the medians are compared. */
#include <excore/store.h>

#include <dirent.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/yardstick.h"

#define ROUNDS_MAX 15

/* ---- The feeder ---- */

typedef struct slot {
    struct slot *next;
    struct feeder *feeder;
    char name[6 + EX_ID_TEXT_SIZE];
    ex_new_event event;
    ex_stream_write write;
    ex_append append;
} slot;

typedef struct feeder {
    ex_store *store;
    slot *slots;
    _Atomic(slot *) finished;
    _Atomic uint32_t is_sleeping;
    _Atomic uint64_t failed;
    uint64_t done;
} feeder;

static void on_done(void *ctx, ex_status status, const ex_appended *appended, const ex_error *err)
{
    (void)appended;
    (void)err;
    slot *s = ctx;
    feeder *f = s->feeder;
    if (status)
        f->failed++;
    slot *head = atomic_load_explicit(&f->finished, memory_order_relaxed);
    do
        s->next = head;
    while (!atomic_compare_exchange_weak(&f->finished, &head, s));
    if (atomic_load(&f->is_sleeping) && atomic_exchange(&f->is_sleeping, 0))
        syscall(SYS_futex, &f->is_sleeping, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static slot *wait_for_finished(feeder *f)
{
    for (;;) {
        slot *s = atomic_exchange(&f->finished, NULL);
        if (s)
            return s;
        atomic_store(&f->is_sleeping, 1);
        if (atomic_load(&f->finished)) {
            atomic_store(&f->is_sleeping, 0);
            continue;
        }
        while (atomic_load(&f->is_sleeping))
            syscall(SYS_futex, &f->is_sleeping, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0);
    }
}

static void submit(slot *s)
{
    ex_id id;
    ex_error err;
    if (ex_id_new(&id, &err))
        abort();
    s->write.stream = ex_slice_of(s->name, 6 + ex_id_text(&id, s->name + 6).len);
    if (ex_store_append_async(s->feeder->store, &s->append, NULL, on_done, s, &err)) {
        fprintf(stderr, "%s\n", err.message);
        abort();
    }
}

static void prepare(feeder *f, slot *s)
{
    s->feeder = f;
    memcpy(s->name, "order-", 6);
    s->event = (ex_new_event){.type = EX_S("OrderPlaced"),
                              .data = ex_slice_of(bench_data, BENCH_DATA_SIZE)};
    s->write = (ex_stream_write){.expected = EX_NO_STREAM, .events = &s->event, .event_count = 1};
    s->append = (ex_append){.writes = &s->write, .write_count = 1};
}

/* Rows a second with `in_flight` appends unanswered at any time. */
static double run_store(ex_store *store, uint32_t in_flight, double seconds)
{
    feeder f = {.store = store, .slots = calloc(in_flight, sizeof(slot))};
    const ex_clock *clock = ex_clock_system();
    uint64_t start = ex_monotonic_ns(clock), now = start;
    for (uint32_t i = 0; i < in_flight; i++) {
        prepare(&f, &f.slots[i]);
        submit(&f.slots[i]);
    }
    uint32_t open = in_flight;
    while (open) {
        for (slot *s = wait_for_finished(&f), *next; s; s = next) {
            next = s->next;
            f.done++;
            if ((double)(now - start) < seconds * 1e9)
                submit(s);
            else
                open--;
        }
        now = ex_monotonic_ns(clock);
    }
    free(f.slots);
    if (f.failed)
        fprintf(stderr, "%llu appends failed\n", (unsigned long long)f.failed);
    return (double)f.done * 1e9 / (double)(ex_monotonic_ns(clock) - start);
}

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

static void check(ex_status st, const ex_error *err)
{
    if (st == EX_OK)
        return;
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof(*values), compare_doubles);
    return values[count / 2];
}

static void measure_appends(const char *dir, uint32_t in_flight, double seconds, int rounds)
{
    double ours[ROUNDS_MAX], bare[ROUNDS_MAX], our_cpu[ROUNDS_MAX], bare_cpu[ROUNDS_MAX];
    ex_error err;
    for (int i = 0; i < rounds; i++) {
        ex_store *store = NULL;
        check(ex_store_open(dir, NULL, &store, &err), &err);
        uint64_t before = ex_store_head(store);
        ours[i] = run_store(store, in_flight, seconds);
        our_cpu[i] =
            (double)thread_cpu_ns("ex-sequencer") / 1e3 / (double)(ex_store_head(store) - before);
        ex_store_close(store);
        uint64_t cpu = thread_cpu_ns("bench_append");
        check(yardstick_insert(dir, in_flight, seconds, &bare[i], &err), &err);
        bare_cpu[i] = (double)(thread_cpu_ns("bench_append") - cpu) / 1e3 / (bare[i] * seconds);
    }
    double a = median(ours, rounds), b = median(bare, rounds);
    printf("%9u  %10.0f  %10.0f  %5.2f   %9.2f %9.2f\n", in_flight, a, b, a / b,
           median(our_cpu, rounds), median(bare_cpu, rounds));
    fflush(stdout);
}

static double scan_store(const char *dir)
{
    ex_store *store = NULL;
    ex_cursor *cursor = NULL;
    ex_error err;
    check(ex_store_open(dir, NULL, &store, &err), &err);
    const ex_clock *clock = ex_clock_system();
    uint64_t start = ex_monotonic_ns(clock), count = 0;
    volatile uint64_t sum = 0; /* keeps the reads */
    check(ex_store_read_log(store, &(ex_read_log){0}, &cursor, &err), &err);
    ex_event event;
    ex_status st;
    while ((st = ex_cursor_next(cursor, &event, &err)) == EX_OK) {
        sum = sum + event.data.len + (unsigned char)event.stream.ptr[0];
        count++;
    }
    uint64_t end = ex_monotonic_ns(clock);
    if (st != EX_EEND)
        check(st, &err);
    ex_cursor_close(cursor);
    ex_store_close(store);
    return (double)count * 1e9 / (double)(end - start);
}

static void measure_scan(const char *dir, int rounds)
{
    double ours[ROUNDS_MAX], bare[ROUNDS_MAX], joined[ROUNDS_MAX];
    ex_error err;
    for (int i = 0; i < rounds; i++) {
        ours[i] = scan_store(dir);
        check(yardstick_scan(dir, false, &bare[i], &err), &err);
        check(yardstick_scan(dir, true, &joined[i], &err), &err);
    }
    double a = median(ours, rounds), b = median(bare, rounds), j = median(joined, rounds);
    printf("log read   %10.0f  %10.0f  %5.2f   (with the stream's name joined: %.0f, %.2f)\n", a, b,
           a / b, j, a / j);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 1;
    int rounds = argc > 2 ? atoi(argv[2]) : 3;
    if (seconds <= 0 || rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "usage: %s [SECONDS [ROUNDS [IN_FLIGHT]]]\n", argv[0]);
        return 2;
    }
    static const uint32_t in_flight[] = {1, 8, 64, 256, 1024};
    char dir[] = "bench-append-XXXXXX", remove[64];
    if (!mkdtemp(dir))
        return 1;
    printf("durability full, in %s; CPU microseconds an event: sequencer, bare SQLite\n", dir);
    printf("in flight   appends/s  bare SQLite ratio    cpu: ours      bare\n");
    for (size_t i = 0; i < sizeof(in_flight) / sizeof(in_flight[0]); i++)
        if (argc <= 3 || (uint32_t)atoi(argv[3]) == in_flight[i])
            measure_appends(dir, in_flight[i], seconds, rounds);
    measure_scan(dir, rounds);
    (void)snprintf(remove, sizeof(remove), "rm -r %s", dir); /* always fits */
    return system(remove) == 0 ? 0 : 1;
}
