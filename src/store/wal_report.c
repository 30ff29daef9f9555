/* wal_report.c: see wal_report.h. */
#include "store/wal_report.h"

#include "store/store_internal.h"

static void refresh(void *ctx)
{
    wal_report *r = ctx;
    store_wal now;
    r->driver->ops->measure_wal(r->driver->impl, &now);
    ex_gauge_set(r->bytes, (int64_t)now.bytes);
    ex_gauge_set(r->waiting_bytes, (int64_t)now.waiting_bytes);
    ex_counter_add(r->checkpoints, now.checkpoints - r->told.checkpoints);
    ex_counter_add(r->failures, now.failures - r->told.failures);
    r->told = now;
}

ex_status wal_report_start(wal_report *r, const store_driver *driver, ex_metrics *m, ex_error *err)
{
    static const ex_metric_desc bytes = {
        "store_wal_bytes", "Bytes in the write-ahead log since it last started anew.", {NULL}};
    static const ex_metric_desc waiting = {
        "store_wal_waiting_bytes",
        "Bytes in the write-ahead log that are not in the database file yet.",
        {NULL}};
    static const ex_metric_desc checkpoints = {
        "store_checkpoints_total", "Copies of the write-ahead log into the database file.", {NULL}};
    static const ex_metric_desc failures = {"store_checkpoint_failures_total",
                                            "Checkpoints that failed; they are tried again.",
                                            {NULL}};
    *r = (wal_report){.driver = driver};
    if (!m || !driver->ops->measure_wal)
        return EX_OK;
    ex_status st = ex_metrics_gauge(m, &bytes, &r->bytes, err);
    if (st == EX_OK)
        st = ex_metrics_gauge(m, &waiting, &r->waiting_bytes, err);
    if (st == EX_OK)
        st = ex_metrics_counter(m, &checkpoints, &r->checkpoints, err);
    if (st == EX_OK)
        st = ex_metrics_counter(m, &failures, &r->failures, err);
    if (st == EX_OK && ex_metrics_on_collect(m, refresh, r) != EX_OK)
        st = ex_raise(err, EX_ENOMEM, "no memory for the metrics of the write-ahead log");
    if (st == EX_OK)
        r->registry = m;
    return st;
}

void wal_report_stop(wal_report *r)
{
    ex_metrics_off_collect(r->registry, refresh, r);
    *r = (wal_report){0};
}

bool ex_store_has_wal(const ex_store *s)
{
    return s->sequencer && s->driver.ops->measure_wal;
}

ex_status ex_store_check_wal(ex_store *s, ex_error *err)
{
    store_wal wal = {0};
    if (!ex_store_has_wal(s))
        return EX_OK;
    s->driver.ops->measure_wal(s->driver.impl, &wal);
    /* what is copied already starts anew with the next commit */
    if (wal.bytes <= EX_WAL_LIMIT_BYTES || wal.waiting_bytes <= wal.bytes / 4)
        return EX_OK;
    return ex_raise(err, EX_EOVERLOADED,
                    "the write-ahead log has %llu MiB and cannot start anew: a process that reads "
                    "events.db has a transaction open, or checkpoints fail (%llu did)",
                    (unsigned long long)(wal.bytes >> 20), (unsigned long long)wal.failures);
}
