/* pg_sql.c: the SQL port on PostgreSQL. Queued statements wait in the pipeline for the next one
 * whose result is wanted, and travel with it. */
#include "sql/postgres/pg_sql.h"

#include "sql/postgres/pg_numeric.h"
#include "sql/sql_int.h"

#include <stdio.h>
#include <stdlib.h>

/* What changes the meaning of SQL is not the role's or the database's to choose. */
#define SETTINGS  "SET standard_conforming_strings = on; SET transform_null_equals = off; "
#define READ_ONLY "SET default_transaction_read_only = on"
/* Rows of views are written by key; a plan from when the table was small would be kept. */
#define BY_KEY "SET enable_seqscan = off"

#define QUEUED_MAX 256 /* then the results are taken: neither side keeps more */

#define OID_NAME    19
#define OID_OID     26
#define OID_JSON    114
#define OID_UNKNOWN 705
#define OID_BPCHAR  1042
#define OID_VARCHAR 1043
#define OID_NUMERIC 1700
#define OID_JSONB   3802

typedef struct pg_db {
    ex_pg *pg;
    ex_pg_args args;
    uint32_t queued;  /* sent and not synced */
    bool is_borrowed; /* pg stays open */
} pg_db;

typedef struct pg_rows {
    ex_pg_result result;
    int row; /* the current one, -1 before the first */
} pg_rows;

static void close_db(void *conn)
{
    pg_db *db = conn;
    if (!db->is_borrowed)
        ex_pg_close(db->pg);
    ex_pg_args_done(&db->args);
    free(db);
}

static ex_status name_schema(const ex_sql_options *o, char ret[EX_PG_NAME_SIZE], ex_error *err)
{
    ex_pg_target target = {0};
    ex_status st = ex_pg_target_init(&target, o->place, err);
    if (st)
        return st;
    int n = snprintf(ret, EX_PG_NAME_SIZE, "%s%s", o->schema ? o->schema : target.schema,
                     o->schema_suffix ? o->schema_suffix : "");
    ex_pg_target_done(&target);
    return n < EX_PG_NAME_SIZE ? EX_OK : ex_raise(err, EX_EINVAL, "the schema's name is too long");
}

static ex_status open_db(const ex_sql_options *o, void **ret_conn, ex_error *err)
{
    pg_db *db = calloc(1, sizeof(*db));
    if (!db)
        return ex_raise(err, EX_ENOMEM, "no memory for a connection");
    ex_pg_args_init(&db->args);
    char schema[EX_PG_NAME_SIZE];
    ex_status st = name_schema(o, schema, err);
    ex_pg_options options = {.url = o->place,
                             .is_primary = !o->is_read_only,
                             .connect_timeout_ms = o->connect_timeout_ms,
                             .statement_timeout_ms = o->query_timeout_ms,
                             .schema = schema,
                             .setup_sql = o->is_read_only ? SETTINGS READ_ONLY : SETTINGS BY_KEY,
                             .on_slow = o->on_slow,
                             .slow_ctx = o->slow_ctx,
                             .slow_ms = o->slow_ms,
                             .end_ns = o->end_ns};
    st = st ? st : ex_pg_open(&options, &db->pg, err);
    if (st)
        close_db(db);
    else
        *ret_conn = db;
    return st;
}

static bool is_broken(const void *conn)
{
    const pg_db *db = conn;
    return ex_pg_is_broken(db->pg);
}

/* Sync, and take the results of what was queued; the first failure counts. */
static ex_status flush(void *conn, ex_error *err)
{
    pg_db *db = conn;
    uint32_t queued = db->queued;
    db->queued = 0;
    if (queued == 0)
        return EX_OK;
    ex_status st = ex_pg_sync(db->pg, err);
    return st ? st : ex_pg_recv_all(db->pg, err);
}

static ex_status check(void *conn, ex_error *err)
{
    pg_db *db = conn;
    return ex_pg_check(db->pg, err);
}

static ex_status ping(void *conn, uint32_t timeout_ms, ex_error *err)
{
    pg_db *db = conn;
    ex_status st = flush(db, err);
    return st ? st : ex_pg_ping(db->pg, timeout_ms, err);
}

static void cancel(void *conn)
{
    pg_db *db = conn;
    ex_pg_cancel(db->pg);
}

static void uncancel(void *conn)
{
    pg_db *db = conn;
    ex_pg_uncancel(db->pg);
}

