/* target_local.c: a target that is a store's directory, opened through the library.
 *
 * Reading opens the store read-only, so it works while a server writes it.
 * Writing takes the store's lock. */
#include "cli/target.h"

#include <pthread.h>
#include <stdlib.h>

#define REACH_MS 5000
#define IDLE_MS  1000 /* a follower looks this often whether its reader is still there */

typedef struct local {
    ex_store *store;
    ex_cancel *stop; /* of reads: a search may find nothing for long */
    pthread_mutex_t mu;
    ex_subscription *subscription; /* guarded by mu; NULL: not following */
    bool is_stopped;               /* guarded by mu */
} local;

static ex_status local_append(void *impl, const ex_stream_write *write, ex_appended *ret,
                              ex_error *err)
{
    local *l = impl;
    ex_append append = {.writes = write, .write_count = 1};
    return ex_store_append(l->store, &append, ret, err);
}

static bool is_stopped(local *l)
{
    pthread_mutex_lock(&l->mu);
    bool stopped = l->is_stopped;
    pthread_mutex_unlock(&l->mu);
    return stopped;
}

/* Takes the cursor over. *ret_any: whether there was an event. */
static ex_status drain_cursor(local *l, ex_cursor *cursor, target_event_fn *fn, void *ctx,
                              bool *ret_any, ex_error *err)
{
    ex_event event;
    ex_status status = EX_OK;
    *ret_any = false;
    while (!is_stopped(l)) {
        status = ex_cursor_next(cursor, &event, err);
        if (status)
            break;
        *ret_any = true;
        if (!fn(ctx, &event, (ex_slice){0}))
            break;
    }
    ex_cursor_close(cursor);
    return status == EX_EEND || status == EX_ECANCELLED ? EX_OK : status;
}

/* As a server answers: no events in this part of a stream is one thing, no stream another. */
static ex_status check_stream(local *l, ex_slice stream, ex_error *err)
{
    uint64_t version = 0;
    ex_status status = ex_store_stream_version(l->store, stream, &version, err);
    if (!status && version == 0)
        status = ex_raise(err, EX_ENOTFOUND, "there is no stream \"%.*s\"", EX_ARG(stream));
    return status;
}

static ex_status local_read_stream(void *impl, const ex_read_stream *read, target_event_fn *fn,
                                   void *ctx, ex_error *err)
{
    local *l = impl;
    ex_cursor *cursor = NULL;
    bool any = false;
    ex_read_stream stoppable = *read;
    stoppable.cancel = l->stop;
    ex_status status = ex_store_read_stream(l->store, &stoppable, &cursor, err);
    if (!status)
        status = drain_cursor(l, cursor, fn, ctx, &any, err);
    return status || any ? status : check_stream(l, read->stream, err);
}

static ex_status local_read_log(void *impl, const ex_read_log *read, target_event_fn *fn, void *ctx,
                                ex_error *err)
{
    local *l = impl;
    ex_cursor *cursor = NULL;
    bool any = false;
    ex_read_log stoppable = *read;
    stoppable.cancel = l->stop;
    ex_status status = ex_store_read_log(l->store, &stoppable, &cursor, err);
    return status ? status : drain_cursor(l, cursor, fn, ctx, &any, err);
}

/* The store is polled without waiting first, so that a burst is flushed once. */
static ex_status follow_subscription(ex_subscription *sub, target_event_fn *fn, void *ctx,
                                     ex_error *err)
{
    bool goes_on = true;
    while (goes_on) {
        ex_event event;
        ex_status status = ex_subscription_next(sub, 0, &event, err);
        if (status == EX_ETIMEOUT) {
            if (!fn(ctx, NULL, (ex_slice){0}))
                return EX_OK;
            status = ex_subscription_next(sub, IDLE_MS, &event, err);
        }
        if (status == EX_ECANCELLED)
            return EX_OK;
        if (status && status != EX_ETIMEOUT)
            return status;
        goes_on = status == EX_ETIMEOUT || fn(ctx, &event, (ex_slice){0});
    }
    return EX_OK;
}

static ex_status local_follow(void *impl, uint64_t after, const ex_filter *filter,
                              target_event_fn *fn, void *ctx, ex_error *err)
{
    local *l = impl;
    ex_subscribe subscribe = {.after = after, .filter = filter};
    ex_subscription *sub = NULL;
    ex_status status = ex_store_subscribe(l->store, &subscribe, &sub, err);
    if (status)
        return status;
    pthread_mutex_lock(&l->mu);
    l->subscription = sub;
    bool stopped = l->is_stopped;
    pthread_mutex_unlock(&l->mu);

    if (!stopped)
        status = follow_subscription(sub, fn, ctx, err);

    pthread_mutex_lock(&l->mu);
    l->subscription = NULL;
    pthread_mutex_unlock(&l->mu);
    ex_subscription_close(sub);
    return status;
}

static ex_status local_head(void *impl, uint64_t *ret, ex_error *err)
{
    (void)err;
    local *l = impl;
    *ret = ex_store_head(l->store);
    return EX_OK;
}

/* A store that is open for reading asks the database each time. */
static ex_status local_reach(void *impl, uint64_t min_position, bool is_current, ex_error *err)
{
    local *l = impl;
    uint64_t head = 0;
    ex_status status = is_current ? ex_store_current_head(l->store, &head, err) : EX_OK;
    return status || head >= min_position ? status
                                          : ex_store_wait(l->store, min_position, REACH_MS, err);
}

static void local_stop(void *impl)
{
    local *l = impl;
    pthread_mutex_lock(&l->mu);
    l->is_stopped = true;
    ex_cancel_request(l->stop);
    if (l->subscription)
        ex_subscription_stop(l->subscription);
    pthread_mutex_unlock(&l->mu);
}

static void local_close(void *impl)
{
    local *l = impl;
    ex_store_close(l->store);
    ex_cancel_free(l->stop);
    pthread_mutex_destroy(&l->mu);
    free(l);
}

static const target_ops local_ops = {
    .append = local_append,
    .read_stream = local_read_stream,
    .read_log = local_read_log,
    .follow = local_follow,
    .head = local_head,
    .reach = local_reach,
    .stop = local_stop,
    .close = local_close,
};

ex_status target_local_open(const char *dir, target_use use, bool may_create, target *ret,
                            ex_error *err)
{
    local *l = calloc(1, sizeof(*l));
    if (!l)
        return ex_raise(err, EX_ENOMEM, "out of memory");
    pthread_mutex_init(&l->mu, NULL);
    ex_store_options options = {.read_only = use == TARGET_READ, .must_exist = !may_create};
    ex_status status = ex_cancel_new(&l->stop, err);
    if (!status)
        status = ex_store_open(dir, &options, &l->store, err);
    if (status) {
        local_close(l);
        return status;
    }
    *ret = (target){&local_ops, l};
    return EX_OK;
}
