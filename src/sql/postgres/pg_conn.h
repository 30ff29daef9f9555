/* pg_conn.h: one connection to PostgreSQL (14 or later) over libpq: pipelined statements with
 * binary values, time-outs that hold, notifications.
 *
 * Underneath it is never blocking: every wait is a poll with a deadline. A statement is queued with
 * ex_pg_send, a group of them is ended with ex_pg_sync, and ex_pg_recv gives the results in the
 * order of sending:
 *
 *     ex_pg_send(pg, EX_S("BEGIN"), NULL, err)
 *     ex_pg_send(pg, EX_S("SELECT head FROM log FOR UPDATE"), NULL, err)
 *     ex_pg_sync(pg, err)                          one round trip for both
 *     ex_pg_recv(pg, &begun, err) …, ex_pg_recv(pg, &head, err) …
 *
 * A group without BEGIN is one transaction of its own. Several groups may be under way.
 *
 * A failure aborts what is left of its group: ex_pg_recv reports it once and takes the whole group
 * away, so that the next ex_pg_recv is about the next group. An open transaction then waits for its
 * ROLLBACK (ex_pg_tx_state says so).
 *
 * When the server, the network or a deadline ends the connection, everything under way fails with
 * EX_EAGAIN (or EX_ETIMEOUT, EX_ECANCELLED), and so does every call until ex_pg_reopen. The fate of
 * a COMMIT under way is then unknown. The owner decides when to reopen (ex_backoff_ms).
 *
 * A connection may die without a word: a firewall forgot it, a proxy in between stands still. While
 * a statement waits and nothing comes, the server is asked over a second, short connection what it
 * makes of the session (pg_beside.c). A server that is busy or waits for a lock is waited for; one
 * that itself waits for us, or knows no such session, ends the wait with EX_EAGAIN.
 *
 * Thread: one at a time, except ex_pg_cancel and ex_pg_wake. */
#ifndef EXCORE_SQL_POSTGRES_PG_CONN_H
#define EXCORE_SQL_POSTGRES_PG_CONN_H

#include <stdatomic.h>

#include "sql/postgres/pg_url.h"
#include "sql/postgres/pg_value.h"

#define EX_PG_NO_TIMEOUT UINT32_MAX

typedef struct ex_pg ex_pg;

typedef struct ex_pg_options {
    const char *url; /* postgres://…, see pg_url.h */
    bool is_primary; /* a standby is passed over, unless the URL says target_session_attrs */
    uint32_t connect_timeout_ms; /* [the URL's, else 5 s]; all of connecting and setting up */
    uint32_t
        statement_timeout_ms; /* [30 s] of one statement, held by the server; EX_PG_NO_TIMEOUT */
    const char *schema;       /* [the URL's]: first and only in the search path */
    const char *setup_sql;    /* nullable: run after each connect, "SET …; SET …" */
    /* R-02-12: called for each group of statements that took slow_ms or more, with their
     * texts, never with values. Nullable. */
    void (*on_slow)(void *ctx, ex_slice sql, uint32_t elapsed_ms);
    void *slow_ctx;
    uint32_t slow_ms; /* [200] */
    /* Called on each new connection when it is set up; a failure of it is one to connect. Nullable.
     */
    ex_status (*on_connected)(void *ctx, ex_pg *pg, ex_error *err);
    void *connected_ctx;
    /* No wait goes past this time (pg_now_ns), which another thread may set while one runs; at
     * first UINT64_MAX. It must outlive the connection. Nullable. */
    const _Atomic uint64_t *end_ns;
} ex_pg_options;

typedef enum ex_pg_tx {
    EX_PG_TX_NONE,
    EX_PG_TX_OPEN,
    EX_PG_TX_FAILED, /* only a ROLLBACK (TO SAVEPOINT) is possible */
    EX_PG_TX_BROKEN  /* no connection */
} ex_pg_tx;

/** Connect and set the session up: application_name excore, UTF-8, search path, time-out.
 *  @param options borrowed for the call; texts are copied, slow_ctx must outlive the connection
 *  @return EX_OK; EX_EINVAL (URL, TLS rule); EX_EAGAIN or EX_ETIMEOUT (server not to be reached:
 * may come back); EX_EDATABASE (wrong password, no such database or role, older than 14 …);
 *          EX_ENOMEM. The message is one sentence for people.
 *  Blocking: until connected, at most connect_timeout_ms; looking a host name up may add to that.
 */
EX_NODISCARD ex_status ex_pg_open(const ex_pg_options *options, ex_pg **ret, ex_error *err);
/** End the connection; an open transaction is rolled back by the server. NULL is accepted. */
void ex_pg_close(ex_pg *pg);
/** Connect anew, whether or not the old connection is broken. Prepared statements are prepared
 * again when they are next sent. On failure it stays broken. Returns as ex_pg_open does. */
EX_NODISCARD ex_status ex_pg_reopen(ex_pg *pg, ex_error *err);

