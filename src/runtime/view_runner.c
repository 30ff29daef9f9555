/* view_runner.c: one view's thread: follow the log, apply events, keep the checkpoint.
 *
 * Happy path: poll the subscription; apply the first event and those that follow
 * in one transaction (view_apply.c), tell waiting queries. Without events wait
 * for the store's watcher. A view that has caught up rests a little before the
 * next batch, so that one which is fed all the time takes what several commits
 * left in one transaction; who waits for a position ends the rest at once.
 *
 * On a node that does not hold the view's lease the runner stands by
 * (view_standby.c) until the lease comes; a lease that goes is no failure.
 *
 * Failures: the transaction is rolled back, the state becomes ERROR, and after
 * a pause the view starts again at its checkpoint, so no event is lost and none
 * counts twice. The pause doubles up to 30 s when a handler failed; a database
 * that is away is asked again every half second, so that the view goes on when it
 * is back. A node whose view has failed for a whole lease time although the node
 * renews its lease gives it to another. Killed between commit and the next batch,
 * it continues at the checkpoint. */
#include <assert.h>
#include <stdio.h>

#include "runtime/view_hurry.h"
#include "runtime/view_damage.h"
#include "runtime/views.h"

#include "kernel/deadline.h"
#include "kernel/thread.h"
#include "store/import.h"

#define RETRY_LIMIT_MS 30000u
#define AWAY_RETRY_MS  500u
#define REST_MS        5u /* also how much older the rows of a query may be than the log */
#define IDLE_CHECKPOINT_EVENTS                                                                     \
    10000u /* passed over before the checkpoint is written for it alone */

/* ---- Waiting ---- */

static void wake_on_commit(ex_watcher *w, uint64_t head)
{
    (void)head;
    view_runner *r = (view_runner *)((char *)w - offsetof(view_runner, watcher));
    pthread_mutex_lock(&r->mu);
    r->has_news = true;
    if (!r->is_resting) /* else it looks by itself soon: a wake-up for each commit is dear */
        pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->mu);
}

static void wake_on_lease(void *ctx)
{
    view_runner *r = ctx;
    pthread_mutex_lock(&r->mu);
    r->is_lease_moved = true;
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->mu);
}

bool view_runner_is_called(const view_runner *r)
{
    return r->is_stopping || r->wants_pause || r->wants_rebuild || r->is_lease_moved ||
           r->wants_look;
}

/* mu is held */
static void hurry(view_runner *r, uint64_t position)
{
    if (position <= r->wanted)
        return;
    r->wanted = position;
    if (r->is_resting)
        pthread_cond_signal(&r->wake);
}

void view_hurry(ex_runtime *rt, uint32_t view, uint64_t position)
{
    assert(view < rt->views->runner_count);
    view_runner *r = &rt->views->runners[view];
    pthread_mutex_lock(&r->mu);
    hurry(r, position);
    pthread_mutex_unlock(&r->mu);
}

static void rest(view_runner *r)
{
    struct timespec until = ex_deadline(REST_MS);
    int rc = 0;
    pthread_mutex_lock(&r->mu);
    r->is_resting = true;
    while (rc == 0 && r->wanted <= r->position && !view_runner_is_called(r))
        rc = pthread_cond_timedwait(&r->wake, &r->mu, &until);
    r->is_resting = false;
    pthread_mutex_unlock(&r->mu);
}

uint64_t view_runner_position(view_runner *r, uint64_t *ret_based_on)
{
    pthread_mutex_lock(&r->mu);
    uint64_t position = r->position;
    *ret_based_on = r->based_on;
    pthread_mutex_unlock(&r->mu);
    return position;
}

static void wake_waiters(void *ctx)
{
    view_runner *r = ctx;
    pthread_mutex_lock(&r->mu);
    pthread_cond_broadcast(&r->moved);
    pthread_mutex_unlock(&r->mu);
}

