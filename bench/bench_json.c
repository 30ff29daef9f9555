/* bench_json.c: nanoseconds for reading, checking and writing the JSON of one 300-byte event. */
#include <excore/clock.h>
#include <excore/id.h>
#include <excore/json.h>

#include <stdio.h>
#include <stdlib.h>

#define ROUNDS 400000

static const char event[] =
    "{\"position\":12345,\"stream\":\"order-1\",\"version\":3,"
    "\"id\":\"0197c0de-7a3b-7c11-9f00-3b1f2c4d5e6f\",\"type\":\"OrderPlaced\",\"schema_version\":1,"
    "\"data\":{\"total_cents\":129900,\"currency\":\"EUR\",\"weight_kg\":12.75,\"note\":\"leave at "
    "door\"},"
    "\"metadata\":{},\"tags\":[\"customer:7\"],\"recorded_at\":\"2026-11-21T09:30:00.123456Z\"}";

typedef struct bench {
    ex_arena arena;
    ex_buf out;
    ex_json tree;
    ex_slice text;
} bench;

static void require(ex_status st)
{
    if (st) {
        fprintf(stderr, "bench_json: %s\n", ex_status_text(st));
        exit(1);
    }
}

static void run_parse(bench *b)
{
    ex_json value;
    ex_arena_reset(&b->arena);
    require(ex_json_parse(b->text, &b->arena, NULL, &value, NULL));
}

static void run_validate(bench *b)
{
    require(ex_json_validate(b->text, &b->arena, NULL, NULL));
}

static void run_canonical(bench *b)
{
    ex_buf_reset(&b->out);
    require(ex_json_canonical(&b->tree, &b->arena, &b->out));
}

static void run_write(bench *b)
{
    ex_json_writer w;
    char time_text[EX_TIME_TEXT_SIZE];
    ex_buf_reset(&b->out);
    ex_json_writer_init(&w, &b->out);
    ex_json_begin_object(&w);
    ex_json_key(&w, EX_S("position"));
    ex_json_u64(&w, 12345);
    ex_json_key(&w, EX_S("stream"));
    ex_json_string(&w, EX_S("order-1"));
    ex_json_key(&w, EX_S("version"));
    ex_json_u64(&w, 3);
    ex_json_key(&w, EX_S("id"));
    ex_json_string(&w, EX_S("0197c0de-7a3b-7c11-9f00-3b1f2c4d5e6f"));
    ex_json_key(&w, EX_S("type"));
    ex_json_string(&w, EX_S("OrderPlaced"));
    ex_json_key(&w, EX_S("schema_version"));
    ex_json_u64(&w, 1);
    ex_json_key(&w, EX_S("data"));
    ex_json_raw(&w, EX_S("{\"total_cents\":129900,\"currency\":\"EUR\",\"weight_kg\":12.75,"
                         "\"note\":\"leave at door\"}"));
    ex_json_key(&w, EX_S("metadata"));
    ex_json_raw(&w, EX_S("{}"));
    ex_json_key(&w, EX_S("tags"));
    ex_json_begin_array(&w);
    ex_json_string(&w, EX_S("customer:7"));
    ex_json_end_array(&w);
    ex_json_key(&w, EX_S("recorded_at"));
    ex_json_string(&w, ex_time_text(1795253400123456, time_text));
    ex_json_end_object(&w);
    require(ex_buf_status(&b->out));
}

static void run_double(bench *b)
{
    ex_buf_reset(&b->out);
    ex_json_put_double(&b->out, 12.75);
}

static void run_long_double(bench *b)
{
    ex_buf_reset(&b->out);
    ex_json_put_double(&b->out, 0.1 + 0.2);
}

static void run_time(bench *b)
{
    char text[EX_TIME_TEXT_SIZE];
    b->out.len = ex_time_text(1795253400123456, text).len;
}

static void run_id(bench *b)
{
    (void)b;
    ex_id id;
    require(ex_id_new(&id, NULL));
}

int main(void)
{
    static const struct {
        const char *name;
        void (*run)(bench *);
    } rows[] = {{"parse", run_parse},         {"validate", run_validate},
                {"write", run_write},         {"canonical", run_canonical},
                {"double 12.75", run_double}, {"double 17 digits", run_long_double},
                {"time text", run_time},      {"new id", run_id}};
    bench b = {.text = EX_S_INIT(event)};
    ex_arena tree_arena;
    ex_arena_init(&tree_arena, 0);
    ex_arena_init(&b.arena, 0);
    ex_buf_init(&b.out, 0);
    require(ex_json_parse(b.text, &tree_arena, NULL, &b.tree, NULL));
    printf("%zu bytes of JSON, %d rounds\n", b.text.len, ROUNDS);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t best = UINT64_MAX; /* of five: the least disturbed */
        for (int take = 0; take < 5; take++) {
            uint64_t start = ex_monotonic_ns(ex_clock_system());
            for (int k = 0; k < ROUNDS / 5; k++)
                rows[i].run(&b);
            uint64_t took = ex_monotonic_ns(ex_clock_system()) - start;
            best = took < best ? took : best;
        }
        printf("%-18s %7.1f ns\n", rows[i].name, (double)best / (ROUNDS / 5));
    }
    ex_arena_done(&tree_arena);
    ex_arena_done(&b.arena);
    ex_buf_done(&b.out);
    return 0;
}
