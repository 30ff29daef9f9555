/* lease.c: the callers' side of leases: wanting, asking, proving. See lease.h; the work with the
 * database is done by the node's thread, lease_beat.c. */
#include "sql/lease_int.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#include "kernel/deadline.h"
#include "kernel/log.h"

#define TTL_MS 10000

/* ---- A lease's state; mu is held ---- */

void lease_set_held(ex_lease *l, uint64_t token, uint64_t until_ns)
{
    assert(!l->is_held);
    l->is_held = true;
    l->has_changed = true;
    l->token = token;
    l->until_ns = until_ns;
    ex_gauge_set(l->held_gauge, 1);
    ex_counter_add(l->taken_counter, 1);
    EX_LOG(EX_LOG_INFO, "lease taken", ex_f_cstr("lease", l->name), ex_f_u64("token", token));
}

void lease_set_lost(ex_lease *l, const char *why)
{
    assert(l->is_held);
    l->is_held = false;
    l->has_changed = true;
    ex_gauge_set(l->held_gauge, 0);
    if (why) {
        ex_counter_add(l->lost_counter, 1);
        EX_LOG(EX_LOG_WARN, "lease lost, its work waits until it comes again",
               ex_f_cstr("lease", l->name), ex_f_u64("token", l->token), ex_f_cstr("reason", why));
    } else {
        EX_LOG(EX_LOG_INFO, "lease given back", ex_f_cstr("lease", l->name),
               ex_f_u64("token", l->token));
    }
}

bool lease_is_wanted(const ex_lease *l)
{
    return l->is_wanted && ex_monotonic_ns(l->node->clock) >= l->yielded_ns;
}

void lease_poke(ex_leases *n)
{
    n->has_news = true;
    if (n->pg)
        ex_pg_wake(n->pg);
    pthread_cond_signal(&n->wake);
}

/* ---- The node ---- */

static ex_status register_metrics(ex_leases *n, ex_metrics *m, ex_error *err)
{
    /* clang-format off */
    static const ex_metric_desc
        held = {"lease_held", "1 while this node holds the lease.", {"lease"}},
        taken = {"leases_taken_total", "Leases taken by this node.", {"lease"}},
        lost = {"leases_lost_total", "Leases that ended or were taken before this node gave them back.", {"lease"}},
        failures = {"lease_beat_failures_total", "Times that this node could not renew its leases.", {NULL}},
        nodes = {"nodes", "Live nodes that share the work, as this node saw them.", {NULL}};
    /* clang-format on */
    if (!m || !n->url)
        return EX_OK;
    ex_status st = ex_metrics_gauge(m, &held, &n->metrics.held, err);
    st = st ? st : ex_metrics_counter(m, &taken, &n->metrics.taken, err);
    st = st ? st : ex_metrics_counter(m, &lost, &n->metrics.lost, err);
    st = st ? st : ex_metrics_counter(m, &failures, &n->metrics.failures, err);
    return st ? st : ex_metrics_gauge(m, &nodes, &n->metrics.nodes, err);
}

static ex_status fill(ex_leases *n, const ex_leases_options *o, ex_error *err)
{
    n->clock = ex_clock_system();
    n->ttl_ms = o->ttl_ms ? o->ttl_ms : TTL_MS;
    if (!o->url)
        return EX_OK;
    n->url = strdup(o->url);
    n->version = strdup(o->version ? o->version : "");
    if (!n->url || !n->version)
        return ex_raise(err, EX_ENOMEM, "no memory for a node");
    if (gethostname(n->host, sizeof(n->host) - 1)) /* as long as Linux lets a name be */
        n->host[0] = '\0';
    return ex_id_new(&n->id, err);
}

ex_status ex_leases_start(const ex_leases_options *options, ex_leases **ret, ex_error *err)
{
    ex_leases *n = calloc(1, sizeof(*n));
    if (!n)
        return ex_raise(err, EX_ENOMEM, "no memory for a node");
    atomic_init(&n->end_ns, UINT64_MAX);
    pthread_mutex_init(&n->mu, NULL);
    ex_cond_init(&n->wake);
    ex_cond_init(&n->idle);
    ex_cond_init(&n->beaten);
    ex_arena_init(&n->arena, 0);
    ex_status st = fill(n, options, err);
    st = st ? st : register_metrics(n, options->metrics, err);
    if (!st && n->url)
        st = lease_beat_start(n, err);
    if (st)
        ex_leases_stop(n);
    else
        *ret = n;
    return st;
}

void ex_leases_stop(ex_leases *n)
{
    if (!n)
        return;
    lease_beat_stop(n);
    while (n->leases) {
        ex_lease *l = n->leases;
        assert(!l->is_wanted);
        n->leases = l->next;
        free(l->name);
        free(l);
    }
    ex_arena_done(&n->arena);
    pthread_cond_destroy(&n->beaten);
    pthread_cond_destroy(&n->idle);
    pthread_cond_destroy(&n->wake);
    pthread_mutex_destroy(&n->mu);
    free(n->address);
    free(n->version);
    free(n->url);
    free(n);
}

void ex_leases_end_by(ex_leases *n, uint64_t deadline_ns)
{
    atomic_store(&n->end_ns, deadline_ns);
}

