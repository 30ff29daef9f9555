/* staged_index.c: chained hashing in two arrays; entries leave in the reverse order of coming. */
#include "store/staged_index.h"

#include <stdlib.h>

#define FIRST_CAPACITY 256u
#define KEPT_CAPACITY  8192u

void staged_index_done(staged_index *x)
{
    free(x->entries);
    free(x->buckets);
    memset(x, 0, sizeof(*x));
}

void staged_index_reset(staged_index *x)
{
    if (x->capacity > KEPT_CAPACITY)
        staged_index_done(x);
    else if (x->count)
        memset(x->buckets, 0, x->bucket_count * sizeof(*x->buckets));
    x->count = 0;
}

static uint32_t *bucket_of(const staged_index *x, uint64_t hash)
{
    return &x->buckets[hash & (x->bucket_count - 1)];
}

static void link_entry(staged_index *x, uint32_t number)
{
    uint32_t *bucket = bucket_of(x, x->entries[number].hash);
    x->entries[number].next = *bucket;
    *bucket = number + 1;
}

static ex_status grow(staged_index *x)
{
    uint32_t capacity = x->capacity ? 2 * x->capacity : FIRST_CAPACITY;
    staged_entry *entries = realloc(x->entries, capacity * sizeof(*entries));
    if (!entries)
        return EX_ENOMEM;
    x->entries = entries;
    uint32_t *buckets = calloc(capacity, sizeof(*buckets));
    if (!buckets)
        return EX_ENOMEM;
    free(x->buckets);
    x->buckets = buckets;
    x->bucket_count = capacity;
    x->capacity = capacity;
    for (uint32_t i = 0; i < x->count; i++) /* in order, so that the newest come first again */
        link_entry(x, i);
    return EX_OK;
}

ex_status staged_index_put(staged_index *x, uint64_t hash, uint32_t value)
{
    if (x->count == x->capacity) {
        ex_status st = grow(x);
        if (st)
            return st;
    }
    x->entries[x->count] = (staged_entry){.hash = hash, .value = value};
    link_entry(x, x->count++);
    return EX_OK;
}

void staged_index_truncate(staged_index *x, uint32_t value)
{
    while (x->count && x->entries[x->count - 1].value >= value) {
        const staged_entry *last = &x->entries[--x->count];
        *bucket_of(x, last->hash) = last->next; /* the newest is first in its bucket */
    }
}

bool staged_index_next(const staged_index *x, uint64_t hash, uint32_t *at, uint32_t *ret_value)
{
    if (x->count == 0)
        return false;
    uint32_t number = *at ? x->entries[*at - 1].next : *bucket_of(x, hash);
    while (number && x->entries[number - 1].hash != hash)
        number = x->entries[number - 1].next;
    if (!number)
        return false;
    *at = number;
    *ret_value = x->entries[number - 1].value;
    return true;
}
