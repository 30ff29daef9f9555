/* sql.c: the dispatcher of the SQL port: kept statements, values, checks, slow statements. */
#include "sql/sql.h"

#include "kernel/path.h"
#include "sql/postgres/pg_url.h"
#include "sql/sql_int.h"

#include <assert.h>
#include <excore/clock.h>
#include <stdlib.h>

#define KEPT_MAX        512
#define SLOW_MS         200
#define PING_TIMEOUT_MS 5000

ex_status ex_sql_open(const ex_sql_options *options, ex_sql **ret, ex_error *err)
{
    ex_sql *db = calloc(1, sizeof(*db));
    if (!db)
        return ex_raise(err, EX_ENOMEM, "no memory for a connection");
    bool is_url = options->place && ex_sql_is_server(options->place);
    db->ops = is_url ? &sql_postgres_ops : &sql_sqlite_ops;
    db->on_slow = is_url ? NULL : options->on_slow; /* in a pipeline only the engine can tell */
    db->slow_ctx = options->slow_ctx;
    db->slow_ms = options->slow_ms ? options->slow_ms : SLOW_MS;
    ex_map_init(&db->statements, 0);
    ex_status st = db->ops->open(options, &db->conn, err);
    if (st)
        free(db);
    else
        *ret = db;
    return st;
}

ex_status sql_path_resolve(const char *place, char **ret, ex_error *err)
{
    ex_error why = {0};
    ex_status st = ex_path_resolve(place, ret, &why);
    if (st == EX_ENOTFOUND || st == EX_EFILESYSTEM) /* as every failure to open a file */
        return ex_raise(err, EX_ESTORAGE, "cannot open the database: %s", why.message);
    if (st && err)
        *err = why;
    return st;
}

ex_status sql_wrap(const sql_ops *ops, void *conn, ex_sql **ret, ex_error *err)
{
    ex_sql *db = calloc(1, sizeof(*db));
    if (!db)
        return ex_raise(err, EX_ENOMEM, "no memory for a connection");
    db->ops = ops;
    db->conn = conn;
    db->slow_ms = SLOW_MS;
    ex_map_init(&db->statements, 0);
    *ret = db;
    return EX_OK;
}

static void free_statement(void *statement)
{
    ex_sql_stmt *st = statement;
    if (!st)
        return;
    if (st->impl)
        st->db->ops->finalize(st);
    sql_text_done(&st->text);
    free(st->values);
    free(st);
}

void ex_sql_close(ex_sql *db)
{
    if (!db)
        return;
    ex_map_done(&db->statements, free_statement);
    db->ops->close(db->conn);
    free(db);
}

ex_sql_engine ex_sql_engine_of(const ex_sql *db)
{
    return db->ops->engine;
}

bool ex_sql_is_broken(const ex_sql *db)
{
    return db->ops->is_broken(db->conn);
}

bool ex_sql_is_server(const char *place)
{
    return ex_pg_is_url(place);
}

ex_status ex_sql_check(ex_sql *db, ex_error *err)
{
    return db->ops->check(db->conn, err);
}

ex_status ex_sql_ping(ex_sql *db, ex_error *err)
{
    ex_status st = sql_check_usable(db, err);
    return st ? st : sql_note_failure(db, db->ops->ping(db->conn, PING_TIMEOUT_MS, err));
}

void ex_sql_cancel(ex_sql *db)
{
    atomic_store(&db->is_cancelled, true);
    db->ops->cancel(db->conn);
}

ex_status sql_check_usable(ex_sql *db, ex_error *err)
{
    if (atomic_load(&db->is_cancelled))
        return ex_raise(err, EX_ECANCELLED, "a statement was cancelled");
    if (!db->has_failed)
        return EX_OK;
    ex_status st = ex_raise(err, EX_ESTATE,
                            "a statement of this transaction failed: it can only be "
                            "rolled back");
    ex_error_set_code(err, "TX_FAILED");
    return st;
}

ex_status sql_note_failure(ex_sql *db, ex_status st)
{
    if (st && st != EX_EEND && db->depth > 0)
        db->has_failed = true;
    return st;
}

/* ---- statements ---- */

static ex_status create(ex_sql *db, ex_slice text, ex_sql_stmt **ret, ex_error *err)
{
    ex_sql_stmt *s = calloc(1, sizeof(*s));
    if (!s)
        return ex_raise(err, EX_ENOMEM, "no memory for a statement");
    s->db = db;
    ex_status st = sql_text_init(&s->text, text, db->ops->prefix, err);
    if (st) {
        free(s);
        return st;
    }
    s->values = calloc(s->text.count ? s->text.count : 1, sizeof(*s->values));
    st = s->values ? db->ops->prepare(s, err)
                   : ex_raise(err, EX_ENOMEM, "no memory for a statement");
    if (!st && ex_map_put(&db->statements, text, s, NULL))
        st = ex_raise(err, EX_ENOMEM, "no memory for a statement");
    if (st)
        free_statement(s);
    else
        *ret = s;
    return st;
}

