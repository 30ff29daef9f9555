/* query.c: named queries: typed parameters, keyset pages, waiting for a position.
 *
 * A page is the query's own SELECT as a subquery, cut behind the last row of
 * the page before: WHERE (keys) > (last keys) ORDER BY keys LIMIT n + 1. The
 * cursor is base64url of {"query":"context/name","after":[keys]}; rows that
 * come or go between two pages neither repeat nor hide others. */
#include "kernel/base64.h"
#include "kernel/cancel.h"
#include "kernel/running.h"
#include "runtime/query_sql.h"
#include "runtime/registry.h"
#include "runtime/row.h"
#include "runtime/view_damage.h"
#include "runtime/views.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define PAGE_DEFAULT     20u
#define PAGE_MAX         100u
#define LIST_MAX         1000u
#define WAIT_DEFAULT_MS  5000u
#define CURSOR_MAX_BYTES 4096
#define SLOW_SECONDS     0.5

typedef struct query_run {
    const ex_query_call *call;
    const ex_query_def *def;
    ex_arena *arena;
    ex_buf *out;
    ex_error *err;
    uint32_t limit;
    query_keys keys;
    const ex_json *after; /* array of the cursor's keys, NULL: first page */
    void *params;         /* struct of def->params, NULL: none */
    bool is_too_early;    /* no tables yet, or the rows were below min_position again */
} query_run;

/* ---- Parameters ---- */

/* A text from a query string as the parameter's own kind; anything else stays as it is. */
static ex_json convert(const ex_json *value, const ex_field *f)
{
    if (value->kind != EX_JSON_STRING || value->as.text.len == 0 || value->as.text.len > 32)
        return *value;
    char text[33];
    memcpy(text, value->as.text.ptr, value->as.text.len);
    text[value->as.text.len] = '\0';
    char *end = text;
    ex_json number = {.kind = EX_JSON_INT, .raw = value->raw};
    errno = 0;
    switch (f->kind) {
    case EX_KIND_I32:
    case EX_KIND_U32:
    case EX_KIND_I64:
    case EX_KIND_U64:
    case EX_KIND_OPT_I64:
        number.as.i64 = strtoll(text, &end, 10);
        break;
    case EX_KIND_DOUBLE:
    case EX_KIND_OPT_DOUBLE:
        number.kind = EX_JSON_DOUBLE;
        number.as.number = strtod(text, &end);
        break;
    case EX_KIND_BOOL:
    case EX_KIND_OPT_BOOL:
        number.kind = EX_JSON_BOOL;
        number.as.boolean = strcmp(text, "true") == 0;
        end = number.as.boolean || strcmp(text, "false") == 0 ? text + value->as.text.len : text;
        break;
    default:
        return *value;
    }
    return *end == '\0' && end != text && errno == 0 ? number : *value;
}

static ex_status read_params(query_run *q)
{
    const ex_json *given = q->call->params;
    uint32_t count = given ? given->count : 0;
    if (!q->def->params) {
        if (count == 0)
            return EX_OK;
        ex_status st = ex_raise(q->err, EX_EINVAL, "query '%s' takes no parameter '%.*s'",
                                q->def->name, EX_ARG(given->as.members[0].key));
        ex_error_set_field(q->err, given->as.members[0].key);
        ex_error_set_code(q->err, "UNKNOWN_FIELD");
        return st;
    }
    ex_json object = {.kind = EX_JSON_OBJECT, .count = count};
    object.as.members = ex_arena_array(q->arena, count ? count : 1, sizeof(ex_json_member));
    q->params = ex_arena_zalloc(q->arena, q->def->params->size);
    if (!object.as.members || !q->params)
        return ex_raise(q->err, EX_ENOMEM, "no memory for parameters");
    for (uint32_t i = 0; i < count; i++) {
        const ex_json_member *m = &given->as.members[i];
        const ex_field *f = query_field(q->def->params, m->key);
        object.as.members[i].key = m->key;
        object.as.members[i].value = f ? convert(&m->value, f) : m->value;
    }
    return ex_type_read_json(q->def->params, &object, q->arena, NULL, q->params, q->err);
}

/* ---- Cursor ---- */

static ex_slice query_name(query_run *q)
{
    return ex_arena_printf(q->arena, "%.*s/%s", EX_ARG(q->call->context), q->def->name);
}

