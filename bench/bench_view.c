/* bench_view.c: how fast the order summary is rebuilt from the log.
 *
 * The log holds orders as the example writes them, six events each. The view is
 * rebuilt from position 0 several times; the clock stops when it is active.
 * With --postgres-events N also on PostgreSQL (EXCORE_POSTGRES), in turns with
 * SQLite, which is the yardstick. */
#include <excore/runtime.h>

#include <orders.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "support/feeder.h"
#include "support/fresh_store.h"
#include "support/report.h"

#define ORDER_EVENTS 6
#define BULK_ORDERS  16 /* orders in one append */
#define DATA_SIZE    512

EX_API const ex_app *excore_app(void); /* of examples/orders */

/* ---- Filling the log ---- */

typedef struct bulk {
    feeder_slot slot; /* first */
    char names[BULK_ORDERS][32];
    char data[BULK_ORDERS][ORDER_EVENTS][DATA_SIZE];
    ex_new_event events[BULK_ORDERS][ORDER_EVENTS];
    ex_stream_write writes[BULK_ORDERS];
    ex_append append;
} bulk;

typedef struct filling {
    ex_store *store;
    uint64_t orders;
} filling;

static const struct {
    const char *type, *data; /* %llu: the order's number */
} order_events[ORDER_EVENTS] = {
    {"OrderCreated", "{\"order_id\":\"%llu\",\"customer_id\":\"customer-42\"}"},
    {"OrderItemAdded", "{\"order_id\":\"%llu\",\"item\":{\"product_id\":\"A-100\",\"product_name\":"
                       "\"Coffee, 500 g\",\"quantity\":2,\"unit_price_cents\":899},"
                       "\"new_total_cents\":1798}"},
    {"OrderItemAdded", "{\"order_id\":\"%llu\",\"item\":{\"product_id\":\"B-200\",\"product_name\":"
                       "\"Filter papers\",\"quantity\":1,\"unit_price_cents\":349},"
                       "\"new_total_cents\":2147}"},
    {"OrderItemRemoved", "{\"order_id\":\"%llu\",\"product_id\":\"B-200\",\"new_total_cents\":1798,"
                         "\"removed_quantity\":1}"},
    {"OrderSubmitted",
     "{\"order_id\":\"%llu\",\"customer_id\":\"customer-42\",\"items\":[{\"product_id\":\"A-100\","
     "\"product_name\":\"Coffee, 500 g\",\"quantity\":2,\"unit_price_cents\":899}],"
     "\"total_cents\":1798,\"submitted_at\":\"2026-11-21T09:30:00.123456Z\"}"},
    {"OrderConfirmed",
     "{\"order_id\":\"%llu\",\"customer_id\":\"customer-42\",\"total_cents\":1798,"
     "\"confirmed_at\":\"2026-11-21T09:31:00.123456Z\"}"},
};

static void on_done(void *ctx, ex_status status, const ex_appended *appended, const ex_error *err)
{
    (void)appended, (void)err;
    feeder_finish(ctx, status);
}

static ex_status submit_bulk(void *ctx, feeder_slot *slot, ex_error *err)
{
    filling *f = ctx;
    bulk *b = (bulk *)slot;
    for (int i = 0; i < BULK_ORDERS; i++) {
        unsigned long long number = f->orders++;
        int len = snprintf(b->names[i], sizeof(b->names[i]), "order-%llu", number);
        for (int k = 0; k < ORDER_EVENTS; k++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            int size = snprintf(b->data[i][k], DATA_SIZE, order_events[k].data, number);
#pragma GCC diagnostic pop
            b->events[i][k] = (ex_new_event){.type = ex_str(order_events[k].type),
                                             .data = ex_slice_of(b->data[i][k], (size_t)size)};
        }
        b->writes[i] = (ex_stream_write){ex_slice_of(b->names[i], (size_t)len), EX_NO_STREAM,
                                         b->events[i], ORDER_EVENTS};
    }
    b->append = (ex_append){.writes = b->writes, .write_count = BULK_ORDERS};
    return ex_store_append_async(f->store, &b->append, NULL, on_done, b, err);
}

static void fill(ex_store *store, uint64_t events)
{
    filling ctx = {.store = store};
    feeder_load load = {.in_flight = 32,
                        .slot_size = sizeof(bulk),
                        .limit = events / (BULK_ORDERS * ORDER_EVENTS) + 1,
                        .submit = submit_bulk,
                        .ctx = &ctx};
    (void)feeder_run(&load); /* its speed is not asked for */
}

/* ---- Rebuilding ---- */

/* Until the view has seen the whole log; checked every millisecond, of seconds. */
static void wait_until_active(ex_runtime *runtime, uint64_t head)
{
    ex_view_status status;
    while (ex_runtime_view_status(runtime, 0, &status)) {
        if (status.state == EX_VIEW_ERROR) {
            fprintf(stderr, "bench_view: %s\n", status.error);
            exit(1);
        }
        if (status.state == EX_VIEW_ACTIVE && status.position >= head)
            return;
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL); /* a shorter nap is fine */
    }
}

/* Events a second of one rebuild. */
static double rebuild(ex_runtime *runtime, uint64_t head)
{
    ex_error err;
    ex_view_status status;
    wait_until_active(runtime, head);
    double start = bench_seconds();
    bench_require(ex_runtime_view_rebuild(runtime, "order_summary", &err), &err);
    do
        (void)ex_runtime_view_status(runtime, 0, &status); /* the one view there is */
    while (status.state == EX_VIEW_ACTIVE && status.position >= head);
    wait_until_active(runtime, head);
    return (double)head / (bench_seconds() - start);
}

typedef struct subject {
    ex_store *store;
    ex_runtime *runtime;
    uint64_t head;
    samples rate;
} subject;

static void start(subject *s, const char *place, uint64_t events)
{
    ex_error err;
    bench_require(ex_store_open(place, NULL, &s->store, &err), &err);
    fill(s->store, events);
    ex_runtime_options options = {.dir = place};
    bench_require(ex_runtime_start(s->store, excore_app(), &options, &s->runtime, &err), &err);
    s->head = ex_store_head(s->store);
}

static void stop(subject *s)
{
    ex_runtime_stop(s->runtime);
    ex_store_close(s->store);
}

int main(int argc, char **argv)
{
    uint64_t events = (uint64_t)bench_option(argc, argv, "--events", 300000);
    uint64_t server_events = (uint64_t)bench_option(argc, argv, "--postgres-events", 0);
    int rounds = (int)bench_option(argc, argv, "--rounds", 3);
    subject file = {0}, server = {0};
    char dir[64], url[BENCH_URL_SIZE];
    start(&file, bench_dir("view", dir, sizeof(dir)), events);
    if (server_events)
        start(&server, bench_fresh_store("view", url), server_events);
    for (int i = 0; i < rounds; i++) {
        samples_add(&file.rate, rebuild(file.runtime, file.head));
        if (server_events)
            samples_add(&server.rate, rebuild(server.runtime, server.head));
    }
    if (server_events) {
        report_ratio("PostgreSQL: view, order summary rebuilt", &server.rate, "on SQLite",
                     &file.rate, 0.5);
        stop(&server);
    } else {
        report_at_least("view, order summary rebuilt", &file.rate, " events/s", 50000);
    }
    stop(&file);
    return 0;
}
