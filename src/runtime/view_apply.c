/* view_apply.c: one transaction of a view: apply events, move the checkpoint, park what cannot be
 * applied.
 *
 * Happy path: begin, apply up to view_batch_events, write the checkpoint, commit. On a server the
 * events are taken and the rows that they need are read first (view_ahead.h).
 *
 * Failures: the transaction is rolled back, and the next one is careful: it puts
 * a savepoint around each event, so that a failing one can be told from the
 * others. What the failure was decides (R-CB-16, R-PC-05, R-PC-11):
 *
 *   failure                               what follows
 *   ------------------------------------  ------------------------------------------------
 *   the event does not fit its type, or   parked at once: no attempt can go better
 *   has another schema version than it
 *   the handler failed, for good          tried again after a pause; parked when it is out of
 *                                         attempts
 *   disk, memory, database, a retryable   tried again until it works, never parked
 *   status
 *   the limit of parked events is reached as a failure for good, but never parked: the view
 *                                         stops there and shows it
 *
 * Events before the failing one are committed first: what was reached is kept, and an
 * event's attempts are counted while it is the first that fails. */
#include "kernel/running.h"
#include "runtime/event_decode.h"
#include "runtime/views.h"

typedef struct transaction {
    ex_view_tx tx;
    ex_sql_tx sql;
    uint32_t applied; /* events applied or parked */
    uint32_t parked;
    const view_ahead_item *ahead; /* of the event in hand; NULL: nobody has looked at it */
} transaction;

/* ---- One event ---- */

const ex_when_def *view_find_when(const ex_view_def *def, ex_slice type)
{
    for (uint32_t i = 0; i < def->event_count; i++)
        if (ex_slice_is(type, def->events[i].type->name))
            return &def->events[i];
    return NULL;
}

static ex_status read_data(view_runner *r, const ex_event *event, const ex_type *type, void **ret,
                           ex_error *err)
{
    event_decoder decoder = event_decoder_of(event->data, event->schema_version, &r->arena);
    *ret = ex_arena_alloc(&r->arena, type->size);
    return *ret ? event_decode(&decoder, type, &r->arena, *ret, err)
                : ex_raise(err, EX_ENOMEM, "no memory for an event");
}

ex_status view_run_handler(const view_runner *r, ex_view_tx *tx, const ex_when_def *when,
                           const void *data, const ex_event *event)
{
    ex_running place = {.what = "handler of view",
                        .context = ex_str(r->context->name),
                        .owner = r->def->name,
                        .name = when->type->name,
                        .stream = event->stream,
                        .version = event->version,
                        .position = event->position};
    ex_running_enter(&place);
    ex_status st = when->when(tx, data, event);
    ex_running_leave(&place);
    return st;
}

ex_status view_apply_event(view_runner *r, ex_view_tx *tx, const ex_event *event, void *data,
                           bool *ret_fits)
{
    const ex_when_def *when = view_find_when(r->def, event->type);
    *ret_fits = true;
    if (!when)
        return EX_OK;
    ex_arena_reset(&r->arena);
    ex_status st = data ? EX_OK : read_data(r, event, when->type, &data, &tx->error);
    if (st) {
        *ret_fits = ex_status_is_retryable(st);
    } else {
        st = view_run_handler(r, tx, when, data, event);
        st = tx->status ? tx->status : st;
        if (st && tx->error.status != st)
            (void)ex_raise(&tx->error, st, "the handler failed with %s", ex_status_code(st));
    }
    if (st)
        return ex_error_context(&tx->error, st, "%.*s at position %llu", EX_ARG(event->type),
                                (unsigned long long)event->position);
    return EX_OK;
}

static ex_status apply(view_runner *r, transaction *t, const ex_event *event, bool *ret_fits)
{
    return view_apply_event(r, &t->tx, event, t->ahead ? t->ahead->data : NULL, ret_fits);
}

/* ---- Its failure ---- */

/* The engine's trouble passes or is repaired; the rest is the handler's and the event's. */
static bool is_of_the_engine(ex_status st)
{
    return ex_status_is_retryable(st) || st == EX_ECORRUPT || st == EX_EFILESYSTEM ||
           st == EX_EREADONLY || st == EX_EDATABASE;
}

static void count_attempt(view_runner *r, const ex_event *event)
{
    if (r->faulty_position != event->position)
        r->attempts = 0;
    r->faulty_position = event->position;
    r->attempts++;
}

