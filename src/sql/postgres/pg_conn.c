/* pg_conn.c: opening, setting up, breaking and reopening a connection. */
#include "sql/postgres/pg_int.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define CONNECT_TIMEOUT_MS   5000 /* a lost SYN is sent again after 1 and 3 s: no gap above 2 s */
#define STATEMENT_TIMEOUT_MS 30000
#define SLOW_MS              200

ex_status pg_raise_broken(ex_pg *pg, ex_error *err)
{
    return ex_raise(err, EX_EAGAIN, "no connection to PostgreSQL at %s", pg->target.label);
}

ex_status pg_break(ex_pg *pg, ex_status st)
{
    for (; pg->queue_count > 0; pg->queue_count--) {
        pg_statement_unref(pg->queue[pg->queue_at].statement);
        pg->queue_at = (pg->queue_at + 1) % pg->queue_capacity;
    }
    pg->pending = pg->unsynced = 0;
    pg->unanswered = 0;
    pg_statements_reset(pg);
    PQfinish(pg->conn);
    pg->conn = NULL;
    pg->tx = EX_PG_TX_BROKEN;
    return st;
}

static void note_sqlstate(ex_pg *pg, const char *state)
{
    (void)snprintf(pg->sqlstate, sizeof(pg->sqlstate), "%s", state ? state : ""); /* five letters */
}

ex_status pg_raise_result(ex_pg *pg, const PGresult *result, ex_error *err)
{
    pg_report r = {.sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE),
                   .primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY),
                   .table = PQresultErrorField(result, PG_DIAG_TABLE_NAME),
                   .column = PQresultErrorField(result, PG_DIAG_COLUMN_NAME),
                   .constraint = PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME)};
    note_sqlstate(pg, r.sqlstate);
    if (!r.sqlstate && PQstatus(pg->conn) == CONNECTION_BAD)
        return ex_raise(err, EX_EAGAIN, "lost the connection to PostgreSQL at %s",
                        pg->target.label);
    if (!r.sqlstate) /* libpq's own: out of memory, or a protocol that it does not understand */
        return ex_raise(err, EX_EDATABASE, "the client library of PostgreSQL failed: %.*s",
                        (int)strcspn(PQerrorMessage(pg->conn), "\n"), PQerrorMessage(pg->conn));
    if (strcmp(r.sqlstate, "57014") == 0 && atomic_load(&pg->is_cancelled))
        return ex_raise(err, EX_ECANCELLED, "a statement was cancelled");
    return pg_raise_report(&r, PQuser(pg->conn), pg->target.label, err);
}

bool pg_is_copy(ExecStatusType kind)
{
    return kind == PGRES_COPY_IN || kind == PGRES_COPY_OUT || kind == PGRES_COPY_BOTH;
}

ex_status pg_refuse_copy(ex_pg *pg, ex_error *err)
{
    return pg_break(pg, ex_raise(err, EX_EINVAL, "COPY is not possible here"));
}

/* ---- text queries outside of the pipeline ---- */

/* The set-up asks for the number of its session. */
static void learn_pid(ex_pg *pg, const PGresult *result)
{
    if (PQntuples(result) == 1 && strcmp(PQfname(result, 0), "excore_pid") == 0)
        pg->pid = (int)strtol(PQgetvalue(result, 0, 0), NULL, 10);
}

/* Read to the end of a text query; the first failure counts. */
static ex_status finish_script(ex_pg *pg, pg_limit limit, ex_error *err)
{
    ex_status st = EX_OK;
    for (;;) {
        ex_status waited = pg_wait_result(pg, limit, st ? NULL : err);
        if (waited)
            return st ? st : waited;
        PGresult *result = PQgetResult(pg->conn);
        if (!result)
            return st;
        ExecStatusType kind = PQresultStatus(result);
        if (!st && kind == PGRES_FATAL_ERROR)
            st = pg_raise_result(pg, result, err);
        if (kind == PGRES_TUPLES_OK)
            learn_pid(pg, result);
        PQclear(result);
        if (pg_is_copy(kind))
            return st ? pg_break(pg, st) : pg_refuse_copy(pg, err);
        if (PQstatus(pg->conn) == CONNECTION_BAD)
            return pg_break(pg, st ? st : pg_raise_broken(pg, err));
    }
}

