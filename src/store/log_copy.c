/* log_copy.c: two cursors, two digests, and a few imports in flight; see log_copy.h.
 *
 * The caller's thread reads and hashes the source while the target's sequencer
 * writes: `SLOTS` imports of about a MiB each are filled in turn and queued.
 *
 * Possible failure modes: an import fails. Those behind it fail, too, because
 * the log does not end where they begin; the first failure is the one that is
 * told, and what was written before it is a prefix of the source. The same
 * holds when the process dies: the next check finds out where the target ends. */
#include "store/log_copy.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "store/import.h"
#include "store/log_copy_identity.h"
#include "store/log_copy_known.h"

#define SLOTS        4
#define SLOT_RECORDS 1000
#define SLOT_BYTES   (1u << 20)           /* full when it holds so much */
#define SLOT_LIMIT   ((size_t)1200 << 20) /* an event may have 512 MiB */
#define TICK_RECORDS 256

typedef struct slot {
    ex_import import; /* first */
    ex_log_copy *copy;
    ex_arena arena; /* of all that the records point to */
    size_t bytes;
    ex_event events[SLOT_RECORDS];
    ex_command_record commands[SLOT_RECORDS];
    bool is_busy; /* guarded by the copy's mu: queued and not done */
} slot;

struct ex_log_copy {
    /* immutable */
    ex_store *from, *to;
    ex_log_copy_tick_fn *tick;
    void *ctx;
    /* the caller's thread */
    ex_log_digest source, target;
    uint64_t last_command; /* number, in the source */
    uint64_t events, commands;
    known_commands known; /* what the target had before */
    bool has_known;
    slot *filling; /* not queued yet; NULL: none */
    uint32_t next; /* slot */
    slot *slots;
    /* guarded by mu */
    pthread_mutex_t mu;
    pthread_cond_t changed;
    ex_error failure; /* the first one */
    /* atomic */
    _Atomic uint64_t written;
};

/* ---- Life ---- */

ex_status ex_log_copy_new(ex_store *from, ex_store *to, ex_log_copy_tick_fn *tick, void *ctx,
                          ex_log_copy **ret, ex_error *err)
{
    ex_log_copy *c = calloc(1, sizeof(*c));
    if (!c)
        return ex_raise(err, EX_ENOMEM, "no memory for a copy");
    c->from = from;
    c->to = to;
    c->tick = tick;
    c->ctx = ctx;
    c->written = ex_store_head(to);
    (void)pthread_mutex_init(&c->mu, NULL); /* cannot fail on Linux */
    (void)pthread_cond_init(&c->changed, NULL);
    c->slots = calloc(SLOTS, sizeof(*c->slots));
    ex_status st = c->slots ? ex_log_digest_init(&c->source, err)
                            : ex_raise(err, EX_ENOMEM, "no memory for a copy");
    if (st == EX_OK)
        st = ex_log_digest_init(&c->target, err);
    for (int i = 0; c->slots && i < SLOTS; i++) {
        c->slots[i].copy = c;
        ex_arena_init(&c->slots[i].arena, SLOT_LIMIT);
    }
    if (st) {
        ex_log_copy_free(c);
        return st;
    }
    *ret = c;
    return EX_OK;
}

static bool is_any_busy(const ex_log_copy *c)
{
    bool any = false;
    for (int i = 0; c->slots && i < SLOTS; i++)
        any |= c->slots[i].is_busy;
    return any;
}

/* Until nothing is queued any more. */
static ex_status settle(ex_log_copy *c, ex_error *err)
{
    (void)pthread_mutex_lock(&c->mu);
    while (is_any_busy(c))
        (void)pthread_cond_wait(&c->changed, &c->mu);
    ex_status st = c->failure.status;
    if (st && err)
        *err = c->failure;
    c->failure = (ex_error){0};
    (void)pthread_mutex_unlock(&c->mu);
    return st;
}

void ex_log_copy_free(ex_log_copy *c)
{
    if (!c)
        return;
    (void)settle(c, NULL); /* was told, or nobody asked */
    for (int i = 0; c->slots && i < SLOTS; i++)
        ex_arena_done(&c->slots[i].arena);
    free(c->slots);
    known_commands_done(&c->known);
    ex_log_digest_done(&c->source);
    ex_log_digest_done(&c->target);
    (void)pthread_cond_destroy(&c->changed);
    (void)pthread_mutex_destroy(&c->mu);
    free(c);
}

