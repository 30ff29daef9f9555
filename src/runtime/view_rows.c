/* view_rows.c: see view_rows.h. */
#include "runtime/view_rows.h"

#include "runtime/row.h"
#include "runtime/views.h"

#define KEPT_BYTES (16u << 20)
#define NAME_BYTES                                                                                 \
    512 /* of a table's number and a key; a longer one is put together in the arena */

struct view_row {
    view_row *next_changed, *next_wanted;
    ex_sql_value key;
    const ex_sql_value *values; /* NULL: there is no such row */
    uint32_t table;
    bool is_known; /* or only wanted */
    bool is_changed;
};

void view_rows_init(view_rows *rows)
{
    *rows = (view_rows){0};
    ex_map_init(&rows->map, 0);
    ex_arena_init(&rows->arena, KEPT_BYTES);
}

void view_rows_done(view_rows *rows)
{
    ex_map_done(&rows->map, NULL);
    ex_arena_done(&rows->arena);
}

void view_rows_forget(view_rows *rows)
{
    if (rows->map.count > 0) {
        ex_map_done(&rows->map, NULL);
        ex_map_init(&rows->map, 0);
    }
    ex_arena_reset(&rows->arena);
    rows->changed = rows->wanted = NULL;
    rows->changed_count = rows->wanted_count = 0;
}

/* ---- One row ---- */

/* The table's number, then the key: all of it, also after a NUL byte that an event may hold. */
static ex_slice name_of(ex_view_tx *tx, uint32_t table, ex_slice key, char small[NAME_BYTES])
{
    size_t len = sizeof(table) + key.len;
    char *name = len <= NAME_BYTES ? small : ex_arena_alloc(tx->arena, len);
    if (!name)
        return (ex_slice){NULL, 0};
    memcpy(name, &table, sizeof(table));
    if (key.len)
        memcpy(name + sizeof(table), key.ptr, key.len);
    return ex_slice_of(name, len);
}

static view_row *find(ex_view_tx *tx, uint32_t table, ex_slice key)
{
    char small[NAME_BYTES];
    ex_slice name = name_of(tx, table, key, small);
    return name.ptr ? ex_map_get(&tx->rows->map, name) : NULL;
}

static view_row *add(ex_view_tx *tx, uint32_t table, ex_slice key)
{
    char small[NAME_BYTES];
    ex_slice name = name_of(tx, table, key, small);
    view_row *row = ex_arena_alloc(&tx->rows->arena, sizeof(*row));
    if (!row || !name.ptr)
        return NULL;
    ex_slice copy = ex_arena_copy(&tx->rows->arena, key);
    *row = (view_row){.table = table, .key = {.type = EX_SQL_TEXT, .as.bytes = copy}};
    return copy.ptr && ex_map_put(&tx->rows->map, name, row, NULL) == EX_OK ? row : NULL;
}

static const ex_sql_value *copy_values(ex_arena *arena, const ex_sql_value *values, uint32_t count)
{
    ex_sql_value *copy = ex_arena_array(arena, count, sizeof(*copy));
    for (uint32_t i = 0; copy && i < count; i++) {
        copy[i] = values[i];
        if (values[i].type == EX_SQL_TEXT && !values[i].is_null)
            copy[i].as.bytes = ex_arena_copy(arena, values[i].as.bytes);
    }
    return ex_arena_has_failed(arena) ? NULL : copy;
}

/* NULL: there is no memory left for it. What the row was before stands. */
static view_row *set(ex_view_tx *tx, uint32_t table, ex_slice key, const ex_sql_value *values)
{
    const ex_sql_value *copy = NULL;
    view_row *row = find(tx, table, key);
    if (!row)
        row = add(tx, table, key);
    if (row && values)
        copy = copy_values(&tx->rows->arena, values, tx->def->tables[table].row->field_count);
    if (!row || (values && !copy))
        return NULL;
    row->values = copy;
    row->is_known = true;
    return row;
}

bool view_rows_find(ex_view_tx *tx, uint32_t table, ex_slice key, const ex_sql_value **ret)
{
    const view_row *row = find(tx, table, key);
    if (!row || !row->is_known)
        return false;
    *ret = row->values;
    return true;
}

static ex_status start_anew(ex_view_tx *tx)
{
    ex_status st = view_rows_write(tx);
    if (!st)
        view_rows_forget(tx->rows);
    return st;
}

void view_rows_remember(ex_view_tx *tx, uint32_t table, ex_slice key, const ex_sql_value *values)
{
    (void)set(tx, table, key, values); /* what finds no room is read again */
}

ex_status view_rows_change(ex_view_tx *tx, uint32_t table, ex_slice key, const ex_sql_value *values)
{
    view_row *row = set(tx, table, key, values);
    if (!row) {
        ex_status st = start_anew(tx);
        row = st ? NULL : set(tx, table, key, values);
        if (st)
            return st;
    }
    if (!row) {
        view_rows_forget(tx->rows);
        return EX_ETOOLARGE;
    }
    if (!row->is_changed) {
        row->is_changed = true;
        row->next_changed = tx->rows->changed;
        tx->rows->changed = row;
        tx->rows->changed_count++;
    }
    return EX_OK;
}

void view_rows_want(ex_view_tx *tx, uint32_t table, ex_slice key)
{
    view_row *row = find(tx, table, key) ? NULL : add(tx, table, key);
    if (!row)
        return;
    row->next_wanted = tx->rows->wanted;
    tx->rows->wanted = row;
    tx->rows->wanted_count++;
}

