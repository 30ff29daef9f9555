/* json_oracle.c: compares our tree with jansson's, value by value. */
#include "support/json_oracle.h"

#include <excore/json.h>

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

static const char *compare(const ex_json *ours, const json_t *theirs);

static const char *compare_array(const ex_json *ours, const json_t *theirs)
{
    if (!json_is_array(theirs) || json_array_size(theirs) != ours->count)
        return "an array differs";
    for (uint32_t i = 0; i < ours->count; i++) {
        const char *difference = compare(&ours->as.items[i], json_array_get(theirs, i));
        if (difference)
            return difference;
    }
    return NULL;
}

static const char *compare_object(const ex_json *ours, const json_t *theirs)
{
    if (!json_is_object(theirs) || json_object_size(theirs) != ours->count)
        return "an object differs";
    for (uint32_t i = 0; i < ours->count; i++) {
        ex_slice key = ours->as.members[i].key; /* without NUL: theirs refuses such keys */
        char *name = strndup(key.len ? key.ptr : "", key.len);
        const json_t *value = name ? json_object_get(theirs, name) : NULL;
        free(name);
        const char *difference =
            value ? compare(&ours->as.members[i].value, value) : "a key is missing";
        if (difference)
            return difference;
    }
    return NULL;
}

static const char *compare(const ex_json *ours, const json_t *theirs)
{
    switch (ours->kind) {
    case EX_JSON_NULL:
        return json_is_null(theirs) ? NULL : "not null";
    case EX_JSON_BOOL:
        return json_is_boolean(theirs) && json_is_true(theirs) == ours->as.boolean
                   ? NULL
                   : "a bool differs";
    case EX_JSON_INT:
        return json_is_integer(theirs) && json_integer_value(theirs) == ours->as.i64
                   ? NULL
                   : "an integer differs";
    case EX_JSON_UINT:
        return "an unsigned integer that theirs accepted";
    case EX_JSON_DOUBLE:
        return json_is_real(theirs) && json_real_value(theirs) == ours->as.number &&
                       signbit(json_real_value(theirs)) == signbit(ours->as.number)
                   ? NULL
                   : "a double differs";
    case EX_JSON_STRING:
        return json_is_string(theirs) &&
                       ex_slice_eq(ours->as.text, ex_slice_of(json_string_value(theirs),
                                                              json_string_length(theirs)))
                   ? NULL
                   : "a string differs";
    case EX_JSON_ARRAY:
        return compare_array(ours, theirs);
    case EX_JSON_OBJECT:
        return compare_object(ours, theirs);
    }
    return "a kind outside the enum";
}

/* An integer that has no int64 form, anywhere in the tree. */
static bool has_long_integer(const ex_json *v)
{
    bool is_found = v->kind == EX_JSON_UINT;
    if (v->kind == EX_JSON_DOUBLE) {
        is_found = true;
        for (size_t i = 0; i < v->raw.len; i++)
            if (strchr(".eE", v->raw.ptr[i]))
                is_found = false;
    }
    for (uint32_t i = 0; i < v->count && !is_found; i++)
        is_found =
            has_long_integer(v->kind == EX_JSON_ARRAY ? &v->as.items[i] : &v->as.members[i].value);
    return is_found;
}

static const char *compare_results(ex_status st, const ex_error *err, const ex_json *ours,
                                   const json_t *theirs, const json_error_t *their_error)
{
    if (st)
        return theirs && strcmp(err->code, "JSON_TOO_DEEP") != 0 ? "theirs reads it, ours does not"
                                                                 : NULL;
    if (theirs)
        return compare(ours, theirs);
    enum json_error_code code = json_error_code(their_error);
    if (code == json_error_null_byte_in_key ||
        (code == json_error_numeric_overflow && has_long_integer(ours)))
        return NULL;
    return "ours reads it, theirs does not";
}

/* jansson skips a NUL byte behind a number, so it is not asked about such texts: none is JSON. */
static json_t *read_theirs(ex_slice text, json_error_t *ret_error)
{
    if (text.len && memchr(text.ptr, '\0', text.len))
        return NULL;
    return json_loadb(text.len ? text.ptr : "", text.len,
                      JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, ret_error);
}

const char *json_oracle_compare(ex_slice text)
{
    ex_arena arena;
    ex_json ours;
    ex_error err = {0};
    json_error_t their_error = {0};
    ex_arena_init(&arena, 0);
    ex_status st = ex_json_parse(text, &arena, &(ex_json_options){.max_depth = 1024}, &ours, &err);
    json_t *theirs = read_theirs(text, &their_error);
    const char *difference = compare_results(st, &err, &ours, theirs, &their_error);
    json_decref(theirs);
    ex_arena_done(&arena);
    return difference;
}
