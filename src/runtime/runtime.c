/* runtime.c: start and stop of the runtime: options, metrics, cache, watchdog, views. */
#include <stdlib.h>

#include "runtime/event_check.h"
#include "runtime/registry.h"
#include "runtime/runtime_end.h"
#include "runtime/runtime_internal.h"
#include "runtime/state_load.h"
#include "runtime/views.h"
#include "sql/postgres/pg_url.h"
#include "store/store_internal.h"

static void fill_defaults(ex_runtime_options *o)
{
    o->state_cache_bytes = o->state_cache_bytes ? o->state_cache_bytes : (uint64_t)64 << 20;
    o->state_cache_count = o->state_cache_count ? o->state_cache_count : 100000;
    o->state_limit_bytes = o->state_limit_bytes ? o->state_limit_bytes : 4u << 20;
    o->view_batch_events = o->view_batch_events ? o->view_batch_events : 1000;
    o->view_retry_ms = o->view_retry_ms ? o->view_retry_ms : 1000;
    o->view_attempts = o->view_attempts ? o->view_attempts : 3;
    o->view_parked_limit = o->view_parked_limit ? o->view_parked_limit : 1000;
    o->decide_warn_ms = o->decide_warn_ms ? o->decide_warn_ms : 100;
    o->query_readers = o->query_readers ? o->query_readers : 4;
    o->query_timeout_ms = o->query_timeout_ms ? o->query_timeout_ms : 30000;
}

/* ---- Metrics ---- */

static ex_status register_histograms(ex_metrics *m, runtime_metrics *r, ex_error *err)
{
    const struct {
        ex_metric_desc desc;
        ex_histogram **ret;
    } rows[] = {
        {{"command_duration_seconds",
          "From submission to commit, by command and outcome.",
          {"name", "outcome"}},
         &r->command_seconds},
        {{"query_duration_seconds", "Named queries, by outcome.", {"name", "outcome"}},
         &r->query_seconds},
        {{"aggregate_rehydration_seconds",
          "Reading and folding the events that a state had not seen.",
          {"aggregate"}},
         &r->rehydration_seconds},
    };
    ex_status st = EX_OK;
    for (size_t i = 0; !st && i < sizeof(rows) / sizeof(rows[0]); i++)
        st = ex_metrics_histogram(m, &rows[i].desc, EX_BUCKETS_SECONDS, 11, rows[i].ret, err);
    return st;
}

static ex_status register_metrics(ex_metrics *m, runtime_metrics *r, ex_error *err)
{
    if (!m)
        return EX_OK;
    /* clang-format off */
    const struct {
        ex_metric_desc desc;
        ex_counter **counter;
        ex_gauge **gauge;
    } rows[] = {
        {{"command_rejections_total", "Commands refused by a business rule.", {"name", "code"}}, &r->rejections, NULL},
        {{"slow_queries_total", "Queries that took longer than half a second.", {"name"}}, &r->slow_queries, NULL},
        {{"state_cache_hits_total", "States found in the cache.", {NULL}}, &r->cache_hits, NULL},
        {{"state_cache_misses_total", "States folded from their stream.", {NULL}}, &r->cache_misses, NULL},
        {{"state_cache_evictions_total", "States dropped over a limit.", {NULL}}, &r->cache_evictions, NULL},
        {{"state_cache_bytes", "Memory of cached states.", {NULL}}, NULL, &r->cache_bytes},
        {{"state_cache_states", "Cached states.", {NULL}}, NULL, &r->cache_states},
        {{"state_loads", "States being read from long streams, beside the batches.", {NULL}}, NULL, &r->state_loads},
        {{"view_lag_events", "Events between a view and the log head.", {"view"}}, NULL, &r->view_lag},
        {{"view_position", "Checkpoint of a view.", {"view"}}, NULL, &r->view_position},
        {{"view_parked_events", "Events that a view could not apply and left out.", {"view"}}, NULL, &r->view_parked},
        {{"view_connections", "Connections to the database of the views, and queries that wait for one.", {"state"}}, NULL, &r->view_connections},
        {{"view_events_total", "Events applied by a view.", {"view"}}, &r->view_events, NULL},
        {{"view_failures_total", "Failed view transactions.", {"view"}}, &r->view_failures, NULL},
    };
    /* clang-format on */
    ex_status st = register_histograms(m, r, err);
    for (size_t i = 0; !st && i < sizeof(rows) / sizeof(rows[0]); i++)
        st = rows[i].counter ? ex_metrics_counter(m, &rows[i].desc, rows[i].counter, err)
                             : ex_metrics_gauge(m, &rows[i].desc, rows[i].gauge, err);
    return st;
}

/* ---- In flight ---- */

ex_status runtime_enter(ex_runtime *rt, ex_error *err)
{
    /* Count first, then look: whoever stops the runtime sees the count or is seen. */
    atomic_fetch_add(&rt->in_flight, 1);
    if (!atomic_load(&rt->is_stopping))
        return EX_OK;
    runtime_leave(rt);
    return ex_raise(err, EX_ECLOSED, "the runtime is stopping");
}

/* Who waits for the end waits for is_idle, not for the count: so the last one to leave may still
 * touch the lock. */
