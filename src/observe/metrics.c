/* metrics.c: the registry: families, their label sets, and their lifetime.
 *
 * Registering checks names and adds a family. Asking for a label set looks it
 * up under the lock of its family and makes it on first use. The series
 * "other" of each labelled family is made when it is registered, so that a
 * full family and a full heap both have somewhere to count. */
#include "observe/metrics_int.h"

#include <excore/json.h>

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "kernel/log.h"

const double EX_BUCKETS_SECONDS[11] = {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};
const double EX_BUCKETS_BYTES[8] = {1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
const double EX_BUCKETS_FINE[13] = {.0001, .00025, .0005, .001, .0025, .005, .01,
                                    .025,  .05,    .1,    .25,  .5,    1};
const double EX_BUCKETS_COUNT[13] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096};

#define CELLS_PER_LINE (CACHE_LINE / sizeof(uint64_t))
#define SHARDS_MIN     4
#define SHARDS_MAX     32
#define KEY_MAX        (EX_METRIC_LABELS_MAX * (LABEL_VALUE_MAX + 1))

/* ---- Names ---- */

static bool is_name_char(char c, bool is_first, bool allows_colon)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (allows_colon && c == ':') || (!is_first && c >= '0' && c <= '9');
}

static bool is_name(const char *text, bool allows_colon)
{
    if (!*text)
        return false;
    for (const char *p = text; *p; p++) {
        if (!is_name_char(*p, p == text, allows_colon))
            return false;
    }
    return true;
}

static size_t count_labels(const ex_metric_desc *d)
{
    size_t n = 0;
    while (n < EX_METRIC_LABELS_MAX && d->labels[n])
        n++;
    return n;
}

static ex_status check_labels(const ex_metric_desc *d, metric_kind kind, ex_error *err)
{
    size_t n = count_labels(d);
    for (size_t i = 0; i < n; i++) {
        const char *label = d->labels[i];
        if (!is_name(label, false) || strncmp(label, "__", 2) == 0 ||
            (kind == METRIC_HISTOGRAM && strcmp(label, "le") == 0))
            return ex_raise(err, EX_EINVAL, "metric \"%s\": wrong label name \"%s\"", d->name,
                            label);
        for (size_t k = 0; k < i; k++) {
            if (strcmp(label, d->labels[k]) == 0)
                return ex_raise(err, EX_EINVAL, "metric \"%s\": label \"%s\" is given twice",
                                d->name, label);
        }
    }
    return EX_OK;
}

static ex_status check_buckets(const ex_metric_desc *d, const double *buckets, size_t count,
                               ex_error *err)
{
    if (count < 1 || count > BUCKETS_MAX)
        return ex_raise(err, EX_EINVAL, "metric \"%s\": %zu buckets are not within 1 to %d",
                        d->name, count, BUCKETS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(buckets[i]) || (i > 0 && buckets[i] <= buckets[i - 1]))
            return ex_raise(err, EX_EINVAL, "metric \"%s\": buckets must be finite and ascending",
                            d->name);
    }
    return EX_OK;
}

/* True when `name` is one of the series names that the histogram `histogram` prints. */
static bool is_histogram_name(const char *histogram, const char *name)
{
    size_t n = strlen(histogram);
    return strncmp(name, histogram, n) == 0 &&
           (strcmp(name + n, "_bucket") == 0 || strcmp(name + n, "_sum") == 0 ||
            strcmp(name + n, "_count") == 0);
}

static bool names_clash(const metric_family *a, const metric_family *b)
{
    return strcmp(a->name, b->name) == 0 ||
           (a->kind == METRIC_HISTOGRAM && is_histogram_name(a->name, b->name)) ||
           (b->kind == METRIC_HISTOGRAM && is_histogram_name(b->name, a->name));
}

/* ---- Series ---- */

static void series_free(metric_series *s)
{
    if (!s)
        return;
    free(s->label_text);
    free(s->label_key);
    free(s->cells);
    free(s);
}

static metric_series *series_new(metric_family *f)
{
    metric_series *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    size_t bytes = f->shards * f->stride * sizeof(uint64_t);
    s->cells = aligned_alloc(CACHE_LINE, bytes);
    if (!s->cells) {
        free(s);
        return NULL;
    }
    /* all bits zero is the count 0 and the sum 0.0 */
    memset((void *)s->cells, 0, bytes);
    s->family = f;
    atomic_init(&s->is_used, true);
    return s;
}