ex_status view_runner_wait(view_runner *r, uint64_t position, uint32_t timeout_ms,
                           ex_cancel *cancel, ex_error *err)
{
    ex_status st = ex_cancel_attach(cancel, wake_waiters, r, err);
    if (st)
        return st;
    struct timespec until = ex_deadline(timeout_ms);
    int rc = 0;
    pthread_mutex_lock(&r->mu);
    hurry(r, position);
    while (r->position < position && !r->is_stopping && !ex_cancel_is_requested(cancel) && rc == 0)
        rc = pthread_cond_timedwait(&r->moved, &r->mu, &until);
    uint64_t reached = r->position;
    bool is_stopping = r->is_stopping;
    pthread_mutex_unlock(&r->mu);
    ex_cancel_detach(cancel);
    if (reached >= position)
        return EX_OK;
    if (ex_cancel_is_requested(cancel))
        return ex_raise(err, EX_ECANCELLED, "nobody waits for the view any more");
    if (is_stopping)
        return ex_raise(err, EX_ECLOSED, "the view is stopping");
    return ex_raise(err, EX_ETIMEOUT, "view '%s' is at position %llu, not yet at %llu",
                    r->def->name, (unsigned long long)reached, (unsigned long long)position);
}

void view_runner_pause(view_runner *r)
{
    struct timespec until = ex_deadline(REST_MS);
    pthread_mutex_lock(&r->mu);
    if (!r->is_stopping)
        (void)pthread_cond_timedwait(&r->moved, &r->mu, &until); /* woken early is early enough */
    pthread_mutex_unlock(&r->mu);
}

void view_runner_publish(view_runner *r, uint64_t position)
{
    pthread_mutex_lock(&r->mu);
    r->position = position;
    r->based_on = r->stored_position;
    r->shown_parked = r->parked.open;
    if (r->state == EX_VIEW_REBUILDING && position >= r->rebuild_to)
        view_move(r, EX_VIEW_ACTIVE);
    if (r->state == EX_VIEW_ERROR)
        view_move(r, r->is_standby ? EX_VIEW_STANDBY : EX_VIEW_ACTIVE);
    r->failures = r->away = 0;
    r->failing_ns = 0;
    pthread_cond_broadcast(&r->moved);
    pthread_mutex_unlock(&r->mu);
    ex_gauge_set(r->position_gauge, (int64_t)position);
    ex_gauge_set(r->parked_gauge, (int64_t)r->parked.open);
}

/* ---- Applying ---- */

static ex_status run_batch(view_runner *r, ex_event *event, ex_error *err)
{
    view_progress done = {0};
    ex_sql *db = NULL;
    ex_status st = ex_sql_pool_take(r->views->pool, EX_SQL_WRITE, &db, err);
    if (st)
        return st;
    st = view_apply_batch(r, db, event, &done, err);
    ex_sql_pool_give(r->views->pool, db);
    ex_counter_add(r->events_counter, done.applied);
    if (done.position) {
        if (done.parked)
            r->parked = done.counts;
        r->stored_position = done.position;
        r->may_rest = true;
        view_runner_publish(r, done.position);
    }
    return st;
}

static ex_status write_checkpoint(view_runner *r, uint64_t position, ex_error *err)
{
    ex_sql *db = NULL;
    ex_sql_tx tx;
    view_place place;
    ex_id event = ex_subscription_event_id(r->sub);
    ex_status st = view_proof_make(r, position, &event, &place, err);
    st = st ? st : ex_sql_pool_take(r->views->pool, EX_SQL_WRITE, &db, err);
    if (st)
        return st;
    st = view_begin(r, db, &tx, err);
    if (!st) {
        st = view_store_checkpoint(db, r->def, r->stored_position, &place, err);
        st = ex_sql_end(&tx, st, err);
    }
    r->retry_at_once = st == EX_EAGAIN && !ex_sql_is_broken(db); /* another node was faster */
    ex_sql_pool_give(r->views->pool, db);
    return st;
}

