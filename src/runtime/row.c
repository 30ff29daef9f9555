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

ex_sql_type row_column_type(const ex_field *f)
{
    switch (f->kind) {
    case EX_KIND_BOOL:
    case EX_KIND_OPT_BOOL:
        return EX_SQL_BOOL;
    case EX_KIND_I32:
    case EX_KIND_U32:
    case EX_KIND_I64:
    case EX_KIND_U64:
    case EX_KIND_OPT_I64:
    case EX_KIND_TIME:
        return EX_SQL_I64;
    case EX_KIND_DOUBLE:
    case EX_KIND_OPT_DOUBLE:
        return EX_SQL_F64;
    default:
        return EX_SQL_TEXT;
    }
}

void row_sql_name(ex_slice name, ex_buf *out)
{
    ex_buf_printf(out, "\"%.*s\"", EX_ARG(name));
}

static void put_table(const ex_type *row, ex_buf *out)
{
    char name[ROW_NAME_SIZE];
    row_sql_name(row_table_name(row, name), out);
}

uint32_t row_key_column(const ex_type *row)
{
    uint32_t i = 0;
    while (!row->fields[i].is_key) /* the registry sees to it that there is one */
        i++;
    return i;
}

static void put_key(const ex_type *row, ex_buf *out)
{
    row_sql_name(ex_str(row->fields[row_key_column(row)].name), out);
}

bool row_index_next(const char **at, row_index_column *ret)
{
    const char *item = *at;
    if (!*item)
        return false;
    size_t len = strcspn(item, ",");
    *at = item + len + (item[len] == ',');
    for (; len > 0 && *item == ' '; item++)
        len--;
    while (len > 0 && item[len - 1] == ' ')
        len--;
    size_t name = strcspn(item, " ,");
    ex_slice order = {item + name, len > name ? len - name : 0};
    ret->is_descending = ex_slice_is(order, " DESC");
    bool is_fine = order.len == 0 || ret->is_descending || ex_slice_is(order, " ASC");
    ret->name = ex_slice_of(item, is_fine && name < len ? name : len); /* else all that was said */
    return true;
}

void row_sql_columns(const ex_type *row, ex_buf *out)
{
    for (uint32_t i = 0; i < row->field_count; i++) {
        ex_buf_put_str(out, i ? ", " : "");
        row_sql_name(ex_str(row->fields[i].name), out);
    }
}

void row_sql_create(ex_sql_engine engine, const ex_type *row, ex_buf *out)
{
    ex_buf_put_str(out, "CREATE TABLE ");
    put_table(row, out);
    ex_buf_put_str(out, " (");
    for (uint32_t i = 0; i < row->field_count; i++) {
        const ex_field *f = &row->fields[i];
        ex_buf_put_str(out, i ? ", " : "");
        row_sql_name(ex_str(f->name), out);
        ex_buf_printf(out, " %s%s%s", ex_sql_type_name(engine, row_column_type(f)),
                      type_is_optional(f) ? "" : " NOT NULL", f->is_key ? " PRIMARY KEY" : "");
    }
    ex_buf_printf(out, ")%s", ex_sql_table_suffix(engine));
}

static void put_replace(const ex_type *row, ex_buf *out)
{
    const char *separator = " DO UPDATE SET ";
    ex_buf_put_str(out, " ON CONFLICT (");
    put_key(row, out);
    ex_buf_put_str(out, row->field_count == 1 ? ") DO NOTHING" : ")");
    for (uint32_t i = 0; i < row->field_count; i++) {
        if (row->fields[i].is_key)
            continue;
        ex_buf_put_str(out, separator);
        row_sql_name(ex_str(row->fields[i].name), out);
        ex_buf_put_str(out, " = excluded.");
        row_sql_name(ex_str(row->fields[i].name), out);
        separator = ", ";
    }
}

static void put_insert(const char *verb, const ex_type *row, ex_buf *out)
{
    ex_buf_put_str(out, verb);
    put_table(row, out);
    ex_buf_put_str(out, " (");
    row_sql_columns(row, out);
    ex_buf_put_str(out, ") ");
}

void row_sql_upsert(ex_sql_engine engine, const ex_type *row, ex_buf *out)
{
    bool is_sqlite = engine == EX_SQL_SQLITE; /* has a shorter word for it, and a faster way */
    put_insert(is_sqlite ? "INSERT OR REPLACE INTO " : "INSERT INTO ", row, out);
    ex_buf_put_str(out, "VALUES (");
    for (uint32_t i = 0; i < row->field_count; i++)
        ex_buf_printf(out, i ? ", $%u" : "$%u", i + 1);
    ex_buf_put_str(out, ")");
    if (!is_sqlite)
        put_replace(row, out);
}

