/* scenario.h: testing an aggregate without a store: given events, when a command, then events.
 *
 *     ex_scenario *s = ex_scenario_new(&order_aggregate, "o-1");
 *     ex_given(s, order_created, .order_id = EX_S("o-1"), .customer_id = EX_S("c-1"));
 *     ex_when(s, submit_order, .order_id = EX_S("o-1"));
 *     assert_string_equal(ex_scenario_code(s), "ORDER_HAS_NO_ITEMS");
 *
 *     ex_when(s, add_order_item, .order_id = EX_S("o-1"), .product_id = EX_S("p-1"), .quantity = 2);
 *     if (!ex_then(s, order_item_added, .order_id = EX_S("o-1"), .new_total_cents = 500) ||
 *         !ex_then_no_more(s))
 *         fail_msg("%s", ex_scenario_difference(s));
 *     ex_scenario_free(s);
 *
 * Whatever the server checks is checked here, by the same code: the aggregate's
 * tables, the id, the command as JSON (its key may be left out, as in a request),
 * every event that is emitted or given, its key, its tags, its size. Events are
 * folded as the log would give them back. A mistake in the scenario itself (an
 * event that is not the aggregate's, memory) shows as a status other than EX_OK
 * and EX_EREJECTED. */
#ifndef EXCORE_SCENARIO_H
#define EXCORE_SCENARIO_H

#include <excore/aggregate.h>

EX_BEGIN_DECLS

typedef struct ex_scenario ex_scenario;

/** NULL when there is no memory, or the id has more than 255 bytes. Thread: one at a time. */
EX_API ex_scenario *ex_scenario_new(const ex_aggregate *aggregate, const char *id);
EX_API void ex_scenario_free(ex_scenario *s);
/** What ex_now gives from here on; 2026-01-01T00:00:00Z at first. */
EX_API void ex_scenario_set_time(ex_scenario *s, ex_time now);

/** An event of the past, written as JSON, read back and folded. */
#define ex_given(scenario, event_type, ...)                                                        \
    ex_scenario_given((scenario), &event_type##_type, &(event_type){__VA_ARGS__})
/** Run the command of that type; what it emits is folded too. */
#define ex_when(scenario, command_type, ...)                                                       \
    ex_scenario_when((scenario), &command_type##_type, &(command_type){__VA_ARGS__})
/** True when the command's next event (each call one further) is this one, compared as JSON. When it
 *  is not, ex_scenario_difference tells field by field what differs. */
#define ex_then(scenario, event_type, ...)                                                         \
    ex_scenario_then((scenario), &event_type##_type, &(event_type){__VA_ARGS__})

EX_API ex_status ex_scenario_given(ex_scenario *s, const ex_type *type, const void *event);
EX_API ex_status ex_scenario_when(ex_scenario *s, const ex_type *type, const void *command);
EX_API bool ex_scenario_then(ex_scenario *s, const ex_type *type, const void *event);
/** True when the command was executed and has no event beyond those that ex_then has seen. */
EX_API bool ex_then_no_more(ex_scenario *s);

/** Why the last ex_then or ex_then_no_more was false, for people, a line for each field; "" after a
 *  true one. Valid until the next call.
 *
 *      event 1, OrderSubmitted:
 *        total_cents: expected 500, got 499
 *        items[1].quantity: expected 2, got nothing */
EX_API const char *ex_scenario_difference(const ex_scenario *s);

/** Of the last call: EX_OK, EX_EREJECTED or a fault. */
EX_API ex_status ex_scenario_status(const ex_scenario *s);
/** The rejection's or fault's code and text, "" when there was none. */
EX_API const char *ex_scenario_code(const ex_scenario *s);
EX_API const char *ex_scenario_message(const ex_scenario *s);
/** True when the last command took effect as a business failure (ex_fail). */
EX_API bool ex_scenario_has_failed(const ex_scenario *s);
/** Events of the last command. */
EX_API uint32_t ex_scenario_event_count(const ex_scenario *s);
/** The state now, NULL before the first event. Borrowed until the next call. */
EX_API const void *ex_scenario_state(const ex_scenario *s);

EX_END_DECLS

#endif
