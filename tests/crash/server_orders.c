/* server_orders.c: see server_orders.h. */
#include "crash/server_orders.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <excore/runtime.h>

#include "crash/server_run.h"
#include "kernel/map.h"
#include "support/http_client.h"

#define ANSWER_LIMIT_BYTES ((size_t)64 << 20)
#define VIEW_WAIT_MS       60000 /* for a view that is rebuilt */

const ex_app *excore_app(void); /* examples/orders */

typedef struct order_row order_row;

struct order_row {
    char order_id[32];
    char customer_id[32];
    char created_at[32], updated_at[32];
    order_stage stage;
    uint32_t lines;
    int64_t item_count, total_cents;
    uint64_t last_position;
    bool is_changed;
    order_row *next_changed;
};

struct server_orders {
    ex_map rows; /* order_id -> order_row */
    order_row *changed;
};

static const char *const stage_names[] = {"none", "draft", "submitted", "confirmed", "cancelled"};

server_orders *server_orders_new(void)
{
    server_orders *o = calloc(1, sizeof *o);
    run_need(o != NULL);
    ex_map_init(&o->rows, 0);
    return o;
}

void server_orders_free(server_orders *o)
{
    if (!o)
        return;
    ex_map_done(&o->rows, free);
    free(o);
}

/* ---- The fold ---- */

static void copy_text(char *out, size_t size, ex_slice s)
{
    snprintf(out, size, "%.*s", EX_ARG(s));
}

static order_row *row_of(server_orders *o, ex_slice order_id)
{
    order_row *row = ex_map_get(&o->rows, order_id);
    if (row)
        return row;
    row = calloc(1, sizeof *row);
    run_need(row != NULL && ex_map_put(&o->rows, order_id, row, NULL) == EX_OK);
    copy_text(row->order_id, sizeof row->order_id, order_id);
    return row;
}

static bool apply_created(order_row *row, const ex_json *event, const ex_json *data)
{
    if (row->stage != STAGE_NONE)
        return false;
    row->stage = STAGE_DRAFT;
    copy_text(row->customer_id, sizeof row->customer_id, run_text(data, "customer_id"));
    copy_text(row->created_at, sizeof row->created_at, run_text(event, "recorded_at"));
    return true;
}

static bool apply_item_added(order_row *row, const ex_json *event, const ex_json *data)
{
    (void)event;
    const ex_json *item = ex_json_get(data, EX_S("item"));
    if (row->stage != STAGE_DRAFT || !item)
        return false;
    int64_t quantity = (int64_t)run_number(item, "quantity");
    row->total_cents += quantity * (int64_t)run_number(item, "unit_price_cents");
    row->item_count += quantity;
    row->lines++;
    return (int64_t)run_number(data, "new_total_cents") == row->total_cents;
}

static bool apply_submitted(order_row *row, const ex_json *event, const ex_json *data)
{
    (void)event;
    bool is_right = row->stage == STAGE_DRAFT && row->lines > 0 &&
                    run_array(data, "items")->count == row->lines &&
                    (int64_t)run_number(data, "total_cents") == row->total_cents;
    row->stage = STAGE_SUBMITTED;
    return is_right;
}

static bool apply_confirmed(order_row *row, const ex_json *event, const ex_json *data)
{
    (void)event;
    bool is_right = row->stage == STAGE_SUBMITTED &&
                    (int64_t)run_number(data, "total_cents") == row->total_cents;
    row->stage = STAGE_CONFIRMED;
    return is_right;
}

static bool apply_cancelled(order_row *row, const ex_json *event, const ex_json *data)
{
    (void)event, (void)data;
    bool is_right = row->stage != STAGE_NONE && row->stage != STAGE_CANCELLED;
    row->stage = STAGE_CANCELLED;
    return is_right;
}

static const struct {
    const char *type;
    bool (*apply)(order_row *row, const ex_json *event, const ex_json *data);
} handlers[] = {
    {"OrderCreated", apply_created},     {"OrderItemAdded", apply_item_added},
    {"OrderSubmitted", apply_submitted}, {"OrderConfirmed", apply_confirmed},
    {"OrderCancelled", apply_cancelled},
};

static void note_change(server_orders *o, order_row *row, const ex_json *event)
{
    row->last_position = run_number(event, "position");
    copy_text(row->updated_at, sizeof row->updated_at, run_text(event, "recorded_at"));
    if (row->is_changed)
        return;
    row->is_changed = true;
    row->next_changed = o->changed;
    o->changed = row;
}

