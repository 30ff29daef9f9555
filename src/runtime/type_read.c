/* type_read.c: JSON into a struct, by its descriptor. */
#include "runtime/type_field.h"

#include <excore/clock.h>

typedef struct reader {
    ex_arena *arena;
    const ex_read_options *options;
    ex_error *err;
} reader;

static ex_status read_struct(reader *r, const ex_type *type, const ex_json *json,
                             const type_path *parent, void *out);

static ex_status out_of_memory(reader *r)
{
    return ex_raise(r->err, EX_ENOMEM, "no memory for the value");
}

static ex_status read_integer(reader *r, const ex_field *f, const ex_json *json,
                              const type_path *path, void *out)
{
    bool fits_u64 = json->kind == EX_JSON_UINT || (json->kind == EX_JSON_INT && json->as.i64 >= 0);
    if (json->kind != EX_JSON_INT && json->kind != EX_JSON_UINT)
        return type_fault(r->err, path, "must be an integer");
    uint64_t u = fits_u64 ? json->as.u64 : 0;
    int64_t i = json->kind == EX_JSON_INT ? json->as.i64 : 0;
    bool fits = true;
    switch (f->kind) {
    case EX_KIND_I32:
        fits = json->kind == EX_JSON_INT && i >= INT32_MIN && i <= INT32_MAX;
        *(int32_t *)out = (int32_t)(fits ? i : 0);
        break;
    case EX_KIND_U32:
        fits = fits_u64 && u <= UINT32_MAX;
        *(uint32_t *)out = (uint32_t)(fits ? u : 0);
        break;
    case EX_KIND_U64:
        fits = fits_u64;
        *(uint64_t *)out = u;
        break;
    default:
        fits = json->kind == EX_JSON_INT;
        *(int64_t *)out = i;
        break;
    }
    return fits ? EX_OK : type_fault(r->err, path, "is out of range");
}

static ex_status read_double(reader *r, const ex_json *json, const type_path *path, double *out)
{
    if (json->kind == EX_JSON_DOUBLE)
        *out = json->as.number;
    else if (json->kind == EX_JSON_INT)
        *out = (double)json->as.i64;
    else if (json->kind == EX_JSON_UINT)
        *out = (double)json->as.u64;
    else
        return type_fault(r->err, path, "must be a number");
    return EX_OK;
}

static ex_status read_text(reader *r, const ex_json *json, const type_path *path, ex_slice *out)
{
    if (json->kind != EX_JSON_STRING)
        return type_fault(r->err, path, "must be a text");
    *out = ex_arena_copy(r->arena, json->as.text);
    return out->ptr ? EX_OK : out_of_memory(r);
}

static ex_status read_bool(reader *r, const ex_json *json, const type_path *path, bool *out)
{
    if (json->kind != EX_JSON_BOOL)
        return type_fault(r->err, path, "must be true or false");
    *out = json->as.boolean;
    return EX_OK;
}

static ex_status read_time(reader *r, const ex_json *json, const type_path *path, ex_time *out)
{
    if (json->kind != EX_JSON_STRING || ex_time_parse(json->as.text, &out->us, NULL) != EX_OK)
        return type_fault(r->err, path, "must be a time such as 2026-11-21T09:30:00Z");
    return EX_OK;
}

static ex_status read_enum(reader *r, const ex_field *f, const ex_json *json, const type_path *path,
                           int *out)
{
    for (uint32_t i = 0; json->kind == EX_JSON_STRING && i < f->enum_type->count; i++) {
        if (ex_slice_is(json->as.text, f->enum_type->names[i])) {
            *out = (int)i;
            return EX_OK;
        }
    }
    char choices[160] = "";
    size_t at = 0;
    for (uint32_t i = 0; i < f->enum_type->count; i++) {
        size_t len = strlen(f->enum_type->names[i]);
        if (at + len + 3 > sizeof(choices))
            break;
        if (at) {
            memcpy(choices + at, ", ", 2);
            at += 2;
        }
        memcpy(choices + at, f->enum_type->names[i], len + 1);
        at += len;
    }
    return type_fault(r->err, path, "must be one of: %s", choices);
}

