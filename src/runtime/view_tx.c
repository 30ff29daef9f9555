/* view_tx.c: the calls that a view's handlers make: load, store and delete rows. In a file each is a
 * statement; on a server rows are read and written in sets (view_rows.h). */
#include "runtime/row.h"
#include "runtime/views.h"

#include <stdarg.h>
#include <stdio.h>

static ex_status keep(ex_view_tx *tx, ex_status st)
{
    if (st && !tx->status && !tx->is_ahead)
        tx->status = st;
    return st;
}

/* ---- Statements ---- */

static ex_status find_table(ex_view_tx *tx, const ex_type *row, uint32_t *ret)
{
    uint32_t table = 0;
    while (table < tx->def->table_count && tx->def->tables[table].row != row)
        table++;
    if (table == tx->def->table_count)
        return ex_raise(&tx->error, EX_EINVAL, "view '%s' has no table %s", tx->def->name,
                        row->name);
    *ret = table;
    return EX_OK;
}

ex_status view_texts_init(view_texts *t, const ex_view_def *def, ex_sql_engine engine,
                          ex_error *err)
{
    static void (*const write_sql[ROW_STATEMENTS])(ex_sql_engine, const ex_type *, ex_buf *) = {
        [ROW_SELECT] = row_sql_select,         [ROW_UPSERT] = row_sql_upsert,
        [ROW_DELETE] = row_sql_delete,         [ROW_SELECT_ALL] = row_sql_select_all,
        [ROW_UPSERT_ALL] = row_sql_upsert_all, [ROW_DELETE_ALL] = row_sql_delete_all};
    uint32_t count = def->table_count * ROW_STATEMENTS;
    ex_buf sql;
    ex_arena_init(&t->arena, 0);
    ex_buf_init(&sql, 0);
    t->texts = ex_arena_array(&t->arena, count, sizeof(*t->texts));
    for (uint32_t i = 0; t->texts && i < count; i++) {
        ex_buf_reset(&sql);
        write_sql[i % ROW_STATEMENTS](engine, def->tables[i / ROW_STATEMENTS].row, &sql);
        t->texts[i] = ex_arena_copy(&t->arena, ex_buf_slice(&sql));
    }
    bool has_failed = ex_buf_status(&sql) || ex_arena_has_failed(&t->arena);
    ex_buf_done(&sql);
    return has_failed ? ex_raise(err, EX_ENOMEM, "no memory for view '%s'", def->name) : EX_OK;
}

void view_texts_done(view_texts *t)
{
    ex_arena_done(&t->arena);
    t->texts = NULL;
}

ex_status view_tx_prepare(ex_view_tx *tx, uint32_t table, uint32_t which, ex_sql_stmt **ret)
{
    return ex_sql_prepare(tx->db, tx->texts->texts[table * ROW_STATEMENTS + which], ret,
                          &tx->error);
}

/* ---- What an engine could not take ---- */

/* A key that no row can have: PostgreSQL refuses to look for it. */
static ex_status check_key(ex_view_tx *tx, const ex_type *row, ex_slice key)
{
    if (ex_utf8_is_valid(key) && !(key.len && memchr(key.ptr, '\0', key.len)))
        return EX_OK;
    return ex_raise(&tx->error, EX_EINVAL,
                    "a key of %s is not valid UTF-8, or has the character U+0000", row->name);
}

static const ex_sql_value *value_of(const ex_type *row, const ex_sql_value *values, ex_slice name)
{
    for (uint32_t i = 0; i < row->field_count; i++)
        if (ex_slice_is(name, row->fields[i].name))
            return &values[i];
    return NULL;
}

static size_t text_bytes(const ex_sql_value *v)
{
    return v && v->type == EX_SQL_TEXT && !v->is_null ? v->as.bytes.len : 0;
}

static ex_status raise_too_long(ex_view_tx *tx, const ex_type *row, const char *columns,
                                size_t bytes)
{
    return ex_raise(&tx->error, EX_EINVAL,
                    "%s: the texts of (%s) have %zu bytes together, an index takes %u", row->name,
                    columns, bytes, ROW_INDEX_BYTES);
}

/* PostgreSQL's limit for an entry of an index; SQLite has none. */
static ex_status check_index_bytes(ex_view_tx *tx, uint32_t table, const ex_sql_value *values)
{
    const ex_table_def *def = &tx->def->tables[table];
    const ex_type *row = def->row;
    size_t all = 0;
    for (uint32_t i = 0; i < row->field_count; i++)
        all += text_bytes(&values[i]);
    if (all <= ROW_INDEX_BYTES)
        return EX_OK; /* as nearly every row */
    for (uint32_t i = 0; i < row->field_count; i++)
        if (row->fields[i].is_key && text_bytes(&values[i]) > ROW_INDEX_BYTES)
            return raise_too_long(tx, row, row->fields[i].name, text_bytes(&values[i]));
    for (uint32_t i = 0; i < def->index_count; i++) {
        const char *at = def->indexes[i];
        size_t bytes = 0;
        for (row_index_column c; row_index_next(&at, &c);)
            bytes += text_bytes(value_of(row, values, c.name));
        if (bytes > ROW_INDEX_BYTES)
            return raise_too_long(tx, row, def->indexes[i], bytes);
    }
    return EX_OK;
}

/* ---- Loading ---- */

static ex_status raise_absent(ex_view_tx *tx, const ex_type *row, ex_slice key)
{
    return ex_raise(&tx->error, EX_ENOTFOUND, "%s has no row '%.*s'", row->name, EX_ARG(key));
}

