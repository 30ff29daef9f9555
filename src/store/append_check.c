/* append_check.c: checks of an append, and the defaults of its events.
 *
 * The memory of a prepared append:
 *
 *   ex_event [n] | has_given_id [n] | packed tags, and ids found in metadata */
#include "store/append_check.h"

#include <excore/json.h>

#include "kernel/field_path.h"
#include "kernel/map.h"
#include "store/content_type.h"
#include "store/query_check.h"

#define DEFAULT_CONTENT_TYPE EX_S("application/json")
#define PLATFORM_MARK        '$'

/* ---- Counts and memory ---- */

static ex_status too_many(ex_error *err, const char *what, const char *field, uint32_t limit,
                          uint64_t count)
{
    (void)ex_raise(err, EX_ETOOLARGE, "an append has at most %u %s, not %llu", limit, what,
                   (unsigned long long)count);
    ex_error_set_field(err, ex_str(field));
    return EX_ETOOLARGE;
}

static ex_status check_counts(const ex_append *append, const append_limits *limits, ex_error *err)
{
    uint64_t events = 0;
    if (append->write_count > limits->events_per_append)
        return too_many(err, "streams", "writes", limits->events_per_append, append->write_count);
    for (uint32_t i = 0; i < append->write_count; i++)
        events += append->writes[i].event_count;
    if (events > limits->events_per_append)
        return too_many(err, "events", append->write_count == 1 ? "writes[0].events" : "writes",
                        limits->events_per_append, events);
    return EX_OK;
}

static size_t measure_event(const ex_new_event *e)
{
    size_t bytes = sizeof(ex_event) + sizeof(bool);
    uint32_t tags = e->tag_count < EX_TAGS_MAX ? e->tag_count : EX_TAGS_MAX;
    for (uint32_t i = 0; i < tags; i++)
        bytes += 1 + (e->tags[i].len < EX_TAG_MAX ? e->tags[i].len : EX_TAG_MAX);
    if (e->metadata.len && (e->correlation_id.len == 0 || e->causation_id.len == 0))
        bytes +=
            e->metadata.len < 2 * EX_CORRELATION_MAX ? e->metadata.len : 2 * EX_CORRELATION_MAX;
    return bytes;
}

size_t append_measure(const ex_append *append, const append_limits *limits)
{
    size_t bytes = sizeof(ex_event); /* never 0, so that an empty append has memory too */
    if (check_counts(append, limits, NULL))
        return 0;
    for (uint32_t i = 0; i < append->write_count; i++)
        for (uint32_t j = 0; j < append->writes[i].event_count; j++)
            bytes += measure_event(&append->writes[i].events[j]);
    return bytes;
}

/* ---- Twins ---- */

#define NO_TWIN   UINT32_MAX
#define FEW_ITEMS 16

typedef ex_slice twin_key_fn(const void *ctx, uint32_t i);

static uint32_t find_among_few(twin_key_fn *key, const void *ctx, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++)
        for (uint32_t j = 0; j < i; j++)
            if (key(ctx, i).len && ex_slice_eq(key(ctx, i), key(ctx, j)))
                return i;
    return NO_TWIN;
}

/* The first item whose key, when it has one, an earlier item has. Linear: an append may have
 * thousands. */
static ex_status find_twin(twin_key_fn *key, const void *ctx, uint32_t count, ex_arena *scratch,
                           uint32_t *ret, ex_error *err)
{
    if (count <= FEW_ITEMS) {
        *ret = find_among_few(key, ctx, count);
        return EX_OK;
    }
    uint32_t room = 2 * FEW_ITEMS;
    while (room < 2 * count)
        room *= 2;
    ex_arena_mark mark = ex_arena_save(scratch);
    uint32_t *places = ex_arena_zalloc(scratch, room * sizeof(*places)); /* 1 + item */
    if (!places)
        return ex_raise(err, EX_ENOMEM, "an append of %u items", count);
    for (uint32_t i = 0; i < count && *ret == NO_TWIN; i++) {
        ex_slice mine = key(ctx, i);
        if (mine.len == 0)
            continue;
        uint32_t at = (uint32_t)ex_hash(mine) & (room - 1);
        while (places[at] && !ex_slice_eq(mine, key(ctx, places[at] - 1)))
            at = (at + 1) & (room - 1);
        if (places[at])
            *ret = i;
        places[at] = i + 1;
    }
    ex_arena_restore(scratch, mark);
    return EX_OK;
}

/* ---- One event ---- */

typedef struct preparing {
    const append_limits *limits;
    ex_arena *scratch;
    char *free; /* rest of the memory */
} preparing;

static ex_status refuse(ex_error *err, ex_status status, const char *field, const char *text)
{
    (void)ex_raise(err, status, "%s %s", field, text);
    ex_error_set_field(err, ex_str(field));
    return status;
}

