/* condition_search.c: searching for matches of conditions on threads of their own.
 *
 * Happy path:
 *
 *   sequencer   begin: the query is copied, the submission leaves the batch
 *   searcher    on an engine behind a network: new ones that wait take a first step together
 *   searcher    a slice: piece by piece, item by item, up to the head as it was; then the
 *               search queues itself behind all that wait. When it is near the head as
 *               it is now, or has found a match, the submission goes back into the queue
 *   sequencer   stage: identity and versions are checked as for any other, then the
 *               verdict, then memory for what is newer
 *
 * A match is final, for the log never changes; still the submission is staged: it may
 * turn out to be a duplicate by then.
 *
 * Possible failure modes:
 * - the search takes more than a second: EX_ETOOWIDE, which names the item.
 * - the log grows faster than it is searched, or the search waits too long for its
 *   turn: EX_EOVERLOADED. So do searches beyond the queue's limit, or 16 MiB.
 * - the database cannot be read: this submission gets that, no other does.
 * - nobody waits for the answer any more: EX_ECANCELLED at its next turn, or at once in its turn.
 * - the store closes: it goes on for a second, then EX_ECLOSED. */
#include "store/condition_search.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernel/cancel.h"
#include "kernel/deadline.h"
#include "kernel/thread.h"
#include "store/query_check.h"
#include "store/sequencer.h"
#include "store/store_metrics.h"

#define SEARCHERS    2u /* on a shared engine, where they mostly wait; else one */
#define SLICE_NS     UINT64_C(10000000)
#define SEARCH_NS    UINT64_C(1000000000)  /* most that one search may take */
#define PATIENCE_NS  UINT64_C(10000000000) /* the same with waiting for turns */
#define CLOSING_NS   UINT64_C(1000000000)
#define IDLE_MS      600000u            /* then the connection is closed */
#define GROUP        16u                /* new searches that are sent to the engine together */
#define NEAR_EVENTS  512u               /* so many newer ones are left to the batch */
#define ROUNDS_MAX   32u                /* times that a submission may leave batches for a search */
#define MEMORY_LIMIT ((size_t)16 << 20) /* of all searches together */

struct condition_search {
    /* immutable */
    condition_searches *searches;
    ex_submission *submission;
    size_t bytes;
    ex_query query; /* in memory[] */
    uint64_t after;
    /* the searcher's until it brings the submission back, else the sequencer's */
    uint32_t epoch;
    uint64_t checked;
    uint64_t undecided;
    uint64_t upto;
    uint64_t deadline_ns;
    uint64_t used_ns;
    uint32_t rounds;
    uint32_t item;    /* the one that is looked at */
    store_match part; /* item is NULL: it has not begun */
    store_pause pause;
    uint64_t slice_ends_ns;
    uint64_t match;
    uint32_t match_item;
    ex_status status;
    ex_error err;
    /* guarded by mu */
    condition_search *next;
    bool is_new; /* in `fresh`, or taken from there */
    _Alignas(max_align_t) char memory[];
};

typedef struct search_queue {
    condition_search *first, *last; /* last is undefined when there is no first */
} search_queue;

struct condition_searches {
    /* immutable */
    ex_store *store;
    const ex_clock *clock;
    /* atomic */
    _Atomic uint64_t closed_at_ns; /* searches end then; 0: the store is open */
    /* the sequencer's thread */
    size_t bytes;
    uint32_t kept; /* searches that were not forgotten */
    uint32_t epoch;
    /* guarded by mu */
    pthread_mutex_t mu;
    pthread_cond_t changed;
    search_queue fresh, started;
    bool takes_started; /* the next one to be taken, if there is one */
    bool is_stopping;
    pthread_t threads[SEARCHERS];
    uint32_t thread_count;
};

/* ---- The queue ---- */

static void push(search_queue *q, condition_search *s)
{
    s->next = NULL;
    *(q->first ? &q->last->next : &q->first) = s;
    q->last = s;
}

