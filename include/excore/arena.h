/* arena.h: memory that is freed all at once, with a hard limit.
 *
 * One arena per request, submission or batch. Nothing in an arena is freed
 * by itself; whatever must live longer is copied out. */
#ifndef EXCORE_ARENA_H
#define EXCORE_ARENA_H

#include <excore/base.h>

EX_BEGIN_DECLS

typedef struct ex_arena_block ex_arena_block;

/** Fields are private. Zero-initialised plus ex_arena_init is ready. */
typedef struct ex_arena {
    ex_arena_block *head; /* the block in use */
    size_t used_bytes;    /* handed out */
    size_t total_bytes;   /* taken from malloc */
    size_t limit_bytes;
    bool has_failed; /* an allocation returned NULL since init or reset */
} ex_arena;

/** A place to return to: everything allocated after it can be taken back. */
typedef struct ex_arena_mark {
    ex_arena_block *head;
    size_t block_used;
    size_t used_bytes;
} ex_arena_mark;

/** Prepare an empty arena; allocates nothing. limit_bytes 0 means 64 MiB. */
EX_API void ex_arena_init(ex_arena *a, size_t limit_bytes);
/** Free everything. NULL and a zeroed arena are accepted; the arena is empty and usable after. */
EX_API void ex_arena_done(ex_arena *a);
/** Forget everything but keep one block for reuse. */
EX_API void ex_arena_reset(ex_arena *a);

/** True when an allocation failed since init, done or reset: for builders that check once. */
static inline bool ex_arena_has_failed(const ex_arena *a)
{
    return a->has_failed;
}

/** Memory aligned for any type, not cleared. NULL when the limit or the heap is exhausted. */
EX_API void *ex_arena_alloc(ex_arena *a, size_t size);
/** The same, cleared. */
EX_API void *ex_arena_zalloc(ex_arena *a, size_t size);
/** Room for `count` items of `size` bytes, cleared; checks the product. */
EX_API void *ex_arena_array(ex_arena *a, size_t count, size_t size);
/** A copy with a NUL after it that the length does not count. {NULL, 0} when out of memory. */
EX_API ex_slice ex_arena_copy(ex_arena *a, ex_slice s);
/** printf into the arena; {NULL, 0} when out of memory. */
EX_API ex_slice ex_arena_printf(ex_arena *a, const char *fmt, ...) EX_PRINTF(2, 3);

EX_API ex_arena_mark ex_arena_save(const ex_arena *a);
EX_API void ex_arena_restore(ex_arena *a, ex_arena_mark mark);

EX_END_DECLS

#endif
