/* views.h: the read models of an application: their database, a runner for each view, connections.
 *
 * DIR/views.db, or the schema NAME_views beside the store's schema NAME in PostgreSQL
 *     excore_views (view TEXT PRIMARY KEY, version INTEGER, fingerprint INTEGER, position INTEGER,
 *     log, epoch, event TEXT, definition INTEGER, build TEXT): the checkpoint, what proves it to be
 *     a place of the log, what the rows were made by (view_definition.h)
 *     excore_parked (view, position, stream, type, reason, attempts, parked_at, state, settled_by,
 *     note, settled_at): what views left out, and what is to be done with it (view_settle.h)
 *     one table for each row type
 *
 * A view's rows and its checkpoint change in one transaction. All of it can be
 * deleted: every view is then rebuilt from the log. In a file one connection
 * writes, a batch of one view at a time.
 *
 * Where several nodes share the database each view has a lease, "view:NAME"
 * (sql/lease.h). The runner on the node that holds it applies events; on the
 * others it stands by (view_standby.c). Without other nodes it is always held. */
#ifndef EXCORE_RUNTIME_VIEWS_H
#define EXCORE_RUNTIME_VIEWS_H

#include "kernel/cancel.h"
#include "runtime/runtime_internal.h"
#include "runtime/view_ahead.h"
#include "runtime/view_rows.h"
#include "sql/lease.h"
#include "sql/sql_migrate.h"
#include "sql/sql_pool.h"
#include "store/tail.h"

#include <limits.h>

#define PARKED_LOOK_MS 1000u /* between two looks for what others ask about parked events */

enum {
    ROW_SELECT,
    ROW_UPSERT,
    ROW_DELETE,
    ROW_SELECT_ALL, /* these for sets of rows, on PostgreSQL */
    ROW_UPSERT_ALL,
    ROW_DELETE_ALL,
    ROW_STATEMENTS
};

/** The SQL of a view's handlers: ROW_STATEMENTS for each table. */
typedef struct view_texts {
    ex_arena arena;
    ex_slice *texts;
} view_texts;

/** A place in a log: what a checkpoint holds, so that a view is never taken for one of another log,
 *  or of a part of this one that was lost (view_proof.c). */
typedef struct view_place {
    uint64_t position;
    ex_id event; /* the one at `position`; nil: not known, or position 0 */
    ex_id log;
    ex_id epoch; /* in which the position was read */
} view_place;

/* Events in excore_parked. */
typedef struct view_parked_counts {
    uint64_t open; /* that nobody has settled */
    uint64_t all;  /* with those that were skipped */
} view_parked_counts;

typedef struct view_runner {
    /* immutable after start */
    ex_runtime *rt;
    struct views *views;
    const ex_context *context;
    const ex_view_def *def;
    pthread_t thread;
    bool is_initialised, is_started;
    ex_watcher watcher;
    ex_gauge *lag_gauge, *position_gauge, *parked_gauge;
    ex_counter *events_counter, *failures_counter;
    ex_lease *lease;
    /* the runner's thread */
    uint64_t token;         /* of the lease, for its proof */
    uint64_t next_relevant; /* standby: the event found last */
    bool is_outdated;       /* the database has a newer version of the view: stands by for good */
    ex_subscription *sub;
    uint64_t stored_position; /* the checkpoint in views.db */
    bool may_rest;            /* something was applied since the last rest */
    ex_arena arena;
    view_texts texts;
    view_rows rows;
    view_window window;        /* on a server */
    bool is_careful;           /* a savepoint around each event: the last transaction failed */
    bool retry_at_once;        /* the failure is understood: no pause */
    bool is_handlers;          /* the failure came from a handler, over a connection that works */
    uint32_t away;             /* failures in a row that were the database's */
    uint64_t failing_ns;       /* since when they were not a handler's; 0: it works */
    uint64_t faulty_position;  /* of the event that failed last */
    uint32_t attempts;         /* that it had */
    view_parked_counts parked; /* in excore_parked; the status has a copy */
    uint64_t looked_ns;        /* when it was last asked what is to be done with them; 0: never */
    /* guarded by mu */
    pthread_mutex_t mu;
    pthread_cond_t wake;  /* for the runner: a commit, or a request */
    pthread_cond_t moved; /* for queries: position rose */
    ex_view_state state;
    uint64_t position;   /* everything up to it was applied or passed over … */
    uint64_t based_on;   /* … as long as the checkpoint is not below this */
    uint64_t rebuild_to; /* REBUILDING ends there */
    uint64_t wanted;     /* the highest position that anybody has waited for */
    bool has_news, is_resting, is_stopping, wants_pause, wants_rebuild;
    bool wants_look;     /* somebody here has asked for something about parked events */
    bool is_other_build; /* the rows were written by another build of the program */
    bool is_standby;     /* another node has the lease */
    bool is_lease_moved; /* it came or went since the runner looked */
    uint32_t failures;   /* in a row */
    uint64_t shown_parked;
    char error[256];
    /* any thread */
    atomic_bool has_tables; /* they were seen; they never go for good while somebody runs */
} view_runner;