static condition_search *pop(search_queue *q)
{
    condition_search *s = q->first;
    if (s)
        q->first = s->next;
    return s;
}

/* New ones and started ones in turn. */
static condition_search *take(condition_searches *c)
{
    search_queue *first = c->takes_started ? &c->started : &c->fresh;
    search_queue *other = c->takes_started ? &c->fresh : &c->started;
    condition_search *s = pop(first);
    c->takes_started = !c->takes_started;
    return s ? s : pop(other);
}

static void put(condition_searches *c, search_queue *q, condition_search *s)
{
    (void)pthread_mutex_lock(&c->mu);
    s->is_new = q == &c->fresh;
    push(q, s);
    (void)pthread_cond_signal(&c->changed);
    (void)pthread_mutex_unlock(&c->mu);
}

/* ---- Searching ---- */

/* An item is in hand. */
static ex_status raise_too_wide(condition_search *s)
{
    assert(s->item < s->query.item_count);
    const ex_query_item *item = &s->query.items[s->item];
    ex_slice name = item->tag_count ? item->tags[0] : item->types[0];
    uint32_t others = item->tag_count + item->type_count - 1;
    char field[64], rest[32] = "";
    if (others)
        (void)snprintf(rest, sizeof(rest), " and %u more", others); /* fits */
    ex_status st = ex_raise(
        &s->err, EX_ETOOWIDE,
        "item %u of the condition (%s '%.*s'%s) has too many events to look at: a second was "
        "enough up to position %llu; ask for what is after a later one, best the head as it was "
        "when the decision was made",
        s->item + 1, item->tag_count ? "tag" : "type", EX_ARG(name), rest,
        (unsigned long long)s->part.after);
    (void)snprintf(field, sizeof(field), CONDITION_ITEM_FIELD, s->item); /* fits */
    ex_error_set_field(&s->err, ex_str(field));
    return st;
}

static ex_status check_wanted(const ex_submission *submission, ex_error *err)
{
    return ex_cancel_is_requested(submission->cancel)
               ? ex_raise(err, EX_ECANCELLED, "the search for the condition was cancelled")
               : EX_OK;
}

static ex_status check_time(condition_search *s, uint64_t now_ns)
{
    ex_status st = check_wanted(s->submission, &s->err);
    if (st)
        return st;
    uint64_t closed_at_ns = atomic_load(&s->searches->closed_at_ns);
    if (closed_at_ns && now_ns >= closed_at_ns)
        return ex_raise(&s->err, EX_ECLOSED, "the store is closing");
    if (s->used_ns > SEARCH_NS)
        return raise_too_wide(s);
    return EX_OK;
}

/* Items that cannot match are passed over. False: all of them were looked at. */
static bool next_item(condition_search *s)
{
    while (s->item < s->query.item_count && !(s->undecided >> s->item & 1))
        s->item++;
    if (s->item == s->query.item_count)
        return false;
    if (!s->part.item)
        s->part = (store_match){.item = &s->query.items[s->item],
                                .pause = &s->pause,
                                .after = s->checked,
                                .upto = s->match ? s->match - 1 : s->upto};
    return true;
}

/* The head moved on: look at what is new, unless that is little. False: the search is over. */
static bool next_pass(condition_search *s)
{
    uint64_t head = atomic_load_explicit(&s->searches->store->head, memory_order_acquire);
    s->checked = s->upto;
    if (s->match || head <= s->upto + NEAR_EVENTS)
        return false;
    s->upto = head;
    s->item = 0;
    s->undecided = UINT64_MAX;
    return true;
}

/* What a piece has found. */
static void take_part(condition_search *s)
{
    if (s->part.position) {
        s->match = s->part.position;
        s->match_item = s->item;
    } else if (s->part.after < s->part.upto) {
        return;
    }
    s->part.item = NULL;
    s->item++;
}

