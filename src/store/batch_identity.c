/* batch_identity.c: idempotent appends: an event id is stored once in a stream.
 *
 *   of the append's events        answer
 *   ----------------------------  -------------------------------------------------
 *   none is stored                go on
 *   all are, with equal content   success, the first outcome
 *   some are                      EX_EIDEMPOTENCY, PARTIAL_DUPLICATE_BATCH  (R-ES-08)
 *   one is, with other content    EX_EIDEMPOTENCY, and an audit row         (R-ES-06, 07)
 *
 * Content is type, schema version, content type and data; JSON of any content
 * type is compared in canonical form, numbers as decimals. Metadata and tags are not content: a
 * retry may carry another trace id. */
#include <excore/json.h>

#include <stdlib.h>

#include "store/batch.h"
#include "store/content_type.h"

_Static_assert(EX_ERROR_EVENT_ID_SIZE >= EX_ID_TEXT_SIZE, "an error has room for an event id");

typedef struct identity {
    ex_batch *b;
    prepared_append *append;
    uint32_t *numbers; /* of the append's event, for each key */
    uint32_t found_count;
    /* the first event that is stored with other content */
    bool is_conflict;
    uint32_t conflict_number;
    uint64_t stored_position;
    uint64_t stored_fingerprint;
} identity;

/* ---- Content ---- */

/* Canonical data in the arena; the bytes themselves when they are no JSON. */
static ex_slice canonical(const ex_event *e, ex_arena *arena)
{
    ex_json tree;
    ex_slice result = e->data;
    ex_buf out;
    ex_buf_init(&out, 0);
    if (ex_content_is_json(e->content_type) &&
        ex_json_parse(e->data, arena, NULL, &tree, NULL) == EX_OK &&
        ex_json_canonical(&tree, arena, &out) == EX_OK && ex_buf_status(&out) == EX_OK) {
        ex_slice copy = ex_arena_copy(arena, ex_buf_slice(&out));
        if (copy.ptr)
            result = copy;
    }
    ex_buf_done(&out);
    return result;
}

static bool has_same_content(const ex_event *a, const ex_event *b, ex_arena *arena)
{
    if (!ex_slice_eq(a->type, b->type) || a->schema_version != b->schema_version ||
        !ex_content_is_same(a->content_type, b->content_type))
        return false;
    return ex_slice_eq(a->data, b->data) || (ex_content_is_json(a->content_type) &&
                                             ex_slice_eq(canonical(a, arena), canonical(b, arena)));
}

static uint64_t fnv1a(uint64_t hash, ex_slice s)
{
    for (size_t i = 0; i < s.len; i++)
        hash = (hash ^ (unsigned char)s.ptr[i]) * 0x100000001b3ull;
    return (hash ^ 0xff) * 0x100000001b3ull; /* a separator that UTF-8 cannot hold */
}

/* For people who compare audit rows: the same on every machine, unlike ex_hash. */
static uint64_t fingerprint(const ex_event *e, ex_arena *arena)
{
    uint64_t hash = fnv1a(0xcbf29ce484222325ull, e->stream);
    hash = fnv1a(hash, e->type);
    hash = fnv1a(hash, ex_slice_of(&e->schema_version, sizeof(e->schema_version)));
    hash = fnv1a(hash, e->content_type);
    return fnv1a(hash, canonical(e, arena));
}

/* ---- Looking ---- */

static void compare(identity *id, uint32_t number, const ex_event *stored)
{
    ex_event *given = &id->append->events[number];
    ex_arena *arena = &id->b->arena;
    ex_arena_mark mark = ex_arena_save(arena);
    if (has_same_content(given, stored, arena)) {
        given->position = stored->position;
        given->version = stored->version;
    } else if (!id->is_conflict) {
        id->is_conflict = true;
        id->conflict_number = number;
        id->stored_position = stored->position;
        id->stored_fingerprint = fingerprint(stored, arena);
    }
    id->found_count++;
    ex_arena_restore(arena, mark);
}

static ex_status on_found(void *ctx, uint32_t key, const ex_event *event, ex_error *err)
{
    (void)err;
    identity *id = ctx;
    compare(id, id->numbers[key], event);
    return EX_OK;
}

static const ex_event *find_staged(const ex_batch *b, const batch_stream *s, const ex_id *id)
{
    uint32_t at = 0, number;
    while (staged_index_next(&b->ids, batch_id_hash(s, id), &at, &number))
        if (b->streams[number] == &s->stream && ex_id_eq(&b->events[number].id, id))
            return &b->events[number];
    return NULL;
}

static ex_status find_all(identity *id, batch_stream *const *streams, ex_error *err)
{
    ex_batch *b = id->b;
    prepared_append *p = id->append;
    store_event_key *keys = ex_arena_array(&b->arena, p->event_count, sizeof(*keys));
    id->numbers = ex_arena_array(&b->arena, p->event_count, sizeof(*id->numbers));
    if (!keys || !id->numbers)
        return ex_raise(err, EX_ENOMEM, "no memory for an append");
    uint32_t key_count = 0, at = 0;
    for (uint32_t i = 0; i < p->append->write_count; i++) {
        const batch_stream *s = streams[i];
        for (uint32_t j = 0; j < p->append->writes[i].event_count; j++, at++) {
            const ex_event *staged =
                p->has_given_id[at] ? find_staged(b, s, &p->events[at].id) : NULL;
            const store_wanted_event *wanted =
                p->has_given_id[at] && !staged && s->stream.id
                    ? batch_wanted_event(b, s->stream.name, &p->events[at].id)
                    : NULL;
            if (staged) {
                compare(id, at, staged);
            } else if (wanted) {
                if (wanted->found)
                    compare(id, at, wanted->found);
            } else if (p->has_given_id[at] && s->stream.id) {
                keys[key_count] = (store_event_key){s->stream.id, &p->events[at].id};
                id->numbers[key_count++] = at;
            }
        }
    }
    if (key_count == 0)
        return EX_OK;
    const store_driver *d = &b->store->driver;
    ex_error detail;
    ex_status st = d->ops->find_events(d->impl, keys, key_count, on_found, id, &detail);
    if (st && err)
        *err = detail;
    return st ? batch_break(b, st, &detail) : EX_OK;
}

