/* query_check.c: see query_check.h. */
#include "runtime/query_check.h"

#include "kernel/suggest.h"
#include "runtime/query_sql.h"
#include "runtime/row.h"
#include "runtime/type_field.h"
#include "runtime/views.h"

#include <stdarg.h>
#include <stdio.h>

#define COLUMNS_MAX 1100

/* A count is run, over empty tables; what still takes longer is not held against it. */
#define RUN_LIMIT_MS 250
#define RUN_MS       "250"

/* SQLite has one type for numbers and booleans, and one for texts and JSON: here they have names.
 */
#define SQLITE_BOOL "INTEGER_BOOL"
#define SQLITE_JSON "TEXT_JSON"

typedef struct result_column {
    ex_slice name;
    bool is_known, is_bool, is_json, is_plain_text;
    ex_sql_type type;
} result_column;

typedef struct check {
    const ex_app *app;
    ex_sql *db;
    ex_sql_engine engine;
    query_fault_fn *fn;
    void *ctx;
    /* of the query in hand */
    const ex_context *context;
    const ex_query_def *def;
    ex_arena arena;
    result_column *columns;
    uint32_t column_count;
    bool is_faulty;
} check;

/* ---- Faults ---- */

static void fault(check *c, const char *fmt, ...) EX_PRINTF(2, 3);

static void fault(check *c, const char *fmt, ...)
{
    char text[EX_ERROR_MESSAGE_SIZE];
    ex_error err;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args); /* cut is fine: for people */
    va_end(args);
    (void)ex_raise(&err, EX_EINVAL, "context %s: query %s of view %s%s: %s", c->context->name,
                   c->def->name, c->def->view->name,
                   c->engine == EX_SQL_SQLITE ? "" : " on PostgreSQL", text);
    c->is_faulty = true;
    c->fn(c->ctx, &err);
}

/* "; did you mean 'x'?", or nothing. */
static const char *meant(check *c, const ex_suggest *near, const char *before)
{
    const char *name = ex_suggest_end(near);
    ex_slice text = {NULL, 0};
    if (name)
        text = ex_arena_printf(&c->arena, "; did you mean '%s%s'?", before, name);
    return text.ptr ? text.ptr : "";
}

/* What stands behind `mark` in an engine's message, up to a blank, without quotes and what comes
 * before the last dot. */
static ex_slice name_behind(const char *message, const char *mark)
{
    const char *at = strstr(message, mark);
    if (!at)
        return (ex_slice){NULL, 0};
    at += strlen(mark);
    size_t len = strcspn(at, " \n");
    const char *dot = memrchr(at, '.', len);
    const char *begin = dot ? dot + 1 : at, *end = at + len;
    begin += begin < end && *begin == '"';
    end -= end > begin && end[-1] == '"';
    return ex_slice_of(begin, (size_t)(end - begin));
}

static ex_slice missing_name(const char *message, const char *const *marks)
{
    ex_slice name = {NULL, 0};
    for (; *marks && !name.len; marks++)
        name = name_behind(message, *marks);
    return name;
}

static void fault_column(check *c, ex_slice name)
{
    ex_suggest near;
    ex_suggest_begin(&near, name);
    for (uint32_t t = 0; t < c->def->view->table_count; t++)
        for (uint32_t i = 0; i < c->def->view->tables[t].row->field_count; i++)
            ex_suggest_try(&near, c->def->view->tables[t].row->fields[i].name);
    fault(c, "there is no column '%.*s'%s", EX_ARG(name), meant(c, &near, ""));
}

/* The view whose table it is, or NULL. */
static const ex_view_def *owner_of(const check *c, ex_slice table)
{
    char name[ROW_NAME_SIZE];
    for (uint32_t i = 0; i < c->app->context_count; i++)
        for (uint32_t v = 0; v < c->app->contexts[i]->view_count; v++) {
            const ex_view_def *view = c->app->contexts[i]->views[v];
            for (uint32_t t = 0; t < view->table_count; t++)
                if (ex_slice_eq(row_table_name(view->tables[t].row, name), table))
                    return view;
        }
    return NULL;
}

static void fault_table(check *c, ex_slice name)
{
    const ex_view_def *owner = owner_of(c, name);
    if (owner) {
        fault(c, "table '%.*s' is of view %s; a query reads the tables of its own view",
              EX_ARG(name), owner->name);
        return;
    }
    ex_suggest near;
    ex_suggest_begin(&near, name);
    for (uint32_t t = 0; t < c->def->view->table_count; t++) {
        char table[ROW_NAME_SIZE];
        ex_slice copy =
            ex_arena_copy(&c->arena, row_table_name(c->def->view->tables[t].row, table));
        if (copy.ptr)
            ex_suggest_try(&near, copy.ptr);
    }
    fault(c, "there is no table '%.*s'%s", EX_ARG(name), meant(c, &near, ""));
}

