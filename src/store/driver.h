/* driver.h: the port between the store and a database engine.
 *
 * Two tables of methods: store_driver_ops for the one writer, the sequencer's
 * thread, and store_reader_ops for any number of readers, each used by one
 * thread at a time. The store (batch.c, cursor.c) checks all preconditions and
 * decides every outcome; a driver only finds, writes and commits.
 *
 * A batch: begin (locks the head of the log where more than one process may
 * write) -> any number of finds and writes -> commit, or rollback. A failing
 * method of the writer makes the batch unusable: the store then calls rollback,
 * acknowledges nothing of it, and the next begin tells what is true. begin is
 * also where a driver repairs itself (reconnects, reopens its file); while it
 * cannot, begin fails and the store refuses writes.
 *
 * A commit ends in one of three ways: stored, not stored, or nobody knows
 * (EX_EOUTCOME, docs/decisions/0013). A driver says the second only when it can
 * prove it. After the third it begins no other batch before it has found out,
 * and tells with that begin; so there is one such batch at a time.
 *
 * Methods are required unless marked, may block on the disk or the network, and
 * return EX_ESTORAGE for a failure of the engine, EX_ECORRUPT for stored data
 * that cannot be, EX_ENOMEM. Finds are set-based, so that an engine behind a
 * network needs one round trip for all of them. */
#ifndef EXCORE_STORE_DRIVER_H
#define EXCORE_STORE_DRIVER_H

#include <excore/arena.h>
#include <excore/store.h>

#include "store/features.h"
#include "store/log_identity.h"
#include "store/match.h"
#include "store/pause.h"
#include "store/submission.h"

/** The log below the store's directory, of drivers with files. */
#define STORE_LOG_FILE "events.db"

/** What became of the batch whose commit was the last to return EX_EOUTCOME. */
typedef enum store_fate {
    STORE_FATE_NONE = 0, /* there is no such batch, or it was told before */
    STORE_FATE_STORED,
    STORE_FATE_NOT_STORED
} store_fate;

/** The end of the log as the database has it. Zero when the log is empty. */
typedef struct store_head {
    uint64_t position;
    int64_t recorded_at_us; /* of the last event */
    store_fate fate;        /* of begin; told once */
} store_head;

/** A stream as the writer knows it. */
typedef struct store_stream {
    ex_slice name;
    uint64_t id;      /* the driver's key; 0: not stored yet */
    uint64_t version; /* of its last event */
} store_stream;

/** An id that may be stored in a stream already. */
typedef struct store_event_key {
    uint64_t stream_id;
    const ex_id *id;
} store_event_key;

/** A stored event that has the key; borrowed for the call. A failing fn ends the walk. */
typedef ex_status store_found_fn(void *ctx, uint32_t key_index, const ex_event *event,
                                 ex_error *err);

/** What is kept of a refused append, and of how many: a client that repeats itself with ever other
 *  content must not fill the disk. The fingerprint is of all that was given. */
#define STORE_AUDIT_DATA_BYTES  4096
#define STORE_AUDIT_ACTOR_BYTES 256
#define STORE_AUDITS            4096

/** An append that was refused because its id is stored with other content (R-ES-07). */
typedef struct store_audit {
    uint64_t stored_position; /* of the event that has the id */
    uint64_t stored_fingerprint;
    uint64_t given_fingerprint;
    const ex_event *given; /* position and version 0 */
    ex_slice data;         /* of it, at most STORE_AUDIT_DATA_BYTES */
    ex_slice actor;        /* "$actor" of the given metadata, cut; empty when none */
    int64_t recorded_at_us;
    uint64_t id; /* set by the driver when it writes: of the row; 0: it keeps none */
} store_audit;

