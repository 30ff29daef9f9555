/* log_position.c: is a position that somebody kept still one of this log? See log_id.h.
 *
 * What this process knows answers first, and alone when the answer is yes. A no
 * is given only after the database was asked, where others write: the position
 * may be one of an append, the epoch one of a start, of which we have not heard. */
#include "store/import.h"
#include "store/position_check.h"
#include "store/sequencer.h"
#include "store/store_internal.h"

#define HEAR_MS 1000u /* how long an epoch of another node is waited for */

ex_id ex_store_log_id(ex_store *s)
{
    return log_identity_log_id(&s->identity);
}

ex_log_epoch ex_store_epoch(ex_store *s)
{
    return log_identity_current(&s->identity);
}

uint32_t ex_store_epochs(ex_store *s, ex_log_epoch *out, uint32_t room)
{
    return log_identity_list(&s->identity, out, room);
}

static ex_status raise_changed(uint64_t bound, uint64_t head, uint64_t position, ex_error *err)
{
    ex_status st =
        bound ? ex_raise(err, EX_ELOGCHANGED,
                         "position %llu was given in an epoch of the log that ends before %llu: "
                         "another event may stand there now",
                         (unsigned long long)position, (unsigned long long)bound)
              : ex_raise(err, EX_ELOGCHANGED,
                         "position %llu was given in an epoch that this log does not have",
                         (unsigned long long)position);
    if (err) {
        err->position = bound ? bound : 1;
        err->current = head;
    }
    return st;
}

static ex_status check(uint64_t bound, uint64_t head, uint64_t position, ex_error *err)
{
    if (position >= bound)
        return raise_changed(bound, head, position, err);
    if (position <= head)
        return EX_OK;
    return position_raise_ahead(position, head, err);
}

ex_status store_check_epoch(ex_store *s, const ex_id *epoch, uint64_t position,
                            uint64_t *ret_generation, ex_error *err)
{
    uint64_t bound = log_identity_bound(&s->identity, epoch, ret_generation);
    uint64_t head = atomic_load_explicit(&s->head, memory_order_acquire);
    return position < bound ? EX_OK : raise_changed(bound, head, position, err);
}

static ex_status check_known(ex_store *s, const ex_id *epoch, uint64_t position, ex_error *err)
{
    uint64_t bound = epoch ? log_identity_bound(&s->identity, epoch, NULL) : UINT64_MAX;
    return check(bound, atomic_load_explicit(&s->head, memory_order_acquire), position, err);
}

/* ---- Asking the database ---- */

ex_status store_read_epochs(ex_store *s, ex_arena *arena, store_epochs *ret, ex_error *err)
{
    void *reader = NULL;
    ex_status st = reader_pool_take(&s->readers, &reader, err);
    if (st)
        return st;
    st = s->driver.ops->reader->epochs(reader, arena, ret, err);
    reader_pool_give(&s->readers, reader, st != EX_OK);
    return st;
}

ex_status store_refresh_epochs(ex_store *s, ex_error *err)
{
    ex_arena arena;
    store_epochs e = {0};
    ex_arena_init(&arena, 0);
    ex_status st = store_read_epochs(s, &arena, &e, err);
    if (st == EX_OK)
        st = log_identity_set(&s->identity, &e.log_id, e.epochs, e.count, err);
    ex_arena_done(&arena);
    return st;
}

/* Another node has opened it: what this one still tells belongs to the epoch before, so the answer
 * has to wait until the sequencer has heard of it, too. */
static ex_status wait_for_epoch(ex_store *s, const ex_id *epoch, ex_error *err)
{
    const struct timespec pause = {.tv_nsec = 2000000};
    for (uint32_t ms = 0; ms < HEAR_MS; ms += 2) {
        if (log_identity_bound(&s->identity, epoch, NULL))
            return EX_OK;
        sequencer_look_at_log(s->sequencer);
        (void)nanosleep(&pause, NULL); /* a shorter one is fine */
    }
    return ex_raise(err, EX_EAGAIN, "this node has not heard yet of an epoch that another opened");
}

static ex_status ask(ex_store *s, const ex_id *epoch, uint64_t position, ex_error *err)
{
    ex_arena arena;
    store_epochs e = {0};
    uint64_t head = 0, bound = UINT64_MAX;
    ex_arena_init(&arena, 0);
    /* in this order: the epoch of a head that was read is among those that are read after it */
    ex_status st = ex_store_read_head(s, &head, err);
    if (st == EX_OK)
        st = store_read_epochs(s, &arena, &e, err);
    if (st == EX_OK && epoch)
        bound = log_epochs_bound(e.epochs, e.count, epoch);
    if (st == EX_OK && !s->sequencer)
        st = log_identity_set(&s->identity, &e.log_id, e.epochs, e.count, err);
    ex_arena_done(&arena);
    if (st == EX_OK)
        st = check(bound, head, position, err);
    return st == EX_OK && epoch && s->sequencer ? wait_for_epoch(s, epoch, err) : st;
}

ex_status ex_store_check_position(ex_store *s, const ex_id *epoch, uint64_t position, ex_error *err)
{
    bool others_write = !s->sequencer || s->driver.ops->shared;
    ex_status st = EX_OK;
    if (s->sequencer)
        st = check_known(s, epoch, position, others_write ? NULL : err);
    return others_write && (st || !s->sequencer) ? ask(s, epoch, position, err) : st;
}
