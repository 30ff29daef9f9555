/* pg_error.h: what PostgreSQL and libpq report, as one status and one sentence.
 *
 * A message never holds a password, a value of a parameter or a value out of a row: of the server's
 * own text only what names things (tables, roles, constraints) is used. */
#ifndef EXCORE_SQL_POSTGRES_PG_ERROR_H
#define EXCORE_SQL_POSTGRES_PG_ERROR_H

#include <excore/error.h>

#define PG_SQLSTATE_SIZE 6

/** The status for a SQLSTATE; EX_EDATABASE for one that is not in the table. */
ex_status pg_status_of(const char *sqlstate);
/** Does the server end the connection with this failure? */
bool pg_ends_connection(const char *sqlstate);

/** The fields of a server's error that may be shown; all nullable. */
typedef struct pg_report {
    const char *sqlstate;
    const char *primary;
    const char *schema;
    const char *table;
    const char *column;
    const char *constraint;
} pg_report;

/** Raise a statement's failure. `role` and `label` as in ex_pg_target. */
ex_status pg_raise_report(const pg_report *report, const char *role, const char *label,
                          ex_error *err);

/** Raise a failure to connect from libpq's text (verbose, any number of lines and attempts).
 *  @param ret_sqlstate the server's, "" when it did not come to one */
ex_status pg_raise_connect(const char *text, const char *role, const char *database,
                           const char *label, char ret_sqlstate[PG_SQLSTATE_SIZE], ex_error *err);

/** @param version as PQserverVersion gives it. @return EX_OK, EX_EDATABASE (before 14) */
ex_status pg_check_version(int version, const char *label, ex_error *err);

#endif