static ex_status read_list(reader *r, const ex_field *f, const ex_json *json, const type_path *path,
                           type_list *out)
{
    if (json->kind != EX_JSON_ARRAY)
        return type_fault(r->err, path, "must be a list");
    if (json->count > type_items_max(f))
        return type_fault(r->err, path, "must have at most %u items", type_items_max(f));
    size_t size = f->kind == EX_KIND_TEXTS ? sizeof(ex_slice) : f->type->size;
    if (json->count == 0)
        return EX_OK;
    out->items = ex_arena_array(r->arena, json->count, size);
    if (!out->items)
        return out_of_memory(r);
    out->room = json->count;
    for (uint32_t i = 0; i < json->count; i++) {
        type_path item = {path, NULL, i};
        void *at = (char *)out->items + i * size;
        ex_status st = f->kind == EX_KIND_TEXTS
                           ? read_text(r, &json->as.items[i], &item, at)
                           : read_struct(r, f->type, &json->as.items[i], &item, at);
        if (st)
            return st;
        out->count++;
    }
    return EX_OK;
}

static ex_status read_opt_struct(reader *r, const ex_field *f, const ex_json *json,
                                 const type_path *path, void **out)
{
    void *value = ex_arena_zalloc(r->arena, f->type->size);
    if (!value)
        return out_of_memory(r);
    *out = value;
    return read_struct(r, f->type, json, path, value);
}

static ex_status read_member(reader *r, const ex_field *f, const ex_json *json,
                             const type_path *path, void *out)
{
    switch (f->kind) {
    case EX_KIND_BOOL:
        return read_bool(r, json, path, out);
    case EX_KIND_I32:
    case EX_KIND_U32:
    case EX_KIND_I64:
    case EX_KIND_U64:
        return read_integer(r, f, json, path, out);
    case EX_KIND_DOUBLE:
        return read_double(r, json, path, out);
    case EX_KIND_TEXT:
        return read_text(r, json, path, out);
    case EX_KIND_TIME:
        return read_time(r, json, path, out);
    case EX_KIND_JSON:
        ((ex_raw_json *)out)->text = ex_arena_copy(r->arena, json->raw);
        return ((ex_raw_json *)out)->text.ptr ? EX_OK : out_of_memory(r);
    case EX_KIND_OPT_BOOL:
        ((ex_opt_bool *)out)->is_set = true;
        return read_bool(r, json, path, &((ex_opt_bool *)out)->value);
    case EX_KIND_OPT_I64:
        ((ex_opt_i64 *)out)->is_set = true;
        return read_integer(r, f, json, path, &((ex_opt_i64 *)out)->value);
    case EX_KIND_OPT_DOUBLE:
        ((ex_opt_double *)out)->is_set = true;
        return read_double(r, json, path, &((ex_opt_double *)out)->value);
    case EX_KIND_OPT_TEXT:
        ((ex_opt_text *)out)->is_set = true;
        return read_text(r, json, path, &((ex_opt_text *)out)->value);
    case EX_KIND_ENUM:
        return read_enum(r, f, json, path, out);
    case EX_KIND_STRUCT:
        return read_struct(r, f->type, json, path, out);
    case EX_KIND_OPT_STRUCT:
        return read_opt_struct(r, f, json, path, out);
    case EX_KIND_LIST:
    case EX_KIND_TEXTS:
        return read_list(r, f, json, path, out);
    }
    return type_fault(r->err, path, "has no known kind");
}

/* Members mostly come in the order of the table, so look at *hint first. */
static const ex_json *find_member(const ex_json *object, ex_slice name, uint32_t *hint)
{
    for (uint32_t n = 0; n < object->count; n++) {
        uint32_t i = *hint + n < object->count ? *hint + n : *hint + n - object->count;
        if (ex_slice_eq(object->as.members[i].key, name)) {
            *hint = i + 1 < object->count ? i + 1 : 0;
            return &object->as.members[i].value;
        }
    }
    return NULL;
}