static ex_status bad_cursor(query_run *q)
{
    ex_status st = ex_raise(q->err, EX_EINVAL, "the cursor is not one of query '%s'", q->def->name);
    ex_error_set_code(q->err, "INVALID_CURSOR");
    ex_error_set_field(q->err, EX_S("cursor"));
    return st;
}

static bool fits_column(const ex_json *key, const ex_field *f)
{
    if (row_column_type(f) == EX_SQL_TEXT)
        return key->kind == EX_JSON_STRING &&
               !(key->as.text.len && memchr(key->as.text.ptr, '\0', key->as.text.len));
    return key->kind == EX_JSON_INT || key->kind == EX_JSON_DOUBLE;
}

static ex_status read_cursor(query_run *q)
{
    ex_slice text = q->call->cursor;
    if (!text.len)
        return EX_OK;
    ex_json *tree = ex_arena_alloc(q->arena, sizeof(*tree));
    char *bytes = ex_arena_alloc(q->arena, text.len + 1);
    if (!tree || !bytes)
        return ex_raise(q->err, EX_ENOMEM, "no memory for the cursor");
    size_t len = 0;
    if (text.len > CURSOR_MAX_BYTES || q->def->kind != EX_QUERY_PAGE ||
        !ex_base64url_decode(text, bytes, &len) ||
        ex_json_parse(ex_slice_of(bytes, len), q->arena, NULL, tree, NULL))
        return bad_cursor(q);
    const ex_json *name = ex_json_get(tree, EX_S("query"));
    const ex_json *after = ex_json_get(tree, EX_S("after"));
    if (!name || name->kind != EX_JSON_STRING || !ex_slice_eq(name->as.text, query_name(q)) ||
        !after || after->kind != EX_JSON_ARRAY || after->count != q->keys.count)
        return bad_cursor(q);
    for (uint32_t i = 0; i < after->count; i++)
        if (!fits_column(&after->as.items[i], &q->def->row->fields[q->keys.columns[i]]))
            return bad_cursor(q);
    q->after = after;
    return EX_OK;
}

static void write_key(ex_json_writer *w, const ex_sql_stmt *st, uint32_t column)
{
    ex_sql_value v = ex_sql_column(st, column);
    if (v.type == EX_SQL_F64)
        ex_json_double(w, v.as.f64);
    else if (v.type == EX_SQL_I64 || v.type == EX_SQL_BOOL)
        ex_json_i64(w, ex_sql_i64(st, column));
    else
        ex_json_string(w, ex_sql_bytes(st, column));
}

/* The cursor behind the statement's current row, in the arena. */
static ex_slice make_cursor(query_run *q, ex_sql_stmt *st)
{
    ex_buf json;
    ex_buf_init(&json, CURSOR_MAX_BYTES);
    ex_json_writer w;
    ex_json_writer_init(&w, &json);
    ex_json_begin_object(&w);
    ex_json_string_member(&w, EX_S("query"), query_name(q));
    ex_json_key(&w, EX_S("after"));
    ex_json_begin_array(&w);
    for (uint32_t i = 0; i < q->keys.count; i++)
        write_key(&w, st, q->keys.columns[i]);
    ex_json_end_array(&w);
    ex_json_end_object(&w);
    ex_slice cursor = {NULL, 0};
    if (!ex_buf_status(&json)) {
        char *text = ex_arena_alloc(q->arena, ex_base64_size(json.len));
        if (text)
            cursor = ex_slice_of(text, ex_base64url_encode(ex_buf_slice(&json), text));
    }
    ex_buf_done(&json);
    return cursor;
}

/* ---- SQL ---- */

/* A key of the cursor as a value of its column's type: PostgreSQL compares no others. */
static ex_sql_value key_value(const ex_json *key, ex_sql_type type)
{
    bool is_number = key->kind != EX_JSON_STRING;
    double number = key->kind == EX_JSON_DOUBLE ? key->as.number : (double)key->as.i64;
    if (type == EX_SQL_F64 && is_number)
        return (ex_sql_value){.type = EX_SQL_F64, .as.f64 = number};
    if (type == EX_SQL_BOOL && is_number)
        return (ex_sql_value){.type = EX_SQL_BOOL, .as.boolean = key->as.i64 != 0};
    if (key->kind == EX_JSON_DOUBLE)
        return (ex_sql_value){.type = EX_SQL_F64, .as.f64 = number};
    if (key->kind == EX_JSON_INT)
        return (ex_sql_value){.type = EX_SQL_I64, .as.i64 = key->as.i64};
    return (ex_sql_value){.type = EX_SQL_TEXT, .as.bytes = key->as.text};
}

