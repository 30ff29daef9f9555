/* runtime_internal.h: the runtime's own structure, shared by the files of this folder.
 *
 * Owner of what: `cache`, `loads`, `decision` and `json` belong to the sequencer's thread;
 * everything else is set at start or has its own lock. */
#ifndef EXCORE_RUNTIME_RUNTIME_INTERNAL_H
#define EXCORE_RUNTIME_RUNTIME_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "observe/metrics.h"
#include "runtime/decision.h"
#include "runtime/state_cache.h"
#include "runtime/watchdog.h"
#include "sql/lease.h"
#include "store/directory.h"

#include <excore/runtime.h>

struct views;
struct event_check;
typedef struct state_loads state_loads;

typedef struct runtime_metrics {
    ex_histogram *command_seconds;     /* name, outcome */
    ex_histogram *query_seconds;       /* name, outcome */
    ex_histogram *rehydration_seconds; /* aggregate */
    ex_counter *slow_queries;          /* name */
    ex_counter *rejections;            /* name, code */
    ex_counter *cache_hits, *cache_misses, *cache_evictions;
    ex_gauge *cache_bytes, *cache_states, *state_loads;
    ex_gauge *view_lag, *view_position, *view_parked; /* view */
    ex_gauge *view_connections;                       /* state */
    ex_counter *view_events, *view_failures;          /* view */
} runtime_metrics;

#define COMMAND_OUTCOMES 5
#define COMMAND_SERIES   32

/* Series of a command by outcome, once looked up. */
typedef struct command_series {
    const ex_type *command;
    ex_histogram *seconds[COMMAND_OUTCOMES];
} command_series;

struct ex_runtime {
    /* immutable after start */
    ex_store *store;
    const ex_app *app;
    ex_runtime_options options; /* every default filled in; dir is place.path */
    store_directory place;
    const ex_clock *clock;
    runtime_metrics metrics;
    watchdog *watchdog; /* NULL when nobody is told */
    struct views *views;
    ex_leases *leases;     /* whose views are ours */
    ex_leases *own_leases; /* the same, when nobody lent them */
    struct event_check *event_check;
    /* sequencer's thread */
    state_cache *cache;
    state_loads *loads;
    ex_decision decision;
    ex_buf json;
    command_series series[COMMAND_SERIES];
    /* atomic */
    atomic_uint_fast64_t in_flight; /* commands, queries, and the runtime itself until it stops */
    atomic_bool is_stopping;
    _Atomic uint64_t end_ns; /* nothing of the views is waited for past it */
    /* guarded by mu */
    pthread_mutex_t mu;
    pthread_cond_t idle;
    bool is_idle; /* stopping, and the last one has left */
};

/** Count a command or a query in; EX_ECLOSED while stopping. */
EX_NODISCARD ex_status runtime_enter(ex_runtime *rt, ex_error *err);
void runtime_leave(ex_runtime *rt);
void runtime_report(ex_runtime *rt, const char *what, const char *name, const ex_error *err);

#endif
