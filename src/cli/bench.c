/* bench.c: the verb `bench`: appends under load, and a table of what they took. */
#include "cli/bench_run.h"
#include "cli/cli.h"
#include "cli/interrupt.h"
#include "cli/place.h"
#include "sql/postgres/pg_url.h"

#include <excore/json.h>

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#define ROWS_MAX        16
#define IN_FLIGHT_MAX   100000
#define EVENT_BYTES_MAX 1000000
#define SECONDS_MAX     86400
#define QUEUE_LIMIT     131072 /* above IN_FLIGHT_MAX: the load never meets it */

typedef struct row {
    uint32_t in_flight;
    uint64_t appends, errors;
    double seconds, rate;
    uint64_t p50_ns, p95_ns, p99_ns, max_ns;
} row;

typedef struct bench {
    const char *url; /* NULL: a directory */
    const char *data;
    char temporary[PLACE_TEXT_SIZE]; /* "": none */
    ex_durability durability;
    char file_system[PLACE_TEXT_SIZE], device[PLACE_TEXT_SIZE];
    ex_store *store;
    uint32_t event_bytes;
    double seconds;
    uint32_t in_flight[ROWS_MAX];
    row rows[ROWS_MAX];
    size_t wanted, measured;
    char error[EX_ERROR_MESSAGE_SIZE]; /* of the last append that failed */
} bench;

/* ---- The arguments ---- */

static ex_status take_in_flight(bench *b, const char *text, ex_error *err)
{
    ex_slice item;
    for (ex_slice rest = ex_str(text); args_next_item(&rest, &item);) {
        char number[16];
        uint64_t n = 0;
        (void)snprintf(number, sizeof(number), "%.*s", EX_ARG(item)); /* a cut one is too large */
        if (!args_parse_number(number, &n) || n < 1 || n > IN_FLIGHT_MAX || b->wanted == ROWS_MAX)
            return ex_raise(err, EX_EINVAL,
                            "option '--in-flight' wants up to %d numbers from 1 to %d, not '%s'",
                            ROWS_MAX, IN_FLIGHT_MAX, text);
        b->in_flight[b->wanted++] = (uint32_t)n;
    }
    if (b->wanted == 0)
        return ex_raise(err, EX_EINVAL, "option '--in-flight' wants a number");
    return EX_OK;
}

/* The environment's places are left out: load goes only where somebody pointed. */
static ex_status take_arguments(bench *b, const args *a, ex_error *err)
{
    uint64_t seconds = args_number(a, "seconds", 5), bytes = args_number(a, "size", 256);
    if (seconds < 1 || seconds > SECONDS_MAX)
        return ex_raise(err, EX_EINVAL, "option '--seconds' wants 1 to %d", SECONDS_MAX);
    if (bytes < BENCH_EVENT_MIN || bytes > EVENT_BYTES_MAX)
        return ex_raise(err, EX_EINVAL, "option '--size' wants %d to %d", BENCH_EVENT_MIN,
                        EVENT_BYTES_MAX);
    b->url = args_text(a, "url", NULL);
    b->data = args_text(a, "data", NULL);
    if (b->url && b->data)
        return ex_raise(err, EX_EINVAL, "--data and --url exclude each other");
    if (b->url && args_has(a, "durability"))
        return ex_raise(err, EX_EINVAL, "the server decides about --durability");
    if (strcmp(args_text(a, "durability", "full"), "normal") == 0)
        b->durability = EX_DURABILITY_NORMAL;
    b->seconds = (double)seconds;
    b->event_bytes = (uint32_t)bytes;
    return take_in_flight(b, args_text(a, "in-flight", "1,8,64,256"), err);
}

/* ---- Measuring ---- */

