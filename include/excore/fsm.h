/* fsm.h: which state may follow which, as a table that decisions and tests read.
 *
 *     static const uint64_t order_moves[] = {
 *         [ORDER_DRAFT]     = EX_TO(ORDER_DRAFT) | EX_TO(ORDER_SUBMITTED) | EX_TO(ORDER_CANCELLED),
 *         [ORDER_SUBMITTED] = EX_TO(ORDER_CONFIRMED) | EX_TO(ORDER_CANCELLED),
 *         [ORDER_CONFIRMED] = EX_TO(ORDER_CANCELLED),
 *         [ORDER_CANCELLED] = 0,
 *     };
 *     static const ex_fsm order_fsm = {&order_status_enum, ORDER_DRAFT, order_moves};
 *
 * A state stays as it is only where the table says so. */
#ifndef EXCORE_FSM_H
#define EXCORE_FSM_H

#include <excore/type.h>

EX_BEGIN_DECLS

#define EX_FSM_STATES_MAX 64

/** The set of one state; sets are joined with |. */
#define EX_TO(state) (UINT64_C(1) << (state))

typedef struct ex_fsm {
    const ex_enum_type *states; /* at most EX_FSM_STATES_MAX */
    int initial;
    const uint64_t *moves; /* for each state the set of those that may follow it */
} ex_fsm;

/* Thread: any. Blocking: no. */

/** May `to` follow `from`? Numbers that are no state follow nothing. */
EX_API bool ex_fsm_can(const ex_fsm *fsm, int from, int to);
/** The set of states that may follow; empty for a number that is no state. */
EX_API uint64_t ex_fsm_targets(const ex_fsm *fsm, int from);
/** Nothing may follow it. False for a number that is no state. */
EX_API bool ex_fsm_is_terminal(const ex_fsm *fsm, int state);
/** The state of that name, upper and lower case apart. @return false when there is none */
EX_API bool ex_fsm_find(const ex_fsm *fsm, ex_slice name, int *ret);
/** @return EX_OK, or EX_ESTATE with code FSM_INVALID_TRANSITION and a text that names both states
 * and those that may follow */
EX_API EX_NODISCARD ex_status ex_fsm_require(const ex_fsm *fsm, int from, int to, ex_error *err);

EX_END_DECLS

#endif
