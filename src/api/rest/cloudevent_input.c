/* cloudevent_input.c: a CloudEvent (JSON format 1.0) into an event to append.
 *
 *   id              the event's id; what is no UUID or ULID becomes one (cloudevent_origin.h)
 *   type            type
 *   datacontenttype content type; data, data_base64 as CloudEvents says: data of a content type
 *                   that is not JSON is a string, and its text is the event's data
 *   schemaversion, correlationid, causationid, tags, metadata
 *                   our extensions, as event_json.h writes them
 *   all the rest    (source, subject, time, dataschema, other extensions) has no field of its own
 * and is kept in metadata under "cloudevent", in the order in which it came */
#include "api/rest/event_input.h"

#include "api/cloudevent_origin.h"
#include "api/rest/json_fields.h"
#include "api/rest/request.h"
#include "store/content_type.h"

#include <excore/clock.h>

typedef struct reading {
    ex_new_event event;
    ex_arena *arena;
    const ex_json *data;
    bool has_base64;
    ex_slice id, source;
    ex_slice id_raw; /* as JSON */
    bool has_specversion, has_type;
    bool has_binary_data;
    bool is_binary;   /* data comes beside the attributes, and numbers as texts */
    ex_json metadata; /* of the extension; kind null when there is none */
    ex_buf rest;      /* members without a field of their own, as JSON text without braces */
} reading;

static ex_status read_name(const ex_json *v, ex_slice *ret, ex_error *err)
{
    ex_status st = field_read_string(v, ret, err);
    if (!st && ret->len == 0)
        st = ex_raise(err, EX_EINVAL, "must not be empty");
    return st;
}

/* CloudEvents 3.1: a text without control characters, here a name. */
static ex_status read_word(const ex_json *v, ex_slice *ret, ex_error *err)
{
    ex_status st = read_name(v, ret, err);
    for (size_t i = 0; !st && i < ret->len; i++) {
        unsigned char c = (unsigned char)ret->ptr[i];
        bool is_c1 = c == 0xc2 && i + 1 < ret->len && (unsigned char)ret->ptr[i + 1] < 0xa0;
        if (c < 0x20 || c == 0x7f || is_c1)
            st = ex_raise(err, EX_EINVAL, "must not hold control characters");
    }
    return st;
}

/* RFC 3986, as far as characters and escapes go. */
static ex_status read_uri(const ex_json *v, bool is_absolute, ex_slice *ret, ex_error *err)
{
    static const char marks[] = "-._~:/?#[]@!$&'()*+,;=%";
    ex_status st = read_word(v, ret, err);
    size_t scheme = 0, escape = 0;
    for (size_t i = 0; !st && i < ret->len; i++) {
        char c = ret->ptr[i];
        bool is_hex = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
        bool is_ok = is_hex || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || strchr(marks, c);
        if (!is_ok || (escape && !is_hex))
            return ex_raise(err, EX_EINVAL,
                            "must be a URI (RFC 3986): encode what is none as %%XX");
        escape = c == '%' ? 2 : escape ? escape - 1 : 0;
        if (c == ':' && !scheme)
            scheme = i;
    }
    if (!st && escape)
        st = ex_raise(err, EX_EINVAL, "must be a URI (RFC 3986): encode what is none as %%XX");
    if (!st && is_absolute && !scheme)
        st = ex_raise(err, EX_EINVAL, "must be an absolute URI");
    return st;
}

static ex_status read_specversion(reading *r, const ex_json *v, ex_error *err)
{
    ex_slice text;
    ex_status st = field_read_string(v, &text, err);
    if (!st && !ex_slice_is(text, "1.0"))
        st = ex_raise(err, EX_EINVAL, "must be \"1.0\"");
    r->has_specversion = true;
    return st;
}

static ex_status read_id(reading *r, const ex_json *v, ex_error *err)
{
    r->id_raw = v->raw;
    return read_word(v, &r->id, err);
}

