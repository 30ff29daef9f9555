/* sql_pool.h: a bounded pool of connections (R-02-09, R-02-11, R-02-14, R-02-15).
 *
 * On PostgreSQL all connections are alike. On SQLite one connection writes and the others read; in
 * memory there is one for both. A connection that broke is replaced when it is next wanted; while
 * the server cannot be reached, tries are spaced by ex_backoff_ms and calls in between fail at once
 * with EX_EAGAIN and the reason.
 *
 * On PostgreSQL a thread of the pool looks after idle connections (ex_sql_pool_tend).
 *
 * Thread: any. */
#ifndef EXCORE_SQL_SQL_POOL_H
#define EXCORE_SQL_SQL_POOL_H

#include "sql/sql.h"

#include <excore/clock.h>

typedef struct ex_sql_pool ex_sql_pool;

typedef struct ex_sql_pool_options {
    ex_sql_options conn;      /* `place`, `schema` are copied */
    uint32_t min_conns;       /* [2] opened at start and kept when idle */
    uint32_t max_conns;       /* [25] */
    uint32_t max_lifetime_ms; /* [1 h] PostgreSQL: then it is replaced */
    uint32_t max_idle_ms;     /* [10 min] PostgreSQL: then it is closed, down to min_conns */
    uint32_t tend_ms;         /* [30 s] PostgreSQL: between two rounds of upkeep */
    uint32_t wait_ms;         /* [conn.connect_timeout_ms, 30 s] for a free connection */
    const ex_clock *clock;    /* [the system's] */
} ex_sql_pool_options;

typedef struct ex_sql_pool_stats {
    uint32_t max, open, in_use, waiting;
    uint64_t opened, failed; /* ever */
} ex_sql_pool_stats;

/** Open min_conns connections (on SQLite the writer) and ping once; a failure of either is
 * returned. Blocking: connecting. */
EX_NODISCARD ex_status ex_sql_pool_open(const ex_sql_pool_options *options, ex_sql_pool **ret,
                                        ex_error *err);
/** Refuse new work, wait for what is out, then close everything. What is still out after timeout_ms
 *  is cancelled, and closed when it is given back. Calling it again is harmless.
 *  @return EX_OK, EX_ETIMEOUT (some are still out) */
EX_NODISCARD ex_status ex_sql_pool_close(ex_sql_pool *pool, uint32_t timeout_ms, ex_error *err);
/** Close without waiting and free. Nothing may be out. NULL is accepted. */
void ex_sql_pool_free(ex_sql_pool *pool);

/** Take a connection, alone until it is given back.
 *  @return EX_OK; EX_EOVERLOADED (none became free in wait_ms); EX_EAGAIN or ex_sql_open's failure
 *          (the server cannot be reached); EX_ECLOSED
 *  Blocking: at most wait_ms, and connecting. */
EX_NODISCARD ex_status ex_sql_pool_take(ex_sql_pool *pool, ex_sql_mode mode, ex_sql **ret,
                                        ex_error *err);
/** Give it back; an open transaction is rolled back. */
void ex_sql_pool_give(ex_sql_pool *pool, ex_sql *db);

/** A round of upkeep; the pool does it by itself every tend_ms. Idle connections that the server
 * has closed, that are past their lifetime or idle for too long are closed, and as many opened as
 *  min_conns wants. PostgreSQL only. Blocking: connecting. */
void ex_sql_pool_tend(ex_sql_pool *pool);
/** R-02-15: SELECT 1. All in use: EX_EOVERLOADED, "25/25 in use". Blocking: 5 s. */
EX_NODISCARD ex_status ex_sql_pool_health(ex_sql_pool *pool, ex_error *err);
ex_sql_pool_stats ex_sql_pool_stats_of(ex_sql_pool *pool);

#endif
