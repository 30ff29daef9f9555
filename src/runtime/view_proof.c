/* view_proof.c: is a view's checkpoint a place of the store's log?
 *
 * The views lie beside the log and can be parted from it: a copy that was taken while both were
 * written, an older log put back, a power cut that took the log's last moments, the views of
 * another store. Rows are then missing or belong to nothing, and nobody can tell by looking at
 * them. So a checkpoint says which log it is from, in which epoch it was read and which event
 * stands there, and a view whose checkpoint is not proven begins anew. */
#include "runtime/views.h"

static ex_status read_id(ex_store *store, uint64_t position, ex_id *ret, ex_error *err)
{
    ex_cursor *cursor = NULL;
    ex_event event;
    const ex_read_log read = {.after = position - 1, .limit = 1};
    ex_status st = ex_store_read_log(store, &read, &cursor, err);
    if (!st)
        st = ex_cursor_next(cursor, &event, err);
    if (!st && event.position == position)
        *ret = event.id;
    else if (!st || st == EX_EEND)
        st = ex_raise(err, EX_EAHEAD, "the log has no event at position %llu",
                      (unsigned long long)position);
    ex_cursor_close(cursor);
    return st;
}

ex_status view_proof_make(view_runner *r, uint64_t position, const ex_id *event, view_place *ret,
                          ex_error *err)
{
    view_place place = {.position = position,
                        .event = *event,
                        .log = ex_store_log_id(r->rt->store),
                        .epoch = ex_subscription_epoch(r->sub)};
    ex_status st = EX_OK;
    if (ex_id_is_nil(event) && position > 0)
        st = read_id(r->rt->store, position, &place.event, err);
    if (!st)
        *ret = place;
    return st;
}

static ex_status raise_changed(const view_place *place, const char *how, ex_error *err)
{
    return ex_raise(err, EX_ELOGCHANGED, "its checkpoint at position %llu is not of this log: %s",
                    (unsigned long long)place->position, how);
}

ex_status view_proof_check(view_runner *r, const view_place *place, ex_error *err)
{
    ex_error why = {0};
    ex_id event = {0}, log = ex_store_log_id(r->rt->store);
    if (place->position == 0)
        return EX_OK;
    if (!ex_id_eq(&place->log, &log))
        return raise_changed(place,
                             ex_id_is_nil(&place->log) ? "it names none" : "it names another", err);
    /* a store of a format without epochs has none to compare with */
    const ex_id *epoch = ex_id_is_nil(&place->epoch) ? NULL : &place->epoch;
    ex_status st = ex_store_check_position(r->rt->store, epoch, place->position, &why);
    st = st ? st : read_id(r->rt->store, place->position, &event, &why);
    if (st == EX_ELOGCHANGED || st == EX_EAHEAD)
        return raise_changed(place, why.message, err);
    if (!st && !ex_id_eq(&event, &place->event))
        return raise_changed(place, "another event is there", err);
    if (st && err)
        *err = why;
    return st;
}