static ex_status pack_tags(preparing *p, const ex_new_event *given, ex_tags *ret, ex_error *err)
{
    char *start = p->free;
    if (given->tag_count > EX_TAGS_MAX)
        return refuse(err, EX_EINVAL, "tags", "has more than 32 entries");
    for (uint32_t i = 0; i < given->tag_count; i++) {
        ex_slice tag = given->tags[i];
        ex_status st = store_tag_check(tag, err);
        for (uint32_t j = 0; j < i && !st; j++)
            if (ex_slice_eq(given->tags[j], tag))
                st = ex_raise(err, EX_EINVAL, "tag '%.*s' is given twice", EX_ARG(tag));
        if (st) {
            ex_error_set_field(err, EX_S(""));
            ex_field_prefix_at(err, "tags", i);
            return st;
        }
        *p->free++ = (char)(unsigned char)tag.len;
        memcpy(p->free, tag.ptr, tag.len);
        p->free += tag.len;
    }
    ret->packed = ex_slice_of(start, (size_t)(p->free - start));
    return EX_OK;
}

/* A correlation or causation id: the given one, else that of the metadata, copied out of scratch.
 */
static ex_status take_id(preparing *p, ex_slice given, const ex_json *metadata, const char *key,
                         ex_slice *ret, ex_error *err)
{
    const ex_json *found = given.len ? NULL : ex_json_get(metadata, ex_str(key));
    if (!found && given.len == 0) {
        *ret = EX_S("");
        return EX_OK;
    }
    if (found && found->kind != EX_JSON_STRING)
        return refuse(err, EX_EINVAL, key, "is not a string");
    ex_slice id = found ? found->as.text : given;
    ex_status st = store_name_check(id, key, err);
    if (st)
        return st;
    if (found) {
        memcpy(p->free, id.ptr, id.len);
        id.ptr = p->free;
        p->free += id.len;
    }
    *ret = id;
    return EX_OK;
}

static ex_status check_metadata(preparing *p, const ex_new_event *given, ex_event *e, ex_error *err)
{
    ex_json tree = {0};
    ex_status st = EX_OK;
    e->metadata = given->metadata.len ? given->metadata : EX_S("{}");
    if (given->metadata.len) {
        st = ex_json_parse(given->metadata, p->scratch, NULL, &tree, err);
        if (st) {
            ex_error_set_field(err, EX_S("metadata"));
            return ex_error_context(err, st, "metadata");
        }
        if (tree.kind != EX_JSON_OBJECT)
            return refuse(err, EX_EINVAL, "metadata", "is not a JSON object");
    }
    st = take_id(p, given->correlation_id, &tree, "$correlation_id", &e->correlation_id, err);
    if (st == EX_OK)
        st = take_id(p, given->causation_id, &tree, "$causation_id", &e->causation_id, err);
    return st;
}

static ex_status check_data(preparing *p, const ex_new_event *given, ex_event *e, ex_error *err)
{
    e->data = given->data;
    e->content_type = given->content_type.len ? given->content_type : DEFAULT_CONTENT_TYPE;
    if (given->content_type.len) {
        ex_status st = store_name_check(given->content_type, "content_type", err);
        if (st)
            return st;
    }
    uint64_t size = (uint64_t)given->data.len + given->metadata.len;
    if (size > p->limits->event_limit_bytes) {
        (void)ex_raise(err, EX_ETOOLARGE, "an event has at most %u bytes, not %llu",
                       p->limits->event_limit_bytes, (unsigned long long)size);
        ex_error_set_field(err, EX_S("data"));
        return EX_ETOOLARGE;
    }
    if (!ex_content_is_json(e->content_type))
        return EX_OK;
    ex_status st = ex_json_validate(given->data, p->scratch, NULL, err);
    if (st)
        ex_error_set_field(err, EX_S("data"));
    return st ? ex_error_context(err, st, "data") : EX_OK;
}

static ex_status prepare_event(preparing *p, ex_slice stream, const ex_new_event *given,
                               ex_event *e, bool *ret_has_given_id, ex_error *err)
{
    *e = (ex_event){.stream = stream, .type = given->type, .id = given->id};
    e->schema_version = given->schema_version ? given->schema_version : 1;
    if (given->schema_version > INT32_MAX)
        return refuse(err, EX_EINVAL, "schema_version", "is above 2147483647");
    *ret_has_given_id = !ex_id_is_nil(&given->id);
    ex_status st = store_name_check(given->type, "type", err);
    if (st == EX_OK)
        st = check_data(p, given, e, err);
    if (st == EX_OK)
        st = pack_tags(p, given, &e->tags, err);
    ex_arena_mark mark = ex_arena_save(p->scratch);
    if (st == EX_OK)
        st = check_metadata(p, given, e, err);
    ex_arena_restore(p->scratch, mark);
    if (st == EX_OK && !*ret_has_given_id)
        st = ex_id_new(&e->id, err);
    return st;
}