/** Events that other processes appended since the store last looked. */
typedef struct store_news {
    const ex_event *events;     /* by position, from the first one that the store does not know */
    const uint64_t *stream_ids; /* for each event, the driver's key of its stream */
    uint32_t count;             /* fewer than there are: too many to tell */
    bool is_brief; /* of the events only position, stream, version, type and tags are set */
} store_news;

/** An event id that a submission brings. */
typedef struct store_wanted_event {
    ex_slice stream;
    const ex_id *id;
    const ex_event *found; /* set by the driver: NULL when it is not stored */
    bool is_known;         /* set by the driver: `found` is the answer */
} store_wanted_event;

/** A command id that a submission brings. */
typedef struct store_wanted_command {
    ex_command_record record; /* command_id is asked for, the rest set when found */
    bool is_found;
    bool is_known;
} store_wanted_command;

/** What the submissions of a batch are going to look for. Arrays are borrowed for the call. */
typedef struct store_lookup {
    store_stream *const *streams; /* id and version are set, both 0 when it does not exist */
    uint32_t stream_count;
    store_wanted_event *events;
    uint32_t event_count;
    store_wanted_command *commands;
    uint32_t command_count;
    ex_arena *arena; /* for what is found */
} store_lookup;

/** What one call writes. Arrays are borrowed for the call. */
typedef struct store_write {
    const ex_event *events; /* positions rise by one from the head on */
    store_stream *const
        *streams; /* for each event its stream; the driver sets the id of a new one */
    uint32_t event_count;
    const ex_command_record *commands;
    uint32_t command_count;
    store_audit *audits;
    uint32_t audit_count;
} store_write;

typedef struct store_driver_options {
    const char *dir;   /* absolute, or URL; NULL for drivers without either */
    const char *shown; /* dir as it was given, for messages */
    bool read_only;    /* only the readers are used */
    bool must_exist;
    bool new_log;     /* see ex_store_options */
    bool without_wal; /* likewise */
    bool migrate;     /* bring an older schema up to date; drivers with files always do */
    ex_durability durability;
    log_identity *identity; /* the store's, to be filled by open */
    uint32_t page_cache_bytes;
    uint32_t outcome_wait_ms;  /* of ex_store_options */
    const char *sqlite_vfs;    /* NULL: the default one; tests put faults below the engine */
    uint32_t checkpoint_pages; /* of SQLite's WAL; 0: the usual number */
    void (*on_slow)(void *ctx, ex_slice statement, uint32_t elapsed_ms); /* PostgreSQL; nullable */
    void *slow_ctx;
    uint32_t slow_ms;
    uint32_t answer_timeout_ms; /* PostgreSQL */
} store_driver_options;

/** Which layout is stored, and which one this program writes. */
typedef struct store_format {
    uint32_t found;
    uint32_t known;
    store_features features; /* of what is stored */
} store_format;

/** What a reader is asked for. Slices, filter and pause are borrowed until the scan is stopped. */
typedef struct store_scan {
    bool is_stream; /* one stream by version, else the log by position */
    ex_slice stream;
    uint64_t limit;           /* most events that are going to be asked for; 0: not known */
    size_t bytes;             /* about so many are wanted, of data and metadata; 0: not known */
    const store_pause *pause; /* of a search that finds nothing; NULL: it goes on */
    uint64_t from;            /* first version or position, inclusive; backward: the highest one */
    uint64_t upto;            /* log: last position, inclusive (the head when the scan began) */
    uint64_t min_position;    /* the store's: what `upto` is to be at least */
    bool is_current;          /* the store's: it is to be asked of the database */
    ex_direction direction;   /* log: always forward */
    const ex_filter *filter;  /* log only; NULL: all */
} store_scan;

/** The identity of a log as the database has it, in the caller's arena. */
typedef struct store_epochs {
    ex_id log_id;
    const ex_log_epoch *epochs; /* the newest, oldest first; at most LOG_EPOCHS_KEPT */
    uint32_t count;
} store_epochs;

