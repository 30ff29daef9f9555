/* write.c: what a batch writes, as set-based statements that wait for the commit.
 *
 *   what        statements
 *   ----------  ------------------------------------------------------------------
 *   streams     one for all new ones; their ids follow the last id under the head
 *   events      one for each 4 MiB
 *   tags        one for those whose ids are known; three for the others: make them
 *               unless they are there, use them by name, tell their ids
 *   commands    one
 *   audits      one and a round trip each; they are rare
 *
 * Ids of names are given here, under the head's lock; one that turns out to be
 * taken by name already leaves a gap that nobody minds. */
#include <stdlib.h>

#include "store/postgres/event_row.h"
#include "store/postgres/postgres_driver.h"

#define CHUNK_BYTES ((uint64_t)4 << 20) /* of events in one statement */

/* What one write is built from; in an arena of its own. */
typedef struct building {
    postgres_driver *d;
    const store_write *w;
    ex_arena arena;
    uint64_t *stream_ids;
} building;

static ex_status no_memory(ex_error *err)
{
    return ex_raise(err, EX_ENOMEM, "no memory to write a batch");
}

/* ---- Names ---- */

static uint64_t id_of(const ex_map *names, ex_slice name)
{
    return (uint64_t)(uintptr_t)ex_map_get(names, name);
}

static void remember_name(ex_map *names, ex_slice name, uint64_t id)
{
    if (names->limit && names->count == names->limit) {
        size_t limit = names->limit;
        ex_map_done(names, NULL);
        ex_map_init(names, limit);
    }
    if (ex_map_put(names, name, (void *)(uintptr_t)id, NULL) != EX_OK)
        return; /* it is asked for again, nothing else */
}

/* New ids for all of them, then the names: $1 and $2 of the INSERTs. */
static void put_new_names(postgres_driver *d, const ex_slice *names, uint32_t count)
{
    ex_pg_array_begin(&d->args, EX_PG_INT8);
    for (uint32_t i = 0; i < count; i++)
        ex_pg_put_i64(&d->args, (int64_t)++d->last_id);
    ex_pg_array_end(&d->args);
    pg_put_names(&d->args, names, count);
}

static ex_status write_streams(building *b, ex_error *err)
{
    const store_write *w = b->w;
    postgres_driver *d = b->d;
    ex_slice *names = ex_arena_array(&b->arena, w->event_count, sizeof(*names));
    if (!names)
        return no_memory(err);
    uint32_t count = 0;
    uint64_t first_id = d->last_id + 1;
    for (uint32_t i = 0; i < w->event_count; i++) {
        if (w->streams[i]->id == 0) {
            w->streams[i]->id = first_id + count;
            names[count++] = w->streams[i]->name;
        }
        b->stream_ids[i] = w->streams[i]->id;
    }
    if (count == 0)
        return EX_OK;
    put_new_names(d, names, count);
    return pg_queue_write(d, PG_STREAMS_INSERT, err);
}

/* ---- Events ---- */

static ex_status note_written(postgres_driver *d, const store_write *w, ex_error *err)
{
    pg_written *n = &d->written;
    if (n->count + w->event_count > n->room) {
        uint32_t room = 2 * (n->count + w->event_count);
        pg_written_event *events = realloc(n->events, room * sizeof(*events));
        if (!events)
            return no_memory(err);
        n->events = events;
        n->room = room;
    }
    if (n->count == 0)
        n->first = w->events[0].position;
    for (uint32_t i = 0; i < w->event_count; i++)
        n->events[n->count++] = (pg_written_event){w->events[i].id, w->events[i].recorded_at_us};
    n->recorded_at_us = w->events[w->event_count - 1].recorded_at_us;
    d->position = w->events[w->event_count - 1].position;
    return EX_OK;
}

static uint32_t chunk_of(const store_write *w, uint32_t at)
{
    uint32_t count = 0;
    uint64_t bytes = 0;
    for (; at + count < w->event_count && bytes < CHUNK_BYTES; count++)
        bytes += w->events[at + count].data.len + w->events[at + count].metadata.len;
    return count;
}

static ex_status write_chunk(building *b, uint32_t at, uint32_t count, ex_error *err)
{
    postgres_driver *d = b->d;
    pg_put_events(&d->args, b->w->events + at, b->stream_ids + at, count);
    ex_status st = pg_queue_write(d, PG_EVENTS_INSERT, err);
    bool is_last = at + count == b->w->event_count;
    return st || is_last ? st : ex_pg_flush(d->writer, err);
}