/* ---- Sets of rows ---- */

static ex_status no_memory(ex_view_tx *tx)
{
    return ex_raise(&tx->error, EX_ENOMEM, "no memory for the rows of view '%s'", tx->def->name);
}

static ex_status run_with_keys(ex_view_tx *tx, uint32_t table, uint32_t which,
                               const ex_sql_list *keys, ex_sql_stmt **ret)
{
    ex_status st = view_tx_prepare(tx, table, which, ret);
    if (!st)
        ex_sql_bind_list(*ret, 1, EX_SQL_TEXT, keys);
    return st;
}

/* False: a row found no room. */
static bool keep_rows(ex_view_tx *tx, uint32_t table, ex_sql_stmt *st, ex_sql_value *values,
                      ex_status *ret)
{
    const ex_type *type = tx->def->tables[table].row;
    uint32_t key = row_key_column(type);
    bool has_room = true;
    while (has_room && (*ret = ex_sql_step(st, &tx->error)) == EX_OK) {
        for (uint32_t i = 0; i < type->field_count; i++)
            values[i] = ex_sql_column(st, i);
        has_room = set(tx, table, values[key].as.bytes, values) != NULL;
    }
    ex_sql_reset(st);
    return has_room;
}

/* What is not found is not there. */
static ex_status read_table(ex_view_tx *tx, uint32_t table, view_row *wanted, uint32_t limit)
{
    ex_sql_stmt *st = NULL;
    const ex_sql_value **keys = ex_arena_array(tx->arena, limit, sizeof(*keys));
    ex_sql_value *values =
        ex_arena_array(tx->arena, tx->def->tables[table].row->field_count, sizeof(*values));
    if (!keys || !values)
        return no_memory(tx);
    ex_sql_list list = {.rows = keys};
    for (view_row *row = wanted; row; row = row->next_wanted)
        if (row->table == table)
            keys[list.count++] = &row->key;
    if (list.count == 0)
        return EX_OK;
    ex_status status = run_with_keys(tx, table, ROW_SELECT_ALL, &list, &st);
    if (status)
        return status;
    bool is_complete = keep_rows(tx, table, st, values, &status);
    for (view_row *row = wanted; row && is_complete && status == EX_EEND; row = row->next_wanted)
        row->is_known |= row->table == table;
    return status == EX_EEND ? EX_OK : status;
}

ex_status view_rows_read(ex_view_tx *tx)
{
    view_row *wanted = tx->rows->wanted;
    uint32_t count = tx->rows->wanted_count;
    ex_status st = EX_OK;
    tx->rows->wanted = NULL;
    tx->rows->wanted_count = 0;
    for (uint32_t i = 0; st == EX_OK && count > 0 && i < tx->def->table_count; i++)
        st = read_table(tx, i, wanted, count);
    return st;
}

static ex_status queue_upserts(ex_view_tx *tx, uint32_t table, const ex_sql_value *const *rows,
                               uint32_t count)
{
    const ex_type *type = tx->def->tables[table].row;
    ex_sql_stmt *st = NULL;
    ex_sql_list *columns = ex_arena_array(tx->arena, type->field_count, sizeof(*columns));
    ex_status status = columns ? view_tx_prepare(tx, table, ROW_UPSERT_ALL, &st) : no_memory(tx);
    if (status)
        return status;
    for (uint32_t i = 0; i < type->field_count; i++) {
        columns[i] = (ex_sql_list){.rows = rows, .column = i, .count = count};
        ex_sql_bind_list(st, i + 1, row_column_type(&type->fields[i]), &columns[i]);
    }
    return ex_sql_queue(st, &tx->error);
}

static ex_status queue_deletes(ex_view_tx *tx, uint32_t table, const ex_sql_value *const *rows,
                               uint32_t count)
{
    const ex_sql_list keys = {.rows = rows, .count = count};
    ex_sql_stmt *st = NULL;
    ex_status status = run_with_keys(tx, table, ROW_DELETE_ALL, &keys, &st);
    return status ? status : ex_sql_queue(st, &tx->error);
}

static ex_status write_table(ex_view_tx *tx, uint32_t table)
{
    uint32_t stored = 0, deleted = 0;
    uint32_t limit = tx->rows->changed_count;
    const ex_sql_value **rows = ex_arena_array(tx->arena, limit, sizeof(*rows));
    if (!rows)
        return no_memory(tx);
    for (view_row *row = tx->rows->changed; row; row = row->next_changed) {
        if (row->table == table && row->values)
            rows[stored++] = row->values;
        else if (row->table == table)
            rows[limit - ++deleted] = &row->key; /* from the end */
    }
    ex_status st = stored ? queue_upserts(tx, table, rows, stored) : EX_OK;
    if (!st && deleted)
        st = queue_deletes(tx, table, rows + limit - deleted, deleted);
    return st;
}

ex_status view_rows_write(ex_view_tx *tx)
{
    view_rows *rows = tx->rows;
    ex_status st = EX_OK;
    for (uint32_t i = 0; st == EX_OK && rows->changed_count > 0 && i < tx->def->table_count; i++)
        st = write_table(tx, i);
    for (view_row *row = rows->changed; row; row = row->next_changed)
        row->is_changed = false;
    rows->changed = NULL;
    rows->changed_count = 0;
    return st;
}
