/* store.h: the event store: an append-only log of events in streams.
 *
 * One process at a time writes a store in files; several may share one in PostgreSQL. One thread,
 * the sequencer, orders all writes: it takes what is queued, writes it in one transaction, commits
 * once and then acknowledges all of it. Positions are contiguous in commit order, so a reader never
 * skips an event. */
#ifndef EXCORE_STORE_H
#define EXCORE_STORE_H

#include <excore/cancel.h>
#include <excore/clock.h>
#include <excore/event.h>
#include <excore/log_id.h>

EX_BEGIN_DECLS

typedef struct ex_store ex_store;

/** When an append counts as done. */
typedef enum ex_durability {
    EX_DURABILITY_FULL = 0, /* after fsync: survives a power cut */
    EX_DURABILITY_NORMAL =
        1 /* after the write: survives kill -9, a power cut may take the last moments */
} ex_durability;

/** In place of a directory: a store in memory, as SQLite has it. */
#define EX_STORE_MEMORY ":memory:"

/** Zero-initialised fields take the default in brackets. */
typedef struct ex_store_options {
    bool in_memory;  /* nothing on disk, gone when it is closed; `dir` may be NULL */
    bool read_only;  /* [false] no sequencer, no lock; another process may be writing */
    bool must_exist; /* [false] do not create a missing store */
    /** [false] A directory whose events.db is missing or empty, while other files say that a log
     * was in it: make a new log there. What is left of the old one gets names that end in ".old".
     */
    bool new_log;
    /** [false] A directory whose events.db was copied without its WAL, or beside that of another
     *  one: open it all the same, as it is. What was in the WAL is missing; one that is there gets
     *  a name that ends in ".old". */
    bool without_wal;
    bool migrate; /* [false] PostgreSQL: bring an older schema up to date (a file always is) */
    ex_durability durability; /* [full] */
    uint32_t queue_limit; /* [16384] submissions waiting; more are refused with EX_EOVERLOADED */
    uint32_t batch_limit; /* [2048] submissions in one transaction */
    uint32_t events_per_append; /* [10000] */
    uint32_t event_limit_bytes; /* [1 MiB] data plus metadata of one event */
    uint32_t ring_limit_bytes;  /* [8 MiB] recent events kept in memory for live readers */
    uint32_t reader_limit;      /* [8] open read connections; further readers wait */
    uint32_t page_cache_bytes;  /* [8 MiB] of the writing connection */
    uint32_t command_ttl_s;     /* [604800] how long outcomes of command ids are kept */
    uint32_t answer_timeout_ms; /* [20000] PostgreSQL: an append is answered within it, and so is a
                                 * read; 1000 at least */
    /** A commit failed in a way that may have stored its batch: how long the store asks what became
     *  of it before its appends get EX_EOUTCOME. Later batches wait meanwhile. [10000] */
    uint32_t outcome_wait_ms;
    const ex_clock *clock;      /* [system] must outlive the store */
    struct ex_metrics *metrics; /* [none] the server's registry; must outlive the store */
    /** PostgreSQL: told of each statement that took slow_ms or more: its text, never values
     * (R-02-12). Any thread; must not block. [none] */
    void (*on_slow)(void *ctx, ex_slice statement, uint32_t elapsed_ms);
    void *slow_ctx;
    uint32_t slow_ms; /* [200] */
    /** Files of a directory: told once when the log's files were moved, replaced or deleted under
     * the store, so that nothing more is written. The sequencer's thread; must not block. [none] */
    void (*on_write_end)(void *ctx, const ex_error *why);
    void *write_end_ctx;
} ex_store_options;

