/* type_write.c: a struct as JSON, and deep copies of it, by its descriptor. */
#include "runtime/type_field.h"

#include <excore/clock.h>

static void write_time(int64_t us, ex_buf *out)
{
    char text[EX_TIME_TEXT_SIZE];
    ex_buf_put_char(out, '"');
    ex_buf_put(out, ex_time_text(us, text));
    ex_buf_put_char(out, '"');
}

static void write_list(const ex_field *f, const type_list *list, ex_buf *out)
{
    ex_buf_put_char(out, '[');
    for (uint32_t i = 0; i < list->count; i++) {
        if (i)
            ex_buf_put_char(out, ',');
        if (f->kind == EX_KIND_TEXTS)
            ex_json_put_string(out, ((const ex_slice *)list->items)[i]);
        else
            ex_type_write(f->type, (const char *)list->items + i * f->type->size, out);
    }
    ex_buf_put_char(out, ']');
}

static void write_bool(bool value, ex_buf *out)
{
    ex_buf_put(out, value ? EX_S("true") : EX_S("false"));
}

void type_write_member(const ex_field *f, const void *member, ex_buf *out)
{
    switch (f->kind) {
    case EX_KIND_BOOL:
        write_bool(*(const bool *)member, out);
        return;
    case EX_KIND_I32:
        ex_buf_put_i64(out, *(const int32_t *)member);
        return;
    case EX_KIND_U32:
        ex_buf_put_u64(out, *(const uint32_t *)member);
        return;
    case EX_KIND_I64:
        ex_buf_put_i64(out, *(const int64_t *)member);
        return;
    case EX_KIND_U64:
        ex_buf_put_u64(out, *(const uint64_t *)member);
        return;
    case EX_KIND_DOUBLE:
        ex_json_put_double(out, *(const double *)member);
        return;
    case EX_KIND_TEXT:
        ex_json_put_string(out, *(const ex_slice *)member);
        return;
    case EX_KIND_TIME:
        write_time(((const ex_time *)member)->us, out);
        return;
    case EX_KIND_JSON: {
        ex_slice text = ((const ex_raw_json *)member)->text;
        ex_buf_put(out, text.len ? text : EX_S("null"));
        return;
    }
    case EX_KIND_OPT_BOOL:
        write_bool(((const ex_opt_bool *)member)->value, out);
        return;
    case EX_KIND_OPT_I64:
        ex_buf_put_i64(out, ((const ex_opt_i64 *)member)->value);
        return;
    case EX_KIND_OPT_DOUBLE:
        ex_json_put_double(out, ((const ex_opt_double *)member)->value);
        return;
    case EX_KIND_OPT_TEXT:
        ex_json_put_string(out, ((const ex_opt_text *)member)->value);
        return;
    case EX_KIND_ENUM:
        ex_json_put_string(out, ex_str(ex_enum_text(f->enum_type, *(const int *)member)));
        return;
    case EX_KIND_STRUCT:
        ex_type_write(f->type, member, out);
        return;
    case EX_KIND_OPT_STRUCT:
        ex_type_write(f->type, *(void *const *)member, out);
        return;
    case EX_KIND_LIST:
    case EX_KIND_TEXTS:
        write_list(f, member, out);
        return;
    }
}

bool type_is_absent(const ex_field *f, const void *member)
{
    switch (f->kind) {
    case EX_KIND_OPT_BOOL:
        return !((const ex_opt_bool *)member)->is_set;
    case EX_KIND_OPT_I64:
        return !((const ex_opt_i64 *)member)->is_set;
    case EX_KIND_OPT_DOUBLE:
        return !((const ex_opt_double *)member)->is_set;
    case EX_KIND_OPT_TEXT:
        return !((const ex_opt_text *)member)->is_set;
    case EX_KIND_OPT_STRUCT:
        return !*(void *const *)member;
    default:
        return false;
    }
}

void ex_type_write(const ex_type *type, const void *value, ex_buf *out)
{
    bool is_first = true;
    ex_buf_put_char(out, '{');
    for (uint32_t i = 0; i < type->field_count; i++) {
        const ex_field *f = &type->fields[i];
        const void *member = (const char *)value + f->offset;
        if (type_is_absent(f, member))
            continue;
        ex_buf_put(out, is_first ? EX_S("\"") : EX_S(",\""));
        ex_buf_put_str(out, f->name);
        ex_buf_put(out, EX_S("\":"));
        type_write_member(f, member, out);
        is_first = false;
    }
    ex_buf_put_char(out, '}');
}

/* ---- Deep copies: the struct was copied flat, now what it points to ---- */

static bool copy_pointees(const ex_type *type, void *value, ex_arena *arena);

static bool copy_text(ex_slice *text, ex_arena *arena)
{
    if (!text->ptr)
        return true;
    *text = ex_arena_copy(arena, *text);
    return text->ptr != NULL;
}

static bool copy_list(const ex_field *f, type_list *list, ex_arena *arena)
{
    size_t size = f->kind == EX_KIND_TEXTS ? sizeof(ex_slice) : f->type->size;
    const void *from = list->items;
    list->room = list->count;
    list->items = NULL;
    if (list->count == 0)
        return true;
    list->items = ex_arena_array(arena, list->count, size);
    if (!list->items)
        return false;
    memcpy(list->items, from, list->count * size);
    for (uint32_t i = 0; i < list->count; i++) {
        void *item = (char *)list->items + i * size;
        if (!(f->kind == EX_KIND_TEXTS ? copy_text(item, arena)
                                       : copy_pointees(f->type, item, arena)))
            return false;
    }
    return true;
}

static bool copy_opt_struct(const ex_field *f, void **member, ex_arena *arena)
{
    const void *from = *member;
    if (!from)
        return true;
    *member = ex_arena_alloc(arena, f->type->size);
    if (!*member)
        return false;
    memcpy(*member, from, f->type->size);
    return copy_pointees(f->type, *member, arena);
}

static bool copy_member(const ex_field *f, void *member, ex_arena *arena)
{
    switch (f->kind) {
    case EX_KIND_TEXT:
        return copy_text(member, arena);
    case EX_KIND_OPT_TEXT:
        return copy_text(&((ex_opt_text *)member)->value, arena);
    case EX_KIND_JSON:
        return copy_text(&((ex_raw_json *)member)->text, arena);
    case EX_KIND_STRUCT:
        return copy_pointees(f->type, member, arena);
    case EX_KIND_OPT_STRUCT:
        return copy_opt_struct(f, member, arena);
    case EX_KIND_LIST:
    case EX_KIND_TEXTS:
        return copy_list(f, member, arena);
    default:
        return true;
    }
}

static bool copy_pointees(const ex_type *type, void *value, ex_arena *arena)
{
    for (uint32_t i = 0; i < type->field_count; i++)
        if (!copy_member(&type->fields[i], (char *)value + type->fields[i].offset, arena))
            return false;
    return true;
}

ex_status ex_type_copy(const ex_type *type, const void *from, ex_arena *arena, void *ret,
                       ex_error *err)
{
    memcpy(ret, from, type->size);
    return copy_pointees(type, ret, arena)
               ? EX_OK
               : ex_raise(err, EX_ENOMEM, "no memory to copy a %s", type->name);
}
