/* types.c: how the words of orders.h look in JSON, and which values they allow. */
#include "orders.h"

/* clang-format off */

EX_ENUM_TYPE(order_status, "draft", "submitted", "confirmed", "cancelled");

EX_TYPE(order_item, "OrderItem",
    EX_FIELD(order_item, product_id, .min_len = 1),
    EX_FIELD(order_item, product_name, .min_len = 1),
    EX_FIELD(order_item, quantity, .min = 1, .max = ORDER_TOTAL_MAX_CENTS),
    EX_FIELD(order_item, unit_price_cents, .min = 0, .max = ORDER_TOTAL_MAX_CENTS));

EX_TYPE(order, "Order",
    EX_KEY(order, order_id),
    EX_FIELD(order, customer_id),
    EX_ENUM(order, status, order_status),
    EX_LIST_OF(order, items, order_item, .max_items = ORDER_ITEMS_MAX),
    EX_FIELD(order, total_cents));

/* ---- Commands ---- */

EX_TYPE(create_order, "CreateOrder",
    EX_KEY(create_order, order_id),
    EX_FIELD(create_order, customer_id, .min_len = 1));

/* Quantity and price are checked by the decision, which answers with the domain's own code. */
EX_TYPE(add_order_item, "AddOrderItem",
    EX_KEY(add_order_item, order_id),
    EX_FIELD(add_order_item, product_id),
    EX_FIELD(add_order_item, product_name),
    EX_FIELD(add_order_item, quantity),
    EX_FIELD(add_order_item, unit_price_cents));

EX_TYPE(remove_order_item, "RemoveOrderItem",
    EX_KEY(remove_order_item, order_id),
    EX_FIELD(remove_order_item, product_id, .min_len = 1));

EX_TYPE(submit_order, "SubmitOrder", EX_KEY(submit_order, order_id));
EX_TYPE(confirm_order, "ConfirmOrder", EX_KEY(confirm_order, order_id));

EX_TYPE(cancel_order, "CancelOrder",
    EX_KEY(cancel_order, order_id),
    EX_FIELD(cancel_order, reason, .min_len = 1));

/* ---- Events ---- */

EX_TYPE(order_created, "OrderCreated",
    EX_KEY(order_created, order_id),
    EX_FIELD(order_created, customer_id));

EX_TYPE(order_item_added, "OrderItemAdded",
    EX_KEY(order_item_added, order_id),
    EX_STRUCT(order_item_added, item, order_item),
    EX_FIELD(order_item_added, new_total_cents));

EX_TYPE(order_item_removed, "OrderItemRemoved",
    EX_KEY(order_item_removed, order_id),
    EX_FIELD(order_item_removed, product_id),
    EX_FIELD(order_item_removed, new_total_cents),
    EX_FIELD(order_item_removed, removed_quantity));

EX_TYPE(order_submitted, "OrderSubmitted",
    EX_KEY(order_submitted, order_id),
    EX_FIELD(order_submitted, customer_id),
    EX_LIST_OF(order_submitted, items, order_item, .min_items = 1, .max_items = ORDER_ITEMS_MAX),
    EX_FIELD(order_submitted, total_cents),
    EX_FIELD(order_submitted, submitted_at));

EX_TYPE(order_confirmed, "OrderConfirmed",
    EX_KEY(order_confirmed, order_id),
    EX_FIELD(order_confirmed, customer_id),
    EX_FIELD(order_confirmed, total_cents),
    EX_FIELD(order_confirmed, confirmed_at));

EX_TYPE(order_cancelled, "OrderCancelled",
    EX_KEY(order_cancelled, order_id),
    EX_FIELD(order_cancelled, customer_id),
    EX_FIELD(order_cancelled, reason, .min_len = 1));

/* ---- Read model ---- */

EX_TYPE(order_summary, "OrderSummary",
    EX_KEY(order_summary, order_id),
    EX_FIELD(order_summary, customer_id),
    EX_ENUM(order_summary, status, order_status),
    EX_FIELD(order_summary, item_count, .min = 0, .max = ORDER_TOTAL_MAX_CENTS),
    EX_FIELD(order_summary, total_cents),
    EX_FIELD(order_summary, created_at),
    EX_FIELD(order_summary, updated_at),
    EX_FIELD(order_summary, last_position));

EX_TYPE(open_orders_params, "OpenOrdersParams",
    EX_FIELD(open_orders_params, customer_id, .doc = "only this customer's orders"));

EX_TYPE(order_by_id_params, "OrderByIdParams",
    EX_FIELD(order_by_id_params, order_id, .min_len = 1));