void server_orders_apply(server_orders *o, const ex_json *event)
{
    ex_slice stream = run_text(event, "stream"), type = run_text(event, "type");
    const ex_slice category = EX_S("order-");
    if (!ex_slice_starts(stream, category))
        return;
    order_row *row = row_of(o, ex_slice_of(stream.ptr + category.len, stream.len - category.len));
    const ex_json *data = ex_json_get(event, EX_S("data"));
    order_stage before = row->stage;
    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++) {
        if (!ex_slice_is(type, handlers[i].type))
            continue;
        if (!handlers[i].apply(row, event, data))
            run_fail("an order that is %s with %u lines, %" PRId64
                     " cents, has no such event: %.*s",
                     stage_names[before], row->lines, row->total_cents, EX_ARG(event->raw));
        note_change(o, row, event);
        return;
    }
    run_fail("an order has an event of unknown type: %.*s", EX_ARG(event->raw));
}

order_stage server_orders_stage(const server_orders *o, const char *order_id, uint32_t *ret_lines)
{
    const order_row *row = ex_map_get(&o->rows, ex_str(order_id));
    *ret_lines = row ? row->lines : 0;
    return row ? row->stage : STAGE_NONE;
}

size_t server_orders_count(const server_orders *o)
{
    return o->rows.count;
}

/* ---- Against a row ---- */

static void put_row(ex_buf *out, const order_row *row)
{
    ex_buf_printf(out,
                  "{\"order_id\":\"%s\",\"customer_id\":\"%s\",\"status\":\"%s\","
                  "\"item_count\":%" PRId64 ",\"total_cents\":%" PRId64
                  ",\"created_at\":\"%s\",\"updated_at\":\"%s\",\"last_position\":%" PRIu64 "}",
                  row->order_id, row->customer_id, stage_names[row->stage], row->item_count,
                  row->total_cents, row->created_at, row->updated_at, row->last_position);
}

static void compare_row(const order_row *row, ex_slice got)
{
    ex_buf want;
    ex_buf_init(&want, 0);
    put_row(&want, row);
    run_need(ex_buf_status(&want) == EX_OK);
    if (!ex_slice_eq(got, ex_buf_slice(&want)))
        run_fail("the view disagrees with the log on order %s\n  view: %.*s\n  log:  %.*s",
                 row->order_id, EX_ARG(got), EX_ARG(ex_buf_slice(&want)));
    ex_buf_done(&want);
}

/* ---- Through the server ---- */

/* A view that is being rebuilt answers 504 until it has caught up. */
static ex_json ask(http_client *client, const char *path, http_reply *r, ex_arena *arena)
{
    uint64_t end = run_now_ms() + VIEW_WAIT_MS;
    for (;;) {
        if (!http_client_call(client, "GET", path, NULL, EX_S(""), r))
            run_fail("GET %s: no answer", path);
        if (r->status != 504 || run_now_ms() > end)
            break;
        http_reply_done(r);
    }
    if (r->status != 200)
        run_fail("GET %s: status %d %.*s", path, r->status, EX_ARG(ex_buf_slice(&r->body)));
    return run_json(ex_buf_slice(&r->body), arena);
}

static size_t check_changed(server_orders *o, http_client *client, uint64_t min_position)
{
    size_t count = 0;
    for (order_row *row = o->changed; row; row = row->next_changed, count++) {
        char path[128];
        http_reply r;
        ex_arena arena;
        ex_arena_init(&arena, ANSWER_LIMIT_BYTES);
        row->is_changed = false;
        snprintf(path, sizeof path, "/v1/orders/order-by-id?order_id=%s&min_position=%" PRIu64,
                 row->order_id, min_position);
        ex_json answer = ask(client, path, &r, &arena);
        compare_row(row, ex_json_get(&answer, EX_S("item"))->raw);
        http_reply_done(&r);
        ex_arena_done(&arena);
    }
    o->changed = NULL;
    return count;
}

static size_t open_count(const server_orders *o)
{
    size_t at = 0, count = 0;
    ex_slice key;
    void *value;
    while (ex_map_next(&o->rows, &at, &key, &value)) {
        const order_row *row = value;
        count += row->stage == STAGE_DRAFT || row->stage == STAGE_SUBMITTED;
    }
    return count;
}

