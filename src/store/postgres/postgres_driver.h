/* postgres_driver.h: the parts of the PostgreSQL driver: one writing connection, interned names,
 * what others appended, and a thread that listens. */
#ifndef EXCORE_STORE_POSTGRES_POSTGRES_DRIVER_H
#define EXCORE_STORE_POSTGRES_POSTGRES_DRIVER_H

#include <pthread.h>
#include <stdatomic.h>

#include "kernel/map.h"
#include "sql/postgres/pg_conn.h"
#include "store/driver.h"
#include "store/postgres/statements.h"

/* Settings of every session: the statements are made for nested loops over indexes in their order,
 * and a plan that was chosen from the statistics of an empty table would be kept. */
#define PG_SESSION_SQL                                                                             \
    "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; "                         \
    "SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; "         \
    "SET enable_sort = off; SET max_parallel_workers_per_gather = 0; SET jit = off; "

#define PG_TAG_NAMES_LIMIT 16384

/** What a batch wrote, to recognise it after a commit whose fate is unknown (fate.c). */
typedef struct pg_written_event {
    ex_id id;
    int64_t recorded_at_us;
} pg_written_event;

typedef struct pg_written {
    uint64_t first; /* position of its first event */
    pg_written_event *events;
    uint32_t count, room;
    int64_t recorded_at_us; /* of the last one */
    ex_pg_args commands;    /* COMMANDS_ARE, the first of its commands */
    bool has_command;
} pg_written;

/** The head as this writer last saw or left it. */
typedef struct pg_left {
    store_head head;
    uint64_t last_id;
    bool is_known;
} pg_left;

/** The last event that this node knows (log_end.c). */
typedef struct pg_log_end {
    uint64_t position; /* 0: none */
    pg_written_event event;
} pg_log_end;

/** The epochs of the log as the writing session has proven them (log_epoch.c). */
typedef struct pg_epochs {
    bool is_proven;  /* since the writer connected */
    uint64_t number; /* of the last one */
    int64_t table;   /* oid of log_head */
    ex_id log_id;
    ex_id adopted;                      /* in a batch of this node; nil: none */
    ex_log_epoch list[LOG_EPOCHS_KEPT]; /* oldest first */
    uint32_t count;
} pg_epochs;

/** The events that begin or refresh told. */
typedef struct pg_news {
    ex_pg_result rows;
    ex_event *events;
    uint64_t *stream_ids;
    uint32_t count, room;
    bool is_brief;
} pg_news;

/** The thread of its own that hears of commits (listener.c). */
typedef struct pg_listener {
    pthread_t thread;
    bool is_running;
    store_follow_fn *fn;
    void *ctx;
    _Atomic uint64_t end_ns; /* nothing is waited for past it */
    /* guarded by mu */
    pthread_mutex_t mu;
    pthread_cond_t stopping;
    bool is_stopping;
    ex_pg *pg; /* for ex_pg_wake; NULL while there is no connection */
} pg_listener;

