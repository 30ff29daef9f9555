/* event_row.h: an event as a row of the table `events`, and back. */
#ifndef EXCORE_STORE_SQLITE_EVENT_ROW_H
#define EXCORE_STORE_SQLITE_EVENT_ROW_H

#include <excore/event.h>

#include "store/sqlite/chain_walk.h"
#include "store/sqlite/sqlite_conn.h"

/** Bind an event to STATEMENT_EVENT_INSERT; the slices must live until it is reset. */
EX_NODISCARD ex_status event_row_bind(sqlite_conn *c, sqlite3_stmt *st, const ex_event *event,
                                      uint64_t stream_id, chain_back back, uint64_t type_id,
                                      ex_error *err);

/** Read the current row of a statement over EVENT_COLUMNS.
 *  @param stream its stream; empty: the column behind the others has it
 *  @param ret borrowed from the statement until it is stepped or reset */
EX_NODISCARD ex_status event_row_read(sqlite_conn *c, sqlite3_stmt *st, ex_slice stream,
                                      ex_event *ret, ex_error *err);

/** Read the event at `place` of a stream through STATEMENT_EVENT_OF_STREAM, which stays open.
 *  @param follows the statement stands on the event just before in the log: one step leads here
 *  @return EX_OK, EX_ECORRUPT (it is another event, or none), or a failure of the database
 *  @param ret borrowed from the statement until it is stepped or reset */
EX_NODISCARD ex_status event_row_of_stream(sqlite_conn *c, sqlite3_stmt *st, uint64_t stream_id,
                                           ex_slice stream, chain_place place, bool follows,
                                           ex_event *ret, ex_error *err);

#endif
