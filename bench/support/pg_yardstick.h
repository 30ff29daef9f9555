/* pg_yardstick.h: what one bare connection to PostgreSQL does with the same rows.
 *
 * The tables are the store's own, with all their indexes. A transaction is one
 * group of pipelined statements, one of each with unnest; values are binary;
 * synchronous_commit is on. It makes ids and stream names, and does nothing else. */
#ifndef EXCORE_BENCH_PG_YARDSTICK_H
#define EXCORE_BENCH_PG_YARDSTICK_H

#include <excore/error.h>

/** Insert one event each into new streams, `rows` a transaction, for `seconds`.
 *  @param url a store, closed. @param ret_rate rows a second */
EX_NODISCARD ex_status pg_yardstick_insert(const char *url, uint32_t rows, double seconds,
                                           double *ret_rate, ex_error *err);

/** Read all rows of the log in order through a cursor of the server, 1,000 at a time, touching
 *  every column. */
EX_NODISCARD ex_status pg_yardstick_scan(const char *url, double *ret_rate, ex_error *err);

#endif
