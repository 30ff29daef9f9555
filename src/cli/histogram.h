/* histogram.h: latencies counted in buckets of a fixed relative width, as HdrHistogram does.
 *
 * A value of n bits falls into one of 64 buckets of its power of two, so what
 * comes out is at most 1.6 % above what went in, from 1 ns to hours, in 30 KB. */
#ifndef EXCORE_CLI_HISTOGRAM_H
#define EXCORE_CLI_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 6
#define HISTOGRAM_BUCKETS  ((64 - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

/* Zero-initialised is empty. */
typedef struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t count;
    uint64_t max;
} histogram;

void histogram_add(histogram *h, uint64_t value);
/** The value that a share of `q` (0 to 1) is not above; 0 when empty, the exact maximum at 1. */
uint64_t histogram_quantile(const histogram *h, double q);

#endif
