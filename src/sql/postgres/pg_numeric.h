/* pg_numeric.h: PostgreSQL's NUMERIC, which sum() and avg() of whole numbers give, as a number. */
#ifndef EXCORE_SQL_POSTGRES_PG_NUMERIC_H
#define EXCORE_SQL_POSTGRES_PG_NUMERIC_H

#include "sql/sql.h"

/** @param bytes the binary form. @return an I64 when it is whole and fits, else an F64 */
ex_sql_value pg_numeric(ex_slice bytes);

#endif
