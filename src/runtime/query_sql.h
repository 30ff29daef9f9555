/* query_sql.h: the SQL that a named query runs, made from the application's own SELECT.
 *
 *     page, list   SELECT columns FROM (own) AS excore_rows [WHERE (keys) > (last keys)]
 *                  ORDER BY keys LIMIT :excore_limit
 *     single       the same without keys
 *     count        own
 *
 * The keys are order_by and, as a tie-break, the key of the rows where the row type has it: rows
 * that are equal in order_by would else be lost between two pages. */
#ifndef EXCORE_RUNTIME_QUERY_SQL_H
#define EXCORE_RUNTIME_QUERY_SQL_H

#include "sql/sql.h"

#include <excore/view.h>

#define QUERY_ORDER_MAX 4  /* columns in order_by */
#define QUERY_KEYS_MAX  12 /* with the tie-break */

/** What the rows of a page or list are ordered by: columns of the row type, by number. */
typedef struct query_keys {
    uint32_t count;
    uint32_t columns[QUERY_KEYS_MAX];
} query_keys;

/** Keys of the query; none of a single or a count. What is no column is left out. Thread: any. */
query_keys query_keys_of(const ex_query_def *def);

/** The application's own SELECT for the engine; NULL when there is none. */
const char *query_sql_own(const ex_query_def *def, ex_sql_engine engine);
/** Append it as it is run: on PostgreSQL its texts are compared by their bytes. There is one. */
void query_sql_put_own(const ex_query_def *def, ex_sql_engine engine, ex_buf *sql);
/** Append the whole statement. @param has_after it goes on behind a cursor: parameters
 * excore_after_0, … */
void query_sql_write(const ex_query_def *def, const query_keys *keys, bool has_after,
                     ex_sql_engine engine, ex_buf *sql);
/** The field of that name, or NULL. @param type NULL has none */
const ex_field *query_field(const ex_type *type, ex_slice name);

#endif