/* The engine's refusal; its words for what is missing are made ours. */
static void fault_engine(check *c, const ex_error *why)
{
    static const char *const columns[] = {"no such column: ", "column ", NULL};
    static const char *const tables[] = {"no such table: ", "relation ", NULL};
    const char *text = why->message;
    bool is_missing = strstr(text, "no such ") || strstr(text, "does not exist");
    ex_slice table = is_missing ? missing_name(text, tables) : (ex_slice){NULL, 0};
    ex_slice column = is_missing && !table.len ? missing_name(text, columns) : (ex_slice){NULL, 0};
    if (table.len)
        fault_table(c, table);
    else if (column.len)
        fault_column(c, column);
    else
        fault(c, "%s", text);
}

/* ---- Parameters ---- */

static void check_params(check *c, const ex_sql_stmt *st)
{
    const ex_type *params = c->def->params;
    ex_slice name;
    for (uint32_t at = 1; (name = ex_sql_param_name(st, at)).ptr; at++) {
        ex_suggest near;
        if (query_field(params, name))
            continue;
        ex_suggest_begin(&near, name);
        for (uint32_t i = 0; params && i < params->field_count; i++)
            ex_suggest_try(&near, params->fields[i].name);
        fault(c, "the parameter :%.*s is not declared%s%s%s", EX_ARG(name), params ? " in " : "",
              params ? params->name : "", meant(c, &near, ":"));
    }
    for (uint32_t i = 0; params && !c->is_faulty && i < params->field_count; i++)
        if (!ex_sql_param(st, ex_str(params->fields[i].name)))
            fault(c, "the parameter %s of %s is not in the SQL", params->fields[i].name,
                  params->name);
}

/* As an absent one is bound: a null of its type. */
static void bind_nulls(check *c, ex_sql_stmt *st)
{
    const ex_type *params = c->def->params;
    for (uint32_t i = 0; params && i < params->field_count; i++) {
        uint32_t at = ex_sql_param(st, ex_str(params->fields[i].name));
        if (at)
            ex_sql_bind(
                st, at,
                (ex_sql_value){.type = row_column_type(&params->fields[i]), .is_null = true});
    }
}

/* ---- Columns ---- */

static void keep_column(void *ctx, const ex_sql_column_info *info)
{
    check *c = ctx;
    ex_slice name = ex_arena_copy(&c->arena, ex_str(info->name));
    if (!name.ptr || c->column_count == COLUMNS_MAX)
        return;
    const char *declared = info->declared ? info->declared : "";
    bool is_bool = info->type == EX_SQL_BOOL || strcmp(declared, SQLITE_BOOL) == 0;
    bool is_json = strcmp(declared, SQLITE_JSON) == 0;
    c->columns[c->column_count++] =
        (result_column){.name = name,
                        .is_known = info->is_known,
                        .is_bool = is_bool,
                        .is_json = is_json,
                        .is_plain_text = info->declared && info->type == EX_SQL_TEXT && !is_json,
                        .type = is_bool ? EX_SQL_BOOL : info->type};
}

static const char *type_word(const result_column *r)
{
    static const char *const words[] = {[EX_SQL_I64] = "a whole number",
                                        [EX_SQL_F64] = "a double",
                                        [EX_SQL_BOOL] = "a boolean",
                                        [EX_SQL_TEXT] = "a text",
                                        [EX_SQL_BLOB] = "bytes"};
    return r->is_json ? "JSON" : words[r->type];
}

static const char *kind_word(const ex_field *f)
{
    switch (f->kind) {
    case EX_KIND_TIME:
        return "a time";
    case EX_KIND_ENUM:
        return "an enumeration";
    case EX_KIND_JSON:
    case EX_KIND_STRUCT:
    case EX_KIND_OPT_STRUCT:
    case EX_KIND_LIST:
    case EX_KIND_TEXTS:
        return "JSON";
    default:
        return type_word(&(result_column){.type = row_column_type(f)});
    }
}

static bool is_json_kind(const ex_field *f)
{
    return strcmp(kind_word(f), "JSON") == 0;
}

