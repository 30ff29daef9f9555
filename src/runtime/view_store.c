/* view_store.c: what a view keeps in views.db: its tables and its checkpoint. */
#include "kernel/fingerprint.h"
#include "runtime/row.h"
#include "runtime/views.h"

/* Everything the tables are made from: another definition means another shape. */
static uint64_t fingerprint_view(const ex_view_def *def, ex_buf *scratch)
{
    ex_buf_reset(scratch);
    for (uint32_t i = 0; i < def->table_count; i++)
        row_sql_create(def->tables[i], scratch);
    for (uint32_t i = 0; i < def->index_count; i++)
        ex_buf_put_str(scratch, def->indexes[i]);
    return ex_fingerprint(EX_FINGERPRINT_START, ex_buf_slice(scratch));
}

static ex_status exec_buf(ex_db *db, ex_buf *sql, ex_error *err)
{
    ex_buf_put_char(sql, '\0');
    if (ex_buf_status(sql))
        return ex_raise(err, ex_buf_status(sql), "no memory for a statement");
    return ex_db_exec(db, sql->ptr, err);
}

static ex_status create_tables(ex_db *db, const ex_view_def *def, ex_buf *sql, ex_error *err)
{
    char table[ROW_NAME_SIZE];
    ex_status st = EX_OK;
    for (uint32_t i = 0; !st && i < def->table_count; i++) {
        ex_buf_reset(sql);
        ex_buf_printf(sql, "DROP TABLE IF EXISTS %s;", row_table_name(def->tables[i], table).ptr);
        row_sql_create(def->tables[i], sql);
        st = exec_buf(db, sql, err);
    }
    for (uint32_t i = 0; !st && i < def->index_count; i++) {
        ex_slice name = row_table_name(def->tables[0], table);
        ex_buf_reset(sql);
        ex_buf_printf(sql, "CREATE INDEX %.*s_%u ON %.*s (%s)", EX_ARG(name), i + 1, EX_ARG(name),
                      def->indexes[i]);
        st = exec_buf(db, sql, err);
    }
    return st;
}

static ex_status write_checkpoint(ex_db *db, const ex_view_def *def, uint64_t fingerprint,
                                  uint64_t position, ex_error *err)
{
    sqlite3_stmt *st = NULL;
    ex_status status = ex_db_statement(
        db,
        EX_S("INSERT OR REPLACE INTO excore_views (view, version, fingerprint, position)"
             " VALUES (?1, ?2, ?3, ?4)"),
        &st, err);
    if (status)
        return status;
    sqlite3_bind_text(st, 1, def->name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, 2, def->version);
    sqlite3_bind_int64(st, 3, (sqlite3_int64)fingerprint);
    sqlite3_bind_int64(st, 4, (sqlite3_int64)position);
    return ex_db_run(db, st, err);
}

static ex_status find_checkpoint(ex_db *db, const ex_view_def *def, uint64_t fingerprint,
                                 bool *ret_found, uint64_t *ret_position, ex_error *err)
{
    sqlite3_stmt *st = NULL;
    ex_status status = ex_db_statement(
        db, EX_S("SELECT version, fingerprint, position FROM excore_views WHERE view = ?1"), &st,
        err);
    if (status)
        return status;
    sqlite3_bind_text(st, 1, def->name, -1, SQLITE_STATIC);
    status = ex_db_step(db, st, err);
    *ret_found = status == EX_OK && sqlite3_column_int64(st, 0) == def->version &&
                 (uint64_t)sqlite3_column_int64(st, 1) == fingerprint;
    *ret_position = *ret_found ? (uint64_t)sqlite3_column_int64(st, 2) : 0;
    if (status == EX_OK)
        (void)sqlite3_reset(st); /* a read: its failure was told by step */
    return status == EX_EEND ? EX_OK : status;
}

static ex_status recreate(views *v, const ex_view_def *def, uint64_t fingerprint, ex_buf *sql,
                          ex_error *err)
{
    ex_db *db = &v->writer;
    ex_status st = ex_db_exec(db, "BEGIN IMMEDIATE", err);
    st = st ? st : create_tables(db, def, sql, err);
    st = st ? st : view_parked_forget(v, def, err);
    st = st ? st : write_checkpoint(db, def, fingerprint, 0, err);
    st = st ? st : ex_db_exec(db, "COMMIT", err);
    if (st)
        ex_db_rollback(db);
    return st;
}

ex_status view_store_prepare(views *v, const ex_view_def *def, bool must_rebuild,
                             uint64_t *ret_position, ex_error *err)
{
    ex_buf sql;
    ex_buf_init(&sql, 0);
    uint64_t fingerprint = fingerprint_view(def, &sql);
    bool is_found = false;
    uint64_t position = 0;
    ex_status st = find_checkpoint(&v->writer, def, fingerprint, &is_found, &position, err);
    if (!st && (must_rebuild || !is_found)) {
        position = 0;
        st = recreate(v, def, fingerprint, &sql, err);
    }
    ex_buf_done(&sql);
    if (!st)
        *ret_position = position;
    return st ? ex_error_context(err, st, "view '%s'", def->name) : EX_OK;
}

ex_status view_store_checkpoint(views *v, const ex_view_def *def, uint64_t position, ex_error *err)
{
    sqlite3_stmt *st = NULL;
    ex_status status = ex_db_statement(
        &v->writer, EX_S("UPDATE excore_views SET position = ?1 WHERE view = ?2"), &st, err);
    if (status)
        return status;
    sqlite3_bind_int64(st, 1, (sqlite3_int64)position);
    sqlite3_bind_text(st, 2, def->name, -1, SQLITE_STATIC);
    return ex_db_run(&v->writer, st, err);
}

ex_status view_store_position(ex_db *db, const ex_view_def *def, uint64_t *ret, ex_error *err)
{
    sqlite3_stmt *st = NULL;
    ex_status status =
        ex_db_statement(db, EX_S("SELECT position FROM excore_views WHERE view = ?1"), &st, err);
    if (status)
        return status;
    sqlite3_bind_text(st, 1, def->name, -1, SQLITE_STATIC);
    status = ex_db_step(db, st, err);
    if (status && status != EX_EEND)
        return status;
    *ret = status == EX_OK ? (uint64_t)sqlite3_column_int64(st, 0) : 0;
    if (status == EX_OK)
        (void)sqlite3_reset(st); /* a read: its failure was told by step */
    return EX_OK;
}
