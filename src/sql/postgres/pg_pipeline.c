/* pg_pipeline.c: statements in groups: queue, sync, receive.
 *
 * The queue mirrors what libpq will report, in order: a PREPARE for each statement that the server
 * does not know yet, a QUERY, and a SYNC at the end of each group. After a failure the server skips
 * everything up to the sync; so does drain(), which puts statements whose PREPARE was skipped back
 * to unprepared. The failure of an implicit commit arrives at the sync itself, which is why the
 * last result of a group is held back until its sync has come. */
#include "sql/postgres/pg_int.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define BINARY         1
#define SLOW_TEXT_SIZE 2048

static ex_status grow(ex_pg *pg)
{
    size_t capacity = pg->queue_capacity ? pg->queue_capacity * 2 : 32;
    pg_entry *queue = calloc(capacity, sizeof(*queue));
    if (!queue)
        return EX_ENOMEM;
    for (size_t i = 0, at = pg->queue_at; i < pg->queue_count; i++) {
        queue[i] = pg->queue[at++];
        at = at == pg->queue_capacity ? 0 : at;
    }
    free(pg->queue);
    pg->queue = queue;
    pg->queue_at = 0;
    pg->queue_capacity = capacity;
    return EX_OK;
}

/* There is room: ex_pg_send keeps some ahead. */
static void push(ex_pg *pg, pg_entry_kind kind, pg_statement *s)
{
    assert(pg->queue_count < pg->queue_capacity);
    pg->queue[(pg->queue_at + pg->queue_count++) % pg->queue_capacity] = (pg_entry){kind, s};
    if (s)
        s->refs++;
}

static const pg_entry *front(const ex_pg *pg)
{
    return pg->queue_count > 0 ? &pg->queue[pg->queue_at] : NULL;
}

static void pop(ex_pg *pg)
{
    pg_entry e = pg->queue[pg->queue_at];
    pg->queue_at = (pg->queue_at + 1) % pg->queue_capacity;
    pg->queue_count--;
    if (e.kind == PG_QUERY)
        pg->pending--;
    pg_statement_unref(e.statement);
}

/* ---- sending ---- */

static bool send_prepare(ex_pg *pg, pg_statement *s, const ex_pg_args *args)
{
    size_t count = args ? args->count : 0;
    Oid few[32], *types = count <= 32 ? few : malloc(count * sizeof(*types));
    if (!types)
        return false;
    for (size_t i = 0; i < count; i++)
        types[i] = args->items[i].type;
    bool is_sent = PQsendPrepare(pg->conn, s->name, s->sql, (int)count, types);
    if (types != few)
        free(types);
    if (is_sent) {
        s->state = PG_PREPARING;
        push(pg, PG_PREPARE, s);
    }
    return is_sent;
}

static bool send_query(ex_pg *pg, pg_statement *s, const ex_pg_args *args)
{
    size_t count = args ? args->count : 0;
    const char **values = calloc(count + 1, sizeof(*values));
    int *lengths = calloc(count + 1, 2 * sizeof(*lengths)); /* and behind them the formats */
    bool is_sent = false;
    if (!values || !lengths)
        goto out;
    int *formats = lengths + count;
    for (size_t i = 0; i < count; i++) {
        const ex_pg_arg *item = &args->items[i];
        /* an empty value of an empty buffer is not a null */
        const char *bytes = args->bytes.ptr ? args->bytes.ptr + item->offset : "";
        values[i] = item->len < 0 ? NULL : bytes;
        lengths[i] = item->len;
        formats[i] = BINARY;
    }
    is_sent = PQsendQueryPrepared(pg->conn, s->name, (int)count, values, lengths, formats, BINARY);
    if (is_sent)
        push(pg, PG_QUERY, s);
out:
    free(values);
    free(lengths);
    return is_sent;
}

/* What is in libpq's queue now is not known any more: the connection is given up. */
static ex_status raise_unsent(ex_pg *pg, ex_error *err)
{
    if (PQstatus(pg->conn) == CONNECTION_BAD)
        return pg_break(pg, pg_raise_broken(pg, err));
    return pg_break(pg, ex_raise(err, EX_ENOMEM, "no memory to send a statement"));
}