/* Nothing to apply: keep the position, in the file now and then. */
static ex_status pass_over(view_runner *r, uint64_t least, ex_error *err)
{
    uint64_t position = ex_subscription_position(r->sub);
    if (position - r->stored_position >= least && position > r->stored_position) {
        ex_status st = write_checkpoint(r, position, err);
        if (st)
            return st;
        r->stored_position = position;
    }
    view_runner_publish(r, position);
    return EX_OK;
}

/* ---- The thread ---- */

/* Where the view stands. */
static ex_status prepare(view_runner *r, bool must_rebuild, view_prepared *ret, ex_error *err)
{
    ex_sql *db = NULL;
    ex_status st = ex_sql_pool_take(r->views->pool, EX_SQL_WRITE, &db, err);
    if (st)
        return st;
    ex_sql_tx tx;
    st = view_begin(r, db, &tx, err);
    if (!st) {
        st = view_store_prepare(db, r->def, must_rebuild, r->rt->options.view_rebuilds_on_build,
                                ret, err);
        st = st ? st : view_parked_count(db, r->def, &r->parked, err);
        st = ex_sql_end(&tx, st, err);
    }
    ex_sql_pool_give(r->views->pool, db);
    return st;
}

ex_status view_runner_subscribe(view_runner *r, uint64_t position, const ex_id *epoch,
                                ex_error *err)
{
    ex_subscription_close(r->sub);
    r->sub = NULL;
    ex_slice *types =
        ex_arena_array(&r->arena, r->def->event_count ? r->def->event_count : 1, sizeof(*types));
    if (!types)
        return ex_raise(err, EX_ENOMEM, "no memory for a view");
    for (uint32_t i = 0; i < r->def->event_count; i++)
        types[i] = ex_str(r->def->events[i].type->name);
    ex_query_item item = {.types = types, .type_count = r->def->event_count};
    ex_filter filter = {.query = {&item, 1}};
    ex_subscribe subscribe = {
        .after = position, .filter = &filter, .epoch = ex_id_is_nil(epoch) ? NULL : epoch};
    ex_status st = ex_store_subscribe(r->rt->store, &subscribe, &r->sub, err);
    ex_arena_reset(&r->arena);
    return st;
}

/* A view that is built anew answers with few rows for a while: nobody should have to guess why. */
static void report_prepared(view_runner *r, const view_prepared *done)
{
    ex_error why;
    if (done->why && done->why[0]) {
        (void)ex_raise(&why, EX_ESTATE, "%s", done->why);
        runtime_report(r->rt, "view is built anew", r->def->name, &why);
    }
    if (done->is_other_build && !r->is_other_build) {
        (void)ex_raise(
            &why, EX_ESTATE,
            "its rows were written by another build of the program; if its handlers "
            "have changed raise its version, or start once with views.new_build=rebuild");
        runtime_report(r->rt, "view is kept", r->def->name, &why);
    }
    pthread_mutex_lock(&r->mu);
    r->is_other_build = done->is_other_build;
    pthread_mutex_unlock(&r->mu);
}

/* The same, but a checkpoint that is no place of this log begins anew. */
static ex_status prepare_proven(view_runner *r, bool must_rebuild, view_prepared *ret,
                                ex_error *err)
{
    ex_error why = {0};
    ex_status st = prepare(r, must_rebuild, ret, err);
    if (st)
        return st;
    report_prepared(r, ret);
    st = view_proof_check(r, &ret->place, &why);
    if (st == EX_ELOGCHANGED) {
        runtime_report(r->rt, "view is built anew", r->def->name, &why);
        return prepare(r, true, ret, err);
    }
    if (st && err)
        *err = why;
    return st;
}