static ex_status write_events(building *b, ex_error *err)
{
    const store_write *w = b->w;
    b->stream_ids = ex_arena_array(&b->arena, w->event_count, sizeof(uint64_t));
    if (!b->stream_ids)
        return no_memory(err);
    ex_status st = write_streams(b, err);
    if (st)
        return st;
    for (uint32_t at = 0, count = 0; st == EX_OK && at < w->event_count; at += count) {
        count = chunk_of(w, at);
        st = write_chunk(b, at, count, err);
    }
    return st ? st : note_written(b->d, w, err);
}

/* ---- Tags ---- */

/* The uses of tags: those with a known id, and the others by name. */
typedef struct tag_uses {
    uint64_t *ids;
    uint64_t *id_positions;
    uint32_t id_count;
    ex_slice *names;
    uint64_t *name_positions;
    uint32_t name_count;
} tag_uses;

static ex_status collect_tags(building *b, tag_uses *u, ex_error *err)
{
    uint32_t count = 0;
    ex_slice tag;
    for (uint32_t i = 0; i < b->w->event_count; i++)
        for (size_t at = 0; ex_tags_next(b->w->events[i].tags, &at, &tag);)
            count++;
    u->ids = ex_arena_array(&b->arena, count + 1, sizeof(*u->ids));
    u->id_positions = ex_arena_array(&b->arena, count + 1, sizeof(*u->id_positions));
    u->names = ex_arena_array(&b->arena, count + 1, sizeof(*u->names));
    u->name_positions = ex_arena_array(&b->arena, count + 1, sizeof(*u->name_positions));
    if (!u->ids || !u->id_positions || !u->names || !u->name_positions)
        return no_memory(err);
    for (uint32_t i = 0; i < b->w->event_count; i++) {
        const ex_event *e = &b->w->events[i];
        for (size_t at = 0; ex_tags_next(e->tags, &at, &tag);) {
            uint64_t id = id_of(&b->d->tags, tag);
            if (id) {
                u->ids[u->id_count] = id;
                u->id_positions[u->id_count++] = e->position;
            } else {
                u->names[u->name_count] = tag;
                u->name_positions[u->name_count++] = e->position;
            }
        }
    }
    return EX_OK;
}

static void put_numbers(ex_pg_args *args, const uint64_t *numbers, uint32_t count)
{
    ex_pg_array_begin(args, EX_PG_INT8);
    for (uint32_t i = 0; i < count; i++)
        ex_pg_put_i64(args, (int64_t)numbers[i]);
    ex_pg_array_end(args);
}

/* Each name once: what is made and asked for. */
static ex_status keep_asked(postgres_driver *d, const tag_uses *u, ex_error *err)
{
    if (u->name_count > d->asked_room) {
        ex_slice *asked = realloc(d->asked_tags, u->name_count * sizeof(*asked));
        if (!asked)
            return no_memory(err);
        d->asked_tags = asked;
        d->asked_room = u->name_count;
    }
    ex_map seen;
    ex_map_init(&seen, 0);
    ex_status st = EX_OK;
    d->asked_count = 0;
    for (uint32_t i = 0; st == EX_OK && i < u->name_count; i++) {
        if (ex_map_get(&seen, u->names[i]))
            continue;
        d->asked_tags[d->asked_count++] = u->names[i];
        if (ex_map_put(&seen, u->names[i], d, NULL)) /* any pointer: it is only there */
            st = no_memory(err);
    }
    ex_map_done(&seen, NULL);
    return st;
}

static ex_status write_new_tags(postgres_driver *d, const tag_uses *u, ex_error *err)
{
    ex_status st = keep_asked(d, u, err);
    if (st)
        return st;
    put_new_names(d, d->asked_tags, d->asked_count);
    st = pg_queue_write(d, PG_TAGS_INSERT, err);
    if (st)
        return st;
    pg_put_names(&d->args, u->names, u->name_count);
    put_numbers(&d->args, u->name_positions, u->name_count);
    st = pg_queue_write(d, PG_EVENT_TAG_NAMES, err);
    if (st)
        return st;
    pg_put_names(&d->args, d->asked_tags, d->asked_count);
    st = pg_queue_write(d, PG_TAGS_FIND, err);
    if (st == EX_OK)
        d->tags_at = d->queued - 1;
    return st;
}

void pg_learn_tags(postgres_driver *d, const ex_pg_result *r)
{
    for (int row = 0; row < r->rows; row++) {
        uint64_t n = (uint64_t)ex_pg_get_i64(r, row, 0) - 1;
        if (n < d->asked_count)
            remember_name(&d->tags, d->asked_tags[n], (uint64_t)ex_pg_get_i64(r, row, 1));
    }
}