/** Open or create the store in directory `dir` (created when missing, parent must exist), or in a
 *  schema of a PostgreSQL database (14 or later): postgres://…[?schema=NAME], schema "excore"
 * unless named, created when missing. Any number of processes may write a store in PostgreSQL; full
 *  durability is synchronous_commit = on there, normal is off.
 *  @param dir borrowed, NUL-terminated; EX_STORE_MEMORY is the same as in_memory. A directory is
 *          made absolute now: a later chdir of the program changes nothing
 *  @param options NULL for the defaults
 *  @return EX_OK, EX_EINUSE (names the owner's pid), EX_EPRECONDITION (no log, but traces of one:
 *          see new_log), EX_ECORRUPT (also: a log without its WAL: see without_wal), EX_EFORMAT
 * (newer format; PostgreSQL: also an older one, see migrate), EX_EREADONLY, EX_ENOTFOUND
 * (must_exist), EX_EFILESYSTEM, EX_ENOMEM, EX_EINVAL; PostgreSQL: EX_EAGAIN and EX_ETIMEOUT (not to
 * be reached now), EX_EDATABASE (refused: password, role, database, version) Thread: any. Blocking:
 * yes, independent of the size of the log. */
EX_API EX_NODISCARD ex_status ex_store_open(const char *dir, const ex_store_options *options,
                                            ex_store **ret, ex_error *err);

/** Refuse new work, finish what is queued, close. NULL is accepted. Subscriptions and cursors must
 *  be closed before. A condition that is not found after a second more ends with EX_ECLOSED.
 * Thread: any, once. Blocking: until the last batch is committed. */
EX_API void ex_store_close(ex_store *s);

/** Append events to streams, all or none. Durable when EX_OK is returned (see durability).
 *
 *  An event id that its stream already holds with the same content makes the append succeed with
 *  the first outcome (is_duplicate), whatever version was expected.
 *
 *  EX_EOUTCOME: it may have been stored, or not. `ret->events` then names the ids that its events
 *  had (positions and versions are 0), err->event_id the first. Appending the same again with these
 *  ids is exact: it is stored once, whatever became of the first try. Without them it may be
 *  stored twice, so the status does not count as retryable.
 *
 *  A fail_if_match condition that looks far back is searched beside the writing of others, for a
 *  second at most; meanwhile later appends may overtake this one. Hardly ever so with `after` as
 *  the head at the time of reading what was decided upon. append->cancel ends that search; an append
 *  that is not searched for is not ended.
 *  @param append borrowed for the call
 *  @param ret    set on success, and with EX_EOUTCOME as said; may be NULL
 *  @return EX_OK, EX_ECONFLICT (err: expected, current), EX_ECONDITION (err: position of the
 *          first match, field: its item), EX_ETOOWIDE (err: field), EX_ECANCELLED,
 *          EX_EAHEAD (`after` is beyond the log's end; err: position, current), EX_ELOGCHANGED
 *          (`after` is no longer current in its epoch, see log_id.h),
 *          EX_EIDEMPOTENCY (same id, other content), EX_ENOTFOUND (is_retry_only), EX_EINVAL, EX_ETOOLARGE, EX_EOVERLOADED,
 *          EX_ECORRUPT (a stream of it is damaged; others are not touched),
 *          EX_ESTORAGE (nothing of it was stored; retry), EX_ECLOSED, EX_EREADONLY, EX_EOUTCOME (as
 *          said; also for a directory whose files were taken away: it may be in them, wherever they
 *          are)
 *  Thread: any but a callback of the store. Blocking: until the batch is committed. */
EX_API EX_NODISCARD ex_status ex_store_append(ex_store *s, const ex_append *append,
                                              ex_appended *ret, ex_error *err);

/** Called once on the sequencer's thread, after the commit or the failure. Must not block, must not
 *  call ex_store_append. `appended` and `err` are borrowed for the call; `appended` is NULL unless
 *  status is EX_OK or EX_EOUTCOME. */
typedef void ex_append_done_fn(void *ctx, ex_status status, const ex_appended *appended,
                               const ex_error *err);

/** The same without waiting. `append`, all it points to, and `ret` stay borrowed until `done` is
 *  called. `done` is not called when this returns a failure.
 *  @return EX_OK (queued), EX_EINVAL, EX_ETOOLARGE, EX_EOVERLOADED, EX_ECLOSED, EX_EREADONLY,
 * EX_ENOMEM Thread: any. Blocking: no. */
EX_API EX_NODISCARD ex_status ex_store_append_async(ex_store *s, const ex_append *append,
                                                    ex_appended *ret, ex_append_done_fn *done,
                                                    void *ctx, ex_error *err);