static ex_status read_values(ex_view_tx *tx, const ex_type *row, const ex_sql_value *values,
                             void **ret)
{
    void *value = ex_arena_alloc(tx->arena, row->size);
    ex_status st = value ? row_read(row, values, tx->arena, value, &tx->error)
                         : ex_raise(&tx->error, EX_ENOMEM, "no memory for a row");
    if (!st)
        *ret = value;
    return st;
}

/* The current row's values, borrowed until the statement is reset. */
static ex_sql_value *take_values(ex_view_tx *tx, const ex_type *row, const ex_sql_stmt *st)
{
    ex_sql_value *values = ex_arena_array(tx->arena, row->field_count, sizeof(*values));
    for (uint32_t i = 0; values && i < row->field_count; i++)
        values[i] = ex_sql_column(st, i);
    return values;
}

static ex_status load(ex_view_tx *tx, const ex_type *row, uint32_t table, ex_slice key, void **ret)
{
    ex_sql_stmt *st = NULL;
    ex_status status = view_tx_prepare(tx, table, ROW_SELECT, &st);
    if (status)
        return status;
    ex_sql_bind_text(st, 1, key);
    status = ex_sql_step(st, &tx->error);
    if (status && status != EX_EEND)
        return status;
    bool is_there = status == EX_OK;
    const ex_sql_value *values = is_there ? take_values(tx, row, st) : NULL;
    if (tx->rows && (values || !is_there))
        view_rows_remember(tx, table, key, values);
    if (!is_there)
        status = raise_absent(tx, row, key);
    else
        status = values ? read_values(tx, row, values, ret)
                        : ex_raise(&tx->error, EX_ENOMEM, "no memory for a row");
    ex_sql_reset(st);
    return status;
}

static ex_status load_known(ex_view_tx *tx, const ex_type *row, uint32_t table, ex_slice key,
                            void **ret)
{
    const ex_sql_value *values = NULL;
    if (view_rows_find(tx, table, key, &values))
        return values ? read_values(tx, row, values, ret) : raise_absent(tx, row, key);
    if (!tx->is_ahead)
        return load(tx, row, table, key, ret);
    view_rows_want(tx, table, key);
    tx->is_blocked = true;
    return EX_EAGAIN;
}

ex_status ex_view_load(ex_view_tx *tx, const ex_type *row, ex_slice key, void **ret)
{
    uint32_t table = 0;
    ex_status st = find_table(tx, row, &table);
    st = st ? st : check_key(tx, row, key);
    if (!st)
        st = tx->rows ? load_known(tx, row, table, key, ret) : load(tx, row, table, key, ret);
    return st == EX_ENOTFOUND ? st : keep(tx, st);
}

/* ---- Storing ---- */

static ex_status queue_upsert(ex_view_tx *tx, uint32_t table, const ex_sql_value *values)
{
    ex_sql_stmt *st = NULL;
    ex_status status = view_tx_prepare(tx, table, ROW_UPSERT, &st);
    if (status)
        return status;
    for (uint32_t i = 0; i < tx->def->tables[table].row->field_count; i++)
        ex_sql_bind(st, i + 1, values[i]);
    return ex_sql_queue(st, &tx->error);
}

static ex_status store(ex_view_tx *tx, const ex_type *row, const void *value)
{
    uint32_t table = 0;
    ex_status st = find_table(tx, row, &table);
    if (st)
        return st;
    ex_sql_value *values = ex_arena_array(tx->arena, row->field_count, sizeof(*values));
    st = values ? row_values(row, value, tx->arena, values, &tx->error)
                : ex_raise(&tx->error, EX_ENOMEM, "no memory for a row");
    st = st ? st : check_index_bytes(tx, table, values);
    if (st)
        return st;
    st = tx->rows ? view_rows_change(tx, table, values[row_key_column(row)].as.bytes, values)
                  : EX_ETOOLARGE;
    return st == EX_ETOOLARGE ? queue_upsert(tx, table, values) : st; /* alone */
}

ex_status ex_view_store(ex_view_tx *tx, const ex_type *row, const void *value)
{
    if (tx->is_ahead)
        return EX_OK;
    ex_status status = ex_type_validate(row, value, &tx->error);
    return keep(tx, status ? status : store(tx, row, value));
}

static ex_status queue_delete(ex_view_tx *tx, uint32_t table, ex_slice key)
{
    ex_sql_stmt *st = NULL;
    ex_status status = view_tx_prepare(tx, table, ROW_DELETE, &st);
    if (status)
        return status;
    ex_sql_bind_text(st, 1, key);
    return ex_sql_queue(st, &tx->error);
}

ex_status ex_view_delete(ex_view_tx *tx, const ex_type *row, ex_slice key)
{
    if (tx->is_ahead)
        return EX_OK;
    uint32_t table = 0;
    ex_status st = find_table(tx, row, &table);
    st = st ? st : check_key(tx, row, key);
    if (!st)
        st = tx->rows ? view_rows_change(tx, table, key, NULL) : EX_ETOOLARGE;
    return keep(tx, st == EX_ETOOLARGE ? queue_delete(tx, table, key) : st); /* alone */
}

ex_arena *ex_view_arena(ex_view_tx *tx)
{
    return tx->arena;
}

ex_status ex_view_error(ex_view_tx *tx, ex_status status, const char *fmt, ...)
{
    char text[EX_ERROR_MESSAGE_SIZE];
    va_list args;
    if (tx->is_ahead)
        return status ? status : EX_EINTERNAL;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args); /* cut is fine: a message for people */
    va_end(args);
    return keep(tx, ex_raise(&tx->error, status ? status : EX_EINTERNAL, "%s", text));
}
