/* event_row.h: an event as a row of the table `events`, and back. */
#ifndef EXCORE_STORE_POSTGRES_EVENT_ROW_H
#define EXCORE_STORE_POSTGRES_EVENT_ROW_H

#include <excore/event.h>

#include "sql/postgres/pg_value.h"

/** Columns of EVENT_COLUMNS; what a statement selects besides stands behind them. */
enum { EVENT_ROW_COLUMNS = 14 };

/** Read a row of EVENT_COLUMNS. @param ret borrowed from the result
 *  @param ret_stream_id nullable */
EX_NODISCARD ex_status pg_event_read(const ex_pg_result *r, int row, ex_event *ret,
                                     uint64_t *ret_stream_id, ex_error *err);
typedef ex_status pg_event_read_fn(const ex_pg_result *r, int row, ex_event *ret,
                                   uint64_t *ret_stream_id, ex_error *err);
/** The same of BRIEF_COLUMNS: position, version, time, id, stream, type and
 * tags are set. */
EX_NODISCARD ex_status pg_event_read_brief(const ex_pg_result *r, int row, ex_event *ret,
                                           uint64_t *ret_stream_id, ex_error *err);
/** Bytes of data and metadata in the row, as EVENT_BYTES counts them. */
uint64_t pg_event_bytes(const ex_pg_result *r, int row);

/** Put an array of texts. */
void pg_put_names(ex_pg_args *args, const ex_slice *names, uint32_t count);
/** Put an event's id: 16 bytes, or 17 for a ULID. */
void pg_put_event_id(ex_pg_args *args, const ex_id *id);

/** Put the arrays of EVENTS_INSERT. @param stream_ids of each event */
void pg_put_events(ex_pg_args *args, const ex_event *events, const uint64_t *stream_ids,
                   uint32_t count);

#endif
