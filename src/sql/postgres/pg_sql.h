/* pg_sql.h: the SQL port on a connection that somebody has open already. */
#ifndef EXCORE_SQL_POSTGRES_PG_SQL_H
#define EXCORE_SQL_POSTGRES_PG_SQL_H

#include "sql/postgres/pg_conn.h"
#include "sql/sql.h"

/** As ex_sql_open, on `pg`: borrowed until ex_sql_close, which leaves it open. Meanwhile it is used
 *  through the port only, and nothing is under way on it at the beginning.
 *  @return EX_OK, EX_ENOMEM. Blocking: no. */
EX_NODISCARD ex_status ex_sql_on_pg(ex_pg *pg, ex_sql **ret, ex_error *err);

#endif
