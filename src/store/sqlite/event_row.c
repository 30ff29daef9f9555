/* event_row.c: the codec between ex_event and the table `events`.
 *
 *   column          type     holds                                   NULL means
 *   --------------  -------  --------------------------------------  ------------------
 *   position        INTEGER  the row id                              (never)
 *   stream_id       INTEGER  streams.id                              (never)
 *   version         INTEGER  from 1 in its stream                    (never)
 *   prev            INTEGER  how many positions back version - 1 is  the stream's first event
 *   jump            INTEGER  the same for an older one (chain.h)     none, or the same as prev
 *   type_id         INTEGER  types.id                                (never)
 *   recorded_at     INTEGER  microseconds since 1970, UTC            (never)
 *   id              BLOB     16 bytes: UUID; 17, last is 1: ULID     (never)
 *   schema_version  INTEGER                                          1
 *   content_type    TEXT                                             application/json
 *   correlation_id  TEXT                                             none
 *   causation_id    TEXT                                             none
 *   tags            BLOB     per tag a length byte and its bytes     none
 *   metadata        TEXT     a JSON object                           {}
 *   data            BLOB     the bytes as they were appended         (never)
 *
 * Defaults are NULL because a NULL costs one byte; data is last so that all
 * other columns are found without following a long row's overflow pages. */
#include "store/sqlite/event_row.h"

#include <stdlib.h>

#define DEFAULT_CONTENT_TYPE "application/json"

enum {
    COLUMN_POSITION,
    COLUMN_VERSION,
    COLUMN_TYPE,
    COLUMN_RECORDED_AT,
    COLUMN_ID,
    COLUMN_SCHEMA_VERSION,
    COLUMN_CONTENT_TYPE,
    COLUMN_CORRELATION,
    COLUMN_CAUSATION,
    COLUMN_TAGS,
    COLUMN_METADATA,
    COLUMN_DATA,
    COLUMN_STREAM,                   /* only in statements over any stream */
    COLUMN_STREAM_ID = COLUMN_STREAM /* only in statements over one stream */
};

static int bind_optional_text(sqlite3_stmt *st, int index, ex_slice s, bool is_default)
{
    return is_default ? sqlite3_bind_null(st, index) : bind_text(st, index, s);
}

int event_row_bind_id(sqlite3_stmt *st, int index, const ex_id *id)
{
    if (id->form != EX_ID_ULID)
        return bind_blob(st, index, ex_slice_of(id->bytes, sizeof(id->bytes)));
    uint8_t ulid[sizeof(id->bytes) + 1];
    memcpy(ulid, id->bytes, sizeof(id->bytes));
    ulid[sizeof(id->bytes)] = EX_ID_ULID;
    return sqlite3_bind_blob(st, index, ulid, sizeof(ulid), SQLITE_TRANSIENT);
}

ex_status event_row_bind(sqlite_conn *c, sqlite3_stmt *st, int number, const event_row *row,
                         ex_error *err)
{
    const ex_event *e = row->event;
    int at = number * EVENT_PARAMETERS;
    int rc = 0; /* SQLITE_OK is 0: any failure shows in the union of the bits */
    rc |= event_row_bind_id(st, at + 8, &e->id);
    rc |= bind_u64(st, at + 1, e->position);
    rc |= bind_u64(st, at + 2, row->stream_id);
    rc |= bind_u64(st, at + 3, e->version);
    rc |= row->back.prev ? bind_u64(st, at + 4, row->back.prev) : sqlite3_bind_null(st, at + 4);
    rc |= row->back.jump ? bind_u64(st, at + 5, row->back.jump) : sqlite3_bind_null(st, at + 5);
    rc |= bind_u64(st, at + 6, row->type_id);
    rc |= sqlite3_bind_int64(st, at + 7, e->recorded_at_us);
    rc |= e->schema_version == 1 ? sqlite3_bind_null(st, at + 9)
                                 : bind_u64(st, at + 9, e->schema_version);
    rc |= bind_optional_text(st, at + 10, e->content_type,
                             ex_slice_eq(e->content_type, EX_S(DEFAULT_CONTENT_TYPE)));
    rc |= bind_optional_text(st, at + 11, e->correlation_id, e->correlation_id.len == 0);
    rc |= bind_optional_text(st, at + 12, e->causation_id, e->causation_id.len == 0);
    rc |= e->tags.packed.len ? bind_blob(st, at + 13, e->tags.packed)
                             : sqlite3_bind_null(st, at + 13);
    rc |= bind_optional_text(st, at + 14, e->metadata, ex_slice_eq(e->metadata, EX_S("{}")));
    rc |= bind_blob(st, at + 15, e->data);
    return rc == SQLITE_OK
               ? EX_OK
               : sqlite_conn_raise(c, sqlite3_errcode(c->db), "cannot bind an event", err);
}

/* ---- Reading ---- */