void runtime_leave(ex_runtime *rt)
{
    if (atomic_fetch_sub(&rt->in_flight, 1) != 1)
        return;
    pthread_mutex_lock(&rt->mu);
    rt->is_idle = true;
    pthread_cond_broadcast(&rt->idle);
    pthread_mutex_unlock(&rt->mu);
}

void runtime_report(ex_runtime *rt, const char *what, const char *name, const ex_error *err)
{
    if (rt->options.report)
        rt->options.report(rt->options.report_ctx, what, name, err);
}

static void report_slow_decide(void *ctx, const char *name, uint64_t running_ms)
{
    ex_error err;
    (void)ex_raise(&err, EX_ETIMEOUT, "decide of '%s' is running for %llu ms", name,
                   (unsigned long long)running_ms);
    runtime_report(ctx, "slow decide", name, &err);
}

/* ---- Start and stop ---- */

/* Without a database that others may share every view is ours. */
static ex_status join_nodes(ex_runtime *rt, ex_error *err)
{
    const char *dir = rt->options.dir; /* absolute */
    ex_leases_options options = {.url = dir && ex_pg_is_url(dir) ? dir : NULL,
                                 .ttl_ms = rt->options.lease_ms,
                                 .metrics = rt->options.metrics};
    ex_status st = EX_OK;
    if (!rt->options.leases)
        st = ex_leases_start(&options, &rt->own_leases, err);
    rt->leases = rt->options.leases ? rt->options.leases : rt->own_leases;
    return st;
}

/* Given in the store's words it is the store's own directory, wherever the process stands by now.
 */
static ex_status find_place(ex_runtime *rt, ex_error *err)
{
    const char *dir = rt->options.dir;
    const store_directory *own = &rt->store->dir;
    if (!dir || strcmp(dir, EX_STORE_MEMORY) == 0) {
        rt->options.dir = NULL;
        return EX_OK;
    }
    ex_status st = store_directory_init(
        &rt->place, own->shown && strcmp(dir, own->shown) == 0 ? own->path : dir, true, err);
    rt->options.dir = rt->place.path;
    return st;
}

static ex_status start_parts(ex_runtime *rt, ex_error *err)
{
    ex_status st = find_place(rt, err);
    st = st ? st : register_metrics(rt->options.metrics, &rt->metrics, err);
    if (st)
        return st;
    state_cache_options cache = {
        .count_limit = rt->options.state_cache_count,
        .bytes_limit = rt->options.state_cache_bytes,
        .state_limit_bytes = rt->options.state_limit_bytes,
        .hits = rt->metrics.cache_hits,
        .misses = rt->metrics.cache_misses,
        .evictions = rt->metrics.cache_evictions,
        .bytes = rt->metrics.cache_bytes,
        .count = rt->metrics.cache_states,
    };
    st = event_check_new(rt->app, &rt->event_check, err);
    st = st ? st : state_cache_new(&cache, &rt->cache, err);
    st = st ? st : state_loads_start(rt, &rt->loads, err);
    if (!st && rt->options.report)
        st = watchdog_start(rt->options.decide_warn_ms, rt->clock, report_slow_decide, rt,
                            &rt->watchdog, err);
    st = st ? st : join_nodes(rt, err);
    return st ? st : views_start(rt, &rt->views, err);
}

ex_status ex_runtime_start(ex_store *store, const ex_app *app, const ex_runtime_options *options,
                           ex_runtime **ret, ex_error *err)
{
    ex_status st = registry_check(app, err);
    if (st)
        return st;
    ex_runtime *rt = calloc(1, sizeof(*rt));
    if (!rt)
        return ex_raise(err, EX_ENOMEM, "no memory for the runtime");
    rt->store = store;
    rt->app = app;
    rt->clock = store->options.clock;
    if (options)
        rt->options = *options;
    fill_defaults(&rt->options);
    pthread_mutex_init(&rt->mu, NULL);
    pthread_cond_init(&rt->idle, NULL);
    atomic_init(&rt->in_flight, 1);
    atomic_init(&rt->is_stopping, false);
    atomic_init(&rt->end_ns, UINT64_MAX);
    ex_buf_init(&rt->json, 0);
    st = start_parts(rt, err);
    if (st)
        ex_runtime_stop(rt);
    else
        *ret = rt;
    return st;
}

void ex_runtime_stop(ex_runtime *rt)
{
    if (!rt)
        return;
    atomic_store(&rt->is_stopping, true);
    views_stop(rt->views);
    runtime_leave(rt);
    pthread_mutex_lock(&rt->mu);
    while (!rt->is_idle)
        pthread_cond_wait(&rt->idle, &rt->mu);
    pthread_mutex_unlock(&rt->mu);
    views_free(rt->views);
    ex_leases_stop(rt->own_leases);
    watchdog_stop(rt->watchdog);
    state_loads_stop(rt->loads);
    state_cache_free(rt->cache);
    event_check_free(rt->event_check);
    ex_buf_done(&rt->json);
    store_directory_done(&rt->place);
    pthread_cond_destroy(&rt->idle);
    pthread_mutex_destroy(&rt->mu);
    free(rt);
}

void ex_runtime_end_by(ex_runtime *rt, uint64_t deadline_ns)
{
    atomic_store(&rt->end_ns, deadline_ns);
    if (rt->own_leases)
        ex_leases_end_by(rt->own_leases, deadline_ns);
}

const ex_app *ex_runtime_app(const ex_runtime *rt)
{
    return rt->app;
}