typedef struct views {
    ex_runtime *rt;
    ex_sql_pool *pool;
    ex_sql_engine engine;
    view_runner *runners;
    uint32_t runner_count;
    bool was_damaged; /* views.db was, and is built anew */
} views;

EX_NODISCARD ex_status views_start(ex_runtime *rt, views **ret, ex_error *err);
/** End the threads, refuse queries, end those under way. NULL and half-started ones are accepted.
 *  Blocking: a second for queries, then until they notice. */
void views_stop(views *v);
/** When nobody uses them any more. NULL is accepted. */
void views_free(views *v);
/** R-02-15: can a query have a connection, and does it work? Blocking: 5 s. */
EX_NODISCARD ex_status views_check(ex_runtime *rt, ex_error *err);
view_runner *views_find(views *v, const ex_view_def *def);
/** @return EX_OK, EX_ENOTFOUND */
EX_NODISCARD ex_status views_find_name(views *v, const char *view, view_runner **ret,
                                       ex_error *err);

/* view_runner.c */
/** Set up and want the lease; view_runner_start then starts the thread. */
EX_NODISCARD ex_status view_runner_init(view_runner *r, ex_error *err);
EX_NODISCARD ex_status view_runner_start(view_runner *r, ex_error *err);
void view_runner_stop(view_runner *r);
/** After view_runner_stop, when nobody waits for it any more. */
void view_runner_done(view_runner *r);
/** Wait until the view has seen `position`. @return EX_OK, EX_ETIMEOUT, EX_ECLOSED */
EX_NODISCARD ex_status view_runner_wait(view_runner *r, uint64_t position, uint32_t timeout_ms,
                                        ex_cancel *cancel, ex_error *err);
/** Until the view moves, a few milliseconds at most. Thread: any. */
void view_runner_pause(view_runner *r);
/** The position up to which everything was applied or passed over. Thread: any.
 *  @param ret_based_on a checkpoint below it was written since: the view is built anew, and the
 *                      position holds no more */
uint64_t view_runner_position(view_runner *r, uint64_t *ret_based_on);

/* view_runner.c, for view_standby.c: the runner's thread */
/** Follow the log behind `position`, read in `epoch` (nil: not known). */
EX_NODISCARD ex_status view_runner_subscribe(view_runner *r, uint64_t position, const ex_id *epoch,
                                             ex_error *err);
void view_runner_publish(view_runner *r, uint64_t position);
/** Is something asked of it, other than to follow the log? mu is held. */
bool view_runner_is_called(const view_runner *r);

/* view_state.c; mu is held */
bool view_may_move(const view_runner *r, ex_view_state to);
/** Asserts that it may. */
void view_move(view_runner *r, ex_view_state to);

/* view_standby.c: the runner's thread, instead of applying */
EX_NODISCARD ex_status view_standby_open(view_runner *r, ex_error *err);
EX_NODISCARD ex_status view_standby_follow(view_runner *r, ex_error *err);

/* view_apply.c */
/** The handler for a type of event, NULL: none. */
const ex_when_def *view_find_when(const ex_view_def *def, ex_slice type);
/** Begin a transaction that writes for the view, with the proof that this node may: every such
 *  transaction begins here. On failure nothing is open. The runner's thread. */
EX_NODISCARD ex_status view_begin(view_runner *r, ex_sql *db, ex_sql_tx *ret, ex_error *err);

/* view_store.c */
/** Where the views of a store lie: its directory or URL, NULL for memory. @param path holds it */
EX_NODISCARD ex_status view_store_place(const char *dir, char path[PATH_MAX], ex_sql_options *ret,
                                        ex_error *err);
EX_NODISCARD ex_status view_store_migrate(ex_sql *db, const ex_clock *clock, ex_error *err);
/** Drop the view's tables and make them anew, empty, with their indexes. */
EX_NODISCARD ex_status view_store_create_tables(ex_sql *db, const ex_view_def *def, ex_error *err);
/** Do the tables lack what this program would add? For those who only read. */
EX_NODISCARD ex_status view_store_is_older(ex_sql *db, bool *ret, ex_error *err);
typedef struct view_prepared {
    view_place place;    /* the checkpoint; without a proof everything but the position is nil */
    const char *why;     /* the tables were made anew, "" for a reason that is known; NULL: kept */
    bool is_other_build; /* the rows were written by another build of the program */
} view_prepared;
/** Create what is missing; drop and recreate the tables of a changed definition (position 0).
 *  @param rebuilds_on_build also when only the build of the program is another
 *  @return EX_EFORMAT when another node has a newer version of the view */
