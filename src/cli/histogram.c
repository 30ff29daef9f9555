/* histogram.c: bucket i holds the values whose top HISTOGRAM_SUB_BITS + 1 bits it names.
 *
 *   value < 64                  one bucket for each value
 *   64 <= value, top bit at b   (b - 6 + 1) * 64 + the six bits after the top bit */
#include "cli/histogram.h"

#include <stddef.h>

#define SUB_COUNT (UINT64_C(1) << HISTOGRAM_SUB_BITS)

static size_t bucket_of(uint64_t value)
{
    if (value < SUB_COUNT)
        return (size_t)value;
    unsigned shift = 63U - (unsigned)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
    return ((size_t)(shift + 1) << HISTOGRAM_SUB_BITS) + (size_t)((value >> shift) - SUB_COUNT);
}

/* The largest value of a bucket. */
static uint64_t top_of(size_t bucket)
{
    if (bucket < SUB_COUNT)
        return bucket;
    unsigned shift = (unsigned)(bucket >> HISTOGRAM_SUB_BITS) - 1;
    uint64_t base = (bucket & (SUB_COUNT - 1)) + SUB_COUNT;
    return (base << shift) + ((UINT64_C(1) << shift) - 1);
}

void histogram_add(histogram *h, uint64_t value)
{
    h->counts[bucket_of(value)]++;
    h->count++;
    if (value > h->max)
        h->max = value;
}

uint64_t histogram_quantile(const histogram *h, double q)
{
    uint64_t wanted = (uint64_t)(q * (double)h->count + 0.5), seen = 0;
    if (wanted < 1)
        wanted = 1;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->counts[i];
        if (seen >= wanted)
            return top_of(i) < h->max ? top_of(i) : h->max;
    }
    return h->max;
}
