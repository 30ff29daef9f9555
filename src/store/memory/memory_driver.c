/* memory_driver.c: a store without files, for tests and for programs that need no yesterday.
 *
 * The same semantics as on disk, but for durability. Audit rows are dropped: there
 * is nobody who could read them. */
#include <assert.h>
#include <stdlib.h>

#include "store/memory/memory_log.h"

#define MATCH_LISTS 64u /* read with the lock held */

typedef struct memory_command {
    ex_command_record record; /* its bytes lie behind */
    uint64_t number;          /* rises in the order of recording */
    struct memory_command *newer;
} memory_command;

typedef struct memory_driver {
    memory_log log;
    log_identity *identity; /* the store's: what it is told at open is all that there is */
    /* changed on the sequencer's thread, under the log's lock */
    ex_map commands; /* id -> memory_command */
    memory_command *oldest, *newest;
    memory_command *newest_committed;
    uint64_t last_number; /* of a command */
    /* the sequencer's thread */
    int64_t expire_before_us; /* at the commit, if expire_limit is not 0 */
    uint32_t expire_limit;
} memory_driver;

/* ---- Open and close ---- */

static void memory_close(void *impl)
{
    memory_driver *d = impl;
    if (!d)
        return;
    memory_log_done(&d->log);
    ex_map_done(&d->commands, free);
    free(d);
}

static ex_status memory_open(const store_driver_options *options, void **ret_impl, ex_error *err)
{
    memory_driver *d = calloc(1, sizeof(*d));
    if (!d)
        return ex_raise(err, EX_ENOMEM, "no memory for a store");
    memory_log_init(&d->log);
    ex_map_init(&d->commands, 0);
    d->identity = options->identity;
    ex_status st = log_identity_create(d->identity, err);
    if (st)
        memory_close(d);
    else
        *ret_impl = d;
    return st;
}

/* ---- Finding ---- */

static ex_status memory_begin(void *impl, store_head *ret, ex_error *err)
{
    (void)err;
    const memory_log *l = &((memory_driver *)impl)->log;
    ret->position = l->committed;
    ret->recorded_at_us = l->committed ? l->events[l->committed - 1]->recorded_at_us : 0;
    return EX_OK;
}

static ex_status memory_find_streams(void *impl, store_stream *const *streams, uint32_t count,
                                     ex_error *err)
{
    (void)err;
    const memory_log *l = &((memory_driver *)impl)->log;
    for (uint32_t i = 0; i < count; i++) {
        const memory_list *list = memory_log_find(l, POSTINGS_STREAM, streams[i]->name);
        streams[i]->id = (uintptr_t)list;
        streams[i]->version = list ? list->count : 0;
    }
    return EX_OK;
}

static ex_status memory_find_events(void *impl, const store_event_key *keys, uint32_t count,
                                    store_found_fn *fn, void *ctx, ex_error *err)
{
    const memory_log *l = &((memory_driver *)impl)->log;
    ex_status st = EX_OK;
    for (uint32_t i = 0; st == EX_OK && i < count; i++) {
        const ex_event *e = memory_log_find_id(l, keys[i].stream_id, keys[i].id);
        if (e)
            st = fn(ctx, i, e, err);
    }
    return st;
}

static ex_status memory_read_stream(void *impl, const store_stream *stream, uint64_t from_version,
                                    ex_batch_event_fn *fn, void *ctx, ex_error *err)
{
    const memory_log *l = &((memory_driver *)impl)->log;
    const memory_list *list = (const memory_list *)(uintptr_t)stream->id;
    ex_status st = EX_OK;
    uint64_t first = from_version ? from_version - 1 : 0;
    for (uint64_t i = first; st == EX_OK && i < list->count; i++)
        st = fn(ctx, l->events[list->positions[i] - 1], err);
    return st;
}

static ex_status memory_find_command(void *impl, ex_slice command_id, ex_arena *arena,
                                     ex_command_record *ret, ex_error *err)
{
    const memory_command *c = ex_map_get(&((memory_driver *)impl)->commands, command_id);
    if (!c)
        return EX_ENOTFOUND;
    ex_command_record record = c->record;
    record.command_id = ex_arena_copy(arena, c->record.command_id);
    record.outcome = ex_arena_copy(arena, c->record.outcome);
    if (!record.command_id.ptr || !record.outcome.ptr)
        return ex_raise(err, EX_ENOMEM, "no memory for the outcome of a command");
    *ret = record;
    return EX_OK;
}

/* ---- Writing ---- */

