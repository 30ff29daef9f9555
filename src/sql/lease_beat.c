/* lease_beat.c: the node's thread: be seen, renew, take, give back.
 *
 * Happy path: one round trip every third of the lease time registers the node, renews what it holds
 * and reads who else is there; a second one only when the plan (lease_plan.h) says that something
 * is to be taken or given. Between them the thread listens: a node that comes, leaves or gives
 * something back tells the others, and a lease about to end is looked at when it does.
 *
 * Failures: when the database cannot be reached, the thread tries again with a growing pause, and a
 * lease that could not be renewed ends on our clock no later than on the database's: its time
 * counts from before the renewal was sent. Stopped and woken (SIGSTOP, a paused machine) it finds
 * its leases over, or renews them when nobody has taken them. */
#include "sql/lease_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "kernel/backoff.h"
#include "kernel/deadline.h"
#include "kernel/log.h"
#include "kernel/thread.h"

#define NS_PER_MS    UINT64_C(1000000)
#define PAUSE_MS     50
#define PAUSE_MAX_MS 1000 /* a database that is back is found within a second */
#define LEAVE_MS     1000 /* for the thread to end, and then for saying so */
#define SOON_MS      5    /* after a lease's end: the clocks of two machines tick apart */

/* ---- What changed meanwhile ---- */

/* Leases that could not be renewed in time. mu is held. */
static void end_overdue(ex_leases *n)
{
    uint64_t now = ex_monotonic_ns(n->clock);
    for (ex_lease *l = n->leases; l; l = l->next)
        if (l->is_held && now >= l->until_ns)
            lease_set_lost(l, "it could not be renewed in time");
}

/* Call each wake that is due, without the lock. mu is held. */
static void call_wakes(ex_leases *n)
{
    for (ex_lease *l = n->leases; l; l = l->next) {
        if (!l->has_changed)
            continue;
        l->has_changed = false;
        if (!l->wake)
            continue;
        ex_lease_wake_fn *wake = l->wake;
        void *ctx = l->ctx;
        n->calling = l;
        pthread_mutex_unlock(&n->mu);
        wake(ctx);
        pthread_mutex_lock(&n->mu);
        n->calling = NULL;
        pthread_cond_broadcast(&n->idle);
    }
}

static void settle(ex_leases *n)
{
    pthread_mutex_lock(&n->mu);
    end_overdue(n);
    call_wakes(n);
    pthread_mutex_unlock(&n->mu);
}

static void tell_looked(ex_leases *n, uint64_t asked)
{
    pthread_mutex_lock(&n->mu);
    n->looked = asked;
    pthread_cond_broadcast(&n->beaten);
    pthread_mutex_unlock(&n->mu);
}

/* ---- A beat ---- */

typedef struct beat {
    pg_lease_node self;
    ex_slice *wanted; /* in the arena, as all below */
    uint32_t wanted_count;
    bool is_new;
    uint64_t asked;
    pg_lease_list held; /* and wanted: to be renewed */
    pg_lease_list give; /* held and not wanted any more */
    uint64_t sent_ns;
    lease_cluster seen;
    bool is_short; /* not everything that was planned could be taken: look again soon */
} beat;

static const char *address_of(ex_leases *n)
{
    return n->address ? ex_arena_copy(&n->arena, ex_str(n->address)).ptr : "";
}

/* Names stay where they are: leases are freed last. */
static ex_status gather(ex_leases *n, beat *b, ex_error *err)
{
    uint32_t count = 0;
    pthread_mutex_lock(&n->mu);
    for (ex_lease *l = n->leases; l; l = l->next)
        count++;
    b->wanted = ex_arena_array(&n->arena, count + 1, sizeof(*b->wanted));
    b->held.items = ex_arena_array(&n->arena, count + 1, sizeof(*b->held.items));
    b->give.items = ex_arena_array(&n->arena, count + 1, sizeof(*b->give.items));
    const char *address = address_of(n);
    bool has_memory = b->wanted && b->held.items && b->give.items && address;
    for (ex_lease *l = n->leases; has_memory && l; l = l->next) {
        bool is_wanted = lease_is_wanted(l);
        pg_lease_list *list = is_wanted ? &b->held : &b->give;
        if (is_wanted)
            b->wanted[b->wanted_count++] = ex_str(l->name);
        if (l->is_held)
            list->items[list->count++] = (pg_lease_held){ex_str(l->name), l->token};
    }
    b->is_new = n->is_new_work;
    b->asked = n->asked;
    n->is_new_work = n->has_news = false;
    pthread_mutex_unlock(&n->mu);
    if (!has_memory)
        return ex_raise(err, EX_ENOMEM, "no memory to renew leases");
    b->self = (pg_lease_node){.host = n->host,
                              .address = address,
                              .version = n->version,
                              .pid = getpid(),
                              .ttl_ms = n->ttl_ms};
    memcpy(b->self.id, n->id.bytes, sizeof(b->self.id));
    return EX_OK;
}

