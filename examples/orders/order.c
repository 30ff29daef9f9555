/* order.c: the order aggregate: six decisions, six events, one table at the end.
 *
 *     none -> draft -> submitted -> confirmed
 *               \________\____________\____-> cancelled */
#include "orders.h"

static int64_t line_total(const order_item *item)
{
    return item->quantity * item->unit_price_cents;
}

static const char *status_text(const order *o)
{
    return ex_enum_text(&order_status_enum, (int)o->status);
}

/* ---- What several decisions check ---- */

static ex_status reject_not_found(ex_decision *d)
{
    return ex_reject(d, "ORDER_NOT_FOUND", "there is no order %.*s", EX_ARG(ex_aggregate_id(d)));
}

static ex_status require_draft(const order *o, ex_decision *d)
{
    if (!o)
        return reject_not_found(d);
    if (o->status != ORDER_DRAFT)
        return ex_reject(d, "ORDER_NOT_IN_DRAFT", "order is %s", status_text(o));
    return EX_OK;
}

/* ---- Decisions ---- */

static ex_status decide_create(const order *o, const create_order *cmd, ex_decision *d)
{
    if (o)
        return ex_reject(d, "ORDER_ALREADY_EXISTS", "order is %s", status_text(o));
    (void)ex_tag(d, "customer", cmd->customer_id); /* a failure stays with the decision */
    return ex_emit(d, order_created, .order_id = cmd->order_id, .customer_id = cmd->customer_id);
}

static ex_status check_item(const order *o, const add_order_item *cmd, ex_decision *d)
{
    if (cmd->quantity <= 0)
        return ex_reject(d, "INVALID_ORDER_ITEM", "INVALID_QUANTITY: quantity must be above 0");
    if (cmd->unit_price_cents <= 0)
        return ex_reject(d, "INVALID_ORDER_ITEM",
                         "INVALID_PRICE: unit_price_cents must be above 0");
    if (cmd->quantity > (ORDER_TOTAL_MAX_CENTS - o->total_cents) / cmd->unit_price_cents)
        return ex_reject(d, "INVALID_ORDER_ITEM",
                         "INVALID_QUANTITY: the order's total is too large");
    if (cmd->product_id.len == 0 || cmd->product_name.len == 0)
        return ex_reject(d, "INVALID_ORDER_ITEM",
                         "INVALID_ITEM_DATA: product_id and product_name must not be empty");
    return EX_OK;
}

static ex_status decide_add_item(const order *o, const add_order_item *cmd, ex_decision *d)
{
    ex_status st = require_draft(o, d);
    if (st)
        return st;
    if (o->items.count >= ORDER_ITEMS_MAX)
        return ex_reject(d, "MAX_ITEMS_EXCEEDED", "an order has at most %d lines", ORDER_ITEMS_MAX);
    st = check_item(o, cmd, d);
    if (st)
        return st;
    order_item item = {cmd->product_id, cmd->product_name, cmd->quantity, cmd->unit_price_cents};
    return ex_emit(d, order_item_added, .order_id = o->order_id, .item = item,
                   .new_total_cents = o->total_cents + line_total(&item));
}

static ex_status decide_remove_item(const order *o, const remove_order_item *cmd, ex_decision *d)
{
    ex_status st = require_draft(o, d);
    if (st)
        return st;
    int64_t quantity = 0, cents = 0;
    for (uint32_t i = 0; i < o->items.count; i++) {
        const order_item *item = &o->items.items[i];
        if (!ex_slice_eq(item->product_id, cmd->product_id))
            continue;
        quantity += item->quantity;
        cents += line_total(item);
    }
    if (quantity == 0)
        return ex_reject(d, "ITEM_NOT_FOUND", "the order has no product %.*s",
                         EX_ARG(cmd->product_id));
    return ex_emit(d, order_item_removed, .order_id = o->order_id, .product_id = cmd->product_id,
                   .new_total_cents = o->total_cents - cents, .removed_quantity = quantity);
}

static ex_status decide_submit(const order *o, const submit_order *cmd, ex_decision *d)
{
    (void)cmd;
    ex_status st = require_draft(o, d);
    if (st)
        return st;
    if (o->items.count == 0)
        return ex_reject(d, "ORDER_HAS_NO_ITEMS", "add an item first");
    return ex_emit(d, order_submitted, .order_id = o->order_id, .customer_id = o->customer_id,
                   .items = {o->items.items, o->items.count, o->items.room},
                   .total_cents = o->total_cents, .submitted_at = ex_now(d));
}

