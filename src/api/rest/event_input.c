/* event_input.c: see event_input.h. Our own form; CloudEvents are in cloudevent_input.c. */
#include "api/rest/event_input.h"

#include "api/event_depth.h"
#include "api/rest/cloudevent_headers.h"
#include "api/rest/json_fields.h"
#include "kernel/base64.h"
#include "store/content_type.h"

#include <assert.h>

#define RULES(table) (table), sizeof(table) / sizeof((table)[0])

/* ---- Pieces shared by both forms ---- */

ex_status event_input_id(const ex_json *value, ex_id *ret, ex_error *err)
{
    ex_slice text;
    ex_status st = field_read_string(value, &text, err);
    if (st)
        return st;
    if (ex_id_parse(text, ret, NULL) || ex_id_is_nil(ret))
        return ex_raise(err, EX_EINVAL, "must be a UUID or a ULID, and not nil");
    return EX_OK;
}

ex_status event_input_base64(ex_slice text, ex_arena *arena, ex_slice *ret, ex_error *err)
{
    char *out = ex_arena_alloc(arena, ex_base64_bytes(text.len));
    size_t len = 0;
    if (!out)
        return field_no_memory(err);
    if (!ex_base64_decode(text, out, &len))
        return ex_raise(err, EX_EINVAL, "must be base64 with padding (RFC 4648)");
    *ret = ex_slice_of(out, len);
    return EX_OK;
}

static ex_status platform_key(const ex_json *metadata, ex_slice key, ex_slice *ret, ex_error *err)
{
    const ex_json *value = ex_json_get(metadata, key);
    if (!value)
        return EX_OK;
    ex_status st = field_read_string(value, ret, err);
    if (!st && (ret->len == 0 || ret->len > EX_CORRELATION_MAX))
        st = ex_raise(err, EX_EINVAL, "must have 1 to %d bytes", EX_CORRELATION_MAX);
    if (st)
        field_prefix(err, key);
    return st;
}

ex_status event_input_platform_keys(const ex_json *metadata, ex_new_event *e, ex_error *err)
{
    ex_status st = platform_key(metadata, EX_S("$correlation_id"), &e->correlation_id, err);
    return st ? st : platform_key(metadata, EX_S("$causation_id"), &e->causation_id, err);
}

/* ---- One event ---- */

/* What the members of an event say before they are weighed against each other. */
typedef struct event_fields {
    ex_new_event event;
    bool has_data;
    bool has_base64;
} event_fields;

static ex_status read_type(const ex_json *v, ex_arena *arena, void *into, ex_error *err)
{
    (void)arena;
    return field_read_string(v, &((event_fields *)into)->event.type, err);
}

static ex_status read_data(const ex_json *v, ex_arena *arena, void *into, ex_error *err)
{
    event_fields *f = into;
    (void)arena;
    (void)err;
    f->event.data = v->raw;
    f->has_data = true;
    return EX_OK;
}

static ex_status read_base64(const ex_json *v, ex_arena *arena, void *into, ex_error *err)
{
    event_fields *f = into;
    ex_slice text;
    ex_status st = field_read_string(v, &text, err);
    if (!st)
        st = event_input_base64(text, arena, &f->event.data, err);
    f->has_base64 = true;
    return st;
}

static ex_status read_content_type(const ex_json *v, ex_arena *arena, void *into, ex_error *err)
{
    (void)arena;
    ex_slice *ret = &((event_fields *)into)->event.content_type;
    ex_status st = field_read_string(v, ret, err);
    if (!st && ret->len == 0)
        st = ex_raise(err, EX_EINVAL, "must not be empty");
    return st;
}

static ex_status read_id(const ex_json *v, ex_arena *arena, void *into, ex_error *err)
{
    (void)arena;
    return event_input_id(v, &((event_fields *)into)->event.id, err);
}

static ex_status read_metadata(const ex_json *v, ex_arena *arena, void *into, ex_error *err)
{
    ex_new_event *e = &((event_fields *)into)->event;
    (void)arena;
    if (v->kind != EX_JSON_OBJECT)
        return ex_raise(err, EX_EINVAL, "must be an object");
    e->metadata = v->raw;
    return event_input_platform_keys(v, e, err);
}

