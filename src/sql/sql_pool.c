/* sql_pool.c: see sql_pool.h.
 *
 * A fixed array of slots under one mutex; connecting, pinging and closing happen outside of it,
 * with the slot marked as taken. Low slots are preferred, so that the high ones fall idle. */
#include "sql/sql_pool_int.h"

#include "sql/sql_int.h"

#include "kernel/backoff.h"
#include "kernel/deadline.h"

#include <assert.h>
#include <stdlib.h>

#define MIN_CONNS       2
#define MAX_CONNS       25
#define MAX_LIFETIME_MS 3600000
#define MAX_IDLE_MS     600000
#define WAIT_MS         30000
#define TEND_MS         30000
#define RETRY_MAX_MS    1000                       /* a server that is back is not kept waiting */
#define CHECK_IDLE_NS   (UINT64_C(1000) * 1000000) /* idle for longer: look before handing it out */
#define WRITER          0                          /* SQLite's slot */

static uint64_t now_ns(const ex_sql_pool *p)
{
    return ex_monotonic_ns(p->clock);
}

static bool serves(const ex_sql_pool *p, uint32_t index, ex_sql_mode mode)
{
    if (!p->has_writer || p->is_memory)
        return true;
    return (index == WRITER) == (mode == EX_SQL_WRITE);
}

/* ---- connecting: not under the mutex, the slot is taken ---- */

static bool may_connect(ex_sql_pool *p, ex_error *err)
{
    pthread_mutex_lock(&p->mu);
    bool is_early = p->failures > 0 && now_ns(p) < p->retry_ns;
    ex_error failure = p->failure;
    pthread_mutex_unlock(&p->mu);
    if (is_early)
        (void)ex_raise(err, EX_EAGAIN, "%s", failure.message);
    return !is_early;
}

static void note_connect(ex_sql_pool *p, ex_status st, const ex_error *failure)
{
    static const ex_backoff retry = {.max_ms = RETRY_MAX_MS};
    pthread_mutex_lock(&p->mu);
    if (st) {
        uint64_t wait_ms = ex_backoff_ms(&retry, p->failures, p->clock);
        p->failures++;
        p->failed++;
        p->retry_ns = now_ns(p) + wait_ms * 1000000;
        p->failure = *failure;
    } else {
        p->failures = 0;
        p->opened++;
    }
    pthread_mutex_unlock(&p->mu);
}

/* Another file at the path is another database. */
static ex_status check_file(ex_sql_pool *p, ex_error *err)
{
    if (!p->has_writer || p->is_memory)
        return EX_OK;
    if (p->file.inode)
        return ex_file_mark_check(p->place, &p->file, NULL, err);
    return ex_file_mark_read(p->place, &p->file, err); /* while it is opened: by one thread */
}

ex_status pool_connect(ex_sql_pool *p, pool_slot *s, uint32_t connect_ms, ex_error *err)
{
    ex_sql_options options = p->conn;
    ex_error failure = {0};
    ex_sql *db = NULL;
    if (!may_connect(p, err))
        return EX_EAGAIN;
    if (p->has_writer && !p->is_memory && s != &p->slots[WRITER])
        options.is_read_only = true;
    if (connect_ms && (!options.connect_timeout_ms || options.connect_timeout_ms > connect_ms))
        options.connect_timeout_ms = connect_ms;
    ex_status st = ex_sql_open(&options, &db, &failure);
    if (st == EX_OK)
        st = check_file(p, &failure);
    if (st)
        ex_sql_close(db);
    note_connect(p, st, &failure);
    if (st) {
        if (err)
            *err = failure;
        return st;
    }
    pthread_mutex_lock(&p->mu); /* ex_sql_pool_close may look for whom to cancel */
    s->db = db;
    s->opened_ns = s->idle_ns = now_ns(p);
    pthread_mutex_unlock(&p->mu);
    return EX_OK;
}

void pool_disconnect(ex_sql_pool *p, pool_slot *s)
{
    pthread_mutex_lock(&p->mu);
    ex_sql *db = s->db;
    s->db = NULL;
    pthread_mutex_unlock(&p->mu);
    ex_sql_close(db);
}

/* mu is held. */
static void free_slot(ex_sql_pool *p, pool_slot *s)
{
    s->is_taken = false;
    s->idle_ns = now_ns(p);
    pthread_cond_broadcast(&p->freed); /* waiters differ in what they wait for */
}

static void unlock_freeing(ex_sql_pool *p, pool_slot *s)
{
    pthread_mutex_lock(&p->mu);
    free_slot(p, s);
    pthread_mutex_unlock(&p->mu);
}

/* ---- open and close ---- */

/* Connections are opened when they are wanted: a file must be the same one wherever the process
 * stands then. */
