/* row.h: a row type as an SQL table: columns, statements, values both ways.
 *
 *     kind                         column    holds
 *     bool, int32 … uint64         INTEGER
 *     double                       REAL
 *     text                         TEXT
 *     time                         INTEGER   microseconds since 1970
 *     enum                         TEXT      the value's text
 *     struct, list, any JSON       TEXT      JSON
 *     optional                     the same, NULL when absent
 *
 * The field marked EX_KEY is the primary key. The table is named as the type
 * in snake case: OrderSummary is order_summary. */
#ifndef EXCORE_RUNTIME_ROW_H
#define EXCORE_RUNTIME_ROW_H

#include "sql/sqlite_db.h"

#include <excore/type.h>

#define ROW_NAME_SIZE 128

/** Write the table's name and a NUL; returns the slice over `out`. */
ex_slice row_table_name(const ex_type *row, char out[ROW_NAME_SIZE]);

/* Append SQL. */
void row_sql_create(const ex_type *row, ex_buf *out);
void row_sql_upsert(const ex_type *row, ex_buf *out);
void row_sql_select(const ex_type *row, ex_buf *out); /* by key */
void row_sql_delete(const ex_type *row, ex_buf *out); /* by key */
/** "a, b, c": the row's columns. */
void row_sql_columns(const ex_type *row, ex_buf *out);

/** Bind the members of `value` to parameters 1, 2, … of `st` (`by_name` false) or to :member, those
 *  that the statement has. Text is borrowed until the statement is reset; JSON forms lie in
 * `arena`. */
EX_NODISCARD ex_status row_bind(const ex_type *row, const void *value, sqlite3_stmt *st,
                                bool by_name, ex_arena *arena, ex_error *err);
/** Fill the struct from the statement's current row, columns in the order of the fields; copies
 * into `arena`. */
EX_NODISCARD ex_status row_read(const ex_type *row, sqlite3_stmt *st, ex_arena *arena, void *ret,
                                ex_error *err);
/** Append the statement's current row as JSON, columns in the order of the fields. */
void row_write_json(const ex_type *row, sqlite3_stmt *st, ex_buf *out);

#endif
