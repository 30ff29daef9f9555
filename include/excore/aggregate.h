/* aggregate.h: what the domain is written with: pure decide and evolve functions.
 *
 * An aggregate is a state, a function for each command that decides, and a
 * function for each event that evolves the state. Decide functions run on the
 * store's sequencer: no I/O, no clock but ex_now, no allocation but the
 * decision's arena. The same input always gives the same outcome. Evolve
 * functions run there and, when a long stream is folded, on threads beside it:
 * several at once, each with a state of its own, so they must not write to
 * anything else.
 *
 *     static ex_status decide_confirm(const order *o, const confirm_order *cmd, ex_decision *d)
 *     {
 *         if (!o)
 *             return ex_reject(d, "ORDER_NOT_FOUND", "there is no order");
 *         if (o->status != ORDER_SUBMITTED)
 *             return ex_reject(d, "ORDER_NOT_SUBMITTED", "order is %s",
 * order_status_name(o->status)); return ex_emit(d, order_confirmed, .order_id = o->order_id,
 * .confirmed_at = ex_now(d));
 *     }
 *
 *     static void on_confirmed(order *o, const order_confirmed *e, ex_arena *memory)
 *     {
 *         (void)memory;
 *         o->status = ORDER_CONFIRMED;
 *     }
 *
 *     #define ORDER_COMMANDS(COMMAND)                          \
 *         COMMAND(order, confirm_order, "confirm", decide_confirm)
 *     #define ORDER_EVENTS(EVENT)                              \
 *         EVENT(order, order_confirmed, on_confirmed)
 *     EX_AGGREGATE(order, "order", ORDER_COMMANDS, ORDER_EVENTS);
 *
 * defines `const ex_aggregate order_aggregate`. The wrappers that it makes
 * check the types of state, command and event at compile time.
 *
 * A function may stand in several rows. Events that have the same members share
 * a struct under two names, and a function that needs nothing of its event takes
 * `const void *`:
 *
 *     typedef struct order_ended { ex_slice order_id; ex_time at; } order_ended;
 *     typedef order_ended order_confirmed;
 *     typedef order_ended order_cancelled;
 *     EX_TYPE(order_confirmed, "OrderConfirmed", EX_KEY(order_confirmed, order_id), …);
 *     EX_TYPE(order_cancelled, "OrderCancelled", EX_KEY(order_cancelled, order_id), …);
 *
 *     static void on_ended(order *o, const order_ended *e, ex_arena *memory)
 *     static void on_change(order *o, const void *e, ex_arena *memory)
 *
 *         EVENT(order, order_confirmed,  on_ended)
 *         EVENT(order, order_cancelled,  on_ended)
 *         EVENT(order, order_item_added, on_change)
 *
 * So do decide functions and handlers of views.
 *
 * Every type of event in its streams must be in that list. When a stream holds
 * another one, or another schema version than the type's, a command on it
 * answers STREAM_UNREADABLE: nothing is decided on a part of the truth. Types
 * that do not matter to the state, of other programs or of the past, are
 * declared:
 *
 *     EX_AGGREGATE(order, "order", ORDER_COMMANDS, ORDER_EVENTS,
 *                  EX_IGNORES("OrderPrinted", "OrderViewed")); */
#ifndef EXCORE_AGGREGATE_H
#define EXCORE_AGGREGATE_H

#include <excore/type.h>

EX_BEGIN_DECLS

/** What a decide function works with and answers into. Valid during the call. */
typedef struct ex_decision ex_decision;

/** Emit an event: `ex_emit(d, order_confirmed, .order_id = …)`. May be called several times.
 *  The event is checked against its type and copied; its EX_KEY field must be the aggregate's id.
 *  @return EX_OK, or the failure to return */