/* ---- Answers ---- */

static ex_slice actor_of(const ex_event *e, ex_arena *arena)
{
    ex_json tree = {0};
    if (ex_json_parse(e->metadata, arena, NULL, &tree, NULL))
        return EX_S("");
    const ex_json *actor = ex_json_get(&tree, EX_S("$actor"));
    return actor && actor->kind == EX_JSON_STRING ? actor->as.text : EX_S("");
}

/* At a character. */
static ex_slice cut_text(ex_slice s, size_t limit)
{
    if (s.len <= limit)
        return s;
    while (limit > 0 && ((unsigned char)s.ptr[limit] & 0xC0) == 0x80)
        limit--;
    return ex_slice_of(s.ptr, limit);
}

static ex_status add_audit(const identity *id, ex_error *err)
{
    ex_batch *b = id->b;
    if (b->audit_count == b->audit_room) {
        uint32_t room = b->audit_room ? 2 * b->audit_room : 16;
        store_audit *audits = realloc(b->audits, room * sizeof(*audits));
        if (!audits)
            return ex_raise(err, EX_ENOMEM, "no memory for an audit");
        b->audits = audits;
        b->audit_room = room;
    }
    const ex_event *given = &id->append->events[id->conflict_number];
    b->audits[b->audit_count++] = (store_audit){
        .stored_position = id->stored_position,
        .stored_fingerprint = id->stored_fingerprint,
        .given_fingerprint = fingerprint(given, &b->arena),
        .given = given,
        .data = ex_slice_of(given->data.ptr, given->data.len < STORE_AUDIT_DATA_BYTES
                                                 ? given->data.len
                                                 : STORE_AUDIT_DATA_BYTES),
        .actor = cut_text(actor_of(given, &b->arena), STORE_AUDIT_ACTOR_BYTES),
        .recorded_at_us = b->now_us,
    };
    return EX_OK;
}

static ex_status refuse_conflict(const identity *id, uint64_t version, ex_error *err)
{
    ex_status st = add_audit(id, err);
    if (st)
        return st;
    char text[EX_ID_TEXT_SIZE];
    const ex_event *given = &id->append->events[id->conflict_number];
    (void)ex_raise(err, EX_EIDEMPOTENCY,
                   "event id %.*s is stored in stream '%.*s' with other content",
                   EX_ARG(ex_id_text(&given->id, text)), EX_ARG(given->stream));
    if (err) {
        err->position = id->stored_position;
        err->current = version;
        ex_slice event_id = ex_id_text(&given->id, text);
        memcpy(err->event_id, event_id.ptr, event_id.len);
        err->event_id[event_id.len] = '\0';
    }
    return EX_EIDEMPOTENCY;
}

static ex_status refuse_partial(const identity *id, ex_error *err)
{
    uint32_t without_id = 0;
    for (uint32_t i = 0; i < id->append->event_count; i++)
        without_id += !id->append->has_given_id[i];
    if (without_id)
        (void)ex_raise(
            err, EX_EIDEMPOTENCY,
            "%u of the append's %u events are stored already, and %u came without an id: "
            "whether those are stored, too, cannot be told; a retry names all ids",
            id->found_count, id->append->event_count, without_id);
    else
        (void)ex_raise(err, EX_EIDEMPOTENCY, "%u of the append's %u events are stored already",
                       id->found_count, id->append->event_count);
    ex_error_set_code(err, "PARTIAL_DUPLICATE_BATCH");
    return EX_EIDEMPOTENCY;
}

static bool has_any_given_id(const prepared_append *p)
{
    return p->event_count && memchr(p->has_given_id, true, p->event_count) != NULL;
}

static uint64_t version_of_conflict(const identity *id, batch_stream *const *streams)
{
    uint32_t at = 0, i = 0;
    while (at + id->append->append->writes[i].event_count <= id->conflict_number)
        at += id->append->append->writes[i++].event_count;
    return streams[i]->stream.version;
}

ex_status batch_check_identity(ex_batch *b, prepared_append *p, batch_stream *const *streams,
                               bool *ret_is_duplicate, ex_error *err)
{
    *ret_is_duplicate = false;
    if (!has_any_given_id(p))
        return EX_OK;
    identity id = {.b = b, .append = p};
    ex_status st = find_all(&id, streams, err);
    if (st)
        return st;
    if (id.is_conflict)
        return refuse_conflict(&id, version_of_conflict(&id, streams), err);
    if (id.found_count == 0)
        return EX_OK;
    if (id.found_count < p->event_count)
        return refuse_partial(&id, err);
    *ret_is_duplicate = true;
    return EX_OK;
}
