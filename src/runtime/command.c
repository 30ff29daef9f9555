/* command.c: a command's life: decode, queue, load state, decide, append, evolve, answer.
 *
 * Happy path: ex_command_submit finds the command and reads its payload into a
 * struct on the caller's thread. stage() runs on the sequencer: the outcome of
 * a known command id is answered as it is stored; otherwise the state comes from
 * the cache (events it has not seen yet are folded in), decide answers, its
 * events are staged, folded into the cached state, and the outcome is recorded
 * when the command has an id. done() runs after the commit. When the state lacks
 * more events than a batch may read, the command leaves the batch and is staged
 * anew when they are folded (state_load.h); nothing of it is decided before.
 *
 * Failures: a rejection or a fault stages nothing. When the batch does not
 * commit, done() drops the state that had run ahead of the log. A rejection of
 * a command with an id is stored too, so its stage succeeds and done() turns it
 * into EX_EREJECTED. */
#include <semaphore.h>
#include <stdlib.h>

#include "kernel/fingerprint.h"
#include "kernel/json_rounded.h"
#include "kernel/running.h"
#include "runtime/command_input.h"
#include "runtime/outcome.h"
#include "runtime/registry.h"
#include "runtime/runtime_internal.h"
#include "runtime/state_load.h"
#include "store/submission.h"

/* What a command may read of its stream while the batch holds the lock: as much as costs less than
 * a round of its own. Each round allows twice as much as the one before, up to the fourth, so that
 * it comes to an end on a stream that grows meanwhile. */
#define FOLD_EVENTS 1000u
#define FOLD_BYTES  ((uint64_t)4 << 20)
#define FOLD_NS     ((uint64_t)50 * 1000000)
#define FOLD_DOUBLE 4u
#define ROUNDS_MAX  20u /* then it grows faster than it can be folded */

/** Lies in the caller's arena until done. */
typedef struct ex_command_work {
    ex_submission submission; /* first: the sequencer hands this pointer back */
    ex_runtime *rt;
    ex_command_call *call;
    ex_arena *arena;
    const ex_aggregate *aggregate;
    const ex_command_def *command;
    const void *value; /* the command's struct */
    ex_slice stream;
    ex_slice command_id;  /* the caller's, or a fresh one */
    uint64_t fingerprint; /* with a caller's id only */
    uint64_t started_ns;
    uint32_t rounds;  /* of loading its state beside the batch */
    bool ran_ahead;   /* the cached state holds events of this batch */
    bool is_rejected; /* stored rejection: in `rejection` */
    ex_error rejection;
    sem_t *waiter; /* ex_command_run */
    ex_status status;
    ex_error *waiter_err;
} ex_command_work;

/* ---- State ---- */

typedef struct fold {
    const ex_runtime *rt;
    ex_arena *scratch;
    state_entry *entry;
    uint64_t committed; /* of the stream: up to here a reader could go on */
    uint64_t until_ns;
    uint64_t bytes_left;
    bool is_enough; /* it did stop, with events missing that are committed */
} fold;

static ex_status fold_event(void *ctx, const ex_event *event, ex_error *err)
{
    fold *f = ctx;
    ex_status st = state_entry_apply(f->scratch, f->entry, event, err);
    if (st || event->version >= f->committed)
        return st;
    f->is_enough = event->data.len >= f->bytes_left ||
                   (event->version % 16 == 0 && ex_monotonic_ns(f->rt->clock) >= f->until_ns);
    f->bytes_left -= f->is_enough ? 0 : event->data.len;
    return f->is_enough ? ex_raise(err, EX_EAGAIN, "the rest is folded beside the batch") : EX_OK;
}

static void observe_fold(const ex_command_work *w, uint64_t started_ns)
{
    ex_runtime *rt = w->rt;
    if (!rt->metrics.rehydration_seconds)
        return;
    ex_slice label = ex_str(w->aggregate->name);
    ex_histogram_observe(ex_histogram_with(rt->metrics.rehydration_seconds, &label),
                         (double)(ex_monotonic_ns(rt->clock) - started_ns) / 1e9);
}