static ex_status tick(ex_log_copy *c, ex_log_copy_phase phase, uint64_t done, uint64_t total,
                      ex_error *err)
{
    if (!c->tick || c->tick(c->ctx, phase, done, total))
        return EX_OK;
    return ex_raise(err, EX_ECANCELLED, "stopped");
}

/* ---- Walking ---- */

/* The next event goes into the digest; it stands behind the one before, or the log has a hole. */
static ex_status next_event(ex_cursor *cursor, ex_log_digest *digest, ex_event *ret, ex_error *err)
{
    ex_status st = ex_cursor_next(cursor, ret, err);
    if (st == EX_EEND)
        return ex_raise(err, EX_ECORRUPT, "the log has no event %llu, although it goes on",
                        (unsigned long long)digest->position + 1);
    return st ? st : ex_log_digest_add(digest, ret, err);
}

static ex_status open_cursor(ex_store *store, uint64_t after, ex_cursor **ret, ex_error *err)
{
    const ex_read_log read = {.after = after};
    return ex_store_read_log(store, &read, ret, err);
}

/* ---- Comparing ---- */

static ex_status differs(const ex_log_digest *d, ex_error *err)
{
    (void)ex_raise(err, EX_EPRECONDITION,
                   "event %llu differs: the target holds another log than the source",
                   (unsigned long long)d->position);
    if (err)
        err->position = d->position;
    return EX_EPRECONDITION;
}

static ex_status compare_events(ex_log_copy *c, ex_cursor *from, ex_cursor *to, uint64_t upto,
                                ex_error *err)
{
    ex_status st = EX_OK;
    while (st == EX_OK && c->source.position < upto) {
        ex_event event;
        if (c->source.position % TICK_RECORDS == 0)
            st = tick(c, EX_COPY_CHECKING, c->source.position, upto, err);
        if (st == EX_OK)
            st = next_event(from, &c->source, &event, err);
        if (st == EX_OK)
            st = next_event(to, &c->target, &event, err);
        if (st == EX_OK && !ex_log_digest_eq(&c->source, &c->target))
            st = differs(&c->source, err);
    }
    return st ? st : tick(c, EX_COPY_CHECKING, upto, upto, err);
}

static ex_status compare(ex_log_copy *c, uint64_t upto, ex_error *err)
{
    ex_cursor *from = NULL, *to = NULL;
    ex_status st = open_cursor(c->from, c->source.position, &from, err);
    if (st == EX_OK)
        st = open_cursor(c->to, c->target.position, &to, err);
    if (st == EX_OK)
        st = compare_events(c, from, to, upto, err);
    ex_cursor_close(from);
    ex_cursor_close(to);
    return st;
}

ex_status ex_log_copy_check(ex_log_copy *c, ex_error *err)
{
    assert(c->source.position == c->target.position);
    uint64_t to = 0, from = 0;
    ex_status st = ex_store_read_head(c->to, &to, err);
    if (st == EX_OK)
        st = ex_store_read_head(c->from, &from, err);
    uint64_t upto = to < from ? to : from;
    if (st == EX_OK && upto > c->source.position)
        st = compare(c, upto, err);
    if (st || to <= from)
        return st;
    (void)ex_raise(err, EX_EPRECONDITION,
                   "the target has %llu events, more than the source with its %llu",
                   (unsigned long long)to, (unsigned long long)from);
    if (err)
        err->position = from + 1;
    return EX_EPRECONDITION;
}

/* ---- Slots ---- */

static void on_done(ex_import *import, ex_status status, const ex_error *err)
{
    slot *s = (slot *)import;
    ex_log_copy *c = s->copy;
    (void)pthread_mutex_lock(&c->mu);
    if (status == EX_OK && import->event_count)
        c->written = import->events[import->event_count - 1].position;
    if (status && c->failure.status == EX_OK)
        c->failure = err ? *err : (ex_error){.status = status};
    s->is_busy = false;
    (void)pthread_cond_signal(&c->changed);
    (void)pthread_mutex_unlock(&c->mu);
}