static ex_pg_tx tx_of(PGTransactionStatusType status)
{
    switch (status) {
    case PQTRANS_IDLE:
        return EX_PG_TX_NONE;
    case PQTRANS_INERROR:
        return EX_PG_TX_FAILED;
    case PQTRANS_UNKNOWN:
        return EX_PG_TX_BROKEN;
    default:
        return EX_PG_TX_OPEN;
    }
}

void pg_note_tx(ex_pg *pg)
{
    pg->tx = tx_of(PQtransactionStatus(pg->conn));
}

/* Outside of pipeline mode. */
static ex_status run_script(ex_pg *pg, const char *sql, pg_limit limit, ex_error *err)
{
    if (!PQsendQuery(pg->conn, sql)) {
        ex_status st = PQstatus(pg->conn) == CONNECTION_BAD
                           ? pg_raise_broken(pg, err)
                           : ex_raise(err, EX_ENOMEM, "no memory to send a statement");
        return pg_break(pg, st);
    }
    ex_status st = finish_script(pg, limit, err);
    if (pg->conn)
        pg_note_tx(pg);
    return st;
}

ex_status ex_pg_script(ex_pg *pg, const char *sql, ex_error *err)
{
    assert(pg->queue_count == 0);
    if (!pg->conn)
        return pg_raise_broken(pg, err);
    if (!PQexitPipelineMode(pg->conn)) /* idle, so only a lost connection can be the reason */
        return pg_break(pg, pg_raise_broken(pg, err));
    ex_status st = run_script(pg, sql, pg_statement_limit(pg), err);
    if (pg->conn && !PQenterPipelineMode(pg->conn))
        st = pg_break(pg, st ? st : pg_raise_broken(pg, err));
    return st;
}

/* ---- opening ---- */

static ex_status set_up(ex_pg *pg, pg_limit limit, ex_error *err)
{
    ex_buf sql;
    ex_buf_init(&sql, 0);
    ex_buf_printf(&sql, "SET search_path = \"%s\"; SET statement_timeout = %u; ", pg->target.schema,
                  pg->statement_timeout_ms == EX_PG_NO_TIMEOUT ? 0 : pg->statement_timeout_ms);
    ex_buf_put_str(&sql, pg->setup_sql ? pg->setup_sql : "");
    ex_buf_put_str(&sql, "; SELECT pg_backend_pid() AS excore_pid");
    ex_buf_put_char(&sql, '\0');
    ex_status st = ex_buf_status(&sql);
    if (st)
        (void)ex_raise(err, st, "no memory for a statement");
    else
        st = run_script(pg, sql.ptr, limit, err);
    ex_buf_done(&sql);
    if (!st && !PQenterPipelineMode(pg->conn))
        st = ex_raise(err, EX_EDATABASE, "PostgreSQL's client library has no pipeline mode");
    return st;
}

ex_status ex_pg_reopen(ex_pg *pg, ex_error *err)
{
    pg_limit limit = pg_limit_of(pg, pg->connect_timeout_ms);
    (void)pg_break(pg, EX_OK);
    atomic_store(&pg->is_cancelled, false);
    ex_status st = pg_connect(&pg->target, limit, pg->sqlstate, &pg->conn, err);
    if (st)
        return st;
    pg->connected_ns = pg_now_ns();
    pg->pid = 0;
    st = set_up(pg, limit, err);
    if (!st && pg->on_connected)
        st = pg->on_connected(pg->connected_ctx, pg, err);
    return st ? pg_break(pg, st) : EX_OK;
}

