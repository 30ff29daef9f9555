/* type_schema.c: JSON Schema (2020-12) from a descriptor. */
#include "runtime/type_schema.h"

#include "runtime/type_field.h"

static void write_ref(ex_json_writer *w, const char *prefix, const char *name)
{
    char ref[256];
    size_t a = strlen(prefix), b = strlen(name);
    if (a + b >= sizeof(ref))
        b = sizeof(ref) - a - 1;
    memcpy(ref, prefix, a);
    memcpy(ref + a, name, b);
    ex_json_string_member(w, EX_S("$ref"), ex_slice_of(ref, a + b));
}

static void write_number(const ex_field *f, const char *type, ex_json_writer *w)
{
    bool is_unsigned = f->kind == EX_KIND_U32 || f->kind == EX_KIND_U64;
    ex_json_string_member(w, EX_S("type"), ex_str(type));
    if (type_has_min(f) || is_unsigned) {
        ex_json_double_member(w, EX_S("minimum"), type_has_min(f) ? type_min(f) : 0);
    }
    if (type_has_max(f)) {
        ex_json_double_member(w, EX_S("maximum"), f->max);
    }
}

static void write_text(const ex_field *f, ex_json_writer *w)
{
    ex_json_string_member(w, EX_S("type"), EX_S("string"));
    if (f->min_len)
        ex_json_u64_member(w, EX_S("minLength"), f->min_len);
    ex_json_u64_member(w, EX_S("maxLength"), type_text_max(f));
    if (f->format)
        ex_json_string_member(w, EX_S("format"), ex_str(f->format));
}

static void write_enum(const ex_field *f, ex_json_writer *w)
{
    ex_json_string_member(w, EX_S("type"), EX_S("string"));
    ex_json_key(w, EX_S("enum"));
    ex_json_begin_array(w);
    for (uint32_t i = 0; i < f->enum_type->count; i++)
        ex_json_string(w, ex_str(f->enum_type->names[i]));
    ex_json_end_array(w);
}

static void write_list(const ex_field *f, const char *prefix, ex_json_writer *w)
{
    ex_json_string_member(w, EX_S("type"), EX_S("array"));
    ex_json_key(w, EX_S("items"));
    ex_json_begin_object(w);
    if (f->kind == EX_KIND_TEXTS)
        write_text(f, w);
    else
        write_ref(w, prefix, f->type->name);
    ex_json_end_object(w);
    if (f->min_items)
        ex_json_u64_member(w, EX_S("minItems"), f->min_items);
    ex_json_u64_member(w, EX_S("maxItems"), type_items_max(f));
}

static void write_field(const ex_field *f, const char *prefix, ex_json_writer *w)
{
    switch (f->kind) {
    case EX_KIND_BOOL:
    case EX_KIND_OPT_BOOL:
        ex_json_string_member(w, EX_S("type"), EX_S("boolean"));
        break;
    case EX_KIND_I32:
    case EX_KIND_U32:
    case EX_KIND_I64:
    case EX_KIND_U64:
    case EX_KIND_OPT_I64:
        write_number(f, "integer", w);
        break;
    case EX_KIND_DOUBLE:
    case EX_KIND_OPT_DOUBLE:
        write_number(f, "number", w);
        break;
    case EX_KIND_TEXT:
    case EX_KIND_OPT_TEXT:
        write_text(f, w);
        break;
    case EX_KIND_TIME:
        ex_json_string_member(w, EX_S("type"), EX_S("string"));
        ex_json_string_member(w, EX_S("format"), EX_S("date-time"));
        break;
    case EX_KIND_ENUM:
        write_enum(f, w);
        break;
    case EX_KIND_STRUCT:
    case EX_KIND_OPT_STRUCT:
        write_ref(w, prefix, f->type->name);
        break;
    case EX_KIND_LIST:
    case EX_KIND_TEXTS:
        write_list(f, prefix, w);
        break;
    case EX_KIND_JSON:
        break; /* anything */
    }
    if (f->doc)
        ex_json_string_member(w, EX_S("description"), ex_str(f->doc));
}

static void write_members(const ex_type *type, const char *prefix, ex_json_writer *w)
{
    ex_json_string_member(w, EX_S("title"), ex_str(type->name));
    if (type->doc)
        ex_json_string_member(w, EX_S("description"), ex_str(type->doc));
    ex_json_string_member(w, EX_S("type"), EX_S("object"));
    ex_json_key(w, EX_S("properties"));
    ex_json_begin_object(w);
    for (uint32_t i = 0; i < type->field_count; i++) {
        ex_json_key(w, ex_str(type->fields[i].name));
        ex_json_begin_object(w);
        write_field(&type->fields[i], prefix, w);
        ex_json_end_object(w);
    }
    ex_json_end_object(w);
    ex_json_key(w, EX_S("required"));
    ex_json_begin_array(w);
    for (uint32_t i = 0; i < type->field_count; i++)
        if (!type_is_optional(&type->fields[i]) && !type->fields[i].is_key)
            ex_json_string(w, ex_str(type->fields[i].name));
    ex_json_end_array(w);
    ex_json_bool_member(w, EX_S("additionalProperties"), false);
}

void ex_type_write_schema_object(const ex_type *type, const char *ref_prefix, ex_json_writer *w)
{
    ex_json_begin_object(w);
    write_members(type, ref_prefix, w);
    ex_json_end_object(w);
}

void ex_type_collect(const ex_type *type, ex_type_set *set)
{
    for (uint32_t i = 0; i < set->count; i++)
        if (set->types[i] == type)
            return;
    if (set->count == EX_TYPE_SET_MAX)
        return;
    set->types[set->count++] = type;
    for (uint32_t i = 0; i < type->field_count; i++)
        if (type->fields[i].type)
            ex_type_collect(type->fields[i].type, set);
}

void ex_type_write_schema(const ex_type *type, ex_buf *out)
{
    ex_type_set set = {{NULL}, 0};
    ex_type_collect(type, &set);
    ex_json_writer w;
    ex_json_writer_init(&w, out);
    ex_json_begin_object(&w);
    ex_json_string_member(&w, EX_S("$schema"),
                          EX_S("https://json-schema.org/draft/2020-12/schema"));
    write_members(type, "#/$defs/", &w);
    if (set.count > 1) {
        ex_json_key(&w, EX_S("$defs"));
        ex_json_begin_object(&w);
        for (uint32_t i = 1; i < set.count; i++) {
            ex_json_key(&w, ex_str(set.types[i]->name));
            ex_type_write_schema_object(set.types[i], "#/$defs/", &w);
        }
        ex_json_end_object(&w);
    }
    ex_json_end_object(&w);
}
