/* event_row.c: the codec between ex_event and the table `events`.
 *
 *   column          type    holds                                   NULL means
 *   --------------  ------  --------------------------------------  ------------------
 *   position        bigint  place in the log, primary key           (never)
 *   stream_id       bigint  streams.id                              (never)
 *   version         bigint  from 1 in its stream                    (never)
 *   type_id         bigint  types.id                                (never)
 *   recorded_at     bigint  microseconds since 1970, UTC            (never)
 *   schema_version  int                                             1
 *   id              bytea   16 bytes: UUID; 17, last is 1: ULID     (never)
 *   content_type    text                                            application/json
 *   correlation_id  text                                            none
 *   causation_id    text                                            none
 *   tags            bytea   per tag a length byte and its bytes     none
 *   metadata        bytea   a JSON object, byte for byte            {}
 *   stream          text    streams.name once more: a join for each (never)
 *                           event would halve the speed of reading
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
_Static_assert(COLUMN_TYPE + 1 == EVENT_ROW_COLUMNS, "statements.h names the columns");

static ex_slice optional(const ex_pg_result *r, int row, int column, ex_slice otherwise)
{
    return ex_pg_is_null(r, row, column) ? otherwise : ex_pg_get_slice(r, row, column);
}

ex_status pg_event_read(const ex_pg_result *r, int row, ex_event *ret, uint64_t *ret_stream_id,
                        ex_error *err)
{
    uint64_t position = (uint64_t)ex_pg_get_i64(r, row, COLUMN_POSITION);
    ex_slice id = ex_pg_get_slice(r, row, COLUMN_ID);
    ex_slice stream = ex_pg_get_slice(r, row, COLUMN_STREAM);
    ex_slice type = ex_pg_get_slice(r, row, COLUMN_TYPE);
    if (id.len != 16 && id.len != 17)
        return ex_raise(err, EX_ECORRUPT, "event %llu: its id has %zu bytes",
                        (unsigned long long)position, id.len);
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
    memcpy(ret->id.bytes, id.ptr, sizeof(ret->id.bytes));
    ret->id.form = id.len == 17 ? (uint8_t)id.ptr[16] : EX_ID_UUID;
    if (ret_stream_id)
        *ret_stream_id = (uint64_t)ex_pg_get_i64(r, row, COLUMN_STREAM_ID);
    return EX_OK;
}

uint64_t pg_event_bytes(const ex_pg_result *r, int row)
{
    return ex_pg_get_slice(r, row, COLUMN_DATA).len + ex_pg_get_slice(r, row, COLUMN_METADATA).len;
}

/* ---- Writing ---- */

void pg_put_event_id(ex_pg_args *args, const ex_id *id)
{
    uint8_t bytes[17];
    memcpy(bytes, id->bytes, 16);
    bytes[16] = id->form;
    ex_pg_put_bytea(args, ex_slice_of(bytes, id->form == EX_ID_ULID ? 17 : 16));
}

static void put_text_or_null(ex_pg_args *args, ex_slice value, bool is_default)
{
    if (is_default)
        ex_pg_put_null(args, EX_PG_TEXT);
    else
        ex_pg_put_text(args, value);
}

static void put_bytes_or_null(ex_pg_args *args, ex_slice value, bool is_default)
{
    if (is_default)
        ex_pg_put_null(args, EX_PG_BYTEA);
    else
        ex_pg_put_bytea(args, value);
}

/* One array over all events: PUT uses `e` and `i`. */
#define EACH_EVENT(element, PUT)                                                                   \
    ex_pg_array_begin(args, element);                                                              \
    for (uint32_t i = 0; i < count; i++) {                                                         \
        const ex_event *e = &events[i];                                                            \
        (void)e;                                                                                   \
        PUT;                                                                                       \
    }                                                                                              \
    ex_pg_array_end(args)

void pg_put_events(ex_pg_args *args, const ex_event *events, const uint64_t *stream_ids,
                   const uint64_t *type_ids, uint32_t count)
{
    EACH_EVENT(EX_PG_INT8, ex_pg_put_i64(args, (int64_t)e->position));
    EACH_EVENT(EX_PG_INT8, ex_pg_put_i64(args, (int64_t)stream_ids[i]));
    EACH_EVENT(EX_PG_INT8, ex_pg_put_i64(args, (int64_t)e->version));
    EACH_EVENT(EX_PG_INT8, ex_pg_put_i64(args, (int64_t)type_ids[i]));
    EACH_EVENT(EX_PG_INT8, ex_pg_put_i64(args, e->recorded_at_us));
    EACH_EVENT(EX_PG_BYTEA, pg_put_event_id(args, &e->id));
    EACH_EVENT(EX_PG_INT4, if (e->schema_version == 1) ex_pg_put_null(args, EX_PG_INT4);
               else ex_pg_put_i32(args, (int32_t)e->schema_version));
    EACH_EVENT(EX_PG_TEXT, put_text_or_null(args, e->content_type,
                                            ex_slice_eq(e->content_type, DEFAULT_CONTENT_TYPE)));
    EACH_EVENT(EX_PG_TEXT, put_text_or_null(args, e->correlation_id, e->correlation_id.len == 0));
    EACH_EVENT(EX_PG_TEXT, put_text_or_null(args, e->causation_id, e->causation_id.len == 0));
    EACH_EVENT(EX_PG_BYTEA, put_bytes_or_null(args, e->tags.packed, e->tags.packed.len == 0));
    EACH_EVENT(EX_PG_BYTEA,
               put_bytes_or_null(args, e->metadata, ex_slice_eq(e->metadata, EX_S("{}"))));
    EACH_EVENT(EX_PG_TEXT, ex_pg_put_text(args, e->stream));
    EACH_EVENT(EX_PG_BYTEA, ex_pg_put_bytea(args, e->data));
}
