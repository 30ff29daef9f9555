/* staged_index.h: finding what a batch staged: from a hash to the numbers that were put under it.
 *
 * Numbers are put in rising order and taken back from the end, so a submission
 * that fails takes only its own with it. The newest come first in a walk. */
#ifndef EXCORE_STORE_STAGED_INDEX_H
#define EXCORE_STORE_STAGED_INDEX_H

#include <excore/error.h>

typedef struct staged_entry {
    uint64_t hash;
    uint32_t value;
    uint32_t next; /* entry number + 1 in the same bucket; 0: none */
} staged_entry;

typedef struct staged_index {
    staged_entry *entries;
    uint32_t count;
    uint32_t capacity;
    uint32_t *buckets; /* entry number + 1; bucket_count is a power of two */
    uint32_t bucket_count;
} staged_index;

/** A zeroed index is ready. */
void staged_index_done(staged_index *x);
/** Forget all; give back memory beyond what an ordinary batch needs. */
void staged_index_reset(staged_index *x);
EX_NODISCARD ex_status staged_index_put(staged_index *x, uint64_t hash, uint32_t value);
/** Forget the numbers from `value` on. */
void staged_index_truncate(staged_index *x, uint32_t value);
/** Walk the numbers under a hash: start with *at = 0; false at the end. */
bool staged_index_next(const staged_index *x, uint64_t hash, uint32_t *at, uint32_t *ret_value);

#endif
