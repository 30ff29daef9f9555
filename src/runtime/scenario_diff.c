/* scenario_diff.c: two JSON trees walked side by side. Members are compared by name, items by place. */
#include "runtime/scenario_diff.h"

#define LINES_MAX 20u
#define VALUE_MAX ((size_t)80) /* bytes of a value that are shown */

typedef struct walk {
    ex_buf *out;
    ex_buf path; /* of the values in hand */
    uint32_t count;
} walk;

static void put_value(ex_buf *out, const ex_json *value)
{
    if (!value) {
        ex_buf_put_str(out, "nothing");
        return;
    }
    size_t len = value->raw.len < VALUE_MAX ? value->raw.len : VALUE_MAX;
    while (len < value->raw.len && ((unsigned char)value->raw.ptr[len] & 0xC0) == 0x80)
        len--; /* to a whole character */
    ex_buf_put(out, ex_slice_of(value->raw.ptr, len));
    ex_buf_put_str(out, len < value->raw.len ? "…" : "");
}

static void tell(walk *w, const ex_json *expected, const ex_json *got)
{
    if (++w->count > LINES_MAX)
        return;
    ex_buf_put_str(w->out, "\n  ");
    ex_buf_put(w->out, ex_buf_slice(&w->path));
    ex_buf_put_str(w->out, w->path.len ? ": expected " : "expected ");
    put_value(w->out, expected);
    ex_buf_put_str(w->out, ", got ");
    put_value(w->out, got);
}

static void compare(walk *w, const ex_json *expected, const ex_json *got);

static void compare_member(walk *w, ex_slice key, const ex_json *expected, const ex_json *got)
{
    size_t len = w->path.len;
    ex_buf_put_str(&w->path, len ? "." : "");
    ex_buf_put(&w->path, key);
    compare(w, expected, got);
    w->path.len = len;
}

static void compare_objects(walk *w, const ex_json *expected, const ex_json *got)
{
    for (uint32_t i = 0; i < expected->count; i++) {
        const ex_json_member *m = &expected->as.members[i];
        compare_member(w, m->key, &m->value, ex_json_get(got, m->key));
    }
    for (uint32_t i = 0; i < got->count; i++) {
        const ex_json_member *m = &got->as.members[i];
        if (!ex_json_get(expected, m->key))
            compare_member(w, m->key, NULL, &m->value);
    }
}

static void compare_items(walk *w, const ex_json *expected, const ex_json *got)
{
    uint32_t count = expected->count > got->count ? expected->count : got->count;
    size_t len = w->path.len;
    for (uint32_t i = 0; i < count; i++) {
        ex_buf_printf(&w->path, "[%u]", i);
        compare(w, i < expected->count ? &expected->as.items[i] : NULL,
                i < got->count ? &got->as.items[i] : NULL);
        w->path.len = len;
    }
}

static void compare(walk *w, const ex_json *expected, const ex_json *got)
{
    if (expected && got && ex_slice_eq(expected->raw, got->raw))
        return;
    bool is_one_kind = expected && got && expected->kind == got->kind;
    if (is_one_kind && got->kind == EX_JSON_OBJECT)
        compare_objects(w, expected, got);
    else if (is_one_kind && got->kind == EX_JSON_ARRAY)
        compare_items(w, expected, got);
    else
        tell(w, expected, got);
}

void scenario_diff(const ex_json *expected, const ex_json *got, ex_buf *out)
{
    walk w = {.out = out};
    ex_buf_init(&w.path, 0);
    compare(&w, expected, got);
    if (w.count > LINES_MAX)
        ex_buf_printf(out, "\n  and %u more", w.count - LINES_MAX);
    ex_buf_done(&w.path);
}