/** What was committed but is not in the database file yet, or may be overwritten again. */
typedef struct store_wal {
    uint64_t bytes;         /* in the write-ahead log */
    uint64_t waiting_bytes; /* of them, those that are not in the database file */
    uint64_t checkpoints;   /* ever since the store was opened */
    uint64_t failures;      /* of checkpoints */
} store_wal;

typedef struct store_seen_time {
    int64_t kept_us;   /* time that was seen to pass, as the store knows it; 0: not known */
    int64_t oldest_us; /* no command record is older; INT64_MIN: not known, or there is none */
} store_seen_time;

/** What is stored, as people want to see it. */
typedef struct store_size {
    uint32_t format; /* version of the layout */
    uint64_t bytes;  /* on the disk */
    store_features features;
} store_size;

/** Thread: one at a time for each reader; each reader is independent of the writer. A scan is
 * short: one part of what its user reads (fetch.h). */
typedef struct store_reader_ops {
    /** Open a reader of the driver `impl`. Thread: any. */
    ex_status (*open)(void *impl, void **ret_reader, ex_error *err);
    /** NULL is accepted; no scan is running. */
    void (*close)(void *reader);
    /** Begin a scan; the previous one was stopped. An unknown stream, type or tag matches nothing.
     */
    ex_status (*start)(void *reader, const store_scan *scan, ex_error *err);
    /** The next event, borrowed until the next call on the reader. EX_EEND after the last.
     *  EX_EAGAIN (err untouched): the scan's pause is due; ret->position is the first position that
     *  was not looked at, above the one where the scan began. */
    ex_status (*next)(void *reader, ex_event *ret, ex_error *err);
    /** Optional. Is the next event in memory already, so that it would be read twice if it were
     *  left? */
    bool (*has_row)(void *reader);
    /** End the scan and let go of the database's snapshot. Without a scan it does nothing. */
    void (*stop)(void *reader);
    /** Optional. On: what runs, and what is begun later, fails with EX_ECANCELLED. Thread: any for
     *  on, at any time while the reader is open. Must not block. */
    void (*cancel)(void *reader, bool is_on);
    /** Position of the last committed event. */
    ex_status (*head)(void *reader, uint64_t *ret, ex_error *err);
    /** Optional. Is this a copy that may lag behind the database that is written? */
    ex_status (*is_replica)(void *reader, bool *ret, ex_error *err);
    /** Version of a stream as of the position `upto`, 0 when it did not exist. */
    ex_status (*stream_version)(void *reader, ex_slice stream, uint64_t upto, uint64_t *ret,
                                ex_error *err);
    /** Call fn for up to `limit` of the committed command records with a number above `after`, in
     * the order in which they were committed: a number that comes later is higher. */
    ex_status (*read_commands)(void *reader, uint64_t after, uint32_t limit, ex_command_fn *fn,
                               void *ctx, ex_error *err);
    /** Read the log's identity. An event of an epoch is seen only by those who see the epoch. */
    ex_status (*epochs)(void *reader, ex_arena *arena, store_epochs *ret, ex_error *err);
    /** Search among committed events, without holding up the writer, until a match is found, all
     * was looked at, or the pause is due; it may stop earlier, but never without having come
     * further. No scan is running. */
    ex_status (*match)(void *reader, store_match *match, ex_error *err);
    /** Optional, for engines behind a network: a first step of each of several searches, in one round
     *  trip, whatever their pauses say. After a failure some of them may have come further. */
    ex_status (*match_each)(void *reader, store_match *const *matches, uint32_t count,
                            ex_error *err);
    /** Tell format and size. Cheap, whatever the length of the log. */
    ex_status (*measure)(void *reader, store_size *ret, ex_error *err);
} store_reader_ops;

/** In place of a position: an epoch may have been opened. */
#define STORE_LOOK_AGAIN UINT64_MAX

