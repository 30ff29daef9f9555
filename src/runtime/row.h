/* row.h: a row type as an SQL table: columns, statements, values both ways.
 *
 *     kind                         SQLite    PostgreSQL         holds
 *     bool                         INTEGER   BOOLEAN
 *     int32 … uint64               INTEGER   BIGINT
 *     double                       REAL      DOUBLE PRECISION
 *     text                         TEXT      TEXT COLLATE "C"
 *     time                         INTEGER   BIGINT             microseconds since 1970
 *     enum                         TEXT      TEXT COLLATE "C"   the value's text
 *     struct, list, any JSON       TEXT      TEXT COLLATE "C"   JSON
 *     optional                     the same, NULL when absent
 *
 * The field marked EX_KEY is the primary key. The table is named as the type
 * in snake case: OrderSummary is order_summary. */
#ifndef EXCORE_RUNTIME_ROW_H
#define EXCORE_RUNTIME_ROW_H

#include "sql/sql.h"

#include <excore/type.h>

#define ROW_NAME_SIZE 128
/* Text of an entry of an index, its key's included: PostgreSQL takes 2,704 bytes for all of it. */
#define ROW_INDEX_BYTES 2500u

/** Write the table's name and a NUL; returns the slice over `out`. */
ex_slice row_table_name(const ex_type *row, char out[ROW_NAME_SIZE]);

/** The type of a field's column. */
ex_sql_type row_column_type(const ex_field *f);
/** The number of the column that is the key. */
uint32_t row_key_column(const ex_type *row);

/* Append SQL. */
/** The name of a column or table. It may be a reserved word, so it is quoted. */
void row_sql_name(ex_slice name, ex_buf *out);
void row_sql_create(ex_sql_engine engine, const ex_type *row, ex_buf *out);
void row_sql_upsert(ex_sql_engine engine, const ex_type *row, ex_buf *out); /* $1, $2, … */
void row_sql_select(ex_sql_engine engine, const ex_type *row, ex_buf *out); /* by key, $1 */
void row_sql_delete(ex_sql_engine engine, const ex_type *row, ex_buf *out); /* by key, $1 */
/* The same for many rows at once, PostgreSQL's: $1, $2, … are the columns as arrays, or $1 the keys. */
void row_sql_upsert_all(ex_sql_engine engine, const ex_type *row, ex_buf *out);
void row_sql_select_all(ex_sql_engine engine, const ex_type *row, ex_buf *out);
void row_sql_delete_all(ex_sql_engine engine, const ex_type *row, ex_buf *out);
/** "a", "b", "c": the row's columns. */
void row_sql_columns(const ex_type *row, ex_buf *out);

/** One column of a view's index. */
typedef struct row_index_column {
    ex_slice name;
    bool is_descending;
} row_index_column;

/** The next of "customer_id, status DESC"; false at the end. What is no column, with or without ASC
 *  or DESC behind it, is given as it stands. */
bool row_index_next(const char **at, row_index_column *ret);

/** The members of `value` as values, in the order of the fields. Text is borrowed from `value`,
 * JSON forms lie in `arena`. @param ret field_count long
 *  @return EX_OK, EX_EINVAL (a uint64 over 2^63-1), EX_ENOMEM */
EX_NODISCARD ex_status row_values(const ex_type *row, const void *value, ex_arena *arena,
                                  ex_sql_value *ret, ex_error *err);
/** Bind those members of `value` that the statement has as :member. Borrows as row_values does. */
EX_NODISCARD ex_status row_bind_names(const ex_type *row, const void *value, ex_sql_stmt *st,
                                      ex_arena *arena, ex_error *err);
/** Fill the struct from values in the order of the fields; copies into `arena`. */
EX_NODISCARD ex_status row_read(const ex_type *row, const ex_sql_value *values, ex_arena *arena,
                                void *ret, ex_error *err);
/** Append the statement's current row as JSON, columns in the order of the fields.
 *  @return EX_OK, EX_EINTERNAL (a value is not of its field's kind, or null and not optional) */
EX_NODISCARD ex_status row_write_json(const ex_type *row, const ex_sql_stmt *st, ex_buf *out,
                                      ex_error *err);

#endif