static ex_status read_type(reading *r, const ex_json *v, ex_error *err)
{
    r->has_type = true;
    return read_name(v, &r->event.type, err);
}

static ex_status read_content_type(reading *r, const ex_json *v, ex_error *err)
{
    return read_name(v, &r->event.content_type, err);
}

static ex_status read_data(reading *r, const ex_json *v, ex_error *err)
{
    (void)err;
    r->data = v;
    return EX_OK;
}

static ex_status read_base64(reading *r, const ex_json *v, ex_error *err)
{
    ex_slice text;
    ex_status st = field_read_string(v, &text, err);
    r->has_base64 = true;
    return st ? st : event_input_base64(text, r->arena, &r->event.data, err);
}

/* A header has no numbers, only their digits. */
static ex_json number_of(const ex_json *v)
{
    ex_json n = {.kind = EX_JSON_UINT};
    for (size_t i = 0; i < v->as.text.len; i++) {
        if (v->as.text.ptr[i] < '0' || v->as.text.ptr[i] > '9' || i > 9)
            return *v;
        n.as.u64 = n.as.u64 * 10 + (uint64_t)(v->as.text.ptr[i] - '0');
    }
    return n;
}

static ex_status read_schema_version(reading *r, const ex_json *v, ex_error *err)
{
    uint64_t n = 0;
    const ex_json number = r->is_binary && v->kind == EX_JSON_STRING ? number_of(v) : *v;
    ex_status st = field_read_u64(&number, 1, INT32_MAX, &n, err);
    r->event.schema_version = (uint32_t)n;
    return st;
}

static ex_status read_correlation(reading *r, const ex_json *v, ex_error *err)
{
    return read_name(v, &r->event.correlation_id, err);
}

static ex_status read_causation(reading *r, const ex_json *v, ex_error *err)
{
    return read_name(v, &r->event.causation_id, err);
}

static ex_status read_tags(reading *r, const ex_json *v, ex_error *err)
{
    ex_slice text;
    ex_status st = read_name(v, &text, err);
    if (st)
        return st;
    uint32_t count = 1;
    for (size_t i = 0; i < text.len; i++)
        count += text.ptr[i] == ',';
    ex_slice *tags = ex_arena_array(r->arena, count, sizeof(*tags));
    if (!tags)
        return field_no_memory(err);
    for (uint32_t i = 0; i < count && !st; i++) {
        const char *comma = memchr(text.ptr, ',', text.len);
        size_t len = comma ? (size_t)(comma - text.ptr) : text.len;
        st = request_list_value(ex_slice_of(text.ptr, len), r->arena, &tags[i], err);
        text = comma ? ex_slice_of(comma + 1, text.len - len - 1) : EX_S("");
    }
    r->event.tags = tags;
    r->event.tag_count = count;
    return st;
}

static ex_status read_metadata(reading *r, const ex_json *v, ex_error *err)
{
    ex_slice text;
    ex_status st = field_read_string(v, &text, err);
    if (st)
        return st;
    if (ex_json_parse(text, r->arena, NULL, &r->metadata, NULL) ||
        r->metadata.kind != EX_JSON_OBJECT)
        return ex_raise(err, EX_EINVAL, "must hold the text of a JSON object");
    return EX_OK;
}

/* clang-format off */
static const struct {
    const char *name;
    ex_status (*read)(reading *r, const ex_json *v, ex_error *err);
} known[] = {
    {"specversion",     read_specversion},
    {"id",              read_id},
    {"type",            read_type},
    {"datacontenttype", read_content_type},
    {"data",            read_data},
    {"data_base64",     read_base64},
    {"schemaversion",   read_schema_version},
    {"correlationid",   read_correlation},
    {"causationid",     read_causation},
    {"tags",            read_tags},
    {"metadata",        read_metadata},
};
/* clang-format on */

static bool is_attribute_name(ex_slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')))
            return false;
    }
    return name.len > 0;
}

