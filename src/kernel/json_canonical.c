/* json_canonical.c: the one form of a JSON value that sizes, fingerprints and hashes are made of.
 *
 * Like RFC 8785 with two differences: keys are sorted by their UTF-8 bytes,
 * and 64-bit integers keep all digits. Numbers with the same value have the
 * same form whichever way they were written: 1, 1.0 and 10e-1 are 1; -0 and
 * 0.0 are 0; 1e5 is 100000; 1e21 is 1e+21. An integer beyond 64 bits is a
 * double like any other (R-FN-07). */
#include <excore/json.h>

#include <stdlib.h>

#define FEW_MEMBERS 16

static int by_key(const void *a, const void *b)
{
    const ex_json_member *const *x = a, *const *y = b;
    return ex_slice_cmp((*x)->key, (*y)->key);
}

static void sort_few(const ex_json_member **members, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        const ex_json_member *m = members[i];
        uint32_t at = i;
        for (; at > 0 && ex_slice_cmp(members[at - 1]->key, m->key) > 0; at--)
            members[at] = members[at - 1];
        members[at] = m;
    }
}

static ex_status put_value(const ex_json *value, ex_arena *scratch, ex_buf *out);

static ex_status put_members(const ex_json_member **members, uint32_t count, ex_arena *scratch,
                             ex_buf *out)
{
    if (count <= FEW_MEMBERS)
        sort_few(members, count);
    else
        qsort(members, count, sizeof(members[0]), by_key);
    for (uint32_t i = 0; i < count; i++) {
        ex_buf_put_char(out, i ? ',' : '{');
        ex_json_put_string(out, members[i]->key);
        ex_buf_put_char(out, ':');
        ex_status st = put_value(&members[i]->value, scratch, out);
        if (st)
            return st;
    }
    ex_buf_put_char(out, '}');
    return EX_OK;
}

static ex_status put_object(const ex_json *object, ex_arena *scratch, ex_buf *out)
{
    if (object->count == 0) {
        ex_buf_put(out, EX_S("{}"));
        return EX_OK;
    }
    ex_arena_mark mark = ex_arena_save(scratch);
    const ex_json_member **members = ex_arena_array(scratch, object->count, sizeof(*members));
    if (!members)
        return EX_ENOMEM;
    for (uint32_t i = 0; i < object->count; i++)
        members[i] = &object->as.members[i];
    ex_status st = put_members(members, object->count, scratch, out);
    ex_arena_restore(scratch, mark);
    return st;
}

static ex_status put_array(const ex_json *array, ex_arena *scratch, ex_buf *out)
{
    ex_buf_put_char(out, '[');
    for (uint32_t i = 0; i < array->count; i++) {
        if (i)
            ex_buf_put_char(out, ',');
        ex_status st = put_value(&array->as.items[i], scratch, out);
        if (st)
            return st;
    }
    ex_buf_put_char(out, ']');
    return EX_OK;
}

static ex_status put_value(const ex_json *value, ex_arena *scratch, ex_buf *out)
{
    switch (value->kind) {
    case EX_JSON_NULL:
        ex_buf_put(out, EX_S("null"));
        break;
    case EX_JSON_BOOL:
        ex_buf_put(out, value->as.boolean ? EX_S("true") : EX_S("false"));
        break;
    case EX_JSON_INT:
        ex_buf_put_i64(out, value->as.i64);
        break;
    case EX_JSON_UINT:
        ex_buf_put_u64(out, value->as.u64);
        break;
    case EX_JSON_DOUBLE:
        ex_json_put_double(out, value->as.number == 0 ? 0 : value->as.number); /* -0.0 too */
        break;
    case EX_JSON_STRING:
        ex_json_put_string(out, value->as.text);
        break;
    case EX_JSON_ARRAY:
        return put_array(value, scratch, out);
    case EX_JSON_OBJECT:
        return put_object(value, scratch, out);
    }
    return out->status;
}

ex_status ex_json_canonical(const ex_json *value, ex_arena *scratch, ex_buf *out)
{
    ex_arena_mark mark = ex_arena_save(scratch);
    ex_status st = put_value(value, scratch, out);
    ex_arena_restore(scratch, mark);
    return st ? st : out->status;
}