static void bind_after(const query_run *q, ex_sql_stmt *st)
{
    for (uint32_t i = 0; q->after && i < q->keys.count; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "excore_after_%u", i); /* fits */
        const ex_field *f = &q->def->row->fields[q->keys.columns[i]];
        ex_sql_bind(st, ex_sql_param(st, ex_str(name)),
                    key_value(&q->after->as.items[i], row_column_type(f)));
    }
    uint32_t at = ex_sql_param(st, EX_S("excore_limit"));
    if (at)
        ex_sql_bind_i64(st, at, (int64_t)q->limit + 1);
}

static ex_status prepare(query_run *q, ex_sql *db, ex_sql_stmt **ret)
{
    ex_buf sql;
    ex_buf_init(&sql, 0);
    query_sql_write(q->def, &q->keys, q->after != NULL, ex_sql_engine_of(db), &sql);
    ex_status st = ex_buf_status(&sql) ? ex_raise(q->err, EX_ENOMEM, "no memory for a query")
                                       : ex_sql_prepare(db, ex_buf_slice(&sql), ret, q->err);
    ex_buf_done(&sql);
    if (!st && q->params)
        st = row_bind_names(q->def->params, q->params, *ret, q->arena, q->err);
    if (!st)
        bind_after(q, *ret);
    return st;
}

/* ---- Answers ---- */

/* Nothing comes after a null, and it stands first on SQLite and last on PostgreSQL. */
static ex_status check_keys(query_run *q, const ex_sql_stmt *st)
{
    for (uint32_t i = 0; i < q->keys.count; i++)
        if (ex_sql_is_null(st, q->keys.columns[i]))
            return ex_raise(q->err, EX_EINTERNAL, "query '%s' orders by %s, which is null in a row",
                            q->def->name, q->def->order_by[i]);
    return EX_OK;
}

/* The current row is the first of the next page: one that cannot be told from the last of this page
 * would never be seen. */
static ex_status check_next(query_run *q, ex_sql_stmt *st, ex_slice cursor)
{
    if (!cursor.ptr || !ex_slice_eq(make_cursor(q, st), cursor))
        return EX_OK;
    return ex_raise(q->err, EX_EINTERNAL,
                    "rows are equal in all that they are ordered by, and the next page would lose "
                    "some: add a column to order_by that tells them apart");
}

static ex_status write_rows(query_run *q, ex_sql_stmt *st)
{
    ex_slice cursor = {NULL, 0};
    bool is_done = true;
    uint32_t count = 0;
    ex_status status = EX_OK;
    ex_buf_put(q->out, EX_S("{\"items\":["));
    while ((status = ex_sql_step(st, q->err)) == EX_OK) {
        if (count == q->limit) {
            is_done = false;
            status = check_next(q, st, cursor);
            ex_sql_reset(st); /* the one row too many only tells that there is more */
            if (status)
                return status;
            status = EX_EEND;
            break;
        }
        ex_buf_put(q->out, count++ ? EX_S(",") : EX_S(""));
        status = check_keys(q, st);
        status = status ? status : row_write_json(q->def->row, st, q->out, q->err);
        if (status) {
            ex_sql_reset(st);
            return status;
        }
        if (count == q->limit && q->def->kind == EX_QUERY_PAGE)
            cursor = make_cursor(q, st);
    }
    if (status != EX_EEND)
        return status;
    ex_buf_put_char(q->out, ']');
    if (q->def->kind == EX_QUERY_LIST)
        return EX_OK;
    if (!is_done && !cursor.ptr)
        return ex_raise(q->err, EX_ENOMEM, "no memory for the cursor");
    ex_buf_put(q->out, EX_S(",\"continue_cursor\":"));
    if (is_done)
        ex_buf_put(q->out, EX_S("null"));
    else
        ex_json_put_string(q->out, cursor);
    ex_buf_put(q->out, is_done ? EX_S(",\"is_done\":true") : EX_S(",\"is_done\":false"));
    return EX_OK;
}