/* Copy the key into the series and write its label text. */
static bool series_label(metric_series *s, ex_slice key, const ex_slice *values)
{
    const metric_family *f = s->family;
    ex_buf text;
    ex_buf_init(&text, 0);
    for (size_t i = 0; i < f->label_count; i++) {
        ex_buf_put_str(&text, i ? "," : "");
        ex_buf_put_str(&text, f->labels[i]);
        ex_buf_put_str(&text, "=\"");
        metric_put_escaped(&text, values[i], true);
        ex_buf_put_char(&text, '"');
    }
    s->label_key = malloc(key.len + 1); /* malloc(0) may be NULL */
    if (ex_buf_status(&text) || !s->label_key) {
        ex_buf_done(&text);
        return false;
    }
    memcpy(s->label_key, key.ptr, key.len);
    s->label_key_len = key.len;
    s->label_text = text.ptr;
    s->label_text_len = text.len;
    return true;
}

/* With f->mu held, or before the family is known to others. */
static void family_add_series(metric_family *f, metric_series *s)
{
    metric_series **chain = &f->chains[s->hash % SERIES_CHAINS];
    s->chain = *chain;
    *chain = s;
    if (f->last)
        atomic_store_explicit(&f->last->next, s, memory_order_release);
    else
        atomic_store_explicit(&f->first, s, memory_order_release);
    f->last = s;
}

/* FNV-1a. Label sets are bounded, so chosen collisions cost at most a walk over 1,000 of them. */
static uint64_t hash_key(ex_slice key)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < key.len; i++)
        h = (h ^ (unsigned char)key.ptr[i]) * 0x100000001b3u;
    return h ^ (h >> 32);
}

/* The values, each behind a byte with its length; false when one is too long or no UTF-8. */
static bool make_key(const metric_family *f, const ex_slice *values, char out[KEY_MAX],
                     ex_slice *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < f->label_count; i++) {
        if (values[i].len > LABEL_VALUE_MAX || !ex_utf8_is_valid(values[i]))
            return false;
        out[n++] = (char)values[i].len;
        if (values[i].len)
            memcpy(out + n, values[i].ptr, values[i].len);
        n += values[i].len;
    }
    *ret = ex_slice_of(out, n);
    return true;
}

static metric_series *find_series(const metric_family *f, ex_slice key, uint64_t hash)
{
    for (metric_series *s = f->chains[hash % SERIES_CHAINS]; s; s = s->chain) {
        if (s->hash == hash && ex_slice_eq(key, ex_slice_of(s->label_key, s->label_key_len)))
            return s;
    }
    return NULL;
}

static metric_series *labelled_new(metric_family *f, ex_slice key, uint64_t hash,
                                   const ex_slice *values)
{
    metric_series *s = series_new(f);
    if (!s)
        return NULL;
    s->hash = hash;
    if (!series_label(s, key, values)) {
        series_free(s);
        return NULL;
    }
    return s;
}

/* The set, made when there is room and memory, else NULL. With f->mu held. */
static metric_series *find_or_make(metric_family *f, ex_slice key, const ex_slice *values)
{
    uint64_t hash = hash_key(key);
    metric_series *s = find_series(f, key, hash);
    if (s || f->set_count >= EX_METRIC_SETS_MAX)
        return s;
    s = labelled_new(f, key, hash, values);
    if (s) {
        family_add_series(f, s);
        f->set_count++;
    }
    return s;
}

static metric_series *series_with(metric_series *root, const ex_slice *values)
{
    metric_family *f = root->family;
    assert(root == f->root && f->label_count > 0);
    char bytes[KEY_MAX];
    ex_slice key;
    metric_series *s = NULL;
    bool has_key = make_key(f, values, bytes, &key);
    bool must_warn = false;
    pthread_mutex_lock(&f->mu);
    if (has_key)
        s = find_or_make(f, key, values);
    if (!s) {
        s = f->other;
        must_warn = !f->has_warned;
        f->has_warned = true;
    }
    if (s == f->other)
        atomic_store_explicit(&s->is_used, true, memory_order_relaxed);
    pthread_mutex_unlock(&f->mu);
    if (must_warn)
        EX_LOG(EX_LOG_WARN, "label sets of a metric are counted as \"other\" from now on",
               ex_f_cstr("metric", f->name), ex_f_u64("limit", EX_METRIC_SETS_MAX));
    return s;
}

ex_counter *ex_counter_with(ex_counter *family, const ex_slice *values)
{
    return family ? (ex_counter *)series_with(&family->series, values) : NULL;
}

