/* row.c: a row type as an SQL table. */
#include "runtime/row.h"

#include "runtime/type_field.h"

#include <excore/clock.h>

/* ---- SQL ---- */

ex_slice row_table_name(const ex_type *row, char out[ROW_NAME_SIZE])
{
    size_t n = 0;
    for (const char *p = row->name; *p && n < ROW_NAME_SIZE - 2; p++) {
        bool is_upper = *p >= 'A' && *p <= 'Z';
        if (is_upper && n)
            out[n++] = '_';
        out[n++] = is_upper ? (char)(*p - 'A' + 'a') : *p;
    }
    out[n] = '\0';
    return ex_slice_of(out, n);
}

static const char *column_type(const ex_field *f)
{
    switch (f->kind) {
    case EX_KIND_BOOL:
    case EX_KIND_OPT_BOOL:
    case EX_KIND_I32:
    case EX_KIND_U32:
    case EX_KIND_I64:
    case EX_KIND_U64:
    case EX_KIND_OPT_I64:
    case EX_KIND_TIME:
        return "INTEGER";
    case EX_KIND_DOUBLE:
    case EX_KIND_OPT_DOUBLE:
        return "REAL";
    default:
        return "TEXT";
    }
}

static void put_table(const ex_type *row, ex_buf *out)
{
    char name[ROW_NAME_SIZE];
    ex_buf_put(out, row_table_name(row, name));
}

static void put_key(const ex_type *row, ex_buf *out)
{
    for (uint32_t i = 0; i < row->field_count; i++)
        if (row->fields[i].is_key)
            ex_buf_put_str(out, row->fields[i].name);
}

void row_sql_columns(const ex_type *row, ex_buf *out)
{
    for (uint32_t i = 0; i < row->field_count; i++)
        ex_buf_printf(out, "%s%s", i ? ", " : "", row->fields[i].name);
}

void row_sql_create(const ex_type *row, ex_buf *out)
{
    ex_buf_put_str(out, "CREATE TABLE ");
    put_table(row, out);
    ex_buf_put_str(out, " (");
    for (uint32_t i = 0; i < row->field_count; i++) {
        const ex_field *f = &row->fields[i];
        ex_buf_printf(out, "%s%s %s%s%s", i ? ", " : "", f->name, column_type(f),
                      type_is_optional(f) ? "" : " NOT NULL", f->is_key ? " PRIMARY KEY" : "");
    }
    ex_buf_put_str(out, ") STRICT, WITHOUT ROWID");
}

void row_sql_upsert(const ex_type *row, ex_buf *out)
{
    ex_buf_put_str(out, "INSERT OR REPLACE INTO ");
    put_table(row, out);
    ex_buf_put_str(out, " (");
    row_sql_columns(row, out);
    ex_buf_put_str(out, ") VALUES (");
    for (uint32_t i = 0; i < row->field_count; i++)
        ex_buf_put_str(out, i ? ", ?" : "?");
    ex_buf_put_str(out, ")");
}

void row_sql_select(const ex_type *row, ex_buf *out)
{
    ex_buf_put_str(out, "SELECT ");
    row_sql_columns(row, out);
    ex_buf_put_str(out, " FROM ");
    put_table(row, out);
    ex_buf_put_str(out, " WHERE ");
    put_key(row, out);
    ex_buf_put_str(out, " = ?");
}

void row_sql_delete(const ex_type *row, ex_buf *out)
{
    ex_buf_put_str(out, "DELETE FROM ");
    put_table(row, out);
    ex_buf_put_str(out, " WHERE ");
    put_key(row, out);
    ex_buf_put_str(out, " = ?");
}

/* ---- Struct to parameters ---- */

static int bind_text(sqlite3_stmt *st, int at, ex_slice s)
{
    return sqlite3_bind_text(st, at, s.ptr ? s.ptr : "", (int)s.len, SQLITE_STATIC);
}

/* The member as JSON: the whole struct written with a type of this one field would carry its name.
 */
static int bind_json(const ex_field *f, const void *member, sqlite3_stmt *st, int at,
                     ex_arena *arena)
{
    ex_buf json;
    ex_buf_init(&json, 0);
    type_write_member(f, member, &json);
    ex_slice copy =
        ex_buf_status(&json) ? (ex_slice){NULL, 0} : ex_arena_copy(arena, ex_buf_slice(&json));
    ex_buf_done(&json);
    return copy.ptr ? bind_text(st, at, copy) : SQLITE_NOMEM;
}