/* Whatever is no whole number counts nothing. */
static ex_status write_count(query_run *q, const ex_sql_stmt *st)
{
    ex_sql_value v = ex_sql_column(st, 0);
    if (v.is_null || v.type != EX_SQL_I64)
        return ex_raise(q->err, EX_EINTERNAL, "query '%s' counts, and gave %s", q->def->name,
                        v.is_null ? "NULL" : "what is no whole number");
    ex_buf_put_i64(q->out, v.as.i64);
    return EX_OK;
}

static ex_status write_single(query_run *q, ex_sql_stmt *st)
{
    bool is_count = q->def->kind == EX_QUERY_COUNT;
    ex_status status = ex_sql_step(st, q->err);
    if (status && status != EX_EEND)
        return status;
    ex_buf_put(q->out, is_count ? EX_S("{\"count\":") : EX_S("{\"item\":"));
    if (status == EX_EEND) {
        ex_buf_put(q->out, is_count ? EX_S("0") : EX_S("null"));
        return EX_OK;
    }
    status = is_count ? write_count(q, st) : row_write_json(q->def->row, st, q->out, q->err);
    if (!status) {
        status = ex_sql_step(st, q->err);
        if (status == EX_OK)
            status =
                ex_raise(q->err, EX_EINTERNAL, "query '%s' gave more than one row", q->def->name);
    }
    ex_sql_reset(st);
    return status == EX_EEND ? EX_OK : status;
}

/* How far the rows of this transaction are; `known` is the runner's word, from before it. */
static ex_status read_position(query_run *q, ex_sql *db, uint64_t known, uint64_t based_on,
                               uint64_t *ret)
{
    uint64_t position = 0;
    ex_status st = view_store_position(db, q->def->view, &position, q->err);
    if (st)
        return st;
    if (position >= based_on && position < known)
        position = known;
    q->is_too_early = position < q->call->min_position;
    if (q->is_too_early)
        return ex_raise(q->err, EX_EAGAIN, "view '%s' is built anew and at position %llu",
                        q->def->view->name, (unsigned long long)position);
    *ret = position;
    return EX_OK;
}

/* The first turn of the view makes them. */
static ex_status look_for_tables(query_run *q, ex_sql *db, view_runner *view)
{
    bool is_there = false;
    if (atomic_load(&view->has_tables))
        return EX_OK;
    ex_status st = view_store_has_tables(db, q->def->view, &is_there, q->err);
    if (st)
        return st;
    atomic_store(&view->has_tables, is_there);
    q->is_too_early = !is_there;
    return is_there ? EX_OK
                    : ex_raise(q->err, EX_EAGAIN, "view '%s' has not been built yet",
                               q->def->view->name);
}

/* Rows and checkpoint from one snapshot. */
static ex_status answer(query_run *q, ex_sql *db, view_runner *view)
{
    ex_sql_stmt *st = NULL;
    uint64_t position = 0;
    ex_sql_tx tx;
    uint64_t based_on = 0, known = view_runner_position(view, &based_on);
    ex_status status = look_for_tables(q, db, view);
    status = status ? status : ex_sql_begin(db, EX_SQL_READ, &tx, q->err);
    if (status)
        return status;
    status = view_store_hold(db, q->def->view, q->err);
    status = status ? status : read_position(q, db, known, based_on, &position);
    status = status ? status : prepare(q, db, &st);
    if (!status) {
        bool is_rows = q->def->kind == EX_QUERY_PAGE || q->def->kind == EX_QUERY_LIST;
        status = is_rows ? write_rows(q, st) : write_single(q, st);
    }
    status = ex_sql_end(&tx, status, q->err);
    if (status)
        return status;
    ex_buf_put(q->out, EX_S(",\"position\":"));
    ex_buf_put_u64(q->out, position);
    ex_buf_put_char(q->out, '}');
    return ex_buf_status(q->out)
               ? ex_raise(q->err, ex_buf_status(q->out), "the answer is too large")
               : EX_OK;
}

static uint32_t clamp_limit(const ex_query_call *call, const ex_query_def *def)
{
    uint32_t most = def->kind == EX_QUERY_PAGE ? PAGE_MAX : LIST_MAX;
    uint32_t limit = call->limit ? call->limit : PAGE_DEFAULT;
    return limit < most ? limit : most;
}

