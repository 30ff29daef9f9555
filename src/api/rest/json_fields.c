/* json_fields.c: see json_fields.h. */
#include "api/rest/json_fields.h"

#include "kernel/field_path.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

void field_prefix(ex_error *err, ex_slice name)
{
    ex_field_prefix(err, name);
}

static const char *kind_name(ex_json_kind kind)
{
    static const char *const names[] = {
        [EX_JSON_NULL] = "null",       [EX_JSON_BOOL] = "a boolean",  [EX_JSON_INT] = "an integer",
        [EX_JSON_UINT] = "an integer", [EX_JSON_DOUBLE] = "a number", [EX_JSON_STRING] = "a string",
        [EX_JSON_ARRAY] = "an array",  [EX_JSON_OBJECT] = "an object"};
    return names[kind];
}

static ex_status raise_kind(const ex_json *value, const char *wanted, ex_error *err)
{
    return ex_raise(err, EX_EINVAL, "must be %s, not %s", wanted, kind_name(value->kind));
}

static const field_rule *find_rule(const field_rule *rules, size_t count, ex_slice key)
{
    for (size_t i = 0; i < count; i++)
        if (ex_slice_is(key, rules[i].name))
            return &rules[i];
    return NULL;
}

static ex_status read_member(const ex_json_member *m, const field_rule *rule, ex_arena *arena,
                             void *into, ex_error *err)
{
    ex_status st;
    if (rule) {
        st = rule->read(&m->value, arena, into, err);
    } else {
        st = ex_raise(err, EX_EINVAL, "unknown field \"%.*s\"", EX_ARG(m->key));
        ex_error_set_code(err, "UNKNOWN_FIELD");
    }
    if (st)
        field_prefix(err, m->key);
    return st;
}

ex_status field_read_object(const ex_json *value, const field_rule *rules, size_t count,
                            ex_arena *arena, void *into, ex_error *err)
{
    assert(count <= 32);
    if (value->kind != EX_JSON_OBJECT)
        return raise_kind(value, "an object", err);
    uint32_t seen = 0;
    for (uint32_t i = 0; i < value->count; i++) {
        const ex_json_member *m = &value->as.members[i];
        const field_rule *rule = find_rule(rules, count, m->key);
        ex_status st = read_member(m, rule, arena, into, err);
        if (st)
            return st;
        seen |= UINT32_C(1) << (rule - rules);
    }
    for (size_t i = 0; i < count; i++) {
        if (!rules[i].is_required || seen & UINT32_C(1) << i)
            continue;
        ex_status st = ex_raise(err, EX_EINVAL, "\"%s\" is missing", rules[i].name);
        field_prefix(err, ex_str(rules[i].name));
        return st;
    }
    return EX_OK;
}

ex_status field_read_array(const ex_json *value, field_read_fn *read, size_t item_bytes,
                           ex_arena *arena, void **ret, uint32_t *ret_count, ex_error *err)
{
    if (value->kind != EX_JSON_ARRAY)
        return raise_kind(value, "an array", err);
    char *items = NULL;
    if (value->count && !(items = ex_arena_array(arena, value->count, item_bytes)))
        return field_no_memory(err);
    for (uint32_t i = 0; i < value->count; i++) {
        ex_status st = read(&value->as.items[i], arena, items + i * item_bytes, err);
        if (st) {
            char index[16];
            int n = snprintf(index, sizeof(index), "[%" PRIu32 "]", i);
            field_prefix(err, ex_slice_of(index, (size_t)n));
            return st;
        }
    }
    *ret = items;
    *ret_count = value->count;
    return EX_OK;
}

ex_status field_read_string(const ex_json *value, ex_slice *ret, ex_error *err)
{
    if (value->kind != EX_JSON_STRING)
        return raise_kind(value, "a string", err);
    *ret = value->as.text;
    return EX_OK;
}

ex_status field_read_u64(const ex_json *value, uint64_t low, uint64_t high, uint64_t *ret,
                         ex_error *err)
{
    uint64_t n = 0;
    bool is_whole = true;
    if (value->kind == EX_JSON_INT && value->as.i64 >= 0)
        n = (uint64_t)value->as.i64;
    else if (value->kind == EX_JSON_UINT)
        n = value->as.u64;
    else
        is_whole = false;
    if (!is_whole || n < low || n > high)
        return ex_raise(err, EX_EINVAL, "must be an integer from %" PRIu64 " to %" PRIu64, low,
                        high);
    *ret = n;
    return EX_OK;
}

static ex_status read_string_item(const ex_json *value, ex_arena *arena, void *into, ex_error *err)
{
    (void)arena;
    return field_read_string(value, into, err);
}

ex_status field_read_strings(const ex_json *value, ex_arena *arena, const ex_slice **ret,
                             uint32_t *ret_count, ex_error *err)
{
    void *items = NULL;
    ex_status st =
        field_read_array(value, read_string_item, sizeof(ex_slice), arena, &items, ret_count, err);
    if (!st)
        *ret = items;
    return st;
}
