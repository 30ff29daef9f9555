/* live.c: what happens between a commit and those who follow the log. */
#include "store/live.h"

#include <assert.h>

ex_status live_init(store_live *l, const ex_store_options *options, uint64_t head, ex_error *err)
{
    memset(l, 0, sizeof *l);
    if (!options->read_only) {
        ex_status status = ring_new(options->ring_limit_bytes, head, &l->ring, err);
        if (status != EX_OK)
            return status;
    }
    watch_init(&l->watchers);
    pthread_mutex_init(&l->mu, NULL);
    l->is_ready = true;
    return EX_OK;
}

void live_publish(store_live *l, const ex_event *events, size_t count)
{
    assert(l->ring != NULL);
    ring_publish(l->ring, events, count);
    watch_wake(&l->watchers, ring_head(l->ring));
}

void live_skip(store_live *l, uint64_t head)
{
    assert(l->ring != NULL);
    ring_skip(l->ring, head);
    watch_wake(&l->watchers, head);
}

void live_close(store_live *l)
{
    atomic_store(&l->is_closed, true);
    watch_wake(&l->watchers, l->ring != NULL ? ring_head(l->ring) : 0);
}

void live_done(store_live *l)
{
    if (!l->is_ready)
        return;
    assert(l->subscriptions == NULL);
    watch_done(&l->watchers);
    pthread_mutex_destroy(&l->mu);
    ring_free(l->ring);
    memset(l, 0, sizeof *l);
}