EX_NODISCARD ex_status view_store_prepare(ex_sql *db, const ex_view_def *def, bool must_rebuild,
                                          bool rebuilds_on_build, view_prepared *ret,
                                          ex_error *err);
/** Within a transaction: keep other nodes off the view. @return EX_EAGAIN when it is not at
 * `position` any more: another node has moved it */
EX_NODISCARD ex_status view_store_lock(ex_sql *db, const ex_view_def *def, uint64_t position,
                                       ex_error *err);
/** Move the checkpoint. @return EX_EAGAIN as view_store_lock */
EX_NODISCARD ex_status view_store_checkpoint(ex_sql *db, const ex_view_def *def, uint64_t from,
                                             const view_place *to, ex_error *err);
/** How far the node that holds the lease is; 0 while it has an older version of the view. */
EX_NODISCARD ex_status view_store_seen(ex_sql *db, const ex_view_def *def, uint64_t *ret,
                                       ex_error *err);
/** Are all tables of the view there? Not before its first turn; not in a transaction that reads. */
EX_NODISCARD ex_status view_store_has_tables(ex_sql *db, const ex_view_def *def, bool *ret,
                                             ex_error *err);
/** First in a transaction that reads, when they are there: a rebuild does not put other tables in
 * the place of the view's before it ends. PostgreSQL would show the new ones to an old snapshot,
 * and show them empty. */
EX_NODISCARD ex_status view_store_hold(ex_sql *db, const ex_view_def *def, ex_error *err);
EX_NODISCARD ex_status view_store_position(ex_sql *db, const ex_view_def *def, uint64_t *ret,
                                           ex_error *err);

/* view_proof.c: the runner's thread */
/** The place of the log that a checkpoint is going to hold.
 *  @param event at `position`; nil: it is read. @return as ex_cursor_next. Blocking: disk reads */
EX_NODISCARD ex_status view_proof_make(view_runner *r, uint64_t position, const ex_id *event,
                                       view_place *ret, ex_error *err);
/** Is this a place of the store's log?
 *  @return EX_OK, EX_ELOGCHANGED (err says how it differs), or why that cannot be found out */
EX_NODISCARD ex_status view_proof_check(view_runner *r, const view_place *place, ex_error *err);

/* view_parked.c */
EX_NODISCARD ex_status view_parked_put(view_runner *r, ex_sql *db, const ex_event *event,
                                       const char *reason, ex_error *err);
EX_NODISCARD ex_status view_parked_forget(ex_sql *db, const ex_view_def *def, ex_error *err);
EX_NODISCARD ex_status view_parked_count(ex_sql *db, const ex_view_def *def,
                                         view_parked_counts *ret, ex_error *err);

/* view_retry.c: the runner's thread */
/** See to what was asked for parked events (view_settle.h), when it is time to look. Not while
 *  standing by. */
EX_NODISCARD ex_status view_retry_asked(view_runner *r, ex_error *err);

/* view_apply.c */

/** What one transaction committed; all 0: nothing. */
typedef struct view_progress {
    uint64_t position;
    uint32_t applied, parked;
    view_parked_counts counts; /* of all that is parked now; set when `parked` is */
} view_progress;

/** Call the handler; a crash in it is told with view and event. */
ex_status view_run_handler(const view_runner *r, struct ex_view_tx *tx, const ex_when_def *when,
                           const void *data, const ex_event *event);
/** Apply one event within a transaction.
 *  @param data     as its handler reads it; NULL: it is read here
 *  @param ret_fits false when the event itself is at fault. The failure is in tx->error, and says
 *                  where. */
EX_NODISCARD ex_status view_apply_event(view_runner *r, struct ex_view_tx *tx,
                                        const ex_event *event, void *data, bool *ret_fits);
/** Apply `event` and what follows it in memory, in one transaction. *ret is set
 *  whenever something was committed, also before a failure. The runner's thread. */
EX_NODISCARD ex_status view_apply_batch(view_runner *r, ex_sql *db, ex_event *event,
                                        view_progress *ret, ex_error *err);

/* view_tx.c */
EX_NODISCARD ex_status view_texts_init(view_texts *t, const ex_view_def *def, ex_sql_engine engine,
                                       ex_error *err);
void view_texts_done(view_texts *t);
/** A statement of the view's own on `table`, for view_rows.c. */
EX_NODISCARD ex_status view_tx_prepare(ex_view_tx *tx, uint32_t table, uint32_t which,
                                       ex_sql_stmt **ret);

struct ex_view_tx {
    ex_sql *db;
    const ex_view_def *def;
    ex_arena *arena;
    const view_texts *texts;
    view_rows *rows;  /* NULL: not worth keeping */
    bool is_ahead;    /* only to see which rows a handler loads: nothing that it does counts */
    bool is_blocked;  /* it asked for one that is not known yet */
    ex_status status; /* of the first failure, sticky */
    ex_error error;
};

#endif