/* Leave the batch until the entry has what is committed now. */
static ex_status load_beside(ex_command_work *w, ex_batch *b, state_entry *entry,
                             uint64_t committed, ex_error *err)
{
    if (++w->rounds > ROUNDS_MAX)
        return ex_raise(err, EX_EOVERLOADED,
                        "stream '%.*s' grows faster than its state can be folded",
                        EX_ARG(w->stream));
    return state_loads_begin(w->rt->loads, b, entry, committed, &w->submission, err);
}

/* Fold the events that the entry has not seen, or leave the batch (EX_EAGAIN). */
static ex_status catch_up(ex_command_work *w, ex_batch *b, uint64_t version, state_entry *entry,
                          ex_error *err)
{
    ex_runtime *rt = w->rt;
    uint64_t committed = 0;
    ex_status st = ex_batch_committed_version(b, w->stream, &committed, err);
    if (st)
        return st;
    uint32_t doubled = w->rounds < FOLD_DOUBLE ? w->rounds : FOLD_DOUBLE;
    if (committed > entry->version + (FOLD_EVENTS << doubled))
        return load_beside(w, b, entry, committed, err);
    uint64_t started_ns = ex_monotonic_ns(rt->clock);
    fold f = {.rt = rt,
              .scratch = state_cache_scratch(rt->cache),
              .entry = entry,
              .committed = committed,
              .until_ns = started_ns + (FOLD_NS << doubled),
              .bytes_left = FOLD_BYTES << doubled};
    st = ex_batch_read_stream(b, w->stream, entry->version + 1, fold_event, &f, err);
    observe_fold(w, started_ns);
    if (f.is_enough)
        return load_beside(w, b, entry, committed, err);
    w->ran_ahead = version > committed;
    if (st)
        state_cache_drop(rt->cache, w->stream);
    return st;
}

/* The entry of the command's stream, folded up to `version`. EX_EAGAIN: the command left the batch.
 */
static ex_status load_state(ex_command_work *w, ex_batch *b, uint64_t version, state_entry **ret,
                            ex_error *err)
{
    state_entry *entry = NULL;
    uint64_t generation = ex_batch_log_generation(b);
    ex_status st = state_cache_get(w->rt->cache, w->aggregate, w->stream, &entry, err);
    if (!st && entry->version && entry->log_generation != generation) {
        state_cache_drop(w->rt->cache, w->stream); /* its events may be lost */
        st = state_cache_get(w->rt->cache, w->aggregate, w->stream, &entry, err);
    }
    if (!st)
        entry->log_generation = generation;
    if (!st && entry->version < version)
        st = catch_up(w, b, version, entry, err);
    if (!st)
        *ret = entry;
    return st;
}

/* ---- Idempotent command ids ---- */

/* @param is_earlier as releases made it that rounded numbers to doubles. Both begin differently:
 * what one of them has stored is never taken for the other's. */
static ex_status fingerprint_call(const ex_command_call *call, const ex_json *payload,
                                  bool is_earlier, ex_arena *arena, uint64_t *ret, ex_error *err)
{
    ex_buf canonical;
    ex_buf_init(&canonical, 0);
    ex_status st = is_earlier ? ex_json_canonical_rounded(payload, arena, &canonical)
                              : ex_json_canonical(payload, arena, &canonical);
    st = st ? st : ex_buf_status(&canonical);
    uint64_t h = EX_FINGERPRINT_START;
    if (!is_earlier)
        h = ex_fingerprint(h, EX_S("decimals"));
    h = ex_fingerprint(h, call->context);
    h = ex_fingerprint(h, call->aggregate);
    h = ex_fingerprint(h, call->id);
    h = ex_fingerprint(h, call->command);
    *ret = ex_fingerprint(h, ex_buf_slice(&canonical));
    ex_buf_done(&canonical);
    return st ? ex_raise(err, st, "no memory for the command's fingerprint") : EX_OK;
}