static ex_status open_store(bench *b, ex_error *err)
{
    if (b->url)
        return EX_OK;
    ex_status status = EX_OK;
    if (!b->data) {
        status = place_make_temporary(b->temporary, err);
        b->data = b->temporary;
    }
    const ex_store_options options = {.durability = b->durability, .queue_limit = QUEUE_LIMIT};
    if (!status)
        status = ex_store_open(b->data, &options, &b->store, err);
    if (!status)
        place_describe(b->data, b->file_system, b->device);
    return status;
}

static void close_store(bench *b)
{
    ex_store_close(b->store);
    if (b->temporary[0])
        place_remove(b->temporary);
}

static row summary(const bench_run *r)
{
    row out = {.in_flight = r->in_flight, .appends = r->latency.count, .errors = r->errors};
    out.seconds = (double)(r->ended_ns - r->started_ns) / 1e9;
    out.rate = out.seconds > 0 ? (double)out.appends / out.seconds : 0;
    out.p50_ns = histogram_quantile(&r->latency, 0.50);
    out.p95_ns = histogram_quantile(&r->latency, 0.95);
    out.p99_ns = histogram_quantile(&r->latency, 0.99);
    out.max_ns = r->latency.max;
    return out;
}

static ex_status measure(bench *b, size_t index, ex_error *err)
{
    char label[EX_ID_TEXT_SIZE];
    ex_id id;
    ex_status status = ex_id_new(&id, err);
    if (status)
        return status;
    bench_run *r = calloc(1, sizeof(*r));
    if (!r)
        return ex_raise(err, EX_ENOMEM, "out of memory");
    r->in_flight = b->in_flight[index];
    r->event_bytes = b->event_bytes;
    r->seconds = b->seconds;
    r->label = ex_id_text(&id, label).ptr;
    r->has_live_line = isatty(STDERR_FILENO);
    status = b->url ? bench_remote(b->url, r, err) : bench_local(b->store, r, err);
    if (r->has_live_line)
        fprintf(stderr, "\r\x1b[K");
    if (!status) {
        b->rows[b->measured++] = summary(r);
        if (r->errors > 0)
            (void)snprintf(b->error, sizeof(b->error), "%s", r->last_error.message);
    }
    free(r);
    return status;
}

/* ---- The table ---- */

static const char *durability_name(const bench *b)
{
    return b->url ? "the server's" : b->durability == EX_DURABILITY_FULL ? "full" : "normal";
}

static void print_latency(uint64_t ns)
{
    double ms = (double)ns / 1e6;
    printf("  %6.*f ms", ms < 10 ? 2 : ms < 100 ? 1 : 0, ms);
}

static void print_table(const bench *b)
{
    printf("Appends of one event of %" PRIu32 " bytes, each to a new stream, %.0f s a row\n",
           b->event_bytes, b->seconds);
    char place[EX_PG_PLACE_SIZE];
    if (b->url)
        printf("server %s, one HTTP/1.1 connection for each append in flight\n", b->url);
    else
        printf("durability %s (%s), store %s%s\nfile system %s on %s\n", durability_name(b),
               b->durability == EX_DURABILITY_FULL ? "acknowledged after fsync"
                                                   : "acknowledged after the write",
               ex_pg_show_place(b->data, place), b->temporary[0] ? " (removed)" : "",
               b->file_system, b->device);
    printf("\n%9s %10s %10s %10s %10s %10s  %6s\n", "in flight", "appends/s", "p50", "p95", "p99",
           "max", "errors");
    for (size_t i = 0; i < b->measured; i++) {
        const row *r = &b->rows[i];
        printf("%9" PRIu32 " %10.0f", r->in_flight, r->rate);
        print_latency(r->p50_ns);
        print_latency(r->p95_ns);
        print_latency(r->p99_ns);
        print_latency(r->max_ns);
        printf("  %6" PRIu64 "\n", r->errors);
    }
    if (b->error[0])
        printf("\nlast error: %s\n", b->error);
}

static void put_number(ex_json_writer *w, const char *key, double value)
{
    ex_json_double_member(w, ex_str(key), value);
}

