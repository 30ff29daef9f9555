/* arena.c: a chain of growing blocks, newest first.
 *
 * For AddressSanitizer whatever is not handed out is poisoned, with a gap after each allocation. */
#include <excore/arena.h>

#include "kernel/sanitizer.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_LIMIT_BYTES ((size_t)64 << 20)
#define FIRST_BLOCK_BYTES   ((size_t)480) /* small: the state of an aggregate often needs no more */
#define LARGEST_BLOCK_BYTES ((size_t)1 << 20)
#define GAP_BYTES           (EX_HAS_ASAN ? alignof(max_align_t) : (size_t)0) /* counts against no limit */

struct ex_arena_block {
    ex_arena_block *next;
    size_t size; /* of data */
    size_t used;
    alignas(max_align_t) char data[];
};

static size_t align_up(size_t n)
{
    size_t a = alignof(max_align_t);
    return (n + a - 1) & ~(a - 1);
}

void ex_arena_init(ex_arena *a, size_t limit_bytes)
{
    memset(a, 0, sizeof(*a));
    a->limit_bytes = limit_bytes ? limit_bytes : DEFAULT_LIMIT_BYTES;
}

static void free_until(ex_arena *a, const ex_arena_block *stop)
{
    while (a->head != stop) {
        ex_arena_block *b = a->head;
        a->head = b->next;
        a->total_bytes -= b->size;
        free(b);
    }
}

void ex_arena_done(ex_arena *a)
{
    if (!a)
        return;
    free_until(a, NULL);
    a->used_bytes = 0;
    a->has_failed = false;
}

void ex_arena_reset(ex_arena *a)
{
    if (a->head && a->head->next) {
        ex_arena_block *keep = a->head;
        a->head = keep->next;
        free_until(a, NULL);
        a->head = keep;
        keep->next = NULL;
    }
    if (a->head) {
        a->head->used = 0;
        EX_POISON(a->head->data, a->head->size);
    }
    a->used_bytes = 0;
    a->has_failed = false;
}

static bool add_block(ex_arena *a, size_t need)
{
    size_t size = a->head ? a->head->size * 2 : FIRST_BLOCK_BYTES;
    if (size > LARGEST_BLOCK_BYTES)
        size = LARGEST_BLOCK_BYTES;
    if (size < need)
        size = need;
    ex_arena_block *b = malloc(sizeof(*b) + size);
    if (!b)
        return false;
    b->next = a->head;
    b->size = size;
    b->used = 0;
    EX_POISON(b->data, size);
    a->head = b;
    a->total_bytes += size;
    return true;
}

static void *fail(ex_arena *a)
{
    a->has_failed = true;
    return NULL;
}

void *ex_arena_alloc(ex_arena *a, size_t size)
{
    if (size > a->limit_bytes - a->used_bytes)
        return fail(a);
    size_t need = align_up(size ? size : 1);
    if (need > a->limit_bytes - a->used_bytes)
        return fail(a);
    size_t taken = need + GAP_BYTES;
    if ((!a->head || taken > a->head->size - a->head->used) && !add_block(a, taken))
        return fail(a);
    void *p = a->head->data + a->head->used;
    EX_UNPOISON(p, size);
    a->head->used += taken;
    a->used_bytes += need;
    return p;
}

void *ex_arena_zalloc(ex_arena *a, size_t size)
{
    void *p = ex_arena_alloc(a, size);
    return p ? memset(p, 0, size) : NULL;
}

void *ex_arena_array(ex_arena *a, size_t count, size_t size)
{
    size_t bytes;
    return __builtin_mul_overflow(count, size, &bytes) ? fail(a) : ex_arena_zalloc(a, bytes);
}

ex_slice ex_arena_copy(ex_arena *a, ex_slice s)
{
    char *p = s.len < SIZE_MAX ? ex_arena_alloc(a, s.len + 1) : NULL;
    if (!p)
        return (ex_slice){NULL, 0};
    if (s.len)
        memcpy(p, s.ptr, s.len);
    p[s.len] = '\0';
    return ex_slice_of(p, s.len);
}

ex_slice ex_arena_printf(ex_arena *a, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *p = n >= 0 ? ex_arena_alloc(a, (size_t)n + 1) : NULL;
    if (p)
        (void)vsnprintf(p, (size_t)n + 1, fmt, again); /* the size was just measured */
    va_end(again);
    return p ? ex_slice_of(p, (size_t)n) : (ex_slice){NULL, 0};
}

ex_arena_mark ex_arena_save(const ex_arena *a)
{
    return (ex_arena_mark){a->head, a->head ? a->head->used : 0, a->used_bytes};
}

void ex_arena_restore(ex_arena *a, ex_arena_mark mark)
{
    free_until(a, mark.head);
    if (a->head) {
        a->head->used = mark.block_used;
        EX_POISON(a->head->data + mark.block_used, a->head->size - mark.block_used);
    }
    a->used_bytes = mark.used_bytes;
}
