/* tag_load.h: events with three tags each: appending them, and pages of those that have two.
 *
 * The tags are one of 20 tenants, one of 13 kinds and one of 1,000 customers, so a page by tenant
 * and kind takes one event in 260, from two lists that are about equally long. */
#ifndef EXCORE_BENCH_TAG_LOAD_H
#define EXCORE_BENCH_TAG_LOAD_H

#include <excore/store.h>

#include "sql/postgres/pg_conn.h"

/** Append one event at a time, each to a new stream; with three tags each, or with none.
 *  @return events a second */
double tag_load_run(ex_store *store, bool has_tags, uint32_t in_flight, double seconds);
/** Bring the log at `place` to `events` events with tags. Without fsync: it is not what is measured.
 */
void tag_load_fill(const char *place, uint64_t events);

/** Read the first `limit` events of a tenant and a kind, by number. @return how many there were */
uint64_t tag_load_page(ex_store *store, uint32_t number, uint64_t limit);

/** The same rows in a table of their own: position, texts and bytes as in the log, `tags text[]`
 *  with a GIN index. Both are vacuumed and analysed. @param url a store with events, closed */
EX_NODISCARD ex_status tag_yardstick_make(const char *url, ex_error *err);
/** The same page from it. */
EX_NODISCARD ex_status tag_yardstick_page(ex_pg *pg, uint32_t number, uint64_t limit,
                                          uint64_t *ret_count, ex_error *err);

#endif
