/* event_row.c: the codec between ex_event and the table `events`.
 *
 *   column          type    holds                                   NULL means
 *   --------------  ------  --------------------------------------  ------------------
 *   position        bigint  place in the log, primary key           (never)
 *   stream_id       bigint  streams.id                              (never)
 *   version         bigint  from 1 in its stream                    (never)
 *   recorded_at     bigint  microseconds since 1970, UTC            (never)
 *   schema_version  int                                             1
 *   id              bytea   16 bytes: UUID; 17, last is 1: ULID     (never)
 *   content_type    text                                            application/json
 *   correlation_id  text                                            none
 *   causation_id    text                                            none
 *   tags            bytea   per tag a length byte and its bytes     none
 *   metadata        bytea   a JSON object, byte for byte            {}
 *   stream, type    text    names; joins for them would take twice  (never)
 *                           the time that reading takes
 *   data            bytea   the bytes as they were appended         (never) */
#include "store/postgres/event_row.h"

#define DEFAULT_CONTENT_TYPE EX_S("application/json")

enum {
    COLUMN_POSITION,
    COLUMN_VERSION,
    COLUMN_STREAM_ID,
    COLUMN_RECORDED_AT,
    COLUMN_ID,
    COLUMN_SCHEMA_VERSION,
    COLUMN_CONTENT_TYPE,
    COLUMN_CORRELATION,
    COLUMN_CAUSATION,
    COLUMN_TAGS,
    COLUMN_METADATA,
    COLUMN_DATA,
    COLUMN_STREAM,
    COLUMN_TYPE
};
/* BRIEF_COLUMNS begin with the first five of these. */
enum { BRIEF_STREAM = COLUMN_ID + 1, BRIEF_TYPE, BRIEF_TAGS };
_Static_assert(COLUMN_TYPE + 1 == EVENT_ROW_COLUMNS, "statements.h names the columns");

static ex_slice optional(const ex_pg_result *r, int row, int column, ex_slice otherwise)
{
    return ex_pg_is_null(r, row, column) ? otherwise : ex_pg_get_slice(r, row, column);
}

static ex_status read_id(const ex_pg_result *r, int row, ex_id *ret, ex_error *err)
{
    ex_slice id = ex_pg_get_slice(r, row, COLUMN_ID);
    if (id.len != 16 && id.len != 17)
        return ex_raise(err, EX_ECORRUPT, "event %llu: its id has %zu bytes",
                        (unsigned long long)ex_pg_get_i64(r, row, COLUMN_POSITION), id.len);
    memcpy(ret->bytes, id.ptr, sizeof(ret->bytes));
    ret->form = id.len == 17 ? (uint8_t)id.ptr[16] : EX_ID_UUID;
    return EX_OK;
}

ex_status pg_event_read_brief(const ex_pg_result *r, int row, ex_event *ret,
                              uint64_t *ret_stream_id, ex_error *err)
{
    *ret = (ex_event){
        .position = (uint64_t)ex_pg_get_i64(r, row, COLUMN_POSITION),
        .version = (uint64_t)ex_pg_get_i64(r, row, COLUMN_VERSION),
        .recorded_at_us = ex_pg_get_i64(r, row, COLUMN_RECORDED_AT),
        .stream = ex_pg_get_slice(r, row, BRIEF_STREAM),
        .type = ex_pg_get_slice(r, row, BRIEF_TYPE),
        .tags = {optional(r, row, BRIEF_TAGS, EX_S(""))},
    };
    *ret_stream_id = (uint64_t)ex_pg_get_i64(r, row, COLUMN_STREAM_ID);
    return read_id(r, row, &ret->id, err);
}

ex_status pg_event_read(const ex_pg_result *r, int row, ex_event *ret, uint64_t *ret_stream_id,
                        ex_error *err)
{
    uint64_t position = (uint64_t)ex_pg_get_i64(r, row, COLUMN_POSITION);
    ex_slice stream = ex_pg_get_slice(r, row, COLUMN_STREAM);
    ex_slice type = ex_pg_get_slice(r, row, COLUMN_TYPE);
    if (!stream.len || !type.len)
        return ex_raise(err, EX_ECORRUPT, "event %llu: its %s has no name",
                        (unsigned long long)position, stream.len ? "type" : "stream");
    *ret = (ex_event){
        .position = position,
        .version = (uint64_t)ex_pg_get_i64(r, row, COLUMN_VERSION),
        .stream = stream,
        .type = type,
        .content_type = optional(r, row, COLUMN_CONTENT_TYPE, DEFAULT_CONTENT_TYPE),
        .data = ex_pg_get_slice(r, row, COLUMN_DATA),
        .metadata = optional(r, row, COLUMN_METADATA, EX_S("{}")),
        .tags = {optional(r, row, COLUMN_TAGS, EX_S(""))},
        .correlation_id = optional(r, row, COLUMN_CORRELATION, EX_S("")),
        .causation_id = optional(r, row, COLUMN_CAUSATION, EX_S("")),
        .recorded_at_us = ex_pg_get_i64(r, row, COLUMN_RECORDED_AT),
    };
    uint32_t schema_version = (uint32_t)ex_pg_get_i64(r, row, COLUMN_SCHEMA_VERSION);
    ret->schema_version = schema_version ? schema_version : 1; /* NULL reads as 0 */
    if (ret_stream_id)
        *ret_stream_id = (uint64_t)ex_pg_get_i64(r, row, COLUMN_STREAM_ID);
    return read_id(r, row, &ret->id, err);
}