static ex_status open_subscription(view_runner *r, bool must_rebuild, ex_error *err)
{
    view_prepared done = {0};
    ex_status st = prepare_proven(r, must_rebuild, &done, err);
    uint64_t position = done.place.position, head = ex_store_head(r->rt->store);
    st = st ? st : view_runner_subscribe(r, position, &done.place.epoch, err);
    if (st)
        return st;
    r->stored_position = position;
    pthread_mutex_lock(&r->mu);
    r->position = r->based_on = position;
    r->shown_parked = r->parked.open;
    r->rebuild_to = head;
    if (position == 0 && head > 0)
        view_move(r, EX_VIEW_REBUILDING);
    else if (r->state == EX_VIEW_STANDBY)
        view_move(r, EX_VIEW_ACTIVE);
    pthread_mutex_unlock(&r->mu);
    return EX_OK;
}

/* While events are parked another process may ask for something about them. */
static void wait_for_news(view_runner *r)
{
    struct timespec until = ex_deadline(PARKED_LOOK_MS);
    int rc = 0;
    pthread_mutex_lock(&r->mu);
    while (rc == 0 && !r->has_news && !view_runner_is_called(r))
        rc = r->parked.all ? pthread_cond_timedwait(&r->wake, &r->mu, &until)
                           : pthread_cond_wait(&r->wake, &r->mu);
    r->has_news = false;
    pthread_mutex_unlock(&r->mu);
}

static ex_status follow(view_runner *r, ex_error *err)
{
    ex_event event;
    ex_status st = ex_subscription_poll(r->sub, &event, err);
    switch (st) {
    case EX_OK:
        return run_batch(r, &event, err);
    case EX_EAGAIN:
        st = ex_subscription_fill(r->sub, err);
        return st ? st : pass_over(r, IDLE_CHECKPOINT_EVENTS, err);
    case EX_ETIMEOUT:
        st = pass_over(r, IDLE_CHECKPOINT_EVENTS, err);
        if (st)
            return st;
        if (r->may_rest) {
            r->may_rest = false;
            rest(r);
            return EX_OK;
        }
        wait_for_news(r);
        return EX_OK;
    default:
        return st;
    }
}

/* mu is held */
static void keep_error(view_runner *r, const ex_error *err)
{
    size_t len = strnlen(err->message, sizeof(r->error) - 1); /* cut is fine: for people */
    memcpy(r->error, err->message, len);
    r->error[len] = '\0';
}

/* mu is held. What passes by itself, and is not a handler's, does not count into its pauses. */
static uint32_t choose_pause(view_runner *r, bool is_away)
{
    if (is_away) {
        r->away++;
        return AWAY_RETRY_MS;
    }
    uint32_t doublings = r->failures < 10 ? r->failures : 10;
    uint64_t pause_ms = (uint64_t)r->rt->options.view_retry_ms << doublings;
    r->failures++;
    return pause_ms < RETRY_LIMIT_MS ? (uint32_t)pause_ms : RETRY_LIMIT_MS;
}

/* A node that cannot work must not keep the work: another one may be able to. */
static void yield_if_stuck(view_runner *r)
{
    uint64_t now_ns = ex_monotonic_ns(ex_clock_system());
    if (r->is_handlers || r->is_standby)
        return;
    if (r->failing_ns == 0)
        r->failing_ns = now_ns;
    else
        ex_lease_yield(r->lease, (now_ns - r->failing_ns) / 1000000);
}

static void fail(view_runner *r, const ex_error *err)
{
    bool is_away = !r->is_handlers && ex_status_is_retryable(err->status);
    if (!r->is_handlers)
        view_damage_note(r->rt->options.dir, err->status);
    pthread_mutex_lock(&r->mu);
    view_move(r, EX_VIEW_ERROR);
    keep_error(r, err);
    struct timespec until = ex_deadline(choose_pause(r, is_away));
    bool is_told = !is_away || (r->away & (r->away - 1)) == 0; /* 1, 2, 4, 8 … */
    pthread_mutex_unlock(&r->mu);
    ex_counter_add(r->failures_counter, 1);
    if (is_told)
        runtime_report(r->rt, "view failed, it will be tried again", r->def->name, err);
    yield_if_stuck(r);
    pthread_mutex_lock(&r->mu);
    while (!r->is_stopping && !r->wants_rebuild && !r->is_lease_moved &&
           pthread_cond_timedwait(&r->wake, &r->mu, &until) == 0) {
    } /* commits wake it too: wait on */
    pthread_mutex_unlock(&r->mu);
}

