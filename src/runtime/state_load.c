/* state_load.c: loading states on threads of their own.
 *
 * Happy path:
 *
 *   sequencer   begin: the entry leaves the cache, the command the batch
 *   worker      a cursor on the stream, each event folded in, in pieces: between
 *               two of them other loads have their turn; then the load queues
 *               itself behind all that waits
 *   sequencer   stage of the load: the entry goes into the cache, those who
 *               waited are staged right behind it, in the order in which they came
 *
 * Nothing can evict the entry in between: it is the newest of the cache, and the
 * next to be staged are those who waited for it. All the rules (known command
 * id, expected version) are checked when a command is staged again.
 *
 * Possible failure modes:
 * - an event does not fit, the state is over its limit, the database cannot be
 *   read: all who wait get that.
 * - the batch with the load fails: who was not staged yet gets its failure.
 * - the runtime stops: the load ends at the next event, who waits gets EX_ECLOSED.
 * - too many wait: EX_EOVERLOADED, as if the store's queue were full. */
#include "runtime/state_load.h"

#include <assert.h>
#include <stdlib.h>

#include "kernel/map.h"
#include "kernel/workers.h"
#include "store/store_internal.h"

#define LOADERS   2u     /* each holds one of the store's readers while it reads */
#define LOADS_MAX 16384u /* running and waiting for a thread */
/* Read with one cursor: then others who wait for a reader have their turn, and SQLite its
 * checkpoint. */
#define PIECE_EVENTS      10000u
#define STANDING_BACK_MAX 16u /* loads that let others go first; each has its state in memory */
#define NO_WAITERS        ((waiters){NULL, NULL})

typedef struct waiters {
    ex_submission *first, *last; /* linked by next; last is undefined when there is no first */
} waiters;

typedef struct state_load {
    ex_submission submission; /* first: the sequencer hands this pointer back */
    state_loads *loads;
    uint64_t upto;
    /* the worker's from begin until it queues the load, else the sequencer's */
    state_entry *entry;
    uint64_t started_ns;
    bool stands_back; /* and waits for a thread again */
    ex_status status;
    ex_error err;
    /* sequencer's thread */
    waiters waiters;
} state_load;

struct state_loads {
    /* immutable */
    ex_runtime *rt;
    ex_workers *workers;
    uint32_t waiting_limit;
    /* atomic */
    atomic_uint standing_back;
    /* sequencer's thread */
    ex_map by_stream;
    uint32_t waiting; /* commands */
};

/* ---- Waiting ---- */

static ex_status leave_batch(state_load *load, ex_batch *b, ex_submission *s)
{
    waiters *w = &load->waiters;
    s->next = NULL;
    *(w->first ? &w->last->next : &w->first) = s;
    w->last = s;
    load->loads->waiting++;
    ex_batch_defer(b);
    return EX_EAGAIN;
}

static ex_submission *take_waiters(state_load *load)
{
    ex_submission *first = load->waiters.first;
    load->waiters = NO_WAITERS;
    for (const ex_submission *s = first; s; s = s->next)
        load->loads->waiting--;
    return first;
}

static ex_status check_room(const state_loads *l, ex_error *err)
{
    return l->waiting < l->waiting_limit
               ? EX_OK
               : ex_raise(err, EX_EOVERLOADED,
                          "%u commands are waiting for states that are read from their streams",
                          l->waiting);
}

bool state_loads_has(const state_loads *l, ex_slice stream)
{
    return l->by_stream.count && ex_map_get(&l->by_stream, stream);
}

ex_status state_loads_wait(state_loads *l, ex_batch *b, ex_slice stream, ex_submission *s,
                           ex_error *err)
{
    state_load *load = ex_map_get(&l->by_stream, stream);
    assert(load);
    ex_status st = check_room(l, err);
    return st ? st : leave_batch(load, b, s);
}

/* ---- On a worker ---- */

static ex_work_fn run_load;

static ex_status fold_next(state_load *load, ex_cursor *cursor, ex_arena *scratch, ex_error *err)
{
    ex_event event;
    ex_status st = ex_cursor_next(cursor, &event, err);
    if (st == EX_OK && atomic_load(&load->loads->rt->is_stopping))
        st = ex_raise(err, EX_ECLOSED, "the runtime is stopping");
    return st ? st : state_entry_apply(scratch, load->entry, &event, err);
}

static ex_status read_piece(state_load *load, ex_arena *scratch, ex_error *err)
{
    const state_entry *e = load->entry;
    uint64_t missing = load->upto - e->version;
    ex_read_stream read = {.stream = e->stream,
                           .from = e->version + 1,
                           .limit = missing < PIECE_EVENTS ? missing : PIECE_EVENTS};
    ex_cursor *cursor = NULL;
    ex_status st = ex_store_read_stream(load->loads->rt->store, &read, &cursor, err);
    while (st == EX_OK)
        st = fold_next(load, cursor, scratch, err);
    ex_cursor_close(cursor);
    return st == EX_EEND ? EX_OK : st;
}

/* Between two pieces: a short stream does not wait behind the whole of a long one. Those who began
 * hold a state already, so only some may stand back. True: the load is another thread's now. */
static bool let_others_go_first(state_load *load)
{
    state_loads *l = load->loads;
    if (ex_workers_queued(l->workers) == 0)
        return false;
    load->stands_back = atomic_fetch_add(&l->standing_back, 1) < STANDING_BACK_MAX;
    if (load->stands_back && ex_workers_submit(l->workers, run_load, load, NULL) == EX_OK)
        return true;
    load->stands_back = false;
    atomic_fetch_sub(&l->standing_back, 1);
    return false;
}