static const pg_lease_held *find_held(const pg_lease_list *list, const char *name)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (ex_slice_is(list->items[i].name, name))
            return &list->items[i];
    return NULL;
}

/* What was sent to be renewed and did not come back is another's. */
static void note_renewed(ex_leases *n, const beat *b, const pg_lease_list *renewed)
{
    uint64_t until_ns = b->sent_ns + n->ttl_ms * NS_PER_MS;
    pthread_mutex_lock(&n->mu);
    for (ex_lease *l = n->leases; l; l = l->next) {
        const pg_lease_held *asked = find_held(&b->held, l->name);
        if (!l->is_held || !asked || asked->token != l->token)
            continue;
        if (find_held(renewed, l->name))
            l->until_ns = until_ns;
        else
            lease_set_lost(l, "another node has taken it");
    }
    pthread_mutex_unlock(&n->mu);
}

/* A renewal that was given up and arrived all the same (a database that stood still): the lease is
 * ours there and not here. It is as good as free, and taken under a new token. */
static void disown_late_ones(const beat *b, lease_cluster *c)
{
    for (uint32_t i = 0; c->leases && i < c->lease_count; i++) {
        lease_row *l = &c->leases[i];
        bool is_known = false;
        for (uint32_t k = 0; k < b->held.count; k++)
            is_known |= ex_slice_eq(b->held.items[k].name, l->name);
        for (uint32_t k = 0; k < b->give.count; k++)
            is_known |= ex_slice_eq(b->give.items[k].name, l->name);
        if (!l->is_mine || is_known)
            continue;
        l->is_mine = false;
        l->is_free = true;
        for (uint32_t k = 0; k < c->node_count; k++)
            c->nodes[k].held -= c->nodes[k].is_me && c->nodes[k].held ? 1 : 0;
    }
}

static bool has_rival(const lease_cluster *c, const char *name)
{
    uint32_t lease = 0;
    while (lease < c->lease_count && !ex_slice_is(c->leases[lease].name, name))
        lease++;
    for (uint32_t i = 0; lease < c->lease_count && i < c->node_count; i++)
        if (!c->nodes[i].is_me && c->wants[(size_t)i * c->lease_count + lease])
            return true;
    return false;
}

static void note_rivals(ex_leases *n, const lease_cluster *c)
{
    pthread_mutex_lock(&n->mu);
    for (ex_lease *l = n->leases; l; l = l->next)
        l->has_rival = has_rival(c, l->name);
    pthread_mutex_unlock(&n->mu);
}

static void note_taken(ex_leases *n, uint64_t sent_ns, const pg_lease_list *taken)
{
    pthread_mutex_lock(&n->mu);
    for (ex_lease *l = n->leases; l; l = l->next) {
        const pg_lease_held *t = find_held(taken, l->name);
        if (!t)
            continue;
        if (l->is_held) /* it was over before we knew */
            lease_set_lost(l, "it could not be renewed in time");
        lease_set_held(l, t->token, sent_ns + n->ttl_ms * NS_PER_MS);
    }
    pthread_mutex_unlock(&n->mu);
}

/* Before the database hears of it: the next transaction must not begin. */
static void note_given(ex_leases *n, const pg_lease_list *given)
{
    pthread_mutex_lock(&n->mu);
    for (ex_lease *l = n->leases; l; l = l->next)
        if (l->is_held && find_held(given, l->name))
            lease_set_lost(l, NULL);
    pthread_mutex_unlock(&n->mu);
}