/* What the operator asked for. True: stop the thread. */
static bool obey(view_runner *r, bool *ret_must_open, bool *ret_must_rebuild)
{
    pthread_mutex_lock(&r->mu);
    /* a view that fails or rebuilds just now pauses when it is active again */
    while (r->wants_pause && !r->is_stopping && !r->wants_rebuild &&
           (r->state == EX_VIEW_PAUSED || view_may_move(r, EX_VIEW_PAUSED))) {
        view_move(r, EX_VIEW_PAUSED);
        pthread_cond_wait(&r->wake, &r->mu);
    }
    if (r->state == EX_VIEW_PAUSED && !r->is_stopping)
        view_move(r, EX_VIEW_ACTIVE);
    if (r->wants_rebuild) {
        r->wants_rebuild = r->wants_pause = false;
        *ret_must_open = *ret_must_rebuild = true;
        view_move(r, EX_VIEW_REBUILDING);
    }
    bool is_stopping = r->is_stopping;
    pthread_mutex_unlock(&r->mu);
    return is_stopping;
}

/* Whose turn is it? True: another one's than before. */
static bool look_at_lease(view_runner *r)
{
    pthread_mutex_lock(&r->mu);
    r->is_lease_moved = false; /* before asking: what moves from now on is seen next time */
    pthread_mutex_unlock(&r->mu);
    uint64_t token = r->token;
    bool is_standby = r->is_outdated || !ex_lease_is_held(r->lease, &token);
    pthread_mutex_lock(&r->mu);
    bool is_other = is_standby != r->is_standby || token != r->token;
    r->token = token;
    r->is_standby = is_standby;
    if (is_other)
        r->failing_ns = 0;
    if (is_standby && (is_other || r->state != EX_VIEW_ERROR))
        view_move(r, EX_VIEW_STANDBY);
    pthread_mutex_unlock(&r->mu);
    return is_other;
}

/* This program is older than another node's: leave the view to those who know it as it is now. */
static void retire(view_runner *r, const ex_error *err)
{
    r->is_outdated = true;
    ex_lease_drop(r->lease);
    runtime_report(r->rt, "view is left to newer nodes", r->def->name, err);
    pthread_mutex_lock(&r->mu);
    view_move(r, EX_VIEW_STANDBY);
    keep_error(r, err);
    pthread_mutex_unlock(&r->mu);
}

/* Since its turn began; no failure of the view. */
static bool has_lost_lease(view_runner *r)
{
    uint64_t token = 0;
    return !r->is_standby && (!ex_lease_is_held(r->lease, &token) || token != r->token);
}

static ex_status work(view_runner *r, bool *must_open, bool *must_rebuild, ex_error *err)
{
    ex_status st = EX_OK;
    bool is_standby = r->is_standby; /* written by this thread only */
    if (*must_open)
        st = is_standby ? view_standby_open(r, err) : open_subscription(r, *must_rebuild, err);
    if (st)
        return st;
    *must_open = *must_rebuild = false;
    if (is_standby)
        return view_standby_follow(r, err);
    st = view_retry_asked(r, err);
    return st ? st : follow(r, err);
}