static ex_status read_tags(const ex_json *v, ex_arena *arena, void *into, ex_error *err)
{
    ex_new_event *e = &((event_fields *)into)->event;
    return field_read_strings(v, arena, &e->tags, &e->tag_count, err);
}

static ex_status read_schema_version(const ex_json *v, ex_arena *arena, void *into, ex_error *err)
{
    uint64_t n = 0;
    (void)arena;
    ex_status st = field_read_u64(v, 1, UINT32_MAX, &n, err);
    ((event_fields *)into)->event.schema_version = (uint32_t)n;
    return st;
}

static const field_rule event_rules[] = {
    {"type", true, read_type},
    {"data", false, read_data},
    {"data_base64", false, read_base64},
    {"content_type", false, read_content_type},
    {"id", false, read_id},
    {"metadata", false, read_metadata},
    {"tags", false, read_tags},
    {"schema_version", false, read_schema_version},
};

/* Exactly one of data and data_base64, and the one that fits the content type. */
static ex_status check_data(const event_fields *f, ex_arena *arena, ex_error *err)
{
    bool is_json = f->event.content_type.len == 0 || ex_content_is_json(f->event.content_type);
    ex_status st = EX_OK;
    if (f->has_data == f->has_base64) {
        st = ex_raise(err, EX_EINVAL,
                      f->has_data ? "\"data\" and \"data_base64\" exclude each other"
                                  : "\"data\" is missing");
        ex_error_set_field(err, EX_S("data"));
    } else if (f->has_data && !is_json) {
        st = ex_raise(err, EX_EINVAL, "content that is not JSON is sent as \"data_base64\"");
        ex_error_set_field(err, EX_S("data"));
    } else if (f->has_base64 && is_json) {
        st = ex_json_validate(f->event.data, arena, NULL, err);
        if (st)
            ex_error_set_field(err, EX_S("data_base64"));
    }
    return st;
}

static ex_status read_event(const ex_json *v, ex_arena *arena, void *into, ex_error *err)
{
    event_fields f = {0};
    ex_status st = field_read_object(v, RULES(event_rules), arena, &f, err);
    if (!st)
        st = check_data(&f, arena, err);
    if (!st)
        *(ex_new_event *)into = f.event;
    return st;
}

/* ---- Condition ---- */

typedef struct condition_fields {
    bool is_given;
    ex_query query;
    uint64_t after;
    bool has_log;
    log_token log;
} condition_fields;

static ex_status read_item_types(const ex_json *v, ex_arena *arena, void *into, ex_error *err)
{
    ex_query_item *item = into;
    return field_read_strings(v, arena, &item->types, &item->type_count, err);
}

static ex_status read_item_tags(const ex_json *v, ex_arena *arena, void *into, ex_error *err)
{
    ex_query_item *item = into;
    return field_read_strings(v, arena, &item->tags, &item->tag_count, err);
}

static ex_status read_item(const ex_json *v, ex_arena *arena, void *into, ex_error *err)
{
    static const field_rule rules[] = {{"types", false, read_item_types},
                                       {"tags", false, read_item_tags}};
    return field_read_object(v, RULES(rules), arena, into, err);
}

static ex_status read_items(const ex_json *v, ex_arena *arena, void *into, ex_error *err)
{
    ex_query *query = into;
    void *items = NULL;
    ex_status st = field_read_array(v, read_item, sizeof(ex_query_item), arena, &items,
                                    &query->item_count, err);
    if (!st)
        query->items = items;
    return st;
}

static ex_status read_fail_if_match(const ex_json *v, ex_arena *arena, void *into, ex_error *err)
{
    static const field_rule rules[] = {{"items", true, read_items}};
    return field_read_object(v, RULES(rules), arena, &((condition_fields *)into)->query, err);
}

static ex_status read_after(const ex_json *v, ex_arena *arena, void *into, ex_error *err)
{
    (void)arena;
    return field_read_u64(v, 0, INT64_MAX, &((condition_fields *)into)->after, err);
}