/* ---- The append ---- */

static ex_status refuse_twice(ex_error *err, ex_slice stream)
{
    (void)ex_raise(err, EX_EINVAL, "stream '%.*s' is written twice in one append", EX_ARG(stream));
    ex_error_set_field(err, EX_S("stream"));
    return EX_EINVAL;
}

static ex_slice stream_key(const void *ctx, uint32_t i)
{
    return ((const ex_append *)ctx)->writes[i].stream;
}

static ex_status check_twins(const ex_append *append, ex_arena *scratch, ex_error *err)
{
    uint32_t twin = NO_TWIN;
    ex_status st = find_twin(stream_key, append, append->write_count, scratch, &twin, err);
    if (st == EX_OK && twin != NO_TWIN) {
        st = refuse_twice(err, append->writes[twin].stream);
        ex_field_prefix_at(err, "writes", twin);
    }
    return st;
}

static ex_status check_stream(const ex_append *append, uint32_t index, const append_limits *limits,
                              ex_error *err)
{
    ex_slice name = append->writes[index].stream;
    ex_status st = store_name_check(name, "stream", err);
    if (st)
        return st;
    if (ex_slice_is(name, ".") || ex_slice_is(name, ".."))
        return refuse(err, EX_EINVAL, "stream",
                      "is \".\" or \"..\": no URL leads to it, clients and proxies take it away");
    if (name.ptr[0] == PLATFORM_MARK && !limits->may_write_platform)
        return refuse(err, EX_EINVAL, "stream",
                      "begins with '$': such streams belong to the platform");
    return EX_OK;
}

typedef struct id_range {
    const prepared_append *p;
    uint32_t first;
} id_range;

static ex_slice id_key(const void *ctx, uint32_t i)
{
    const id_range *r = ctx;
    const ex_id *id = &r->p->events[r->first + i].id;
    return r->p->has_given_id[r->first + i] ? ex_slice_of(id->bytes, sizeof(id->bytes))
                                            : (ex_slice){NULL, 0};
}

/* Within one stream an id names one event; the same id in two streams is two events. */
static ex_status check_ids(const prepared_append *p, uint32_t first, uint32_t count,
                           ex_arena *scratch, ex_error *err)
{
    uint32_t twin = NO_TWIN;
    const id_range range = {p, first};
    ex_status st = find_twin(id_key, &range, count, scratch, &twin, err);
    if (st || twin == NO_TWIN)
        return st;
    (void)ex_raise(err, EX_EINVAL, "two events of one append have the same id");
    ex_error_set_code(err, "DUPLICATE_EVENT_ID");
    ex_error_set_field(err, EX_S("id"));
    ex_field_prefix_at(err, "events", twin);
    return EX_EINVAL;
}

static ex_status prepare_write(preparing *p, prepared_append *out, const ex_stream_write *w,
                               ex_error *err)
{
    uint32_t first = out->event_count;
    for (uint32_t i = 0; i < w->event_count; i++) {
        uint32_t at = first + i;
        ex_status st = prepare_event(p, w->stream, &w->events[i], &out->events[at],
                                     &out->has_given_id[at], err);
        if (st) {
            ex_field_prefix_at(err, "events", i);
            return w->event_count > 1 ? ex_error_context(err, st, "event %u", i + 1) : st;
        }
        out->bytes += w->events[i].data.len + w->events[i].metadata.len;
        out->event_count++;
    }
    return check_ids(out, first, w->event_count, p->scratch, err);
}

ex_status append_prepare(const ex_append *append, const append_limits *limits, void *memory,
                         ex_arena *scratch, prepared_append *ret, ex_error *err)
{
    ex_status st = check_counts(append, limits, err);
    if (st == EX_OK && append->fail_if_match)
        if ((st = query_check(append->fail_if_match, err)))
            ex_field_prefix(err, EX_S("condition.fail_if_match"));
    if (st == EX_OK)
        st = check_twins(append, scratch, err);
    if (st)
        return st;
    uint32_t events = 0;
    for (uint32_t i = 0; i < append->write_count; i++)
        events += append->writes[i].event_count;
    prepared_append out = {.append = append, .events = memory};
    out.has_given_id = (bool *)(out.events + events);
    preparing p = {limits, scratch, (char *)(out.has_given_id + events)};
    for (uint32_t i = 0; st == EX_OK && i < append->write_count; i++) {
        st = check_stream(append, i, limits, err);
        if (st == EX_OK)
            st = prepare_write(&p, &out, &append->writes[i], err);
        if (st)
            ex_field_prefix_at(err, "writes", i);
    }
    if (st == EX_OK)
        *ret = out;
    return st;
}