static ex_status load_type_name(sqlite_conn *c, uint64_t id, type_name *slot, ex_error *err)
{
    sqlite3_stmt *st;
    ex_status status = sqlite_conn_statement(c, STATEMENT_TYPE_NAME, &st, err);
    if (status)
        return status;
    int rc = bind_u64(st, 1, id);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    ex_slice name = rc == SQLITE_ROW ? column_bytes(st, 0) : EX_S("");
    bool is_name = name.len > 0 && name.len < sizeof(slot->name);
    if (rc == SQLITE_DONE || (rc == SQLITE_ROW && !is_name)) {
        status = ex_raise(err, EX_ECORRUPT, "event type %llu has no name", (unsigned long long)id);
    } else if (rc != SQLITE_ROW) {
        status = sqlite_conn_raise(c, rc, "cannot read an event type", err);
    } else {
        memcpy(slot->name, name.ptr, name.len);
        slot->len = (uint32_t)name.len;
        slot->id = id;
    }
    (void)sqlite3_reset(st); /* repeats rc */
    return status;
}

static ex_status find_type_name(sqlite_conn *c, uint64_t id, ex_slice *ret, ex_error *err)
{
    if (!c->type_names) {
        c->type_names = calloc(TYPE_NAMES_KEPT, sizeof(*c->type_names));
        if (!c->type_names)
            return ex_raise(err, EX_ENOMEM, "no memory for the names of event types");
    }
    type_name *slot = &c->type_names[id & (TYPE_NAMES_KEPT - 1)];
    if (slot->id != id || slot->len == 0) { /* a free slot has the id 0, which no type has */
        ex_status status = load_type_name(c, id, slot, err);
        if (status)
            return status;
    }
    *ret = ex_slice_of(slot->name, slot->len);
    return EX_OK;
}

static ex_status read_id(sqlite3_stmt *st, ex_id *ret, ex_error *err)
{
    ex_slice bytes = column_bytes(st, COLUMN_ID);
    if (bytes.len != 16 && bytes.len != 17)
        return ex_raise(err, EX_ECORRUPT, "event %lld: its id has %zu bytes",
                        (long long)sqlite3_column_int64(st, COLUMN_POSITION), bytes.len);
    memcpy(ret->bytes, bytes.ptr, sizeof(ret->bytes));
    ret->form = bytes.len == 17 ? (uint8_t)bytes.ptr[16] : EX_ID_UUID;
    return EX_OK;
}

/* Most rows hold NULL in most optional columns: ask for the type before the bytes. */
static ex_slice optional(sqlite3_stmt *st, int column, ex_slice otherwise)
{
    return sqlite3_column_type(st, column) == SQLITE_NULL ? otherwise : column_bytes(st, column);
}

ex_status event_row_read(sqlite_conn *c, sqlite3_stmt *st, ex_slice stream, ex_event *ret,
                         ex_error *err)
{
    ret->position = column_u64(st, COLUMN_POSITION);
    ret->version = column_u64(st, COLUMN_VERSION);
    ret->recorded_at_us = sqlite3_column_int64(st, COLUMN_RECORDED_AT);
    uint32_t schema_version = (uint32_t)sqlite3_column_int64(st, COLUMN_SCHEMA_VERSION);
    ret->schema_version = schema_version ? schema_version : 1; /* NULL reads as 0 */
    ret->content_type = optional(st, COLUMN_CONTENT_TYPE, EX_S(DEFAULT_CONTENT_TYPE));
    ret->correlation_id = optional(st, COLUMN_CORRELATION, EX_S(""));
    ret->causation_id = optional(st, COLUMN_CAUSATION, EX_S(""));
    ret->tags.packed = optional(st, COLUMN_TAGS, EX_S(""));
    ret->metadata = optional(st, COLUMN_METADATA, EX_S("{}"));
    ret->data = column_bytes(st, COLUMN_DATA);
    ret->stream = stream.len ? stream : column_bytes(st, COLUMN_STREAM);
    ex_status status = read_id(st, &ret->id, err);
    if (status == EX_OK)
        status = find_type_name(c, column_u64(st, COLUMN_TYPE), &ret->type, err);
    if (status == EX_OK && sqlite3_errcode(c->db) == SQLITE_NOMEM)
        status = ex_raise(err, EX_ENOMEM, "no memory to read event %llu",
                          (unsigned long long)ret->position);
    return status;
}

ex_status event_row_of_stream(sqlite_conn *c, sqlite3_stmt *st, uint64_t stream_id, ex_slice stream,
                              chain_place place, bool follows, ex_event *ret, ex_error *err)
{
    int rc = SQLITE_OK;
    if (!follows) {
        (void)sqlite3_reset(st); /* repeats the last failure */
        rc = bind_u64(st, 1, place.position);
    }
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return sqlite_conn_raise(c, rc, "cannot read a stream", err);
    bool is_there = rc == SQLITE_ROW && column_u64(st, COLUMN_POSITION) == place.position;
    ex_status status =
        chain_walk_check(stream_id, place, is_there ? column_u64(st, COLUMN_STREAM_ID) : 0,
                         is_there ? column_u64(st, COLUMN_VERSION) : 0, err);
    return status ? status : event_row_read(c, st, stream, ret, err);
}
