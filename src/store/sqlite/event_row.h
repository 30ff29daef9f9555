/* event_row.h: an event as a row of the table `events`, and back. */
#ifndef EXCORE_STORE_SQLITE_EVENT_ROW_H
#define EXCORE_STORE_SQLITE_EVENT_ROW_H

#include <excore/event.h>

#include "store/sqlite/chain_walk.h"
#include "store/sqlite/sqlite_conn.h"

/** A row to be written: an event and what stands for its names and its place in the stream. */
typedef struct event_row {
    const ex_event *event; /* borrowed until the row is written */
    uint64_t stream_id;
    uint64_t type_id;
    chain_back back;
} event_row;

/** Bind an id as it is stored: 16 bytes, and a 17th for a ULID.
 *  @param id borrowed until the statement is reset
 *  @return SQLite's code */
int event_row_bind_id(sqlite3_stmt *st, int index, const ex_id *id);

/** Bind the row with this number, from 0, of STATEMENT_EVENT_INSERT or STATEMENT_EVENTS_INSERT. */
EX_NODISCARD ex_status event_row_bind(sqlite_conn *c, sqlite3_stmt *st, int number,
                                      const event_row *row, ex_error *err);

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
