/* lists.h: the posting lists of the database (see store/postings.h), over one connection. */
#ifndef EXCORE_STORE_SQLITE_LISTS_H
#define EXCORE_STORE_SQLITE_LISTS_H

#include "store/postings.h"
#include "store/sqlite/sqlite_conn.h"

/** The source; it borrows the connection. */
postings_source sqlite_lists_source(sqlite_conn *c);

/** Run a statement of one number for a name or key. EX_OK with 0 when there is no row. */
EX_NODISCARD ex_status sqlite_lists_find_id(sqlite_conn *c, statement which, ex_slice name,
                                            uint64_t *ret_id, ex_error *err);
/** Version of a stream by its id as of the position `upto`, 0 when it did not exist. */
EX_NODISCARD ex_status sqlite_lists_stream_version(sqlite_conn *c, uint64_t stream_id,
                                                   uint64_t upto, uint64_t *ret, ex_error *err);

#endif
