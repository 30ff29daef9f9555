/* metrics.h: counters, gauges and histograms without a lock on the hot path.
 *
 * A registry is filled at start; updating is a relaxed atomic add on a shard
 * of the calling thread. Families with labels have a bounded number of label
 * sets; further ones fold into "other" with one warning. Prometheus text
 * comes out of ex_metrics_write. Every update function accepts a NULL metric. */
#ifndef EXCORE_OBSERVE_METRICS_H
#define EXCORE_OBSERVE_METRICS_H

#include <excore/buf.h>
#include <excore/error.h>

typedef struct ex_metrics ex_metrics;
typedef struct ex_counter ex_counter;
typedef struct ex_gauge ex_gauge;
typedef struct ex_histogram ex_histogram;

#define EX_METRIC_LABELS_MAX 4
#define EX_METRIC_SETS_MAX   1000

typedef struct ex_metric_desc {
    const char *name;                         /* without the prefix; static */
    const char *help;                         /* static */
    const char *labels[EX_METRIC_LABELS_MAX]; /* label names, NULL-terminated when fewer; static */
} ex_metric_desc;

/** Buckets in seconds of T-6: .005 .01 .025 .05 .1 .25 .5 1 2.5 5 10 */
extern const double EX_BUCKETS_SECONDS[11];
/** 100 x 10, 8 steps: 1e2 ... 1e9 */
extern const double EX_BUCKETS_BYTES[8];
/** Finer ones for commits and batches: .0001 .00025 .0005 .001 .0025 .005 .01 .025 .05 .1 .25 .5 1
 */
extern const double EX_BUCKETS_FINE[13];
/** 1 2 4 8 ... 4096 */
extern const double EX_BUCKETS_COUNT[13];

/** `prefix` ("excore") is put before every name with an underscore; copied. */
EX_NODISCARD ex_status ex_metrics_new(const char *prefix, ex_metrics **ret, ex_error *err);
void ex_metrics_free(ex_metrics *m);

/* Register. A wrong or duplicate name is EX_EINVAL / EX_EEXISTS. Without labels the metric is the
 * one series; with labels use the *_with calls. The metric belongs to the registry. */
EX_NODISCARD ex_status ex_metrics_counter(ex_metrics *m, const ex_metric_desc *d, ex_counter **ret,
                                          ex_error *err);
EX_NODISCARD ex_status ex_metrics_gauge(ex_metrics *m, const ex_metric_desc *d, ex_gauge **ret,
                                        ex_error *err);
EX_NODISCARD ex_status ex_metrics_histogram(ex_metrics *m, const ex_metric_desc *d,
                                            const double *buckets, size_t bucket_count,
                                            ex_histogram **ret, ex_error *err);

/** The series of a label set (values in the order of the label names), made on first use.
 *  Takes a lock; keep the result where the set is known beforehand. Never NULL for a non-NULL
 * family. */
ex_counter *ex_counter_with(ex_counter *family, const ex_slice *values);
ex_gauge *ex_gauge_with(ex_gauge *family, const ex_slice *values);
ex_histogram *ex_histogram_with(ex_histogram *family, const ex_slice *values);

/* Thread: any. Blocking: no. No lock. */
void ex_counter_add(ex_counter *c, uint64_t n);
void ex_gauge_set(ex_gauge *g, int64_t value);
void ex_gauge_add(ex_gauge *g, int64_t delta);
void ex_histogram_observe(ex_histogram *h, double value);
uint64_t ex_counter_value(const ex_counter *c);
int64_t ex_gauge_value(const ex_gauge *g);

/** Called before each exposition to refresh gauges. */
typedef void ex_metrics_collect_fn(void *ctx);
EX_NODISCARD ex_status ex_metrics_on_collect(ex_metrics *m, ex_metrics_collect_fn *fn, void *ctx);
/** Take it back, for those who end before the registry. After it returned, fn is not running and is
 *  not called again. NULL m is accepted. Not from inside a collector. Blocking: while fn runs. */
void ex_metrics_off_collect(ex_metrics *m, ex_metrics_collect_fn *fn, void *ctx);

/** Process metrics (cpu seconds, resident memory, open and max descriptors, start time) and
 * build_info. */
EX_NODISCARD ex_status ex_metrics_add_process(ex_metrics *m, const char *version,
                                              const char *commit, ex_error *err);

/** Append all of it as Prometheus text, format 0.0.4. Check ex_buf_status(out). Thread: any. */
void ex_metrics_write(ex_metrics *m, ex_buf *out);

#endif
