/* sql_pool_int.h: the pool's inside, shared by sql_pool.c (handing out) and sql_pool_keep.c
 * (upkeep). */
#ifndef EXCORE_SQL_SQL_POOL_INT_H
#define EXCORE_SQL_SQL_POOL_INT_H

#include "sql/sql_pool.h"

#include "kernel/file_mark.h"

#include <pthread.h>

/* Whoever set is_taken (under mu) owns the slot until it is freed. */
typedef struct pool_slot {
    ex_sql *db; /* NULL: none, or being opened */
    bool is_taken;
    uint64_t opened_ns, idle_ns;
} pool_slot;

struct ex_sql_pool {
    /* immutable */
    ex_sql_options conn;
    char *place, *schema;
    ex_file_mark file; /* SQLite: of the first connection; all others must meet the same */
    uint32_t min_conns, max_conns, wait_ms, tend_ms;
    uint64_t max_lifetime_ns, max_idle_ns;
    const ex_clock *clock;
    bool has_writer; /* SQLite */
    bool is_memory;
    bool has_keeper;
    pthread_t keeper;

    pthread_mutex_t mu;
    pthread_cond_t freed;
    pthread_cond_t stopped; /* for the keeper */
    /* guarded by mu */
    pool_slot *slots;
    uint32_t waiting;
    bool is_closing;
    bool is_stopping;  /* the keeper */
    uint32_t failures; /* to connect, in a row */
    uint64_t retry_ns; /* no try before */
    ex_error failure;  /* the last one */
    uint64_t opened, failed;
};

/* sql_pool.c: with the slot taken, mu not held */
/* Connect, unless the last failure was just now. @param connect_ms 0: as the pool's options say */
EX_NODISCARD ex_status pool_connect(ex_sql_pool *p, pool_slot *s, uint32_t connect_ms,
                                    ex_error *err);
void pool_disconnect(ex_sql_pool *p, pool_slot *s);
/* Has it lived for longer than it may? Also with mu held. */
bool pool_is_outlived(const ex_sql_pool *p, const pool_slot *s);

/* sql_pool_keep.c: the thread that looks after idle connections; nothing to do for a file. */
EX_NODISCARD ex_status pool_keeper_start(ex_sql_pool *p, ex_error *err);
void pool_keeper_stop(ex_sql_pool *p);

#endif
