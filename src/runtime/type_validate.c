/* type_validate.c: bounds and formats of values, and the path that a fault names. */
#include "runtime/type_field.h"

#include <excore/clock.h>
#include <excore/id.h>

#include <stdarg.h>
#include <stdio.h>

/* "items[2].quantity", cut when longer than the error's field. */
static size_t write_path(const type_path *path, char *out, size_t size)
{
    if (!path)
        return 0;
    size_t at = write_path(path->parent, out, size);
    int n = path->name ? snprintf(out + at, size - at, "%s%s", at ? "." : "", path->name)
                       : snprintf(out + at, size - at, "[%u]", path->index);
    size_t wrote = n > 0 ? (size_t)n : 0;
    return at + wrote < size ? at + wrote : size - 1;
}

ex_status type_fault(ex_error *err, const type_path *path, const char *fmt, ...)
{
    if (!err)
        return EX_EINVAL;
    char where[EX_ERROR_FIELD_SIZE] = "";
    (void)write_path(path, where, sizeof(where)); /* its length is not needed */
    char text[256];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args); /* cut is fine: a message for people */
    va_end(args);
    ex_status st = where[0] ? ex_raise(err, EX_EINVAL, "%s: %s", where, text)
                            : ex_raise(err, EX_EINVAL, "%s", text);
    ex_error_set_field(err, ex_str(where));
    return st;
}

static size_t count_characters(ex_slice text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        n += ((unsigned char)text.ptr[i] & 0xC0) != 0x80;
    return n;
}

/* ---- Formats ---- */

static bool is_email(ex_slice s)
{
    const char *at = memchr(s.ptr, '@', s.len);
    if (!at || at == s.ptr || memchr(s.ptr, ' ', s.len))
        return false;
    ex_slice domain = ex_slice_of(at + 1, s.len - (size_t)(at + 1 - s.ptr));
    const char *dot = domain.len ? memrchr(domain.ptr, '.', domain.len) : NULL;
    return dot && !memchr(domain.ptr, '@', domain.len) && dot > domain.ptr &&
           dot + 2 < domain.ptr + domain.len;
}

static bool is_uri(ex_slice s)
{
    size_t i = 0;
    while (i < s.len && ((s.ptr[i] >= 'a' && s.ptr[i] <= 'z') ||
                         (i && s.ptr[i] && strchr("0123456789+-.", s.ptr[i]))))
        i++;
    if (i < 1 || i + 1 >= s.len || s.ptr[i] != ':')
        return false;
    for (; i < s.len; i++)
        if ((unsigned char)s.ptr[i] <= ' ' || s.ptr[i] == 0x7f)
            return false;
    return true;
}

static bool is_uuid(ex_slice s)
{
    ex_id id;
    return s.len == 36 && ex_id_parse(s, &id, NULL) == EX_OK;
}

static bool is_date(ex_slice s)
{
    char text[32];
    int64_t us;
    if (s.len != 10)
        return false;
    (void)snprintf(text, sizeof(text), "%.*sT00:00:00Z", EX_ARG(s)); /* fits: 20 characters */
    return ex_time_parse(ex_str(text), &us, NULL) == EX_OK;
}

static const struct {
    const char *name;
    bool (*holds)(ex_slice text);
} formats[] = {{"email", is_email}, {"uri", is_uri}, {"uuid", is_uuid}, {"date", is_date}};

bool type_format_is_known(const char *format)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        if (strcmp(formats[i].name, format) == 0)
            return true;
    return false;
}

static ex_status check_format(const ex_field *field, ex_slice text, const type_path *path,
                              ex_error *err)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        if (strcmp(formats[i].name, field->format) == 0)
            return text.len && formats[i].holds(text)
                       ? EX_OK
                       : type_fault(err, path, "is not a valid %s", field->format);
    return type_fault(err, path, "has the unknown format '%s'", field->format);
}

/* ---- Values ---- */

/* A character takes one to four bytes, so most texts need no count. */
static bool has_plain_length(const ex_field *field, ex_slice text)
{
    bool is_enough = text.len / 4 >= field->min_len || (field->min_len == 1 && text.len > 0);
    return is_enough && text.len <= type_text_max(field);
}

static ex_status check_length(const ex_field *field, ex_slice text, const type_path *path,
                              ex_error *err)
{
    size_t count = count_characters(text);
    if (count == 0 && field->min_len > 0)
        return type_fault(err, path, "must not be empty");
    if (count < field->min_len)
        return type_fault(err, path, "must have at least %u characters", field->min_len);
    if (count > type_text_max(field))
        return type_fault(err, path, "must have at most %u characters", type_text_max(field));
    return EX_OK;
}

ex_status type_check_text(const ex_field *field, ex_slice text, const type_path *path,
                          ex_error *err)
{
    if (!text.ptr && text.len) /* a slice that somebody forgot to fill */
        return type_fault(err, path, "has a length of %zu and no text", text.len);
    if (!ex_utf8_is_valid(text))
        return type_fault(err, path, "is not valid UTF-8");
    if (text.len && memchr(text.ptr, '\0', text.len)) /* PostgreSQL has no such text */
        return type_fault(err, path, "must not contain the character U+0000");
    ex_status st = has_plain_length(field, text) ? EX_OK : check_length(field, text, path, err);
    return !st && field->format ? check_format(field, text, path, err) : st;
}