static ex_status copy_place(ex_sql_pool *p, const char *place, ex_error *err)
{
    ex_status st = EX_OK;
    if (place && !ex_sql_is_server(place))
        st = sql_path_resolve(place, &p->place, err);
    else if (place && !(p->place = strdup(place)))
        st = ex_raise(err, EX_ENOMEM, "no memory for a pool of connections");
    p->conn.place = p->place;
    return st;
}

static ex_status copy_options(ex_sql_pool *p, const ex_sql_pool_options *o, ex_error *err)
{
    p->conn = o->conn;
    p->schema = o->conn.schema ? strdup(o->conn.schema) : NULL;
    p->conn.schema = p->schema;
    p->max_conns = o->max_conns ? o->max_conns : MAX_CONNS;
    p->min_conns = o->min_conns ? o->min_conns : MIN_CONNS;
    uint32_t wait_ms = o->wait_ms ? o->wait_ms : o->conn.connect_timeout_ms;
    p->wait_ms = wait_ms ? wait_ms : WAIT_MS;
    p->max_lifetime_ns =
        (o->max_lifetime_ms ? o->max_lifetime_ms : MAX_LIFETIME_MS) * UINT64_C(1000000);
    p->max_idle_ns = (o->max_idle_ms ? o->max_idle_ms : MAX_IDLE_MS) * UINT64_C(1000000);
    p->tend_ms = o->tend_ms ? o->tend_ms : TEND_MS;
    p->clock = o->clock ? o->clock : ex_clock_system();
    p->is_memory = !o->conn.place;
    p->has_writer = !o->conn.place || !ex_sql_is_server(o->conn.place);
    if (p->is_memory)
        p->max_conns = 1;
    else if (p->has_writer)
        p->max_conns++; /* the writer stands apart from the readers */
    p->slots = calloc(p->max_conns, sizeof(*p->slots));
    if (!p->slots || (o->conn.schema && !p->schema))
        return ex_raise(err, EX_ENOMEM, "no memory for a pool of connections");
    return copy_place(p, o->conn.place, err);
}

static ex_status open_first(ex_sql_pool *p, ex_error *err)
{
    uint32_t count = p->has_writer ? 1 : p->min_conns;
    ex_status st = EX_OK;
    for (uint32_t i = 0; !st && i < count && i < p->max_conns; i++)
        st = pool_connect(p, &p->slots[i], 0, err);
    return st ? st : ex_sql_ping(p->slots[0].db, err);
}

ex_status ex_sql_pool_open(const ex_sql_pool_options *options, ex_sql_pool **ret, ex_error *err)
{
    if (options->min_conns > (options->max_conns ? options->max_conns : MAX_CONNS))
        return ex_raise(err, EX_EINVAL, "a pool's min_conns is above its max_conns");
    ex_sql_pool *p = calloc(1, sizeof(*p));
    if (!p)
        return ex_raise(err, EX_ENOMEM, "no memory for a pool of connections");
    pthread_mutex_init(&p->mu, NULL);
    ex_cond_init(&p->freed);
    ex_cond_init(&p->stopped);
    ex_status st = copy_options(p, options, err);
    st = st ? st : open_first(p, err);
    st = st ? st : pool_keeper_start(p, err);
    if (st)
        ex_sql_pool_free(p);
    else
        *ret = p;
    return st;
}

void ex_sql_pool_free(ex_sql_pool *p)
{
    if (!p)
        return;
    pool_keeper_stop(p);
    for (uint32_t i = 0; p->slots && i < p->max_conns; i++) {
        assert(!p->slots[i].is_taken);
        ex_sql_close(p->slots[i].db);
    }
    pthread_cond_destroy(&p->freed);
    pthread_cond_destroy(&p->stopped);
    pthread_mutex_destroy(&p->mu);
    free(p->slots);
    if (p->place)
        explicit_bzero(p->place, strlen(p->place)); /* may hold a password */
    free(p->place);
    free(p->schema);
    free(p);
}

/* mu is held. */
static uint32_t count_taken(const ex_sql_pool *p)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < p->max_conns; i++)
        count += p->slots[i].is_taken;
    return count;
}

/* mu is held. True: nothing is out. */
static bool wait_for_all(ex_sql_pool *p, uint32_t timeout_ms)
{
    struct timespec until = ex_deadline(timeout_ms);
    int rc = 0;
    while (count_taken(p) > 0 && rc == 0)
        rc = pthread_cond_timedwait(&p->freed, &p->mu, &until);
    return count_taken(p) == 0;
}

/* mu is held. */
static void cancel_all(ex_sql_pool *p)
{
    for (uint32_t i = 0; i < p->max_conns; i++) {
        if (p->slots[i].is_taken && p->slots[i].db)
            ex_sql_cancel(p->slots[i].db);
    }
}