static ex_status read_log(const ex_json *v, ex_arena *arena, void *into, ex_error *err)
{
    condition_fields *c = into;
    ex_slice text;
    (void)arena;
    c->has_log = true;
    ex_status st = field_read_string(v, &text, err);
    return st ? st : log_token_parse(text, &c->log, err);
}

static ex_status read_condition(const ex_json *v, ex_arena *arena, condition_fields *into,
                                ex_error *err)
{
    static const field_rule rules[] = {{"fail_if_match", true, read_fail_if_match},
                                       {"after", false, read_after},
                                       {"log", false, read_log}};
    into->is_given = true;
    return field_read_object(v, RULES(rules), arena, into, err);
}

static void take_condition(const condition_fields *c, append_input *in)
{
    if (!c->is_given)
        return;
    in->query = c->query;
    in->append.fail_if_match = &in->query;
    in->append.after = c->after;
    in->has_log = c->has_log;
    in->log = c->log;
    if (c->has_log)
        in->append.epoch = &in->log.epoch;
}

/* ---- Bodies ---- */

typedef struct stream_body {
    ex_new_event *events;
    uint32_t event_count;
    expected_input expected;
    condition_fields condition;
} stream_body;

static ex_status read_body_events(const ex_json *v, ex_arena *arena, void *into, ex_error *err)
{
    stream_body *b = into;
    void *events = NULL;
    ex_status st =
        field_read_array(v, read_event, sizeof(ex_new_event), arena, &events, &b->event_count, err);
    if (!st)
        b->events = events;
    return st;
}

static ex_status read_body_expected(const ex_json *v, ex_arena *arena, void *into, ex_error *err)
{
    return expected_read(v, arena, &((stream_body *)into)->expected, err);
}

static ex_status read_body_condition(const ex_json *v, ex_arena *arena, void *into, ex_error *err)
{
    return read_condition(v, arena, &((stream_body *)into)->condition, err);
}

static ex_status read_stream_body(append_body kind, const ex_json *root, ex_arena *arena,
                                  stream_body *b, ex_error *err)
{
    static const field_rule rules[] = {{"events", true, read_body_events},
                                       {"expected", false, read_body_expected},
                                       {"condition", false, read_body_condition}};
    if (kind == APPEND_JSON)
        return field_read_object(root, RULES(rules), arena, b, err);
    void *events = NULL;
    ex_status st;
    if (kind == APPEND_CLOUDEVENT_BATCH) {
        st = field_read_array(root, cloudevent_read, sizeof(ex_new_event), arena, &events,
                              &b->event_count, err);
    } else {
        if (!(events = ex_arena_zalloc(arena, sizeof(ex_new_event))))
            return field_no_memory(err);
        b->event_count = 1;
        st = cloudevent_read(root, arena, events, err);
    }
    b->events = events;
    return st;
}

static ex_status take_stream_body(ex_slice stream, expected_input header, const stream_body *b,
                                  ex_arena *arena, append_input *ret, ex_error *err)
{
    ex_stream_write *write = ex_arena_zalloc(arena, sizeof(*write));
    if (!write)
        return field_no_memory(err);
    ex_status st = expected_merge(header, b->expected, &write->expected, err);
    if (!st && b->event_count == 0) {
        st = ex_raise(err, EX_EINVAL, "at least one event is needed");
        ex_error_set_field(err, EX_S("events"));
    }
    if (st)
        return st;
    write->stream = stream;
    write->events = b->events;
    write->event_count = b->event_count;
    memset(ret, 0, sizeof(*ret));
    ret->append.writes = write;
    ret->append.write_count = 1;
    ret->event_count = b->event_count;
    take_condition(&b->condition, ret);
    return EX_OK;
}

ex_status append_input_stream(ex_slice stream, append_body kind, ex_slice body,
                              expected_input header, ex_arena *arena, append_input *ret,
                              ex_error *err)
{
    ex_json root;
    stream_body b = {0};
    ex_status st = ex_json_parse(body, arena, &event_document, &root, err);
    if (!st)
        st = read_stream_body(kind, &root, arena, &b, err);
    return st ? st : take_stream_body(stream, header, &b, arena, ret, err);
}

