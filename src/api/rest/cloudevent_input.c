/* cloudevent_input.c: a CloudEvent (JSON format 1.0) into an event to append.
 *
 *   id              the event's id: a UUID or ULID
 *   type            type
 *   datacontenttype content type; data, data_base64 as CloudEvents says: data of a content type
 *                   that is not JSON is a string, and its text is the event's data
 *   schemaversion, correlationid, causationid, tags, metadata
 *                   our extensions, as event_json.h writes them
 *   all the rest    (source, subject, time, dataschema, other extensions) has no field of its own
 * and is kept in metadata under "cloudevent", in the order in which it came */
#include "api/rest/event_input.h"

#include "api/rest/json_fields.h"
#include "api/rest/request.h"
#include "store/content_type.h"

#include <excore/clock.h>

#define CLOUDEVENT_KEY EX_S("cloudevent")

typedef struct reading {
    ex_new_event event;
    ex_arena *arena;
    const ex_json *data;
    bool has_base64;
    bool has_specversion, has_id, has_source, has_type;
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
    r->has_id = true;
    return event_input_id(v, &r->event.id, err);
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

static ex_status read_schema_version(reading *r, const ex_json *v, ex_error *err)
{
    uint64_t n = 0;
    ex_status st = field_read_u64(v, 1, UINT32_MAX, &n, err);
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

/* An attribute that we only keep. A null one counts as absent (JSON format 2.2). */
static ex_status keep_attribute(reading *r, const ex_json_member *m, ex_error *err)
{
    ex_slice text;
    if (!is_attribute_name(m->key)) {
        ex_status st =
            ex_raise(err, EX_EINVAL, "attribute names have lower-case letters and digits only");
        ex_error_set_code(err, "UNKNOWN_FIELD");
        return st;
    }
    if (m->value.kind == EX_JSON_ARRAY || m->value.kind == EX_JSON_OBJECT ||
        m->value.kind == EX_JSON_DOUBLE)
        return ex_raise(err, EX_EINVAL, "must be a string, an integer or a boolean");
    if (ex_slice_is(m->key, "source")) {
        r->has_source = true;
        ex_status st = read_name(&m->value, &text, err);
        if (st)
            return st;
    }
    if (ex_slice_is(m->key, "time")) {
        int64_t us;
        ex_status st = field_read_string(&m->value, &text, err);
        if (st || ex_time_parse(text, &us, NULL))
            return ex_raise(err, EX_EINVAL, "must be a time as RFC 3339 writes it");
    }
    if (r->rest.len)
        ex_buf_put_char(&r->rest, ',');
    ex_json_put_string(&r->rest, m->key);
    ex_buf_put_char(&r->rest, ':');
    ex_buf_put(&r->rest, m->value.raw);
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
                          : !r->has_id        ? "id"
                          : !r->has_source    ? "source"
                          : !r->has_type      ? "type"
                                              : NULL;
    if (!missing)
        return EX_OK;
    ex_status st = ex_raise(err, EX_EINVAL, "\"%s\" is missing", missing);
    ex_error_set_field(err, ex_str(missing));
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
    } else if (!r->data) {
        r->event.data = is_json ? EX_S("null") : EX_S("");
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

ex_status cloudevent_read(const ex_json *value, ex_arena *arena, void *into, ex_error *err)
{
    reading r = {.arena = arena};
    ex_status st = EX_OK;
    if (value->kind != EX_JSON_OBJECT)
        return ex_raise(err, EX_EINVAL, "must be a CloudEvent: an object");
    ex_buf_init(&r.rest, 0);
    for (uint32_t i = 0; i < value->count && !st; i++) {
        st = read_member(&r, &value->as.members[i], err);
        if (st)
            field_prefix(err, value->as.members[i].key);
    }
    if (!st)
        st = check_required(&r, err);
    if (!st)
        st = settle_data(&r, err);
    if (!st)
        st = settle_metadata(&r, err);
    if (!st)
        *(ex_new_event *)into = r.event;
    ex_buf_done(&r.rest);
    return st;
}