static void forget_all(ex_sql *db)
{
    ex_map_done(&db->statements, free_statement);
    ex_map_init(&db->statements, 0);
}

ex_status ex_sql_prepare(ex_sql *db, ex_slice text, ex_sql_stmt **ret, ex_error *err)
{
    ex_status st = sql_check_usable(db, err);
    if (st)
        return st;
    ex_sql_stmt *s = ex_map_get(&db->statements, text);
    if (!s) {
        if (db->statements.count >= KEPT_MAX && db->active == 0)
            forget_all(db);
        st = create(db, text, &s, err);
        if (st)
            return sql_note_failure(db, st);
    }
    ex_sql_reset(s);
    for (uint32_t i = 0; i < s->text.count; i++)
        s->values[i] = (ex_sql_value){.type = EX_SQL_TEXT, .is_null = true};
    *ret = s;
    return EX_OK;
}

uint32_t ex_sql_param(const ex_sql_stmt *st, ex_slice name)
{
    return sql_text_find(&st->text, name);
}

ex_slice ex_sql_param_name(const ex_sql_stmt *st, uint32_t at)
{
    return sql_text_name(&st->text, at);
}

void ex_sql_bind(ex_sql_stmt *st, uint32_t at, ex_sql_value value)
{
    assert(at >= 1 && at <= st->text.count && !st->is_active);
    st->values[at - 1] = value;
}

void ex_sql_bind_i64(ex_sql_stmt *st, uint32_t at, int64_t value)
{
    ex_sql_bind(st, at, (ex_sql_value){.type = EX_SQL_I64, .as.i64 = value});
}

void ex_sql_bind_text(ex_sql_stmt *st, uint32_t at, ex_slice value)
{
    ex_sql_bind(st, at, (ex_sql_value){.type = EX_SQL_TEXT, .as.bytes = value});
}

void ex_sql_bind_list(ex_sql_stmt *st, uint32_t at, ex_sql_type type, const ex_sql_list *list)
{
    assert(st->db->ops->engine == EX_SQL_POSTGRES);
    ex_sql_bind(st, at, (ex_sql_value){.type = type, .is_list = true, .as.list = list});
}

static bool is_nan(const ex_sql_value *v)
{
    return v->type == EX_SQL_F64 && !v->is_null && v->as.f64 != v->as.f64;
}

static bool has_nan(const ex_sql_value *v)
{
    if (!v->is_list)
        return is_nan(v);
    for (uint32_t i = 0; v->type == EX_SQL_F64 && i < v->as.list->count; i++)
        if (is_nan(&v->as.list->rows[i][v->as.list->column]))
            return true;
    return false;
}

/* The same on both engines: SQLite's REAL has no NaN, and would make it a null. */
static ex_status check_values(const ex_sql_stmt *st, ex_error *err)
{
    for (uint32_t i = 0; i < st->text.count; i++)
        if (has_nan(&st->values[i]))
            return ex_raise(err, EX_EINVAL, "a number that is none (NaN) cannot be stored");
    return EX_OK;
}

static uint64_t now_ns(void)
{
    return ex_monotonic_ns(ex_clock_system());
}

static void end(ex_sql_stmt *st)
{
    ex_sql *db = st->db;
    if (!st->is_active)
        return;
    db->ops->reset(st);
    st->is_active = false;
    db->active--;
    uint64_t ms = st->spent_ns / 1000000;
    if (db->on_slow && ms >= db->slow_ms)
        db->on_slow(db->slow_ctx, ex_slice_of(st->text.sql.ptr, st->text.len), (uint32_t)ms);
}

static ex_status start(ex_sql_stmt *st, ex_error *err)
{
    ex_status status = sql_check_usable(st->db, err);
    status = status ? status : check_values(st, err);
    if (status)
        return status;
    st->is_active = true;
    st->db->active++;
    st->spent_ns = 0;
    st->affected = 0;
    st->db->has_queued = false; /* it waits for what was queued, too */
    return st->db->ops->start(st, err);
}

ex_status ex_sql_step(ex_sql_stmt *st, ex_error *err)
{
    bool is_timed = st->db->on_slow != NULL;
    uint64_t begun = is_timed ? now_ns() : 0;
    ex_status status = st->is_active ? EX_OK : start(st, err);
    if (!status)
        status = st->db->ops->step(st, err);
    st->spent_ns += is_timed ? now_ns() - begun : 0;
    if (status)
        end(st);
    return sql_note_failure(st->db, status);
}

