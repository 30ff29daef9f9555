/* stream_cache.c: sets of four entries, replaced by a second chance. */
#include "store/stream_cache.h"

#include <stdlib.h>

/* Room for three times the streams that are hot: half as many sets, and one stream in ten of a hot
 * 10,000 falls into a set that is full of others, and costs a query each time. */
#define SETS 8192u /* a power of two */
#define WAYS 4u

ex_status stream_cache_init(stream_cache *c, ex_error *err)
{
    memset(c, 0, sizeof(*c));
    c->entries = calloc((size_t)SETS * WAYS, sizeof(*c->entries));
    return c->entries ? EX_OK : ex_raise(err, EX_ENOMEM, "no memory for the stream cache");
}

void stream_cache_done(stream_cache *c)
{
    for (uint32_t i = 0; c->entries && i < SETS * WAYS; i++)
        free(c->entries[i].name);
    free(c->entries);
    memset(c, 0, sizeof(*c));
}

void stream_cache_clear(stream_cache *c)
{
    for (uint32_t i = 0; i < SETS * WAYS; i++)
        c->entries[i].id = 0;
}

static stream_cache_entry *set_of(stream_cache *c, uint64_t hash)
{
    return &c->entries[(hash & (SETS - 1)) * WAYS];
}

static stream_cache_entry *find(stream_cache *c, uint64_t hash, ex_slice name)
{
    stream_cache_entry *set = set_of(c, hash);
    for (uint32_t i = 0; i < WAYS; i++)
        if (set[i].id && set[i].hash == hash &&
            ex_slice_eq(ex_slice_of(set[i].name, set[i].name_len), name))
            return &set[i];
    return NULL;
}

bool stream_cache_get(stream_cache *c, uint64_t hash, ex_slice name, uint64_t *ret_id,
                      uint64_t *ret_version)
{
    stream_cache_entry *e = find(c, hash, name);
    if (!e)
        return false;
    e->is_recent = true;
    *ret_id = e->id;
    *ret_version = e->version;
    return true;
}

/* A free entry, else one that was not used since the last round, else the one under the hand. */
static stream_cache_entry *choose(stream_cache *c, uint64_t hash)
{
    stream_cache_entry *set = set_of(c, hash), *chosen = NULL;
    for (uint32_t i = 0; i < WAYS; i++) {
        if (!set[i].id)
            return &set[i];
        if (!set[i].is_recent && !chosen)
            chosen = &set[i];
    }
    if (chosen)
        return chosen;
    for (uint32_t i = 0; i < WAYS; i++)
        set[i].is_recent = false;
    return &set[c->hand++ % WAYS];
}

void stream_cache_put(stream_cache *c, uint64_t hash, ex_slice name, uint64_t id, uint64_t version)
{
    stream_cache_entry *e = find(c, hash, name);
    if (!e) {
        e = choose(c, hash);
        e->id = 0;
        if (name.len > e->name_room) {
            char *bigger = realloc(e->name, name.len);
            if (!bigger)
                return;
            e->name = bigger;
            e->name_room = (uint16_t)name.len;
        }
        memcpy(e->name, name.ptr, name.len);
        e->name_len = (uint16_t)name.len;
        e->hash = hash;
        e->is_recent = false;
    }
    e->id = id;
    e->version = version;
}
