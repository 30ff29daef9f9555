/* metrics_text.c: the Prometheus text format 0.0.4.
 *
 *   # HELP excore_x Text with \\ and \n escaped.
 *   # TYPE excore_x histogram
 *   excore_x_bucket{path="/a",le="0.1"} 3
 *   excore_x_bucket{path="/a",le="+Inf"} 4
 *   excore_x_sum{path="/a"} 1.25
 *   excore_x_count{path="/a"} 4
 *
 * Families come in the order they were registered, series in the order of
 * their first use. _count is computed from the buckets that are printed, so
 * it always equals the bucket +Inf. */
#include "observe/metrics_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void metric_put_escaped(ex_buf *out, ex_slice text, bool in_quotes)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '\n') {
            ex_buf_put_str(out, "\\n");
            continue;
        }
        if (c == '\\' || (in_quotes && c == '"'))
            ex_buf_put_char(out, '\\');
        ex_buf_put_char(out, c);
    }
}

/* The shortest of three precisions that reads back equal. */
void metric_put_double(ex_buf *out, double value)
{
    if (isnan(value) || isinf(value)) {
        ex_buf_put_str(out, isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
        return;
    }
    char text[32];
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    for (char *p = text; *p; p++) {
        if (*p == ',') /* the decimal point of the program's locale */
            *p = '.';
    }
    ex_buf_put_str(out, text);
}

/* name_suffix{labels,extra} and a blank */
static void put_series_name(ex_buf *out, const metric_series *s, const char *suffix)
{
    ex_buf_put_str(out, s->family->name);
    ex_buf_put_str(out, suffix);
    if (s->label_text_len) {
        ex_buf_put_char(out, '{');
        ex_buf_put(out, ex_slice_of(s->label_text, s->label_text_len));
        ex_buf_put_char(out, '}');
    }
    ex_buf_put_char(out, ' ');
}

static void put_bucket(ex_buf *out, const metric_series *s, double bound, uint64_t count)
{
    ex_buf_put_str(out, s->family->name);
    ex_buf_put_str(out, "_bucket{");
    if (s->label_text_len) {
        ex_buf_put(out, ex_slice_of(s->label_text, s->label_text_len));
        ex_buf_put_char(out, ',');
    }
    ex_buf_put_str(out, "le=\"");
    metric_put_double(out, bound);
    ex_buf_put_str(out, "\"} ");
    ex_buf_put_u64(out, count);
    ex_buf_put_char(out, '\n');
}

static void put_histogram(ex_buf *out, const metric_series *s)
{
    const metric_family *f = s->family;
    uint64_t count = 0;
    for (size_t i = 0; i <= f->bucket_count; i++) {
        count += metric_cell_sum(s, i);
        put_bucket(out, s, i < f->bucket_count ? f->buckets[i] : INFINITY, count);
    }
    put_series_name(out, s, "_sum");
    metric_put_double(out, metric_sum(s));
    ex_buf_put_char(out, '\n');
    put_series_name(out, s, "_count");
    ex_buf_put_u64(out, count);
    ex_buf_put_char(out, '\n');
}

static void put_series(ex_buf *out, const metric_series *s)
{
    if (s->family->kind == METRIC_HISTOGRAM) {
        put_histogram(out, s);
        return;
    }
    put_series_name(out, s, "");
    if (s->family->read)
        metric_put_double(out, s->family->read());
    else if (s->family->kind == METRIC_GAUGE)
        ex_buf_put_i64(out, (int64_t)metric_cell_sum(s, 0));
    else
        ex_buf_put_u64(out, metric_cell_sum(s, 0));
    ex_buf_put_char(out, '\n');
}

static void put_family(ex_buf *out, const metric_family *f)
{
    static const char *const types[] = {
        [METRIC_COUNTER] = "counter",     [METRIC_GAUGE] = "gauge",
        [METRIC_HISTOGRAM] = "histogram", [METRIC_CALLED_COUNTER] = "counter",
        [METRIC_CALLED_GAUGE] = "gauge",
    };
    ex_buf_put_str(out, "# HELP ");
    ex_buf_put_str(out, f->name);
    ex_buf_put_char(out, ' ');
    metric_put_escaped(out, ex_str(f->help), false);
    ex_buf_put_str(out, "\n# TYPE ");
    ex_buf_put_str(out, f->name);
    ex_buf_put_char(out, ' ');
    ex_buf_put_str(out, types[f->kind]);
    ex_buf_put_char(out, '\n');
    for (const metric_series *s = atomic_load_explicit(&f->first, memory_order_acquire); s;
         s = atomic_load_explicit(&s->next, memory_order_acquire)) {
        if (atomic_load_explicit(&s->is_used, memory_order_relaxed))
            put_series(out, s);
    }
}

static void collect(ex_metrics *m)
{
    /* A collector may register metrics and collectors; it may not call ex_metrics_write. */
    pthread_mutex_lock(&m->collect_mu);
    for (metric_collector *c = atomic_load_explicit(&m->first_collector, memory_order_acquire); c;
         c = atomic_load_explicit(&c->next, memory_order_acquire)) {
        if (c->fn)
            c->fn(c->ctx);
    }
    pthread_mutex_unlock(&m->collect_mu);
}

void ex_metrics_write(ex_metrics *m, ex_buf *out)
{
    collect(m);
    for (const metric_family *f = atomic_load_explicit(&m->first, memory_order_acquire); f;
         f = atomic_load_explicit(&f->next, memory_order_acquire))
        put_family(out, f);
}