/** The log may end at `position` now. Thread: one of the driver's. Must only post or signal.
 *  @param asked_ns the database was asked then (monotonic, the system's clock) and said that it
 * ends there; 0: somebody told that he has appended up to there */
typedef void store_follow_fn(void *ctx, uint64_t position, uint64_t asked_ns);

/** For an engine behind a network, where several processes write one log. The store then asks for
 *  all that a batch needs at once, writes once, just before the commit, and follows what others
 *  append. Thread: the sequencer's, but for follow and unfollow: the owner's. */
typedef struct store_shared_ops {
    /** Prepare the next begin: what was appended behind `known` is to be told, and the answers of
     *  `lookup` (NULL: none) come with it. Cannot fail, asks nothing yet.
     *  @param is_brief nobody here wants the contents of what others append */
    void (*expect)(void *impl, uint64_t known, bool is_brief, const store_lookup *lookup);
    /** Instead of begin: believe that the log ends at `known`, and ask nothing. The first question,
     *  or the commit, fails when that is not true; and the commit, when a stream, an event or a
     *  command is written as new and is not. Nothing is stored then.
     *  @param ret as this driver remembers it
     *  @return EX_EAGAIN (err untouched: it remembers another end or has no connection; begin) */
    ex_status (*begin_blind)(void *impl, uint64_t known, store_head *ret, ex_error *err);
    /** Optional. Nothing of the batch that begins, nor of a refresh, is waited for past
     * `deadline_ns` (monotonic, the system's clock): its reconnections and the search for its fate
     * neither. */
    void (*limit)(void *impl, uint64_t deadline_ns);
    /** Optional. The same for all that the driver does, readers included, from now on. Thread: any.
     */
    void (*end_by)(void *impl, uint64_t deadline_ns);
    /** Has the log another last epoch than the store's identity says, as begin or refresh found?
     *  Borrowed until the next of them. Until the store has taken it in, nothing that was
     * remembered of the log is true from where the epochs say on. */
    bool (*epochs)(void *impl, store_epochs *ret);
    /** What begin or refresh learned; borrowed until the next expect or refresh. */
    void (*news)(void *impl, store_news *ret);
    /** Inside a batch: find all of it. */
    ex_status (*look_up)(void *impl, const store_lookup *lookup, ex_error *err);
    /** Between batches: learn what is committed behind `known`, holding nothing up. */
    ex_status (*refresh)(void *impl, uint64_t known, bool is_brief, store_head *ret, ex_error *err);
    /** Call `fn` from now on when the log grew, whoever appended, and at least every half second
     * with what the database says, over a connection that the writer's troubles do not touch. */
    ex_status (*follow)(void *impl, store_follow_fn *fn, void *ctx, ex_error *err);
    /** After it returned, fn is not running and is not called again. Without follow: nothing. */
    void (*unfollow)(void *impl);
} store_shared_ops;

/** For an engine whose files other programs can move, replace or delete while they are written. */
typedef struct store_files_ops {
    /** After the commit of a batch, or its rollback when it wrote nothing, and before it is
     *  acknowledged: are the files that we write still those at our place? Cheap. Once they are not
     *  the driver writes nothing more, not even at close. Thread: the sequencer's.
     *  @return EX_OK, EX_ESTORAGE (names what happened to them) */
    ex_status (*check)(void *impl, ex_error *err);
    /** The same, as far as everybody may look. Thread: any. */
    ex_status (*peek)(const void *impl, ex_error *err);
} store_files_ops;

