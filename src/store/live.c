/* live.c: what happens between a commit and those who follow the log. */
#include "store/live.h"

#include <assert.h>

#include "store/subscription.h"

/* ---- Metrics ---- */

typedef struct follower_counts {
    int64_t live;
    int64_t catching_up;
    uint64_t lag_events; /* of the one furthest behind */
} follower_counts;

static follower_counts count_followers(store_live *l)
{
    follower_counts counts = {0};
    uint64_t head = ring_head(l->ring);
    pthread_mutex_lock(&l->mu);
    for (const ex_subscription *sub = l->subscriptions; sub != NULL; sub = sub->next) {
        uint64_t position = ex_subscription_position(sub);
        uint64_t lag = position < head ? head - position : 0;
        if (lag > counts.lag_events)
            counts.lag_events = lag;
        if (ex_subscription_is_live(sub))
            counts.live++;
        else
            counts.catching_up++;
    }
    pthread_mutex_unlock(&l->mu);
    return counts;
}

static void refresh(void *ctx)
{
    store_live *l = ctx;
    ring_usage usage = ring_measure(l->ring);
    follower_counts counts = count_followers(l);
    ex_gauge_set(l->metrics.ring_bytes, (int64_t)usage.bytes);
    ex_gauge_set(l->metrics.ring_events, (int64_t)usage.events);
    ex_gauge_set(l->metrics.live, counts.live);
    ex_gauge_set(l->metrics.catching_up, counts.catching_up);
    ex_gauge_set(l->metrics.lag_events, (int64_t)counts.lag_events);
}

static ex_status add_gauges(ex_metrics *m, live_metrics *ret, ex_error *err)
{
    const struct {
        ex_metric_desc desc;
        ex_gauge **ret;
    } gauges[] = {
        {{"store_ring_bytes", "Memory of the ring of recent events.", {NULL}}, &ret->ring_bytes},
        {{"store_ring_events", "Events in the ring of recent events.", {NULL}}, &ret->ring_events},
        {{"store_subscription_lag_events",
          "Events that the subscription furthest behind has not looked at.",
          {NULL}},
         &ret->lag_events},
    };
    for (size_t i = 0; i < sizeof gauges / sizeof *gauges; i++) {
        ex_status status = ex_metrics_gauge(m, &gauges[i].desc, gauges[i].ret, err);
        if (status != EX_OK)
            return status;
    }
    return EX_OK;
}

static ex_status add_metrics(store_live *l, ex_metrics *m, ex_error *err)
{
    static const ex_metric_desc followers = {
        "store_subscriptions", "Open subscriptions by state.", {"state"}};
    static const ex_metric_desc fills = {
        "store_subscription_fills_total",
        "Chunks that subscriptions read from the log because the ring did not hold them.",
        {NULL}};
    ex_gauge *family = NULL;
    ex_status status = add_gauges(m, &l->metrics, err);
    if (status == EX_OK)
        status = ex_metrics_counter(m, &fills, &l->metrics.fills, err);
    if (status == EX_OK)
        status = ex_metrics_gauge(m, &followers, &family, err);
    if (status != EX_OK)
        return status;
    l->metrics.live = ex_gauge_with(family, &EX_S("live"));
    l->metrics.catching_up = ex_gauge_with(family, &EX_S("catching_up"));
    if (ex_metrics_on_collect(m, refresh, l) != EX_OK)
        return ex_raise(err, EX_ENOMEM, "no memory for the metrics of subscriptions");
    l->metrics.registry = m;
    return EX_OK;
}

/* ---- Life ---- */

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
    ex_status status = EX_OK;
    if (options->metrics != NULL && l->ring != NULL)
        status = add_metrics(l, options->metrics, err);
    if (status != EX_OK)
        live_done(l);
    return status;
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

void live_restart(store_live *l, uint64_t head)
{
    assert(l->ring != NULL);
    ring_restart(l->ring, head);
}

void live_wake(store_live *l)
{
    watch_wake(&l->watchers, ring_head(l->ring));
}

bool live_has_followers(store_live *l)
{
    pthread_mutex_lock(&l->mu);
    bool has = l->subscriptions != NULL;
    pthread_mutex_unlock(&l->mu);
    return has;
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
    ex_metrics_off_collect(l->metrics.registry, refresh, l);
    assert(l->subscriptions == NULL);
    watch_done(&l->watchers);
    pthread_mutex_destroy(&l->mu);
    ring_free(l->ring);
    memset(l, 0, sizeof *l);
}