typedef struct postgres_driver {
    /* immutable after open */
    char *url;
    char schema[EX_PG_NAME_SIZE];
    bool has_seen_time, has_server_start; /* features; immutable, too */
    char label[EX_PG_LABEL_SIZE];
    char channel[EX_PG_NAME_SIZE];
    ex_durability durability;
    bool is_read_only;
    void (*on_slow)(void *ctx, ex_slice statement, uint32_t elapsed_ms); /* nullable */
    void *slow_ctx;
    uint32_t slow_ms;
    uint32_t answer_ms;
    uint32_t outcome_wait_ms;
    log_identity *identity; /* what the store has taken in */
    /* any thread */
    _Atomic uint64_t end_ns; /* nothing is waited for past it */
    /* the sequencer's thread */
    ex_pg *writer;
    ex_pg_args args; /* of the statement that is being built */
    ex_map tags;     /* name -> id */
    store_head head; /* as the batch began */
    pg_left left;
    uint64_t last_id;  /* given to a name */
    uint64_t position; /* the head after what was written in this batch */
    bool has_written;  /* in this batch */
    pg_written written;
    bool is_unknown; /* what became of `written`; no other batch begins before */
    store_fate fate; /* to be told by the next begin */
    pg_log_end end;
    pg_epochs epochs;
    int64_t oldest_command_us; /* none is older; INT64_MIN: not known */
    int64_t seen_us;           /* time that nodes have seen pass; 0: not known */
    /* statements of write that were queued: their results stand before those of a question */
    size_t queued;
    size_t unsynced;      /* of all that is queued */
    size_t tags_at;       /* of queued, the one that tells ids of tags; SIZE_MAX: none */
    size_t seen_at;       /* the one that tells the time; SIZE_MAX: none */
    size_t oldest_at;     /* of queued, the one that tells the oldest command; SIZE_MAX: none */
    ex_slice *asked_tags; /* tags_at: what it asks for, borrowed from the batch's events */
    uint32_t asked_count, asked_room;
    uint64_t known; /* expect */
    const store_lookup *lookup;
    pg_news news;
    /* its own */
    pg_listener listener;
} postgres_driver;

/** Open a session for writing or reading, or of the listener. */
EX_NODISCARD ex_status pg_open_session(const postgres_driver *d, const char *setup_sql,
                                       const _Atomic uint64_t *end_ns, ex_pg **ret, ex_error *err);
/** The same of a reader, which sees only what the store has taken in. */
EX_NODISCARD ex_status pg_open_reader(postgres_driver *d, ex_pg **ret, ex_error *err);

/** Queue a statement with d->args. */
EX_NODISCARD ex_status pg_queue(postgres_driver *d, pg_statement which, ex_error *err);
/** Queue a statement of write: its result is taken away by pg_settle. */
EX_NODISCARD ex_status pg_queue_write(postgres_driver *d, pg_statement which, ex_error *err);
/** Send what is queued and take the results of write away, so that the next one is the first of
 *  what was queued behind them. */
EX_NODISCARD ex_status pg_settle(postgres_driver *d, ex_error *err);
/** The driver port knows one status for a failing engine; the message stays. */
ex_status pg_as_storage(ex_status status, ex_error *err);

/* ---- writer.c ---- */
/** The answer of HEAD or HEAD_LOCK; d->last_id is set, too. */
EX_NODISCARD ex_status pg_receive_head(postgres_driver *d, store_head *ret, ex_error *err);
/** Queue HEAD_MOVE from position `from`, with d->last_id. */
EX_NODISCARD ex_status pg_queue_head_move(postgres_driver *d, uint64_t from, const store_head *to,
                                          ex_error *err);
/** Nothing is in flight any more: the connection ended. */
void pg_forget_queued(postgres_driver *d);
ex_status pg_writer_begin(void *impl, store_head *ret, ex_error *err);
ex_status pg_writer_keep_time(void *impl, int64_t seen_us, store_seen_time *ret, ex_error *err);
ex_status pg_writer_expire_commands(void *impl, int64_t before_us, uint32_t limit, ex_error *err);
ex_status pg_writer_probe(void *impl, ex_error *err);
ex_status pg_writer_commit(void *impl, ex_error *err);
void pg_writer_rollback(void *impl);
ex_status pg_writer_begin_blind(void *impl, uint64_t known, store_head *ret, ex_error *err);
void pg_writer_expect(void *impl, uint64_t known, bool is_brief, const store_lookup *lookup);
void pg_writer_limit(void *impl, uint64_t deadline_ns);
void pg_writer_news(void *impl, store_news *ret);
ex_status pg_writer_refresh(void *impl, uint64_t known, bool is_brief, store_head *ret,
                            ex_error *err);
void pg_names_forget(postgres_driver *d);