static ex_status search_piece(condition_search *s, void *reader)
{
    const store_reader_ops *ops = s->searches->store->driver.ops->reader;
    uint64_t before = s->part.after;
    ex_status st = before < s->part.upto ? ops->match(reader, &s->part, &s->err) : EX_OK;
    if (st)
        return st;
    assert(s->part.position || s->part.after >= before);
    take_part(s);
    return EX_OK;
}

static bool is_slice_over(void *ctx)
{
    const condition_search *s = ctx;
    return ex_monotonic_ns(s->searches->clock) >= s->slice_ends_ns ||
           ex_cancel_is_requested(s->submission->cancel);
}

/* @param ret_is_over false: the slice is over, the search is not */
static ex_status run_slice(condition_search *s, void *reader, bool *ret_is_over)
{
    const ex_clock *clock = s->searches->clock;
    uint64_t start = ex_monotonic_ns(clock), now = start, used = s->used_ns;
    ex_status st = EX_OK;
    s->pause = (store_pause){is_slice_over, s};
    s->slice_ends_ns = start + SLICE_NS;
    if (now > s->deadline_ns)
        return ex_raise(&s->err, EX_EOVERLOADED,
                        "the condition waited too long for its turn to be searched");
    while (st == EX_OK && !*ret_is_over && now < s->slice_ends_ns) {
        if (!next_item(s))
            *ret_is_over = !next_pass(s);
        else if ((st = check_time(s, now)) == EX_OK) /* a search that has ended is not too late */
            st = search_piece(s, reader);
        now = ex_monotonic_ns(clock);
        s->used_ns = used + (now - start);
    }
    return st;
}

/* ---- The threads ---- */

typedef struct searcher {
    condition_searches *searches;
    void *reader; /* NULL: not open */
} searcher;

static void close_reader(searcher *me)
{
    if (me->reader)
        me->searches->store->driver.ops->reader->close(me->reader);
    me->reader = NULL;
}

static ex_status open_reader(searcher *me, ex_error *err)
{
    const store_driver *d = &me->searches->store->driver;
    return me->reader ? EX_OK : d->ops->reader->open(d->impl, &me->reader, err);
}

static void cancel_reader(void *ctx)
{
    const searcher *me = ctx;
    me->searches->store->driver.ops->reader->cancel(me->reader, true);
}

/* A statement under way ends with the cancel, too, where the engine can be told. */
static ex_status run_cancellable(searcher *me, condition_search *s, bool *ret_is_over)
{
    const store_reader_ops *ops = me->searches->store->driver.ops->reader;
    ex_cancel *cancel = s->submission->cancel;
    if (!cancel || !ops->cancel)
        return run_slice(s, me->reader, ret_is_over);
    ex_status st = ex_cancel_attach(cancel, cancel_reader, me, &s->err);
    if (st)
        return st;
    st = run_slice(s, me->reader, ret_is_over);
    ex_cancel_detach(cancel);
    ops->cancel(me->reader, false);
    return st;
}

static void run_search(searcher *me, condition_search *s)
{
    bool is_over = false;
    ex_status st = check_wanted(s->submission, &s->err);
    if (st == EX_OK)
        st = open_reader(me, &s->err);
    if (st == EX_OK)
        st = run_cancellable(me, s, &is_over);
    if (st == EX_ESTORAGE || st == EX_ECORRUPT)
        close_reader(me);
    if (st == EX_OK && !is_over) {
        put(me->searches, &me->searches->started, s);
        return;
    }
    s->status = st;
    sequencer_bring_back(me->searches->store->sequencer, s->submission); /* last */
}

/* ---- Several at once ----
 *
 * Where a step is a round trip, new searches that wait take their first one together. What that
 * does not decide goes on alone; so does each of them when the step fails. */

typedef struct search_group {
    condition_search *searches[GROUP];
    uint32_t count;
    searcher *me;
    atomic_uint wanted; /* those that were not cancelled */
} search_group;

