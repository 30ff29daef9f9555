/* condition_load.c: see condition_load.h. */
#include "support/condition_load.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/feeder.h"
#include "support/report.h"
#include "support/yardstick.h"

#define NAME_SIZE 64

static const ex_slice common_tag = EX_S_INIT("tenant:1"),
                      turn_tags[2] = {EX_S_INIT("n:0"), EX_S_INIT("n:1")};

static void on_done(void *ctx, ex_status status, const ex_appended *appended, const ex_error *err)
{
    (void)appended, (void)err;
    feeder_finish(ctx, status);
}

/* ---- Filling ---- */

#define BULK_EVENTS 100

typedef struct bulk {
    feeder_slot slot; /* first */
    ex_slice tags[BULK_EVENTS][2];
    ex_new_event events[BULK_EVENTS];
    ex_stream_write write;
    ex_append append;
} bulk;

static ex_status submit_bulk(void *ctx, feeder_slot *slot, ex_error *err)
{
    bulk *b = (bulk *)slot;
    for (uint32_t i = 0; i < BULK_EVENTS; i++) {
        b->tags[i][0] = common_tag;
        b->tags[i][1] = turn_tags[i % 2];
        b->events[i] = (ex_new_event){.type = EX_S("ItemCounted"),
                                      .data = ex_slice_of(bench_data, BENCH_DATA_SIZE),
                                      .tags = b->tags[i],
                                      .tag_count = 2};
    }
    b->write = (ex_stream_write){EX_S("filled"), EX_ANY, b->events, BULK_EVENTS};
    b->append = (ex_append){.writes = &b->write, .write_count = 1};
    return ex_store_append_async(ctx, &b->append, NULL, on_done, b, err);
}

void condition_load_fill(const char *place, uint64_t events)
{
    ex_store *store = NULL;
    ex_error err;
    ex_store_options options = {.durability = EX_DURABILITY_NORMAL};
    bench_require(ex_store_open(place, &options, &store, &err), &err);
    feeder_load load = {.in_flight = 64,
                        .slot_size = sizeof(bulk),
                        .limit = events / BULK_EVENTS,
                        .submit = submit_bulk,
                        .ctx = store};
    (void)feeder_run(&load); /* its speed is not asked for */
    ex_store_close(store);
}

/* ---- Fresh conditions ---- */

typedef struct tagged {
    feeder_slot slot; /* first */
    char stream[NAME_SIZE], tag[NAME_SIZE];
    ex_slice tags[2];
    ex_new_event event;
    ex_stream_write write;
    ex_query_item item;
    ex_query query;
    ex_append append;
} tagged;

typedef struct tagged_load {
    ex_store *store;
    bool has_condition;
    uint64_t run, number;
} tagged_load;

static ex_status submit_tagged(void *ctx, feeder_slot *slot, ex_error *err)
{
    tagged_load *load = ctx;
    tagged *t = (tagged *)slot;
    unsigned long long run = load->run, number = load->number++;
    (void)snprintf(t->stream, sizeof(t->stream), "item-%llu-%llu", run, number); /* fits */
    (void)snprintf(t->tag, sizeof(t->tag), "item:%llu-%llu", run, number);       /* fits */
    t->tags[0] = common_tag;
    t->tags[1] = ex_str(t->tag);
    t->event = (ex_new_event){.type = EX_S("ItemCounted"),
                              .data = ex_slice_of(bench_data, BENCH_DATA_SIZE),
                              .tags = t->tags,
                              .tag_count = 2};
    t->write = (ex_stream_write){ex_str(t->stream), EX_NO_STREAM, &t->event, 1};
    t->item = (ex_query_item){.tags = t->tags, .tag_count = 2};
    t->query = (ex_query){&t->item, 1};
    t->append = (ex_append){.writes = &t->write, .write_count = 1};
    if (load->has_condition) {
        t->append.fail_if_match = &t->query;
        t->append.after = ex_store_head(load->store);
    }
    return ex_store_append_async(load->store, &t->append, NULL, on_done, t, err);
}

double condition_load_run(ex_store *store, bool has_condition, uint32_t in_flight, double seconds)
{
    tagged_load ctx = {store, has_condition, ex_store_head(store), 0};
    feeder_load load = {.in_flight = in_flight,
                        .slot_size = sizeof(tagged),
                        .seconds = seconds,
                        .submit = submit_tagged,
                        .ctx = &ctx};
    return feeder_run(&load);
}

/* ---- Wide conditions ---- */

#define CLIENTS_MAX 16

struct wide_clients {
    ex_store *store;
    atomic_bool is_over;
    _Atomic uint64_t answered;
    pthread_t threads[CLIENTS_MAX];
    uint32_t count;
};

static void *ask_far_back(void *arg)
{
    wide_clients *w = arg;
    const ex_query_item item = {.tags = turn_tags, .tag_count = 2};
    const ex_query query = {&item, 1};
    const ex_append append = {.fail_if_match = &query};
    ex_error err;
    while (!atomic_load(&w->is_over)) {
        ex_status st = ex_store_append(w->store, &append, NULL, &err);
        if (st != EX_ETOOWIDE)
            bench_require(st, &err);
        atomic_fetch_add(&w->answered, 1);
    }
    return NULL;
}

wide_clients *wide_clients_start(ex_store *store, uint32_t clients)
{
    wide_clients *w = calloc(1, sizeof(*w));
    if (!w || clients > CLIENTS_MAX)
        abort();
    w->store = store;
    for (; w->count < clients; w->count++)
        if (pthread_create(&w->threads[w->count], NULL, ask_far_back, w))
            abort();
    return w;
}

uint64_t wide_clients_stop(wide_clients *w)
{
    atomic_store(&w->is_over, true);
    for (uint32_t i = 0; i < w->count; i++)
        (void)pthread_join(w->threads[i], NULL); /* our own thread, joined once */
    uint64_t answered = w->answered;
    free(w);
    return answered;
}