static ex_status write_tags(building *b, ex_error *err)
{
    tag_uses u = {0};
    postgres_driver *d = b->d;
    ex_status st = collect_tags(b, &u, err);
    if (st == EX_OK && u.id_count) {
        put_numbers(&d->args, u.ids, u.id_count);
        put_numbers(&d->args, u.id_positions, u.id_count);
        st = pg_queue_write(d, PG_EVENT_TAGS, err);
    }
    if (st == EX_OK && u.name_count)
        st = write_new_tags(d, &u, err);
    return st;
}

/* ---- Commands and audits ---- */

static ex_status write_commands(building *b, ex_error *err)
{
    const ex_command_record *commands = b->w->commands;
    uint32_t count = b->w->command_count;
    ex_pg_args *args = &b->d->args;
    ex_pg_array_begin(args, EX_PG_INT8);
    for (uint32_t i = 0; i < count; i++)
        ex_pg_put_i64(args, (int64_t)++b->d->last_id);
    ex_pg_array_end(args);
    ex_pg_array_begin(args, EX_PG_BYTEA);
    for (uint32_t i = 0; i < count; i++)
        ex_pg_put_bytea(args, commands[i].command_id);
    ex_pg_array_end(args);
    ex_pg_array_begin(args, EX_PG_INT8);
    for (uint32_t i = 0; i < count; i++)
        ex_pg_put_i64(args, (int64_t)commands[i].fingerprint);
    ex_pg_array_end(args);
    ex_pg_array_begin(args, EX_PG_INT8);
    for (uint32_t i = 0; i < count; i++)
        ex_pg_put_i64(args, commands[i].recorded_at_us);
    ex_pg_array_end(args);
    ex_pg_array_begin(args, EX_PG_BYTEA);
    for (uint32_t i = 0; i < count; i++)
        ex_pg_put_bytea(args, commands[i].outcome);
    ex_pg_array_end(args);
    pg_note_command(&b->d->written, &commands[0]);
    return pg_queue_write(b->d, PG_COMMANDS_INSERT, err);
}

/* A round trip: whoever is refused is told the row's id. */
static ex_status write_audit(postgres_driver *d, store_audit *a, ex_error *err)
{
    ex_pg_result r = {0};
    ex_pg_args *args = &d->args;
    ex_pg_put_i64(args, (int64_t)a->stored_position);
    ex_pg_put_i64(args, (int64_t)a->stored_fingerprint);
    ex_pg_put_i64(args, (int64_t)a->given_fingerprint);
    ex_pg_put_text(args, a->given->stream);
    pg_put_event_id(args, &a->given->id);
    ex_pg_put_text(args, a->given->type);
    ex_pg_put_i32(args, (int32_t)a->given->schema_version);
    ex_pg_put_text(args, a->given->content_type);
    ex_pg_put_bytea(args, a->data);
    if (a->actor.len)
        ex_pg_put_bytea(args, a->actor);
    else
        ex_pg_put_null(args, EX_PG_BYTEA);
    ex_pg_put_i64(args, a->recorded_at_us);
    ex_pg_put_i64(args, (int64_t)++d->last_id);
    ex_status st = pg_queue(d, PG_AUDIT_INSERT, err);
    if (st == EX_OK)
        st = pg_settle(d, err);
    if (st == EX_OK)
        st = ex_pg_recv(d->writer, &r, err);
    if (st == EX_OK && r.rows)
        a->id = (uint64_t)ex_pg_get_i64(&r, 0, 0);
    ex_pg_result_free(&r);
    return st;
}

static ex_status trim_audits(postgres_driver *d, ex_error *err)
{
    ex_pg_put_i64(&d->args, STORE_AUDITS);
    return pg_queue_write(d, PG_AUDIT_TRIM, err);
}

ex_status pg_writer_write(void *impl, const store_write *w, ex_error *err)
{
    building b = {.d = impl, .w = w};
    b.d->has_written = true;
    ex_arena_init(&b.arena, (size_t)512 << 20);
    ex_status st = EX_OK;
    if (w->event_count)
        st = write_events(&b, err);
    if (st == EX_OK && w->event_count)
        st = write_tags(&b, err);
    if (st == EX_OK && w->command_count)
        st = write_commands(&b, err);
    for (uint32_t i = 0; st == EX_OK && i < w->audit_count; i++)
        st = write_audit(b.d, &w->audits[i], err);
    if (st == EX_OK && w->audit_count)
        st = trim_audits(b.d, err);
    ex_arena_done(&b.arena);
    return pg_as_storage(st, err);
}
