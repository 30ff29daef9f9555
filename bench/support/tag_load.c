/* tag_load.c: see tag_load.h. */
#include "support/tag_load.h"

#include <stdio.h>

#include "sql/postgres/pg_conn.h"
#include "support/feeder.h"
#include "support/report.h"
#include "support/yardstick.h"

#define NAME_SIZE   64
#define TAG_SIZE    32
#define BULK_EVENTS 100
#define TENANTS     20u
#define KINDS       13u
#define CUSTOMERS   1000u

static void on_done(void *ctx, ex_status status, const ex_appended *appended, const ex_error *err)
{
    (void)appended, (void)err;
    feeder_finish(ctx, status);
}

/* ---- Events ---- */

typedef struct tagged {
    char texts[3][TAG_SIZE];
    ex_slice tags[3];
} tagged;

static ex_new_event event_of(tagged *t, bool has_tags, uint64_t number)
{
    uint64_t mixed = number * UINT64_C(0x9E3779B97F4A7C15) >> 20; /* as good as random */
    const struct {
        const char *name;
        uint64_t value;
    } tags[] = {{"tenant", mixed % TENANTS},
                {"kind", mixed / TENANTS % KINDS},
                {"customer", mixed / TENANTS / KINDS % CUSTOMERS}};
    for (int i = 0; has_tags && i < 3; i++) {
        (void)snprintf(t->texts[i], TAG_SIZE, "%s:%u", tags[i].name,
                       (unsigned)tags[i].value); /* fits */
        t->tags[i] = ex_str(t->texts[i]);
    }
    return (ex_new_event){.type = EX_S("ItemCounted"),
                          .data = ex_slice_of(bench_data, BENCH_DATA_SIZE),
                          .tags = t->tags,
                          .tag_count = has_tags ? 3 : 0};
}

typedef struct load {
    ex_store *store;
    bool has_tags;
    uint64_t run, number;
} load;

/* ---- One at a time ---- */

typedef struct single {
    feeder_slot slot; /* first */
    char stream[NAME_SIZE];
    tagged tagged;
    ex_new_event event;
    ex_stream_write write;
    ex_append append;
} single;

static ex_status submit_single(void *ctx, feeder_slot *slot, ex_error *err)
{
    load *l = ctx;
    single *s = (single *)slot;
    (void)snprintf(s->stream, sizeof(s->stream), "item-%llu-%llu", (unsigned long long)l->run,
                   (unsigned long long)l->number); /* fits */
    s->event = event_of(&s->tagged, l->has_tags, l->number++);
    s->write = (ex_stream_write){ex_str(s->stream), EX_NO_STREAM, &s->event, 1};
    s->append = (ex_append){.writes = &s->write, .write_count = 1};
    return ex_store_append_async(l->store, &s->append, NULL, on_done, s, err);
}

double tag_load_run(ex_store *store, bool has_tags, uint32_t in_flight, double seconds)
{
    load ctx = {store, has_tags, ex_store_head(store), 0};
    feeder_load feeder = {.in_flight = in_flight,
                          .slot_size = sizeof(single),
                          .seconds = seconds,
                          .submit = submit_single,
                          .ctx = &ctx};
    return feeder_run(&feeder);
}

/* ---- Filling ---- */

typedef struct bulk {
    feeder_slot slot; /* first */
    tagged tagged[BULK_EVENTS];
    ex_new_event events[BULK_EVENTS];
    ex_stream_write write;
    ex_append append;
} bulk;

static ex_status submit_bulk(void *ctx, feeder_slot *slot, ex_error *err)
{
    load *l = ctx;
    bulk *b = (bulk *)slot;
    for (uint32_t i = 0; i < BULK_EVENTS; i++)
        b->events[i] = event_of(&b->tagged[i], true, l->number++);
    b->write = (ex_stream_write){EX_S("filled"), EX_ANY, b->events, BULK_EVENTS};
    b->append = (ex_append){.writes = &b->write, .write_count = 1};
    return ex_store_append_async(l->store, &b->append, NULL, on_done, b, err);
}