/** Whether writing works: EX_OK unless the last batch was lost. Then a batch that changes nothing
 * is sent through, so that an idle store sees that its disk is back; a full queue is answered by
 * what is known. A read-only store is fine.
 *  Files that were moved, replaced or deleted under the store are noticed here, too, and stay a
 *  failure until it is opened anew.
 *  @return EX_OK, or the failure. Thread: any but a callback of the store. Blocking: after a
 * failure, until that batch is committed. */
EX_API EX_NODISCARD ex_status ex_store_check_writes(ex_store *s, ex_error *err);

/** Position of the last committed event, 0 when empty. Thread: any. Blocking: no (read-only store:
 * a query). */
EX_API uint64_t ex_store_head(ex_store *s);

/* ---- Several processes on one PostgreSQL ----
 *
 * What one appends the others hear a moment later. Until then their plain reads do not show it. Who
 * must see it gives the position of the append as min_position of a read, waits for it, or reads
 * what is current. In a directory, which one process writes, all of that holds anyway. */

/** Position of the last event that any process has committed, asked of the database itself: no
 *  append that was acknowledged before the call lies after it.
 *  @return EX_OK, EX_ETIMEOUT, EX_ESTORAGE, EX_EAGAIN (a read-only store on a standby, which does
 *          not know). Thread: any. Blocking: a query; none where one process writes. */
EX_API EX_NODISCARD ex_status ex_store_current_head(ex_store *s, uint64_t *ret, ex_error *err);
/** Wait until this process has seen the log up to `position`: ex_store_head is there, and every
 * read and subscription that begins from then on sees it.
 *  @return EX_OK, EX_ETIMEOUT (nobody has appended so much, or it was not heard of), EX_ECLOSED
 *  Thread: any but a callback of the store. Blocking: at most timeout_ms. */
EX_API EX_NODISCARD ex_status ex_store_wait(ex_store *s, uint64_t position, uint32_t timeout_ms,
                                            ex_error *err);
/** How many milliseconds ago this process last knew where the log ends; half a second is usual when
 *  nothing is appended. 0 where one process writes. Thread: any. Blocking: no. */
EX_API uint64_t ex_store_head_age_ms(ex_store *s);

/** Version of a stream, 0 when it does not exist. Blocking: a query. */
EX_API EX_NODISCARD ex_status ex_store_stream_version(ex_store *s, ex_slice stream, uint64_t *ret,
                                                      ex_error *err);

/* ---- Cursors ---- */

typedef struct ex_cursor ex_cursor;

typedef enum ex_direction { EX_FORWARD = 0, EX_BACKWARD = 1 } ex_direction;

typedef struct ex_read_stream {
    ex_slice stream;
    uint64_t from;  /* first version, inclusive; 0: the first (forward) or the last (backward) */
    uint64_t limit; /* events; 0: no limit */
    ex_direction direction;
    uint64_t min_position; /* the read sees the log up to it at least */
    bool is_current;       /* and up to what ex_store_current_head tells when it begins */
    ex_cancel *cancel;     /* NULL: none; borrowed until the cursor is closed */
} ex_read_stream;

typedef struct ex_read_log {
    uint64_t after;          /* exclusive */
    uint64_t limit;          /* events; 0: no limit */
    const ex_filter *filter; /* NULL: all; borrowed until the cursor is closed */
    uint64_t min_position;   /* as in ex_read_stream */
    bool is_current;
    ex_cancel *cancel; /* NULL: none; borrowed until the cursor is closed */
} ex_read_log;

/** Open a cursor. It sees the log as it was when the first event was fetched. It reads ahead into
 *  memory, up to 256 KiB or one event, and holds nothing of the database between two calls (no
 *  connection, transaction or snapshot), so its user may take all the time that he needs. A stream
 *  that does not exist gives no events.
 *  @return EX_OK, EX_EINVAL, EX_ENOMEM
 *  Thread: any; a cursor is used by one thread at a time. Blocking: no. */
EX_API EX_NODISCARD ex_status ex_store_read_stream(ex_store *s, const ex_read_stream *read,
                                                   ex_cursor **ret, ex_error *err);