/*  EX_EEND when there is nothing more to read */
static ex_status read_next(state_load *load)
{
    ex_arena scratch;
    uint64_t before = load->entry->version;
    if (before >= load->upto)
        return EX_EEND;
    ex_arena_init(&scratch, 0);
    ex_status st = read_piece(load, &scratch, &load->err);
    ex_arena_done(&scratch);
    /* an end without news: what is missing is not committed */
    return st == EX_OK && load->entry->version == before ? EX_EEND : st;
}

static void observe(const state_load *load)
{
    const ex_runtime *rt = load->loads->rt;
    if (!rt->metrics.rehydration_seconds)
        return;
    ex_slice label = ex_str(load->entry->aggregate->name);
    ex_histogram_observe(ex_histogram_with(rt->metrics.rehydration_seconds, &label),
                         (double)(ex_monotonic_ns(rt->clock) - load->started_ns) / 1e9);
}

static void run_load(void *arg)
{
    state_load *load = arg;
    ex_runtime *rt = load->loads->rt;
    if (load->stands_back)
        atomic_fetch_sub(&load->loads->standing_back, 1);
    else
        load->started_ns = ex_monotonic_ns(rt->clock);
    load->stands_back = false;
    ex_status st = EX_OK;
    while (st == EX_OK) {
        st = read_next(load);
        if (st == EX_OK && let_others_go_first(load))
            return;
    }
    /* the log has lost what was read: whoever comes back with it drops it, and loads it anew */
    load->status = st == EX_EEND || st == EX_ELOGCHANGED ? EX_OK : st;
    observe(load);
    ex_store_submit_again(rt->store, &load->submission); /* last: it may be gone */
}

/* ---- Coming back ---- */

static void want(ex_submission *s, ex_batch *b)
{
    const state_load *load = (const state_load *)s;
    for (ex_submission *w = load->waiters.first; w && !load->status; w = w->next)
        if (w->want)
            w->want(w, b);
}

static void forget(state_load *load)
{
    state_loads *l = load->loads;
    (void)ex_map_remove(&l->by_stream, load->entry->stream); /* it is there, we are it */
    ex_gauge_set(l->rt->metrics.state_loads, (int64_t)l->by_stream.count);
    if (load->status)
        state_entry_free(load->entry);
    else
        state_cache_put(l->rt->cache, load->entry);
    load->entry = NULL;
}

static ex_status stage(ex_submission *s, ex_batch *b, ex_error *err)
{
    state_load *load = (state_load *)s;
    (void)err;
    forget(load);
    if (!load->status)
        ex_batch_resume(b, take_waiters(load));
    return EX_OK;
}

static void done(ex_submission *s, ex_status status, const ex_error *err)
{
    state_load *load = (state_load *)s;
    ex_runtime *rt = load->loads->rt;
    if (load->entry)
        forget(load); /* the batch failed before it was staged */
    if (load->status) {
        status = load->status;
        err = &load->err;
    }
    ex_submission *waiter = take_waiters(load);
    while (waiter) {
        ex_submission *next = waiter->next;
        waiter->done(waiter, status, err);
        waiter = next;
    }
    free(load);
    runtime_leave(rt); /* last: rt may be gone */
}

/* ---- Begin ---- */

static ex_status load_new(state_loads *l, state_entry *entry, uint64_t upto, state_load **ret,
                          ex_error *err)
{
    state_load *load = calloc(1, sizeof(*load));
    if (!load || ex_map_put(&l->by_stream, entry->stream, load, NULL)) {
        free(load);
        return ex_raise(err, EX_ENOMEM, "no memory to load a state");
    }
    load->submission = (ex_submission){.stage = stage, .want = want, .done = done};
    load->loads = l;
    load->upto = upto;
    load->entry = entry;
    *ret = load;
    return EX_OK;
}

ex_status state_loads_begin(state_loads *l, ex_batch *b, state_entry *entry, uint64_t upto,
                            ex_submission *s, ex_error *err)
{
    assert(upto > entry->version);
    state_load *load = NULL;
    ex_status st = check_room(l, err);
    st = st ? st : load_new(l, entry, upto, &load, err);
    if (st)
        return st;
    state_cache_take(l->rt->cache, entry); /* before the worker has it */
    st = ex_workers_submit(l->workers, run_load, load, err);
    if (st) {
        state_cache_put(l->rt->cache, entry);
        (void)ex_map_remove(&l->by_stream, entry->stream); /* it was just put */
        free(load);
        return st;
    }
    atomic_fetch_add(&l->rt->in_flight, 1); /* until done; the command's own one is counted yet */
    ex_gauge_set(l->rt->metrics.state_loads, (int64_t)l->by_stream.count);
    return leave_batch(load, b, s);
}

/* ---- Start and stop ---- */

ex_status state_loads_start(ex_runtime *rt, state_loads **ret, ex_error *err)
{
    state_loads *l = calloc(1, sizeof(*l));
    if (!l)
        return ex_raise(err, EX_ENOMEM, "no memory for loading states");
    l->rt = rt;
    l->waiting_limit = rt->store->options.queue_limit;
    ex_map_init(&l->by_stream, 0);
    ex_status st = ex_workers_start("state", LOADERS, LOADS_MAX, &l->workers, err);
    if (st)
        free(l);
    else
        *ret = l;
    return st;
}

void state_loads_stop(state_loads *l)
{
    if (!l)
        return;
    assert(l->by_stream.count == 0 && l->waiting == 0);
    ex_workers_stop(l->workers);
    ex_map_done(&l->by_stream, NULL);
    free(l);
}
