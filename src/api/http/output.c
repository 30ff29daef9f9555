/* output.c: a queue of byte blocks, with a free list. */
#include "api/http/output.h"

#include <assert.h>
#include <stdlib.h>

#define KEPT_BLOCKS 64
#define LARGEST_BLOCK_BYTES                                                                        \
    ((size_t)65536) /* what was sent of a long answer is not kept with the rest */

static output_block *block_new(output_pool *p, size_t size)
{
    output_block *b = p->free;
    if (b && size <= OUTPUT_BLOCK_BYTES) {
        p->free = b->next;
        p->free_count--;
    } else {
        size = size < OUTPUT_BLOCK_BYTES ? OUTPUT_BLOCK_BYTES : size;
        size = size < LARGEST_BLOCK_BYTES ? size : LARGEST_BLOCK_BYTES;
        b = malloc(sizeof(*b) + size);
        if (!b)
            return NULL;
        b->size = size;
    }
    b->next = NULL;
    b->start = b->end = 0;
    return b;
}

static void block_free(output_pool *p, output_block *b)
{
    if (b->size != OUTPUT_BLOCK_BYTES || p->free_count >= KEPT_BLOCKS) {
        free(b);
        return;
    }
    b->next = p->free;
    p->free = b;
    p->free_count++;
}

void output_pool_done(output_pool *p)
{
    while (p->free) {
        output_block *b = p->free;
        p->free = b->next;
        free(b);
    }
    p->free_count = 0;
}

static output_block *add_block(output *o, output_pool *p, size_t size)
{
    output_block *b = o->has_failed ? NULL : block_new(p, size);
    if (!b) {
        o->has_failed = true;
        return NULL;
    }
    if (o->tail)
        o->tail->next = b;
    else
        o->head = b;
    o->tail = b;
    return b;
}

void output_put(output *o, output_pool *p, ex_slice bytes)
{
    if (o->has_failed)
        return;
    while (bytes.len) {
        output_block *b = o->tail;
        if ((!b || b->end == b->size) && !(b = add_block(o, p, bytes.len)))
            return;
        size_t n = b->size - b->end < bytes.len ? b->size - b->end : bytes.len;
        memcpy(b->data + b->end, bytes.ptr, n);
        b->end += n;
        o->bytes += n;
        bytes.ptr += n;
        bytes.len -= n;
    }
}

void output_put_str(output *o, output_pool *p, const char *text)
{
    output_put(o, p, ex_str(text));
}

void output_put_u64(output *o, output_pool *p, uint64_t n)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    output_put(o, p, ex_slice_of(digits + at, sizeof(digits) - at));
}

void output_drop(output *o, output_pool *p, size_t n)
{
    assert(n <= o->bytes);
    o->bytes -= n;
    while (o->head) {
        output_block *b = o->head;
        size_t have = b->end - b->start;
        if (n < have) {
            b->start += n;
            break;
        }
        n -= have;
        o->head = b->next;
        block_free(p, b);
    }
    if (!o->head)
        o->tail = NULL;
}

void output_clear(output *o, output_pool *p)
{
    output_drop(o, p, o->bytes);
}

size_t output_take(output *o, output_pool *p, void *out, size_t n)
{
    size_t done = 0;
    for (const output_block *b = o->head; b && done < n; b = b->next) {
        size_t have = b->end - b->start;
        size_t part = have < n - done ? have : n - done;
        memcpy((char *)out + done, b->data + b->start, part);
        done += part;
    }
    output_drop(o, p, done);
    return done;
}

void output_move(output *from, output *to, size_t max_blocks)
{
    assert(!to->head);
    while (from->head && max_blocks-- > 0) {
        output_block *b = from->head;
        from->head = b->next;
        b->next = NULL;
        if (to->tail)
            to->tail->next = b;
        else
            to->head = b;
        to->tail = b;
        to->bytes += b->end - b->start;
        from->bytes -= b->end - b->start;
    }
    if (!from->head)
        from->tail = NULL;
}
