/* runtime.h: runs an application on a store: commands, views, queries.
 *
 * The server is built on this; a program that embeds ExCore without a server
 * uses it directly. */
#ifndef EXCORE_RUNTIME_H
#define EXCORE_RUNTIME_H

#include <excore/app.h>
#include <excore/cancel.h>
#include <excore/store.h>

EX_BEGIN_DECLS

typedef struct ex_runtime ex_runtime;

/** Zero-initialised fields take the default in brackets. */
typedef struct ex_runtime_options {
    /* The store's place: a directory, in which views.db lies, or a postgres:// URL, where the views
     * have a schema beside the store's (NAME_views). In the words that ex_store_open was given it
     * is the store's own place, also after a chdir. NULL or EX_STORE_MEMORY: views in memory, a
     * private database */
    const char *dir;
    uint64_t state_cache_bytes; /* [64 MiB] states of aggregates kept by the sequencer */
    uint32_t state_cache_count; /* [100000] */
    uint32_t state_limit_bytes; /* [4 MiB] one state; a larger one fails its command */
    uint32_t view_batch_events; /* [1000] events in one view transaction */
    uint32_t view_retry_ms;     /* [1000] first wait after a failing handler; doubles to 30 s */
    uint32_t
        view_attempts; /* [3] of an event at a handler that fails for good, then it is parked */
    bool
        view_rebuilds_on_build; /* [no] a view whose rows another build of the program has written is
                                    built anew */
    uint32_t view_parked_limit; /* [1000] parked events of a view; at the limit it stops instead */
    uint32_t decide_warn_ms;    /* [100] the watchdog reports a decide that runs longer */
    uint32_t query_readers;     /* [4] read connections to the views; further queries wait */
    uint32_t query_timeout_ms;  /* [30000] one statement on the views: then the database ends it */
    uint32_t slow_statement_ms; /* [200] one that takes longer is reported, without values */
    /** Something an operator should know (a slow decide, a failing view). Any thread; must not
     * block. [none] */
    void (*report)(void *ctx, const char *what, const char *name, const ex_error *err);
    void *report_ctx;
    struct ex_metrics *metrics; /* [none] */
    /** Nodes that share a PostgreSQL share the views out among them. */
    uint32_t lease_ms;        /* [10000] a view of a node that died goes on elsewhere after it */
    struct ex_leases *leases; /* [its own] */
} ex_runtime_options;

/** Check the application (names, duplicates, type tables, event names, each query on the engine),
 * open views.db, start the views. All faults are in the one message of err, the first by name.
 *  @param app    must outlive the runtime
 *  @return EX_OK, EX_EINVAL, EX_EEXISTS (a name registered twice: both named), EX_EFILESYSTEM,
 * EX_EFORMAT, EX_ENOMEM Thread: any. Blocking: yes, independent of the size of the log. */
EX_API EX_NODISCARD ex_status ex_runtime_start(ex_store *store, const ex_app *app,
                                               const ex_runtime_options *options, ex_runtime **ret,
                                               ex_error *err);
/** Stop the views, end queries (those under way have a second), wait for commands in flight, free.
 *  Before ex_store_close. NULL is accepted. */
EX_API void ex_runtime_stop(ex_runtime *rt);
EX_API const ex_app *ex_runtime_app(const ex_runtime *rt);

/** Check an event that comes from outside before it is appended. In a stream of an aggregate (by
 * the category of the name) the aggregate must handle its type or ignore it (EX_IGNORES), it must
 * fit the aggregate's type for it, in schema version and data, and its EX_KEY field must be the
 *  stream's id. In any stream it must fit the type of each view that handles it. What nobody reads
 *  passes. The server asks this for every append; a program that appends to the store itself may.
 *  Unknown members are fine: readers pass over them.
 *  @param event borrowed for the call; only type, schema version and data matter
 *  @return EX_OK, EX_EINVAL (code EVENT_DOES_NOT_FIT; field is "type", "schema_version" or the path
 *          in the event: "data.items[2].quantity"), EX_ENOMEM
 *  Thread: any. Blocking: no. */
EX_API EX_NODISCARD ex_status ex_runtime_check_event(const ex_runtime *rt, ex_slice stream,
                                                     const ex_new_event *event, ex_error *err);

/* ---- Commands ---- */

typedef enum ex_outcome { EX_EXECUTED = 1, EX_FAILED = 2 } ex_outcome;

typedef struct ex_command_event {
    ex_slice type; /* static */
    ex_id id;
    uint64_t position;
    uint64_t version;
} ex_command_event;

