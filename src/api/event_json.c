/* event_json.c: events as JSON text. The hot path of every reader.
 *
 * The largest possible length is reserved once, then bytes go out through a
 * bare pointer: no bounds check and no call per field. Names were checked to be
 * UTF-8 without control characters when they were appended; what JSON wants
 * escaped is escaped all the same, so even a damaged name gives valid structure. */
#include "api/event_json.h"

#include "api/cloudevent_origin.h"
#include "kernel/base64.h"
#include "store/content_type.h"

#include <excore/clock.h>

#include <assert.h>

#define FIXED_BYTES   ((size_t)768) /* keys, numbers, id, times, punctuation of either form */
#define ESCAPE_FACTOR ((size_t)6)   /* \u00XX */
#define DIGITS_MAX    20

static const char hex[] = "0123456789abcdef";

/* ---- Bare writing: the caller reserved enough ---- */

static char *put(char *p, ex_slice s)
{
    if (s.len)
        memcpy(p, s.ptr, s.len);
    return p + s.len;
}

#define PUT_LITERAL(p, literal)                                                                    \
    ((char *)memcpy((p), (literal), sizeof(literal) - 1) + sizeof(literal) - 1)

static char *put_u64(char *p, uint64_t n)
{
    char digits[DIGITS_MAX];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    memcpy(p, digits + at, sizeof(digits) - at);
    return p + (sizeof(digits) - at);
}

static char *put_escaped_byte(char *p, unsigned char c)
{
    static const char shorts[32] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    *p++ = '\\';
    if (c == '"' || c == '\\') {
        *p++ = (char)c;
    } else if (shorts[c]) {
        *p++ = shorts[c];
    } else {
        p = PUT_LITERAL(p, "u00");
        *p++ = hex[c >> 4];
        *p++ = hex[c & 15];
    }
    return p;
}

/* The inside of a JSON string, without the quotes. */
static char *put_text(char *p, ex_slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c < 0x20 || c == '"' || c == '\\')
            p = put_escaped_byte(p, c);
        else
            *p++ = (char)c;
    }
    return p;
}

static char *put_string(char *p, ex_slice s)
{
    *p++ = '"';
    p = put_text(p, s);
    *p++ = '"';
    return p;
}

static char *put_time(char *p, int64_t us)
{
    char text[EX_TIME_TEXT_SIZE];
    return put(p, ex_time_text(us, text));
}

static char *put_id(char *p, const ex_id *id)
{
    char text[EX_ID_TEXT_SIZE];
    return put(p, ex_id_text(id, text));
}

/* `"data":…` or `"data_base64":"…"`. No bytes at all read as null, which JSON can say. */
static char *put_data(char *p, const ex_event *e, bool is_json)
{
    if (!is_json) {
        p = PUT_LITERAL(p, "\"data_base64\":\"");
        p += ex_base64_encode(e->data, p);
        return PUT_LITERAL(p, "\"");
    }
    p = PUT_LITERAL(p, "\"data\":");
    return e->data.len ? put(p, e->data) : PUT_LITERAL(p, "null");
}

/* ---- Our own form ---- */

static bool is_plain_json(ex_slice content_type)
{
    return content_type.len == 0 || ex_slice_eq(content_type, EX_S("application/json"));
}

static char *put_tags(char *p, ex_tags tags)
{
    ex_slice tag;
    size_t at = 0;
    bool first = true;
    *p++ = '[';
    while (ex_tags_next(tags, &at, &tag)) {
        if (!first)
            *p++ = ',';
        first = false;
        p = put_string(p, tag);
    }
    *p++ = ']';
    return p;
}

static char *put_plain(char *p, const ex_event *e)
{
    p = put_u64(PUT_LITERAL(p, "{\"position\":"), e->position);
    p = put_string(PUT_LITERAL(p, ",\"stream\":"), e->stream);
    p = put_u64(PUT_LITERAL(p, ",\"version\":"), e->version);
    p = put_id(PUT_LITERAL(p, ",\"id\":\""), &e->id);
    p = put_string(PUT_LITERAL(p, "\",\"type\":"), e->type);
    p = put_u64(PUT_LITERAL(p, ",\"schema_version\":"), e->schema_version);
    bool is_json = true;
    if (!is_plain_json(e->content_type)) {
        is_json = ex_content_is_json(e->content_type);
        p = put_string(PUT_LITERAL(p, ",\"content_type\":"), e->content_type);
    }
    *p++ = ',';
    p = put_data(p, e, is_json);
    p = PUT_LITERAL(p, ",\"metadata\":");
    p = e->metadata.len ? put(p, e->metadata) : PUT_LITERAL(p, "{}");
    p = put_tags(PUT_LITERAL(p, ",\"tags\":"), e->tags);
    if (e->correlation_id.len)
        p = put_string(PUT_LITERAL(p, ",\"correlation_id\":"), e->correlation_id);
    if (e->causation_id.len)
        p = put_string(PUT_LITERAL(p, ",\"causation_id\":"), e->causation_id);
    p = put_time(PUT_LITERAL(p, ",\"recorded_at\":\""), e->recorded_at_us);
    return PUT_LITERAL(p, "\"}");
}

