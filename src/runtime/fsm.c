/* fsm.c: questions to a table of moves. */
#include <excore/fsm.h>

#include <excore/buf.h>

#include <assert.h>

static bool is_state(const ex_fsm *fsm, int state)
{
    assert(fsm->states->count <= EX_FSM_STATES_MAX);
    return state >= 0 && (uint32_t)state < fsm->states->count;
}

uint64_t ex_fsm_targets(const ex_fsm *fsm, int from)
{
    return is_state(fsm, from) ? fsm->moves[from] : 0;
}

bool ex_fsm_can(const ex_fsm *fsm, int from, int to)
{
    return is_state(fsm, to) && (ex_fsm_targets(fsm, from) & EX_TO(to)) != 0;
}

bool ex_fsm_is_terminal(const ex_fsm *fsm, int state)
{
    return is_state(fsm, state) && fsm->moves[state] == 0;
}

bool ex_fsm_find(const ex_fsm *fsm, ex_slice name, int *ret)
{
    for (uint32_t i = 0; i < fsm->states->count; i++) {
        if (ex_slice_eq(name, ex_str(fsm->states->names[i]))) {
            *ret = (int)i;
            return true;
        }
    }
    return false;
}

static void list_targets(const ex_fsm *fsm, int from, ex_buf *out)
{
    uint64_t targets = ex_fsm_targets(fsm, from);
    if (targets == 0)
        ex_buf_put(out, EX_S("(none - terminal state)"));
    for (uint32_t i = 0, listed = 0; i < fsm->states->count; i++)
        if (targets & EX_TO(i))
            ex_buf_printf(out, "%s%s", listed++ ? ", " : "", fsm->states->names[i]);
}

ex_status ex_fsm_require(const ex_fsm *fsm, int from, int to, ex_error *err)
{
    if (ex_fsm_can(fsm, from, to))
        return EX_OK;
    ex_buf targets;
    ex_buf_init(&targets, EX_ERROR_MESSAGE_SIZE);
    list_targets(fsm, from, &targets); /* cut or out of memory: the text says less */
    (void)ex_raise(err, EX_ESTATE, "%s: %s cannot become %s; valid: %.*s", fsm->states->name,
                   ex_enum_text(fsm->states, from), ex_enum_text(fsm->states, to),
                   EX_ARG(ex_buf_slice(&targets)));
    ex_error_set_code(err, "FSM_INVALID_TRANSITION");
    ex_buf_done(&targets);
    return EX_ESTATE;
}