static ex_status prepare(ex_sql_stmt *st, ex_error *err)
{
    pg_rows *rows = calloc(1, sizeof(*rows));
    if (!rows)
        return ex_raise(err, EX_ENOMEM, "no memory for a statement");
    st->impl = rows;
    return EX_OK;
}

static void reset(ex_sql_stmt *st)
{
    pg_rows *rows = st->impl;
    ex_pg_result_free(&rows->result);
}

static void finalize(ex_sql_stmt *st)
{
    reset(st);
    free(st->impl);
}

static const ex_pg_type pg_types[] = {[EX_SQL_I64] = EX_PG_INT8,
                                      [EX_SQL_F64] = EX_PG_FLOAT8,
                                      [EX_SQL_BOOL] = EX_PG_BOOL,
                                      [EX_SQL_TEXT] = EX_PG_TEXT,
                                      [EX_SQL_BLOB] = EX_PG_BYTEA};

static void put_scalar(ex_pg_args *a, const ex_sql_value *v)
{
    if (v->is_null) {
        ex_pg_put_null(a, pg_types[v->type]);
        return;
    }
    switch (v->type) {
    case EX_SQL_I64:
        ex_pg_put_i64(a, v->as.i64);
        return;
    case EX_SQL_F64:
        ex_pg_put_f64(a, v->as.f64);
        return;
    case EX_SQL_BOOL:
        ex_pg_put_bool(a, v->as.boolean);
        return;
    case EX_SQL_TEXT:
        ex_pg_put_text(a, v->as.bytes);
        return;
    case EX_SQL_BLOB:
        ex_pg_put_bytea(a, v->as.bytes);
        return;
    }
}

static void put_value(ex_pg_args *a, const ex_sql_value *v)
{
    if (!v->is_list) {
        put_scalar(a, v);
        return;
    }
    ex_pg_array_begin(a, pg_types[v->type]);
    for (uint32_t i = 0; i < v->as.list->count; i++)
        put_scalar(a, &v->as.list->rows[i][v->as.list->column]);
    ex_pg_array_end(a);
}

static ex_status send(ex_sql_stmt *st, ex_error *err)
{
    pg_db *db = st->db->conn;
    ex_pg_args_reset(&db->args);
    for (uint32_t i = 0; i < st->text.count; i++)
        put_value(&db->args, &st->values[i]);
    return ex_pg_send(db->pg, ex_slice_of(st->text.sql.ptr, st->text.len), &db->args, err);
}

static ex_status queue(ex_sql_stmt *st, ex_error *err)
{
    pg_db *db = st->db->conn;
    ex_status status = send(st, err);
    if (status)
        return status;
    db->queued++;
    return db->queued >= QUEUED_MAX ? flush(db, err) : EX_OK;
}

/* A type that column() would hand out as bytes nobody can read. */
static ex_status check_types(const ex_pg_result *r, ex_error *err)
{
    for (int i = 0; i < r->columns; i++) {
        switch (ex_pg_result_type(r, i)) {
        case EX_PG_BOOL:
        case EX_PG_BYTEA:
        case EX_PG_INT8:
        case EX_PG_INT2:
        case EX_PG_INT4:
        case EX_PG_TEXT:
        case EX_PG_FLOAT4:
        case EX_PG_FLOAT8:
        case EX_PG_UUID:
        case OID_NAME:
        case OID_OID:
        case OID_JSON:
        case OID_UNKNOWN:
        case OID_BPCHAR:
        case OID_VARCHAR:
        case OID_NUMERIC:
        case OID_JSONB:
        case 2278: /* void, of a function called for its effect */
            break;
        default:
            return ex_raise(err, EX_EINVAL,
                            "column \"%s\" has a type that needs a cast, to text say",
                            ex_pg_result_name(r, i));
        }
    }
    return EX_OK;
}

static ex_status start(ex_sql_stmt *st, ex_error *err)
{
    pg_db *db = st->db->conn;
    pg_rows *rows = st->impl;
    ex_status status = send(st, err);
    if (status)
        return status;
    uint32_t queued = db->queued;
    db->queued = 0;
    status = ex_pg_sync(db->pg, err);
    for (; queued > 0 && !status; queued--)
        status = ex_pg_recv(db->pg, NULL, err);
    status = status ? status : ex_pg_recv(db->pg, &rows->result, err);
    if (status)
        return status;
    rows->row = -1;
    st->columns = (uint32_t)rows->result.columns;
    st->affected = rows->result.columns ? 0 : rows->result.affected;
    return check_types(&rows->result, err);
}

static ex_status step(ex_sql_stmt *st, ex_error *err)
{
    pg_rows *rows = st->impl;
    (void)err; /* all rows are here */
    return ++rows->row < rows->result.rows ? EX_OK : EX_EEND;
}