ex_status ex_pg_send(ex_pg *pg, ex_slice sql, const ex_pg_args *args, ex_error *err)
{
    if (!pg->conn)
        return pg_raise_broken(pg, err);
    if (pg->queue_count == 0 && atomic_load(&pg->is_cancelled))
        return ex_raise(err, EX_ECANCELLED, "a statement was cancelled");
    ex_status st = args ? pg_args_status(args, err) : EX_OK;
    if (st)
        return st;
    while (pg->queue_count + 3 > pg->queue_capacity) { /* PREPARE, QUERY, SYNC */
        if (grow(pg))
            return ex_raise(err, EX_ENOMEM, "no memory to send a statement");
    }
    pg_statement *s = pg_statement_get(pg, sql, args);
    if (!s)
        return ex_raise(err, EX_ENOMEM, "no memory to send a statement");
    bool is_sent = s->state != PG_UNPREPARED || send_prepare(pg, s, args);
    if (is_sent && send_query(pg, s, args)) {
        pg->unsynced++;
        pg->unanswered += args ? args->bytes.len : 0;
    } else {
        st = raise_unsent(pg, err);
    }
    pg_statement_unref(s);
    return st;
}

ex_status ex_pg_sync(ex_pg *pg, ex_error *err)
{
    if (!pg->conn)
        return pg_raise_broken(pg, err);
    assert(pg->unsynced > 0);
    if (!PQpipelineSync(pg->conn)) /* without it nothing that was queued can be received */
        return raise_unsent(pg, err);
    push(pg, PG_SYNC, NULL);
    if (pg->pending == 0)
        pg->waited_ns = pg_now_ns();
    pg->pending += pg->unsynced;
    pg->unsynced = 0;
    return EX_OK;
}

/* ---- receiving ---- */

/* libpq's next result, NULL at the end of a statement's. */
static ex_status next_result(ex_pg *pg, PGresult **ret, ex_error *err)
{
    ex_status st = pg_wait_result(pg, pg_statement_limit(pg), err);
    if (!st)
        *ret = PQgetResult(pg->conn);
    return st;
}

/* A prepared statement whose result would have other columns now: the tables were changed. */
static bool is_outdated(const pg_statement *s, const char *sqlstate)
{
    return strcmp(sqlstate, "26000") == 0 ||
           (s->state == PG_PREPARED && strcmp(sqlstate, "0A000") == 0);
}

static ex_status raise_statement(ex_pg *pg, pg_statement *s, const PGresult *result, ex_error *err)
{
    ex_status st = pg_raise_result(pg, result, err);
    if (!is_outdated(s, pg->sqlstate))
        return st;
    pg_statement_forget(pg, s);
    return ex_raise(err, EX_EAGAIN, "a table in PostgreSQL was changed under a prepared statement");
}

/* After the result of a statement: the NULL that ends it. */
static ex_status end_of_statement(ex_pg *pg, ex_error *err)
{
    PGresult *result;
    do {
        ex_status st = next_result(pg, &result, err);
        if (st)
            return st;
        PQclear(result); /* NULL is accepted */
    } while (result);
    return EX_OK;
}

/* The result of the front entry, PREPARE or QUERY; the entry is taken away when that succeeds. */
static ex_status take_result(ex_pg *pg, PGresult **ret, ex_error *err)
{
    pg_statement *s = front(pg)->statement;
    bool is_prepare = front(pg)->kind == PG_PREPARE;
    PGresult *result = NULL;
    ex_status st = next_result(pg, &result, err);
    if (st)
        return st;
    ExecStatusType kind = PQresultStatus(result);
    if (pg_is_copy(kind)) {
        PQclear(result);
        return pg_refuse_copy(pg, err);
    }
    if (kind != PGRES_TUPLES_OK && kind != PGRES_COMMAND_OK && kind != PGRES_EMPTY_QUERY) {
        st = raise_statement(pg, s, result, err);
        PQclear(result);
        return PQstatus(pg->conn) == CONNECTION_BAD || pg_ends_connection(pg->sqlstate)
                   ? pg_break(pg, st)
                   : st;
    }
    if (is_prepare)
        s->state = s->is_kept ? PG_PREPARED : PG_UNPREPARED;
    pop(pg);
    st = end_of_statement(pg, err);
    if (st || is_prepare) {
        PQclear(result);
        result = NULL;
    }
    *ret = result;
    return st;
}

/* Skip what is left of the group, its sync included. `st` is the failure so far; what goes wrong
 * later replaces only EX_OK. */
static ex_status drain(ex_pg *pg, ex_status st, ex_error *err)
{
    int nulls = 0; /* one ends each statement; two in a row: libpq has no more */
    while (nulls < 2) {
        PGresult *result = NULL;
        ex_status waited = next_result(pg, &result, st ? NULL : err);
        if (waited)
            return st ? st : waited;
        ExecStatusType kind = PQresultStatus(result);
        nulls = result ? 0 : nulls + 1;
        bool is_sync = result && kind == PGRES_PIPELINE_SYNC;
        if (!st && result && kind == PGRES_FATAL_ERROR)
            st = pg_raise_result(pg, result, err);
        PQclear(result);
        if (PQstatus(pg->conn) == CONNECTION_BAD)
            return pg_break(pg, st ? st : pg_raise_broken(pg, err));
        if (is_sync) {
            while (front(pg)->kind != PG_SYNC) { /* libpq reports fewer when it was cut off */
                if (front(pg)->kind == PG_PREPARE)
                    front(pg)->statement->state = PG_UNPREPARED;
                pop(pg);
            }
            pop(pg);
            pg_note_tx(pg);
            return st;
        }
    }
    return pg_break(pg, st ? st
                           : ex_raise(err, EX_EDATABASE, "PostgreSQL at %s answered out of turn",
                                      pg->target.label));
}