/* A record of an earlier release: made of the same call? */
static ex_status is_earlier_record(const ex_command_work *w, uint64_t fingerprint, bool *ret,
                                   ex_error *err)
{
    const ex_command_call *call = w->call;
    ex_json json;
    uint64_t earlier = 0;
    ex_slice text = call->payload.len ? call->payload : EX_S("{}");
    ex_status st = ex_json_parse(text, w->arena, NULL, &json, err);
    st = st ? st : fingerprint_call(call, &json, true, w->arena, &earlier, err);
    *ret = st == EX_OK && earlier == fingerprint;
    return st;
}

/* EX_ENOTFOUND: the id is new. */
static ex_status replay(ex_command_work *w, ex_batch *b, ex_error *err)
{
    ex_command_record record;
    ex_status st = ex_batch_command_find(b, w->command_id, &record, err);
    if (st)
        return st;
    bool is_same = record.fingerprint == w->fingerprint;
    if (!is_same)
        st = is_earlier_record(w, record.fingerprint, &is_same, err);
    if (st)
        return st;
    if (!is_same)
        return ex_raise(err, EX_EIDEMPOTENCY, "command id '%.*s' was used for another command",
                        EX_ARG(w->command_id));
    st = outcome_read(record.outcome, w->arena, &w->call->result, &w->rejection);
    w->is_rejected = st == EX_EREJECTED;
    if (w->is_rejected)
        w->rejection.position = ex_batch_position(b);
    if (st && !w->is_rejected && err)
        *err = w->rejection;
    return w->is_rejected ? EX_OK : st;
}

static ex_status record_outcome(ex_command_work *w, ex_batch *b, const ex_error *rejection,
                                ex_error *err)
{
    if (!w->call->command_id.len)
        return EX_OK;
    ex_buf *json = &w->rt->json;
    ex_buf_reset(json);
    outcome_write(&w->call->result, rejection, json);
    ex_command_record record = {w->command_id, w->fingerprint, ex_batch_now_us(b),
                                ex_arena_copy(w->arena, ex_buf_slice(json))};
    if (ex_buf_status(json) || !record.outcome.ptr)
        return ex_raise(err, EX_ENOMEM, "no memory for the command's outcome");
    return ex_batch_command_record(b, &record, err);
}

/* ---- Decide and append ---- */

static ex_decision *begin_decision(ex_command_work *w, ex_batch *b)
{
    ex_decision *d = &w->rt->decision;
    d->aggregate = w->aggregate;
    d->id = w->call->id;
    d->command_id = w->command_id;
    d->now_us = ex_batch_now_us(b);
    d->arena = w->arena;
    d->json = &w->rt->json;
    d->event_count = d->tag_count = 0;
    d->is_failed = false;
    d->reason = (ex_slice){NULL, 0};
    d->status = EX_OK;
    return d;
}

static ex_slice event_metadata(const ex_command_work *w)
{
    if (!w->call->actor.len)
        return (ex_slice){NULL, 0};
    ex_buf *json = &w->rt->json;
    ex_buf_reset(json);
    ex_buf_put(json, EX_S("{\"$actor\":"));
    ex_json_put_string(json, w->call->actor);
    ex_buf_put_char(json, '}');
    return ex_buf_status(json) ? (ex_slice){NULL, 0} : ex_arena_copy(w->arena, ex_buf_slice(json));
}

static ex_status build_events(const ex_command_work *w, const ex_decision *d, ex_new_event **ret,
                              ex_error *err)
{
    const ex_command_call *call = w->call;
    decision_origin origin = {.metadata = event_metadata(w),
                              .correlation_id = call->result.correlation_id,
                              .causation_id =
                                  call->causation_id.len ? call->causation_id : w->command_id};
    if (call->actor.len && !origin.metadata.ptr)
        return ex_raise(err, EX_ENOMEM, "no memory for the command's events");
    return decision_events(d, &origin, ret, err);
}