static bool is_given_up(const view_runner *r, ex_status st, bool fits)
{
    return !fits || (!is_of_the_engine(st) && r->attempts >= r->rt->options.view_attempts);
}

static bool has_room(const view_runner *r, const transaction *t)
{
    return r->parked.open + t->parked < r->rt->options.view_parked_limit;
}

static ex_status park(view_runner *r, transaction *t, const ex_event *event, ex_error *err)
{
    ex_error why = t->tx.error;
    t->tx.status = EX_OK;
    ex_status st = view_parked_put(r, t->tx.db, event, why.message, err);
    if (st)
        return st;
    t->parked++;
    runtime_report(r->rt, "view parks an event and goes on", r->def->name, &why);
    return EX_OK;
}

/* Another event cannot be parked: its failure says so. */
static ex_status hand_on(view_runner *r, transaction *t, ex_status failure, bool is_over,
                         ex_error *err)
{
    *err = t->tx.error;
    if (!is_over)
        return failure;
    return ex_error_context(err, failure, "%llu events are parked, no more can be",
                            (unsigned long long)r->parked.open + t->parked);
}

/* What was queued may fail only now. */
static ex_status flush_event(transaction *t, const ex_event *event)
{
    ex_status st = t->tx.rows ? view_rows_write(&t->tx) : EX_OK;
    st = st ? st : ex_sql_flush(t->tx.db, &t->tx.error);
    return st ? ex_error_context(&t->tx.error, st, "%.*s at position %llu", EX_ARG(event->type),
                                 (unsigned long long)event->position)
              : EX_OK;
}

/* Sets *ret_is_undone when the event failed and the transaction stands as it was before it. */
static ex_status apply_carefully(view_runner *r, transaction *t, const ex_event *event,
                                 bool *ret_is_undone, ex_error *err)
{
    bool fits = true;
    ex_sql_tx event_tx;
    ex_status st = ex_sql_begin(t->tx.db, EX_SQL_WRITE, &event_tx, err);
    if (st)
        return st;
    ex_status failure = apply(r, t, event, &fits);
    failure = failure ? failure : flush_event(t, event);
    if (!failure)
        return ex_sql_commit(&event_tx, err);
    r->is_handlers = !ex_sql_is_broken(t->tx.db);
    view_rows_forget(&r->rows);
    if (ex_sql_is_broken(t->tx.db) || ex_sql_rollback(&event_tx, NULL)) {
        *err = t->tx.error; /* the engine dropped the whole transaction: this is why */
        return failure;
    }
    count_attempt(r, event);
    bool is_over = is_given_up(r, failure, fits);
    if (is_over && has_room(r, t))
        return park(r, t, event, err);
    *ret_is_undone = true;
    return hand_on(r, t, failure, is_over, err);
}

static ex_status apply_boldly(view_runner *r, transaction *t, const ex_event *event, ex_error *err)
{
    bool fits = true;
    ex_status st = apply(r, t, event, &fits);
    if (!st)
        return EX_OK;
    *err = t->tx.error;
    r->is_handlers = !ex_sql_is_broken(t->tx.db);
    r->is_careful = true;
    if (fits)
        count_attempt(r, event);
    else
        r->retry_at_once = true;
    return st;
}

/* ---- The transaction ---- */

/* A write that was queued may have been refused for what an event held. */
static bool is_the_events(ex_status st)
{
    return st && !is_of_the_engine(st);
}

static ex_status write_rows(transaction *t, ex_error *err)
{
    ex_status st = t->tx.rows ? view_rows_write(&t->tx) : EX_OK;
    if (st)
        *err = t->tx.error;
    return st;
}

/* @param event the id of the one at `position`; nil: it is looked up */
static ex_status commit(view_runner *r, transaction *t, uint64_t position, const ex_id *event,
                        view_progress *ret, ex_error *err)
{
    view_place place;
    ex_status st = write_rows(t, err);
    st = st ? st : view_proof_make(r, position, event, &place, err);
    st = st ? st : view_store_checkpoint(t->tx.db, r->def, r->stored_position, &place, err);
    view_parked_counts counts = {0};
    if (t->parked && !st) /* one of them may have been skipped before a rebuild: no new one */
        st = view_parked_count(t->tx.db, r->def, &counts, err);
    st = st ? st : ex_sql_commit(&t->sql, err);
    if (st)
        return st;
    *ret = (view_progress){position, t->applied - t->parked, t->parked, counts};
    return EX_OK;
}