void row_sql_upsert_all(ex_sql_engine engine, const ex_type *row, ex_buf *out)
{
    (void)engine;
    put_insert("INSERT INTO ", row, out);
    ex_buf_put_str(out, "SELECT * FROM unnest(");
    for (uint32_t i = 0; i < row->field_count; i++)
        ex_buf_printf(out, i ? ", $%u" : "$%u", i + 1);
    ex_buf_put_str(out, ")");
    put_replace(row, out);
}

static void put_select(const ex_type *row, ex_buf *out)
{
    ex_buf_put_str(out, "SELECT ");
    row_sql_columns(row, out);
    ex_buf_put_str(out, " FROM ");
    put_table(row, out);
}

static void put_where_key(const ex_type *row, const char *condition, ex_buf *out)
{
    ex_buf_put_str(out, " WHERE ");
    put_key(row, out);
    ex_buf_put_str(out, condition);
}

void row_sql_select(ex_sql_engine engine, const ex_type *row, ex_buf *out)
{
    (void)engine; /* the same on all */
    put_select(row, out);
    put_where_key(row, " = $1", out);
}

void row_sql_select_all(ex_sql_engine engine, const ex_type *row, ex_buf *out)
{
    (void)engine;
    put_select(row, out);
    put_where_key(row, " = ANY($1)", out);
}

static void put_delete(const ex_type *row, ex_buf *out)
{
    ex_buf_put_str(out, "DELETE FROM ");
    put_table(row, out);
}

void row_sql_delete(ex_sql_engine engine, const ex_type *row, ex_buf *out)
{
    (void)engine; /* the same on all */
    put_delete(row, out);
    put_where_key(row, " = $1", out);
}

void row_sql_delete_all(ex_sql_engine engine, const ex_type *row, ex_buf *out)
{
    (void)engine;
    put_delete(row, out);
    put_where_key(row, " = ANY($1)", out);
}

/* ---- Struct to values ---- */

static ex_sql_value text_value(ex_slice s)
{
    return (ex_sql_value){.type = EX_SQL_TEXT, .as.bytes = s};
}

static ex_sql_value i64_value(int64_t n)
{
    return (ex_sql_value){.type = EX_SQL_I64, .as.i64 = n};
}

static ex_sql_value bool_value(bool b)
{
    return (ex_sql_value){.type = EX_SQL_BOOL, .as.boolean = b};
}

/* SQLite keeps a whole number as an integer, which has no minus zero. */
static ex_sql_value f64_value(double n)
{
    return (ex_sql_value){.type = EX_SQL_F64, .as.f64 = n == 0 ? 0.0 : n};
}

/* The member as JSON: the whole struct written with a type of this one field would carry its name.
 */
static ex_status json_value(const ex_field *f, const void *member, ex_arena *arena,
                            ex_sql_value *out)
{
    ex_buf json;
    ex_buf_init(&json, 0);
    type_write_member(f, member, &json);
    ex_slice copy =
        ex_buf_status(&json) ? (ex_slice){NULL, 0} : ex_arena_copy(arena, ex_buf_slice(&json));
    ex_buf_done(&json);
    *out = text_value(copy);
    return copy.ptr ? EX_OK : EX_ENOMEM;
}

