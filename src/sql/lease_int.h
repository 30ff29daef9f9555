/* lease_int.h: what lease.c (the callers' side) and lease_beat.c (the node's thread) share. */
#ifndef EXCORE_SQL_LEASE_INT_H
#define EXCORE_SQL_LEASE_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include <excore/clock.h>

#include "sql/lease.h"
#include "sql/postgres/pg_lease.h"

struct ex_lease {
    /* immutable */
    ex_leases *node;
    char *name;
    ex_gauge *held_gauge;
    ex_counter *taken_counter, *lost_counter;
    ex_lease *next;
    /* guarded by the node's mu */
    ex_lease_wake_fn *wake;
    void *ctx;
    bool is_wanted;
    bool is_held;
    bool has_changed;    /* wake is to be called */
    bool has_rival;      /* another live node wants it, too */
    uint64_t yielded_ns; /* not wanted before this time, on our clock */
    uint64_t token;
    uint64_t until_ns; /* held no longer than this, on our clock */
};

typedef struct lease_metrics {
    ex_gauge *held;           /* lease */
    ex_counter *taken, *lost; /* lease */
    ex_counter *failures;
    ex_gauge *nodes;
} lease_metrics;

struct ex_leases {
    /* immutable after start */
    char *url; /* NULL: one process owns the store */
    char *version;
    char host[65];
    char schema[EX_PG_NAME_SIZE];
    uint32_t ttl_ms;
    ex_id id;
    const ex_clock *clock;
    lease_metrics metrics;
    pthread_t thread;
    bool is_running;
    /* any thread */
    _Atomic uint64_t end_ns; /* nothing is waited for past it */
    /* the thread's */
    ex_pg *pg; /* NULL: none; changed under mu, for ex_pg_wake */
    ex_arena arena;
    bool is_out; /* beats fail: it was said once */
    /* guarded by mu */
    pthread_mutex_t mu;
    pthread_cond_t wake; /* for the thread while it has no connection */
    pthread_cond_t idle; /* for ex_lease_drop: no callback runs */
    ex_lease *leases;    /* a list; entries stay until the end */
    ex_lease *calling;   /* whose wake runs */
    char *address;       /* nullable */
    bool has_news;       /* the wants or the address changed, or a lease seems lost */
    bool is_new_work;    /* a name may not be in the table */
    bool is_stopping;
    uint64_t asked, looked; /* ex_lease_want so far; those that a beat has seen */
    pthread_cond_t beaten;  /* looked rose */
};

/* lease_beat.c */
EX_NODISCARD ex_status lease_beat_start(ex_leases *n, ex_error *err);
void lease_beat_stop(ex_leases *n);

/* lease.c; mu is held */
void lease_set_held(ex_lease *l, uint64_t token, uint64_t until_ns);
/* @param why for the log; NULL: given back on purpose */
void lease_set_lost(ex_lease *l, const char *why);
/* Does this node want it now? */
bool lease_is_wanted(const ex_lease *l);
/* Have the thread look again at once. */
void lease_poke(ex_leases *n);

#endif
