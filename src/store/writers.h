/* writers.h: whether some process has a store open for writing, seen from outside.
 *
 *   a directory   its lock is held (lock_file.h)
 *   PostgreSQL    a session holds the shared lock that every writing connection takes, or a node
 *                 is listed whose time is not over: its connection may just be lost
 *
 * Whoever writes commits before he lets go. So a reader that asks first and reads then has seen
 * everything once the answer was no. */
#ifndef EXCORE_STORE_WRITERS_H
#define EXCORE_STORE_WRITERS_H

#include <excore/error.h>

typedef struct ex_writers ex_writers;

/** @param place a directory or the URL of a PostgreSQL; copied. @return EX_OK, EX_ENOMEM.
 *  Blocking: no. */
EX_NODISCARD ex_status ex_writers_new(const char *place, ex_writers **ret, ex_error *err);
/** NULL is accepted. */
void ex_writers_free(ex_writers *w);
/** Whether anybody writes it now, this process included.
 *  @return EX_OK, or why nobody can tell from here: EX_EFILESYSTEM, EX_EREADONLY (the lock), as
 *          ex_pg_open (no primary is to be reached). Thread: one at a time.
 *  Blocking: PostgreSQL: at most two round trips, and connecting when there is no connection. */
EX_NODISCARD ex_status ex_writers_ask(ex_writers *w, bool *ret, ex_error *err);

#endif
