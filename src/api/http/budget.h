/* budget.h: the memory that clients make a server hold, in bytes: requests from their first byte
 * until their memory is freed, answers until the kernel has them.
 *
 * Three levels count the same bytes: the connection, the client's address, the
 * server. The nearer a level is to its limit, the less may still be begun:
 *
 *     of the limit of server and address
 *     3/4   BUDGET_LARGE      bodies above 64 KiB, long pages, streams
 *     7/8   BUDGET_WAITING    input behind a request that is being answered
 *     1     BUDGET_SMALL      any request
 *     9/8   BUDGET_OPERATOR   routes for those who look after the server
 *
 * What one connection may hold in answers is an eighth of what server and
 * address still have free: each connection that reads nothing takes a part of
 * the rest only, so there is always some for one that comes later.
 *
 * What is begun may grow over the limit by what it turns out to need: by one
 * event of a page, by the parsed form of one body for each loop. */
#ifndef EXCORE_API_HTTP_BUDGET_H
#define EXCORE_API_HTTP_BUDGET_H

#include <excore/base.h>

#include <pthread.h>
#include <stdatomic.h>

#define BUDGET_KEY_BYTES    16                 /* of an address */
#define BUDGET_SMALL_BYTES  ((size_t)64 << 10) /* up to it a body is small */
#define BUDGET_LEAST_BYTES  ((size_t)64 << 10) /* an answer that is begun gets so much */
#define BUDGET_BUCKET_COUNT 1024

typedef enum budget_use {
    BUDGET_LARGE,
    BUDGET_WAITING,
    BUDGET_SMALL,
    BUDGET_OPERATOR,
    BUDGET_USES
} budget_use;

typedef enum budget_level {
    BUDGET_FREE, /* there is room */
    BUDGET_CONNECTION,
    BUDGET_ADDRESS,
    BUDGET_SERVER,
    BUDGET_LEVELS
} budget_level;

typedef struct budget_address {
    /* immutable */
    struct budget_address *next; /* in its bucket; guarded by the budget's mu */
    unsigned char key[BUDGET_KEY_BYTES];
    /* guarded by the budget's mu */
    uint32_t refs;
    /* atomic */
    atomic_size_t used;
} budget_address;

typedef struct budget {
    /* immutable */
    size_t server_at[BUDGET_USES]; /* where each use ends */
    size_t address_at[BUDGET_USES];
    size_t connection_limit;
    /* atomic */
    atomic_size_t used;
    atomic_size_t peak; /* since memory was last given back */
    atomic_uint_least64_t trimmed_ms;
    /* guarded by mu */
    pthread_mutex_t mu;
    budget_address *buckets[BUDGET_BUCKET_COUNT];
} budget;

/* A connection's, and that of exchanges which outlive it. */
typedef struct budget_account {
    /* immutable */
    budget *budget;
    budget_address *address; /* NULL: not known, or not limited */
    /* atomic */
    atomic_size_t used;
    /* loop thread */
    uint32_t refs;
} budget_account;

/** @param address_percent of the server's limit; 100: addresses are not looked at */
void budget_init(budget *b, size_t server_limit, uint32_t address_percent, size_t connection_limit);
/** No account may be left. */
void budget_done(budget *b);

/** Thread: that of the account's loop. @param key BUDGET_KEY_BYTES, or NULL
 *  @return NULL: out of memory */
budget_account *budget_open(budget *b, const unsigned char *key);
budget_account *budget_ref(budget_account *a);
void budget_unref(budget_account *a);

/** Count bytes, whatever the limits. Thread: any. */
void budget_charge(budget_account *a, size_t bytes);
void budget_release(budget_account *a, size_t bytes);
/** Make *counted, which was charged before, `bytes`. */
static inline void budget_set(budget_account *a, size_t *counted, size_t bytes)
{
    if (bytes > *counted)
        budget_charge(a, bytes - *counted);
    else if (bytes < *counted)
        budget_release(a, *counted - bytes);
    *counted = bytes;
}

/** Whether address and server have room for so many more bytes. Thread: any. */
budget_level budget_check(const budget_account *a, budget_use use, size_t bytes);
/** Nobody holds much besides `own` bytes: then what is allowed at all is admitted. */
bool budget_is_alone(const budget_account *a, size_t own);
/** Bytes that are free for a use at address and server. Thread: any. */
size_t budget_room(const budget_account *a, budget_use use);
/** Bytes of answers that the connection may hold now. Thread: any. */
size_t budget_share(const budget_account *a);
/** Charge room for an answer, up to `want` bytes. Thread: any.
 *  @return the bytes, at least BUDGET_LEAST_BYTES; 0: there is none, nothing was charged */
size_t budget_take(budget_account *a, size_t want);

static inline size_t budget_used(const budget_account *a)
{
    return atomic_load_explicit(&a->used, memory_order_relaxed);
}

/** Give free memory back to the system once much of it was used and is not any more. Every few
 *  hundred milliseconds. Thread: any. Blocking: for milliseconds, seldom. */
void budget_tick(budget *b, uint64_t now_ms);

#endif