static ex_status give(ex_leases *n, beat *b, const lease_plan *p, ex_error *err)
{
    if (!b->seen.leases)
        return EX_OK;
    for (uint32_t i = 0; i < p->give_count; i++) {
        ex_slice name = b->seen.leases[p->give[i]].name;
        for (uint32_t k = 0; k < b->held.count; k++)
            if (ex_slice_eq(b->held.items[k].name, name))
                b->give.items[b->give.count++] = b->held.items[k];
    }
    if (b->give.count == 0)
        return EX_OK;
    note_given(n, &b->give);
    return pg_lease_give(n->pg, &b->self, &b->give, err);
}

static ex_status take(ex_leases *n, beat *b, const lease_plan *p, ex_error *err)
{
    pg_lease_list taken = {0};
    if (p->take_count == 0 || !b->seen.leases)
        return EX_OK;
    ex_slice *names = ex_arena_array(&n->arena, p->take_count, sizeof(*names));
    if (!names)
        return ex_raise(err, EX_ENOMEM, "no memory to take leases");
    for (uint32_t i = 0; i < p->take_count; i++)
        names[i] = b->seen.leases[p->take[i]].name;
    uint64_t sent_ns = ex_monotonic_ns(n->clock);
    ex_status st =
        pg_lease_take(n->pg, &b->self, names, p->take_count, p->take_limit, &n->arena, &taken, err);
    if (st)
        return st;
    uint32_t hoped = p->take_limit < p->take_count ? p->take_limit : p->take_count;
    b->is_short = taken.count < hoped;
    note_taken(n, sent_ns, &taken);
    return EX_OK;
}

static ex_status beat_once(ex_leases *n, beat *b, ex_error *err)
{
    pg_lease_list renewed = {0};
    lease_plan plan = {0};
    ex_arena_reset(&n->arena);
    ex_status st = gather(n, b, err);
    if (st)
        return st;
    b->sent_ns = ex_monotonic_ns(n->clock);
    st = pg_lease_beat(n->pg, &b->self, b->wanted, b->wanted_count, b->is_new, &b->held, &n->arena,
                       &b->seen, &renewed, err);
    if (st)
        return st;
    note_renewed(n, b, &renewed);
    note_rivals(n, &b->seen);
    disown_late_ones(b, &b->seen);
    ex_gauge_set(n->metrics.nodes, b->seen.node_count);
    st = lease_plan_make(&b->seen, n->ttl_ms, &n->arena, &plan, err);
    st = st ? st : take(n, b, &plan, err);
    return st ? st : give(n, b, &plan, err);
}

/* ---- The connection ---- */

static void share_connection(ex_leases *n, ex_pg *pg)
{
    pthread_mutex_lock(&n->mu);
    n->pg = pg;
    pthread_mutex_unlock(&n->mu);
}

static void disconnect(ex_leases *n)
{
    ex_pg *pg = n->pg;
    share_connection(n, NULL);
    ex_pg_close(pg);
}

static ex_status connect_node(ex_leases *n, ex_error *err)
{
    ex_pg *pg = NULL;
    ex_pg_options options = {
        .url = n->url,
        .is_primary = true,
        .statement_timeout_ms = n->ttl_ms, /* an answer after that is of no use */
        .end_ns = &n->end_ns,
    };
    ex_status st = ex_pg_open(&options, &pg, err);
    if (st)
        return st;
    st = pg_lease_listen(pg, err);
    if (st) {
        ex_pg_close(pg);
        return st;
    }
    share_connection(n, pg);
    pthread_mutex_lock(&n->mu);
    n->is_new_work = true; /* the tables may be others than before */
    pthread_mutex_unlock(&n->mu);
    return EX_OK;
}

/* ---- The thread ---- */

/* A third of the lease time; earlier when a lease that we would take ends before that. */
static uint32_t pause_after(const ex_leases *n, const beat *b)
{
    uint32_t pause_ms = n->ttl_ms / 3 + 1;
    if (b->is_short)
        return pause_ms / 10 + 1;
    for (uint32_t i = 0; i < b->seen.lease_count; i++) {
        const lease_row *l = &b->seen.leases[i];
        if (!l->is_mine && !l->is_free && l->left_ms + SOON_MS < pause_ms)
            pause_ms = (uint32_t)(l->left_ms > 0 ? l->left_ms : 0) + SOON_MS;
    }
    return pause_ms;
}

static bool is_stopping(ex_leases *n)
{
    pthread_mutex_lock(&n->mu);
    bool is = n->is_stopping;
    pthread_mutex_unlock(&n->mu);
    return is;
}

