/* log_identity.c: see log_identity.h, and include/excore/log_id.h for what a log's identity is. */
#include "store/log_identity.h"

#include <assert.h>
#include <stdlib.h>

#include <excore/clock.h>

const char *ex_epoch_reason_name(ex_epoch_reason reason)
{
    static const char *const names[] = {
#define NAME(number, name, text, what) [number] = text,
        EX_EPOCH_REASON_MAP(NAME)
#undef NAME
    };
    return (size_t)reason < sizeof(names) / sizeof(names[0]) ? names[reason] : names[0];
}

ex_epoch_reason log_epoch_reason_of(ex_slice name)
{
#define FIND(number, constant, text, what)                                                         \
    if (ex_slice_is(name, text))                                                                   \
        return EX_EPOCH_##constant;
    EX_EPOCH_REASON_MAP(FIND)
#undef FIND
    return EX_EPOCH_UNKNOWN;
}

void log_identity_init(log_identity *li)
{
    memset(li, 0, sizeof(*li));
    (void)pthread_mutex_init(&li->mu, NULL); /* cannot fail on Linux */
}

void log_identity_done(log_identity *li)
{
    free(li->epochs);
    (void)pthread_mutex_destroy(&li->mu);
}

static bool is_same(const log_identity *li, const ex_id *log_id, const ex_log_epoch *epochs,
                    uint32_t count)
{
    if (li->count != count || !ex_id_eq(&li->log_id, log_id))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!ex_id_eq(&li->epochs[i].id, &epochs[i].id) || li->epochs[i].first != epochs[i].first)
            return false;
    return true;
}

static ex_status reserve(log_identity *li, uint32_t count, ex_error *err)
{
    if (count <= li->room)
        return EX_OK;
    ex_log_epoch *grown = realloc(li->epochs, count * sizeof(*grown));
    if (!grown)
        return ex_raise(err, EX_ENOMEM, "no memory for the epochs of the log");
    li->epochs = grown;
    li->room = count;
    return EX_OK;
}

ex_status log_identity_set(log_identity *li, const ex_id *log_id, const ex_log_epoch *epochs,
                           uint32_t count, ex_error *err)
{
    if (count > LOG_EPOCHS_KEPT) {
        epochs += count - LOG_EPOCHS_KEPT;
        count = LOG_EPOCHS_KEPT;
    }
    (void)pthread_mutex_lock(&li->mu);
    ex_status st = EX_OK;
    if (!is_same(li, log_id, epochs, count)) {
        st = reserve(li, count, err);
        if (st == EX_OK) {
            li->log_id = *log_id;
            li->count = count;
            if (count)
                memcpy(li->epochs, epochs, count * sizeof(*epochs));
            atomic_fetch_add(&li->generation, 1);
        }
    }
    (void)pthread_mutex_unlock(&li->mu);
    return st;
}

ex_status log_identity_reserve(log_identity *li, uint32_t count, ex_error *err)
{
    (void)pthread_mutex_lock(&li->mu);
    ex_status st = reserve(li, li->count + count, err);
    (void)pthread_mutex_unlock(&li->mu);
    return st;
}

void log_identity_append(log_identity *li, const ex_id *log_id, const ex_log_epoch *epochs,
                         uint32_t count)
{
    (void)pthread_mutex_lock(&li->mu);
    assert(li->count + count <= li->room);
    memcpy(li->epochs + li->count, epochs, count * sizeof(*epochs));
    li->count += count;
    if (li->count > LOG_EPOCHS_KEPT) {
        memmove(li->epochs, li->epochs + li->count - LOG_EPOCHS_KEPT,
                LOG_EPOCHS_KEPT * sizeof(*epochs));
        li->count = LOG_EPOCHS_KEPT;
    }
    li->log_id = *log_id;
    atomic_fetch_add(&li->generation, 1);
    (void)pthread_mutex_unlock(&li->mu);
}

ex_status log_epoch_make(uint64_t first, ex_epoch_reason reason, ex_log_epoch *ret, ex_error *err)
{
    *ret = (ex_log_epoch){
        .first = first, .opened_at_us = ex_now_us(ex_clock_system()), .reason = reason};
    return ex_id_new(&ret->id, err);
}

ex_status log_identity_create(log_identity *li, ex_error *err)
{
    ex_id log_id;
    ex_log_epoch first;
    ex_status st = ex_id_new(&log_id, err);
    if (st == EX_OK)
        st = log_epoch_make(1, EX_EPOCH_CREATED, &first, err);
    return st ? st : log_identity_set(li, &log_id, &first, 1, err);
}

uint64_t log_identity_generation(const log_identity *li)
{
    return atomic_load(&li->generation);
}

ex_id log_identity_log_id(log_identity *li)
{
    (void)pthread_mutex_lock(&li->mu);
    ex_id id = li->log_id;
    (void)pthread_mutex_unlock(&li->mu);
    return id;
}

ex_log_epoch log_identity_current(log_identity *li)
{
    ex_log_epoch epoch = {0};
    (void)pthread_mutex_lock(&li->mu);
    if (li->count)
        epoch = li->epochs[li->count - 1];
    (void)pthread_mutex_unlock(&li->mu);
    return epoch;
}

uint32_t log_identity_list(log_identity *li, ex_log_epoch *out, uint32_t room)
{
    (void)pthread_mutex_lock(&li->mu);
    uint32_t count = li->count, n = count < room ? count : room;
    if (n)
        memcpy(out, li->epochs + count - n, n * sizeof(*out));
    (void)pthread_mutex_unlock(&li->mu);
    return count;
}

/* From the newest on: a log that went on as a copy of another one may list an epoch twice. */
uint64_t log_epochs_bound(const ex_log_epoch *epochs, uint32_t count, const ex_id *epoch)
{
    uint64_t bound = UINT64_MAX;
    for (uint32_t i = count; i > 0; i--) {
        if (ex_id_eq(&epochs[i - 1].id, epoch))
            return bound;
        if (epochs[i - 1].first < bound)
            bound = epochs[i - 1].first;
    }
    return 0;
}

uint64_t log_identity_bound(log_identity *li, const ex_id *epoch, uint64_t *ret_generation)
{
    (void)pthread_mutex_lock(&li->mu);
    uint64_t bound = log_epochs_bound(li->epochs, li->count, epoch);
    if (ret_generation)
        *ret_generation = atomic_load(&li->generation);
    (void)pthread_mutex_unlock(&li->mu);
    return bound;
}