ex_gauge *ex_gauge_with(ex_gauge *family, const ex_slice *values)
{
    return family ? (ex_gauge *)series_with(&family->series, values) : NULL;
}

ex_histogram *ex_histogram_with(ex_histogram *family, const ex_slice *values)
{
    return family ? (ex_histogram *)series_with(&family->series, values) : NULL;
}

/* ---- Families ---- */

static void family_free(metric_family *f)
{
    if (!f)
        return;
    metric_series *s = atomic_load(&f->first);
    while (s) {
        metric_series *next = atomic_load(&s->next);
        series_free(s);
        s = next;
    }
    if (f->label_count)
        series_free(f->root); /* the handle is in no list */
    pthread_mutex_destroy(&f->mu);
    free(f->name);
    free(f);
}

/* A power of two that has a shard for each processor: more threads than that share without harm. */
static size_t shard_count(void)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    size_t n = SHARDS_MIN;
    while (n < SHARDS_MAX && (long)n < cpus)
        n *= 2;
    return n;
}

static void family_shape(metric_family *f)
{
    size_t cells = f->kind == METRIC_HISTOGRAM ? f->bucket_count + 2 : 1;
    f->stride = (cells + CELLS_PER_LINE - 1) / CELLS_PER_LINE * CELLS_PER_LINE;
    f->shards = f->kind == METRIC_COUNTER || f->kind == METRIC_HISTOGRAM ? shard_count() : 1;
}

static bool family_make_series(metric_family *f)
{
    f->root = series_new(f);
    if (!f->root)
        return false;
    if (f->label_count == 0) {
        family_add_series(f, f->root);
        return true;
    }
    ex_slice others[EX_METRIC_LABELS_MAX];
    for (size_t i = 0; i < EX_METRIC_LABELS_MAX; i++)
        others[i] = EX_S("other");
    char bytes[KEY_MAX];
    ex_slice key = {bytes, 0};
    (void)make_key(f, others, bytes, &key); /* short ASCII always fits */
    f->other = labelled_new(f, key, hash_key(key), others);
    if (!f->other)
        return false;
    atomic_store(&f->other->is_used, false);
    family_add_series(f, f->other);
    return true;
}

static metric_family *family_new(const char *prefix, metric_kind kind, const ex_metric_desc *d)
{
    metric_family *f = calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    pthread_mutex_init(&f->mu, NULL);
    f->kind = kind;
    f->help = d->help ? d->help : "";
    f->label_count = count_labels(d);
    memcpy(f->labels, d->labels, sizeof(f->labels));
    size_t size = strlen(prefix) + strlen(d->name) + 2;
    f->name = malloc(size);
    if (f->name)
        (void)snprintf(f->name, size, "%s%s%s", prefix, *prefix ? "_" : "", d->name);
    if (!f->name) {
        family_free(f);
        return NULL;
    }
    return f;
}

/* Put a finished family into the registry, which owns it from then on. */
static ex_status registry_add(ex_metrics *m, metric_family *f, ex_error *err)
{
    ex_status status = EX_OK;
    pthread_mutex_lock(&m->mu);
    for (metric_family *at = atomic_load(&m->first); at; at = atomic_load(&at->next)) {
        if (names_clash(at, f)) {
            status =
                ex_raise(err, EX_EEXISTS, "metric \"%s\" clashes with \"%s\"", f->name, at->name);
            break;
        }
    }
    if (status == EX_OK) {
        atomic_store_explicit(m->last ? &m->last->next : &m->first, f, memory_order_release);
        m->last = f;
    }
    pthread_mutex_unlock(&m->mu);
    return status;
}

typedef struct family_spec {
    const char *prefix;
    metric_kind kind;
    const double *buckets;
    size_t bucket_count;
    double (*read)(void);
} family_spec;

static ex_status register_family(ex_metrics *m, const family_spec *spec, const ex_metric_desc *d,
                                 metric_series **ret, ex_error *err)
{
    ex_status status = check_labels(d, spec->kind, err);
    if (status == EX_OK && spec->kind == METRIC_HISTOGRAM)
        status = check_buckets(d, spec->buckets, spec->bucket_count, err);
    if (status)
        return status;
    metric_family *f = family_new(spec->prefix, spec->kind, d);
    if (!f)
        return ex_raise(err, EX_ENOMEM, "no memory for metric \"%s\"", d->name);
    if (spec->bucket_count)
        memcpy(f->buckets, spec->buckets, spec->bucket_count * sizeof(*f->buckets));
    f->bucket_count = spec->bucket_count;
    f->read = spec->read;
    family_shape(f);
    if (!is_name(f->name, true))
        status = ex_raise(err, EX_EINVAL, "wrong metric name \"%s\"", f->name);
    else if (!family_make_series(f))
        status = ex_raise(err, EX_ENOMEM, "no memory for metric \"%s\"", d->name);
    else
        status = registry_add(m, f, err);
    if (status)
        family_free(f);
    else
        *ret = f->root;
    return status;
}

