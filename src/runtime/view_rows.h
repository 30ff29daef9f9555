/* view_rows.h: the rows that a view's transaction knows, on a server.
 *
 * There a statement costs a round trip, so rows are read and written in sets. What handlers are
 * going to load is read for many events at once (view_ahead.c). What they store or delete is kept
 * here, so that later handlers find it, and goes out before the commit: one statement for each table,
 * a row once however often it was stored. Kept are 16 MiB; then what has changed is written and the
 * rows are forgotten.
 *
 * A file needs none of it: `tx->rows` is NULL, and nothing here is called. The runner's thread. */
#ifndef EXCORE_RUNTIME_VIEW_ROWS_H
#define EXCORE_RUNTIME_VIEW_ROWS_H

#include "kernel/map.h"
#include "sql/sql.h"

#include <excore/view.h>

typedef struct view_row view_row;

typedef struct view_rows {
    ex_map map; /* table and key -> view_row */
    ex_arena arena;
    view_row *changed; /* to be written, a list */
    view_row *wanted;  /* to be read, a list */
    uint32_t changed_count, wanted_count;
} view_rows;

void view_rows_init(view_rows *rows);
void view_rows_done(view_rows *rows);
/** At the begin of a transaction, and when a part of it is undone: what has changed is not written. */
void view_rows_forget(view_rows *rows);

/** Is it known? *ret: its values, NULL when there is no such row. They live until the next call. */
bool view_rows_find(ex_view_tx *tx, uint32_t table, ex_slice key, const ex_sql_value **ret);
/** Remember what the database has. @param values NULL: nothing */
void view_rows_remember(ex_view_tx *tx, uint32_t table, ex_slice key, const ex_sql_value *values);
/** Store the row, or delete it (values NULL).
 *  @return EX_OK, EX_ETOOLARGE (it cannot be kept: everything else was written and forgotten, this
 *          row is the caller's to write), or what a statement fails with */
EX_NODISCARD ex_status view_rows_change(ex_view_tx *tx, uint32_t table, ex_slice key,
                                        const ex_sql_value *values);
/** It will be asked for. One that is known, and one that no memory is left for, is passed over. */
void view_rows_want(ex_view_tx *tx, uint32_t table, ex_slice key);
/** Read what is wanted, a round trip for each table. Failures are the transaction's. */
EX_NODISCARD ex_status view_rows_read(ex_view_tx *tx);
/** Queue what has changed. Failures may show at the next statement only. */
EX_NODISCARD ex_status view_rows_write(ex_view_tx *tx);

#endif
