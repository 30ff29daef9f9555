/* type_field.h: what the parts of the type module (read, write, copy, schema) share. */
#ifndef EXCORE_RUNTIME_TYPE_FIELD_H
#define EXCORE_RUNTIME_TYPE_FIELD_H

#include <excore/type.h>

#include <math.h>

#define TYPE_TEXT_MAX  65536u
#define TYPE_ITEMS_MAX 10000u
#define TYPE_DEPTH_MAX 32

/** Every EX_LIST has this shape. */
typedef struct type_list {
    void *items;
    uint32_t count, room;
} type_list;

/** Where a fault lies; built up on the stack, written out only when there is one. */
typedef struct type_path {
    const struct type_path *parent;
    const char *name; /* NULL: an item of a list */
    uint32_t index;
} type_path;

/** Raise EX_EINVAL with the path in err->field and "path: text" as the message. */
ex_status type_fault(ex_error *err, const type_path *path, const char *fmt, ...) EX_PRINTF(3, 4);

/** Check one value in place against its field's bounds. */
EX_NODISCARD ex_status type_check_member(const ex_field *field, const void *member,
                                         const type_path *path, ex_error *err);
EX_NODISCARD ex_status type_check_text(const ex_field *field, ex_slice text, const type_path *path,
                                       ex_error *err);

bool type_is_optional(const ex_field *field);
/** True for an optional member that is not set. */
bool type_is_absent(const ex_field *field, const void *member);
/** Append one member's value as JSON, without its name. */
void type_write_member(const ex_field *field, const void *member, ex_buf *out);
/** Fill one member from a tree that was written by type_write_member. */
EX_NODISCARD ex_status type_read_member(const ex_field *field, const ex_json *json, ex_arena *arena,
                                        void *ret);

static inline uint32_t type_text_max(const ex_field *field)
{
    return field->max_len ? field->max_len : TYPE_TEXT_MAX;
}

static inline uint32_t type_items_max(const ex_field *field)
{
    return field->max_items ? field->max_items : TYPE_ITEMS_MAX;
}

/** Without the macros both bounds are 0 when there is none. */
static inline bool type_has_bounds(const ex_field *field)
{
    return field->min != 0 || field->max != 0;
}
/** The lower bound: an upper one alone is over numbers from 0. */
static inline double type_min(const ex_field *field)
{
    return field->min == -INFINITY && field->max >= 0 && field->max < INFINITY ? 0 : field->min;
}
static inline bool type_has_min(const ex_field *field)
{
    return type_has_bounds(field) && type_min(field) > -INFINITY;
}
static inline bool type_has_max(const ex_field *field)
{
    return (field->max != 0 || field->min < 0) && field->max < INFINITY;
}
/** Is it a format that a text can be checked for? */
bool type_format_is_known(const char *format);
/** "email, uri, …": all there are. */
#define TYPE_FORMATS "email, uri, uuid and date"

#endif