/* ---- CloudEvents ---- */

static bool is_unreserved(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static char *put_percent(char *p, unsigned char c)
{
    static const char upper[] = "0123456789ABCDEF";
    *p++ = '%';
    *p++ = upper[c >> 4];
    *p++ = upper[c & 15];
    return p;
}

static char *put_uri_segment(char *p, ex_slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (is_unreserved(c))
            *p++ = (char)c;
        else
            p = put_percent(p, c);
    }
    return p;
}

static char *put_tag_list(char *p, ex_tags tags)
{
    ex_slice tag;
    size_t at = 0;
    bool first = true;
    while (ex_tags_next(tags, &at, &tag)) {
        if (!first)
            *p++ = ',';
        first = false;
        for (size_t i = 0; i < tag.len; i++) {
            unsigned char c = (unsigned char)tag.ptr[i];
            p = c == ',' || c == '%' ? put_percent(p, c) : put_text(p, ex_slice_of(&tag.ptr[i], 1));
        }
    }
    return p;
}

static char *put_extensions(char *p, const ex_event *e)
{
    p = put_u64(PUT_LITERAL(p, ",\"position\":\""), e->position);
    p = put_u64(PUT_LITERAL(p, "\",\"streamversion\":\""), e->version);
    p = put_u64(PUT_LITERAL(p, "\",\"schemaversion\":"), e->schema_version);
    if (e->correlation_id.len)
        p = put_string(PUT_LITERAL(p, ",\"correlationid\":"), e->correlation_id);
    if (e->causation_id.len)
        p = put_string(PUT_LITERAL(p, ",\"causationid\":"), e->causation_id);
    if (e->tags.packed.len) {
        p = put_tag_list(PUT_LITERAL(p, ",\"tags\":\""), e->tags);
        *p++ = '"';
    }
    if (e->metadata.len && !ex_slice_eq(e->metadata, EX_S("{}")))
        p = put_string(PUT_LITERAL(p, ",\"metadata\":"), e->metadata);
    *p++ = '}';
    return p;
}

/* An event without data has the JSON value null, or no bytes, and says so in its metadata. */
static char *put_content(char *p, const ex_event *e, bool has_no_data)
{
    ex_slice content_type = e->content_type.len ? e->content_type : EX_S("application/json");
    bool is_absent = has_no_data && (e->data.len == 0 || ex_slice_is(e->data, "null"));
    if (is_absent && is_plain_json(content_type))
        return p;
    p = put_string(PUT_LITERAL(p, ",\"datacontenttype\":"), content_type);
    if (is_absent)
        return p;
    *p++ = ',';
    return put_data(p, e, ex_content_is_json(content_type));
}

static char *put_cloudevent(char *p, const ex_event *e)
{
    ex_arena arena;
    ex_arena_init(&arena, 0);
    cloudevent_origin origin = cloudevent_origin_of(e, &arena);
    p = PUT_LITERAL(p, "{\"specversion\":\"1.0\",\"id\":");
    if (origin.id.len) {
        p = put(PUT_LITERAL(put(p, origin.id), ",\"source\":"), origin.source);
    } else {
        *p++ = '"';
        p = put_id(p, &e->id);
        p = put_uri_segment(PUT_LITERAL(p, "\",\"source\":\"/streams/"), e->stream);
        *p++ = '"';
    }
    p = put_string(PUT_LITERAL(p, ",\"type\":"), e->type);
    p = put_string(PUT_LITERAL(p, ",\"subject\":"), e->stream);
    p = put_time(PUT_LITERAL(p, ",\"time\":\""), e->recorded_at_us);
    *p++ = '"';
    p = put_content(p, e, origin.has_no_data);
    ex_arena_done(&arena);
    return put_extensions(p, e);
}

/* ---- Both ---- */

/* Above every length that either form can reach. */
static size_t size_bound(const ex_event *e, event_form form)
{
    size_t names = e->stream.len * 2 + e->type.len + e->content_type.len + e->tags.packed.len * 2 +
                   e->correlation_id.len + e->causation_id.len;
    size_t metadata =
        form == EVENT_CLOUDEVENT ? e->metadata.len * (ESCAPE_FACTOR + 1) : e->metadata.len;
    return FIXED_BYTES + names * ESCAPE_FACTOR + metadata + e->data.len + e->data.len / 2;
}

void event_json_put(ex_buf *out, const ex_event *event, event_form form)
{
    size_t bound = size_bound(event, form);
    if (!ex_buf_reserve(out, bound))
        return;
    char *start = out->ptr + out->len;
    char *end = form == EVENT_CLOUDEVENT ? put_cloudevent(start, event) : put_plain(start, event);
    assert((size_t)(end - start) <= bound);
    out->len += (size_t)(end - start);
}