/* ---- write.c ---- */
ex_status pg_writer_write(void *impl, const store_write *write, ex_error *err);
/** The answers that pg_settle meets. */
void pg_learn_tags(postgres_driver *d, const ex_pg_result *r);

/* ---- lookup.c ---- */
ex_status pg_find_streams(void *impl, store_stream *const *streams, uint32_t count, ex_error *err);
ex_status pg_find_events(void *impl, const store_event_key *keys, uint32_t count,
                         store_found_fn *fn, void *ctx, ex_error *err);
ex_status pg_read_stream(void *impl, const store_stream *stream, uint64_t from_version,
                         ex_batch_event_fn *fn, void *ctx, ex_error *err);
ex_status pg_find_command(void *impl, ex_slice command_id, ex_arena *arena, ex_command_record *ret,
                          ex_error *err);
ex_status pg_look_up(void *impl, const store_lookup *lookup, ex_error *err);
/** The two halves of pg_look_up, for begin. */
EX_NODISCARD ex_status pg_lookup_send(postgres_driver *d, const store_lookup *lookup,
                                      ex_error *err);
EX_NODISCARD ex_status pg_lookup_receive(postgres_driver *d, const store_lookup *lookup,
                                         ex_error *err);

/* ---- fate.c ---- */
/** The answer to COMMIT did not come: find out whether it happened.
 *  @return EX_OK (it did), EX_EAGAIN (it did not), EX_EOUTCOME (nobody could be asked in time),
 *          EX_ESTORAGE (the batch held nothing that anybody was promised) */
EX_NODISCARD ex_status pg_find_fate(postgres_driver *d, ex_error *err);
/** Before a batch, with a connection: find out what became of the one before, if that is not known.
 *  @return EX_OK, or why it is still not known */
EX_NODISCARD ex_status pg_settle_fate(postgres_driver *d, ex_error *err);
/** Put the arguments of EVENTS_ARE: events with positions that rise by one from `first` on. */
void pg_put_events_are(ex_pg_args *args, uint64_t first, const pg_written_event *events,
                       uint32_t count);
/** The first command of a batch is remembered. */
void pg_note_command(pg_written *w, const ex_command_record *record);
void pg_written_reset(pg_written *w);
void pg_written_done(pg_written *w);

/* ---- log_end.c ---- */
/** begin or refresh has told the news up to `head`: remember the last event. */
EX_NODISCARD ex_status pg_log_end_learn(postgres_driver *d, uint64_t head, ex_error *err);
/** The batch is committed: remember its last event. */
void pg_log_end_committed(postgres_driver *d);

/* ---- log_epoch.c ---- */
/** The session of the writer sees the log that this node knows, or an epoch says what it does not:
 *  one is opened if need be. Once for each session. Only when idle, outside a transaction.
 *  @return EX_OK, EX_ESTORAGE (another log) */
EX_NODISCARD ex_status pg_epoch_prove(postgres_driver *d, ex_error *err);
/** Do the epochs that were proven last say that what this node knows at `position` is lost? */
bool pg_epoch_explains(const postgres_driver *d, uint64_t position);
/** For a session that reads beside the writer, when it has connected (ex_pg_options.on_connected).
 *  @return EX_OK, EX_EAGAIN (the writer has to prove the log first) */
ex_status pg_epoch_check(void *ctx, ex_pg *pg, ex_error *err);
bool pg_writer_epochs(void *impl, store_epochs *ret);
ex_status pg_writer_adopt(void *impl, const store_epochs *epochs, ex_error *err);
/** Ask for the identity over any session that reads. */
EX_NODISCARD ex_status pg_epochs_ask(ex_pg *pg, ex_arena *arena, store_epochs *ret, ex_error *err);

/* ---- listener.c ---- */
ex_status pg_follow(void *impl, store_follow_fn *fn, void *ctx, ex_error *err);
void pg_unfollow(void *impl);

extern const store_reader_ops postgres_reader;

#endif