static ex_sql_value column(const ex_sql_stmt *st, uint32_t column)
{
    const pg_rows *rows = st->impl;
    const ex_pg_result *r = &rows->result;
    int row = rows->row, i = (int)column;
    if (ex_pg_is_null(r, row, i))
        return (ex_sql_value){.type = EX_SQL_TEXT, .is_null = true};
    ex_slice bytes = ex_pg_get_slice(r, row, i);
    switch (ex_pg_result_type(r, i)) {
    case EX_PG_BOOL:
        return (ex_sql_value){.type = EX_SQL_BOOL, .as.boolean = ex_pg_get_bool(r, row, i)};
    case EX_PG_INT8:
    case EX_PG_INT2:
    case EX_PG_INT4:
        return (ex_sql_value){.type = EX_SQL_I64, .as.i64 = ex_pg_get_i64(r, row, i)};
    case OID_OID:
        return (ex_sql_value){.type = EX_SQL_I64, .as.i64 = (uint32_t)ex_pg_get_i64(r, row, i)};
    case EX_PG_FLOAT4:
    case EX_PG_FLOAT8:
        return (ex_sql_value){.type = EX_SQL_F64, .as.f64 = ex_pg_get_f64(r, row, i)};
    case OID_NUMERIC:
        return pg_numeric(bytes);
    case EX_PG_BYTEA:
    case EX_PG_UUID:
        return (ex_sql_value){.type = EX_SQL_BLOB, .as.bytes = bytes};
    case OID_JSONB: /* a version byte, then text */
        return (ex_sql_value){.type = EX_SQL_TEXT, .as.bytes = {bytes.ptr + 1, bytes.len - 1}};
    default:
        return (ex_sql_value){.type = EX_SQL_TEXT, .as.bytes = bytes};
    }
}

static ex_sql_column_info describe(const ex_sql_stmt *st, uint32_t column)
{
    const pg_rows *rows = st->impl;
    ex_sql_column_info info = {.name = ex_pg_result_name(&rows->result, (int)column),
                               .is_known = true,
                               .type = EX_SQL_TEXT};
    switch (ex_pg_result_type(&rows->result, (int)column)) {
    case EX_PG_BOOL:
        info.type = EX_SQL_BOOL;
        break;
    case EX_PG_INT8:
    case EX_PG_INT2:
    case EX_PG_INT4:
    case OID_OID:
        info.type = EX_SQL_I64;
        break;
    case EX_PG_FLOAT4:
    case EX_PG_FLOAT8:
        info.type = EX_SQL_F64;
        break;
    case EX_PG_BYTEA:
    case EX_PG_UUID:
        info.type = EX_SQL_BLOB;
        break;
    case OID_NUMERIC: /* a whole number or a double, as its value is */
        info.type = EX_SQL_I64;
        info.is_known = false;
        break;
    default:
        break;
    }
    return info;
}

static ex_status script(void *conn, const char *sql, ex_error *err)
{
    pg_db *db = conn;
    (void)flush(db, NULL); /* only a rollback comes with some left, all of what it undoes */
    return ex_pg_script(db->pg, sql, err);
}

static bool has_tx(const void *conn)
{
    const pg_db *db = conn;
    ex_pg_tx tx = ex_pg_tx_state(db->pg);
    return tx != EX_PG_TX_BROKEN && (db->queued > 0 || tx != EX_PG_TX_NONE);
}

const sql_ops sql_postgres_ops = {
    .engine = EX_SQL_POSTGRES,
    .prefix = '$',
    .open = open_db,
    .close = close_db,
    .is_broken = is_broken,
    .check = check,
    .ping = ping,
    .cancel = cancel,
    .uncancel = uncancel,
    .prepare = prepare,
    .finalize = finalize,
    .start = start,
    .step = step,
    .queue = queue,
    .flush = flush,
    .reset = reset,
    .column = column,
    .describe = describe,
    .script = script,
    .has_tx = has_tx,
};

ex_status ex_sql_on_pg(ex_pg *pg, ex_sql **ret, ex_error *err)
{
    pg_db *db = calloc(1, sizeof(*db));
    if (!db)
        return ex_raise(err, EX_ENOMEM, "no memory for a connection");
    ex_pg_args_init(&db->args);
    db->pg = pg;
    db->is_borrowed = true;
    ex_status st = sql_wrap(&sql_postgres_ops, db, ret, err);
    if (st)
        close_db(db);
    return st;
}
