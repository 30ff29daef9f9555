/* append_load.c: single events to new streams, and bulk filling. */
#include "support/append_load.h"

#include <stdio.h>

#include "support/feeder.h"
#include "support/report.h"
#include "support/yardstick.h"

#define NAME_PREFIX     "order-"
#define NAME_PREFIX_LEN 6
#define NAME_SIZE       (NAME_PREFIX_LEN + EX_ID_TEXT_SIZE)

static const ex_new_event bench_event = {.type = EX_S_INIT("OrderPlaced"),
                                         .data = {bench_data, BENCH_DATA_SIZE}};

static ex_status name_stream(char out[NAME_SIZE], ex_slice *ret, ex_error *err)
{
    ex_id id;
    ex_status st = ex_id_new(&id, err);
    memcpy(out, NAME_PREFIX, NAME_PREFIX_LEN);
    *ret = ex_slice_of(out, NAME_PREFIX_LEN + ex_id_text(&id, out + NAME_PREFIX_LEN).len);
    return st;
}

static void on_done(void *ctx, ex_status status, const ex_appended *appended, const ex_error *err)
{
    (void)appended, (void)err;
    feeder_finish(ctx, status);
}

/* ---- One event to a new stream ---- */

typedef struct single {
    feeder_slot slot; /* first */
    char name[NAME_SIZE];
    ex_stream_write write;
    ex_append append;
} single;

static ex_status submit_single(void *ctx, feeder_slot *slot, ex_error *err)
{
    single *s = (single *)slot;
    s->write.expected = EX_NO_STREAM;
    s->write.events = &bench_event;
    s->write.event_count = 1;
    s->append = (ex_append){.writes = &s->write, .write_count = 1};
    ex_status st = name_stream(s->name, &s->write.stream, err);
    return st ? st : ex_store_append_async(ctx, &s->append, NULL, on_done, s, err);
}

double append_load_run(ex_store *store, uint32_t in_flight, double seconds)
{
    feeder_load load = {.in_flight = in_flight,
                        .slot_size = sizeof(single),
                        .seconds = seconds,
                        .submit = submit_single,
                        .ctx = store};
    return feeder_run(&load);
}

/* ---- The same, timed ---- */

typedef struct timed {
    single single; /* first */
    double begun;
    struct timed_load *load;
} timed;

typedef struct timed_load {
    ex_store *store;
    latencies *took; /* the sequencer's */
} timed_load;

static void on_timed_done(void *ctx, ex_status status, const ex_appended *appended,
                          const ex_error *err)
{
    timed *t = ctx;
    (void)appended, (void)err;
    latencies_add(t->load->took, (bench_seconds() - t->begun) * 1e3);
    feeder_finish(&t->single.slot, status);
}

static ex_status submit_timed(void *ctx, feeder_slot *slot, ex_error *err)
{
    timed *t = (timed *)slot;
    single *s = &t->single;
    t->load = ctx;
    s->write.expected = EX_NO_STREAM;
    s->write.events = &bench_event;
    s->write.event_count = 1;
    s->append = (ex_append){.writes = &s->write, .write_count = 1};
    ex_status st = name_stream(s->name, &s->write.stream, err);
    t->begun = bench_seconds();
    return st ? st : ex_store_append_async(t->load->store, &s->append, NULL, on_timed_done, t, err);
}

double append_load_timed(ex_store *store, uint32_t in_flight, double seconds, latencies *ret)
{
    timed_load ctx = {store, ret};
    feeder_load load = {.in_flight = in_flight,
                        .slot_size = sizeof(timed),
                        .seconds = seconds,
                        .submit = submit_timed,
                        .ctx = &ctx};
    return feeder_run(&load);
}

/* ---- One event to one of many streams ---- */

typedef struct spread {
    ex_store *store;
    uint32_t streams;
    uint64_t number;
} spread;

static ex_status submit_spread(void *ctx, feeder_slot *slot, ex_error *err)
{
    spread *load = ctx;
    single *s = (single *)slot;
    int len = snprintf(s->name, sizeof(s->name), "spread-%u",
                       (unsigned)(load->number++ * BENCH_STRIDE % load->streams));
    s->write = (ex_stream_write){
        .stream = ex_slice_of(s->name, (size_t)len), .events = &bench_event, .event_count = 1};
    s->append = (ex_append){.writes = &s->write, .write_count = 1};
    return ex_store_append_async(load->store, &s->append, NULL, on_done, s, err);
}

double append_load_spread(ex_store *store, uint32_t streams, uint32_t in_flight, double seconds)
{
    spread ctx = {.store = store, .streams = streams};
    feeder_load load = {.in_flight = in_flight,
                        .slot_size = sizeof(single),
                        .seconds = seconds,
                        .submit = submit_spread,
                        .ctx = &ctx};
    return feeder_run(&load);
}

/* ---- Filling ---- */

#define BULK_STREAMS 10
#define BULK_EVENTS  10 /* to each */

typedef struct bulk {
    feeder_slot slot; /* first */
    char names[BULK_STREAMS][NAME_SIZE];
    ex_new_event events[BULK_EVENTS];
    ex_stream_write writes[BULK_STREAMS];
    ex_append append;
} bulk;

static ex_status submit_bulk(void *ctx, feeder_slot *slot, ex_error *err)
{
    bulk *b = (bulk *)slot;
    for (uint32_t i = 0; i < BULK_EVENTS; i++)
        b->events[i] = bench_event;
    for (uint32_t i = 0; i < BULK_STREAMS; i++) {
        b->writes[i].expected = EX_NO_STREAM;
        b->writes[i].events = b->events;
        b->writes[i].event_count = BULK_EVENTS;
        ex_status st = name_stream(b->names[i], &b->writes[i].stream, err);
        if (st)
            return st;
    }
    b->append = (ex_append){.writes = b->writes, .write_count = BULK_STREAMS};
    return ex_store_append_async(ctx, &b->append, NULL, on_done, b, err);
}

void append_load_fill(const char *dir, uint64_t events)
{
    ex_store *store = NULL;
    ex_error err;
    ex_store_options options = {.durability = EX_DURABILITY_NORMAL};
    bench_require(ex_store_open(dir, &options, &store, &err), &err);
    uint64_t head = ex_store_head(store);
    feeder_load load = {.in_flight = 64,
                        .slot_size = sizeof(bulk),
                        .limit = (events - head) / (BULK_STREAMS * BULK_EVENTS),
                        .submit = submit_bulk,
                        .ctx = store};
    if (head < events && load.limit)
        (void)feeder_run(&load); /* its speed is not asked for */
    ex_store_close(store);
}