static void *run(void *arg)
{
    view_runner *r = arg;
    bool must_open = true, must_rebuild = false;
    ex_error err;
    while (!obey(r, &must_open, &must_rebuild)) {
        must_open |= look_at_lease(r);
        r->is_handlers = false;
        ex_status st = work(r, &must_open, &must_rebuild, &err);
        if (st == EX_ECLOSED)
            break;
        if (st) {
            if (st == EX_EFORMAT && must_open && !r->is_standby) /* not opened */
                retire(r, &err);
            else if (st != EX_ELOGCHANGED && !r->retry_at_once && !has_lost_lease(r))
                fail(r, &err); /* of a log that has changed: what that means is found at opening */
            r->retry_at_once = false;
            must_open = true; /* the subscription has run ahead of the checkpoint */
        }
    }
    if (r->sub && !must_open && !r->is_standby)
        (void)pass_over(r, 1, NULL); /* a nicety: without it the next start reads a little more */
    ex_subscription_close(r->sub);
    r->sub = NULL;
    return NULL;
}

static void init_locks(view_runner *r)
{
    pthread_mutex_init(&r->mu, NULL);
    ex_cond_init(&r->wake);
    ex_cond_init(&r->moved);
}

static void done_locks(view_runner *r)
{
    pthread_cond_destroy(&r->moved);
    pthread_cond_destroy(&r->wake);
    pthread_mutex_destroy(&r->mu);
}

static void init_metrics(view_runner *r)
{
    const runtime_metrics *m = &r->rt->metrics;
    ex_slice label = ex_str(r->def->name);
    r->lag_gauge = m->view_lag ? ex_gauge_with(m->view_lag, &label) : NULL;
    r->position_gauge = m->view_position ? ex_gauge_with(m->view_position, &label) : NULL;
    r->parked_gauge = m->view_parked ? ex_gauge_with(m->view_parked, &label) : NULL;
    r->events_counter = m->view_events ? ex_counter_with(m->view_events, &label) : NULL;
    r->failures_counter = m->view_failures ? ex_counter_with(m->view_failures, &label) : NULL;
}

static ex_status want_lease(view_runner *r, ex_error *err)
{
    char lease[EX_LEASE_NAME_MAX + 1];
    int len = snprintf(lease, sizeof(lease), "view:%s", r->def->name);
    if (len < 0 || (size_t)len >= sizeof(lease))
        return ex_raise(err, EX_EINVAL, "the name of view '%.64s' is too long", r->def->name);
    return ex_lease_want(r->rt->leases, lease, wake_on_lease, r, &r->lease, err);
}

ex_status view_runner_init(view_runner *r, ex_error *err)
{
    ex_status st = view_texts_init(&r->texts, r->def, r->views->engine, err);
    view_rows_init(&r->rows);
    view_window_init(&r->window);
    init_locks(r);
    init_metrics(r);
    ex_arena_init(&r->arena, 0);
    r->state = EX_VIEW_ACTIVE;
    r->watcher.wake = wake_on_commit;
    r->is_initialised = true;
    return st ? st : want_lease(r, err);
}

ex_status view_runner_start(view_runner *r, ex_error *err)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "view-%s", r->def->name); /* cut is fine: for people */
    ex_status st = ex_thread_start(&r->thread, name, run, r, err);
    if (st)
        return st;
    r->is_started = true;
    ex_store_watch(r->rt->store, &r->watcher);
    return EX_OK;
}

static void end_thread(view_runner *r)
{
    ex_store_unwatch(r->rt->store, &r->watcher);
    pthread_mutex_lock(&r->mu);
    r->is_stopping = true;
    pthread_cond_broadcast(&r->wake);
    pthread_cond_broadcast(&r->moved);
    pthread_mutex_unlock(&r->mu);
    pthread_join(r->thread, NULL);
}

void view_runner_stop(view_runner *r)
{
    if (r->is_started)
        end_thread(r);
    r->is_started = false;
}

void view_runner_done(view_runner *r)
{
    if (!r->is_initialised)
        return;
    assert(!r->is_started);
    ex_lease_drop(r->lease);
    ex_arena_done(&r->arena);
    view_texts_done(&r->texts);
    view_rows_done(&r->rows);
    view_window_done(&r->window);
    done_locks(r);
    r->is_initialised = false;
}
