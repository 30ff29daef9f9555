/* yardstick.h: what bare SQLite does with the same rows: the measure of the store's speed.
 *
 * The tables are the store's own, with all their indexes, and so are the
 * pragmas; the loop does nothing but bind, step and commit. */
#ifndef EXCORE_BENCH_YARDSTICK_H
#define EXCORE_BENCH_YARDSTICK_H

#include <excore/error.h>

#define BENCH_DATA_SIZE 256

/** A JSON object of BENCH_DATA_SIZE bytes. */
extern const char bench_data[BENCH_DATA_SIZE + 1];

/** Insert one event each into new streams, `rows` a transaction, synchronous=FULL, for `seconds`.
 *  @param dir an empty store, closed. @param ret_rate rows a second */
EX_NODISCARD ex_status yardstick_insert(const char *dir, uint32_t rows, double seconds,
                                        double *ret_rate, ex_error *err);

/** The same rows, `rows` a transaction, without checkpoints: what the disk does with commits alone.
 *  @param ret_p99_ms of a whole transaction, from its begin to the end of its commit */
EX_NODISCARD ex_status yardstick_commit(const char *dir, uint32_t rows, double seconds,
                                        double *ret_p99_ms, ex_error *err);

/** Read all rows of the log in order, touching every column.
 *  @param with_stream join the stream's name, as a reader of the log needs it */
EX_NODISCARD ex_status yardstick_scan(const char *dir, bool with_stream, double *ret_rate,
                                      ex_error *err);

#endif