static ex_status refuse_unknown(reader *r, const ex_type *type, const ex_json *json,
                                const type_path *parent)
{
    for (uint32_t i = 0; i < json->count; i++) {
        ex_slice key = json->as.members[i].key;
        bool is_known = false;
        for (uint32_t k = 0; k < type->field_count && !is_known; k++)
            is_known = ex_slice_is(key, type->fields[k].name);
        if (is_known)
            continue;
        char name[EX_ERROR_FIELD_SIZE];
        size_t n = key.len < sizeof(name) - 1 ? key.len : sizeof(name) - 1;
        memcpy(name, key.ptr, n);
        name[n] = '\0';
        type_path path = {parent, name, 0};
        ex_status st = type_fault(r->err, &path, "is no field of %s", type->name);
        ex_error_set_code(r->err, "UNKNOWN_FIELD"); /* as wherever a name is not known */
        return st;
    }
    return EX_OK;
}

/* The object's own key: from the JSON, from the route, or from both when they are equal. */
static ex_status read_key(reader *r, const ex_json *member, const type_path *path, ex_slice *out)
{
    ex_slice given = r->options ? r->options->key : (ex_slice){NULL, 0};
    if (!given.len || path->parent)
        return member ? read_text(r, member, path, out) : type_fault(r->err, path, "is missing");
    if (member && (member->kind != EX_JSON_STRING || !ex_slice_eq(member->as.text, given)))
        return type_fault(r->err, path, "must be '%.*s' as in the path", EX_ARG(given));
    *out = ex_arena_copy(r->arena, given);
    return out->ptr ? EX_OK : out_of_memory(r);
}

static ex_status read_struct(reader *r, const ex_type *type, const ex_json *json,
                             const type_path *parent, void *out)
{
    if (json->kind != EX_JSON_OBJECT)
        return type_fault(r->err, parent, "must be an object");
    memset(out, 0, type->size);
    uint32_t hint = 0, matched = 0;
    for (uint32_t i = 0; i < type->field_count; i++) {
        const ex_field *f = &type->fields[i];
        type_path path = {parent, f->name, 0};
        const ex_json *member = find_member(json, ex_str(f->name), &hint);
        void *at = (char *)out + f->offset;
        matched += member != NULL;
        bool is_absent = !member || (member->kind == EX_JSON_NULL && type_is_optional(f));
        ex_status st = EX_OK;
        if (f->is_key)
            st = read_key(r, member, &path, at);
        else if (!is_absent)
            st = read_member(r, f, member, &path, at);
        else if (!type_is_optional(f))
            st = type_fault(r->err, &path, "is missing");
        /* nested structs and items were checked while they were read */
        bool is_nested = f->kind == EX_KIND_STRUCT || f->kind == EX_KIND_OPT_STRUCT;
        if (!st && !is_nested)
            st = type_check_member(f, at, &path, r->err);
        if (st)
            return st;
    }
    bool ignores = r->options && r->options->ignore_unknown;
    return matched == json->count || ignores ? EX_OK : refuse_unknown(r, type, json, parent);
}

ex_status type_read_member(const ex_field *field, const ex_json *json, ex_arena *arena, void *ret)
{
    static const ex_read_options options = {.ignore_unknown = true};
    reader r = {arena, &options, NULL};
    return read_member(&r, field, json, NULL, ret);
}

ex_status ex_type_read_json(const ex_type *type, const ex_json *json, ex_arena *arena,
                            const ex_read_options *options, void *ret, ex_error *err)
{
    reader r = {arena, options, err};
    return read_struct(&r, type, json, NULL, ret);
}

ex_status ex_type_read(const ex_type *type, ex_slice text, ex_arena *arena,
                       const ex_read_options *options, void *ret, ex_error *err)
{
    ex_json json;
    ex_status st = ex_json_parse(text, arena, NULL, &json, err);
    return st ? st : ex_type_read_json(type, &json, arena, options, ret, err);
}
