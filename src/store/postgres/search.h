/* search.h: the log by types and tags, a page for each statement (search_sql.h). */
#ifndef EXCORE_STORE_POSTGRES_SEARCH_H
#define EXCORE_STORE_POSTGRES_SEARCH_H

#include <excore/event.h>

#include "sql/postgres/pg_conn.h"

typedef struct pg_search {
    const ex_query *query; /* each item names a type or a tag */
    uint64_t from, upto;   /* positions, inclusive */
    uint64_t events;       /* most that are wanted */
    uint64_t bytes;        /* about so many are wanted; at least one event comes */
} pg_search;

/** How far a search came. */
typedef struct pg_search_end {
    int rows;      /* events of the result, from row 0 on */
    uint64_t next; /* no event from `from` up to before this one matches, but those of the rows */
} pg_search_end;

/** Can the statement search for it? Streams and correlation ids have no part in it. */
bool pg_search_knows(const ex_filter *filter);
/** Put the arguments of PG_SEARCH. */
void pg_put_search(ex_pg_args *args, const pg_search *search);
/** Read where the answer to PG_SEARCH ends. @return EX_OK, EX_ECORRUPT */
EX_NODISCARD ex_status pg_search_read_end(const ex_pg_result *r, pg_search_end *ret, ex_error *err);

#endif
