/* view_standby.c: a view on a node that does not hold its lease. Nothing is written: the node that
 * holds it applies the events, and this one finds out how far it is, so that queries here can wait
 * for a position and the status shows the lag.
 *
 * The subscription is the same as the holder's. Where it finds no event for the view, the view has
 * seen everything so far, whatever its checkpoint says (the holder does not write one for what it
 * passes over). Where it finds one, the checkpoint is read until it has passed it: often while
 * somebody waits, else now and then. A checkpoint that went back is a rebuild: follow from there.
 */
#include "runtime/views.h"

#include "kernel/deadline.h"

#define POLL_MS    5u
#define REFRESH_MS 1000u

static ex_status read_checkpoint(view_runner *r, uint64_t *ret, ex_error *err)
{
    ex_sql *db = NULL;
    ex_status st = ex_sql_pool_take(r->views->pool, EX_SQL_READ, &db, err);
    if (st)
        return st;
    st = view_store_seen(db, r->def, ret, err);
    st = st ? st : view_parked_count(db, r->def, &r->parked, err);
    ex_sql_pool_give(r->views->pool, db);
    return st;
}

ex_status view_standby_open(view_runner *r, ex_error *err)
{
    static const ex_id unknown; /* the node with the lease proves the checkpoint */
    uint64_t position = 0;
    ex_status st = read_checkpoint(r, &position, err);
    st = st ? st : view_runner_subscribe(r, position, &unknown, err);
    if (st)
        return st;
    r->stored_position = r->next_relevant = position;
    return EX_OK;
}

/* What this node can say of the view now. */
static void publish(view_runner *r)
{
    bool is_behind = r->next_relevant > r->stored_position;
    view_runner_publish(r, is_behind ? r->next_relevant - 1 : ex_subscription_position(r->sub));
}

/* Until it is worth looking again. */
static void nap(view_runner *r)
{
    int rc = 0;
    pthread_mutex_lock(&r->mu);
    bool is_awaited = r->wanted > r->position;
    struct timespec until = ex_deadline(is_awaited ? POLL_MS : REFRESH_MS);
    r->is_resting = true; /* a commit is no reason to wake up, who waits is */
    while (rc == 0 && (is_awaited || r->wanted <= r->position) && !view_runner_is_called(r))
        rc = pthread_cond_timedwait(&r->wake, &r->mu, &until);
    r->is_resting = false;
    pthread_mutex_unlock(&r->mu);
}

static ex_status look(view_runner *r, ex_error *err)
{
    uint64_t position = 0;
    ex_status st = read_checkpoint(r, &position, err);
    if (!st && position < r->stored_position)
        return view_standby_open(r, err);
    if (!st)
        r->stored_position = position;
    return st;
}

ex_status view_standby_follow(view_runner *r, ex_error *err)
{
    ex_event event;
    if (r->next_relevant > r->stored_position) {
        ex_status st = look(r, err);
        if (st)
            return st;
        publish(r);
        if (r->next_relevant > r->stored_position)
            nap(r);
        return EX_OK;
    }
    ex_status st = ex_subscription_poll(r->sub, &event, err);
    switch (st) {
    case EX_OK:
        r->next_relevant = event.position;
        return EX_OK;
    case EX_EAGAIN:
        return ex_subscription_fill(r->sub, err);
    case EX_ETIMEOUT:
        publish(r);
        nap(r);
        return look(r, err);
    default:
        return st;
    }
}