void ex_leases_set_address(ex_leases *n, const char *address)
{
    char *copy = strdup(address);
    if (!copy)
        return; /* people see none */
    pthread_mutex_lock(&n->mu);
    char *old = n->address;
    n->address = copy;
    lease_poke(n);
    pthread_mutex_unlock(&n->mu);
    free(old);
}

ex_id ex_leases_id(const ex_leases *n)
{
    return n->id;
}

/* ---- Wanting ---- */

/* mu is held */
static ex_lease *find(ex_leases *n, const char *name)
{
    ex_lease *l = n->leases;
    while (l && strcmp(l->name, name) != 0)
        l = l->next;
    return l;
}

/* mu is held. NULL: no memory. */
static ex_lease *add(ex_leases *n, const char *name)
{
    ex_lease *l = calloc(1, sizeof(*l));
    char *copy = strdup(name);
    if (!l || !copy) {
        free(l);
        free(copy);
        return NULL;
    }
    ex_slice label = ex_str(name);
    l->node = n;
    l->name = copy;
    l->held_gauge = n->metrics.held ? ex_gauge_with(n->metrics.held, &label) : NULL;
    l->taken_counter = n->metrics.taken ? ex_counter_with(n->metrics.taken, &label) : NULL;
    l->lost_counter = n->metrics.lost ? ex_counter_with(n->metrics.lost, &label) : NULL;
    l->next = n->leases;
    n->leases = l;
    return l;
}

ex_status ex_lease_want(ex_leases *n, const char *name, ex_lease_wake_fn *wake, void *ctx,
                        ex_lease **ret, ex_error *err)
{
    size_t len = strlen(name);
    if (len == 0 || len > EX_LEASE_NAME_MAX)
        return ex_raise(err, EX_EINVAL, "the name of a lease has 1 to %d bytes", EX_LEASE_NAME_MAX);
    pthread_mutex_lock(&n->mu);
    ex_lease *l = find(n, name);
    assert(!l || !l->is_wanted);
    l = l ? l : add(n, name);
    if (l) {
        l->wake = wake;
        l->ctx = ctx;
        l->is_wanted = true;
        if (!n->url)
            l->is_held = true;
        n->is_new_work = true;
        n->asked++;
        lease_poke(n);
    }
    pthread_mutex_unlock(&n->mu);
    if (!l)
        return ex_raise(err, EX_ENOMEM, "no memory for lease '%s'", name);
    *ret = l;
    return EX_OK;
}

void ex_lease_drop(ex_lease *l)
{
    if (!l)
        return;
    ex_leases *n = l->node;
    pthread_mutex_lock(&n->mu);
    l->is_wanted = false;
    l->wake = NULL;
    while (n->calling == l)
        pthread_cond_wait(&n->idle, &n->mu);
    lease_poke(n);
    pthread_mutex_unlock(&n->mu);
}

void ex_lease_yield(ex_lease *l, uint64_t failing_ms)
{
    ex_leases *n = l->node;
    uint64_t now_ns = ex_monotonic_ns(n->clock);
    pthread_mutex_lock(&n->mu);
    if (n->url && l->is_held && l->has_rival && failing_ms >= n->ttl_ms && now_ns < l->until_ns &&
        lease_is_wanted(l)) {
        EX_LOG(EX_LOG_WARN, "lease left to other nodes, its work fails here",
               ex_f_cstr("lease", l->name));
        l->yielded_ns = now_ns + 2 * (uint64_t)n->ttl_ms * 1000000;
        lease_poke(n);
    }
    pthread_mutex_unlock(&n->mu);
}

/* ---- Asking ---- */

bool ex_leases_wait(ex_leases *n, uint32_t timeout_ms)
{
    struct timespec until = ex_deadline(timeout_ms);
    int rc = 0;
    if (!n->url)
        return true;
    pthread_mutex_lock(&n->mu);
    uint64_t asked = n->asked;
    while (n->looked < asked && rc == 0)
        rc = pthread_cond_timedwait(&n->beaten, &n->mu, &until);
    bool has_looked = n->looked >= asked;
    pthread_mutex_unlock(&n->mu);
    return has_looked;
}

bool ex_lease_is_held(ex_lease *l, uint64_t *ret_token)
{
    ex_leases *n = l->node;
    pthread_mutex_lock(&n->mu);
    bool is_held = l->is_held && (!n->url || ex_monotonic_ns(n->clock) < l->until_ns);
    if (is_held && ret_token)
        *ret_token = l->token;
    pthread_mutex_unlock(&n->mu);
    return is_held;
}

static void note_refused(ex_lease *l, uint64_t token)
{
    pthread_mutex_lock(&l->node->mu);
    if (l->is_held && l->token == token) {
        lease_set_lost(l, "another node has taken it");
        lease_poke(l->node);
    }
    pthread_mutex_unlock(&l->node->mu);
}

ex_status ex_lease_prove(ex_lease *l, uint64_t token, ex_sql *db, ex_error *err)
{
    ex_leases *n = l->node;
    if (!n->url)
        return EX_OK;
    pg_lease_node self = {.ttl_ms = n->ttl_ms};
    memcpy(self.id, n->id.bytes, sizeof(self.id));
    ex_status st = pg_lease_prove(db, n->schema, &self, l->name, token, err);
    if (st == EX_EPRECONDITION)
        note_refused(l, token);
    return st;
}