static void compare_items(const server_orders *o, const ex_json *items)
{
    for (uint32_t i = 0; i < items->count; i++) {
        ex_slice id = run_text(&items->as.items[i], "order_id");
        const order_row *row = ex_map_get(&o->rows, id);
        if (!row)
            run_fail("the view has an order that the log has not: %.*s", EX_ARG(id));
        compare_row(row, items->as.items[i].raw);
    }
}

static size_t check_open(const server_orders *o, http_client *client, uint64_t min_position)
{
    char cursor[512] = "";
    size_t count = 0;
    bool is_done = false;
    while (!is_done) {
        char path[640];
        http_reply r;
        ex_arena arena;
        ex_arena_init(&arena, ANSWER_LIMIT_BYTES);
        snprintf(path, sizeof path, "/v1/orders/open-orders?limit=100&min_position=%" PRIu64 "%s",
                 min_position, cursor);
        ex_json answer = ask(client, path, &r, &arena);
        const ex_json *items = run_array(&answer, "items");
        compare_items(o, items);
        count += items->count;
        is_done = ex_json_get(&answer, EX_S("is_done"))->as.boolean;
        if (!is_done)
            snprintf(cursor, sizeof cursor, "&cursor=%.*s",
                     EX_ARG(run_text(&answer, "continue_cursor")));
        http_reply_done(&r);
        ex_arena_done(&arena);
    }
    if (count != open_count(o))
        run_fail("the view shows %zu open orders, the log has %zu", count, open_count(o));
    return count;
}

static void check_count(const server_orders *o, http_client *client, uint64_t min_position)
{
    char path[96];
    http_reply r;
    ex_arena arena;
    ex_arena_init(&arena, ANSWER_LIMIT_BYTES);
    snprintf(path, sizeof path, "/v1/orders/order-count?min_position=%" PRIu64, min_position);
    ex_json answer = ask(client, path, &r, &arena);
    if (run_number(&answer, "count") != o->rows.count)
        run_fail("the view has %" PRIu64 " orders, the log has %zu", run_number(&answer, "count"),
                 o->rows.count);
    http_reply_done(&r);
    ex_arena_done(&arena);
}

size_t server_orders_check(server_orders *o, uint16_t port, uint64_t min_position)
{
    http_client client;
    if (!http_client_open(&client, port))
        run_fail("no connection for queries");
    size_t count = check_changed(o, &client, min_position);
    count += check_open(o, &client, min_position);
    check_count(o, &client, min_position);
    http_client_close(&client);
    return count;
}

/* ---- Through the library ---- */

static void check_row_in(ex_runtime *rt, const order_row *row, uint64_t head)
{
    ex_arena arena;
    ex_buf out;
    ex_error err = {0};
    ex_arena_init(&arena, ANSWER_LIMIT_BYTES);
    ex_buf_init(&out, 0);
    ex_json_member member = {.key = EX_S("order_id"),
                             .value = {.kind = EX_JSON_STRING, .as.text = ex_str(row->order_id)}};
    ex_json params = {.kind = EX_JSON_OBJECT, .count = 1, .as.members = &member};
    ex_query_call call = {.context = EX_S("orders"),
                          .query = EX_S("order-by-id"),
                          .params = &params,
                          .min_position = head,
                          .timeout_ms = VIEW_WAIT_MS};
    if (ex_query_run(rt, &call, &arena, &out, &err))
        run_fail("library: order-by-id of %s: %s", row->order_id, err.message);
    ex_json answer = run_json(ex_buf_slice(&out), &arena);
    compare_row(row, ex_json_get(&answer, EX_S("item"))->raw);
    ex_buf_done(&out);
    ex_arena_done(&arena);
}

size_t server_orders_check_library(const server_orders *o, const char *dir)
{
    const ex_runtime_options options = {.dir = dir};
    ex_store *store = NULL;
    ex_runtime *rt = NULL;
    ex_error err = {0};
    if (ex_store_open(dir, NULL, &store, &err) ||
        ex_runtime_start(store, excore_app(), &options, &rt, &err))
        run_fail("library: %s", err.message);
    size_t at = 0, count = 0;
    ex_slice key;
    for (void *row; ex_map_next(&o->rows, &at, &key, &row); count++)
        check_row_in(rt, row, ex_store_head(store));
    ex_runtime_stop(rt);
    ex_store_close(store);
    return count;
}