static ex_status member_value(const ex_field *f, const void *member, ex_arena *arena,
                              ex_sql_value *out)
{
    if (type_is_absent(f, member)) {
        *out = (ex_sql_value){.type = row_column_type(f), .is_null = true};
        return EX_OK;
    }
    switch (f->kind) {
    case EX_KIND_BOOL:
        *out = bool_value(*(const bool *)member);
        return EX_OK;
    case EX_KIND_OPT_BOOL:
        *out = bool_value(((const ex_opt_bool *)member)->value);
        return EX_OK;
    case EX_KIND_I32:
        *out = i64_value(*(const int32_t *)member);
        return EX_OK;
    case EX_KIND_U32:
        *out = i64_value(*(const uint32_t *)member);
        return EX_OK;
    case EX_KIND_I64:
        *out = i64_value(*(const int64_t *)member);
        return EX_OK;
    case EX_KIND_U64:
        *out = i64_value((int64_t) * (const uint64_t *)member);
        return *(const uint64_t *)member > INT64_MAX ? EX_EINVAL : EX_OK;
    case EX_KIND_OPT_I64:
        *out = i64_value(((const ex_opt_i64 *)member)->value);
        return EX_OK;
    case EX_KIND_TIME:
        *out = i64_value(((const ex_time *)member)->us);
        return EX_OK;
    case EX_KIND_DOUBLE:
        *out = f64_value(*(const double *)member);
        return EX_OK;
    case EX_KIND_OPT_DOUBLE:
        *out = f64_value(((const ex_opt_double *)member)->value);
        return EX_OK;
    case EX_KIND_TEXT:
        *out = text_value(*(const ex_slice *)member);
        return EX_OK;
    case EX_KIND_OPT_TEXT:
        *out = text_value(((const ex_opt_text *)member)->value);
        return EX_OK;
    case EX_KIND_ENUM:
        *out = text_value(ex_str(ex_enum_text(f->enum_type, *(const int *)member)));
        return EX_OK;
    default:
        return json_value(f, member, arena, out);
    }
}

static ex_status field_value(const ex_type *row, uint32_t i, const void *value, ex_arena *arena,
                             ex_sql_value *out, ex_error *err)
{
    const ex_field *f = &row->fields[i];
    ex_status st = member_value(f, (const char *)value + f->offset, arena, out);
    if (!st)
        return EX_OK;
    return ex_raise(err, st, "%s.%s cannot be stored: %s", row->name, f->name,
                    st == EX_EINVAL ? "the number is too large" : "out of memory");
}

ex_status row_values(const ex_type *row, const void *value, ex_arena *arena, ex_sql_value *ret,
                     ex_error *err)
{
    ex_status st = EX_OK;
    for (uint32_t i = 0; !st && i < row->field_count; i++)
        st = field_value(row, i, value, arena, &ret[i], err);
    return st;
}

ex_status row_bind_names(const ex_type *row, const void *value, ex_sql_stmt *st, ex_arena *arena,
                         ex_error *err)
{
    for (uint32_t i = 0; i < row->field_count; i++) {
        uint32_t at = ex_sql_param(st, ex_str(row->fields[i].name));
        ex_sql_value v;
        if (at == 0)
            continue;
        ex_status status = field_value(row, i, value, arena, &v, err);
        if (status)
            return status;
        ex_sql_bind(st, at, v);
    }
    return EX_OK;
}

/* ---- Values to struct ---- */

