/* expected_input.c: see expected_input.h. */
#include "api/rest/expected_input.h"

#include "api/rest/json_fields.h"
#include "api/rest/request.h"

static ex_status read_value(const ex_json *v, ex_expected *ret, ex_error *err)
{
    if (v->kind == EX_JSON_STRING) {
        static const struct {
            ex_slice word;
            uint64_t raw;
        } words[] = {{EX_S_INIT("any"), 0}, {EX_S_INIT("exists"), 1}, {EX_S_INIT("no_stream"), 2}};
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
            if (ex_slice_eq(v->as.text, words[i].word)) {
                ret->raw = words[i].raw;
                return EX_OK;
            }
    }
    uint64_t version = 0;
    if (field_read_u64(v, 0, INT64_MAX, &version, NULL))
        return ex_raise(err, EX_EINVAL, "must be \"any\", \"no_stream\", \"exists\" or a version");
    *ret = ex_expect_version(version);
    return EX_OK;
}

ex_status expected_read(const ex_json *v, ex_arena *arena, void *into, ex_error *err)
{
    expected_input *e = into;
    (void)arena;
    e->is_given = true;
    return read_value(v, &e->value, err);
}

/* "3" with its quotes: the entity tag that a read gives. */
static bool parse_etag(ex_slice tag, uint64_t *ret)
{
    if (tag.len < 3 || tag.len > 20 || tag.ptr[0] != '"' || tag.ptr[tag.len - 1] != '"')
        return false;
    uint64_t n = 0;
    for (size_t i = 1; i + 1 < tag.len; i++) {
        if (tag.ptr[i] < '0' || tag.ptr[i] > '9')
            return false;
        n = n * 10 + (uint64_t)(tag.ptr[i] - '0'); /* at most 18 digits */
    }
    *ret = n;
    return true;
}

static ex_status raise_header(ex_error *err, const char *name, const char *message)
{
    ex_status st = ex_raise(err, EX_EINVAL, "%s %s", name, message);
    ex_error_set_field(err, ex_str(name));
    return st;
}

ex_status expected_from_headers(ex_slice if_match, ex_slice if_none_match, expected_input *ret,
                                ex_error *err)
{
    expected_input e = {0};
    if (if_match.ptr && if_none_match.ptr)
        return raise_header(err, "If-Match", "and If-None-Match exclude each other");
    if (if_match.ptr) {
        uint64_t version = 0;
        ex_slice tag = request_trim(if_match);
        if (ex_slice_is(tag, "*"))
            e.value = EX_EXISTS;
        else if (parse_etag(tag, &version))
            e.value = ex_expect_version(version);
        else
            return raise_header(err, "If-Match", "must be * or one version in quotes");
        e.is_given = true;
    } else if (if_none_match.ptr) {
        if (!ex_slice_is(request_trim(if_none_match), "*"))
            return raise_header(err, "If-None-Match", "must be *");
        e.value = EX_NO_STREAM;
        e.is_given = true;
    }
    *ret = e;
    return EX_OK;
}

ex_status expected_merge(expected_input header, expected_input body, ex_expected *ret,
                         ex_error *err)
{
    if (header.is_given && body.is_given && header.value.raw != body.value.raw) {
        ex_status st = ex_raise(err, EX_EINVAL, "\"expected\" and the If-Match header differ");
        ex_error_set_field(err, EX_S("expected"));
        return st;
    }
    *ret = header.is_given ? header.value : body.value;
    return EX_OK;
}
