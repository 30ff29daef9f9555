/* state_cache.c: a chained hash table with a list by last use. */
#include "runtime/state_cache.h"

#include "kernel/map.h"
#include "kernel/running.h"
#include "runtime/event_decode.h"
#include "runtime/registry.h"

#include <assert.h>
#include <stdlib.h>

#define COMPACT_SLACK_BYTES ((size_t)1024)
#define ENTRY_BYTES(e)      (sizeof(state_entry) + (e)->stream.len + (e)->memory.total_bytes)

struct state_cache {
    state_cache_options options;
    state_entry **buckets;
    size_t bucket_count; /* a power of two */
    uint32_t count;
    uint64_t bytes;
    state_entry *newest, *oldest;
    ex_arena scratch; /* JSON trees of events being folded */
};

ex_status state_cache_new(const state_cache_options *options, state_cache **ret, ex_error *err)
{
    state_cache *c = calloc(1, sizeof(*c));
    if (!c)
        return ex_raise(err, EX_ENOMEM, "no memory for the state cache");
    c->options = *options;
    c->bucket_count = 1024;
    c->buckets = calloc(c->bucket_count, sizeof(*c->buckets));
    if (!c->buckets) {
        free(c);
        return ex_raise(err, EX_ENOMEM, "no memory for the state cache");
    }
    ex_arena_init(&c->scratch, 0);
    *ret = c;
    return EX_OK;
}

void state_entry_free(state_entry *e)
{
    if (!e)
        return;
    ex_arena_done(&e->memory);
    free(e);
}

void state_cache_free(state_cache *c)
{
    if (!c)
        return;
    while (c->newest) {
        state_entry *e = c->newest;
        c->newest = e->older;
        state_entry_free(e);
    }
    ex_arena_done(&c->scratch);
    free(c->buckets);
    free(c);
}

/* ---- List and table ---- */

static void list_remove(state_cache *c, state_entry *e)
{
    *(c->newest != e ? &e->newer->older : &c->newest) = e->older;
    *(c->oldest != e ? &e->older->newer : &c->oldest) = e->newer;
    e->newer = e->older = NULL;
}

static void list_push(state_cache *c, state_entry *e)
{
    e->older = c->newest;
    *(c->newest ? &c->newest->newer : &c->oldest) = e;
    c->newest = e;
}

static state_entry **find_slot(state_cache *c, ex_slice stream, uint64_t hash)
{
    state_entry **slot = &c->buckets[hash & (c->bucket_count - 1)];
    while (*slot && ((*slot)->hash != hash || !ex_slice_eq((*slot)->stream, stream)))
        slot = &(*slot)->chain;
    return slot;
}

/* A table that cannot grow stays correct, only its chains get longer. */
static void grow(state_cache *c)
{
    size_t bucket_count = c->bucket_count * 2;
    state_entry **buckets = calloc(bucket_count, sizeof(*buckets));
    if (!buckets)
        return;
    for (state_entry *e = c->newest; e; e = e->older) {
        state_entry **slot = &buckets[e->hash & (bucket_count - 1)];
        e->chain = *slot;
        *slot = e;
    }
    free(c->buckets);
    c->buckets = buckets;
    c->bucket_count = bucket_count;
}

static void publish_size(state_cache *c)
{
    ex_gauge_set(c->options.bytes, (int64_t)c->bytes);
    ex_gauge_set(c->options.count, c->count);
}

static void unlink_entry(state_cache *c, state_entry *e)
{
    *find_slot(c, e->stream, e->hash) = e->chain;
    list_remove(c, e);
    c->count--;
    c->bytes -= e->charged_bytes;
    e->charged_bytes = 0;
}

static void link_entry(state_cache *c, state_entry *e)
{
    if (c->count >= c->bucket_count)
        grow(c);
    state_entry **slot = find_slot(c, e->stream, e->hash);
    assert(!*slot);
    e->chain = NULL;
    *slot = e;
    list_push(c, e);
    c->count++;
}

static void remove_entry(state_cache *c, state_entry *e)
{
    unlink_entry(c, e);
    state_entry_free(e);
}

