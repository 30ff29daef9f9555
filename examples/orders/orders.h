/* orders.h: the words of the orders context: states, commands, events, read model.
 *
 * Only plain structs; how each looks in JSON and which values it allows stands
 * in types.c. Money is in cents. */
#ifndef ORDERS_H
#define ORDERS_H

#include <excore/app.h>

#define ORDER_ITEMS_MAX       100
#define ORDER_TOTAL_MAX_CENTS 1000000000000000 /* ten trillion units of money */

typedef enum order_status {
    ORDER_DRAFT,
    ORDER_SUBMITTED,
    ORDER_CONFIRMED,
    ORDER_CANCELLED
} order_status;

typedef struct order_item {
    ex_slice product_id;
    ex_slice product_name;
    int64_t quantity;
    int64_t unit_price_cents;
} order_item;

/* ---- State ---- */

typedef struct order {
    ex_slice order_id;
    ex_slice customer_id;
    order_status status;
    EX_LIST(order_item) items;
    int64_t total_cents;
} order;

/* ---- Commands ---- */

typedef struct create_order {
    ex_slice order_id;
    ex_slice customer_id;
} create_order;

typedef struct add_order_item {
    ex_slice order_id;
    ex_slice product_id;
    ex_slice product_name;
    int64_t quantity;
    int64_t unit_price_cents;
} add_order_item;

typedef struct remove_order_item {
    ex_slice order_id;
    ex_slice product_id;
} remove_order_item;

typedef struct submit_order {
    ex_slice order_id;
} submit_order;

typedef struct confirm_order {
    ex_slice order_id;
} confirm_order;

typedef struct cancel_order {
    ex_slice order_id;
    ex_slice reason;
} cancel_order;

/* ---- Events ---- */

typedef struct order_created {
    ex_slice order_id;
    ex_slice customer_id;
} order_created;

typedef struct order_item_added {
    ex_slice order_id;
    order_item item;
    int64_t new_total_cents;
} order_item_added;

typedef struct order_item_removed {
    ex_slice order_id;
    ex_slice product_id;
    int64_t new_total_cents;
    int64_t removed_quantity;
} order_item_removed;

typedef struct order_submitted {
    ex_slice order_id;
    ex_slice customer_id;
    EX_LIST(order_item) items;
    int64_t total_cents;
    ex_time submitted_at;
} order_submitted;

typedef struct order_confirmed {
    ex_slice order_id;
    ex_slice customer_id;
    int64_t total_cents;
    ex_time confirmed_at;
} order_confirmed;

typedef struct order_cancelled {
    ex_slice order_id;
    ex_slice customer_id;
    ex_slice reason;
} order_cancelled;

/* ---- Read model ---- */

typedef struct order_summary {
    ex_slice order_id;
    ex_slice customer_id;
    order_status status;
    int64_t item_count;
    int64_t total_cents;
    ex_time created_at;
    ex_time updated_at;
    uint64_t last_position;
} order_summary;

typedef struct open_orders_params {
    ex_opt_text customer_id;
} open_orders_params;

typedef struct order_by_id_params {
    ex_slice order_id;
} order_by_id_params;

/* ---- Descriptors (types.c), aggregate (order.c), view and queries (order_summary.c) ---- */

extern const ex_enum_type order_status_enum;
extern const ex_type order_item_type, order_type;
extern const ex_type create_order_type, add_order_item_type, remove_order_item_type,
    submit_order_type, confirm_order_type, cancel_order_type;
extern const ex_type order_created_type, order_item_added_type, order_item_removed_type,
    order_submitted_type, order_confirmed_type, order_cancelled_type;
extern const ex_type order_summary_type, open_orders_params_type, order_by_id_params_type;

extern const ex_aggregate order_aggregate;
extern const ex_view_def order_summary_view;
extern const ex_query_def open_orders_query, order_by_id_query, order_count_query;

#endif
