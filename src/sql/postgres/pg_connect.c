/* pg_connect.c: connecting without blocking past a deadline, and cancelling over a connection of
 * its own.
 *
 * libpq's PQcancel is not used: it blocks for as long as a stopped server likes. Instead a short
 * connection calls pg_cancel_backend, which the same role may do. */
#include "sql/postgres/pg_int.h"

#include <stdio.h>
#include <stdlib.h>

#define CANCEL_TIMEOUT_MS 2000

/* What the program sets, unless the URL does. In the order of the URL's own text, libpq takes the
 * last value of a keyword; so these come first, and dbname (the URL) is expanded after them. */
static const char *const defaults[][2] = {
    {"application_name", "excore"}, {"gssencmode", "disable"}, {"keepalives_idle", "30"},
    {"keepalives_interval", "10"},  {"keepalives_count", "3"}, {"tcp_user_timeout", "30000"},
};
#define DEFAULT_COUNT (sizeof(defaults) / sizeof(defaults[0]))

/* By default libpq prints what the server remarks. */
static void ignore_notice(void *ctx, const PGresult *result)
{
    (void)ctx;
    (void)result;
}

static PGconn *begin(const ex_pg_target *target)
{
    const char *keywords[DEFAULT_COUNT + 4], *values[DEFAULT_COUNT + 4];
    size_t n = 0;
    for (; n < DEFAULT_COUNT; n++) {
        keywords[n] = defaults[n][0];
        values[n] = defaults[n][1];
    }
    keywords[n] = "sslmode";
    values[n++] = target->sslmode;
    keywords[n] = "dbname";
    values[n++] = target->url;
    keywords[n] = "client_encoding"; /* not the URL's to choose */
    values[n++] = "UTF8";
    keywords[n] = values[n] = NULL;
    PGconn *conn = PQconnectStartParams(keywords, values, 1);
    if (conn) {
        PQsetErrorVerbosity(conn, PQERRORS_VERBOSE); /* for the SQLSTATE */
        PQsetNoticeReceiver(conn, ignore_notice, NULL);
    }
    return conn;
}

static ex_status raise_failed(const ex_pg_target *target, const PGconn *conn, char *ret_sqlstate,
                              ex_error *err)
{
    const char *role = PQuser(conn), *database = PQdb(conn);
    return pg_raise_connect(PQerrorMessage(conn), role ? role : target->role,
                            database ? database : target->database, target->label, ret_sqlstate,
                            err);
}

ex_status pg_connect(const ex_pg_target *target, uint64_t deadline_ns,
                     char ret_sqlstate[PG_SQLSTATE_SIZE], PGconn **ret, ex_error *err)
{
    ex_status st = EX_OK;
    PGconn *conn = begin(target);
    ret_sqlstate[0] = '\0';
    if (!conn)
        return ex_raise(err, EX_ENOMEM, "no memory for a connection to PostgreSQL");
    PostgresPollingStatusType polled = PGRES_POLLING_WRITING;
    if (PQstatus(conn) == CONNECTION_BAD)
        polled = PGRES_POLLING_FAILED;
    while (polled == PGRES_POLLING_WRITING || polled == PGRES_POLLING_READING) {
        short events = polled == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        if (!pg_poll(PQsocket(conn), events, -1, deadline_ns)) {
            st = ex_raise(err, EX_ETIMEOUT, "cannot connect to PostgreSQL at %s: no answer in time",
                          target->label);
            goto out;
        }
        polled = PQconnectPoll(conn);
    }
    if (polled != PGRES_POLLING_OK)
        st = raise_failed(target, conn, ret_sqlstate, err);
    else
        st = pg_check_version(PQserverVersion(conn), target->label, err);
    if (!st && PQsetnonblocking(conn, 1) != 0)
        st = ex_raise(err, EX_ENOMEM, "no memory for a connection to PostgreSQL");
out:
    if (st)
        PQfinish(conn);
    else
        *ret = conn;
    return st;
}

/* Wait for the answer to one text query and throw it away. */
static void finish_query(PGconn *conn, uint64_t deadline_ns)
{
    PGresult *result;
    do {
        while (PQflush(conn) == 1 || PQisBusy(conn)) {
            short events = PQflush(conn) == 1 ? POLLIN | POLLOUT : POLLIN;
            if (!pg_poll(PQsocket(conn), events, -1, deadline_ns) || !PQconsumeInput(conn))
                return;
        }
        result = PQgetResult(conn);
        PQclear(result);
    } while (result);
}

void pg_cancel_on_server(ex_pg *pg)
{
    char sqlstate[PG_SQLSTATE_SIZE], sql[64];
    uint64_t deadline_ns = pg_deadline(CANCEL_TIMEOUT_MS);
    PGconn *conn;
    if (pg_connect(&pg->target, deadline_ns, sqlstate, &conn, NULL))
        return; /* the server's own time-out has to do */
    (void)snprintf(sql, sizeof(sql), "SELECT pg_cancel_backend(%d)", PQbackendPID(pg->conn));
    if (PQsendQuery(conn, sql))
        finish_query(conn, deadline_ns);
    PQfinish(conn);
}