static size_t append_cut(char *out, size_t len, size_t size, const char *separator,
                         const pg_statement *s)
{
    int n = snprintf(out + len, size - len, "%s%.*s", separator, (int)s->sql_len, s->sql);
    return len + (size_t)n < size ? len + (size_t)n : size - 1; /* cut is fine: for people */
}

/* The server sends the results of a group when all of it is done, so which of its statements took
 * the time is not known here: the text is that of `s` and of all that come behind it. */
static void report_slow(ex_pg *pg, const pg_statement *s, uint64_t elapsed_ms)
{
    char text[SLOW_TEXT_SIZE];
    size_t len = append_cut(text, 0, sizeof(text), "", s);
    for (size_t i = 0; i < pg->queue_count; i++) {
        const pg_entry *e = &pg->queue[(pg->queue_at + i) % pg->queue_capacity];
        if (e->kind == PG_SYNC)
            break;
        if (e->kind == PG_QUERY && e->statement != s)
            len = append_cut(text, len, sizeof(text), "; ", e->statement);
    }
    pg->on_slow(pg->slow_ctx, ex_slice_of(text, len), (uint32_t)elapsed_ms);
}

static void note_slow(ex_pg *pg, const pg_statement *s)
{
    uint64_t now = pg_now_ns(), elapsed_ms = (now - pg->waited_ns) / 1000000;
    pg->waited_ns = now;
    if (pg->on_slow && elapsed_ms >= pg->slow_ms)
        report_slow(pg, s, elapsed_ms);
}

static void fill(ex_pg_result *ret, PGresult *result)
{
    *ret = (ex_pg_result){.impl = result,
                          .rows = PQntuples(result),
                          .columns = PQnfields(result),
                          .affected = strtoull(PQcmdTuples(result), NULL, 10)};
}

ex_status ex_pg_recv(ex_pg *pg, ex_pg_result *ret, ex_error *err)
{
    if (!pg->conn)
        return pg_raise_broken(pg, err);
    assert(pg->pending > 0);
    PGresult *result = NULL;
    ex_status st = EX_OK;
    bool is_query;
    do {
        is_query = front(pg)->kind == PG_QUERY;
        pg_statement *s = front(pg)->statement;
        s->refs++;
        st = take_result(pg, &result, err);
        pg->unanswered = 0;
        if (is_query && pg->conn)
            note_slow(pg, s);
        pg_statement_unref(s);
    } while (!st && !is_query);
    if (pg->conn && (st || front(pg)->kind == PG_SYNC))
        st = drain(pg, st, err);
    if (!st && ret)
        fill(ret, result);
    else
        PQclear(result);
    return st;
}

ex_status ex_pg_recv_all(ex_pg *pg, ex_error *err)
{
    ex_status first = EX_OK;
    while (pg->pending > 0) {
        ex_status st = ex_pg_recv(pg, NULL, first ? NULL : err);
        first = first ? first : st;
    }
    return first;
}

size_t ex_pg_pending(const ex_pg *pg)
{
    return pg->pending;
}

ex_status ex_pg_run(ex_pg *pg, ex_slice sql, const ex_pg_args *args, ex_pg_result *ret,
                    ex_error *err)
{
    assert(pg->queue_count == 0);
    ex_status st = ex_pg_send(pg, sql, args, err);
    if (!st)
        st = ex_pg_sync(pg, err);
    return st ? st : ex_pg_recv(pg, ret, err);
}

ex_status ex_pg_ping(ex_pg *pg, uint32_t timeout_ms, ex_error *err)
{
    uint32_t usual = pg->statement_timeout_ms;
    ex_pg_result r = {0};
    pg->statement_timeout_ms = timeout_ms; /* only our own deadline: no round trip to set another */
    ex_status st = ex_pg_run(pg, EX_S("SELECT 1"), NULL, &r, err);
    pg->statement_timeout_ms = usual;
    if (!st && (r.rows != 1 || ex_pg_get_i64(&r, 0, 0) != 1))
        st = ex_raise(err, EX_EDATABASE, "PostgreSQL at %s does not answer SELECT 1 with 1",
                      pg->target.label);
    ex_pg_result_free(&r);
    return st;
}