ex_status append_input_binary(const http_exchange *x, ex_slice stream, expected_input header,
                              ex_arena *arena, append_input *ret, ex_error *err)
{
    ex_json attributes;
    stream_body b = {.event_count = 1, .events = ex_arena_zalloc(arena, sizeof(ex_new_event))};
    if (!b.events)
        return field_no_memory(err);
    ex_status st = cloudevent_headers(x, arena, &attributes, err);
    if (!st)
        st = cloudevent_read_binary(&attributes, http_header(x, "content-type"),
                                    http_request_body(x), arena, b.events, err);
    return st ? st : take_stream_body(stream, header, &b, arena, ret, err);
}

typedef struct write_fields {
    ex_slice stream;
    stream_body body;
} write_fields;

static ex_status read_write_stream(const ex_json *v, ex_arena *arena, void *into, ex_error *err)
{
    (void)arena;
    return field_read_string(v, &((write_fields *)into)->stream, err);
}

static ex_status read_write_events(const ex_json *v, ex_arena *arena, void *into, ex_error *err)
{
    return read_body_events(v, arena, &((write_fields *)into)->body, err);
}

static ex_status read_write_expected(const ex_json *v, ex_arena *arena, void *into, ex_error *err)
{
    return expected_read(v, arena, &((write_fields *)into)->body.expected, err);
}

static ex_status read_write(const ex_json *v, ex_arena *arena, void *into, ex_error *err)
{
    static const field_rule rules[] = {{"stream", true, read_write_stream},
                                       {"expected", false, read_write_expected},
                                       {"events", false, read_write_events}};
    write_fields f = {0};
    ex_status st = field_read_object(v, RULES(rules), arena, &f, err);
    if (st)
        return st;
    *(ex_stream_write *)into = (ex_stream_write){.stream = f.stream,
                                                 .expected = f.body.expected.value,
                                                 .events = f.body.events,
                                                 .event_count = f.body.event_count};
    return EX_OK;
}

typedef struct streams_body {
    ex_stream_write *writes;
    uint32_t write_count;
    condition_fields condition;
} streams_body;

static ex_status read_writes(const ex_json *v, ex_arena *arena, void *into, ex_error *err)
{
    streams_body *b = into;
    void *writes = NULL;
    ex_status st = field_read_array(v, read_write, sizeof(ex_stream_write), arena, &writes,
                                    &b->write_count, err);
    if (!st)
        b->writes = writes;
    return st;
}

static ex_status read_streams_condition(const ex_json *v, ex_arena *arena, void *into,
                                        ex_error *err)
{
    return read_condition(v, arena, &((streams_body *)into)->condition, err);
}

ex_status append_input_streams(ex_slice body, ex_arena *arena, append_input *ret, ex_error *err)
{
    static const field_rule rules[] = {{"writes", true, read_writes},
                                       {"condition", false, read_streams_condition}};
    ex_json root;
    streams_body b = {0};
    ex_status st = ex_json_parse(body, arena, &event_document, &root, err);
    if (!st)
        st = field_read_object(&root, RULES(rules), arena, &b, err);
    if (st)
        return st;
    uint64_t total = 0;
    for (uint32_t i = 0; i < b.write_count; i++)
        total += b.writes[i].event_count;
    if (total == 0) {
        st = ex_raise(err, EX_EINVAL, "at least one event is needed");
        ex_error_set_field(err, EX_S("writes"));
        return st;
    }
    memset(ret, 0, sizeof(*ret));
    ret->append.writes = b.writes;
    ret->append.write_count = b.write_count;
    ret->event_count = (uint32_t)total;
    take_condition(&b.condition, ret);
    return EX_OK;
}

void append_input_correlate(append_input *in, ex_slice correlation_id)
{
    for (uint32_t w = 0; w < in->append.write_count; w++) {
        const ex_stream_write *write = &in->append.writes[w];
        for (uint32_t i = 0; i < write->event_count; i++) {
            /* const for the store's sake only: the reader above made this array in the arena */
            ex_new_event *e = (ex_new_event *)&write->events[i];
            if (e->correlation_id.len == 0)
                e->correlation_id = correlation_id;
        }
    }
}
