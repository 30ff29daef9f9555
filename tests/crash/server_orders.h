/* server_orders.h: the orders folded from the log by the test, to compare the server's view with.
 *
 * The fold is written on its own, not with the example's code. It refuses an event
 * that the state before it does not allow: a decision on a stale state shows here. */
#ifndef EXCORE_TESTS_SERVER_ORDERS_H
#define EXCORE_TESTS_SERVER_ORDERS_H

#include <excore/json.h>

typedef struct server_orders server_orders;

typedef enum order_stage {
    STAGE_NONE,
    STAGE_DRAFT,
    STAGE_SUBMITTED,
    STAGE_CONFIRMED,
    STAGE_CANCELLED
} order_stage;

server_orders *server_orders_new(void);
/** NULL is accepted. */
void server_orders_free(server_orders *o);

/** One event of the log as JSON; those of other streams are passed over. */
void server_orders_apply(server_orders *o, const ex_json *event);
/** What became of one; `ret_lines`: how often an item was added. */
order_stage server_orders_stage(const server_orders *o, const char *order_id, uint32_t *ret_lines);
size_t server_orders_count(const server_orders *o);

/** Compare the server's answers at min_position: the rows of the orders that changed since the last
 *  call, all open orders, and the number of orders. @return rows compared */
size_t server_orders_check(server_orders *o, uint16_t port, uint64_t min_position);
/** Compare every row, by the library on the store in `dir` that no server has open. */
size_t server_orders_check_library(const server_orders *o, const char *dir);

#endif
