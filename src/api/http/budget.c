/* budget.c: three atomic sums for each charge; a table of the addresses that are connected. */
#include "api/http/budget.h"

#include <assert.h>
#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#define SHARE_PART       8 /* of what is free, that one connection may hold */
#define TRIM_PEAK_BYTES  ((size_t)8 << 20)
#define TRIM_INTERVAL_MS 2000
#define PEAK_BYTES       ((size_t)16 << 10) /* smaller charges do not make a peak */

static void set_uses(size_t at[BUDGET_USES], size_t limit)
{
    at[BUDGET_LARGE] = limit / 4 * 3;
    at[BUDGET_WAITING] = limit / 8 * 7;
    at[BUDGET_SMALL] = limit;
    at[BUDGET_OPERATOR] = limit + limit / 8;
}

void budget_init(budget *b, size_t server_limit, uint32_t address_percent, size_t connection_limit)
{
    memset(b, 0, sizeof(*b));
    set_uses(b->server_at, server_limit);
    set_uses(b->address_at,
             address_percent < 100 ? server_limit / 100 * address_percent : SIZE_MAX / 2);
    b->connection_limit = connection_limit;
    (void)pthread_mutex_init(&b->mu, NULL); /* cannot fail with default attributes on Linux */
}

void budget_done(budget *b)
{
    assert(atomic_load(&b->used) == 0);
    (void)pthread_mutex_destroy(&b->mu);
}

/* ---- Addresses ---- */

static budget_address **bucket_of(budget *b, const unsigned char *key)
{
    uint32_t h = 2166136261u;
    for (int i = 0; i < BUDGET_KEY_BYTES; i++)
        h = (h ^ key[i]) * 16777619u;
    return &b->buckets[(h ^ h >> 16) % BUDGET_BUCKET_COUNT];
}

static budget_address *address_ref(budget *b, const unsigned char *key)
{
    (void)pthread_mutex_lock(&b->mu);
    budget_address **bucket = bucket_of(b, key), *a = *bucket;
    while (a && memcmp(a->key, key, BUDGET_KEY_BYTES) != 0)
        a = a->next;
    if (!a && (a = calloc(1, sizeof(*a)))) {
        memcpy(a->key, key, BUDGET_KEY_BYTES);
        a->next = *bucket;
        *bucket = a;
    }
    if (a)
        a->refs++;
    (void)pthread_mutex_unlock(&b->mu);
    return a;
}

static void address_unref(budget *b, budget_address *a)
{
    if (!a)
        return;
    (void)pthread_mutex_lock(&b->mu);
    if (--a->refs == 0) {
        budget_address **at = bucket_of(b, a->key);
        while (*at != a)
            at = &(*at)->next;
        *at = a->next;
        assert(atomic_load(&a->used) == 0);
        free(a);
    }
    (void)pthread_mutex_unlock(&b->mu);
}

budget_account *budget_open(budget *b, const unsigned char *key)
{
    budget_account *a = calloc(1, sizeof(*a));
    if (!a)
        return NULL;
    a->budget = b;
    a->refs = 1;
    if (key && !(a->address = address_ref(b, key))) {
        free(a);
        return NULL;
    }
    return a;
}

budget_account *budget_ref(budget_account *a)
{
    a->refs++;
    return a;
}

void budget_unref(budget_account *a)
{
    if (!a || --a->refs > 0)
        return;
    assert(budget_used(a) == 0);
    address_unref(a->budget, a->address);
    free(a);
}

/* ---- Counting ---- */

static void add(atomic_size_t *sum, size_t bytes)
{
    (void)atomic_fetch_add_explicit(sum, bytes, memory_order_relaxed);
}

static void sub(atomic_size_t *sum, size_t bytes)
{
    size_t had = atomic_fetch_sub_explicit(sum, bytes, memory_order_relaxed);
    assert(had >= bytes);
    (void)had; /* only asserted */
}

void budget_charge(budget_account *a, size_t bytes)
{
    budget *b = a->budget;
    add(&a->used, bytes);
    if (a->address)
        add(&a->address->used, bytes);
    size_t used = atomic_fetch_add_explicit(&b->used, bytes, memory_order_relaxed) + bytes;
    if (bytes >= PEAK_BYTES && used > atomic_load_explicit(&b->peak, memory_order_relaxed))
        atomic_store_explicit(&b->peak, used, memory_order_relaxed); /* about right is enough */
}

void budget_release(budget_account *a, size_t bytes)
{
    sub(&a->used, bytes);
    if (a->address)
        sub(&a->address->used, bytes);
    sub(&a->budget->used, bytes);
}

/* ---- Asking ---- */

static size_t left(const atomic_size_t *used, size_t limit)
{
    size_t n = atomic_load_explicit(used, memory_order_relaxed);
    return n < limit ? limit - n : 0;
}

budget_level budget_check(const budget_account *a, budget_use use, size_t bytes)
{
    const budget *b = a->budget;
    if (left(&b->used, b->server_at[use]) <= bytes)
        return BUDGET_SERVER;
    if (a->address && left(&a->address->used, b->address_at[use]) <= bytes)
        return BUDGET_ADDRESS;
    return BUDGET_FREE;
}

bool budget_is_alone(const budget_account *a, size_t own)
{
    size_t used = atomic_load_explicit(&a->budget->used, memory_order_relaxed);
    return used - own <= a->budget->server_at[BUDGET_SMALL] / 16;
}

size_t budget_room(const budget_account *a, budget_use use)
{
    const budget *b = a->budget;
    size_t room = left(&b->used, b->server_at[use]);
    size_t of_address = a->address ? left(&a->address->used, b->address_at[use]) : room;
    return of_address < room ? of_address : room;
}

size_t budget_share(const budget_account *a)
{
    size_t share = budget_room(a, BUDGET_LARGE) / SHARE_PART;
    if (share > a->budget->connection_limit)
        share = a->budget->connection_limit;
    return share > BUDGET_LEAST_BYTES ? share : BUDGET_LEAST_BYTES;
}

size_t budget_take(budget_account *a, size_t want)
{
    if (budget_check(a, BUDGET_SMALL, 0) != BUDGET_FREE)
        return 0;
    size_t share = budget_share(a), used = budget_used(a);
    size_t room = used < share ? share - used : 0;
    if (room < BUDGET_LEAST_BYTES)
        room = BUDGET_LEAST_BYTES;
    if (want < BUDGET_LEAST_BYTES)
        want = BUDGET_LEAST_BYTES;
    if (room > want)
        room = want;
    budget_charge(a, room);
    return room;
}

/* ---- Giving back ---- */

void budget_tick(budget *b, uint64_t now_ms)
{
    size_t used = atomic_load_explicit(&b->used, memory_order_relaxed);
    size_t peak = atomic_load_explicit(&b->peak, memory_order_relaxed);
    if (peak < TRIM_PEAK_BYTES || used > peak / 4)
        return;
    uint_least64_t last = atomic_load(&b->trimmed_ms);
    if (now_ms - last < TRIM_INTERVAL_MS ||
        !atomic_compare_exchange_strong(&b->trimmed_ms, &last, now_ms))
        return; /* another loop does it */
    atomic_store_explicit(&b->peak, used, memory_order_relaxed);
#ifdef __GLIBC__
    (void)malloc_trim(0); /* what was freed below the top of a heap stays resident without it */
#endif
}