/* A failed event ends the transaction: what came before it is kept. */
static ex_status end_before(view_runner *r, transaction *t, const ex_event *event,
                            ex_status failure, view_progress *ret, ex_error *err)
{
    static const ex_id unseen;
    ex_error own;
    if (t->applied == 0)
        return failure;
    ex_status st = commit(r, t, event->position - 1, &unseen, ret, &own);
    if (st)
        *err = own;
    return st ? st : failure;
}

/* Where the transaction stands in the log. */
typedef struct log_place {
    uint64_t position;
    ex_id id;    /* of the event there */
    bool is_end; /* of what is in memory: no further event comes */
} log_place;

/* The next event, unless the transaction is full; at the end of what is in memory the position of
 * the subscription counts, which has passed over more. */
static ex_status poll_next(view_runner *r, ex_event *event, log_place *at, ex_error *err)
{
    ex_status st = ex_subscription_poll(r->sub, event, err);
    if (st != EX_ETIMEOUT && st != EX_EAGAIN)
        return st;
    *at = (log_place){ex_subscription_position(r->sub), ex_subscription_event_id(r->sub), true};
    return EX_OK;
}

static void take_next(view_runner *r, transaction *t, ex_event *event, log_place *at)
{
    const ex_event *next = view_window_next(&r->window, &t->ahead);
    if (next)
        *event = *next;
    else if (r->window.is_drained)
        *at = (log_place){r->window.position, r->window.id, true};
    else
        at->is_end = true;
}

static ex_status move_on(view_runner *r, transaction *t, ex_event *event, log_place *at,
                         ex_error *err)
{
    if (!t->tx.rows)
        return t->applied < r->rt->options.view_batch_events ? poll_next(r, event, at, err) : EX_OK;
    take_next(r, t, event, at);
    return EX_OK;
}

static ex_status apply_events(view_runner *r, transaction *t, ex_event *event, view_progress *ret,
                              ex_error *err)
{
    bool is_careful = r->is_careful, is_undone = false;
    log_place at = {0};
    ex_status st = EX_OK;
    while (!st && !at.is_end && t->applied < r->rt->options.view_batch_events) {
        at = (log_place){event->position, event->id, false};
        st = is_careful ? apply_carefully(r, t, event, &is_undone, err)
                        : apply_boldly(r, t, event, err);
        if (st)
            break;
        t->applied++;
        st = move_on(r, t, event, &at, err);
    }
    if (!st) {
        st = commit(r, t, at.position, &at.id, ret, err);
        r->is_careful = (is_careful && !st && t->parked) || (!is_careful && is_the_events(st));
    } else if (is_undone) {
        st = end_before(r, t, event, st, ret, err);
    }
    return st;
}

/* A careful transaction undoes rows with their event, so it reads them one by one. */
static ex_status look_ahead(view_runner *r, transaction *t, ex_event *event, ex_error *err)
{
    if (!t->tx.rows)
        return EX_OK;
    ex_status st = r->is_careful ? EX_OK : view_window_look(r, &t->tx);
    if (st)
        *err = t->tx.error;
    else
        *event = *view_window_next(&r->window, &t->ahead); /* the one that it was filled with */
    return st;
}

ex_status view_begin(view_runner *r, ex_sql *db, ex_sql_tx *ret, ex_error *err)
{
    ex_status st = ex_sql_begin(db, EX_SQL_WRITE, ret, err);
    if (st)
        return st;
    st = ex_lease_prove(r->lease, r->token, db, err);
    return st ? ex_sql_end(ret, st, err) : EX_OK;
}

ex_status view_apply_batch(view_runner *r, ex_sql *db, ex_event *event, view_progress *ret,
                           ex_error *err)
{
    bool is_server = r->views->engine == EX_SQL_POSTGRES;
    transaction t = {.tx = {.db = db,
                            .def = r->def,
                            .arena = &r->arena,
                            .texts = &r->texts,
                            .rows = is_server ? &r->rows : NULL}};
    ex_status st = is_server ? view_window_fill(r, event, err) : EX_OK;
    view_rows_forget(&r->rows);
    st = st ? st : view_begin(r, db, &t.sql, err);
    if (st)
        return st;
    st = view_store_lock(db, r->def, r->stored_position, err);
    if (st)
        r->retry_at_once = st == EX_EAGAIN && !ex_sql_is_broken(db);
    st = st ? st : look_ahead(r, &t, event, err);
    return st ? st : apply_events(r, &t, event, ret, err);
    /* what is still open is rolled back as the connection is given back */
}