/** Thread: open and close the owner's; the rest the sequencer's. */
typedef struct store_driver_ops {
    const char *name;
    const store_reader_ops *reader;
    const store_shared_ops *shared; /* NULL: one process writes, and a call costs no round trip */
    const store_files_ops *files;   /* NULL: there are none that could be taken away */

    /** Open or create; migrates an older format. Independent of the size of the log.
     *  @return EX_OK, EX_ENOTFOUND (must_exist), EX_EFORMAT, EX_EREADONLY, EX_ECORRUPT,
     * EX_EFILESYSTEM */
    ex_status (*open)(const store_driver_options *options, void **ret_impl, ex_error *err);
    /** Readers are closed. NULL is accepted. */
    void (*close)(void *impl);
    /** Optional, for drivers that keep something: look at the format without changing anything.
     *  Thread: any. @return EX_OK, EX_ENOTFOUND (no store), EX_EFORMAT (a newer one, not ours) */
    ex_status (*inspect)(const store_driver_options *options, store_format *ret, ex_error *err);

    /** Start a batch and tell what is committed, as read from the database itself. Fails as long as
     *  it is not known what became of the batch before. */
    ex_status (*begin)(void *impl, store_head *ret, ex_error *err);
    /** Fill id and version of each stream by its name; both 0 when it does not exist. */
    ex_status (*find_streams)(void *impl, store_stream *const *streams, uint32_t count,
                              ex_error *err);
    /** Call `fn` for each key that is stored, written in this batch or before. */
    ex_status (*find_events)(void *impl, const store_event_key *keys, uint32_t count,
                             store_found_fn *fn, void *ctx, ex_error *err);
    /** Events of a stream by version, from `from_version` on. */
    ex_status (*read_stream)(void *impl, const store_stream *stream, uint64_t from_version,
                             ex_batch_event_fn *fn, void *ctx, ex_error *err);
    /** EX_OK and *ret (in the arena), or EX_ENOTFOUND (err untouched). */
    ex_status (*find_command)(void *impl, ex_slice command_id, ex_arena *arena,
                              ex_command_record *ret, ex_error *err);
    /** Write; may be called several times in a batch. */
    ex_status (*write)(void *impl, const store_write *write, ex_error *err);
    /** Forget up to `limit` of the oldest command records, those recorded before `before_us`. */
    ex_status (*expire_commands)(void *impl, int64_t before_us, uint32_t limit, ex_error *err);
    /** Optional. Keep with this batch up to when time has been seen to pass, as far as it is later
     *  than what is kept (negative: keep nothing), and tell what is known of it. */
    ex_status (*keep_time)(void *impl, int64_t seen_us, store_seen_time *ret, ex_error *err);
    /** Optional. Write something that changes nothing, so that the commit has to reach the disk. */
    ex_status (*probe)(void *impl, ex_error *err);
    /** Take over the id of a log that this one is a copy of, and put `epochs` behind its own. The
     *  store tells the identity when it is committed. */
    ex_status (*adopt)(void *impl, const store_epochs *epochs, ex_error *err);
    /** Make the batch durable and visible to readers, as the durability mode says.
     *  @return EX_OK: it is stored. EX_EOUTCOME: it is not known whether it is, and the driver has
     *  asked for as long as outcome_wait_ms says. Any other: nothing of it is stored, which is
     *  proved. EX_EAGAIN among them, on shared engines only: what is written as new is there
     *  already, or the log does not end where begin_blind took it to end, or the connection was
     *  lost before */
    ex_status (*commit)(void *impl, ex_error *err);
    /** Undo the batch. Also after a failed begin or commit. Cannot fail: begin finds out the rest.
     */
    void (*rollback)(void *impl);
    /** Optional. Between batches, after the acknowledgements: housekeeping such as a checkpoint.
     *  Its failures must be harmless or show up in a later batch. */
    void (*maintain)(void *impl);
    /** Optional, only with a sequencer: how the write-ahead log fares. Thread: any. Blocking: no.
     */
    void (*measure_wal)(void *impl, store_wal *ret);
} store_driver_ops;

typedef struct store_driver {
    const store_driver_ops *ops;
    void *impl;
} store_driver;

extern const store_driver_ops store_sqlite_driver;
extern const store_driver_ops store_memory_driver;
extern const store_driver_ops store_postgres_driver;

#endif