static ex_status put_command(memory_driver *d, const ex_command_record *record)
{
    size_t bytes = record->command_id.len + record->outcome.len;
    memory_command *c = malloc(sizeof(*c) + bytes);
    if (!c)
        return EX_ENOMEM;
    char *at = (char *)(c + 1);
    c->record = *record;
    c->number = ++d->last_number;
    c->newer = NULL;
    c->record.command_id.ptr = memcpy(at, record->command_id.ptr, record->command_id.len);
    c->record.outcome.ptr = at + record->command_id.len;
    if (record->outcome.len)
        memcpy(at + record->command_id.len, record->outcome.ptr, record->outcome.len);
    if (ex_map_put(&d->commands, c->record.command_id, c, NULL)) {
        free(c);
        return EX_ENOMEM;
    }
    if (d->newest)
        d->newest->newer = c;
    else
        d->oldest = c;
    d->newest = c;
    return EX_OK;
}

static ex_status put_events(memory_log *l, const store_write *w)
{
    ex_status st = EX_OK;
    for (uint32_t i = 0; st == EX_OK && i < w->event_count; i++) {
        st = memory_log_put(l, &w->events[i]);
        w->streams[i]->id = (uintptr_t)memory_log_find(l, POSTINGS_STREAM, w->events[i].stream);
    }
    return st;
}

static ex_status memory_write(void *impl, const store_write *w, ex_error *err)
{
    memory_driver *d = impl;
    (void)pthread_rwlock_wrlock(&d->log.lock); /* fails for a thread that holds it only */
    ex_status st = put_events(&d->log, w);
    for (uint32_t i = 0; st == EX_OK && i < w->command_count; i++)
        st = put_command(d, &w->commands[i]);
    (void)pthread_rwlock_unlock(&d->log.lock);
    return st ? ex_raise(err, st, "no memory for the log") : EX_OK;
}

static ex_status memory_expire_commands(void *impl, int64_t before_us, uint32_t limit,
                                        ex_error *err)
{
    (void)err;
    memory_driver *d = impl;
    d->expire_before_us = before_us;
    d->expire_limit = limit;
    return EX_OK;
}

static ex_status memory_keep_time(void *impl, int64_t seen_us, store_seen_time *ret, ex_error *err)
{
    const memory_driver *d = impl;
    (void)seen_us; /* there is no other process after this one */
    (void)err;
    *ret = (store_seen_time){0, d->oldest ? d->oldest->record.recorded_at_us : INT64_MIN};
    return EX_OK;
}

/* The store's identity is all there is, and the store changes it. */
static ex_status memory_adopt(void *impl, const store_epochs *epochs, ex_error *err)
{
    (void)impl;
    (void)epochs;
    (void)err;
    return EX_OK;
}

static void expire(memory_driver *d)
{
    for (; d->expire_limit > 0 && d->oldest != d->newest; d->expire_limit--) {
        memory_command *c = d->oldest;
        if (c->record.recorded_at_us >= d->expire_before_us)
            break;
        d->oldest = c->newer;
        (void)ex_map_remove(&d->commands, c->record.command_id); /* freed here */
        free(c);
    }
    d->expire_limit = 0;
}

static ex_status memory_commit(void *impl, ex_error *err)
{
    (void)err;
    memory_driver *d = impl;
    (void)pthread_rwlock_wrlock(&d->log.lock); /* fails for a thread that holds it only */
    d->log.committed = d->log.event_count;
    expire(d); /* never the newest: it was recorded in this batch, or nothing expires */
    d->newest_committed = d->newest;
    (void)pthread_rwlock_unlock(&d->log.lock);
    return EX_OK;
}

static void memory_rollback(void *impl)
{
    memory_driver *d = impl;
    (void)pthread_rwlock_wrlock(&d->log.lock); /* fails for a thread that holds it only */
    memory_log_cut(&d->log);
    memory_command *c = d->newest_committed ? d->newest_committed->newer : d->oldest;
    while (c) {
        memory_command *newer = c->newer;
        (void)ex_map_remove(&d->commands, c->record.command_id); /* freed here */
        free(c);
        c = newer;
    }
    d->expire_limit = 0;
    d->newest = d->newest_committed;
    if (d->newest)
        d->newest->newer = NULL;
    else
        d->oldest = NULL;
    (void)pthread_rwlock_unlock(&d->log.lock);
}

/* ---- Reading ---- */

typedef struct memory_reader {
    memory_driver *driver;
    memory_log *log;
    store_scan scan;
    const memory_list *list; /* of the stream */
    uint64_t next;           /* position or version */
    bool is_active;
    postings *walk;
    postings_source source;
    ex_arena arena;
} memory_reader;