static ex_status append_events(ex_command_work *w, ex_batch *b, const ex_decision *d,
                               uint64_t version, ex_error *err)
{
    ex_command_result *result = &w->call->result;
    ex_new_event *events = NULL;
    ex_status st = build_events(w, d, &events, err);
    if (st)
        return st;
    /* both are read by the store until the batch is over */
    ex_stream_write *write = ex_arena_zalloc(w->arena, sizeof(*write));
    ex_append *append = ex_arena_zalloc(w->arena, sizeof(*append));
    ex_event_ref *refs = ex_arena_array(w->arena, d->event_count, sizeof(*refs));
    result->events = ex_arena_array(w->arena, d->event_count, sizeof(*result->events));
    if (!write || !append || !refs || !result->events)
        return ex_raise(err, EX_ENOMEM, "no memory for the command's events");
    *write = (ex_stream_write){w->stream, ex_expect_version(version), events, d->event_count};
    *append = (ex_append){.writes = write, .write_count = 1};
    ex_appended appended = {.events = refs, .event_room = d->event_count};
    st = ex_batch_append(b, append, &appended, err);
    if (st)
        return st;
    for (uint32_t i = 0; i < d->event_count; i++)
        result->events[i] =
            (ex_command_event){events[i].type, refs[i].id, refs[i].position, refs[i].version};
    result->event_count = d->event_count;
    result->position = appended.position;
    result->version = appended.version;
    return EX_OK;
}

/* The events are staged, so a state that cannot follow is only dropped. */
static void evolve(ex_command_work *w, const ex_decision *d, state_entry *entry)
{
    state_cache *cache = w->rt->cache;
    uint64_t version = entry->version;
    w->ran_ahead = true;
    for (uint32_t i = 0; i < d->event_count; i++) {
        const decision_event *e = &d->events[i];
        if (state_entry_evolve(entry, e->type, e->value, version + i + 1, NULL)) {
            state_cache_drop(cache, w->stream);
            return;
        }
    }
    state_cache_settle(cache, entry);
}

static ex_status decide(ex_command_work *w, ex_batch *b, state_entry *entry, ex_decision *d,
                        ex_error *err)
{
    ex_running place = {.what = "command",
                        .context = w->call->context,
                        .owner = w->aggregate->name,
                        .name = w->command->name,
                        .stream = w->stream};
    watchdog_enter(w->rt->watchdog, w->command->name);
    ex_running_enter(&place);
    ex_status st = decision_run(d, w->command, entry->version ? entry->state : NULL, w->value);
    ex_running_leave(&place);
    watchdog_leave(w->rt->watchdog);
    if (st == EX_EREJECTED)
        d->error.position = ex_batch_position(b);
    if (st == EX_EREJECTED && w->call->command_id.len) {
        w->is_rejected = true;
        w->rejection = d->error;
        return record_outcome(w, b, &w->rejection, err);
    }
    if (st && err)
        *err = d->error;
    return st;
}

static ex_status execute(ex_command_work *w, ex_batch *b, ex_error *err)
{
    ex_command_result *result = &w->call->result;
    uint64_t version = 0;
    state_entry *entry = NULL;
    ex_status st = ex_batch_expect(b, w->stream, w->call->expected, &version, err);
    st = st ? st : load_state(w, b, version, &entry, err);
    if (st)
        return st;
    ex_decision *d = begin_decision(w, b);
    st = decide(w, b, entry, d, err);
    if (st || w->is_rejected) {
        state_cache_settle(w->rt->cache, entry);
        return st;
    }
    result->outcome = d->is_failed ? EX_FAILED : EX_EXECUTED;
    result->reason = d->reason;
    result->version = version;
    result->position = ex_batch_position(b);
    if (d->event_count)
        st = append_events(w, b, d, version, err);
    st = st ? st : record_outcome(w, b, NULL, err);
    if (st)
        state_cache_settle(w->rt->cache, entry);
    else
        evolve(w, d, entry);
    return st;
}

