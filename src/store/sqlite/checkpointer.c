/* checkpointer.c: see checkpointer.h. */
#include "store/sqlite/checkpointer.h"

#include <assert.h>
#include <errno.h>

#include "kernel/deadline.h"
#include "kernel/thread.h"

#define FIRST_PAGES 16000 /* 63 MiB; a start after a crash reads as much */
#define FEW_PAGES   200   /* what the last step may copy while commits wait */
#define STEP_PAGES  100   /* until that is tried again when the WAL did not start anew */
#define PAUSE_PAGES 2000  /* until the next try when a reader kept everything from being copied */
#define PASSES_MAX  8
#define HOLD_MS     60
#define FRAME_BYTES (4096 + 24) /* of the WAL, for a page */

/* ---- Life ---- */

void checkpointer_init(checkpointer *c, int first, checkpointer_open_fn *open, void *open_ctx)
{
    memset(c, 0, sizeof(*c));
    c->open = open;
    c->open_ctx = open_ctx;
    c->first = first ? first : FIRST_PAGES;
    c->most = c->first + c->first / 2;
    atomic_init(&c->at, c->first);
    (void)pthread_mutex_init(&c->mu, NULL); /* none of these can fail on Linux */
    (void)pthread_cond_init(&c->asked, NULL);
    ex_cond_init(&c->ended);
}

void checkpointer_done(checkpointer *c)
{
    if (!c->open)
        return;
    (void)pthread_mutex_lock(&c->mu);
    c->is_stopping = true;
    (void)pthread_cond_signal(&c->asked);
    bool has_thread = c->has_thread;
    (void)pthread_mutex_unlock(&c->mu);
    if (has_thread)
        (void)pthread_join(c->thread, NULL);
    assert(c->inside == 0);
    (void)pthread_cond_destroy(&c->asked);
    (void)pthread_cond_destroy(&c->ended);
    (void)pthread_mutex_destroy(&c->mu);
    memset(c, 0, sizeof(*c));
}

/* ---- The thread ---- */

/* @return has it come further? */
static bool pass(checkpointer *c)
{
    int in_log = 0, copied = 0;
    (void)pthread_mutex_lock(&c->mu);
    uint64_t life = c->life;
    int before = c->copied;
    (void)pthread_mutex_unlock(&c->mu);
    ex_status st = c->conn.db ? EX_OK : c->open(c->open_ctx, &c->conn, NULL);
    int rc = st ? SQLITE_CANTOPEN
                : sqlite3_wal_checkpoint_v2(c->conn.db, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_log,
                                            &copied);
    if (rc != SQLITE_OK && rc != SQLITE_BUSY)
        atomic_fetch_add(&c->failures, 1);
    else
        atomic_fetch_add(&c->passes, 1);
    if (rc != SQLITE_OK || copied < 0)
        return false;
    (void)pthread_mutex_lock(&c->mu);
    bool is_further = life == c->life && copied > before;
    if (is_further)
        c->copied = copied;
    (void)pthread_mutex_unlock(&c->mu);
    return is_further;
}

/* mu is held. */
static bool should_go_on(const checkpointer *c, bool is_further, int passes)
{
    return is_further && passes < PASSES_MAX && !c->is_awaited && !c->is_stopping &&
           atomic_load(&c->pages) - c->copied > FEW_PAGES;
}