/* The slot to fill, waiting for it when all are queued. */
static ex_status take_slot(ex_log_copy *c, slot **ret, ex_error *err)
{
    if (!c->filling) {
        slot *s = &c->slots[c->next];
        (void)pthread_mutex_lock(&c->mu);
        while (s->is_busy)
            (void)pthread_cond_wait(&c->changed, &c->mu);
        ex_status st = c->failure.status;
        (void)pthread_mutex_unlock(&c->mu);
        if (st) {
            (void)settle(c, err); /* fills err in, with the same */
            return st;
        }
        ex_arena_reset(&s->arena);
        s->bytes = 0;
        s->import = (ex_import){.events = s->events, .commands = s->commands, .done = on_done};
        c->next = (c->next + 1) % SLOTS;
        c->filling = s;
    }
    *ret = c->filling;
    return EX_OK;
}

static ex_status send_slot(ex_log_copy *c, ex_error *err)
{
    slot *s = c->filling;
    if (!s)
        return EX_OK;
    c->filling = NULL;
    s->is_busy = true; /* nobody else looks at it yet */
    ex_status st = ex_store_import(c->to, &s->import, err);
    if (st)
        s->is_busy = false;
    return st;
}

static ex_status send_when_full(ex_log_copy *c, const slot *s, ex_error *err)
{
    bool is_full = s->import.event_count == SLOT_RECORDS ||
                   s->import.command_count == SLOT_RECORDS || s->bytes >= SLOT_BYTES;
    return is_full ? send_slot(c, err) : EX_OK;
}

/* What was not queued is forgotten; what was is waited for. The first failure counts. */
static ex_status end_slots(ex_log_copy *c, ex_status status, ex_error *err)
{
    if (status == EX_OK)
        status = send_slot(c, err);
    c->filling = NULL;
    ex_status st = settle(c, status ? NULL : err);
    return status ? status : st;
}

/* ---- Copying events ---- */

static ex_status copy_event(slot *s, const ex_event *e, ex_error *err)
{
    ex_event copy = *e;
    copy.stream = ex_arena_copy(&s->arena, e->stream);
    copy.type = ex_arena_copy(&s->arena, e->type);
    copy.content_type = ex_arena_copy(&s->arena, e->content_type);
    copy.data = ex_arena_copy(&s->arena, e->data);
    copy.metadata = ex_arena_copy(&s->arena, e->metadata);
    copy.tags.packed = ex_arena_copy(&s->arena, e->tags.packed);
    copy.correlation_id = ex_arena_copy(&s->arena, e->correlation_id);
    copy.causation_id = ex_arena_copy(&s->arena, e->causation_id);
    if (ex_arena_has_failed(&s->arena))
        return ex_raise(err, EX_ENOMEM, "no memory to copy event %llu",
                        (unsigned long long)e->position);
    s->events[s->import.event_count++] = copy;
    s->bytes += e->data.len + e->metadata.len;
    return EX_OK;
}

static ex_status copy_from(ex_log_copy *c, ex_cursor *cursor, uint64_t upto, ex_error *err)
{
    ex_status st = EX_OK;
    while (st == EX_OK && c->source.position < upto) {
        ex_event event;
        slot *s = NULL;
        if (c->source.position % TICK_RECORDS == 0)
            st = tick(c, EX_COPY_COPYING, c->source.position, upto, err);
        if (st == EX_OK)
            st = take_slot(c, &s, err);
        if (st == EX_OK)
            st = next_event(cursor, &c->source, &event, err);
        if (st == EX_OK)
            st = copy_event(s, &event, err);
        if (st == EX_OK)
            st = send_when_full(c, s, err);
    }
    return end_slots(c, st, err);
}

static ex_status copy_events(ex_log_copy *c, uint64_t upto, ex_error *err)
{
    ex_cursor *cursor = NULL;
    uint64_t before = c->source.position;
    ex_status st = open_cursor(c->from, before, &cursor, err);
    if (st == EX_OK)
        st = copy_from(c, cursor, upto, err);
    ex_cursor_close(cursor);
    if (st == EX_OK)
        c->events += upto - before;
    return st ? st : tick(c, EX_COPY_COPYING, upto, upto, err);
}

/* ---- Copying command records ---- */