static void keep(reading *r, ex_slice name, ex_slice json)
{
    if (r->rest.len)
        ex_buf_put_char(&r->rest, ',');
    ex_json_put_string(&r->rest, name);
    ex_buf_put_char(&r->rest, ':');
    ex_buf_put(&r->rest, json);
}

/* Those of the specification that we only keep. */
static ex_status check_attribute(reading *r, const ex_json_member *m, ex_error *err)
{
    ex_slice text;
    if (ex_slice_is(m->key, "source"))
        return read_uri(&m->value, false, &r->source, err);
    if (ex_slice_is(m->key, "dataschema"))
        return read_uri(&m->value, true, &text, err);
    if (ex_slice_is(m->key, "subject"))
        return read_word(&m->value, &text, err);
    if (ex_slice_is(m->key, "time")) {
        int64_t us;
        ex_status st = field_read_string(&m->value, &text, err);
        if (st || ex_time_parse(text, &us, NULL))
            return ex_raise(err, EX_EINVAL, "must be a time as RFC 3339 writes it");
    }
    return EX_OK;
}

/* An attribute that we only keep. A null one counts as absent (JSON format 2.2). */
static ex_status keep_attribute(reading *r, const ex_json_member *m, ex_error *err)
{
    if (!is_attribute_name(m->key)) {
        ex_status st =
            ex_raise(err, EX_EINVAL, "attribute names have lower-case letters and digits only");
        ex_error_set_code(err, "UNKNOWN_FIELD");
        return st;
    }
    if (m->value.kind == EX_JSON_ARRAY || m->value.kind == EX_JSON_OBJECT ||
        m->value.kind == EX_JSON_DOUBLE)
        return ex_raise(err, EX_EINVAL, "must be a string, an integer or a boolean");
    ex_status st = check_attribute(r, m, err);
    if (st)
        return st;
    keep(r, m->key, m->value.raw);
    return EX_OK;
}

static ex_status read_member(reading *r, const ex_json_member *m, ex_error *err)
{
    if (m->value.kind == EX_JSON_NULL && !ex_slice_is(m->key, "data"))
        return EX_OK;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (ex_slice_is(m->key, known[i].name))
            return known[i].read(r, &m->value, err);
    return keep_attribute(r, m, err);
}

static ex_status check_required(const reading *r, ex_error *err)
{
    const char *missing = !r->has_specversion ? "specversion"
                          : !r->id.len        ? "id"
                          : !r->source.len    ? "source"
                          : !r->has_type      ? "type"
                                              : NULL;
    if (!missing)
        return EX_OK;
    ex_status st = ex_raise(err, EX_EINVAL, "\"%s\" is missing", missing);
    ex_error_set_field(err, ex_str(missing));
    return st;
}

/* Any text that we would not write as it came is kept. */
static ex_status settle_id(reading *r, ex_error *err)
{
    char text[EX_ID_TEXT_SIZE];
    ex_status st = cloudevent_id(r->source, r->id, &r->event.id, err);
    if (!st && !ex_slice_eq(ex_id_text(&r->event.id, text), r->id))
        keep(r, EX_S("id"), r->id_raw);
    return st;
}

static ex_status settle_data(reading *r, ex_error *err)
{
    ex_slice content_type = r->event.content_type;
    bool is_json = content_type.len == 0 || ex_content_is_json(content_type);
    ex_status st = EX_OK;
    if (r->data && r->has_base64) {
        st = ex_raise(err, EX_EINVAL, "\"data\" and \"data_base64\" exclude each other");
        ex_error_set_field(err, EX_S("data"));
    } else if (r->has_base64) {
        st = is_json ? ex_json_validate(r->event.data, r->arena, NULL, err) : EX_OK;
        if (st)
            ex_error_set_field(err, EX_S("data_base64"));
    } else if (r->is_binary && r->has_binary_data) {
        st = is_json ? ex_json_validate(r->event.data, r->arena, NULL, err) : EX_OK;
        if (st)
            ex_error_set_field(err, EX_S("data"));
    } else if (!r->data) {
        r->event.data = is_json ? EX_S("null") : EX_S("");
        keep(r, CLOUDEVENT_NO_DATA, EX_S("true"));
    } else if (is_json) {
        r->event.data = r->data->raw;
    } else {
        st = field_read_string(r->data, &r->event.data, err);
        if (st)
            ex_error_set_field(err, EX_S("data"));
    }
    return st;
}