static ex_status stage(ex_submission *s, ex_batch *b, ex_error *err)
{
    ex_command_work *w = (ex_command_work *)s;
    if (w->call->command_id.len) {
        ex_status st = replay(w, b, err);
        if (st != EX_ENOTFOUND)
            return st;
    }
    if (state_loads_has(w->rt->loads, w->stream))
        return state_loads_wait(w->rt->loads, b, w->stream, s, err);
    return execute(w, b, err);
}

static void want(ex_submission *s, ex_batch *b)
{
    const ex_command_work *w = (const ex_command_work *)s;
    ex_batch_want_stream(b, w->stream);
    if (w->call->command_id.len)
        ex_batch_want_command(b, w->command_id);
}

static void retract(ex_submission *s)
{
    ex_command_work *w = (ex_command_work *)s;
    if (w->ran_ahead)
        state_cache_drop(w->rt->cache, w->stream);
    w->ran_ahead = w->is_rejected = false;
}

/* ---- Answer ---- */

typedef enum outcome {
    OUTCOME_EXECUTED,
    OUTCOME_FAILED,
    OUTCOME_DUPLICATE,
    OUTCOME_REJECTED,
    OUTCOME_ERROR
} outcome;
_Static_assert(OUTCOME_ERROR + 1 == COMMAND_OUTCOMES, "a place for each in command_series");

static outcome outcome_of(const ex_command_work *w, ex_status status)
{
    if (status)
        return status == EX_EREJECTED ? OUTCOME_REJECTED : OUTCOME_ERROR;
    if (w->call->result.is_duplicate)
        return OUTCOME_DUPLICATE;
    return w->call->result.outcome == EX_FAILED ? OUTCOME_FAILED : OUTCOME_EXECUTED;
}

/* Looking a series up takes the registry's lock: the few busy ones are remembered. */
static ex_histogram *seconds_of(ex_runtime *rt, const ex_type *command, outcome o)
{
    static const char *const names[] = {"executed", "failed", "duplicate", "rejected", "error"};
    command_series *kept = &rt->series[((uintptr_t)command >> 6) % COMMAND_SERIES];
    if (kept->command != command)
        *kept = (command_series){.command = command};
    if (!kept->seconds[o]) {
        ex_slice labels[] = {ex_str(command->name), ex_str(names[o])};
        kept->seconds[o] = ex_histogram_with(rt->metrics.command_seconds, labels);
    }
    return kept->seconds[o];
}

static void count(ex_command_work *w, ex_status status)
{
    ex_runtime *rt = w->rt;
    if (!rt->metrics.command_seconds)
        return;
    double seconds = (double)(ex_monotonic_ns(rt->clock) - w->started_ns) / 1e9;
    ex_histogram_observe(seconds_of(rt, w->command->type, outcome_of(w, status)), seconds);
}

static void done(ex_submission *s, ex_status status, const ex_error *err)
{
    ex_command_work *w = (ex_command_work *)s;
    ex_runtime *rt = w->rt;
    if (ex_batch_is_lost(status) && w->ran_ahead) /* all others leave the batch as it is */
        state_cache_drop(rt->cache, w->stream);
    if (!status && w->is_rejected) {
        status = EX_EREJECTED;
        err = &w->rejection;
    }
    count(w, status);
    if (status == EX_EREJECTED && rt->metrics.rejections) {
        ex_slice labels[] = {ex_str(w->command->type->name), ex_str(err->code)};
        ex_counter_add(ex_counter_with(rt->metrics.rejections, labels), 1);
    }
    if (w->waiter) {
        w->status = status;
        if (status && w->waiter_err)
            *w->waiter_err = *err;
        sem_post(w->waiter);
    } else {
        w->call->done(w->call, status, err);
    }
    runtime_leave(rt); /* last: w may be gone */
}

/* ---- On the caller's thread ---- */