typedef struct ex_command_result {
    ex_outcome outcome;       /* EX_FAILED: a business failure that its event records */
    ex_slice reason;          /* of EX_FAILED */
    uint64_t version;         /* of the stream after it */
    uint64_t position;        /* of the last event; without events: the log's head */
    ex_command_event *events; /* in the call's arena */
    uint32_t event_count;
    bool is_duplicate; /* the stored outcome of an earlier call with the same id */
    /** Of the events that it emits; set once the call is queued. In the call's arena, or its own.
     */
    ex_slice correlation_id;
} ex_command_result;

typedef struct ex_command_call ex_command_call;

/** A command and its answer. Zero-initialise, fill the first part. */
struct ex_command_call {
    ex_slice context, aggregate, id, command;
    ex_slice payload;        /* JSON object; empty is {} */
    ex_slice command_id;     /* 1 to 255 bytes; empty: none, the command is not remembered */
    ex_slice correlation_id; /* empty: a new one */
    ex_slice causation_id;   /* ignored when empty: events are caused by the command id */
    ex_slice actor;          /* "$actor" of the events' metadata; empty: none */
    ex_expected expected;    /* of the aggregate's stream */
    /** Called once on the sequencer's thread; must not block. status EX_OK: `result` is set.
     *  EX_EREJECTED: err->code is the rejection's. EX_EOUTCOME: it may have taken effect, or not; a
     *  command with an id is simply repeated, for one without it whoever calls looks for events
     *  with result.correlation_id first. Not called when ex_command_submit fails. */
    void (*done)(ex_command_call *call, ex_status status, const ex_error *err);
    void *ctx;
    ex_command_result result;
    struct ex_command_work *work; /* the runtime's */
};

/** Check and decode the command on this thread, then queue it.
 *  @param call  stays borrowed until done, with all it points to
 *  @param arena lent until done: nobody else may use it meanwhile
 *  @return EX_OK, EX_ENOTFOUND (code UNKNOWN_CONTEXT, UNKNOWN_AGGREGATE, UNKNOWN_COMMAND),
 * EX_EINVAL, EX_EMALFORMED, EX_ETOOLARGE, EX_EOVERLOADED, EX_ECLOSED, EX_ENOMEM Thread: any.
 * Blocking: no. */
EX_API EX_NODISCARD ex_status ex_command_submit(ex_runtime *rt, ex_command_call *call,
                                                ex_arena *arena, ex_error *err);
/** The same and wait; `done` is not used. @return also EX_EREJECTED, EX_ECONFLICT,
 *  EX_EIDEMPOTENCY (same command id, other content), EX_ESTORAGE, EX_EOUTCOME, EX_ETIMEOUT (a long
 * stream, and no reader of the store became free). Blocking: until committed. */
EX_API EX_NODISCARD ex_status ex_command_run(ex_runtime *rt, ex_command_call *call, ex_arena *arena,
                                             ex_error *err);

/* ---- Queries ---- */

typedef struct ex_query_call {
    ex_slice context, query;
    const ex_json *params; /* an object, or NULL; texts are converted to the parameter's kind */
    ex_slice cursor;       /* continue_cursor of the page before; empty: the first */
    uint32_t limit; /* page or list size; 0: 20; clamped to 1..100 (pages), 1..1000 (lists) */
    uint64_t min_position; /* wait until the view has seen it; 0: do not */
    uint32_t timeout_ms;   /* for that; 0: 5000 */
    ex_cancel *cancel; /* ends the query when nobody wants its answer; NULL: it runs to its end */
} ex_query_call;

/** Run a named query and append its answer as JSON:
 *  page {"items":[…],"continue_cursor":text|null,"is_done":bool,"position":N}, list
 * {"items":[…],"position":N}, single {"item":{…}|null,"position":N}, count
 * {"count":N,"position":N}.
 *  @return EX_OK, EX_ENOTFOUND (UNKNOWN_CONTEXT, UNKNOWN_QUERY), EX_EINVAL (a parameter; bad or
 * foreign cursor: code INVALID_CURSOR), EX_ETIMEOUT (min_position not reached,
 * or longer than query_timeout_ms), EX_ECANCELLED, EX_ESTORAGE, EX_ECLOSED Thread: any. Blocking:
 * disk reads, and up to the time-out. */
EX_API EX_NODISCARD ex_status ex_query_run(ex_runtime *rt, const ex_query_call *call,
                                           ex_arena *scratch, ex_buf *out, ex_error *err);

/* ---- View status ---- */

typedef enum ex_view_state {
    EX_VIEW_REBUILDING,
    EX_VIEW_ACTIVE,
    EX_VIEW_PAUSED,
    EX_VIEW_ERROR,
    EX_VIEW_STANDBY /* another node applies its events; queries are answered here as well */
} ex_view_state;