static ex_status add_command(ex_log_copy *c, const ex_command_record *record, ex_error *err)
{
    slot *s = NULL;
    ex_status st = take_slot(c, &s, err);
    if (st)
        return st;
    ex_command_record *copy = &s->commands[s->import.command_count];
    *copy = *record;
    copy->command_id = ex_arena_copy(&s->arena, record->command_id);
    copy->outcome = ex_arena_copy(&s->arena, record->outcome);
    if (ex_arena_has_failed(&s->arena))
        return ex_raise(err, EX_ENOMEM, "no memory to copy an outcome");
    s->import.command_count++;
    s->bytes += record->outcome.len;
    c->commands++;
    return send_when_full(c, s, err);
}

static ex_status on_command(void *ctx, uint64_t number, const ex_command_record *record,
                            ex_error *err)
{
    ex_log_copy *c = ctx;
    bool is_known = false;
    ex_status st = known_commands_has(&c->known, record->command_id, &is_known, err);
    if (st == EX_OK && !is_known)
        st = add_command(c, record, err);
    if (st == EX_OK)
        c->last_command = number;
    return st;
}

static ex_status copy_commands(ex_log_copy *c, ex_error *err)
{
    ex_status st = c->has_known ? EX_OK : known_commands_load(&c->known, c->to, err);
    c->has_known |= st == EX_OK;
    uint64_t before;
    do {
        before = c->last_command;
        if (st == EX_OK)
            st = tick(c, EX_COPY_COMMANDS, c->commands, 0, err);
        if (st == EX_OK)
            st = ex_store_read_commands(c->from, before, SLOT_RECORDS, on_command, c, err);
    } while (st == EX_OK && c->last_command != before);
    return end_slots(c, st, err);
}

/* ---- Catching up ---- */

/* The digests differ somewhere in what was written: begin again and look where. */
static ex_status locate_difference(ex_log_copy *c, uint64_t upto, ex_error *err)
{
    c->source.position = c->target.position = 0;
    memset(c->source.bytes, 0, sizeof(c->source.bytes));
    memset(c->target.bytes, 0, sizeof(c->target.bytes));
    ex_status st = compare(c, upto, err);
    if (st == EX_EPRECONDITION)
        st = ex_raise(err, EX_ECORRUPT, "the target gave back event %llu changed",
                      (unsigned long long)c->source.position);
    return st ? st : ex_raise(err, EX_ECORRUPT, "the logs are equal, but only at a second look");
}

static ex_status verify_events(ex_log_copy *c, ex_cursor *cursor, ex_error *err)
{
    uint64_t upto = c->source.position;
    ex_status st = EX_OK;
    while (st == EX_OK && c->target.position < upto) {
        ex_event event;
        if (c->target.position % TICK_RECORDS == 0)
            st = tick(c, EX_COPY_VERIFYING, c->target.position, upto, err);
        if (st == EX_OK)
            st = next_event(cursor, &c->target, &event, err);
    }
    return st ? st : tick(c, EX_COPY_VERIFYING, upto, upto, err);
}

static ex_status verify(ex_log_copy *c, ex_error *err)
{
    ex_cursor *cursor = NULL;
    ex_status st = open_cursor(c->to, c->target.position, &cursor, err);
    if (st == EX_OK)
        st = verify_events(c, cursor, err);
    ex_cursor_close(cursor);
    if (st == EX_OK && !ex_log_digest_eq(&c->source, &c->target))
        st = locate_difference(c, c->source.position, err);
    return st;
}

ex_status ex_log_copy_catch_up(ex_log_copy *c, ex_error *err)
{
    uint64_t upto = 0;
    ex_status st = ex_store_read_head(c->from, &upto, err);
    if (st == EX_OK)
        st = log_copy_identity_begin(c->from, c->to, err);
    if (st == EX_OK && upto > c->source.position)
        st = copy_events(c, upto, err);
    if (st == EX_OK)
        st = copy_commands(c, err);
    if (st == EX_OK && c->target.position < c->source.position)
        st = verify(c, err);
    return st;
}

ex_status ex_log_copy_finish(ex_log_copy *c, ex_error *err)
{
    return log_copy_identity_finish(c->from, c->to, err);
}

/* ---- Asking ---- */

uint64_t ex_log_copy_written(ex_log_copy *c)
{
    return c->written;
}

uint64_t ex_log_copy_events(const ex_log_copy *c)
{
    return c->events;
}

uint64_t ex_log_copy_commands(const ex_log_copy *c)
{
    return c->commands;
}

const ex_log_digest *ex_log_copy_digest(const ex_log_copy *c)
{
    return &c->source;
}
