/* order_summary.c: one row for each order, and the queries over it. */
#include "orders.h"

static ex_time event_time(const ex_event *event)
{
    return (ex_time){event->recorded_at_us};
}

static ex_status when_created(ex_view_tx *tx, const order_created *e, const ex_event *event)
{
    return ex_row_put(tx, order_summary, .order_id = e->order_id, .customer_id = e->customer_id,
                      .status = ORDER_DRAFT, .created_at = event_time(event),
                      .updated_at = event_time(event), .last_position = event->position);
}

static ex_status store(ex_view_tx *tx, order_summary *row, const ex_event *event)
{
    row->updated_at = event_time(event);
    row->last_position = event->position;
    return ex_row_store(tx, order_summary, row);
}

static ex_status when_item_added(ex_view_tx *tx, const order_item_added *e, const ex_event *event)
{
    order_summary *row = NULL;
    ex_status st = ex_row_load(tx, order_summary, e->order_id, &row);
    if (st)
        return st;
    row->item_count += e->item.quantity;
    row->total_cents = e->new_total_cents;
    return store(tx, row, event);
}

static ex_status when_item_removed(ex_view_tx *tx, const order_item_removed *e,
                                   const ex_event *event)
{
    order_summary *row = NULL;
    ex_status st = ex_row_load(tx, order_summary, e->order_id, &row);
    if (st)
        return st;
    row->item_count -=
        e->removed_quantity < row->item_count ? e->removed_quantity : row->item_count;
    row->total_cents = e->new_total_cents;
    return store(tx, row, event);
}

static ex_status set_status(ex_view_tx *tx, ex_slice order_id, order_status status,
                            const ex_event *event)
{
    order_summary *row = NULL;
    ex_status st = ex_row_load(tx, order_summary, order_id, &row);
    if (st)
        return st;
    row->status = status;
    return store(tx, row, event);
}

static ex_status when_submitted(ex_view_tx *tx, const order_submitted *e, const ex_event *event)
{
    return set_status(tx, e->order_id, ORDER_SUBMITTED, event);
}

static ex_status when_confirmed(ex_view_tx *tx, const order_confirmed *e, const ex_event *event)
{
    return set_status(tx, e->order_id, ORDER_CONFIRMED, event);
}

static ex_status when_cancelled(ex_view_tx *tx, const order_cancelled *e, const ex_event *event)
{
    return set_status(tx, e->order_id, ORDER_CANCELLED, event);
}

/* clang-format off */
#define ORDER_SUMMARY_EVENTS(WHEN)              \
    WHEN(order_created,      when_created)      \
    WHEN(order_item_added,   when_item_added)   \
    WHEN(order_item_removed, when_item_removed) \
    WHEN(order_submitted,    when_submitted)    \
    WHEN(order_confirmed,    when_confirmed)    \
    WHEN(order_cancelled,    when_cancelled)
/* clang-format on */

EX_VIEW(order_summary, "order_summary", 1, ORDER_SUMMARY_EVENTS, "customer_id, order_id",
        "status, order_id");

const ex_query_def open_orders_query = {
    .name = "open-orders",
    .doc = "Orders that are neither confirmed nor cancelled, by order_id",
    .view = &order_summary_view,
    .kind = EX_QUERY_PAGE,
    .params = &open_orders_params_type,
    .row = &order_summary_type,
    .sql = "SELECT * FROM order_summary WHERE status IN ('draft', 'submitted')"
           " AND (:customer_id IS NULL OR customer_id = :customer_id)",
    .order_by = {"order_id"},
};

const ex_query_def order_by_id_query = {
    .name = "order-by-id",
    .doc = "One order's summary",
    .view = &order_summary_view,
    .kind = EX_QUERY_SINGLE,
    .params = &order_by_id_params_type,
    .row = &order_summary_type,
    .sql = "SELECT * FROM order_summary WHERE order_id = :order_id",
};

const ex_query_def order_count_query = {
    .name = "order-count",
    .doc = "How many orders there are",
    .view = &order_summary_view,
    .kind = EX_QUERY_COUNT,
    .sql = "SELECT count(*) FROM order_summary",
};