/* The extensions win over the platform's keys in metadata. */
static ex_status settle_correlation(reading *r, ex_error *err)
{
    ex_new_event keys = {0};
    if (r->metadata.kind != EX_JSON_OBJECT)
        return EX_OK;
    ex_status st = event_input_platform_keys(&r->metadata, &keys, err);
    if (st)
        field_prefix(err, EX_S("metadata"));
    if (!st && r->event.correlation_id.len == 0)
        r->event.correlation_id = keys.correlation_id;
    if (!st && r->event.causation_id.len == 0)
        r->event.causation_id = keys.causation_id;
    return st;
}

/* metadata = the extension's members, then "cloudevent" with what was only kept. */
static ex_status settle_metadata(reading *r, ex_error *err)
{
    bool is_given = r->metadata.kind == EX_JSON_OBJECT;
    ex_status st = ex_buf_status(&r->rest) ? field_no_memory(err) : settle_correlation(r, err);
    if (st)
        return st;
    /* an event that went through here before keeps its first origin, not this hop's */
    if (is_given && (r->rest.len == 0 || ex_json_get(&r->metadata, CLOUDEVENT_KEY))) {
        r->event.metadata = r->metadata.raw;
        return EX_OK;
    }
    ex_buf text;
    ex_json_writer w;
    ex_buf_init(&text, 0);
    ex_json_writer_init(&w, &text);
    ex_json_begin_object(&w);
    for (uint32_t i = 0; is_given && i < r->metadata.count; i++) {
        ex_json_raw_member(&w, r->metadata.as.members[i].key, r->metadata.as.members[i].value.raw);
    }
    ex_json_key(&w, CLOUDEVENT_KEY);
    ex_json_begin_object(&w);
    ex_buf_put(&text, ex_buf_slice(&r->rest));
    ex_json_end_object(&w);
    ex_json_end_object(&w);
    r->event.metadata =
        ex_buf_status(&text) ? EX_S("") : ex_arena_copy(r->arena, ex_buf_slice(&text));
    ex_buf_done(&text);
    return r->event.metadata.len ? EX_OK : field_no_memory(err);
}

static ex_status read_members(reading *r, const ex_json *value, void *into, ex_error *err)
{
    ex_status st = EX_OK;
    for (uint32_t i = 0; i < value->count && !st; i++) {
        st = read_member(r, &value->as.members[i], err);
        if (st)
            field_prefix(err, value->as.members[i].key);
    }
    if (!st)
        st = check_required(r, err);
    if (!st)
        st = settle_id(r, err);
    if (!st)
        st = settle_data(r, err);
    if (!st)
        st = settle_metadata(r, err);
    if (!st)
        *(ex_new_event *)into = r->event;
    return st;
}

ex_status cloudevent_read(const ex_json *value, ex_arena *arena, void *into, ex_error *err)
{
    reading r = {.arena = arena};
    if (value->kind != EX_JSON_OBJECT)
        return ex_raise(err, EX_EINVAL, "must be a CloudEvent: an object");
    ex_buf_init(&r.rest, 0);
    ex_status st = read_members(&r, value, into, err);
    ex_buf_done(&r.rest);
    return st;
}

ex_status cloudevent_read_binary(const ex_json *attributes, ex_slice content_type, ex_slice body,
                                 ex_arena *arena, void *into, ex_error *err)
{
    reading r = {.arena = arena, .is_binary = true, .has_binary_data = body.len > 0};
    r.event.content_type = content_type;
    r.event.data = body;
    ex_buf_init(&r.rest, 0);
    ex_status st = read_members(&r, attributes, into, err);
    ex_buf_done(&r.rest);
    return st;
}