ex_status ex_metrics_counter(ex_metrics *m, const ex_metric_desc *d, ex_counter **ret,
                             ex_error *err)
{
    metric_series *s = NULL;
    family_spec spec = {.prefix = m->prefix, .kind = METRIC_COUNTER};
    ex_status status = register_family(m, &spec, d, &s, err);
    if (status == EX_OK)
        *ret = (ex_counter *)s;
    return status;
}

ex_status ex_metrics_gauge(ex_metrics *m, const ex_metric_desc *d, ex_gauge **ret, ex_error *err)
{
    metric_series *s = NULL;
    family_spec spec = {.prefix = m->prefix, .kind = METRIC_GAUGE};
    ex_status status = register_family(m, &spec, d, &s, err);
    if (status == EX_OK)
        *ret = (ex_gauge *)s;
    return status;
}

ex_status ex_metrics_histogram(ex_metrics *m, const ex_metric_desc *d, const double *buckets,
                               size_t bucket_count, ex_histogram **ret, ex_error *err)
{
    metric_series *s = NULL;
    family_spec spec = {.prefix = m->prefix,
                        .kind = METRIC_HISTOGRAM,
                        .buckets = buckets,
                        .bucket_count = bucket_count};
    ex_status status = register_family(m, &spec, d, &s, err);
    if (status == EX_OK)
        *ret = (ex_histogram *)s;
    return status;
}

ex_status metric_add_called(ex_metrics *m, metric_kind kind, const char *name, const char *help,
                            double (*read)(void), ex_error *err)
{
    metric_series *s = NULL;
    family_spec spec = {.prefix = "", .kind = kind, .read = read};
    ex_metric_desc d = {.name = name, .help = help};
    return register_family(m, &spec, &d, &s, err);
}

/* ---- Registry ---- */

ex_status ex_metrics_new(const char *prefix, ex_metrics **ret, ex_error *err)
{
    if (prefix && *prefix && !is_name(prefix, true))
        return ex_raise(err, EX_EINVAL, "wrong metric prefix \"%s\"", prefix);
    ex_metrics *m = calloc(1, sizeof(*m));
    if (m)
        m->prefix = strdup(prefix ? prefix : "");
    if (!m || !m->prefix) {
        free(m);
        return ex_raise(err, EX_ENOMEM, "no memory for the metrics");
    }
    pthread_mutex_init(&m->mu, NULL);
    pthread_mutex_init(&m->collect_mu, NULL);
    *ret = m;
    return EX_OK;
}

void ex_metrics_free(ex_metrics *m)
{
    if (!m)
        return;
    for (metric_family *f = atomic_load(&m->first); f;) {
        metric_family *next = atomic_load(&f->next);
        family_free(f);
        f = next;
    }
    for (metric_collector *c = atomic_load(&m->first_collector); c;) {
        metric_collector *next = atomic_load(&c->next);
        free(c);
        c = next;
    }
    pthread_mutex_destroy(&m->mu);
    pthread_mutex_destroy(&m->collect_mu);
    free(m->prefix);
    free(m);
}

ex_status ex_metrics_on_collect(ex_metrics *m, ex_metrics_collect_fn *fn, void *ctx)
{
    metric_collector *c = calloc(1, sizeof(*c));
    if (!c)
        return EX_ENOMEM;
    c->fn = fn;
    c->ctx = ctx;
    pthread_mutex_lock(&m->mu);
    atomic_store_explicit(m->last_collector ? &m->last_collector->next : &m->first_collector, c,
                          memory_order_release);
    m->last_collector = c;
    pthread_mutex_unlock(&m->mu);
    return EX_OK;
}

void ex_metrics_off_collect(ex_metrics *m, ex_metrics_collect_fn *fn, void *ctx)
{
    if (!m)
        return;
    pthread_mutex_lock(&m->collect_mu);
    for (metric_collector *c = atomic_load(&m->first_collector); c; c = atomic_load(&c->next)) {
        if (c->fn == fn && c->ctx == ctx)
            c->fn = NULL;
    }
    pthread_mutex_unlock(&m->collect_mu);
}