static void pause_without_connection(ex_leases *n, uint32_t ms)
{
    struct timespec until = ex_deadline(ms);
    pthread_mutex_lock(&n->mu);
    while (!n->is_stopping && pthread_cond_timedwait(&n->wake, &n->mu, &until) == 0) {
    } /* news can wait */
    pthread_mutex_unlock(&n->mu);
}

static void note_failure(ex_leases *n, const ex_error *err)
{
    ex_counter_add(n->metrics.failures, 1);
    if (!n->is_out)
        ex_log_error(EX_LOG_WARN, "leases cannot be renewed, trying again until they can", err);
    n->is_out = true;
}

static void note_success(ex_leases *n)
{
    if (n->is_out)
        EX_LOG(EX_LOG_INFO, "leases can be renewed again");
    n->is_out = false;
}

static void wait_for_next(ex_leases *n, const beat *b)
{
    pthread_mutex_lock(&n->mu);
    bool has_news = n->has_news || n->is_stopping;
    pthread_mutex_unlock(&n->mu);
    if (has_news) /* what comes from now on ends the wait */
        return;
    ex_status st = ex_pg_wait_notify(n->pg, pause_after(n, b), NULL, NULL, NULL);
    (void)st; /* a lost connection is met by the next beat */
}

static void *run(void *arg)
{
    ex_leases *n = arg;
    uint32_t failures = 0; /* in a row */
    const ex_backoff backoff = {.initial_ms = PAUSE_MS,
                                .max_ms = n->ttl_ms < 2 * PAUSE_MAX_MS ? n->ttl_ms / 2 + 1
                                                                       : PAUSE_MAX_MS};
    while (!is_stopping(n)) {
        beat b = {0};
        ex_error err = {0};
        ex_status st = n->pg ? EX_OK : connect_node(n, &err);
        st = st ? st : beat_once(n, &b, &err);
        settle(n);
        if (st == EX_OK) {
            failures = 0;
            tell_looked(n, b.asked);
            note_success(n);
            wait_for_next(n, &b);
            continue;
        }
        note_failure(n, &err);
        disconnect(n);
        pause_without_connection(n, ex_backoff_ms(&backoff, failures++, n->clock));
        settle(n);
    }
    return NULL;
}

/* The first beat is ours, so that a wrong URL or a missing table is the start's failure. */
ex_status lease_beat_start(ex_leases *n, ex_error *err)
{
    beat b = {0};
    ex_status st = connect_node(n, err);
    if (!st) /* before anybody can read it; a reconnection leaves it as it is */
        (void)snprintf(n->schema, sizeof(n->schema), "%s", ex_pg_target_of(n->pg)->schema);
    st = st ? st : beat_once(n, &b, err);
    if (st) {
        disconnect(n); /* not known to the others: nothing to give back */
        return st;
    }
    st = ex_thread_start(&n->thread, "ex-leases", run, n, err);
    n->is_running = st == EX_OK;
    return st;
}

static void leave(ex_leases *n)
{
    ex_error err = {0};
    pg_lease_node self = {.ttl_ms = n->ttl_ms};
    memcpy(self.id, n->id.bytes, sizeof(self.id));
    ex_pg_allow(n->pg, LEAVE_MS);
    if (pg_lease_leave(n->pg, &self, &err))
        ex_log_error(EX_LOG_WARN, "leases could not be given back, they end by themselves", &err);
}

/* What another has set stays when it is earlier. */
static void end_within(ex_leases *n, uint32_t ms)
{
    uint64_t until_ns = ex_monotonic_ns(ex_clock_system()) + ms * NS_PER_MS;
    if (until_ns < atomic_load(&n->end_ns))
        atomic_store(&n->end_ns, until_ns);
}

void lease_beat_stop(ex_leases *n)
{
    uint64_t end_ns = atomic_load(&n->end_ns);
    if (n->is_running) {
        end_within(n, LEAVE_MS);
        pthread_mutex_lock(&n->mu);
        n->is_stopping = true;
        lease_poke(n);
        pthread_mutex_unlock(&n->mu);
        (void)pthread_join(n->thread, NULL); /* our own thread, joined once */
    }
    atomic_store(&n->end_ns, end_ns);
    if (n->pg)
        leave(n);
    disconnect(n);
}
