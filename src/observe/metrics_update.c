/* metrics_update.c: the hot path: relaxed atomic adds on the shard of the calling thread.
 *
 * Threads get shard numbers in the order of their first update, so a handful
 * of busy threads never share a cache line. */
#include "observe/metrics_int.h"

#include <assert.h>
#include <math.h>

static size_t thread_number(void)
{
    static atomic_size_t last;
    static _Thread_local size_t mine;
    if (mine == 0)
        mine = atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
    return mine - 1;
}

static _Atomic uint64_t *my_cells(const metric_series *s)
{
    const metric_family *f = s->family;
    assert(f->label_count == 0 || s != f->root); /* a family is no series: use the *_with calls */
    return s->cells + (thread_number() & (f->shards - 1)) * f->stride;
}

static uint64_t double_bits(double d)
{
    uint64_t bits;
    memcpy(&bits, &d, sizeof(bits));
    return bits;
}

static double bits_double(uint64_t bits)
{
    double d;
    memcpy(&d, &bits, sizeof(d));
    return d;
}

void ex_counter_add(ex_counter *c, uint64_t n)
{
    if (c)
        atomic_fetch_add_explicit(my_cells(&c->series), n, memory_order_relaxed);
}

void ex_gauge_set(ex_gauge *g, int64_t value)
{
    if (g)
        atomic_store_explicit(my_cells(&g->series), (uint64_t)value, memory_order_relaxed);
}

void ex_gauge_add(ex_gauge *g, int64_t delta)
{
    if (g)
        atomic_fetch_add_explicit(my_cells(&g->series), (uint64_t)delta, memory_order_relaxed);
}

void ex_histogram_observe(ex_histogram *h, double value)
{
    if (!h || isnan(value)) /* one NaN would spoil the sum for ever */
        return;
    const metric_family *f = h->series.family;
    _Atomic uint64_t *cells = my_cells(&h->series);
    size_t at = 0;
    while (at < f->bucket_count && value > f->buckets[at])
        at++;
    atomic_fetch_add_explicit(&cells[at], 1, memory_order_relaxed);
    _Atomic uint64_t *sum = &cells[f->bucket_count + 1];
    uint64_t old = atomic_load_explicit(sum, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(sum, &old, double_bits(bits_double(old) + value),
                                                  memory_order_relaxed, memory_order_relaxed))
        continue;
}

uint64_t metric_cell_sum(const metric_series *s, size_t cell)
{
    uint64_t total = 0;
    for (size_t i = 0; i < s->family->shards; i++)
        total +=
            atomic_load_explicit(&s->cells[i * s->family->stride + cell], memory_order_relaxed);
    return total;
}

double metric_sum(const metric_series *s)
{
    double total = 0;
    size_t cell = s->family->bucket_count + 1;
    for (size_t i = 0; i < s->family->shards; i++)
        total += bits_double(
            atomic_load_explicit(&s->cells[i * s->family->stride + cell], memory_order_relaxed));
    return total;
}

uint64_t ex_counter_value(const ex_counter *c)
{
    return c ? metric_cell_sum(&c->series, 0) : 0;
}

int64_t ex_gauge_value(const ex_gauge *g)
{
    return g ? (int64_t)metric_cell_sum(&g->series, 0) : 0;
}
