/* sql_tx.c: transactions and, inside of them, savepoints.
 *
 * A handle knows its depth and a serial; the connection keeps the serials of what is open, so a
 * handle that was used up is told from one that is open at the same depth. */
#include "sql/sql_int.h"

#include <assert.h>
#include <stdio.h>

static bool is_open(const ex_sql_tx *tx)
{
    return tx->db && tx->level >= 1 && tx->level <= tx->db->depth &&
           tx->db->serials[tx->level - 1] == tx->serial;
}

static ex_status raise_closed(ex_error *err)
{
    ex_status st = ex_raise(err, EX_ESTATE, "the transaction was committed or rolled back already");
    ex_error_set_code(err, "TX_CLOSED");
    return st;
}

static const char *begin_text(const ex_sql *db, ex_sql_mode mode)
{
    if (db->ops->engine == EX_SQL_SQLITE)
        return mode == EX_SQL_READ ? "BEGIN" : "BEGIN IMMEDIATE";
    /* whatever the database's default is: who waited for a lock sees what its holder wrote */
    return mode == EX_SQL_READ ? "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
                               : "BEGIN ISOLATION LEVEL READ COMMITTED";
}

/* Transaction control as a kept statement: in line with what is queued. */
static ex_status control(ex_sql *db, const char *text, bool is_queued, ex_error *err)
{
    ex_sql_stmt *s = NULL;
    ex_status st = ex_sql_prepare(db, ex_str(text), &s, err);
    if (st)
        return st;
    if (!is_queued)
        return ex_sql_run(s, err);
    bool has_queued = db->has_queued;
    st = ex_sql_queue(s, err);
    db->has_queued = has_queued; /* this one can only fail with the connection */
    return st;
}

ex_status ex_sql_begin(ex_sql *db, ex_sql_mode mode, ex_sql_tx *ret, ex_error *err)
{
    char text[32];
    if (db->depth == SQL_DEPTH_MAX)
        return ex_raise(err, EX_ESTATE, "transactions are nested more than %d deep", SQL_DEPTH_MAX);
    /* What was queued before a savepoint must not fail inside of it: undoing it would forget the
     * failure, and with an older savepoint of the same name more than itself. */
    ex_status st = db->depth > 0 && db->has_queued ? ex_sql_flush(db, err) : EX_OK;
    if (st)
        return st;
    (void)snprintf(text, sizeof(text), "SAVEPOINT excore_%u", db->depth); /* fits */
    st = control(db, db->depth ? text : begin_text(db, mode), true, err);
    if (st)
        return st;
    db->serials[db->depth++] = ++db->next_serial;
    *ret = (ex_sql_tx){db, db->depth, db->next_serial};
    return EX_OK;
}

/* Undo down to below `level`. Runs although a statement has failed. */
static ex_status undo(ex_sql *db, uint32_t level, ex_error *err)
{
    char text[96];
    db->has_failed = db->has_queued = false;
    db->depth = level - 1;
    if (!db->ops->has_tx(db->conn)) { /* the engine undid it all, or the connection is gone */
        db->has_failed = db->depth > 0;
        return EX_OK;
    }
    db->ops->uncancel(db->conn); /* undoing is what a cancelled one still does */
    ex_status st;
    if (level == 1) {
        st = db->ops->script(db->conn, "ROLLBACK", err);
    } else {
        (void)snprintf(text, sizeof(text),
                       "ROLLBACK TO SAVEPOINT excore_%u; RELEASE SAVEPOINT excore_%u", level - 1,
                       level - 1); /* fits */
        st = db->ops->script(db->conn, text, err);
    }
    if (st && level > 1)
        db->has_failed = true; /* the outer one cannot be trusted either */
    return st;
}

/* Statements that still have rows would hold the transaction open on SQLite. */
static void reset_statements(ex_sql *db)
{
    size_t at = 0;
    ex_slice key;
    void *s;
    while (db->active > 0 && ex_map_next(&db->statements, &at, &key, &s))
        ex_sql_reset(s);
}

ex_status ex_sql_rollback(ex_sql_tx *tx, ex_error *err)
{
    if (!is_open(tx))
        return raise_closed(err);
    reset_statements(tx->db);
    return undo(tx->db, tx->level, err);
}

static ex_status release(ex_sql_tx *tx, ex_error *err)
{
    char text[48];
    if (tx->level == 1)
        return control(tx->db, "COMMIT", false, err);
    (void)snprintf(text, sizeof(text), "RELEASE SAVEPOINT excore_%u", tx->level - 1); /* fits */
    return control(tx->db, text, true, err);
}

/* R-02-07: the first failure stays the error; that undoing failed as well is added. */
static void add_rollback_failure(ex_error *err, const ex_error *second)
{
    if (!err)
        return;
    size_t n = strlen(err->message);
    (void)snprintf(err->message + n, sizeof(err->message) - n, "; and the rollback failed: %s",
                   second->message); /* cut is fine: a message for people */
}

static ex_status roll_back_for(ex_sql_tx *tx, ex_status st, ex_error *err)
{
    ex_error second = {0};
    if (ex_sql_rollback(tx, &second))
        add_rollback_failure(err, &second);
    return st;
}

ex_status ex_sql_commit(ex_sql_tx *tx, ex_error *err)
{
    if (!is_open(tx))
        return raise_closed(err);
    if (tx->level < tx->db->depth) {
        ex_status st = ex_raise(err, EX_ESTATE, "another transaction is open inside of this one");
        ex_error_set_code(err, "TX_NESTED");
        return st;
    }
    reset_statements(tx->db);
    ex_status st = sql_check_usable(tx->db, err);
    st = st ? st : release(tx, err);
    if (st)
        return roll_back_for(tx, st, err);
    tx->db->depth--;
    return EX_OK;
}

ex_status ex_sql_end(ex_sql_tx *tx, ex_status st, ex_error *err)
{
    return st ? roll_back_for(tx, st, err) : ex_sql_commit(tx, err);
}

ex_status ex_sql_transact(ex_sql *db, ex_sql_mode mode, ex_sql_work_fn *work, void *ctx,
                          ex_error *err)
{
    ex_sql_tx tx;
    ex_status st = ex_sql_begin(db, mode, &tx, err);
    return st ? st : ex_sql_end(&tx, work(db, ctx, err), err);
}

ex_status ex_sql_abandon(ex_sql *db)
{
    reset_statements(db);
    /* a rollback that failed left one open that the port does not count any more */
    ex_status st = db->depth > 0 || db->ops->has_tx(db->conn) ? undo(db, 1, NULL) : EX_OK;
    atomic_store(&db->is_cancelled, false);
    db->ops->uncancel(db->conn);
    return st;
}
