/* query_sql.c: see query_sql.h. */
#include "runtime/query_sql.h"

#include "runtime/query_words.h"
#include "runtime/row.h"
#include "runtime/type_field.h"

const ex_field *query_field(const ex_type *type, ex_slice name)
{
    for (uint32_t i = 0; type && i < type->field_count; i++)
        if (ex_slice_is(name, type->fields[i].name))
            return &type->fields[i];
    return NULL;
}

/* ---- Keys ---- */

/* False: it is one already. */
static bool add_key(query_keys *keys, uint32_t column)
{
    for (uint32_t i = 0; i < keys->count; i++)
        if (keys->columns[i] == column)
            return false;
    if (keys->count < QUERY_KEYS_MAX)
        keys->columns[keys->count++] = column;
    return true;
}

static void add_named(query_keys *keys, const ex_type *row, const char *name)
{
    const ex_field *f = query_field(row, ex_str(name));
    if (f && !type_is_optional(f))
        (void)add_key(keys, (uint32_t)(f - row->fields)); /* once is enough */
}

static const ex_field *key_field(const ex_type *type)
{
    for (uint32_t i = 0; i < type->field_count; i++)
        if (type->fields[i].is_key)
            return &type->fields[i];
    return NULL;
}

/* The row type's own key; else the keys of the view's tables, as far as its rows have them. */
static void add_tie_break(query_keys *keys, const ex_query_def *def)
{
    const ex_field *own = key_field(def->row);
    if (own) {
        (void)add_key(keys, (uint32_t)(own - def->row->fields)); /* once is enough */
        return;
    }
    for (uint32_t i = 0; i < def->view->table_count; i++) {
        const ex_field *key = key_field(def->view->tables[i].row);
        if (key)
            add_named(keys, def->row, key->name);
    }
}

query_keys query_keys_of(const ex_query_def *def)
{
    query_keys keys = {0};
    if (def->kind != EX_QUERY_PAGE && def->kind != EX_QUERY_LIST)
        return keys;
    for (uint32_t i = 0; i < QUERY_ORDER_MAX && def->order_by[i]; i++)
        add_named(&keys, def->row, def->order_by[i]);
    add_tie_break(&keys, def);
    return keys;
}

/* Texts are ordered by their bytes, also those that the query has made. */
static void put_keys(const ex_query_def *def, const query_keys *keys, ex_sql_engine engine,
                     const char *suffix, ex_buf *sql)
{
    for (uint32_t i = 0; i < keys->count; i++) {
        const ex_field *f = &def->row->fields[keys->columns[i]];
        bool is_text = row_column_type(f) == EX_SQL_TEXT;
        ex_buf_put_str(sql, i ? ", " : "");
        row_sql_name(ex_str(f->name), sql);
        ex_buf_put_str(sql, is_text && engine == EX_SQL_POSTGRES ? " COLLATE \"C\"" : "");
        ex_buf_put_str(sql, suffix);
    }
}

/* ---- The application's own ---- */

static bool is_text_param(const ex_query_def *def, const query_word *w)
{
    if (w->kind != QUERY_PARAM)
        return false;
    const ex_field *f = query_field(def->params, ex_slice_of(w->text.ptr + 1, w->text.len - 1));
    return f && row_column_type(f) == EX_SQL_TEXT;
}

/* PostgreSQL compares and folds a parameter as its database does, unless it is told otherwise. */
static void put_with_collations(const ex_query_def *def, ex_buf *sql)
{
    ex_slice own = ex_str(def->sql);
    size_t done = 0, offset = 0;
    for (;;) {
        query_word w = query_word_next(own, &offset);
        if (w.kind == QUERY_END)
            break;
        if (!is_text_param(def, &w))
            continue;
        size_t at = (size_t)(w.text.ptr - own.ptr);
        ex_buf_put(sql, ex_slice_of(own.ptr + done, at - done));
        ex_buf_printf(sql, "(%.*s COLLATE \"C\")", EX_ARG(w.text));
        done = offset;
    }
    ex_buf_put(sql, ex_slice_of(own.ptr + done, own.len - done));
}

static const char *own_of_engine(const ex_query_def *def, ex_sql_engine engine)
{
    return engine == EX_SQL_SQLITE ? def->on_sqlite : def->on_postgres;
}

const char *query_sql_own(const ex_query_def *def, ex_sql_engine engine)
{
    const char *own = own_of_engine(def, engine);
    return own ? own : def->sql;
}

void query_sql_put_own(const ex_query_def *def, ex_sql_engine engine, ex_buf *sql)
{
    const char *own = own_of_engine(def, engine);
    if (own || engine == EX_SQL_SQLITE || !def->params)
        ex_buf_put_str(sql, own ? own : def->sql);
    else
        put_with_collations(def, sql);
}

/* ---- The whole ---- */

static void put_after(const ex_query_def *def, const query_keys *keys, ex_sql_engine engine,
                      ex_buf *sql)
{
    ex_buf_put_str(sql, " WHERE (");
    put_keys(def, keys, engine, "", sql);
    ex_buf_put_str(sql, def->is_descending ? ") < (" : ") > (");
    for (uint32_t i = 0; i < keys->count; i++)
        ex_buf_printf(sql, "%s:excore_after_%u", i ? ", " : "", i);
    ex_buf_put_str(sql, ")");
}

void query_sql_write(const ex_query_def *def, const query_keys *keys, bool has_after,
                     ex_sql_engine engine, ex_buf *sql)
{
    if (def->kind == EX_QUERY_COUNT) {
        query_sql_put_own(def, engine, sql);
        return;
    }
    ex_buf_put_str(sql, "SELECT ");
    row_sql_columns(def->row, sql);
    ex_buf_put_str(sql, " FROM (");
    query_sql_put_own(def, engine, sql);
    ex_buf_put_str(sql, "\n) AS excore_rows"); /* its last line may be a comment */
    if (has_after)
        put_after(def, keys, engine, sql);
    if (keys->count) {
        ex_buf_put_str(sql, " ORDER BY ");
        put_keys(def, keys, engine, def->is_descending ? " DESC" : "", sql);
    }
    ex_buf_put_str(sql, " LIMIT :excore_limit");
}