static ex_status check_target(const ex_command_call *call, ex_error *err)
{
    ex_status st = command_check_id(call->id, err);
    if (st)
        return st;
    const ex_slice ids[] = {call->command_id, call->correlation_id, call->causation_id,
                            call->actor};
    static const char *const names[] = {"command_id", "correlation_id", "causation_id", "actor"};
    for (size_t i = 0; i < 4; i++) {
        if (ids[i].len <= EX_CORRELATION_MAX && ex_utf8_is_valid(ids[i]))
            continue;
        st = ex_raise(err, EX_EINVAL, "%s must be UTF-8 of at most %d bytes", names[i],
                      EX_CORRELATION_MAX);
        ex_error_set_field(err, ex_str(names[i]));
        return st;
    }
    return EX_OK;
}

static ex_status read_payload(ex_command_work *w, ex_error *err)
{
    const ex_command_call *call = w->call;
    ex_slice text = call->payload.len ? call->payload : EX_S("{}");
    ex_json json;
    ex_status st = ex_json_parse(text, w->arena, NULL, &json, err);
    if (!st && call->command_id.len)
        st = fingerprint_call(call, &json, false, w->arena, &w->fingerprint, err);
    return st ? st : command_read(w->command->type, &json, call->id, w->arena, &w->value, err);
}

static ex_status name_work(ex_command_work *w, ex_error *err)
{
    w->stream = decision_join(w->arena, ex_str(w->aggregate->name), '-', w->call->id);
    w->command_id = w->call->command_id;
    if (!w->command_id.len) {
        char text[EX_ID_TEXT_SIZE];
        ex_id id;
        ex_status st = ex_id_new(&id, err);
        if (st)
            return st;
        w->command_id = ex_arena_copy(w->arena, ex_id_text(&id, text));
    }
    const ex_command_call *call = w->call;
    w->call->result.correlation_id =
        call->correlation_id.len ? call->correlation_id : w->command_id;
    return w->stream.ptr && w->command_id.ptr
               ? EX_OK
               : ex_raise(err, EX_ENOMEM, "no memory for the command");
}

static ex_status prepare(ex_runtime *rt, ex_command_call *call, ex_arena *arena,
                         ex_command_work **ret, ex_error *err)
{
    ex_status st = check_target(call, err);
    if (st)
        return st;
    ex_command_work *w = ex_arena_zalloc(arena, sizeof(*w));
    if (!w)
        return ex_raise(err, EX_ENOMEM, "no memory for the command");
    w->submission.stage = stage;
    w->submission.want = want;
    w->submission.done = done;
    w->submission.retract = retract;
    w->rt = rt;
    w->call = call;
    w->arena = arena;
    w->started_ns = ex_monotonic_ns(rt->clock);
    memset(&call->result, 0, sizeof(call->result));
    call->work = w;
    st = registry_find_command(rt->app, call->context, call->aggregate, call->command,
                               &w->aggregate, &w->command, err);
    st = st ? st : read_payload(w, err);
    st = st ? st : name_work(w, err);
    if (!st)
        *ret = w;
    return st;
}

static ex_status submit(ex_command_work *w, ex_error *err)
{
    ex_runtime *rt = w->rt;
    ex_status st = runtime_enter(rt, err);
    if (st)
        return st;
    st = ex_store_submit(rt->store, &w->submission, err);
    if (st)
        runtime_leave(rt);
    return st;
}

ex_status ex_command_submit(ex_runtime *rt, ex_command_call *call, ex_arena *arena, ex_error *err)
{
    ex_command_work *w = NULL;
    ex_status st = prepare(rt, call, arena, &w, err);
    return st ? st : submit(w, err);
}

ex_status ex_command_run(ex_runtime *rt, ex_command_call *call, ex_arena *arena, ex_error *err)
{
    ex_command_work *w = NULL;
    ex_status st = prepare(rt, call, arena, &w, err);
    if (st)
        return st;
    sem_t waiter;
    sem_init(&waiter, 0, 0);
    w->waiter = &waiter;
    w->waiter_err = err;
    st = submit(w, err);
    if (!st) {
        while (sem_wait(&waiter)) {
        } /* interrupted by a signal: wait on */
        st = w->status;
    }
    sem_destroy(&waiter);
    return st;
}