static ex_status apply(ex_pg *pg, const ex_pg_options *o, ex_error *err)
{
    ex_status st = ex_pg_target_init(&pg->target, o->url, err);
    if (st)
        return st;
    if (o->is_primary && !*pg->target.session_attrs)
        (void)snprintf(pg->target.session_attrs, sizeof(pg->target.session_attrs), "primary");
    if (o->schema)
        (void)snprintf(pg->target.schema, sizeof(pg->target.schema), "%s", o->schema);
    uint32_t url_ms = pg->target.connect_timeout_ms;
    pg->connect_timeout_ms = o->connect_timeout_ms ? o->connect_timeout_ms
                             : url_ms              ? url_ms
                                                   : CONNECT_TIMEOUT_MS;
    pg->statement_timeout_ms =
        o->statement_timeout_ms ? o->statement_timeout_ms : STATEMENT_TIMEOUT_MS;
    pg->slow_ms = o->slow_ms ? o->slow_ms : SLOW_MS;
    pg->on_slow = o->on_slow;
    pg->slow_ctx = o->slow_ctx;
    pg->on_connected = o->on_connected;
    pg->connected_ctx = o->connected_ctx;
    pg->end_ns = o->end_ns;
    pg->deadline_ns = UINT64_MAX;
    if (o->setup_sql && !(pg->setup_sql = strdup(o->setup_sql)))
        return ex_raise(err, EX_ENOMEM, "no memory for a connection to PostgreSQL");
    return EX_OK;
}

ex_status ex_pg_open(const ex_pg_options *options, ex_pg **ret, ex_error *err)
{
    ex_pg *pg = calloc(1, sizeof(*pg));
    if (!pg)
        return ex_raise(err, EX_ENOMEM, "no memory for a connection to PostgreSQL");
    ex_map_init(&pg->statements, 0);
    pg->tx = EX_PG_TX_BROKEN;
    pg->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    ex_status st = pg->wake_fd < 0 ? ex_raise(err, EX_EFILESYSTEM, "no descriptor is free") : EX_OK;
    if (!st)
        st = apply(pg, options, err);
    if (!st)
        st = ex_pg_reopen(pg, err);
    if (st)
        ex_pg_close(pg);
    else
        *ret = pg;
    return st;
}

static void unref_statement(void *s)
{
    pg_statement_unref(s);
}

void ex_pg_close(ex_pg *pg)
{
    if (!pg)
        return;
    (void)pg_break(pg, EX_OK);
    ex_map_done(&pg->statements, unref_statement);
    free(pg->queue);
    free(pg->setup_sql);
    ex_pg_target_done(&pg->target);
    if (pg->wake_fd >= 0)
        (void)close(pg->wake_fd);
    free(pg);
}

/* ---- state ---- */

bool ex_pg_is_broken(const ex_pg *pg)
{
    return !pg->conn;
}

ex_status ex_pg_check(ex_pg *pg, ex_error *err)
{
    assert(pg->queue_count == 0);
    if (!pg->conn)
        return pg_raise_broken(pg, err);
    bool is_alive = true, has_more = true;
    for (int i = 0; i < 16 && is_alive && has_more; i++) { /* the last words come before the end */
        is_alive = PQconsumeInput(pg->conn) && !PQisBusy(pg->conn);
        has_more = is_alive && pg_poll(PQsocket(pg->conn), POLLIN, -1, (pg_limit){0, NULL});
    }
    if (is_alive && PQstatus(pg->conn) == CONNECTION_OK)
        return EX_OK;
    note_sqlstate(pg, "");
    return pg_break(
        pg, ex_raise(err, EX_EAGAIN, "lost the connection to PostgreSQL at %s", pg->target.label));
}

ex_pg_tx ex_pg_tx_state(const ex_pg *pg)
{
    return pg->conn ? pg->tx : EX_PG_TX_BROKEN;
}

bool ex_pg_is_standby(const ex_pg *pg)
{
    const char *text = pg->conn ? PQparameterStatus(pg->conn, "in_hot_standby") : NULL;
    return text && strcmp(text, "on") == 0;
}

const char *ex_pg_sqlstate(const ex_pg *pg)
{
    return pg->sqlstate;
}

const ex_pg_target *ex_pg_target_of(const ex_pg *pg)
{
    return &pg->target;
}