static bool read_text(const ex_sql_value *v, ex_arena *arena, ex_slice *out)
{
    *out = ex_arena_copy(arena, v->as.bytes);
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

static bool read_json(const ex_field *f, const ex_sql_value *v, ex_arena *arena, void *out)
{
    ex_slice text = ex_arena_copy(arena, v->as.bytes);
    ex_json json;
    return text.ptr && ex_json_parse(text, arena, NULL, &json, NULL) == EX_OK &&
           type_read_member(f, &json, arena, out) == EX_OK;
}

/* The column's type is known, but SQLite gives a REAL and a BOOL as it likes. */
static bool fits(const ex_field *f, ex_sql_value *v)
{
    switch (row_column_type(f)) {
    case EX_SQL_BOOL:
        if (v->type == EX_SQL_I64)
            *v = bool_value(v->as.i64 != 0);
        return v->type == EX_SQL_BOOL;
    case EX_SQL_F64:
        if (v->type == EX_SQL_I64)
            *v = f64_value((double)v->as.i64);
        return v->type == EX_SQL_F64;
    case EX_SQL_I64:
        return v->type == EX_SQL_I64;
    default:
        return v->type == EX_SQL_TEXT;
    }
}

static bool read_value(const ex_field *f, const ex_sql_value *given, ex_arena *arena, void *out)
{
    ex_sql_value v = *given;
    if (v.is_null)
        return type_is_optional(f);
    if (!fits(f, &v))
        return false;
    switch (f->kind) {
    case EX_KIND_BOOL:
        *(bool *)out = v.as.boolean;
        return true;
    case EX_KIND_OPT_BOOL:
        *(ex_opt_bool *)out = (ex_opt_bool){true, v.as.boolean};
        return true;
    case EX_KIND_I32:
        *(int32_t *)out = (int32_t)v.as.i64;
        return v.as.i64 >= INT32_MIN && v.as.i64 <= INT32_MAX;
    case EX_KIND_U32:
        *(uint32_t *)out = (uint32_t)v.as.i64;
        return v.as.i64 >= 0 && v.as.i64 <= UINT32_MAX;
    case EX_KIND_I64:
    case EX_KIND_TIME:
        *(int64_t *)out = v.as.i64;
        return true;
    case EX_KIND_U64:
        *(uint64_t *)out = (uint64_t)v.as.i64;
        return v.as.i64 >= 0;
    case EX_KIND_OPT_I64:
        *(ex_opt_i64 *)out = (ex_opt_i64){true, v.as.i64};
        return true;
    case EX_KIND_DOUBLE:
        *(double *)out = v.as.f64;
        return true;
    case EX_KIND_OPT_DOUBLE:
        *(ex_opt_double *)out = (ex_opt_double){true, v.as.f64};
        return true;
    case EX_KIND_TEXT:
        return read_text(&v, arena, out);
    case EX_KIND_OPT_TEXT:
        ((ex_opt_text *)out)->is_set = true;
        return read_text(&v, arena, &((ex_opt_text *)out)->value);
    case EX_KIND_ENUM:
        return read_enum(f, v.as.bytes, out);
    default:
        return read_json(f, &v, arena, out);
    }
}

ex_status row_read(const ex_type *row, const ex_sql_value *values, ex_arena *arena, void *ret,
                   ex_error *err)
{
    memset(ret, 0, row->size);
    for (uint32_t i = 0; i < row->field_count; i++) {
        const ex_field *f = &row->fields[i];
        if (!read_value(f, &values[i], arena, (char *)ret + f->offset))
            return ex_raise(err, ex_arena_has_failed(arena) ? EX_ENOMEM : EX_ECORRUPT,
                            "the stored %s.%s does not fit its type", row->name, f->name);
    }
    return EX_OK;
}

/* ---- Row to JSON ---- */

/* A query's expression may give anything, on SQLite also where PostgreSQL knows the type. */
static bool fits_answer(const ex_field *f, ex_sql_value *v)
{
    bool is_number = v->type == EX_SQL_I64 || v->type == EX_SQL_F64;
    return row_column_type(f) == EX_SQL_F64 ? is_number : fits(f, v);
}

static void write_value(const ex_field *f, const ex_sql_value *v, ex_buf *out)
{
    char time[EX_TIME_TEXT_SIZE];
    switch (f->kind) {
    case EX_KIND_BOOL:
    case EX_KIND_OPT_BOOL:
        ex_buf_put(out, v->as.boolean ? EX_S("true") : EX_S("false"));
        return;
    case EX_KIND_I32:
    case EX_KIND_U32:
    case EX_KIND_I64:
    case EX_KIND_U64:
    case EX_KIND_OPT_I64:
        ex_buf_put_i64(out, v->as.i64);
        return;
    case EX_KIND_DOUBLE:
    case EX_KIND_OPT_DOUBLE:
        ex_json_put_double(out, v->type == EX_SQL_F64 ? v->as.f64 : (double)v->as.i64);
        return;
    case EX_KIND_TIME:
        ex_json_put_string(out, ex_time_text(v->as.i64, time));
        return;
    case EX_KIND_TEXT:
    case EX_KIND_OPT_TEXT:
    case EX_KIND_ENUM:
        ex_json_put_string(out, v->as.bytes);
        return;
    default:
        ex_buf_put(out, v->as.bytes);
        return;
    }
}

static ex_status raise_null(const ex_type *row, const ex_field *f, ex_error *err)
{
    return ex_raise(err, EX_EINTERNAL, "column %s is null in a row, and not optional in %s",
                    f->name, row->name);
}

ex_status row_write_json(const ex_type *row, const ex_sql_stmt *st, ex_buf *out, ex_error *err)
{
    bool is_first = true;
    ex_buf_put_char(out, '{');
    for (uint32_t i = 0; i < row->field_count; i++) {
        const ex_field *f = &row->fields[i];
        ex_sql_value v = ex_sql_column(st, i);
        if (v.is_null && type_is_optional(f))
            continue;
        if (v.is_null)
            return raise_null(row, f, err);
        if (!fits_answer(f, &v))
            return ex_raise(err, EX_EINTERNAL, "column %s is not of the kind that %s says", f->name,
                            row->name);
        ex_buf_put(out, is_first ? EX_S("\"") : EX_S(",\""));
        ex_buf_put_str(out, f->name);
        ex_buf_put(out, EX_S("\":"));
        write_value(f, &v, out);
        is_first = false;
    }
    ex_buf_put_char(out, '}');
    return EX_OK;
}
