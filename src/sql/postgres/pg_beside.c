/* pg_beside.c: what has to be said to a server, or asked of it, while the connection itself waits:
 * over a short connection of its own, as the same role.
 *
 * Cancelling: libpq's PQcancel is not used, for it blocks for as long as a stopped server likes;
 * pg_cancel_backend does the same.
 *
 * A dead connection: nothing comes, and it cannot be seen from here whether the server still works
 * on the statement, whether it waits for a lock, or whether one of the two does not hear the other
 * any more. The server knows: it waits to read from its client, or to write to it, for about as
 * long as we have been waiting for it. Then neither will move. Its session is ended with the same
 * question, so that the lock that it may hold is free at once, and what became of a commit can be
 * asked. */
#include "sql/postgres/pg_int.h"

#include <stdio.h>
#include <sys/socket.h>

#define BESIDE_MS 2000
#define SLACK_MS  100 /* the clocks of two machines tick apart */

/* The first result of one text query; NULL: none came. Free with PQclear. */
static PGresult *ask(PGconn *conn, const char *sql, pg_limit limit)
{
    PGresult *first = NULL, *result = NULL;
    if (!PQsendQuery(conn, sql))
        return NULL;
    do {
        int unsent;
        while ((unsent = PQflush(conn)) == 1 || PQisBusy(conn)) {
            short events = unsent == 1 ? POLLIN | POLLOUT : POLLIN;
            if (!pg_poll(PQsocket(conn), events, -1, limit) || !PQconsumeInput(conn))
                return first;
        }
        result = PQgetResult(conn);
        if (first)
            PQclear(result);
        else
            first = result;
    } while (result);
    return first;
}

void pg_cancel_on_server(ex_pg *pg)
{
    char sql[64];
    pg_limit limit = pg_limit_of(pg, BESIDE_MS);
    PGconn *conn = NULL;
    if (pg_connect_same(pg, limit, &conn))
        return; /* the server's own time-out has to do */
    (void)snprintf(sql, sizeof(sql), "SELECT pg_cancel_backend(%d)", pg->pid);
    PQclear(ask(conn, sql, limit));
    PQfinish(conn);
}

/* Our number may be that of a younger session by now, after ours has ended: its age tells. */
static const char question[] =
    "WITH it AS (SELECT pid, wait_event IN ('ClientRead', 'ClientWrite') AND "
    "state_change < clock_timestamp() - interval '%llu milliseconds' AS is_waiting "
    "FROM pg_stat_activity WHERE pid = %d AND usename = current_user "
    "AND backend_start < clock_timestamp() - interval '%llu milliseconds') "
    "SELECT CASE WHEN NOT EXISTS (SELECT 1 FROM it) THEN true "
    "WHEN (SELECT is_waiting FROM it) THEN (SELECT %s FROM it) "
    "ELSE false END";

/* Through a socket of this machine nothing gets lost: a server that is silent there is slow. */
static bool is_local(const ex_pg *pg)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof(address);
    return getsockname(PQsocket(pg->conn), (struct sockaddr *)&address, &len) == 0 &&
           address.ss_family == AF_UNIX;
}

bool pg_is_flow_dead(ex_pg *pg, uint64_t silent_ms, bool may_end, pg_limit limit)
{
    static const char end[] = "pg_terminate_backend(pid) IS NOT NULL", leave[] = "true";
    char sql[sizeof(question) + sizeof(end) + 64];
    uint64_t age_ms = (pg_now_ns() - pg->connected_ns) / 1000000;
    PGconn *conn = NULL;
    limit = pg_limit_within(limit, BESIDE_MS);
    if (pg->pid == 0 || is_local(pg) || pg_connect_same(pg, limit, &conn))
        return false; /* nobody can be asked: wait on */
    (void)snprintf(sql, sizeof(sql), question, (unsigned long long)silent_ms / 2, pg->pid,
                   (unsigned long long)(age_ms > SLACK_MS ? age_ms - SLACK_MS : 0),
                   may_end ? end : leave); /* fits */
    PGresult *result = ask(conn, sql, limit);
    bool is_dead = PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1 &&
                   PQgetvalue(result, 0, 0)[0] == 't';
    PQclear(result);
    PQfinish(conn);
    return is_dead;
}
