/* log_scan.h: reading the log forward through the library, for a rate. */
#ifndef EXCORE_BENCH_LOG_SCAN_H
#define EXCORE_BENCH_LOG_SCAN_H

/** Read every event of the store once, touching data and stream name. Exits on failure.
 *  @param place as ex_store_open takes it. @return events a second */
double log_scan_run(const char *place);

#endif
