/* lists.h: the posting lists of the database (see store/postings.h), over one session. */
#ifndef EXCORE_STORE_POSTGRES_LISTS_H
#define EXCORE_STORE_POSTGRES_LISTS_H

#include "sql/postgres/pg_conn.h"
#include "store/postgres/statements.h"
#include "store/postings.h"

/** The source; it borrows the session. */
postings_source pg_lists_source(ex_pg *pg);

/** Run a statement that only reads; once more over a new connection when it found the old one
 * ended.
 *  @param args nullable */
EX_NODISCARD ex_status pg_run_again(ex_pg *pg, pg_statement which, const ex_pg_args *args,
                                    ex_pg_result *ret, ex_error *err);

#endif