static void put_row(ex_json_writer *w, const row *r)
{
    ex_json_begin_object(w);
    put_number(w, "in_flight", r->in_flight);
    put_number(w, "appends", (double)r->appends);
    put_number(w, "errors", (double)r->errors);
    put_number(w, "seconds", r->seconds);
    put_number(w, "rate", r->rate);
    put_number(w, "p50_ms", (double)r->p50_ns / 1e6);
    put_number(w, "p95_ms", (double)r->p95_ns / 1e6);
    put_number(w, "p99_ms", (double)r->p99_ns / 1e6);
    put_number(w, "max_ms", (double)r->max_ns / 1e6);
    ex_json_end_object(w);
}

static void put_text(ex_json_writer *w, const char *key, const char *value)
{
    ex_json_string_member(w, ex_str(key), ex_str(value));
}

static void print_json(const bench *b)
{
    ex_buf out;
    ex_json_writer w;
    ex_buf_init(&out, 0);
    ex_json_writer_init(&w, &out);
    ex_json_begin_object(&w);
    char place[EX_PG_PLACE_SIZE];
    if (b->url) {
        put_text(&w, "url", b->url);
    } else {
        put_text(&w, "data", ex_pg_show_place(b->data, place));
        put_text(&w, "durability", durability_name(b));
        put_text(&w, "file_system", b->file_system);
        put_text(&w, "device", b->device);
    }
    put_number(&w, "event_bytes", b->event_bytes);
    ex_json_key(&w, EX_S("rows"));
    ex_json_begin_array(&w);
    for (size_t i = 0; i < b->measured; i++)
        put_row(&w, &b->rows[i]);
    ex_json_end_array(&w);
    ex_json_end_object(&w);
    printf("%.*s\n", EX_ARG(ex_buf_slice(&out)));
    ex_buf_done(&out);
}

static ex_status measure_all(bench *b, ex_error *err)
{
    ex_status status = interrupt_start(err);
    if (!status)
        status = open_store(b, err);
    for (size_t i = 0; !status && i < b->wanted && !interrupt_came(); i++)
        status = measure(b, i, err);
    close_store(b);
    return status;
}

static int run_bench(const cli *c, const args *a)
{
    bench b = {0};
    ex_error err = {0};
    if (take_arguments(&b, a, &err))
        return cli_misuse(c, a->verb, "%s", err.message);
    int code = measure_all(&b, &err) ? cli_fail(c, a, &err) : CLI_OK;
    if (b.measured > 0 && args_has(a, "json"))
        print_json(&b);
    else if (b.measured > 0)
        print_table(&b);
    return b.error[0] ? CLI_FAILURE : code;
}

static const arg_option options[] = {
    {'d', "data", ARG_TEXT, "PLACE",
     "load the store at this place; its events stay [a new one here, removed at the end]", NULL},
    {'u', "url", ARG_TEXT, "URL", "load this server; its events stay", NULL},
    {'s', "seconds", ARG_NUMBER, "N", "for each row of the table [5]", NULL},
    {'n', "in-flight", ARG_TEXT, "N,N", "appends waiting at once, a row each [1,8,64,256]", NULL},
    {0, "size", ARG_NUMBER, "BYTES", "data of an event [256]", NULL},
    {0, "durability", ARG_CHOICE, "MODE", "of the store: full or normal [full]", "full|normal"},
    {0, "json", ARG_FLAG, NULL, "print JSON", NULL},
    {0},
};

const cli_verb cli_verb_bench = {
    .name = "bench",
    .summary = "measure appends a second, and how long they take",
    .options = options,
    .details = "Each append carries one event to a new stream. Without --data and --url the store\n"
               "lies in a new directory below the working one: the disk of that place is what is\n"
               "measured. Ctrl-C ends it and prints what there is.",
    .examples = "bench --seconds 10 --in-flight 64\n"
                "bench --url http://127.0.0.1:8080 --in-flight 1,64",
    .run = run_bench,
};