static void evict_over_limits(state_cache *c, const state_entry *keep)
{
    while ((c->count > c->options.count_limit || c->bytes > c->options.bytes_limit) && c->oldest &&
           c->oldest != keep) {
        remove_entry(c, c->oldest);
        ex_counter_add(c->options.evictions, 1);
    }
}

static void charge(state_cache *c, state_entry *e)
{
    size_t now = ENTRY_BYTES(e);
    c->bytes += now - e->charged_bytes;
    e->charged_bytes = now;
}

static bool holds_pointers(const ex_type *type)
{
    for (uint32_t i = 0; i < type->field_count; i++) {
        const ex_field *f = &type->fields[i];
        switch (f->kind) {
        case EX_KIND_TEXT:
        case EX_KIND_OPT_TEXT:
        case EX_KIND_JSON:
        case EX_KIND_OPT_STRUCT:
        case EX_KIND_LIST:
        case EX_KIND_TEXTS:
            return true;
        case EX_KIND_STRUCT:
            if (holds_pointers(f->type))
                return true;
            break;
        default:
            break;
        }
    }
    return false;
}

ex_status state_cache_get(state_cache *c, const ex_aggregate *aggregate, ex_slice stream,
                          state_entry **ret, ex_error *err)
{
    uint64_t hash = ex_hash(stream);
    state_entry *e = *find_slot(c, stream, hash);
    ex_counter_add(e ? c->options.hits : c->options.misses, 1);
    if (e) {
        assert(e->aggregate == aggregate);
        if (c->newest != e) {
            list_remove(c, e);
            list_push(c, e);
        }
        *ret = e;
        return EX_OK;
    }
    e = calloc(1, sizeof(*e) + stream.len);
    if (!e)
        return ex_raise(err, EX_ENOMEM, "no memory for a state");
    memcpy(e + 1, stream.ptr, stream.len);
    e->stream = ex_slice_of(e + 1, stream.len);
    e->aggregate = aggregate;
    e->keeps_events = holds_pointers(aggregate->state);
    e->hash = hash;
    ex_arena_init(&e->memory, c->options.state_limit_bytes);
    link_entry(c, e);
    charge(c, e);
    *ret = e;
    return EX_OK;
}

void state_cache_drop(state_cache *c, ex_slice stream)
{
    state_entry *e = *find_slot(c, stream, ex_hash(stream));
    if (e)
        remove_entry(c, e);
    publish_size(c);
}

void state_cache_take(state_cache *c, state_entry *e)
{
    unlink_entry(c, e);
    publish_size(c);
}

void state_cache_put(state_cache *c, state_entry *e)
{
    link_entry(c, e);
    state_cache_settle(c, e);
}

ex_arena *state_cache_scratch(state_cache *c)
{
    return &c->scratch;
}

/* ---- Folding ---- */

static ex_status state_failure(const state_entry *e, ex_error *err)
{
    bool is_full = e->memory.used_bytes > e->memory.limit_bytes / 2;
    return is_full
               ? ex_raise(err, EX_ETOOLARGE, "the state of '%.*s' is over its limit of %zu bytes",
                          EX_ARG(e->stream), e->memory.limit_bytes)
               : ex_raise(err, EX_ENOMEM, "no memory for the state of '%.*s'", EX_ARG(e->stream));
}

/* Nothing is decided on a part of the truth. */
static ex_status unreadable(const state_entry *e, const ex_event *event, ex_error *err)
{
    (void)ex_error_context(err, EX_ECORRUPT, "version %llu of stream '%.*s', position %llu, %.*s",
                           (unsigned long long)event->version, EX_ARG(e->stream),
                           (unsigned long long)event->position, EX_ARG(event->type));
    if (err) {
        err->status = EX_ECORRUPT;
        err->http_status = 409; /* the file is sound: another application may read it */
        err->position = event->position;
        err->field[0] = '\0'; /* nothing of the request is at fault */
    }
    ex_error_set_code(err, "STREAM_UNREADABLE");
    return EX_ECORRUPT;
}

/* The event's struct with all it points to, in the state's own memory when the state may then point
 * to it. */