EX_API EX_NODISCARD ex_status ex_store_read_log(ex_store *s, const ex_read_log *read,
                                                ex_cursor **ret, ex_error *err);

/** The next event, borrowed until the next call on this cursor. With a filter that matches little
 *  this may read for long; it takes turns with other readers, and ends with `cancel` of the read.
 *  @return EX_OK, EX_EEND (no more), EX_EAHEAD (forward, and it begins more than one after the
 *          last: err has that one as `current`), EX_ELOGCHANGED (the log has opened an epoch that
 *          begins before what comes next), EX_ETIMEOUT (no read connection became free),
 *          EX_ECANCELLED, EX_ECORRUPT, EX_ESTORAGE, EX_ENOMEM; after a failure it may be called
 *          again. Blocking: disk reads, and waiting for a read connection. */
EX_API EX_NODISCARD ex_status ex_cursor_next(ex_cursor *c, ex_event *ret, ex_error *err);
/** Of a cursor over the log: the position up to which everything was looked at (given out, or
 * passed over by the filter). A read that was cancelled goes on with `after` this one. Thread: the
 *  cursor's. */
EX_API uint64_t ex_cursor_position(const ex_cursor *c);
/** NULL is accepted. */
EX_API void ex_cursor_close(ex_cursor *c);

/* ---- Subscriptions: catch up from the log, then follow live ---- */

typedef struct ex_subscription ex_subscription;

typedef struct ex_subscribe {
    uint64_t after;          /* log position, exclusive */
    const ex_filter *filter; /* NULL: all; copied */
    ex_slice stream;         /* not empty: follow this stream only; `after` is then a version, and
                              * `filter` must be NULL */
    const ex_id *epoch;      /* NULL: whatever epoch `after` is of; else the two must be current,
                              * see ex_store_check_position. Borrowed for the call */
} ex_subscribe;

/** Follow the log. Never misses and never repeats an event, also across the switch from the log to
 *  live, and when it falls behind the ring and has to go back to the log. On a read-only store,
 * where another process may be writing, a waiting subscription asks for new events every 50 ms.
 *
 *  It tells one history only: when the log opens an epoch that begins at or before what was
 *  delivered, it ends with EX_ELOGCHANGED and delivers nothing of the new one.
 *  @return EX_OK, EX_EINVAL, EX_ENOMEM, EX_ELOGCHANGED (`epoch`). Thread: any. Blocking: no. */
EX_API EX_NODISCARD ex_status ex_store_subscribe(ex_store *s, const ex_subscribe *subscribe,
                                                 ex_subscription **ret, ex_error *err);

/** Wait for the next event, borrowed until the next call on this subscription.
 *  @param timeout_ms 0: do not wait, negative: for ever
 *  @return EX_OK, EX_ETIMEOUT (nothing yet), EX_ECANCELLED (stopped), EX_ECLOSED, EX_ESTORAGE,
 *          EX_EAHEAD (it was to begin after the log's or the stream's end: what it has seen is
 *          not this log; err has the end as `current`), EX_ELOGCHANGED (see above; it stays so)
 *  Thread: one at a time. Blocking: up to the timeout. */
EX_API EX_NODISCARD ex_status ex_subscription_next(ex_subscription *sub, int64_t timeout_ms,
                                                   ex_event *ret, ex_error *err);
/** The log position up to which everything was looked at (delivered, or passed over by the filter);
 *  0 before one stream was found in the log. Thread: any. */
EX_API uint64_t ex_subscription_position(const ex_subscription *sub);
/** The epoch in which its position is current: what to keep beside the position.
 *  Thread: the one that calls ex_subscription_next. */
EX_API ex_id ex_subscription_epoch(const ex_subscription *sub);
/** True when everything committed at the last call was delivered. Thread: any. */
EX_API bool ex_subscription_is_live(const ex_subscription *sub);
/** Make a waiting ex_subscription_next return EX_ECANCELLED. Thread: any. Blocking: no. */
EX_API void ex_subscription_stop(ex_subscription *sub);
/** NULL is accepted; no thread may be inside ex_subscription_next. */
EX_API void ex_subscription_close(ex_subscription *sub);

EX_END_DECLS

#endif
