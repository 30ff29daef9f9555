/* type.c: descriptors themselves: their check at start-up, lists, enumeration texts. */
#include "runtime/type_field.h"

static bool is_member_name(const char *name)
{
    if (!name || !(name[0] >= 'a' && name[0] <= 'z'))
        return false;
    for (const char *p = name; *p; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '_'))
            return false;
    return strlen(name) <= 63;
}

bool type_is_optional(const ex_field *field)
{
    switch (field->kind) {
    case EX_KIND_OPT_BOOL:
    case EX_KIND_OPT_I64:
    case EX_KIND_OPT_DOUBLE:
    case EX_KIND_OPT_TEXT:
    case EX_KIND_OPT_STRUCT:
        return true;
    default:
        return false;
    }
}

/* ---- Bounds ---- */

static bool is_number(const ex_field *f)
{
    switch (f->kind) {
    case EX_KIND_I32:
    case EX_KIND_U32:
    case EX_KIND_I64:
    case EX_KIND_U64:
    case EX_KIND_DOUBLE:
    case EX_KIND_OPT_I64:
    case EX_KIND_OPT_DOUBLE:
        return true;
    default:
        return false;
    }
}

static bool is_text(const ex_field *f)
{
    return f->kind == EX_KIND_TEXT || f->kind == EX_KIND_OPT_TEXT || f->kind == EX_KIND_TEXTS;
}

static bool is_list(const ex_field *f)
{
    return f->kind == EX_KIND_LIST || f->kind == EX_KIND_TEXTS;
}

/* What would be checked never is refused: somebody believes that it is. */
static ex_status check_bounds(const ex_type *type, const ex_field *f, ex_error *err)
{
    const char *given = NULL;
    if ((type_has_min(f) || type_has_max(f)) && !is_number(f))
        given = "min or max, which is for numbers";
    else if ((f->min_len || f->max_len || f->format) && !is_text(f))
        given = "min_len, max_len or format, which is for texts";
    else if ((f->min_items || f->max_items) && !is_list(f))
        given = "min_items or max_items, which is for lists";
    if (given)
        return ex_raise(err, EX_EINVAL, "type %s: %s has %s", type->name, f->name, given);
    if (f->format && !type_format_is_known(f->format))
        return ex_raise(err, EX_EINVAL, "type %s: %s has the unknown format '%s'; there are %s",
                        type->name, f->name, f->format, TYPE_FORMATS);
    if ((type_has_min(f) && type_has_max(f) && type_min(f) > f->max) ||
        f->min_len > type_text_max(f) || f->min_items > type_items_max(f))
        return ex_raise(err, EX_EINVAL, "type %s: %s has a lower bound above the upper one",
                        type->name, f->name);
    return EX_OK;
}

/* ---- Bytes ---- */

/* The field that begins first at or behind `at`, or NULL. */
static const ex_field *field_from(const ex_type *type, uint32_t at)
{
    const ex_field *first = NULL;
    for (uint32_t i = 0; i < type->field_count; i++) {
        const ex_field *f = &type->fields[i];
        if (f->offset >= at && (!first || f->offset < first->offset))
            first = f;
    }
    return first;
}

static uint32_t padding(uint32_t at, uint32_t align)
{
    return align ? (align - at % align) % align : 0;
}

static ex_status raise_uncovered(const ex_type *type, uint32_t at, uint32_t count, ex_error *err)
{
    return ex_raise(err, EX_EINVAL,
                    "type %s: no field has the %u bytes at offset %u of the struct: a member was "
                    "left out, and would be lost",
                    type->name, count, at);
}

/* Every byte of the struct is a field's, or padding. */
static ex_status check_coverage(const ex_type *type, ex_error *err)
{
    uint32_t at = 0, most = 1;
    if (type->field_count == 0)
        return EX_OK; /* a state without pointers may lack its table */
    for (uint32_t i = 0; i < type->field_count; i++) {
        most = type->fields[i].align > most ? type->fields[i].align : most;
        if (type->fields[i].size == 0)
            return EX_OK; /* a table without the macros does not say */
    }
    for (const ex_field *f; (f = field_from(type, at)); at = f->offset + f->size)
        if (f->offset - at > padding(at, f->align))
            return raise_uncovered(type, at, f->offset - at, err);
    return type->size > at + padding(at, most) ? raise_uncovered(type, at, type->size - at, err)
                                               : EX_OK;
}

/* ---- The table ---- */

static ex_status check_parts(const ex_type *type, const ex_field *f, ex_error *err)
{
    bool needs_type =
        f->kind == EX_KIND_STRUCT || f->kind == EX_KIND_OPT_STRUCT || f->kind == EX_KIND_LIST;
    if (needs_type && !f->type)
        return ex_raise(err, EX_EINVAL, "type %s: %s names no nested type", type->name, f->name);
    if (f->kind == EX_KIND_ENUM && (!f->enum_type || f->enum_type->count == 0))
        return ex_raise(err, EX_EINVAL, "type %s: %s has no enumeration texts", type->name,
                        f->name);
    if (f->is_key && f->kind != EX_KIND_TEXT)
        return ex_raise(err, EX_EINVAL, "type %s: key %s is not a text", type->name, f->name);
    return check_bounds(type, f, err);
}

static ex_status check_type(const ex_type *type, uint32_t depth, ex_error *err)
{
    if (!type || !type->name || !type->name[0])
        return ex_raise(err, EX_EINVAL, "a type has no name");
    if (depth > TYPE_DEPTH_MAX)
        return EX_OK; /* a type that holds itself: looked at already */
    uint32_t keys = 0;
    for (uint32_t i = 0; i < type->field_count; i++) {
        const ex_field *f = &type->fields[i];
        if (!is_member_name(f->name))
            return ex_raise(err, EX_EINVAL, "type %s: bad field name '%s'", type->name,
                            f->name ? f->name : "");
        if (f->offset >= type->size)
            return ex_raise(err, EX_EINVAL, "type %s: %s lies outside the struct", type->name,
                            f->name);
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(f->name, type->fields[k].name) == 0)
                return ex_raise(err, EX_EINVAL, "type %s: field %s twice", type->name, f->name);
        ex_status st = check_parts(type, f, err);
        if (!st && f->type && f->type != type)
            st = check_type(f->type, depth + 1, err);
        if (st)
            return st;
        keys += f->is_key;
    }
    if (keys > 1)
        return ex_raise(err, EX_EINVAL, "type %s has %u keys, at most one is possible", type->name,
                        keys);
    return check_coverage(type, err);
}

ex_status ex_type_check(const ex_type *type, ex_error *err)
{
    return check_type(type, 0, err);
}

const char *ex_enum_text(const ex_enum_type *type, int value)
{
    return value >= 0 && (uint32_t)value < type->count ? type->names[value] : "?";
}

void *ex_list_grow(ex_arena *arena, void **items, uint32_t *count, uint32_t *room, size_t item_size)
{
    if (*count == *room) {
        uint32_t more = *room ? *room * 2 : 4;
        void *bigger = more > *room ? ex_arena_array(arena, more, item_size) : NULL;
        if (!bigger)
            return NULL;
        if (*count)
            memcpy(bigger, *items, *count * item_size);
        *items = bigger;
        *room = more;
    }
    void *item = (char *)*items + (*count)++ * item_size;
    return memset(item, 0, item_size);
}

void ex_list_cut(void *items, uint32_t *count, size_t item_size, uint32_t index)
{
    if (index >= *count)
        return;
    char *at = (char *)items + index * item_size;
    memmove(at, at + item_size, (*count - index - 1) * item_size);
    (*count)--;
}