#define ex_emit(decision, event_type, ...)                                                         \
    ex_decision_emit((decision), &event_type##_type, &(event_type){__VA_ARGS__})
EX_API ex_status ex_decision_emit(ex_decision *d, const ex_type *type, const void *event);

/** Refuse the command: nothing is written, the caller gets the code and the text.
 *  @param code stable, as ORDER_NOT_FOUND: a capital letter, then A-Z, 0-9 and _, at most 64 bytes.
 *         gcc does not compile another literal, clang none that begins otherwise or is longer.
 *         Any other text is EX_EINTERNAL, INVALID_REJECTION: the server's log names the command
 *  @return EX_EREJECTED, to be returned */
EX_API ex_status ex_reject(ex_decision *d, const char *code, const char *fmt, ...) EX_PRINTF(3, 4);
/* clang-format off */
#if defined(__GNUC__)
#ifdef __clang__ /* cannot tell while compiling which characters a literal has */
#define EX_HAS_CODE_CHARACTERS_(code) true
#else
#define EX_HAS_CODE_CHARACTERS_(code)                                                              \
    (__builtin_strspn((code), "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == __builtin_strlen(code))
#endif
#define EX_IS_WRONG_CODE_(code)                                                                    \
    (!EX_HAS_CODE_CHARACTERS_(code) || *(code) < 'A' || *(code) > 'Z' ||                           \
     __builtin_strlen(code) > EX_CODE_MAX)
/* Never defined and called where the compiler sees the text of a wrong code only. */
void ex_wrong_code_(void)
    __attribute__((error("the code of ex_reject is not like ORDER_NOT_FOUND: A-Z, 0-9, _, at most 64 bytes")));
#define ex_reject(decision, code, ...)                                                             \
    (__builtin_constant_p(EX_IS_WRONG_CODE_(code)) && EX_IS_WRONG_CODE_(code) ? ex_wrong_code_()   \
                                                                             : (void)0,           \
     ex_reject((decision), (code), __VA_ARGS__))
#endif
/* clang-format on */

/** After emitting the event that records it: the command took effect as a business failure.
 *  @return EX_OK (the events are appended), to be returned */
EX_API ex_status ex_fail(ex_decision *d, const char *fmt, ...) EX_PRINTF(2, 3);

/** Tag the events emitted so far and later by this decision ("customer:7"). Up to 32.
 *  @return EX_OK, EX_EINVAL, EX_ENOMEM */
EX_API ex_status ex_tag(ex_decision *d, const char *key, ex_slice value);

/** The time of the decision: the recorded time of its events. */
EX_API ex_time ex_now(const ex_decision *d);
/** The {id} part of the aggregate's stream. */
EX_API ex_slice ex_aggregate_id(const ex_decision *d);
/** The command's id. */
EX_API ex_slice ex_command_id(const ex_decision *d);
/** Memory for the decision; freed after it. */
EX_API ex_arena *ex_decision_arena(ex_decision *d);

/* ---- Descriptors ---- */

typedef ex_status ex_decide_fn(const void *state, const void *command, ex_decision *d);
/** What the event points to lives as long as the state, so text may be kept as it is. More memory
 *  comes from `memory`; when it is exhausted the arena remembers and the state is thrown away. */
typedef void ex_evolve_fn(void *state, const void *event, ex_arena *memory);

typedef struct ex_command_def {
    const char *name; /* in the route: "confirm" */
    const ex_type *type;
    ex_decide_fn *decide;
} ex_command_def;

typedef struct ex_event_def {
    const ex_type *type;
    ex_evolve_fn *evolve;
} ex_event_def;

/** Streams are named `name-id`. */
typedef struct ex_aggregate {
    const char *name;     /* [a-z][a-z0-9_]* */
    const ex_type *state; /* may lack a field table when the state holds no pointers */
    const ex_command_def *commands;
    uint32_t command_count;
    const ex_event_def *events;
    uint32_t event_count;
    const char *const *ignored; /* names of event types that do not matter to the state */
    uint32_t ignored_count;
} ex_aggregate;

/* clang-format off */
#ifndef __cplusplus
/* Named by both types, so that a function may stand in several rows. */
#define EX_COMMAND_WRAPPER_(state_type, command_type, route, function)                             \
    static ex_status state_type##_##command_type##_##function(const void *state,                   \
                                                              const void *command, ex_decision *d) \
    {                                                                                              \
        return function((const state_type *)state, (const command_type *)command, d);              \
    }
#define EX_COMMAND_ROW_(state_type, command_type, route, function)                                 \
    {(route), &command_type##_type, state_type##_##command_type##_##function},
#define EX_EVENT_WRAPPER_(state_type, event_type, function)                                        \
    static void state_type##_##event_type##_##function(void *state, const void *event,             \
                                                       ex_arena *memory)                           \
    {                                                                                              \
        function((state_type *)state, (const event_type *)event, memory);                          \
    }
#define EX_EVENT_ROW_(state_type, event_type, function)                                            \
    {&event_type##_type, state_type##_##event_type##_##function},

/** Types of events in the aggregate's streams that it passes over, by their names in the log. */
#define EX_IGNORES(...)                                                                            \
    .ignored = (const char *const[]){__VA_ARGS__},                                                 \
    .ignored_count = sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)

/** Define `const ex_aggregate state_aggregate` from the two lists; EX_IGNORES may follow them. */
#define EX_AGGREGATE(state_type, aggregate_name, COMMANDS, EVENTS, ...)                            \
    COMMANDS(EX_COMMAND_WRAPPER_)                                                                  \
    EVENTS(EX_EVENT_WRAPPER_)                                                                      \
    static const ex_command_def state_type##_commands[] = {COMMANDS(EX_COMMAND_ROW_)};             \
    static const ex_event_def state_type##_events[] = {EVENTS(EX_EVENT_ROW_)};                     \
    const ex_aggregate state_type##_aggregate = {                                                  \
        (aggregate_name), &state_type##_type,                                                      \
        state_type##_commands, sizeof(state_type##_commands) / sizeof(state_type##_commands[0]),   \
        state_type##_events, sizeof(state_type##_events) / sizeof(state_type##_events[0]),         \
        __VA_ARGS__}
#endif
/* clang-format on */

EX_END_DECLS

#endif