static int bind_member(const ex_field *f, const void *member, sqlite3_stmt *st, int at,
                       ex_arena *arena)
{
    if (type_is_absent(f, member))
        return sqlite3_bind_null(st, at);
    switch (f->kind) {
    case EX_KIND_BOOL:
        return sqlite3_bind_int(st, at, *(const bool *)member);
    case EX_KIND_OPT_BOOL:
        return sqlite3_bind_int(st, at, ((const ex_opt_bool *)member)->value);
    case EX_KIND_I32:
        return sqlite3_bind_int64(st, at, *(const int32_t *)member);
    case EX_KIND_U32:
        return sqlite3_bind_int64(st, at, *(const uint32_t *)member);
    case EX_KIND_I64:
        return sqlite3_bind_int64(st, at, *(const int64_t *)member);
    case EX_KIND_U64:
        return *(const uint64_t *)member > INT64_MAX
                   ? SQLITE_RANGE
                   : sqlite3_bind_int64(st, at, (sqlite3_int64) * (const uint64_t *)member);
    case EX_KIND_OPT_I64:
        return sqlite3_bind_int64(st, at, ((const ex_opt_i64 *)member)->value);
    case EX_KIND_TIME:
        return sqlite3_bind_int64(st, at, ((const ex_time *)member)->us);
    case EX_KIND_DOUBLE:
        return sqlite3_bind_double(st, at, *(const double *)member);
    case EX_KIND_OPT_DOUBLE:
        return sqlite3_bind_double(st, at, ((const ex_opt_double *)member)->value);
    case EX_KIND_TEXT:
        return bind_text(st, at, *(const ex_slice *)member);
    case EX_KIND_OPT_TEXT:
        return bind_text(st, at, ((const ex_opt_text *)member)->value);
    case EX_KIND_ENUM:
        return bind_text(st, at, ex_str(ex_enum_text(f->enum_type, *(const int *)member)));
    default:
        return bind_json(f, member, st, at, arena);
    }
}

ex_status row_bind(const ex_type *row, const void *value, sqlite3_stmt *st, bool by_name,
                   ex_arena *arena, ex_error *err)
{
    for (uint32_t i = 0; i < row->field_count; i++) {
        const ex_field *f = &row->fields[i];
        int at = (int)i + 1;
        if (by_name) {
            char name[ROW_NAME_SIZE] = ":";
            memcpy(name + 1, f->name, strlen(f->name) + 1); /* at most 63, see ex_type_check */
            at = sqlite3_bind_parameter_index(st, name);
            if (at == 0)
                continue;
        }
        int rc = bind_member(f, (const char *)value + f->offset, st, at, arena);
        if (rc)
            return ex_raise(err, rc == SQLITE_RANGE ? EX_EINVAL : EX_ENOMEM,
                            "%s.%s cannot be stored: %s", row->name, f->name, sqlite3_errstr(rc));
    }
    return EX_OK;
}

/* ---- Row to struct ---- */

static ex_slice column_text(sqlite3_stmt *st, int column)
{
    const void *ptr = sqlite3_column_text(st, column); /* before _bytes: it may convert */
    return ex_slice_of(ptr, (size_t)sqlite3_column_bytes(st, column));
}

static bool read_text(sqlite3_stmt *st, int column, ex_arena *arena, ex_slice *out)
{
    *out = ex_arena_copy(arena, column_text(st, column));
    return out->ptr != NULL;
}

static bool read_enum(const ex_field *f, ex_slice text, int *out)
{
    for (uint32_t i = 0; i < f->enum_type->count; i++) {
        if (ex_slice_is(text, f->enum_type->names[i])) {
            *out = (int)i;
            return true;
        }
    }
    return false;
}

static bool read_json(const ex_field *f, sqlite3_stmt *st, int column, ex_arena *arena, void *out)
{
    ex_slice text = ex_arena_copy(arena, column_text(st, column));
    ex_json json;
    return text.ptr && ex_json_parse(text, arena, NULL, &json, NULL) == EX_OK &&
           type_read_member(f, &json, arena, out) == EX_OK;
}