ex_status ex_sql_describe(ex_sql_stmt *st, ex_sql_column_fn *fn, void *ctx, ex_error *err)
{
    assert(!st->is_active);
    ex_status status = start(st, err);
    for (uint32_t i = 0; !status && i < st->columns; i++) {
        ex_sql_column_info column = st->db->ops->describe(st, i);
        fn(ctx, &column);
    }
    end(st);
    return sql_note_failure(st->db, status);
}

ex_status ex_sql_run(ex_sql_stmt *st, ex_error *err)
{
    ex_status status;
    do {
        status = ex_sql_step(st, err);
    } while (status == EX_OK);
    return status == EX_EEND ? EX_OK : status;
}

ex_status ex_sql_queue(ex_sql_stmt *st, ex_error *err)
{
    assert(!st->is_active);
    if (!st->db->ops->queue)
        return ex_sql_run(st, err);
    ex_status status = sql_check_usable(st->db, err);
    status = status ? status : check_values(st, err);
    st->db->has_queued = true;
    status = status ? status : st->db->ops->queue(st, err);
    return sql_note_failure(st->db, status);
}

ex_status ex_sql_flush(ex_sql *db, ex_error *err)
{
    ex_status st = sql_check_usable(db, err);
    db->has_queued = false;
    return st || !db->ops->flush ? st : sql_note_failure(db, db->ops->flush(db->conn, err));
}

void ex_sql_reset(ex_sql_stmt *st)
{
    end(st);
}

uint64_t ex_sql_affected(const ex_sql_stmt *st)
{
    return st->affected;
}

ex_status ex_sql_script(ex_sql *db, const char *sql, ex_error *err)
{
    ex_status st = ex_sql_flush(db, err);
    return st ? st : sql_note_failure(db, db->ops->script(db->conn, sql, err));
}

/* ---- columns ---- */

ex_sql_value ex_sql_column(const ex_sql_stmt *st, uint32_t column)
{
    assert(st->is_active && column < st->columns);
    return st->db->ops->column(st, column);
}

bool ex_sql_is_null(const ex_sql_stmt *st, uint32_t column)
{
    return ex_sql_column(st, column).is_null;
}

static int64_t cut(double value)
{
    if (value >= 9223372036854775807.0)
        return INT64_MAX;
    return value <= -9223372036854775808.0 ? INT64_MIN : (int64_t)value;
}

int64_t ex_sql_i64(const ex_sql_stmt *st, uint32_t column)
{
    ex_sql_value v = ex_sql_column(st, column);
    if (v.is_null)
        return 0;
    switch (v.type) {
    case EX_SQL_I64:
        return v.as.i64;
    case EX_SQL_BOOL:
        return v.as.boolean;
    case EX_SQL_F64:
        return cut(v.as.f64);
    default:
        return 0;
    }
}

double ex_sql_f64(const ex_sql_stmt *st, uint32_t column)
{
    ex_sql_value v = ex_sql_column(st, column);
    return !v.is_null && v.type == EX_SQL_F64 ? v.as.f64 : (double)ex_sql_i64(st, column);
}

bool ex_sql_bool(const ex_sql_stmt *st, uint32_t column)
{
    return ex_sql_i64(st, column) != 0;
}

ex_slice ex_sql_bytes(const ex_sql_stmt *st, uint32_t column)
{
    ex_sql_value v = ex_sql_column(st, column);
    bool is_bytes = !v.is_null && (v.type == EX_SQL_TEXT || v.type == EX_SQL_BLOB);
    return is_bytes ? v.as.bytes : (ex_slice){NULL, 0};
}

/* ---- dialect ---- */

const char *ex_sql_type_name(ex_sql_engine engine, ex_sql_type type)
{
    static const char *const names[][5] = {
        [EX_SQL_SQLITE] = {"INTEGER", "REAL", "INTEGER", "TEXT", "BLOB"},
        [EX_SQL_POSTGRES] = {"BIGINT", "DOUBLE PRECISION", "BOOLEAN", "TEXT COLLATE \"C\"",
                             "BYTEA"},
    };
    return names[engine][type];
}

const char *ex_sql_table_suffix(ex_sql_engine engine)
{
    return engine == EX_SQL_SQLITE ? " STRICT, WITHOUT ROWID" : "";
}

ex_status ex_sql_has_table(ex_sql *db, const char *name, bool *ret, ex_error *err)
{
    ex_sql_stmt *s = NULL;
    ex_slice text = db->ops->engine == EX_SQL_SQLITE
                        ? EX_S("SELECT count(*) FROM sqlite_schema WHERE name = $1")
                        : EX_S("SELECT count(to_regclass(quote_ident(current_schema()) || '.' || "
                               "quote_ident($1)))");
    ex_status st = ex_sql_prepare(db, text, &s, err);
    if (st)
        return st;
    ex_sql_bind_text(s, 1, ex_str(name));
    st = ex_sql_step(s, err);
    if (st == EX_OK)
        *ret = ex_sql_i64(s, 0) != 0;
    ex_sql_reset(s);
    return st;
}