static ex_status reader_open(void *impl, void **ret_reader, ex_error *err)
{
    memory_reader *r = calloc(1, sizeof(*r));
    if (!r)
        return ex_raise(err, EX_ENOMEM, "no memory for a reader");
    r->driver = impl;
    r->log = &r->driver->log;
    r->source = memory_log_source(r->log);
    ex_arena_init(&r->arena, 0);
    *ret_reader = r;
    return EX_OK;
}

static void reader_close(void *reader)
{
    memory_reader *r = reader;
    if (!r)
        return;
    ex_arena_done(&r->arena);
    free(r);
}

static void reader_stop(void *reader)
{
    memory_reader *r = reader;
    r->is_active = false;
    r->walk = NULL;
    ex_arena_reset(&r->arena);
}

static uint64_t version_at(const memory_list *list, uint64_t upto)
{
    uint64_t version = list ? list->count : 0;
    while (version && list->positions[version - 1] > upto)
        version--;
    return version;
}

static uint64_t last_version(const memory_log *l, const memory_list *list)
{
    return version_at(list, l->committed);
}

static ex_status reader_start(void *reader, const store_scan *scan, ex_error *err)
{
    memory_reader *r = reader;
    assert(!r->is_active);
    r->scan = *scan;
    r->next = scan->from;
    r->is_active = true;
    ex_status st = EX_OK;
    (void)pthread_rwlock_rdlock(&r->log->lock); /* fails for a thread that holds it only */
    if (scan->is_stream) {
        r->list = memory_log_find(r->log, POSTINGS_STREAM, scan->stream);
        uint64_t last = last_version(r->log, r->list);
        if (scan->direction == EX_BACKWARD && r->next > last)
            r->next = last;
    } else if (!postings_is_all(scan->filter)) {
        r->source.pause = scan->pause;
        st = postings_new(scan->filter, &r->source, &r->arena, &r->walk, err);
    }
    (void)pthread_rwlock_unlock(&r->log->lock);
    return st;
}

/* Position of the next event, POSTINGS_END when there is none. */
static ex_status next_position(memory_reader *r, uint64_t *ret, ex_error *err)
{
    *ret = POSTINGS_END;
    if (r->walk) {
        ex_status st = postings_seek(r->walk, r->next, ret, err);
        if (st == EX_OK)
            r->next = *ret + (*ret != POSTINGS_END);
        return st;
    }
    if (!r->scan.is_stream) {
        *ret = r->next++;
    } else if (r->next >= 1 && r->next <= last_version(r->log, r->list)) {
        *ret = r->list->positions[r->next - 1];
        r->next += r->scan.direction == EX_FORWARD ? 1 : UINT64_MAX; /* backward: one less */
    }
    return EX_OK;
}

static ex_status reader_next(void *reader, ex_event *ret, ex_error *err)
{
    memory_reader *r = reader;
    uint64_t position;
    (void)pthread_rwlock_rdlock(&r->log->lock); /* fails for a thread that holds it only */
    ex_status st = next_position(r, &position, err);
    bool is_within =
        position <= r->log->committed && (r->scan.is_stream || position <= r->scan.upto);
    if (st == EX_OK && is_within)
        *ret = *r->log->events[position - 1];
    else if (st == EX_EAGAIN)
        ret->position = position;
    (void)pthread_rwlock_unlock(&r->log->lock);
    return st == EX_OK && !is_within ? EX_EEND : st;
}

static ex_status reader_head(void *reader, uint64_t *ret, ex_error *err)
{
    (void)err;
    memory_log *l = ((memory_reader *)reader)->log;
    (void)pthread_rwlock_rdlock(&l->lock); /* fails for a thread that holds it only */
    *ret = l->committed;
    (void)pthread_rwlock_unlock(&l->lock);
    return EX_OK;
}

static ex_status reader_stream_version(void *reader, ex_slice stream, uint64_t upto, uint64_t *ret,
                                       ex_error *err)
{
    (void)err;
    memory_log *l = ((memory_reader *)reader)->log;
    (void)pthread_rwlock_rdlock(&l->lock); /* fails for a thread that holds it only */
    *ret = version_at(memory_log_find(l, POSTINGS_STREAM, stream),
                      upto < l->committed ? upto : l->committed);
    (void)pthread_rwlock_unlock(&l->lock);
    return EX_OK;
}

typedef struct found_command {
    ex_command_record record;
    uint64_t number;
} found_command;