static ex_status decide_confirm(const order *o, const confirm_order *cmd, ex_decision *d)
{
    (void)cmd;
    if (!o)
        return reject_not_found(d);
    if (o->status != ORDER_SUBMITTED)
        return ex_reject(d, "ORDER_NOT_SUBMITTED", "order is %s", status_text(o));
    return ex_emit(d, order_confirmed, .order_id = o->order_id, .customer_id = o->customer_id,
                   .total_cents = o->total_cents, .confirmed_at = ex_now(d));
}

static ex_status decide_cancel(const order *o, const cancel_order *cmd, ex_decision *d)
{
    if (!o)
        return reject_not_found(d);
    if (o->status == ORDER_CANCELLED)
        return ex_reject(d, "ORDER_ALREADY_CANCELLED", "order is cancelled");
    return ex_emit(d, order_cancelled, .order_id = o->order_id, .customer_id = o->customer_id,
                   .reason = cmd->reason);
}

/* ---- Events ---- */

static void on_created(order *o, const order_created *e, ex_arena *memory)
{
    (void)memory;
    o->order_id = e->order_id;
    o->customer_id = e->customer_id;
    o->status = ORDER_DRAFT;
}

/* The same product at the same price is one line (Y1 of the order domain's rules). */
static void on_item_added(order *o, const order_item_added *e, ex_arena *memory)
{
    o->total_cents = e->new_total_cents;
    for (uint32_t i = 0; i < o->items.count; i++) {
        order_item *item = &o->items.items[i];
        if (ex_slice_eq(item->product_id, e->item.product_id) &&
            item->unit_price_cents == e->item.unit_price_cents) {
            item->quantity += e->item.quantity;
            return;
        }
    }
    order_item *item = ex_list_add(memory, &o->items);
    if (item)
        *item = e->item;
}

static void on_item_removed(order *o, const order_item_removed *e, ex_arena *memory)
{
    (void)memory;
    o->total_cents = e->new_total_cents;
    for (uint32_t i = o->items.count; i-- > 0;)
        if (ex_slice_eq(o->items.items[i].product_id, e->product_id))
            ex_list_remove(&o->items, i);
}

static void on_submitted(order *o, const order_submitted *e, ex_arena *memory)
{
    (void)e, (void)memory;
    o->status = ORDER_SUBMITTED;
}

static void on_confirmed(order *o, const order_confirmed *e, ex_arena *memory)
{
    (void)e, (void)memory;
    o->status = ORDER_CONFIRMED;
}

static void on_cancelled(order *o, const order_cancelled *e, ex_arena *memory)
{
    (void)e, (void)memory;
    o->status = ORDER_CANCELLED;
}

/* ---- The aggregate ---- */

/* clang-format off */
#define ORDER_COMMANDS(COMMAND)                                               \
    COMMAND(order, create_order,      "create",      decide_create)           \
    COMMAND(order, add_order_item,    "add-item",    decide_add_item)         \
    COMMAND(order, remove_order_item, "remove-item", decide_remove_item)      \
    COMMAND(order, submit_order,      "submit",      decide_submit)           \
    COMMAND(order, confirm_order,     "confirm",     decide_confirm)          \
    COMMAND(order, cancel_order,      "cancel",      decide_cancel)

#define ORDER_EVENTS(EVENT)                                                   \
    EVENT(order, order_created,      on_created)                              \
    EVENT(order, order_item_added,   on_item_added)                           \
    EVENT(order, order_item_removed, on_item_removed)                         \
    EVENT(order, order_submitted,    on_submitted)                            \
    EVENT(order, order_confirmed,    on_confirmed)                            \
    EVENT(order, order_cancelled,    on_cancelled)
/* clang-format on */

/* Every type of event in the streams of orders is in the list above, or named here: the shop window
 * appends to them which orders were looked at, and no decision depends on it. */
EX_AGGREGATE(order, "order", ORDER_COMMANDS, ORDER_EVENTS, EX_IGNORES("OrderViewed"));
