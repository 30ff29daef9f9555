/* remote_event.c: see remote_event.h. */
#include "cli/remote_event.h"

#include "api/rest/event_input.h"

/* ---- JSON ---- */

uint64_t remote_number(const ex_json *object, const char *key, uint64_t fallback)
{
    const ex_json *v = ex_json_get(object, ex_str(key));
    if (v && v->kind == EX_JSON_INT && v->as.i64 >= 0)
        return (uint64_t)v->as.i64;
    return v && v->kind == EX_JSON_UINT ? v->as.u64 : fallback;
}

ex_slice remote_text(const ex_json *object, const char *key)
{
    const ex_json *v = ex_json_get(object, ex_str(key));
    return v && v->kind == EX_JSON_STRING ? v->as.text : (ex_slice){0};
}

ex_status remote_event_read(const ex_json *json, ex_arena *arena, ex_event *ret, ex_error *err)
{
    ex_event e = {
        .position = remote_number(json, "position", 0),
        .version = remote_number(json, "version", 0),
        .stream = remote_text(json, "stream"),
        .type = remote_text(json, "type"),
        .schema_version = (uint32_t)remote_number(json, "schema_version", 1),
        .content_type = remote_text(json, "content_type"),
    };
    if (!e.position || !e.version || !e.stream.len || !e.type.len)
        return ex_raise(err, EX_EMALFORMED, "the server sent something that is no event");
    if (!e.content_type.len)
        e.content_type = EX_S("application/json");
    const ex_json *data = ex_json_get(json, EX_S("data"));
    ex_status status = EX_OK;
    if (data)
        e.data = data->raw;
    else
        status = event_input_base64(remote_text(json, "data_base64"), arena, &e.data, err);
    if (!status)
        status = ex_time_parse(remote_text(json, "recorded_at"), &e.recorded_at_us, err);
    if (!status)
        status = ex_id_parse(remote_text(json, "id"), &e.id, err);
    if (status)
        return ex_error_context(err, status, "an event of the server");
    *ret = e;
    return EX_OK;
}

/* ---- Server-sent events ---- */

void sse_reader_init(sse_reader *r, size_t limit_bytes)
{
    ex_buf_init(&r->line, limit_bytes);
    ex_buf_init(&r->data, limit_bytes);
}

void sse_reader_done(sse_reader *r)
{
    ex_buf_done(&r->line);
    ex_buf_done(&r->data);
}

static void next_frame(sse_reader *r)
{
    ex_buf_reset(&r->data);
    r->has_id = r->has_data = false;
}

void sse_reader_reset(sse_reader *r)
{
    ex_buf_reset(&r->line);
    next_frame(r);
}

static bool take_field(ex_slice line, const char *name, ex_slice *ret)
{
    size_t len = strlen(name);
    if (line.len < len || memcmp(line.ptr, name, len) != 0 ||
        (line.len > len && line.ptr[len] != ':'))
        return false;
    size_t at = line.len > len ? len + 1 : len;
    at += at < line.len && line.ptr[at] == ' ';
    *ret = ex_slice_of(line.ptr + at, line.len - at);
    return true;
}

/* A whole line, without its end. False: stop. */
static bool take_line(sse_reader *r, ex_slice line)
{
    ex_slice value;
    bool goes_on = true;
    if (line.len == 0) {
        if (r->has_data)
            goes_on = r->on_frame(r->ctx, ex_buf_slice(&r->data), r->has_id);
        next_frame(r);
    } else if (take_field(line, "data", &value)) {
        if (r->has_data)
            ex_buf_put_char(&r->data, '\n');
        ex_buf_put(&r->data, value);
        r->has_data = true;
    } else if (take_field(line, "id", &value)) {
        r->has_id = true;
    }
    return goes_on;
}

ex_status sse_reader_feed(sse_reader *r, ex_slice bytes)
{
    while (bytes.len > 0) {
        const char *end = memchr(bytes.ptr, '\n', bytes.len);
        size_t len = end ? (size_t)(end - bytes.ptr) : bytes.len;
        ex_buf_put(&r->line, ex_slice_of(bytes.ptr, len));
        if (ex_buf_status(&r->line))
            return ex_buf_status(&r->line);
        if (!end)
            return EX_OK;
        ex_slice line = ex_buf_slice(&r->line);
        line.len -= line.len > 0 && line.ptr[line.len - 1] == '\r';
        bool goes_on = take_line(r, line);
        ex_buf_reset(&r->line);
        if (!goes_on)
            return EX_ECANCELLED;
        if (ex_buf_status(&r->data))
            return ex_buf_status(&r->data);
        bytes = ex_slice_of(bytes.ptr + len + 1, bytes.len - len - 1);
    }
    return EX_OK;
}