static void *run(void *arg)
{
    checkpointer *c = arg;
    (void)pthread_mutex_lock(&c->mu);
    for (;;) {
        while (!c->is_working && !c->is_stopping)
            (void)pthread_cond_wait(&c->asked, &c->mu);
        if (c->is_stopping)
            break;
        bool is_further = true, has_moved = false;
        for (int passes = 0; passes == 0 || should_go_on(c, is_further, passes); passes++) {
            (void)pthread_mutex_unlock(&c->mu);
            is_further = pass(c);
            has_moved |= is_further;
            (void)pthread_mutex_lock(&c->mu);
        }
        int pages = atomic_load(&c->pages);
        c->is_behind = pages - c->copied > FEW_PAGES;
        atomic_store(&c->at, has_moved ? 0 : pages + PAUSE_PAGES);
        c->is_working = false;
        (void)pthread_cond_broadcast(&c->ended);
    }
    c->is_working = false;
    (void)pthread_cond_broadcast(&c->ended);
    (void)pthread_mutex_unlock(&c->mu);
    if (c->conn.db) /* never the one that deletes the WAL: by then it may be another store's */
        (void)sqlite3_db_config(c->conn.db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite_conn_close(&c->conn);
    return NULL;
}

/* mu is held. False: there is no thread, and none can be had. */
static bool ask(checkpointer *c)
{
    if (!c->has_thread)
        c->has_thread = ex_thread_start(&c->thread, "ex-checkpoint", run, c, NULL) == EX_OK;
    c->is_working = c->has_thread;
    (void)pthread_cond_signal(&c->asked);
    return c->has_thread;
}

/* ---- The sequencer ---- */

void checkpointer_note(checkpointer *c, int pages)
{
    if (pages < atomic_load_explicit(&c->pages, memory_order_relaxed)) { /* it has started anew */
        (void)pthread_mutex_lock(&c->mu);
        c->copied = 0;
        c->is_behind = false;
        c->life++;
        atomic_store(&c->at, c->first);
        (void)pthread_mutex_unlock(&c->mu);
    }
    atomic_store(&c->pages, pages);
}

static bool is_past(const struct timespec *t)
{
    struct timespec now = ex_deadline(0);
    return now.tv_sec != t->tv_sec ? now.tv_sec > t->tv_sec : now.tv_nsec >= t->tv_nsec;
}

/* mu is held. Let our own scans end and hold new ones up. True: they are out, or it took too long.
 */
static bool clear_scans(checkpointer *c)
{
    if (c->inside == 0 || (c->is_held && is_past(&c->held_until)))
        return true;
    if (!c->is_held)
        c->held_until = ex_deadline(HOLD_MS);
    c->is_held = true;
    return false;
}

/* The same, waiting for it. */
static void await_scans(checkpointer *c)
{
    while (!clear_scans(c))
        (void)pthread_cond_timedwait(&c->ended, &c->mu, &c->held_until);
}

static void finish(checkpointer *c, sqlite3 *writer)
{
    int in_log = 0, copied = 0;
    int rc = sqlite3_wal_checkpoint_v2(writer, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_log, &copied);
    if (rc != SQLITE_OK && rc != SQLITE_BUSY)
        atomic_fetch_add(&c->failures, 1);
    else
        atomic_fetch_add(&c->finishes, 1);
    int pages = atomic_load(&c->pages);
    (void)pthread_mutex_lock(&c->mu);
    bool is_further = rc == SQLITE_OK && copied > c->copied;
    if (is_further)
        c->copied = copied;
    atomic_store(&c->at, pages + (is_further ? STEP_PAGES : PAUSE_PAGES));
    c->is_held = false;
    (void)pthread_cond_broadcast(&c->ended);
    (void)pthread_mutex_unlock(&c->mu);
}

void checkpointer_turn(checkpointer *c, sqlite3 *writer)
{
    int pages = atomic_load_explicit(&c->pages, memory_order_relaxed);
    if (pages < c->first || pages < atomic_load_explicit(&c->at, memory_order_relaxed))
        return;
    bool is_much = pages >= c->most;
    (void)pthread_mutex_lock(&c->mu);
    c->is_awaited = is_much && c->is_working;
    while (c->is_awaited && c->is_working)
        (void)pthread_cond_wait(&c->ended, &c->mu);
    c->is_awaited = false;
    bool is_due = false;
    if (is_much && !c->is_working) {
        await_scans(c);
        is_due = true;
    } else if (!c->is_working && pages - c->copied <= FEW_PAGES) {
        is_due = clear_scans(c);
    } else if (!c->is_working && (!c->is_behind || clear_scans(c))) {
        is_due = !ask(c); /* again and behind: it may be our scans that it could not pass */
    }
    (void)pthread_mutex_unlock(&c->mu);
    if (is_due)
        finish(c, writer);
}

/* ---- Scans ---- */

void checkpointer_enter(checkpointer *c)
{
    (void)pthread_mutex_lock(&c->mu);
    while (c->is_held && pthread_cond_timedwait(&c->ended, &c->mu, &c->held_until) != ETIMEDOUT) {
    }
    c->inside++;
    (void)pthread_mutex_unlock(&c->mu);
}

void checkpointer_leave(checkpointer *c)
{
    (void)pthread_mutex_lock(&c->mu);
    assert(c->inside > 0);
    c->inside--;
    if (c->is_held && c->inside == 0)
        (void)pthread_cond_broadcast(&c->ended);
    (void)pthread_mutex_unlock(&c->mu);
}

void checkpointer_measure(checkpointer *c, store_wal *ret)
{
    (void)pthread_mutex_lock(&c->mu);
    int pages = atomic_load(&c->pages), copied = c->copied < pages ? c->copied : pages;
    (void)pthread_mutex_unlock(&c->mu);
    *ret = (store_wal){.bytes = (uint64_t)pages * FRAME_BYTES,
                       .waiting_bytes = (uint64_t)(pages - copied) * FRAME_BYTES,
                       .checkpoints = atomic_load(&c->passes) + atomic_load(&c->finishes),
                       .failures = atomic_load(&c->failures)};
}
