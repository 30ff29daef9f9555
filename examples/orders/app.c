/* app.c: what `excore serve --app orders.so` loads. */
#include "orders.h"

static const ex_context orders_context = {
    .name = "orders",
    EX_AGGREGATES(&order_aggregate),
    EX_VIEWS(&order_summary_view),
    EX_QUERIES(&open_orders_query, &order_by_id_query, &order_count_query),
};

EX_APP("orders", &orders_context);