uint64_t pg_event_bytes(const ex_pg_result *r, int row)
{
    return ex_pg_get_slice(r, row, COLUMN_DATA).len + ex_pg_get_slice(r, row, COLUMN_METADATA).len;
}

/* ---- Writing ---- */

void pg_put_names(ex_pg_args *args, const ex_slice *names, uint32_t count)
{
    ex_pg_array_begin(args, EX_PG_TEXT);
    for (uint32_t i = 0; i < count; i++)
        ex_pg_put_text(args, names[i]);
    ex_pg_array_end(args);
}

void pg_put_event_id(ex_pg_args *args, const ex_id *id)
{
    uint8_t bytes[17];
    memcpy(bytes, id->bytes, 16);
    bytes[16] = id->form;
    ex_pg_put_bytea(args, ex_slice_of(bytes, id->form == EX_ID_ULID ? 17 : 16));
}

typedef bool has_default_fn(const ex_event *e);

static bool has_default_version(const ex_event *e)
{
    return e->schema_version == 1;
}

static bool has_default_content_type(const ex_event *e)
{
    return ex_slice_eq(e->content_type, DEFAULT_CONTENT_TYPE);
}

static bool has_no_correlation(const ex_event *e)
{
    return e->correlation_id.len == 0;
}

static bool has_no_causation(const ex_event *e)
{
    return e->causation_id.len == 0;
}

static bool has_no_tags(const ex_event *e)
{
    return e->tags.packed.len == 0;
}

static bool has_no_metadata(const ex_event *e)
{
    return ex_slice_eq(e->metadata, EX_S("{}"));
}

/* How many events there are up to the last one that has a value: unnest fills the array up with
 * NULLs, and a column that nobody uses costs nothing. */
static uint32_t used(const ex_event *events, uint32_t count, has_default_fn *has_default)
{
    while (count && has_default(&events[count - 1]))
        count--;
    return count;
}

/* One array over the first `count` events: PUT uses `e` and `i`. */
#define EACH_EVENT(element, count, PUT)                                                            \
    ex_pg_array_begin(args, element);                                                              \
    for (uint32_t i = 0, end = (count); i < end; i++) {                                            \
        const ex_event *e = &events[i];                                                            \
        (void)e;                                                                                   \
        PUT;                                                                                       \
    }                                                                                              \
    ex_pg_array_end(args)

#define EACH_OPTIONAL(element, has_default, PUT)                                                   \
    EACH_EVENT(element, used(events, count, has_default),                                          \
               if (has_default(e)) ex_pg_put_null(args, element);                                  \
               else PUT)

void pg_put_events(ex_pg_args *args, const ex_event *events, const uint64_t *stream_ids,
                   uint32_t count)
{
    EACH_EVENT(EX_PG_INT8, count, ex_pg_put_i64(args, (int64_t)e->position));
    EACH_EVENT(EX_PG_INT8, count, ex_pg_put_i64(args, (int64_t)stream_ids[i]));
    EACH_EVENT(EX_PG_INT8, count, ex_pg_put_i64(args, (int64_t)e->version));
    EACH_EVENT(EX_PG_INT8, count, ex_pg_put_i64(args, e->recorded_at_us));
    EACH_EVENT(EX_PG_BYTEA, count, pg_put_event_id(args, &e->id));
    EACH_EVENT(EX_PG_TEXT, count, ex_pg_put_text(args, e->stream));
    EACH_EVENT(EX_PG_TEXT, count, ex_pg_put_text(args, e->type));
    EACH_EVENT(EX_PG_BYTEA, count, ex_pg_put_bytea(args, e->data));
    EACH_OPTIONAL(EX_PG_INT4, has_default_version, ex_pg_put_i32(args, (int32_t)e->schema_version));
    EACH_OPTIONAL(EX_PG_TEXT, has_default_content_type, ex_pg_put_text(args, e->content_type));
    EACH_OPTIONAL(EX_PG_TEXT, has_no_correlation, ex_pg_put_text(args, e->correlation_id));
    EACH_OPTIONAL(EX_PG_TEXT, has_no_causation, ex_pg_put_text(args, e->causation_id));
    EACH_OPTIONAL(EX_PG_BYTEA, has_no_tags, ex_pg_put_bytea(args, e->tags.packed));
    EACH_OPTIONAL(EX_PG_BYTEA, has_no_metadata, ex_pg_put_bytea(args, e->metadata));
}
