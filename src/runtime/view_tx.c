/* view_tx.c: the calls that a view's handlers make: load, store and delete rows. */
#include "runtime/row.h"
#include "runtime/views.h"

#include <stdarg.h>
#include <stdio.h>

static ex_status keep(ex_view_tx *tx, ex_status st)
{
    if (st && !tx->status)
        tx->status = st;
    return st;
}

static ex_status prepare(ex_view_tx *tx, const ex_type *row, int which, sqlite3_stmt **ret)
{
    static void (*const write_sql[ROW_STATEMENTS])(const ex_type *,
                                                   ex_buf *) = {[ROW_SELECT] = row_sql_select,
                                                                [ROW_UPSERT] = row_sql_upsert,
                                                                [ROW_DELETE] = row_sql_delete};
    ex_buf sql;
    ex_buf_init(&sql, 0);
    write_sql[which](row, &sql);
    ex_status st =
        ex_buf_status(&sql)
            ? ex_raise(&tx->error, EX_ENOMEM, "no memory for a statement of %s", row->name)
            : ex_db_statement(tx->db, ex_buf_slice(&sql), ret, &tx->error);
    ex_buf_done(&sql);
    return st;
}

/* The connection keeps its statements, so the view may keep pointers to them: the text of a
 * statement takes longer to write than the statement to run. */
static ex_status statement(ex_view_tx *tx, const ex_type *row, int which, sqlite3_stmt **ret)
{
    uint32_t table = 0;
    while (table < tx->def->table_count && tx->def->tables[table] != row)
        table++;
    if (table == tx->def->table_count)
        return ex_raise(&tx->error, EX_EINVAL, "view '%s' has no table %s", tx->def->name,
                        row->name);
    ex_status status = EX_OK;
    sqlite3_stmt **kept = &tx->statements[table * ROW_STATEMENTS + (uint32_t)which];
    if (!*kept)
        status = prepare(tx, row, which, kept);
    if (status)
        return status;
    (void)sqlite3_reset(*kept);          /* tells the last step's failure again */
    (void)sqlite3_clear_bindings(*kept); /* cannot fail */
    *ret = *kept;
    return EX_OK;
}

static void bind_key(sqlite3_stmt *st, ex_slice key)
{
    (void)sqlite3_bind_text(st, 1, key.ptr ? key.ptr : "", (int)key.len,
                            SQLITE_STATIC); /* cannot fail: static */
}

ex_status ex_view_load(ex_view_tx *tx, const ex_type *row, ex_slice key, void **ret)
{
    sqlite3_stmt *st = NULL;
    ex_status status = statement(tx, row, ROW_SELECT, &st);
    if (status)
        return keep(tx, status);
    bind_key(st, key);
    status = ex_db_step(tx->db, st, &tx->error);
    if (status == EX_EEND)
        return ex_raise(&tx->error, EX_ENOTFOUND, "%s has no row '%.*s'", row->name, EX_ARG(key));
    if (status)
        return keep(tx, status);
    void *value = ex_arena_alloc(tx->arena, row->size);
    status = value ? row_read(row, st, tx->arena, value, &tx->error)
                   : ex_raise(&tx->error, EX_ENOMEM, "no memory for a row");
    (void)sqlite3_reset(st); /* a read: its failure was told by step */
    if (!status)
        *ret = value;
    return keep(tx, status);
}

ex_status ex_view_store(ex_view_tx *tx, const ex_type *row, const void *value)
{
    ex_status status = ex_type_validate(row, value, &tx->error);
    sqlite3_stmt *st = NULL;
    status = status ? status : statement(tx, row, ROW_UPSERT, &st);
    status = status ? status : row_bind(row, value, st, false, tx->arena, &tx->error);
    status = status ? status : ex_db_run(tx->db, st, &tx->error);
    return keep(tx, status);
}

ex_status ex_view_delete(ex_view_tx *tx, const ex_type *row, ex_slice key)
{
    sqlite3_stmt *st = NULL;
    ex_status status = statement(tx, row, ROW_DELETE, &st);
    if (!status) {
        bind_key(st, key);
        status = ex_db_run(tx->db, st, &tx->error);
    }
    return keep(tx, status);
}

ex_arena *ex_view_arena(ex_view_tx *tx)
{
    return tx->arena;
}

ex_status ex_view_error(ex_view_tx *tx, ex_status status, const char *fmt, ...)
{
    char text[EX_ERROR_MESSAGE_SIZE];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args); /* cut is fine: a message for people */
    va_end(args);
    return keep(tx, ex_raise(&tx->error, status ? status : EX_EINTERNAL, "%s", text));
}
