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
    if ((type_has_max(f) && f->min > f->max) || f->min_len > type_text_max(f) ||
        f->min_items > type_items_max(f))
        return ex_raise(err, EX_EINVAL, "type %s: %s has a lower bound above the upper one",
                        type->name, f->name);
    return EX_OK;
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
    return EX_OK;
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
