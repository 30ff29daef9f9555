/* wal_report.h: what a store says of its engine's write-ahead log: metrics, and whether it is well.
 *
 * Only of engines that have one beside their file (store_driver_ops.measure_wal). */
#ifndef EXCORE_STORE_WAL_REPORT_H
#define EXCORE_STORE_WAL_REPORT_H

#include "observe/metrics.h"
#include "store/driver.h"

/** Beyond it somebody else keeps the log from starting anew: without that it stays below. */
#define EX_WAL_LIMIT_BYTES ((uint64_t)128 << 20)

typedef struct wal_report {
    /* immutable after start */
    const store_driver *driver;
    ex_metrics *registry; /* NULL: not started */
    ex_gauge *bytes, *waiting_bytes;
    ex_counter *checkpoints, *failures;
    /* the collector's */
    store_wal told; /* what the counters have of it */
} wal_report;

/** Register the metrics. Without a registry, or for an engine without such a log, it does nothing.
 *  @return EX_OK, EX_ENOMEM and what the registry says */
EX_NODISCARD ex_status wal_report_start(wal_report *r, const store_driver *driver, ex_metrics *m,
                                        ex_error *err);
/** Before the driver is closed. A zeroed one is accepted. */
void wal_report_stop(wal_report *r);

/** For health. @return EX_OK; EX_EOVERLOADED: the log is beyond its limit, and why. Thread: any.
 *  Blocking: no. */
EX_NODISCARD ex_status ex_store_check_wal(ex_store *s, ex_error *err);
/** Has the store such a log? Thread: any. */
bool ex_store_has_wal(const ex_store *s);

#endif