/* Could every value of the column be one of the field? */
static bool fits(const result_column *r, const ex_field *f)
{
    ex_sql_type want = row_column_type(f);
    if (!r->is_known)
        return r->type != EX_SQL_I64 || want == EX_SQL_I64 || want == EX_SQL_F64;
    if (is_json_kind(f) && r->is_plain_text)
        return false; /* it would be written as it is, and is no JSON */
    return r->type == want || (want == EX_SQL_F64 && r->type == EX_SQL_I64);
}

static void fault_no_column(check *c, const ex_field *f)
{
    ex_suggest near;
    ex_suggest_begin(&near, ex_str(f->name));
    for (uint32_t i = 0; i < c->column_count; i++)
        ex_suggest_try(&near, c->columns[i].name.ptr);
    fault(c, "the SELECT gives no column %s, which %s has%s", f->name, c->def->row->name,
          meant(c, &near, ""));
}

static void check_field(check *c, const ex_field *f)
{
    const result_column *found = NULL;
    uint32_t count = 0;
    for (uint32_t i = 0; i < c->column_count; i++) {
        if (!ex_slice_is(c->columns[i].name, f->name))
            continue;
        found = found ? found : &c->columns[i];
        count++;
    }
    if (count == 0)
        fault_no_column(c, f);
    else if (count > 1)
        fault(c, "the SELECT gives %u columns %s; name the one that is meant", count, f->name);
    else if (!fits(found, f))
        fault(c, "column %s is %s, and %s says %s", f->name, type_word(found), c->def->row->name,
              kind_word(f));
}

static void check_columns(check *c)
{
    for (uint32_t i = 0; i < c->def->row->field_count; i++)
        check_field(c, &c->def->row->fields[i]);
}

/* ---- Counts ---- */

static void check_count_row(check *c, ex_sql_stmt *st)
{
    ex_error ignored;
    ex_status status = ex_sql_step(st, &ignored);
    if (status == EX_EEND) {
        fault(c, "a count is one row also when there is nothing to count: SELECT count(*) FROM …");
    } else if (status == EX_OK) {
        ex_sql_value v = ex_sql_column(st, 0);
        if (v.is_null)
            fault(c, "over no rows it is NULL and counts nothing; write coalesce(…, 0)");
        else if (v.type != EX_SQL_I64)
            fault(c, "a count is a whole number");
        ex_sql_reset(st);
    } /* what depends on the parameters' values cannot be told here */
}

static void check_count(check *c, ex_sql_stmt *st)
{
    const result_column *r = &c->columns[0];
    if (c->column_count != 1)
        fault(c, "a count gives one column, not %u", c->column_count);
    else if (r->is_known && r->type != EX_SQL_I64)
        fault(c, "a count is a whole number; column %.*s is %s", EX_ARG(r->name), type_word(r));
    else
        check_count_row(c, st);
}

/* ---- A query ---- */

static ex_status prepare(check *c, const ex_buf *sql, ex_sql_stmt **ret, ex_error *err)
{
    if (ex_buf_status(sql))
        return ex_raise(err, EX_ENOMEM, "no memory for a query");
    ex_status st = ex_sql_prepare(c->db, ex_buf_slice(sql), ret, err);
    if (!st)
        bind_nulls(c, *ret);
    return st;
}

static ex_status describe(check *c, ex_sql_stmt *st, ex_error *err)
{
    c->column_count = 0;
    return ex_sql_describe(st, keep_column, c, err);
}

/* The application's own SELECT. It is described without being run: a slow one would hold up the
 * start. */
static ex_status check_own(check *c, ex_error *err)
{
    ex_sql_stmt *st = NULL;
    ex_buf sql;
    ex_buf_init(&sql, 0);
    bool is_server = c->engine == EX_SQL_POSTGRES; /* SQLite describes without running */
    ex_buf_put_str(&sql, is_server ? "SELECT * FROM (" : "");
    query_sql_put_own(c->def, c->engine, &sql);
    ex_buf_put_str(&sql, is_server ? "\n) AS excore_rows LIMIT 0" : "");
    ex_status status = prepare(c, &sql, &st, err);
    ex_buf_done(&sql);
    if (!status)
        check_params(c, st);
    if (!status && !c->is_faulty)
        status = describe(c, st, err);
    if (!status && !c->is_faulty && c->def->kind != EX_QUERY_COUNT)
        check_columns(c);
    return status;
}

static ex_status check_own_count(check *c, ex_error *err)
{
    ex_sql_stmt *st = NULL;
    ex_buf sql;
    ex_buf_init(&sql, 0);
    query_sql_put_own(c->def, c->engine, &sql);
    ex_status status = c->engine == EX_SQL_POSTGRES
                           ? ex_sql_script(c->db, "SET LOCAL statement_timeout = " RUN_MS, err)
                           : EX_OK;
    status = status ? status : prepare(c, &sql, &st, err);
    ex_buf_done(&sql);
    if (!status)
        check_count(c, st);
    return status;
}