static void leave_group(void *ctx)
{
    search_group *g = ctx;
    if (atomic_fetch_sub(&g->wanted, 1) == 1 && g->me->searches->store->driver.ops->reader->cancel)
        cancel_reader(g->me);
}

static ex_status step_group(search_group *g)
{
    const store_reader_ops *ops = g->me->searches->store->driver.ops->reader;
    store_match *parts[GROUP];
    bool is_attached[GROUP];
    ex_error unused; /* whoever fails alone has an error of its own */
    atomic_init(&g->wanted, g->count);
    for (uint32_t i = 0; i < g->count; i++) {
        condition_search *s = g->searches[i];
        bool has_item = next_item(s);
        assert(has_item); /* of a new one */
        (void)has_item;
        parts[i] = &s->part;
        is_attached[i] = ex_cancel_attach(s->submission->cancel, leave_group, g, NULL) == EX_OK;
        if (!is_attached[i])
            leave_group(g);
    }
    ex_status st = ops->match_each(g->me->reader, parts, g->count, &unused);
    for (uint32_t i = 0; i < g->count; i++)
        if (is_attached[i])
            ex_cancel_detach(g->searches[i]->submission->cancel);
    if (ops->cancel)
        ops->cancel(g->me->reader, false);
    return st;
}

/* It has come back, or goes on alone. */
static void end_step(condition_search *s, ex_status st, uint64_t took_ns)
{
    condition_searches *c = s->searches;
    s->used_ns += took_ns;
    if (st == EX_OK)
        take_part(s);
    if (st || ex_cancel_is_requested(s->submission->cancel) || next_item(s) || next_pass(s)) {
        put(c, &c->started, s);
        return;
    }
    s->status = EX_OK;
    sequencer_bring_back(c->store->sequencer, s->submission); /* last */
}

static void run_group(search_group *g)
{
    searcher *me = g->me;
    const ex_clock *clock = me->searches->clock;
    ex_error unused; /* as above */
    ex_status st = open_reader(me, &unused);
    uint64_t start = ex_monotonic_ns(clock);
    if (st == EX_OK)
        st = step_group(g);
    uint64_t took = ex_monotonic_ns(clock) - start;
    if (st == EX_ESTORAGE || st == EX_ECORRUPT)
        close_reader(me);
    for (uint32_t i = 0; i < g->count; i++)
        end_step(g->searches[i], st, took / g->count);
}

/* Under mu. `s` was taken; others that are as new as it go with it. */
static void gather_group(searcher *me, condition_search *s, search_group *g)
{
    condition_searches *c = me->searches;
    g->me = me;
    g->count = 1;
    g->searches[0] = s;
    if (!s->is_new || !c->store->driver.ops->reader->match_each)
        return;
    while (g->count < GROUP && c->fresh.first)
        g->searches[g->count++] = pop(&c->fresh);
}

/* Under mu. NULL: the thread ends. */
static condition_search *wait_for_search(searcher *me)
{
    condition_searches *c = me->searches;
    for (;;) {
        condition_search *s = take(c);
        if (s || c->is_stopping)
            return s;
        struct timespec deadline = ex_deadline(IDLE_MS);
        int rc = pthread_cond_timedwait(&c->changed, &c->mu, &deadline);
        if (rc == ETIMEDOUT && me->reader) {
            (void)pthread_mutex_unlock(&c->mu);
            close_reader(me);
            (void)pthread_mutex_lock(&c->mu);
        }
    }
}

static void *run(void *arg)
{
    searcher me = {.searches = arg};
    search_group group;
    condition_searches *c = me.searches;
    ex_thread_stand_back(); /* the cores are for those who write */
    (void)pthread_mutex_lock(&c->mu);
    for (;;) {
        condition_search *s = wait_for_search(&me);
        if (s)
            gather_group(&me, s, &group);
        (void)pthread_mutex_unlock(&c->mu);
        if (!s)
            break;
        if (group.count == 1)
            run_search(&me, s);
        else
            run_group(&group);
        (void)pthread_mutex_lock(&c->mu);
    }
    close_reader(&me);
    return NULL;
}