void tag_load_fill(const char *place, uint64_t events)
{
    load ctx = {.has_tags = true};
    ex_error err;
    ex_store_options options = {.durability = EX_DURABILITY_NORMAL};
    bench_require(ex_store_open(place, &options, &ctx.store, &err), &err);
    feeder_load feeder = {.in_flight = 64,
                          .slot_size = sizeof(bulk),
                          .limit = events / BULK_EVENTS,
                          .submit = submit_bulk,
                          .ctx = &ctx};
    (void)feeder_run(&feeder); /* its speed is not asked for */
    ex_store_close(ctx.store);
}

/* ---- Pages ---- */

static void page_tags(uint32_t number, tagged *t)
{
    (void)snprintf(t->texts[0], TAG_SIZE, "tenant:%u", number % TENANTS); /* fits */
    (void)snprintf(t->texts[1], TAG_SIZE, "kind:%u", number % KINDS);     /* fits */
    t->tags[0] = ex_str(t->texts[0]);
    t->tags[1] = ex_str(t->texts[1]);
}

uint64_t tag_load_page(ex_store *store, uint32_t number, uint64_t limit)
{
    tagged t;
    ex_cursor *cursor = NULL;
    ex_error err;
    ex_event event;
    ex_status st;
    page_tags(number, &t);
    const ex_query_item item = {.tags = t.tags, .tag_count = 2};
    const ex_filter filter = {.query = {&item, 1}};
    const ex_read_log read = {.filter = &filter, .limit = limit};
    uint64_t count = 0;
    volatile uint64_t sum = 0; /* keeps the reads */
    bench_require(ex_store_read_log(store, &read, &cursor, &err), &err);
    while ((st = ex_cursor_next(cursor, &event, &err)) == EX_OK) {
        sum = sum + event.data.len + (unsigned char)event.stream.ptr[0];
        count++;
    }
    bench_require(st == EX_EEND ? EX_OK : st, &err);
    ex_cursor_close(cursor);
    return count;
}

/* ---- The yardstick ---- */

ex_status tag_yardstick_make(const char *url, ex_error *err)
{
    ex_pg *pg = NULL;
    ex_status st = ex_pg_open(&(ex_pg_options){.url = url}, &pg, err);
    if (st)
        return st;
    st = ex_pg_script(pg,
                      "CREATE TABLE plain AS SELECT position, version, stream, type, recorded_at, "
                      "id, data, event_tag_names(tags) AS tags FROM events ORDER BY position;"
                      "ALTER TABLE plain ADD PRIMARY KEY (position);"
                      "CREATE INDEX plain_tags ON plain USING gin (tags)",
                      err);
    st = st ? st : ex_pg_script(pg, "VACUUM ANALYZE plain", err);
    st = st ? st : ex_pg_script(pg, "VACUUM ANALYZE events", err);
    st = st ? st : ex_pg_script(pg, "VACUUM ANALYZE event_tags", err);
    ex_pg_close(pg);
    return st;
}

ex_status tag_yardstick_page(ex_pg *pg, uint32_t number, uint64_t limit, uint64_t *ret_count,
                             ex_error *err)
{
    tagged t;
    ex_pg_args args;
    ex_pg_result r = {0};
    volatile uint64_t sum = 0; /* keeps the reads */
    page_tags(number, &t);
    ex_pg_args_init(&args);
    ex_pg_array_begin(&args, EX_PG_TEXT);
    ex_pg_put_text(&args, t.tags[0]);
    ex_pg_put_text(&args, t.tags[1]);
    ex_pg_array_end(&args);
    ex_pg_put_i64(&args, (int64_t)limit);
    ex_status st = ex_pg_run(pg,
                             EX_S("SELECT * FROM plain WHERE tags @> $1::text[] AND position > 0 "
                                  "ORDER BY position LIMIT $2"),
                             &args, &r, err);
    for (int row = 0; st == EX_OK && row < r.rows; row++)
        for (int column = 0; column < r.columns; column++)
            sum = sum + ex_pg_get_slice(&r, row, column).len;
    *ret_count = st == EX_OK ? (uint64_t)r.rows : 0;
    ex_pg_result_free(&r);
    ex_pg_args_done(&args);
    return st;
}
