/* log_copy_identity.c: see log_copy_identity.h. */
#include "store/log_copy_identity.h"

#include <semaphore.h>

#include "store/batch.h"
#include "store/import.h"

/* ---- Writing it, as a submission of its own ---- */

typedef struct adoption {
    ex_submission submission; /* first */
    const store_epochs *epochs;
    ex_status status;
    ex_error err;
    sem_t answered;
} adoption;

static ex_status stage(ex_submission *s, ex_batch *b, ex_error *err)
{
    return batch_adopt(b, ((const adoption *)s)->epochs, err);
}

static void done(ex_submission *s, ex_status status, const ex_error *err)
{
    adoption *a = (adoption *)s;
    a->status = status;
    if (status && err)
        a->err = *err;
    (void)sem_post(&a->answered); /* the last access: the waiter's stack may be gone */
}

static ex_status adopt(ex_store *to, const store_epochs *epochs, ex_error *err)
{
    adoption a = {.submission = {.stage = stage, .done = done}, .epochs = epochs};
    (void)sem_init(&a.answered, 0, 0); /* cannot fail with 0 */
    ex_status st = ex_store_submit(to, &a.submission, err);
    if (st == EX_OK) {
        while (sem_wait(&a.answered) != 0) { /* a signal */
        }
        st = a.status;
        if (st && err)
            *err = a.err;
    }
    (void)sem_destroy(&a.answered);
    return st;
}

/* ---- The two ends of a copy ---- */

ex_status log_copy_identity_begin(ex_store *from, ex_store *to, ex_error *err)
{
    ex_id source = ex_store_log_id(from), target = ex_store_log_id(to);
    ex_log_epoch epoch;
    if (ex_id_is_nil(&source) || ex_id_eq(&source, &target) || ex_store_head(to) > 0)
        return EX_OK;
    ex_status st = log_epoch_make(1, EX_EPOCH_COPIED, &epoch, err);
    const store_epochs epochs = {source, &epoch, 1};
    return st ? st : adopt(to, &epochs, err);
}

/* Does the list end with the source's epochs and the target's last one? */
static bool is_listed(ex_store *to, const store_epochs *source, uint64_t first)
{
    ex_log_epoch list[LOG_EPOCHS_KEPT];
    uint32_t count = ex_store_epochs(to, list, LOG_EPOCHS_KEPT);
    if (count > LOG_EPOCHS_KEPT || count < source->count + 1 ||
        list[count - 1].reason != EX_EPOCH_COPIED || list[count - 1].first != first)
        return false;
    const ex_log_epoch *at = list + count - 1 - source->count;
    for (uint32_t i = 0; i < source->count; i++)
        if (!ex_id_eq(&at[i].id, &source->epochs[i].id))
            return false;
    return true;
}

static ex_status finish(ex_store *from, ex_store *to, ex_arena *arena, ex_error *err)
{
    store_epochs source;
    ex_status st = store_read_epochs(from, arena, &source, err);
    ex_id target = ex_store_log_id(to);
    uint64_t first = ex_store_head(to) + 1;
    if (st || ex_id_is_nil(&source.log_id) || !ex_id_eq(&source.log_id, &target) ||
        is_listed(to, &source, first))
        return st;
    ex_log_epoch *list = ex_arena_array(arena, source.count + 1, sizeof(*list));
    if (!list)
        return ex_raise(err, EX_ENOMEM, "no memory for the epochs of the log");
    memcpy(list, source.epochs, source.count * sizeof(*list));
    st = log_epoch_make(first, EX_EPOCH_COPIED, &list[source.count], err);
    const store_epochs epochs = {source.log_id, list, source.count + 1};
    return st ? st : adopt(to, &epochs, err);
}

ex_status log_copy_identity_finish(ex_store *from, ex_store *to, ex_error *err)
{
    ex_arena arena;
    ex_arena_init(&arena, 0);
    ex_status st = finish(from, to, &arena, err);
    ex_arena_done(&arena);
    return st;
}
