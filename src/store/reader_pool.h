/* reader_pool.h: a bounded set of open readers, lent to one cursor each.
 *
 * Readers are opened on demand up to the limit and kept; the one used last is lent first. Whenever
 * one is given back, another that nobody wanted for ten minutes is closed, so that a burst does not
 * hold connections and memory for good. When all are lent, who comes waits in line up to the
 * time-out: a reader that is given back goes to the one who waited longest, so nobody who takes a
 * reader again and again keeps others from theirs. */
#ifndef EXCORE_STORE_READER_POOL_H
#define EXCORE_STORE_READER_POOL_H

#include <pthread.h>

#include <excore/clock.h>

#include "store/driver.h"

typedef struct idle_reader {
    void *reader;
    uint64_t since_ns;
} idle_reader;

/** One who waits; on his stack. */
typedef struct reader_waiter {
    pthread_cond_t granted;
    bool is_granted; /* `reader` is his; NULL: he may open one */
    void *reader;
    struct reader_waiter *next;
} reader_waiter;

typedef struct reader_pool {
    /* immutable */
    const store_driver *driver;
    const ex_clock *clock;
    uint32_t limit;
    uint32_t timeout_ms;
    /* guarded by mu */
    pthread_mutex_t mu;
    reader_waiter *first, **end; /* the longest waiting first; only when no reader is to be had */
    idle_reader *idle;           /* the longest idle first */
    uint32_t idle_count;
    uint32_t open_count;
} reader_pool;

EX_NODISCARD ex_status reader_pool_init(reader_pool *p, const store_driver *driver, uint32_t limit,
                                        uint32_t timeout_ms, const ex_clock *clock, ex_error *err);
/** Close the readers; all were given back. A zeroed pool is accepted. */
void reader_pool_done(reader_pool *p);
/** @return EX_OK, EX_ETIMEOUT, EX_ESTORAGE, EX_ENOMEM. Thread: any. Blocking: up to the time-out.
 */
EX_NODISCARD ex_status reader_pool_take(reader_pool *p, void **ret_reader, ex_error *err);
/** Give a reader back; its scan is stopped. `is_broken`: close it instead of keeping it. */
void reader_pool_give(reader_pool *p, void *reader, bool is_broken);

#endif