static ex_status check_number(const ex_field *field, double value, const type_path *path,
                              ex_error *err)
{
    if (type_has_min(field) && !(value >= type_min(field)))
        return type_fault(err, path, "must be at least %.17g", type_min(field));
    if (type_has_max(field) && !(value <= field->max))
        return type_fault(err, path, "must be at most %.17g", field->max);
    return EX_OK;
}

/* JSON has no others, SQLite no NaN. */
static ex_status check_double(const ex_field *field, double value, const type_path *path,
                              ex_error *err)
{
    return isfinite(value) ? check_number(field, value, path, err)
                           : type_fault(err, path, "must be a finite number");
}

/* What has no text in RFC 3339 could not be read back. */
static ex_status check_time(int64_t us, const type_path *path, ex_error *err)
{
    return us >= EX_TIME_MIN_US && us <= EX_TIME_MAX_US
               ? EX_OK
               : type_fault(err, path, "is not within the years 0 to 9999");
}

/* It is written as it is, so it must be one value. */
static ex_status check_json(ex_slice text, const type_path *path, ex_error *err)
{
    ex_arena scratch;
    if (text.len == 0)
        return EX_OK;
    if (!text.ptr)
        return type_fault(err, path, "has a length of %zu and no text", text.len);
    ex_arena_init(&scratch, 0);
    ex_status st = ex_json_validate(text, &scratch, NULL, NULL);
    ex_arena_done(&scratch);
    if (st == EX_ENOMEM)
        return ex_raise(err, st, "no memory to check a JSON value");
    return st ? type_fault(err, path, "is not valid JSON") : EX_OK;
}

static ex_status check_struct(const ex_type *type, const void *value, const type_path *parent,
                              ex_error *err);

static ex_status check_list(const ex_field *field, const type_list *list, const type_path *path,
                            ex_error *err)
{
    if (!list->items && list->count)
        return type_fault(err, path, "has %u items and no memory for them", list->count);
    if (list->count < field->min_items)
        return type_fault(err, path, "must have at least %u items", field->min_items);
    if (list->count > type_items_max(field))
        return type_fault(err, path, "must have at most %u items", type_items_max(field));
    for (uint32_t i = 0; i < list->count; i++) {
        type_path item = {path, NULL, i};
        ex_status st =
            field->kind == EX_KIND_TEXTS
                ? type_check_text(field, ((const ex_slice *)list->items)[i], &item, err)
                : check_struct(field->type, (const char *)list->items + i * field->type->size,
                               &item, err);
        if (st)
            return st;
    }
    return EX_OK;
}

static ex_status check_optional(const ex_field *field, const void *member, const type_path *path,
                                ex_error *err)
{
    if (field->kind == EX_KIND_OPT_I64 && ((const ex_opt_i64 *)member)->is_set)
        return check_number(field, (double)((const ex_opt_i64 *)member)->value, path, err);
    if (field->kind == EX_KIND_OPT_DOUBLE && ((const ex_opt_double *)member)->is_set)
        return check_double(field, ((const ex_opt_double *)member)->value, path, err);
    if (field->kind == EX_KIND_OPT_TEXT && ((const ex_opt_text *)member)->is_set)
        return type_check_text(field, ((const ex_opt_text *)member)->value, path, err);
    if (field->kind == EX_KIND_OPT_STRUCT && *(void *const *)member)
        return check_struct(field->type, *(void *const *)member, path, err);
    return EX_OK;
}

ex_status type_check_member(const ex_field *field, const void *member, const type_path *path,
                            ex_error *err)
{
    switch (field->kind) {
    case EX_KIND_I32:
        return check_number(field, *(const int32_t *)member, path, err);
    case EX_KIND_U32:
        return check_number(field, *(const uint32_t *)member, path, err);
    case EX_KIND_I64:
        return check_number(field, (double)*(const int64_t *)member, path, err);
    case EX_KIND_U64:
        return check_number(field, (double)*(const uint64_t *)member, path, err);
    case EX_KIND_DOUBLE:
        return check_double(field, *(const double *)member, path, err);
    case EX_KIND_TIME:
        return check_time(((const ex_time *)member)->us, path, err);
    case EX_KIND_TEXT:
        return type_check_text(field, *(const ex_slice *)member, path, err);
    case EX_KIND_ENUM:
        if ((uint32_t) * (const int *)member >= field->enum_type->count)
            return type_fault(err, path, "is no %s", field->enum_type->name);
        return EX_OK;
    case EX_KIND_STRUCT:
        return check_struct(field->type, member, path, err);
    case EX_KIND_LIST:
    case EX_KIND_TEXTS:
        return check_list(field, member, path, err);
    default:
        return check_optional(field, member, path, err);
    }
}

static ex_status check_struct(const ex_type *type, const void *value, const type_path *parent,
                              ex_error *err)
{
    for (uint32_t i = 0; i < type->field_count; i++) {
        const ex_field *f = &type->fields[i];
        type_path path = {parent, f->name, 0};
        const void *member = (const char *)value + f->offset;
        ex_status st = type_check_member(f, member, &path, err);
        if (!st && f->kind == EX_KIND_JSON) /* not where JSON was read: there it is valid */
            st = check_json(((const ex_raw_json *)member)->text, &path, err);
        if (st)
            return st;
    }
    return EX_OK;
}

ex_status ex_type_validate(const ex_type *type, const void *value, ex_error *err)
{
    return check_struct(type, value, NULL, err);
}
