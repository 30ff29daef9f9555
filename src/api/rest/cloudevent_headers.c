/* cloudevent_headers.c: see cloudevent_headers.h. */
#include "api/rest/cloudevent_headers.h"

#include "api/rest/json_fields.h"

#define PREFIX EX_S("ce-")

bool cloudevent_is_binary(const http_exchange *x)
{
    return http_header(x, "ce-specversion").ptr != NULL;
}

/* "a \"quoted\" text" → its inside (RFC 9110 5.6.4); anything else stays. */
static ex_slice unquoted(ex_slice in, char *out)
{
    size_t n = 0;
    if (in.len < 2 || in.ptr[0] != '"' || in.ptr[in.len - 1] != '"')
        return in;
    for (size_t i = 1; i + 1 < in.len; i++) {
        i += in.ptr[i] == '\\' && i + 2 < in.len;
        out[n++] = in.ptr[i];
    }
    return ex_slice_of(out, n);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One round; a percent sign that begins no escape stays, as the binding wants it. May be in place. */
static ex_slice decoded(ex_slice in, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < in.len; i++) {
        int high = in.ptr[i] == '%' && in.len - i > 2 ? hex_digit(in.ptr[i + 1]) : -1;
        int low = high < 0 ? -1 : hex_digit(in.ptr[i + 2]);
        out[n++] = low < 0 ? in.ptr[i] : (char)(high * 16 + low);
        i += low < 0 ? 0 : 2;
    }
    return ex_slice_of(out, n);
}

static ex_status take(ex_json *object, ex_slice name, ex_slice value, ex_arena *arena,
                      ex_error *err)
{
    ex_json_member *m = (ex_json_member *)&object->as.members[object->count];
    char *text = ex_arena_alloc(arena, value.len + 1);
    ex_buf raw;
    if (!text)
        return field_no_memory(err);
    m->key = ex_slice_of(name.ptr + PREFIX.len, name.len - PREFIX.len);
    m->value = (ex_json){.kind = EX_JSON_STRING, .as.text = decoded(unquoted(value, text), text)};
    if (!ex_utf8_is_valid(m->value.as.text) || ex_json_get(object, m->key)) {
        ex_status st =
            ex_raise(err, EX_EINVAL, "the header must come once and be percent-encoded UTF-8");
        ex_error_set_field(err, name);
        return st;
    }
    ex_buf_init(&raw, 0);
    ex_json_put_string(&raw, m->value.as.text);
    m->value.raw = ex_arena_copy(arena, ex_buf_slice(&raw));
    bool is_lost = ex_buf_status(&raw) || !m->value.raw.ptr;
    ex_buf_done(&raw);
    object->count++;
    return is_lost ? field_no_memory(err) : EX_OK;
}

ex_status cloudevent_headers(const http_exchange *x, ex_arena *arena, ex_json *ret, ex_error *err)
{
    ex_slice name, value;
    size_t count = 1;
    for (size_t at = 0; http_header_next(x, &at, &name, &value);)
        count += ex_slice_starts(name, PREFIX);
    *ret = (ex_json){.kind = EX_JSON_OBJECT};
    ret->as.members = ex_arena_array(arena, count, sizeof(*ret->as.members));
    if (!ret->as.members)
        return field_no_memory(err);
    ex_status st = EX_OK;
    for (size_t at = 0; !st && http_header_next(x, &at, &name, &value);) {
        if (!ex_slice_starts(name, PREFIX))
            continue;
        bool is_body = ex_slice_is(name, "ce-data") || ex_slice_is(name, "ce-data_base64") ||
                       ex_slice_is(name, "ce-datacontenttype");
        if (is_body) {
            st = ex_raise(err, EX_EINVAL,
                          "in binary mode data is the body, and its type Content-Type");
            ex_error_set_field(err, name);
        } else {
            st = take(ret, name, value, arena, err);
        }
    }
    return st;
}
