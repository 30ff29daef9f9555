/* presence.h: who has a store in PostgreSQL open for writing.
 *
 * Each writing connection holds an advisory lock of its session, in shared mode, as long as it
 * lives: nobody waits for it, but everybody can see it. The server drops it with the session,
 * however that ends, after what the session was committing. */
#ifndef EXCORE_STORE_POSTGRES_PRESENCE_H
#define EXCORE_STORE_POSTGRES_PRESENCE_H

#include "sql/postgres/pg_conn.h"

/* The schema need not be there yet when the session is set up. */
#define PG_PRESENCE_KEY "hashtextextended('excore writes ' || current_setting('search_path'), 0)"
/** For the set-up of a writing session. Never waits: nobody asks for the lock alone. */
#define PG_PRESENCE_SQL "SELECT pg_try_advisory_lock_shared(" PG_PRESENCE_KEY "); "

/** Whether some session holds it, or a node of the store's list is not over yet.
 *  @return EX_OK, EX_EAGAIN (a standby, which cannot tell), or as ex_pg_run. Blocking: at most two
 * round trips. */
EX_NODISCARD ex_status pg_presence_ask(ex_pg *pg, bool *ret, ex_error *err);

#endif
