/* map.c: open addressing with linear probing over SipHash-1-3.
 *
 * Keys come from clients (stream names, JSON keys), so the hash is keyed with
 * 128 secret bits of the process: nobody outside can build colliding keys. A
 * removed entry leaves a hole that keeps probes going, so that a walk may
 * remove what it stands on; holes are dropped when the table is rebuilt. */
#include "kernel/map.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/random.h>

#define FIRST_CAPACITY 16

struct ex_map_entry {
    char *key; /* owned; NULL: free, hole_key: removed */
    size_t len;
    uint64_t hash;
    void *value;
};

static char hole_key[1];

/* ---- SipHash-1-3 (Aumasson, Bernstein) ---- */

static uint64_t hash_key[2];
static pthread_once_t hash_key_once = PTHREAD_ONCE_INIT;

static void draw_hash_key(void)
{
    if (getrandom(hash_key, sizeof(hash_key), 0) == (ssize_t)sizeof(hash_key))
        return;
    /* The kernel puts 16 bytes of its own generator on the stack of every process it starts. */
    const void *start_bytes = (const void *)getauxval(AT_RANDOM);
    if (start_bytes)
        memcpy(hash_key, start_bytes, sizeof(hash_key));
}

static inline uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1], v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0], v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1], v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2], v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

static inline void sip_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
}

uint64_t ex_hash(ex_slice key)
{
    (void)pthread_once(&hash_key_once, draw_hash_key);
    uint64_t v[4] = {
        hash_key[0] ^ UINT64_C(0x736f6d6570736575), hash_key[1] ^ UINT64_C(0x646f72616e646f6d),
        hash_key[0] ^ UINT64_C(0x6c7967656e657261), hash_key[1] ^ UINT64_C(0x7465646279746573)};
    size_t left = key.len;
    const char *at = key.ptr;
    uint64_t word;
    for (; left >= sizeof(word); left -= sizeof(word), at += sizeof(word)) {
        memcpy(&word, at, sizeof(word)); /* host order: hashes never leave the process */
        sip_word(v, word);
    }
    word = 0;
    if (left)
        memcpy(&word, at, left);
    sip_word(v, word ^ (uint64_t)key.len << 56);
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* ---- The table ---- */

static bool is_live(const ex_map_entry *e)
{
    return e->key && e->key != hole_key;
}

void ex_map_init(ex_map *m, size_t limit)
{
    *m = (ex_map){.limit = limit};
}

void ex_map_done(ex_map *m, void (*free_value)(void *value))
{
    if (!m)
        return;
    for (size_t i = 0; i < m->capacity; i++) {
        ex_map_entry *e = &m->entries[i];
        if (!is_live(e))
            continue;
        if (free_value)
            free_value(e->value);
        free(e->key);
    }
    free(m->entries);
    *m = (ex_map){.limit = m->limit};
}

static ex_map_entry *find(const ex_map *m, ex_slice key, uint64_t hash)
{
    if (m->count == 0)
        return NULL;
    size_t mask = m->capacity - 1;
    for (size_t i = hash & mask; m->entries[i].key; i = (i + 1) & mask) {
        ex_map_entry *e = &m->entries[i];
        if (e->hash == hash && is_live(e) && ex_slice_eq(ex_slice_of(e->key, e->len), key))
            return e;
    }
    return NULL;
}

void *ex_map_get(const ex_map *m, ex_slice key)
{
    if (m->count == 0) /* saves the hash */
        return NULL;
    const ex_map_entry *e = find(m, key, ex_hash(key));
    return e ? e->value : NULL;
}

/* The first free place of a probe. The caller has made sure that there is one. */
static ex_map_entry *free_place(ex_map_entry *entries, size_t capacity, uint64_t hash)
{
    size_t i = hash & (capacity - 1);
    while (entries[i].key)
        i = (i + 1) & (capacity - 1);
    return &entries[i];
}

/* Keep the table at most three quarters full, holes included. */
static bool make_room(ex_map *m)
{
    if ((m->count + m->holes + 1) * 4 <= m->capacity * 3)
        return true;
    size_t capacity = m->capacity ? m->capacity : FIRST_CAPACITY;
    if ((m->count + 1) * 2 > capacity) /* not only holes: grow */
        capacity *= 2;
    ex_map_entry *entries = calloc(capacity, sizeof(*entries));
    if (!entries)
        return false;
    for (size_t i = 0; i < m->capacity; i++)
        if (is_live(&m->entries[i]))
            *free_place(entries, capacity, m->entries[i].hash) = m->entries[i];
    free(m->entries);
    m->entries = entries;
    m->capacity = capacity;
    m->holes = 0;
    return true;
}

static ex_status insert(ex_map *m, ex_slice key, uint64_t hash, void *value)
{
    if (m->limit && m->count >= m->limit)
        return EX_ETOOLARGE;
    char *copy = make_room(m) ? malloc(key.len ? key.len : 1) : NULL;
    if (!copy)
        return EX_ENOMEM;
    if (key.len)
        memcpy(copy, key.ptr, key.len);
    *free_place(m->entries, m->capacity, hash) = (ex_map_entry){copy, key.len, hash, value};
    m->count++;
    assert(m->count + m->holes < m->capacity); /* a probe must end at a free place */
    return EX_OK;
}

ex_status ex_map_put(ex_map *m, ex_slice key, void *value, void **ret_old)
{
    uint64_t hash = ex_hash(key);
    ex_map_entry *e = find(m, key, hash);
    void *old = e ? e->value : NULL;
    if (e) {
        e->value = value;
    } else {
        ex_status st = insert(m, key, hash, value);
        if (st)
            return st;
    }
    if (ret_old)
        *ret_old = old;
    return EX_OK;
}

void *ex_map_remove(ex_map *m, ex_slice key)
{
    ex_map_entry *e = find(m, key, ex_hash(key));
    if (!e)
        return NULL;
    void *value = e->value;
    free(e->key);
    *e = (ex_map_entry){.key = hole_key};
    m->count--;
    m->holes++;
    return value;
}

bool ex_map_next(const ex_map *m, size_t *at, ex_slice *ret_key, void **ret_value)
{
    while (*at < m->capacity) {
        const ex_map_entry *e = &m->entries[(*at)++];
        if (!is_live(e))
            continue;
        *ret_key = ex_slice_of(e->key, e->len);
        *ret_value = e->value;
        return true;
    }
    return false;
}
