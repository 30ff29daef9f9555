/* output.h: bytes on their way out, in blocks that are shared by all connections of a loop.
 *
 * A connection without output holds no block. Running out of memory is sticky
 * (has_failed): the owner checks once, when it flushes. Loop thread. */
#ifndef EXCORE_API_HTTP_OUTPUT_H
#define EXCORE_API_HTTP_OUTPUT_H

#include <excore/base.h>

#define OUTPUT_BLOCK_BYTES ((size_t)16384)

typedef struct output_block {
    struct output_block *next;
    size_t size;
    size_t start;
    size_t end;
    char data[];
} output_block;

/* Free blocks of OUTPUT_BLOCK_BYTES, kept up to a number. */
typedef struct output_pool {
    output_block *free;
    size_t free_count;
} output_pool;

typedef struct output {
    output_block *head;
    output_block *tail;
    size_t bytes;
    bool has_failed;
} output;

void output_pool_done(output_pool *p);

void output_put(output *o, output_pool *p, ex_slice bytes);
void output_put_str(output *o, output_pool *p, const char *text);
void output_put_u64(output *o, output_pool *p, uint64_t n);
/** Forget the first n bytes. */
void output_drop(output *o, output_pool *p, size_t n);
void output_clear(output *o, output_pool *p);
/** Copy out and forget up to n bytes; returns how many. */
size_t output_take(output *o, output_pool *p, void *out, size_t n);
/** Move whole blocks, at most `max_blocks`, to the empty queue `to`. */
void output_move(output *from, output *to, size_t max_blocks);

#endif
