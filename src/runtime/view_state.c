/* view_state.c: the states of a view, what an operator may ask of one, and what its status says. */
#include <assert.h>

#include "runtime/view_damage.h"
#include "runtime/views.h"

#include <stdio.h>

#define TO(state) (1u << (EX_VIEW_##state))
/* R-PC-06, and standby: another node has the lease */
static const struct {
    const char *name;
    uint32_t next;
} moves[] = {
    [EX_VIEW_REBUILDING] = {"rebuilding", TO(ACTIVE) | TO(ERROR) | TO(STANDBY)},
    [EX_VIEW_ACTIVE] = {"active", TO(REBUILDING) | TO(PAUSED) | TO(ERROR) | TO(STANDBY)},
    [EX_VIEW_PAUSED] = {"paused", TO(ACTIVE) | TO(REBUILDING) | TO(ERROR)},
    [EX_VIEW_ERROR] = {"error", TO(ACTIVE) | TO(REBUILDING) | TO(STANDBY)},
    [EX_VIEW_STANDBY] = {"standby", TO(ACTIVE) | TO(REBUILDING) | TO(ERROR)},
};

bool view_may_move(const view_runner *r, ex_view_state to)
{
    return moves[r->state].next & (1u << to);
}

void view_move(view_runner *r, ex_view_state to)
{
    if (r->state == to)
        return;
    assert(view_may_move(r, to));
    r->state = to;
    if (to == EX_VIEW_ACTIVE || to == EX_VIEW_STANDBY)
        r->error[0] = '\0';
}

/* ---- Operator's calls ---- */

typedef enum request { REQUEST_PAUSE, REQUEST_RESUME, REQUEST_REBUILD } request;

/* mu is held. False: not a legal move. */
static bool take_request(view_runner *r, request what)
{
    switch (what) {
    case REQUEST_PAUSE:
        if (!view_may_move(r, EX_VIEW_PAUSED))
            return false;
        r->wants_pause = true;
        return true;
    case REQUEST_RESUME:
        if (!r->wants_pause)
            return false;
        r->wants_pause = false;
        return true;
    case REQUEST_REBUILD:
        if (!ex_lease_is_held(r->lease, NULL)) /* only who applies the events can */
            return false;
        r->wants_rebuild = true;
        return true;
    }
    return false;
}

static ex_status ask(ex_runtime *rt, const char *view, request what, ex_view_state to,
                     ex_error *err)
{
    view_runner *r = NULL;
    ex_status st = views_find_name(rt->views, view, &r, err);
    if (st)
        return st;
    pthread_mutex_lock(&r->mu);
    if (!take_request(r, what))
        st = ex_raise(err, EX_ESTATE, "view '%s' is %s and cannot become %s", r->def->name,
                      moves[r->state].name, moves[to].name);
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->mu);
    return st;
}

ex_status ex_runtime_view_pause(ex_runtime *rt, const char *view, ex_error *err)
{
    return ask(rt, view, REQUEST_PAUSE, EX_VIEW_PAUSED, err);
}

ex_status ex_runtime_view_resume(ex_runtime *rt, const char *view, ex_error *err)
{
    return ask(rt, view, REQUEST_RESUME, EX_VIEW_ACTIVE, err);
}

ex_status ex_runtime_view_rebuild(ex_runtime *rt, const char *view, ex_error *err)
{
    return ask(rt, view, REQUEST_REBUILD, EX_VIEW_REBUILDING, err);
}

bool ex_runtime_view_status(ex_runtime *rt, uint32_t index, ex_view_status *ret)
{
    if (!rt->views || index >= rt->views->runner_count)
        return false;
    view_runner *r = &rt->views->runners[index];
    uint64_t head = ex_store_head(rt->store);
    pthread_mutex_lock(&r->mu);
    *ret = (ex_view_status){.context = r->context->name,
                            .name = r->def->name,
                            .state = r->wants_rebuild ? EX_VIEW_REBUILDING : r->state,
                            .position = r->position,
                            .parked = r->shown_parked,
                            .is_other_build = r->is_other_build};
    memcpy(ret->error, r->error, sizeof(ret->error));
    pthread_mutex_unlock(&r->mu);
    if (!ret->error[0] && rt->views->was_damaged)
        (void)snprintf(ret->error, sizeof(ret->error), "%s",
                       "built anew since the start: views.db was damaged, see " VIEW_DAMAGE_ASIDE);
    ret->lag = head > ret->position ? head - ret->position : 0;
    return true;
}