static void bind_after(const check *c, const query_keys *keys, ex_sql_stmt *st)
{
    for (uint32_t i = 0; i < keys->count; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "excore_after_%u", i); /* fits */
        uint32_t at = ex_sql_param(st, ex_str(name));
        ex_sql_type type = row_column_type(&c->def->row->fields[keys->columns[i]]);
        if (at)
            ex_sql_bind(st, at, (ex_sql_value){.type = type, .is_null = true});
    }
    ex_sql_bind_i64(st, ex_sql_param(st, EX_S("excore_limit")), 0);
}

/* As it is run, for the first page and for the next. */
static ex_status check_whole(check *c, bool has_after, ex_error *err)
{
    ex_sql_stmt *st = NULL;
    query_keys keys = query_keys_of(c->def);
    ex_buf sql;
    ex_buf_init(&sql, 0);
    query_sql_write(c->def, &keys, has_after, c->engine, &sql);
    ex_status status = prepare(c, &sql, &st, err);
    ex_buf_done(&sql);
    if (status)
        return status;
    bind_after(c, &keys, st);
    return describe(c, st, err);
}

static ex_status check_statements(check *c, ex_error *err)
{
    ex_status st = check_own(c, err);
    if (st || c->is_faulty)
        return st;
    if (c->def->kind == EX_QUERY_COUNT)
        return check_own_count(c, err);
    st = check_whole(c, false, err);
    return st || c->def->kind != EX_QUERY_PAGE ? st : check_whole(c, true, err);
}

/* Trouble that is not the query's. */
static bool is_of_the_engine(const check *c, ex_status st)
{
    return st == EX_ENOMEM || ex_sql_is_broken(c->db) || ex_status_is_retryable(st);
}

static ex_status check_query(check *c, ex_error *err)
{
    ex_sql_tx tx;
    ex_error why = {0};
    if (!query_sql_own(c->def, c->engine))
        return EX_OK;
    c->is_faulty = false;
    ex_status st = ex_sql_begin(c->db, EX_SQL_WRITE, &tx, err);
    if (st)
        return st;
    st = check_statements(c, &why);
    if (st && is_of_the_engine(c, st)) {
        *err = why;
        return st;
    }
    if (st)
        fault_engine(c, &why);
    return ex_sql_rollback(&tx, err);
}

/* ---- A view ---- */

static void put_typed_table(const ex_type *row, ex_buf *sql)
{
    char table[ROW_NAME_SIZE];
    ex_buf_put_str(sql, "CREATE TABLE ");
    row_sql_name(row_table_name(row, table), sql);
    for (uint32_t i = 0; i < row->field_count; i++) {
        const ex_field *f = &row->fields[i];
        ex_sql_type type = row_column_type(f);
        ex_buf_put_str(sql, i ? ", " : " (");
        row_sql_name(ex_str(f->name), sql);
        ex_buf_put_char(sql, ' ');
        ex_buf_put_str(sql, type == EX_SQL_BOOL ? SQLITE_BOOL
                            : is_json_kind(f)   ? SQLITE_JSON
                                                : ex_sql_type_name(EX_SQL_SQLITE, type));
    }
    ex_buf_put_str(sql, ");");
}

/* The same tables, with types that tell more. */
static ex_status make_typed_tables(ex_sql *db, const ex_view_def *view, ex_error *err)
{
    ex_buf sql;
    ex_buf_init(&sql, 0);
    for (uint32_t i = 0; i < view->table_count; i++)
        put_typed_table(view->tables[i].row, &sql);
    ex_buf_put_char(&sql, '\0');
    ex_status st = ex_buf_status(&sql) ? ex_raise(err, EX_ENOMEM, "no memory for a statement")
                                       : ex_sql_script(db, sql.ptr, err);
    ex_buf_done(&sql);
    return st;
}

/* Do the engine's tables and indexes of the view come into being? */
static ex_status try_tables(check *c, const ex_context *context, const ex_view_def *view,
                            bool *ret_is_fine, ex_error *err)
{
    ex_sql_tx tx;
    ex_error why = {0}, told;
    ex_status st = ex_sql_begin(c->db, EX_SQL_WRITE, &tx, err);
    if (st)
        return st;
    st = view_store_create_tables(c->db, view, &why);
    *ret_is_fine = st == EX_OK;
    if (st && is_of_the_engine(c, st)) {
        *err = why;
        return st;
    }
    if (st) {
        (void)ex_raise(&told, EX_EINVAL, "context %s: the tables of view %s cannot be made: %s",
                       context->name, view->name, why.message);
        c->fn(c->ctx, &told);
    }
    return ex_sql_rollback(&tx, err);
}