static ex_status start_threads(condition_searches *c, ex_error *err)
{
    ex_status st = EX_OK;
    uint32_t wanted = c->store->driver.ops->shared ? SEARCHERS : 1;
    while (st == EX_OK && c->thread_count < wanted) {
        st = ex_thread_start(&c->threads[c->thread_count], "ex-condition", run, c, err);
        c->thread_count += st == EX_OK;
    }
    return c->thread_count ? EX_OK : st;
}

/* ---- Beginning, and what was found ---- */

static size_t measure(const ex_query *query)
{
    size_t bytes = query->item_count * sizeof(ex_query_item);
    for (uint32_t i = 0; i < query->item_count; i++) {
        const ex_query_item *item = &query->items[i];
        for (uint32_t j = 0; j < item->type_count; j++)
            bytes += sizeof(ex_slice) + item->types[j].len;
        for (uint32_t j = 0; j < item->tag_count; j++)
            bytes += sizeof(ex_slice) + item->tags[j].len;
    }
    return bytes;
}

/* Names at *slices, their bytes at *bytes; both move on. */
static const ex_slice *copy_names(const ex_slice *names, uint32_t count, ex_slice **slices,
                                  char **bytes)
{
    ex_slice *copies = *slices;
    for (uint32_t i = 0; i < count; i++) {
        memcpy(*bytes, names[i].ptr, names[i].len);
        copies[i] = ex_slice_of(*bytes, names[i].len);
        *bytes += names[i].len;
    }
    *slices += count;
    return copies;
}

/* items | slices | bytes */
static void copy_query(condition_search *s, const ex_query *query)
{
    ex_query_item *items = (ex_query_item *)s->memory;
    ex_slice *slices = (ex_slice *)(items + query->item_count);
    char *bytes = (char *)slices;
    for (uint32_t i = 0; i < query->item_count; i++)
        bytes += (query->items[i].type_count + query->items[i].tag_count) * sizeof(ex_slice);
    for (uint32_t i = 0; i < query->item_count; i++) {
        const ex_query_item *item = &query->items[i];
        items[i] = (ex_query_item){.type_count = item->type_count, .tag_count = item->tag_count};
        items[i].types = copy_names(item->types, item->type_count, &slices, &bytes);
        items[i].tags = copy_names(item->tags, item->tag_count, &slices, &bytes);
    }
    s->query = (ex_query){items, query->item_count};
}

static ex_status search_new(condition_searches *c, ex_submission *submission, const ex_query *query,
                            uint64_t after, condition_search **ret, ex_error *err)
{
    size_t bytes = sizeof(condition_search) + measure(query);
    if (c->kept >= c->store->options.queue_limit || c->bytes + bytes > MEMORY_LIMIT)
        return ex_raise(err, EX_EOVERLOADED, "%u conditions are being searched already", c->kept);
    condition_search *s = calloc(1, bytes);
    if (!s)
        return ex_raise(err, EX_ENOMEM, "no memory to search for a condition");
    s->searches = c;
    s->submission = submission;
    s->bytes = bytes;
    s->after = after;
    s->deadline_ns = ex_monotonic_ns(c->clock) + PATIENCE_NS;
    copy_query(s, query);
    c->bytes += bytes;
    c->kept++;
    ex_gauge_set(c->store->metrics->condition_searches, c->kept);
    *ret = s;
    return EX_OK;
}

static bool are_same_names(const ex_slice *a, const ex_slice *b, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!ex_slice_eq(a[i], b[i]))
            return false;
    return true;
}

static bool is_for(const condition_search *s, const ex_query *query, uint64_t after)
{
    if (!s || s->after != after || s->query.item_count != query->item_count)
        return false;
    for (uint32_t i = 0; i < query->item_count; i++) {
        const ex_query_item *a = &s->query.items[i], *b = &query->items[i];
        if (a->type_count != b->type_count || a->tag_count != b->tag_count ||
            !are_same_names(a->types, b->types, a->type_count) ||
            !are_same_names(a->tags, b->tags, a->tag_count))
            return false;
    }
    return true;
}

