/* metrics_int.h: the shapes shared by the registry, the update path and the text writer.
 *
 * A family is a name with its series; a metric without labels has one. Series
 * and families are only ever added, at the end of lists whose links are
 * published with release stores: the writer walks them without a lock. */
#ifndef EXCORE_OBSERVE_METRICS_INT_H
#define EXCORE_OBSERVE_METRICS_INT_H

#include "observe/metrics.h"

#include <pthread.h>
#include <stdatomic.h>

#define CACHE_LINE      64
#define SERIES_CHAINS   256 /* hash chains of a family; with 1,000 sets about four steps each */
#define BUCKETS_MAX     64
#define LABEL_VALUE_MAX 255 /* bytes; a longer value folds into "other" */

typedef enum metric_kind {
    METRIC_COUNTER,
    METRIC_GAUGE,
    METRIC_HISTOGRAM,
    METRIC_CALLED_COUNTER, /* its value comes from a function */
    METRIC_CALLED_GAUGE
} metric_kind;

typedef struct metric_family metric_family;

/* A series of a family. Cells are relaxed atomics:
 *   counter    one cell a shard
 *   gauge      one cell, the bits of an int64_t, one shard
 *   histogram  bucket_count + 1 counts (the last is above all bounds), then the bits of the sum
 * Each shard starts on a cache line of its own. */
typedef struct metric_series {
    metric_family *family;
    struct metric_series *chain;          /* same hash; guarded by family->mu */
    _Atomic(struct metric_series *) next; /* in order of creation */
    uint64_t hash;
    atomic_bool is_used; /* false only for an "other" nobody folded into */
    char *label_text;    /* a="b",c="d" ready for output, escaped; "" without labels */
    size_t label_text_len;
    char *label_key; /* the values, each behind its length, for comparison */
    size_t label_key_len;
    _Atomic uint64_t *cells;
} metric_series;

struct ex_counter {
    metric_series series;
};
struct ex_gauge {
    metric_series series;
};
struct ex_histogram {
    metric_series series;
};

struct metric_family {
    /* immutable once it is in the list */
    metric_kind kind;
    char *name; /* with the prefix */
    const char *help;
    const char *labels[EX_METRIC_LABELS_MAX];
    size_t label_count;
    size_t bucket_count;
    double buckets[BUCKETS_MAX];
    size_t stride; /* cells from one shard to the next */
    size_t shards;
    double (*read)(void);
    metric_series *root;  /* without labels: the series; with labels: the handle of the family */
    metric_series *other; /* with labels only: takes what is over the bound */
    _Atomic(struct metric_family *) next;

    /* made under mu, walked without it */
    _Atomic(metric_series *) first;

    /* guarded by mu */
    pthread_mutex_t mu;
    metric_series *last;
    metric_series *chains[SERIES_CHAINS];
    size_t set_count;
    bool has_warned; /* one line in the log for a family that folds */
};

typedef struct metric_collector {
    ex_metrics_collect_fn *fn; /* NULL: taken back; once it is in the list, guarded by collect_mu */
    void *ctx;
    _Atomic(struct metric_collector *) next;
} metric_collector;

struct ex_metrics {
    char *prefix;
    _Atomic(metric_family *) first;
    _Atomic(metric_collector *) first_collector;
    pthread_mutex_t mu;         /* adding to the lists */
    pthread_mutex_t collect_mu; /* one round of collectors at a time; may be held while taking mu */
    metric_family *last;        /* guarded by mu */
    metric_collector *last_collector; /* guarded by mu */
};

/** Sum of a cell over all shards. */
uint64_t metric_cell_sum(const metric_series *s, size_t cell);
/** Sum of the observations of a histogram. */
double metric_sum(const metric_series *s);
/** A family whose value is read at each exposition; the name is used without the prefix. */
EX_NODISCARD ex_status metric_add_called(ex_metrics *m, metric_kind kind, const char *name,
                                         const char *help, double (*read)(void), ex_error *err);
/** Append `text` with \\ and newline escaped, and the quote too inside label values. */
void metric_put_escaped(ex_buf *out, ex_slice text, bool in_quotes);
void metric_put_double(ex_buf *out, double value);

#endif
