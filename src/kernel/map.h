/* map.h: a hash map from byte strings to pointers; keys are copied, values are the caller's. */
#ifndef EXCORE_KERNEL_MAP_H
#define EXCORE_KERNEL_MAP_H

#include <excore/error.h>

typedef struct ex_map_entry ex_map_entry;

/** Open addressing, seeded hash (per process, from getrandom), grows by doubling. */
typedef struct ex_map {
    ex_map_entry *entries;
    size_t count;
    size_t capacity; /* 0 or a power of two */
    size_t holes;    /* places of removed entries that still end no probe */
    size_t limit;    /* most entries; 0: none */
} ex_map;

void ex_map_init(ex_map *m, size_t limit);
/** Free keys and table; `free_value` may be NULL. NULL-safe. */
void ex_map_done(ex_map *m, void (*free_value)(void *value));
/** The value, or NULL. */
void *ex_map_get(const ex_map *m, ex_slice key);
/** Insert or replace. *ret_old (nullable) gets the replaced value or NULL.
 *  @return EX_OK, EX_ENOMEM, EX_ETOOLARGE (limit) */
EX_NODISCARD ex_status ex_map_put(ex_map *m, ex_slice key, void *value, void **ret_old);
/** Remove; returns the value or NULL. */
void *ex_map_remove(ex_map *m, ex_slice key);
/** Walk: start with *at = 0; false at the end. No insertion while walking; removal of the current
 * one is fine. */
bool ex_map_next(const ex_map *m, size_t *at, ex_slice *ret_key, void **ret_value);
/** The seeded 64-bit hash that the map uses. */
uint64_t ex_hash(ex_slice key);

#endif