typedef struct ex_view_status {
    const char *context;
    const char *name;
    ex_view_state state;
    uint64_t position;   /* the checkpoint */
    uint64_t lag;        /* events between it and the log's head */
    char error[256];     /* the last failure, or why it was built anew at the start; "" when none */
    uint64_t parked;     /* events that it could not apply and left out, and nobody has settled */
    bool is_other_build; /* its rows were written by another build of the program */
} ex_view_status;

/** Status of view `index`; false after the last. Thread: any. Blocking: no. */
EX_API bool ex_runtime_view_status(ex_runtime *rt, uint32_t index, ex_view_status *ret);
typedef enum ex_parked_state {
    EX_PARKED_OPEN,
    EX_PARKED_RETRY,  /* somebody wants it to be tried again, which will be soon */
    EX_PARKED_SKIPPED /* somebody has said why it stays out */
} ex_parked_state;

/** An event that a view left out, because it does not fit its type or the handler failed for good.
 *  The event is in the log, at its position; a rebuild tries it again. */
typedef struct ex_parked_event {
    uint64_t position;
    ex_slice stream, type, reason;
    uint32_t attempts;
    int64_t parked_at_us; /* microseconds since 1970, UTC */
    ex_parked_state state;
    ex_slice settled_by;   /* who asked for a retry, or skipped it; "" when nobody did */
    ex_slice note;         /* why it was skipped */
    int64_t settled_at_us; /* 0: never */
} ex_parked_event;

/** Borrowed for the call. Must not call the runtime. */
typedef void ex_parked_fn(void *ctx, const ex_parked_event *event);
/** Call `fn` for up to `limit` parked events of a view after a position, in order.
 *  @return EX_OK, EX_ENOTFOUND, EX_EAGAIN (no read connection), EX_ESTORAGE, EX_ECLOSED.
 *  Thread: any. Blocking: disk reads. */
EX_API EX_NODISCARD ex_status ex_runtime_view_parked(ex_runtime *rt, const char *view,
                                                     uint64_t after, uint32_t limit,
                                                     ex_parked_fn *fn, void *ctx, ex_error *err);
/** What became of a retry. */
typedef struct ex_view_retried {
    uint64_t asked;        /* events */
    uint64_t applied;      /* and no longer parked */
    uint64_t parked_again; /* with a new reason */
    uint64_t waiting; /* not tried yet: the view is paused or stands still, or its node is away */
} ex_view_retried;

/** Have a parked event applied now, after all that the view has applied since; skipped ones, too.
 *  Whether that is right is the view's to know: one that needs the order of the log is rebuilt
 *  instead. The node that applies the view's events does it, once, in one transaction with the end
 *  of its being parked; the checkpoint stays. It is done even when nobody waits for it.
 *  @param position 0: all that are parked and not skipped, in their order
 *  @param by         who asks; up to 200 bytes, may be empty
 *  @param timeout_ms wait so long for it; another node sees it within a second
 *  @return EX_OK (also when some are left waiting), EX_ENOTFOUND (no such view; it is not parked),
 *          EX_EINVAL, EX_EAGAIN, EX_ESTORAGE, EX_ECLOSED. Thread: any. Blocking: yes. */
EX_API EX_NODISCARD ex_status ex_runtime_view_retry(ex_runtime *rt, const char *view,
                                                    uint64_t position, ex_slice by,
                                                    uint32_t timeout_ms, ex_view_retried *ret,
                                                    ex_error *err);
/** Settle a parked event: it stays out of the view, is no longer counted and is not asked about again,
 *  also when a rebuild cannot apply it either. As long as views.db is there.
 *  @param reason up to 1,000 bytes. @return as ex_runtime_view_retry. Thread: any. */
EX_API EX_NODISCARD ex_status ex_runtime_view_skip(ex_runtime *rt, const char *view,
                                                   uint64_t position, ex_slice by, ex_slice reason,
                                                   ex_error *err);
/** Pause, resume or rebuild from position 0 (also out of the error state). A rebuild shows in the
 *  status as soon as it was asked for.
 *  @return EX_OK, EX_ENOTFOUND, EX_ESTATE (names view, state and move). Thread: any. */
EX_API EX_NODISCARD ex_status ex_runtime_view_pause(ex_runtime *rt, const char *view,
                                                    ex_error *err);
EX_API EX_NODISCARD ex_status ex_runtime_view_resume(ex_runtime *rt, const char *view,
                                                     ex_error *err);
EX_API EX_NODISCARD ex_status ex_runtime_view_rebuild(ex_runtime *rt, const char *view,
                                                      ex_error *err);

EX_END_DECLS

#endif