static bool read_column(const ex_field *f, sqlite3_stmt *st, int column, ex_arena *arena, void *out)
{
    bool is_null = sqlite3_column_type(st, column) == SQLITE_NULL;
    if (is_null)
        return type_is_optional(f);
    switch (f->kind) {
    case EX_KIND_BOOL:
        *(bool *)out = sqlite3_column_int(st, column) != 0;
        return true;
    case EX_KIND_OPT_BOOL:
        *(ex_opt_bool *)out = (ex_opt_bool){true, sqlite3_column_int(st, column) != 0};
        return true;
    case EX_KIND_I32:
        *(int32_t *)out = sqlite3_column_int(st, column);
        return true;
    case EX_KIND_U32:
        *(uint32_t *)out = (uint32_t)sqlite3_column_int64(st, column);
        return true;
    case EX_KIND_I64:
    case EX_KIND_TIME:
        *(int64_t *)out = sqlite3_column_int64(st, column);
        return true;
    case EX_KIND_U64:
        *(uint64_t *)out = (uint64_t)sqlite3_column_int64(st, column);
        return true;
    case EX_KIND_OPT_I64:
        *(ex_opt_i64 *)out = (ex_opt_i64){true, sqlite3_column_int64(st, column)};
        return true;
    case EX_KIND_DOUBLE:
        *(double *)out = sqlite3_column_double(st, column);
        return true;
    case EX_KIND_OPT_DOUBLE:
        *(ex_opt_double *)out = (ex_opt_double){true, sqlite3_column_double(st, column)};
        return true;
    case EX_KIND_TEXT:
        return read_text(st, column, arena, out);
    case EX_KIND_OPT_TEXT:
        ((ex_opt_text *)out)->is_set = true;
        return read_text(st, column, arena, &((ex_opt_text *)out)->value);
    case EX_KIND_ENUM:
        return read_enum(f, column_text(st, column), out);
    default:
        return read_json(f, st, column, arena, out);
    }
}

ex_status row_read(const ex_type *row, sqlite3_stmt *st, ex_arena *arena, void *ret, ex_error *err)
{
    memset(ret, 0, row->size);
    for (uint32_t i = 0; i < row->field_count; i++) {
        const ex_field *f = &row->fields[i];
        if (!read_column(f, st, (int)i, arena, (char *)ret + f->offset))
            return ex_raise(err, ex_arena_has_failed(arena) ? EX_ENOMEM : EX_ECORRUPT,
                            "the stored %s.%s does not fit its type", row->name, f->name);
    }
    return EX_OK;
}

/* ---- Row to JSON ---- */

static void write_column(const ex_field *f, sqlite3_stmt *st, int column, ex_buf *out)
{
    char time[EX_TIME_TEXT_SIZE];
    switch (f->kind) {
    case EX_KIND_BOOL:
    case EX_KIND_OPT_BOOL:
        ex_buf_put(out, sqlite3_column_int(st, column) ? EX_S("true") : EX_S("false"));
        return;
    case EX_KIND_I32:
    case EX_KIND_U32:
    case EX_KIND_I64:
    case EX_KIND_U64:
    case EX_KIND_OPT_I64:
        ex_buf_put_i64(out, sqlite3_column_int64(st, column));
        return;
    case EX_KIND_DOUBLE:
    case EX_KIND_OPT_DOUBLE:
        ex_json_put_double(out, sqlite3_column_double(st, column));
        return;
    case EX_KIND_TIME:
        ex_json_put_string(out, ex_time_text(sqlite3_column_int64(st, column), time));
        return;
    case EX_KIND_TEXT:
    case EX_KIND_OPT_TEXT:
    case EX_KIND_ENUM:
        ex_json_put_string(out, column_text(st, column));
        return;
    default:
        ex_buf_put(out, column_text(st, column));
        return;
    }
}

void row_write_json(const ex_type *row, sqlite3_stmt *st, ex_buf *out)
{
    bool is_first = true;
    ex_buf_put_char(out, '{');
    for (uint32_t i = 0; i < row->field_count; i++) {
        const ex_field *f = &row->fields[i];
        if (sqlite3_column_type(st, (int)i) == SQLITE_NULL)
            continue;
        ex_buf_put(out, is_first ? EX_S("\"") : EX_S(",\""));
        ex_buf_put_str(out, f->name);
        ex_buf_put(out, EX_S("\":"));
        write_column(f, st, (int)i, out);
        is_first = false;
    }
    ex_buf_put_char(out, '}');
}