/** From now on nothing on this connection is waited for past `deadline_ns` (monotonic, the system's
 *  clock): connecting, statements, rolling back. Then it is broken and EX_ETIMEOUT is returned.
 *  UINT64_MAX: the time-outs alone count. */
void ex_pg_set_deadline(ex_pg *pg, uint64_t deadline_ns);
/** The same, `ms` from now. */
void ex_pg_allow(ex_pg *pg, uint32_t ms);
/** Has that time come, or the end? */
bool ex_pg_is_late(const ex_pg *pg);

/** Has the connection ended, as far as is known without asking? */
bool ex_pg_is_broken(const ex_pg *pg);
/** Read what the server sent unasked, above all the end of the connection. Only when idle.
 *  @return EX_OK, EX_EAGAIN (broken). Blocking: never. */
EX_NODISCARD ex_status ex_pg_check(ex_pg *pg, ex_error *err);
/** One round trip (SELECT 1), R-02-15. Only when idle. */
EX_NODISCARD ex_status ex_pg_ping(ex_pg *pg, uint32_t timeout_ms, ex_error *err);
/** As of the last group that was received whole. */
ex_pg_tx ex_pg_tx_state(const ex_pg *pg);
/** Is the server a standby, as it has told last? False without a connection. */
bool ex_pg_is_standby(const ex_pg *pg);
/** The SQLSTATE of the last failure that the server reported, "" when the last failure was not its.
 *  Valid until the next call that fails. */
const char *ex_pg_sqlstate(const ex_pg *pg);
const ex_pg_target *ex_pg_target_of(const ex_pg *pg);

/** Queue one statement; it is prepared at its first use and kept by its text and argument types.
 *  @param sql  one statement with $1, $2 …; borrowed for the call
 *  @param args nullable; borrowed for the call; a build that failed is reported here
 *  @return EX_OK; EX_EAGAIN (broken); EX_EINVAL, EX_ETOOLARGE, EX_ENOMEM (nothing was queued)
 *  Blocking: no, but it may write. */
EX_NODISCARD ex_status ex_pg_send(ex_pg *pg, ex_slice sql, const ex_pg_args *args, ex_error *err);
/** Write what was queued. libpq moves what is left at each write, so a lot of it takes its square.
 *  @return EX_OK, EX_EAGAIN (broken), EX_ETIMEOUT (broken, too). Blocking: as ex_pg_recv. */
EX_NODISCARD ex_status ex_pg_flush(ex_pg *pg, ex_error *err);
/** End the group and send it. At least one statement must be queued. */
EX_NODISCARD ex_status ex_pg_sync(ex_pg *pg, ex_error *err);
/** The result of the next statement of a group that was synced. The last one of a group is given
 *  only when the server has confirmed the group, its implicit commit included.
 *  @param ret nullable when no row is wanted; filled on success, free with ex_pg_result_free
 *  @return EX_OK, or the group's failure: see pg_error.c for the statuses
 *  Blocking: until it is there, at most the statement time-out and a second. */
EX_NODISCARD ex_status ex_pg_recv(ex_pg *pg, ex_pg_result *ret, ex_error *err);
/** Take the results of all groups under way away; the first failure is returned. */
EX_NODISCARD ex_status ex_pg_recv_all(ex_pg *pg, ex_error *err);
/** Statements sent and synced whose results were not received. */
size_t ex_pg_pending(const ex_pg *pg);

/** Send, sync and receive one statement. Only when idle. @param args, ret nullable */
EX_NODISCARD ex_status ex_pg_run(ex_pg *pg, ex_slice sql, const ex_pg_args *args, ex_pg_result *ret,
                                 ex_error *err);
/** Run one or more statements without arguments and results, unprepared; without BEGIN they are one
 *  transaction. Only when idle. */
EX_NODISCARD ex_status ex_pg_script(ex_pg *pg, const char *sql, ex_error *err);

/** Cancel what runs, on the server too (R-02-10), and what is begun later: it fails with
 *  EX_ECANCELLED, until ex_pg_uncancel or ex_pg_reopen. Thread: any, as long as the connection is
 *  not closed. Blocking: no. */
void ex_pg_cancel(ex_pg *pg);
void ex_pg_uncancel(ex_pg *pg);

typedef void ex_pg_notify_fn(void *ctx, const char *channel, ex_slice payload);

/** LISTEN to a channel: [a-z0-9_], as a name. Again after each reopen. */
EX_NODISCARD ex_status ex_pg_listen(ex_pg *pg, const char *channel, ex_error *err);
/** Wait for notifications and hand each to fn (nullable). Only when idle.
 *  @return EX_OK when some came, the time is over or ex_pg_wake was called; EX_EAGAIN (broken)
 *  Blocking: at most timeout_ms. */
EX_NODISCARD ex_status ex_pg_wait_notify(ex_pg *pg, uint32_t timeout_ms, ex_pg_notify_fn *fn,
                                         void *ctx, ex_error *err);
/** End the wait that runs, or the next one. Thread: any, as long as it is not closed. */
void ex_pg_wake(ex_pg *pg);

#endif