static ex_status copy_command(const memory_command *from, ex_arena *arena, found_command *ret)
{
    *ret = (found_command){from->record, from->number};
    ret->record.command_id = ex_arena_copy(arena, from->record.command_id);
    ret->record.outcome = ex_arena_copy(arena, from->record.outcome);
    return ret->record.command_id.ptr && ret->record.outcome.ptr ? EX_OK : EX_ENOMEM;
}

/* Under the lock: copies, because a record may expire once it is let go. */
static ex_status collect_commands(const memory_driver *d, uint64_t after, uint32_t limit,
                                  ex_arena *arena, found_command **ret, uint32_t *ret_count)
{
    const memory_command *end = d->newest_committed ? d->newest_committed->newer : d->oldest;
    const memory_command *c = d->oldest;
    while (c != end && c->number <= after)
        c = c->newer;
    uint32_t count = 0;
    for (const memory_command *at = c; at != end && count < limit; at = at->newer)
        count++;
    found_command *found = ex_arena_array(arena, count + 1, sizeof(*found));
    ex_status st = found ? EX_OK : EX_ENOMEM;
    for (uint32_t i = 0; st == EX_OK && i < count; i++, c = c->newer)
        st = copy_command(c, arena, &found[i]);
    *ret = found;
    *ret_count = count;
    return st;
}

static ex_status reader_read_commands(void *reader, uint64_t after, uint32_t limit,
                                      ex_command_fn *fn, void *ctx, ex_error *err)
{
    memory_reader *r = reader;
    found_command *found = NULL;
    uint32_t count = 0;
    (void)pthread_rwlock_rdlock(&r->log->lock); /* fails for a thread that holds it only */
    ex_status st = collect_commands(r->driver, after, limit, &r->arena, &found, &count);
    (void)pthread_rwlock_unlock(&r->log->lock);
    if (st)
        st = ex_raise(err, st, "no memory for the outcomes of commands");
    for (uint32_t i = 0; st == EX_OK && i < count; i++)
        st = fn(ctx, found[i].number, &found[i].record, err);
    ex_arena_reset(&r->arena);
    return st;
}

static ex_status reader_epochs(void *reader, ex_arena *arena, store_epochs *ret, ex_error *err)
{
    log_identity *li = ((memory_reader *)reader)->driver->identity;
    ex_log_epoch *epochs = ex_arena_array(arena, LOG_EPOCHS_KEPT, sizeof(*epochs));
    if (!epochs)
        return ex_raise(err, EX_ENOMEM, "no memory for the epochs of the log");
    *ret = (store_epochs){log_identity_log_id(li), epochs,
                          log_identity_list(li, epochs, LOG_EPOCHS_KEPT)};
    return EX_OK;
}

static bool is_used_up(void *ctx)
{
    uint32_t *left = ctx;
    *left -= *left > 0;
    return *left == 0;
}

/* Only some lists at a time: the commit waits for the lock. */
static ex_status reader_match(void *reader, store_match *match, ex_error *err)
{
    memory_reader *r = reader;
    postings_source source = memory_log_source(r->log);
    uint32_t lists = MATCH_LISTS;
    const store_pause *given = match->pause, own = {is_used_up, &lists};
    match->pause = &own;
    (void)pthread_rwlock_rdlock(&r->log->lock); /* fails for a thread that holds it only */
    ex_status st = postings_match(&source, &r->arena, match, err);
    (void)pthread_rwlock_unlock(&r->log->lock);
    match->pause = given;
    ex_arena_reset(&r->arena);
    return st;
}

static ex_status reader_measure(void *reader, store_size *ret, ex_error *err)
{
    (void)reader;
    (void)err;
    *ret = (store_size){0};
    return EX_OK;
}

static const store_reader_ops memory_reader_ops = {
    .open = reader_open,
    .close = reader_close,
    .start = reader_start,
    .next = reader_next,
    .stop = reader_stop,
    .head = reader_head,
    .stream_version = reader_stream_version,
    .read_commands = reader_read_commands,
    .epochs = reader_epochs,
    .match = reader_match,
    .measure = reader_measure,
};

const store_driver_ops store_memory_driver = {
    .name = "memory",
    .reader = &memory_reader_ops,
    .open = memory_open,
    .close = memory_close,
    .begin = memory_begin,
    .find_streams = memory_find_streams,
    .find_events = memory_find_events,
    .read_stream = memory_read_stream,
    .find_command = memory_find_command,
    .write = memory_write,
    .expire_commands = memory_expire_commands,
    .keep_time = memory_keep_time,
    .adopt = memory_adopt,
    .commit = memory_commit,
    .rollback = memory_rollback,
};