/* The search that goes on, or a new one. */
static ex_status search_for(condition_searches *c, ex_submission *submission, const ex_query *query,
                            uint64_t after, condition_search **ret, ex_error *err)
{
    uint32_t rounds = submission->search ? submission->search->rounds : 0;
    if (rounds == ROUNDS_MAX)
        return ex_raise(err, EX_EOVERLOADED, "the log grows faster than a condition is searched");
    *ret = submission->search;
    if (is_for(*ret, query, after))
        return EX_OK;
    condition_search_forget(submission);
    ex_status st = search_new(c, submission, query, after, ret, err);
    if (st)
        return st;
    (*ret)->rounds = rounds;
    submission->search = *ret;
    ex_counter_add(c->store->metrics->conditions_searched, 1);
    return EX_OK;
}

ex_status condition_search_begin(condition_searches *c, ex_submission *submission,
                                 const ex_query *query, uint64_t after, uint64_t checked,
                                 uint64_t undecided, uint64_t upto, ex_error *err)
{
    condition_search *s = NULL;
    assert(undecided && checked < upto);
    ex_status st = check_wanted(submission, err);
    if (st == EX_OK)
        st = start_threads(c, err);
    if (st == EX_OK)
        st = search_for(c, submission, query, after, &s, err);
    if (st)
        return st;
    s->rounds++;
    s->epoch = c->epoch;
    s->match = 0;
    s->checked = checked;
    s->undecided = undecided;
    s->upto = upto;
    s->item = 0;
    s->part.item = NULL;
    put(c, &c->fresh, s);
    return EX_OK;
}

bool condition_search_verdict(const ex_submission *submission, const ex_query *query,
                              uint64_t after, condition_verdict *ret)
{
    const condition_search *s = submission->search;
    if (!is_for(s, query, after) || s->epoch != s->searches->epoch)
        return false;
    *ret = (condition_verdict){s->status, &s->err, s->checked, s->match, s->match_item};
    return true;
}

void condition_searches_doubt(condition_searches *c)
{
    c->epoch++;
}

void condition_search_forget(ex_submission *submission)
{
    condition_search *s = submission->search;
    if (!s)
        return;
    condition_searches *c = s->searches;
    c->bytes -= s->bytes;
    c->kept--;
    ex_gauge_set(c->store->metrics->condition_searches, c->kept);
    submission->search = NULL;
    free(s);
}

/* ---- Start and stop ---- */

ex_status condition_searches_new(ex_store *store, condition_searches **ret, ex_error *err)
{
    condition_searches *c = calloc(1, sizeof(*c));
    if (!c)
        return ex_raise(err, EX_ENOMEM, "no memory for searches");
    c->store = store;
    c->clock = store->options.clock;
    (void)pthread_mutex_init(&c->mu, NULL); /* cannot fail on Linux */
    ex_cond_init(&c->changed);
    *ret = c;
    return EX_OK;
}

void condition_searches_close(condition_searches *c)
{
    atomic_store(&c->closed_at_ns, ex_monotonic_ns(c->clock) + CLOSING_NS);
}

void condition_searches_free(condition_searches *c)
{
    if (!c)
        return;
    assert(c->kept == 0 && !c->fresh.first && !c->started.first);
    (void)pthread_mutex_lock(&c->mu);
    c->is_stopping = true;
    (void)pthread_cond_broadcast(&c->changed);
    (void)pthread_mutex_unlock(&c->mu);
    for (uint32_t i = 0; i < c->thread_count; i++)
        (void)pthread_join(c->threads[i], NULL); /* our own threads, joined once */
    (void)pthread_cond_destroy(&c->changed);
    (void)pthread_mutex_destroy(&c->mu);
    free(c);
}
