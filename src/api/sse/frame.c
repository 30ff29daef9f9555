/* frame.c: see frame.h. */
#include "api/sse/frame.h"

#include "api/event_json.h"

#include <assert.h>

static bool has_line_break(ex_slice s)
{
    return s.len && (memchr(s.ptr, '\n', s.len) || memchr(s.ptr, '\r', s.len));
}

/* The rest of a data field that was begun: further lines get their own prefix. */
static void put_lines(ex_buf *out, ex_slice data)
{
    size_t start = 0;
    for (size_t i = 0; i < data.len; i++) {
        char c = data.ptr[i];
        if (c != '\n' && c != '\r')
            continue;
        ex_buf_put(out, ex_slice_of(data.ptr + start, i - start));
        ex_buf_put(out, EX_S("\ndata: "));
        if (c == '\r' && i + 1 < data.len && data.ptr[i + 1] == '\n')
            i++;
        start = i + 1;
    }
    ex_buf_put(out, ex_slice_of(data.ptr + start, data.len - start));
}

void sse_put_frame(ex_buf *out, ex_slice name, ex_slice data)
{
    assert(!has_line_break(name));
    ex_buf_put(out, EX_S("event: "));
    ex_buf_put(out, name);
    ex_buf_put(out, EX_S("\ndata: "));
    put_lines(out, data);
    ex_buf_put(out, EX_S("\n\n"));
}

/* Rare: the event's own JSON text spans lines. */
static void put_event_lines(ex_buf *out, const ex_event *event)
{
    ex_buf json;
    ex_buf_init(&json, out->limit_bytes);
    event_json_put(&json, event, EVENT_PLAIN);
    if (ex_buf_status(&json))
        out->status = ex_buf_status(&json);
    else
        put_lines(out, ex_buf_slice(&json));
    ex_buf_done(&json);
}

void sse_put_event(ex_buf *out, const ex_event *event, uint64_t id, bool is_named)
{
    /* names have no control characters: the store refuses them at append */
    assert(!has_line_break(event->type));
    ex_buf_put(out, EX_S("id: "));
    ex_buf_put_u64(out, id);
    if (is_named) {
        ex_buf_put(out, EX_S("\nevent: "));
        ex_buf_put(out, event->type);
    }
    ex_buf_put(out, EX_S("\ndata: "));
    if (has_line_break(event->data) || has_line_break(event->metadata))
        put_event_lines(out, event);
    else
        event_json_put(out, event, EVENT_PLAIN);
    ex_buf_put(out, EX_S("\n\n"));
}
