/* views.h: the read models of an application: views.db, a runner for each view, read connections.
 *
 * DIR/views.db
 *     excore_views (view TEXT PRIMARY KEY, version INTEGER, fingerprint INTEGER, position INTEGER)
 *     excore_parked (view, position, stream, type, reason, attempts, parked_at): what views left
 * out one table for each row type
 *
 * A view's rows and its checkpoint change in one transaction. The file can be
 * deleted: every view is then rebuilt from the log. One connection writes,
 * guarded by a mutex, a batch of one view at a time. */
#ifndef EXCORE_RUNTIME_VIEWS_H
#define EXCORE_RUNTIME_VIEWS_H

#include "runtime/runtime_internal.h"
#include "sql/sqlite_db.h"
#include "store/tail.h"

typedef struct view_runner {
    /* immutable after start */
    ex_runtime *rt;
    struct views *views;
    const ex_context *context;
    const ex_view_def *def;
    pthread_t thread;
    bool is_started;
    ex_watcher watcher;
    ex_gauge *lag_gauge, *position_gauge, *parked_gauge;
    ex_counter *events_counter, *failures_counter;
    /* the runner's thread */
    ex_subscription *sub;
    uint64_t stored_position; /* the checkpoint in views.db */
    bool may_rest;            /* something was applied since the last rest */
    ex_arena arena;
    sqlite3_stmt **statements; /* ROW_STATEMENTS for each table, NULL until used; the writer's */
    bool is_careful;           /* a savepoint around each event: the last transaction failed */
    bool retry_at_once;        /* the failure is understood: no pause */
    uint64_t faulty_position;  /* of the event that failed last */
    uint32_t attempts;         /* that it had */
    uint64_t parked;           /* events in excore_parked; the status has a copy */
    /* guarded by mu */
    pthread_mutex_t mu;
    pthread_cond_t wake;  /* for the runner: a commit, or a request */
    pthread_cond_t moved; /* for queries: position rose */
    ex_view_state state;
    uint64_t position;   /* everything up to it was applied or passed over */
    uint64_t rebuild_to; /* REBUILDING ends there */
    uint64_t wanted;     /* the highest position that anybody has waited for */
    bool has_news, is_resting, is_stopping, wants_pause, wants_rebuild;
    uint32_t failures; /* in a row */
    uint64_t shown_parked;
    char error[256];
} view_runner;

typedef struct views {
    ex_runtime *rt;
    char *path; /* NULL: in memory, then readers share the writer */
    view_runner *runners;
    uint32_t runner_count;
    /* guarded by write_mu */
    pthread_mutex_t write_mu;
    ex_db writer;
    /* guarded by pool_mu */
    pthread_mutex_t pool_mu;
    pthread_cond_t pool_free;
    ex_db *readers;
    bool *is_taken;
    uint32_t reader_count;
} views;

EX_NODISCARD ex_status views_start(ex_runtime *rt, views **ret, ex_error *err);
/** NULL and half-started ones are accepted. */
void views_stop(views *v);
view_runner *views_find(views *v, const ex_view_def *def);
/** @return EX_OK, EX_ENOTFOUND */
EX_NODISCARD ex_status views_find_name(views *v, const char *view, view_runner **ret,
                                       ex_error *err);

/** Borrow a read connection; waits for one. Give it back with views_unlock_reader. */
EX_NODISCARD ex_status views_lock_reader(views *v, ex_db **ret, ex_error *err);
void views_unlock_reader(views *v, ex_db *db);

/* view_runner.c */
EX_NODISCARD ex_status view_runner_start(view_runner *r, ex_error *err);
void view_runner_stop(view_runner *r);
/** Wait until the view has seen `position`. @return EX_OK, EX_ETIMEOUT, EX_ECLOSED */
EX_NODISCARD ex_status view_runner_wait(view_runner *r, uint64_t position, uint32_t timeout_ms,
                                        ex_error *err);
/** The position up to which everything was applied or passed over. Thread: any. */
uint64_t view_runner_position(view_runner *r);

/* view_store.c: checkpoints and tables; write_mu is held */
/** Create what is missing; drop and recreate the tables of a changed definition (position 0). */
EX_NODISCARD ex_status view_store_prepare(views *v, const ex_view_def *def, bool must_rebuild,
                                          uint64_t *ret_position, ex_error *err);
EX_NODISCARD ex_status view_store_checkpoint(views *v, const ex_view_def *def, uint64_t position,
                                             ex_error *err);
EX_NODISCARD ex_status view_store_position(ex_db *db, const ex_view_def *def, uint64_t *ret,
                                           ex_error *err);

/* view_parked.c; write_mu is held */
EX_NODISCARD ex_status view_parked_put(views *v, const ex_view_def *def, const ex_event *event,
                                       uint32_t attempts, const char *reason, ex_error *err);
EX_NODISCARD ex_status view_parked_forget(views *v, const ex_view_def *def, ex_error *err);
EX_NODISCARD ex_status view_parked_count(views *v, const ex_view_def *def, uint64_t *ret,
                                         ex_error *err);

/* view_apply.c */

/** What one transaction committed; all 0: nothing. */
typedef struct view_progress {
    uint64_t position;
    uint32_t applied, parked;
} view_progress;

/** Apply `event` and what follows it in memory, in one transaction. write_mu is held. *ret is set
 *  whenever something was committed, also before a failure. The runner's thread. */
EX_NODISCARD ex_status view_apply_batch(view_runner *r, ex_event *event, view_progress *ret,
                                        ex_error *err);

/* view_tx.c */
enum { ROW_SELECT, ROW_UPSERT, ROW_DELETE, ROW_STATEMENTS };

struct ex_view_tx {
    ex_db *db;
    const ex_view_def *def;
    ex_arena *arena;
    sqlite3_stmt **statements; /* the runner's */
    ex_status status;          /* of the first failure, sticky */
    ex_error error;
};

#endif