static void cancel_statement(void *ctx)
{
    ex_sql_cancel(ctx);
}

/* `until_ns` on the system's clock, for min_position. */
static ex_status wait_and_answer(ex_runtime *rt, query_run *q, view_runner *view, uint64_t until_ns)
{
    uint64_t now = ex_monotonic_ns(ex_clock_system());
    uint32_t left_ms = until_ns > now ? (uint32_t)((until_ns - now) / 1000000) : 0;
    ex_sql *db = NULL;
    ex_status st = q->call->min_position ? view_runner_wait(view, q->call->min_position, left_ms,
                                                            q->call->cancel, q->err)
                                         : EX_OK;
    st = st ? st : ex_sql_pool_take(rt->views->pool, EX_SQL_READ, &db, q->err);
    if (st)
        return st;
    st = ex_cancel_attach(q->call->cancel, cancel_statement, db, q->err);
    ex_running place = {.what = "query", .context = q->call->context, .owner = q->def->name};
    ex_running_enter(&place); /* SQL, and functions of ours that it calls */
    st = st ? st : answer(q, db, view);
    ex_running_leave(&place);
    ex_cancel_detach(q->call->cancel); /* before the connection is another's */
    ex_sql_pool_give(rt->views->pool, db);
    return st;
}

static ex_status run(ex_runtime *rt, query_run *q)
{
    view_runner *view = views_find(rt->views, q->def->view);
    if (!view)
        return ex_raise(q->err, EX_EINTERNAL, "query '%s' reads a view that no context lists",
                        q->def->name);
    q->limit = clamp_limit(q->call, q->def);
    q->keys = query_keys_of(q->def);
    ex_status st = read_params(q);
    st = st ? st : read_cursor(q);
    if (st)
        return st;
    uint64_t timeout_ms = q->call->timeout_ms ? q->call->timeout_ms : WAIT_DEFAULT_MS;
    uint64_t until_ns = ex_monotonic_ns(ex_clock_system()) + timeout_ms * 1000000;
    st = wait_and_answer(rt, q, view, until_ns);
    /* a view that was just started, or rebuilt: its runner hears of that a moment later */
    while (st == EX_EAGAIN && q->is_too_early && ex_monotonic_ns(ex_clock_system()) < until_ns) {
        q->is_too_early = false;
        view_runner_pause(view);
        st = wait_and_answer(rt, q, view, until_ns);
    }
    return st;
}

static void count(ex_runtime *rt, const ex_query_def *def, ex_status status, uint64_t started_ns)
{
    if (!rt->metrics.query_seconds)
        return;
    double seconds = (double)(ex_monotonic_ns(rt->clock) - started_ns) / 1e9;
    ex_slice outcome = status == EX_ECANCELLED ? EX_S("cancelled")
                       : status                ? EX_S("error")
                                               : EX_S("ok");
    ex_slice labels[] = {ex_str(def->name), outcome};
    ex_histogram_observe(ex_histogram_with(rt->metrics.query_seconds, labels), seconds);
    ex_counter_add(ex_counter_with(rt->metrics.slow_queries, labels), seconds > SLOW_SECONDS);
}

/* What is not the caller's fault is somebody's to look after, who has to know where. */
static ex_status name_failure(const query_run *q, ex_status st)
{
    if (st == EX_OK || st == EX_EINVAL || st == EX_ECANCELLED || st == EX_ECLOSED)
        return st;
    return ex_error_context(q->err, st, "query %.*s/%s of view %s", EX_ARG(q->call->context),
                            q->def->name, q->def->view->name);
}

ex_status ex_query_run(ex_runtime *rt, const ex_query_call *call, ex_arena *scratch, ex_buf *out,
                       ex_error *err)
{
    query_run q = {.call = call, .arena = scratch, .out = out, .err = err};
    ex_status st = runtime_enter(rt, err);
    if (st)
        return st;
    st = registry_find_query(rt->app, call->context, call->query, &q.def, err);
    if (!st) {
        uint64_t started_ns = ex_monotonic_ns(rt->clock);
        st = run(rt, &q);
        view_damage_note(rt->options.dir, st);
        count(rt, q.def, st, started_ns);
        st = name_failure(&q, st);
    }
    runtime_leave(rt);
    return st;
}