ex_status ex_sql_pool_close(ex_sql_pool *p, uint32_t timeout_ms, ex_error *err)
{
    static const uint32_t cancel_ms = 3000; /* for what was cancelled to come back */
    pthread_mutex_lock(&p->mu);
    p->is_closing = true;
    pthread_cond_broadcast(&p->freed);
    bool is_done = wait_for_all(p, timeout_ms);
    if (!is_done) {
        cancel_all(p);
        is_done = wait_for_all(p, cancel_ms);
    }
    for (uint32_t i = 0; i < p->max_conns; i++) {
        pool_slot *s = &p->slots[i];
        if (!s->is_taken) {
            ex_sql_close(s->db); /* nobody else can want the mutex for long any more */
            s->db = NULL;
        }
    }
    pthread_mutex_unlock(&p->mu);
    return is_done ? EX_OK : ex_raise(err, EX_ETIMEOUT, "some connections are still in use");
}

/* ---- take and give ---- */

/* mu is held. An idle connection, else a place for one, else NULL. */
static pool_slot *find_slot(ex_sql_pool *p, ex_sql_mode mode)
{
    pool_slot *empty = NULL;
    for (uint32_t i = 0; i < p->max_conns; i++) {
        pool_slot *s = &p->slots[i];
        if (s->is_taken || !serves(p, i, mode))
            continue;
        if (s->db)
            return s;
        empty = empty ? empty : s;
    }
    return empty;
}

/* A slot of one's own, with or without a connection in it. */
static ex_status take_slot(ex_sql_pool *p, ex_sql_mode mode, pool_slot **ret, ex_error *err)
{
    struct timespec until = ex_deadline(p->wait_ms);
    int rc = 0;
    pool_slot *s = NULL;
    pthread_mutex_lock(&p->mu);
    p->waiting++;
    while (!p->is_closing && !(s = find_slot(p, mode)) && rc == 0)
        rc = pthread_cond_timedwait(&p->freed, &p->mu, &until);
    p->waiting--;
    bool is_closing = p->is_closing;
    if (s && !is_closing)
        s->is_taken = true;
    pthread_mutex_unlock(&p->mu);
    if (is_closing)
        return ex_raise(err, EX_ECLOSED, "the database connections are being closed");
    if (!s)
        return ex_raise(err, EX_EOVERLOADED, "no database connection became free in %u ms",
                        p->wait_ms);
    *ret = s;
    return EX_OK;
}

bool pool_is_outlived(const ex_sql_pool *p, const pool_slot *s)
{
    return !p->has_writer && now_ns(p) - s->opened_ns > p->max_lifetime_ns;
}

ex_status ex_sql_pool_take(ex_sql_pool *p, ex_sql_mode mode, ex_sql **ret, ex_error *err)
{
    pool_slot *s = NULL;
    ex_status st = take_slot(p, mode, &s, err);
    if (st)
        return st;
    bool is_old = s->db && (pool_is_outlived(p, s) || (now_ns(p) - s->idle_ns > CHECK_IDLE_NS &&
                                                       ex_sql_check(s->db, NULL) != EX_OK));
    if (is_old)
        pool_disconnect(p, s);
    if (!s->db)
        st = pool_connect(p, s, 0, err);
    if (st)
        unlock_freeing(p, s);
    else
        *ret = s->db;
    return st;
}

static pool_slot *slot_of(ex_sql_pool *p, const ex_sql *db)
{
    uint32_t i = 0;
    while (p->slots[i].db != db || !p->slots[i].is_taken)
        i++;
    return &p->slots[i];
}

void ex_sql_pool_give(ex_sql_pool *p, ex_sql *db)
{
    bool is_bad = ex_sql_abandon(db) != EX_OK || ex_sql_is_broken(db);
    pthread_mutex_lock(&p->mu);
    pool_slot *s = slot_of(p, db);
    is_bad = is_bad || p->is_closing || pool_is_outlived(p, s);
    pthread_mutex_unlock(&p->mu);
    if (is_bad)
        pool_disconnect(p, s);
    unlock_freeing(p, s);
}

/* ---- looking at it ---- */

ex_sql_pool_stats ex_sql_pool_stats_of(ex_sql_pool *p)
{
    ex_sql_pool_stats stats = {.max = p->max_conns};
    pthread_mutex_lock(&p->mu);
    for (uint32_t i = 0; i < p->max_conns; i++)
        stats.open += p->slots[i].db != NULL;
    stats.in_use = count_taken(p);
    stats.waiting = p->waiting;
    stats.opened = p->opened;
    stats.failed = p->failed;
    pthread_mutex_unlock(&p->mu);
    return stats;
}

ex_status ex_sql_pool_health(ex_sql_pool *p, ex_error *err)
{
    ex_sql_pool_stats stats = ex_sql_pool_stats_of(p);
    if (stats.in_use == stats.max && !p->is_memory) /* there the only one is used by turns */
        return ex_raise(err, EX_EOVERLOADED, "%u/%u in use", stats.in_use, stats.max);
    ex_sql *db = NULL;
    ex_status st = ex_sql_pool_take(p, EX_SQL_READ, &db, err);
    if (st)
        return st;
    st = ex_sql_ping(db, err);
    ex_sql_pool_give(p, db);
    return st;
}