static ex_status make_tables(check *c, const ex_view_def *view, ex_error *err)
{
    return c->engine == EX_SQL_SQLITE ? make_typed_tables(c->db, view, err)
                                      : view_store_create_tables(c->db, view, err);
}

static ex_status check_queries_of(check *c, const ex_view_def *view, ex_error *err)
{
    ex_status st = EX_OK;
    for (uint32_t i = 0; !st && i < c->app->context_count; i++) {
        c->context = c->app->contexts[i];
        for (uint32_t q = 0; !st && q < c->context->query_count; q++) {
            c->def = c->context->queries[q];
            if (c->def->view == view)
                st = check_query(c, err);
        }
    }
    return st;
}

static ex_status check_view(check *c, const ex_context *context, const ex_view_def *view,
                            ex_error *err)
{
    ex_sql_tx tx;
    bool is_fine = false;
    ex_status st = try_tables(c, context, view, &is_fine, err);
    if (st || !is_fine)
        return st;
    st = ex_sql_begin(c->db, EX_SQL_WRITE, &tx, err);
    if (st)
        return st;
    st = make_tables(c, view, err);
    st = st ? st : check_queries_of(c, view, err);
    return st ? ex_sql_end(&tx, st, err) : ex_sql_rollback(&tx, err);
}

/* ---- All of them ---- */

static ex_status check_all(const ex_app *app, ex_sql *db, query_fault_fn *fn, void *ctx,
                           ex_error *err)
{
    check c = {.app = app, .db = db, .engine = ex_sql_engine_of(db), .fn = fn, .ctx = ctx};
    ex_error own = {0};
    ex_arena_init(&c.arena, 0);
    c.columns = ex_arena_array(&c.arena, COLUMNS_MAX, sizeof(*c.columns));
    ex_status st = c.columns ? EX_OK : ex_raise(&own, EX_ENOMEM, "no memory to check queries");
    for (uint32_t i = 0; !st && i < app->context_count; i++)
        for (uint32_t v = 0; !st && v < app->contexts[i]->view_count; v++)
            st = check_view(&c, app->contexts[i], app->contexts[i]->views[v], &own);
    ex_arena_done(&c.arena);
    if (st && err)
        *err = own;
    return st;
}

ex_status query_check_sqlite(const ex_app *app, query_fault_fn *fn, void *ctx, ex_error *err)
{
    const ex_sql_options memory = {.query_timeout_ms = RUN_LIMIT_MS};
    ex_sql *db = NULL;
    ex_status st = ex_sql_open(&memory, &db, err);
    st = st ? st : check_all(app, db, fn, ctx, err);
    ex_sql_close(db);
    return st;
}

static ex_status may_make_temporary(ex_sql *db, ex_error *err)
{
    ex_sql_stmt *stmt = NULL;
    ex_status st = ex_sql_prepare(
        db, EX_S("SELECT has_database_privilege(current_database(), 'TEMPORARY')"), &stmt, err);
    st = st ? st : ex_sql_step(stmt, err);
    if (st)
        return st;
    bool is_granted = ex_sql_bool(stmt, 0);
    ex_sql_reset(stmt);
    return is_granted ? EX_OK
                      : ex_raise(err, EX_EFORBIDDEN,
                                 "the role lacks the grant of TEMPORARY on the database");
}

/* Temporary tables are the first that a name means, here the only ones; the same words as always
 * make them. */
static ex_status begin_temporary(ex_sql *db, ex_sql_tx *ret, ex_error *err)
{
    ex_status st = may_make_temporary(db, err);
    st = st ? st : ex_sql_begin(db, EX_SQL_WRITE, ret, err);
    return st ? st : ex_sql_script(db, "SET LOCAL search_path = pg_temp", err);
}

ex_status query_check_postgres(const ex_app *app, const ex_sql_options *place, query_fault_fn *fn,
                               void *ctx, ex_error *err)
{
    ex_sql *db = NULL;
    ex_sql_tx tx;
    ex_status st = ex_sql_open(place, &db, err);
    st = st ? st : begin_temporary(db, &tx, err);
    st = st ? st : check_all(app, db, fn, ctx, err);
    ex_sql_close(db); /* which undoes it all */
    return st;
}