static ex_status read_event(ex_arena *scratch, state_entry *e, const ex_type *type,
                            const ex_event *event, void **ret, ex_error *err)
{
    event_decoder decoder = event_decoder_of(event->data, event->schema_version, scratch);
    ex_arena *memory = e->keeps_events ? &e->memory : scratch;
    *ret = ex_arena_alloc(memory, type->size);
    if (!*ret)
        return state_failure(e, err);
    ex_status st = event_decode(&decoder, type, memory, *ret, err);
    if (st == EX_ENOMEM || st == EX_ETOOLARGE)
        return state_failure(e, err);
    return st ? unreadable(e, event, err) : EX_OK;
}

/* Copy the state into a fresh arena. Out of memory: keep the old one, it is correct. */
static void compact(state_entry *e)
{
    const ex_type *type = e->aggregate->state;
    ex_arena fresh;
    ex_arena_init(&fresh, e->memory.limit_bytes);
    void *state = ex_arena_alloc(&fresh, type->size);
    if (!state || ex_type_copy(type, e->state, &fresh, state, NULL)) {
        ex_arena_done(&fresh);
        return;
    }
    ex_arena_done(&e->memory);
    e->memory = fresh;
    e->state = state;
    e->live_bytes = fresh.used_bytes;
}

/* Garbage is let grow to the size of the state, and near the limit to next to nothing. */
static bool is_worth_compacting(const state_entry *e)
{
    size_t used = e->memory.used_bytes;
    return used > 2 * e->live_bytes + COMPACT_SLACK_BYTES ||
           (used > e->memory.limit_bytes / 2 && used > e->live_bytes + COMPACT_SLACK_BYTES);
}

static ex_status begin_state(state_entry *e, ex_error *err)
{
    if (!e->state)
        e->state = ex_arena_zalloc(&e->memory, e->aggregate->state->size);
    return e->state ? EX_OK : state_failure(e, err);
}

static ex_status end_event(state_entry *e, uint64_t version, ex_error *err)
{
    if (ex_arena_has_failed(&e->memory))
        return state_failure(e, err);
    e->version = version;
    if (is_worth_compacting(e))
        compact(e);
    return EX_OK;
}

static void run_evolve(state_entry *e, const ex_event_def *def, const void *value, uint64_t version,
                       uint64_t position)
{
    ex_running place = {.what = "evolve function of",
                        .owner = e->aggregate->name,
                        .name = def->type->name,
                        .stream = e->stream,
                        .version = version,
                        .position = position};
    ex_running_enter(&place);
    def->evolve(e->state, value, &e->memory);
    ex_running_leave(&place);
}

ex_status state_entry_apply(ex_arena *scratch, state_entry *e, const ex_event *event, ex_error *err)
{
    const ex_event_def *def = NULL;
    ex_status st = begin_state(e, err);
    if (st)
        return st;
    if (event_decode_find(e->aggregate, event->type, &def, err))
        return unreadable(e, event, err);
    if (def) { /* an ignored type changes nothing but counts (R-08-02) */
        void *value = NULL;
        st = read_event(scratch, e, def->type, event, &value, err);
        if (!st)
            run_evolve(e, def, value, event->version, event->position);
        ex_arena_reset(scratch);
        if (st)
            return st;
    }
    return end_event(e, event->version, err);
}

ex_status state_entry_evolve(state_entry *e, const ex_type *type, const void *value,
                             uint64_t version, ex_error *err)
{
    const ex_event_def *def = registry_find_event(e->aggregate, ex_str(type->name));
    assert(def && def->type == type); /* the decision checked it */
    ex_status st = begin_state(e, err);
    if (st)
        return st;
    if (e->keeps_events) {
        void *copy = ex_arena_alloc(&e->memory, type->size);
        if (!copy || ex_type_copy(type, value, &e->memory, copy, NULL))
            return state_failure(e, err);
        value = copy;
    }
    run_evolve(e, def, value, version, 0);
    return end_event(e, version, err);
}

void state_cache_settle(state_cache *c, state_entry *e)
{
    charge(c, e);
    evict_over_limits(c, e);
    publish_size(c);
}
