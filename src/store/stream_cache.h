/* stream_cache.h: id and version of streams met lately, so that a hot stream costs no query.
 *
 * A set-associative cache: bounded, no allocation once warm. It holds what is
 * committed; when the fate of a batch is unknown it is emptied. */
#ifndef EXCORE_STORE_STREAM_CACHE_H
#define EXCORE_STORE_STREAM_CACHE_H

#include <excore/error.h>

typedef struct stream_cache_entry {
    uint64_t hash;
    uint64_t id; /* 0: free */
    uint64_t version;
    char *name;
    uint16_t name_len;
    uint16_t name_room;
    bool is_recent;
} stream_cache_entry;

typedef struct stream_cache {
    stream_cache_entry *entries;
    uint32_t hand; /* who goes when all of a set are recent */
} stream_cache;

EX_NODISCARD ex_status stream_cache_init(stream_cache *c, ex_error *err);
void stream_cache_done(stream_cache *c);
void stream_cache_clear(stream_cache *c);
/** False when it is not known. `hash` is that of the name. */
bool stream_cache_get(stream_cache *c, uint64_t hash, ex_slice name, uint64_t *ret_id,
                      uint64_t *ret_version);
/** Remember; without memory for it, forget. */
void stream_cache_put(stream_cache *c, uint64_t hash, ex_slice name, uint64_t id, uint64_t version);

#endif
