/* batch.h: one transaction of the sequencer: what it looked up, what it staged, what it wrote.
 *
 * Submissions are staged in memory one after the other; a failing one is taken
 * back to where it began. What was staged is written in pieces, so that work
 * which arrives meanwhile still joins the batch, and committed once.
 *
 *   begin -> (stage | take back)* -> write -> ... -> commit | abandon -> reset */
#ifndef EXCORE_STORE_BATCH_H
#define EXCORE_STORE_BATCH_H

#include "kernel/map.h"
#include "store/append_check.h"
#include "store/condition_search.h"
#include "store/recent_words.h"
#include "store/staged_index.h"
#include "store/store_internal.h"
#include "store/stream_cache.h"

/** A stream that the batch touched. */
typedef struct batch_stream {
    store_stream stream; /* first; version counts what is staged */
    uint64_t hash;
    uint32_t last;        /* its newest staged event, number + 1; 0: none */
    uint64_t committed;   /* while last is set: version before the first staged one */
    bool is_believed_new; /* nobody has looked; whoever writes it says so */
} batch_stream;

/** What was wanted and what of it was found (batch_lookup.c). */
typedef struct batch_wants {
    store_stream **streams;
    uint32_t stream_count, stream_room;
    store_wanted_event *events;
    uint32_t event_count, event_room, event_asked; /* asked: the driver has answered */
    store_wanted_command *commands;
    uint32_t command_count, command_room, command_asked;
    staged_index event_ids;
    staged_index command_ids;
    bool has_questions; /* not all of it can be believed */
} batch_wants;

struct ex_batch {
    /* immutable */
    ex_store *store;
    stream_cache *cache;
    recent_words *words; /* also of what is staged */
    condition_searches *searches;
    /* of the running batch */
    ex_arena arena;
    int64_t now_us;
    uint64_t base;  /* head when it began */
    uint64_t bytes; /* of data and metadata staged */
    bool is_broken; /* a driver's method failed: nothing of the batch can be kept */
    ex_error failure;
    /* staged events: parallel arrays */
    ex_event *events;
    store_stream **streams;
    uint32_t *previous; /* event before it in its stream, number + 1 */
    uint32_t event_count, event_room, event_written;
    /* other things to write */
    ex_command_record *commands;
    uint32_t command_count, command_room, command_written;
    store_audit *audits;
    uint32_t audit_count, audit_room, audit_written;
    /* finding them again */
    batch_stream **table; /* open addressing by name */
    uint32_t table_count, table_room;
    staged_index ids; /* events with a given id */
    staged_index command_ids;
    bool is_probe;               /* to be committed although nothing may be written */
    const store_epochs *adopted; /* NULL: none */
    /* of the running stage, and what it asked of the sequencer */
    ex_submission *running;
    bool is_deferred;
    bool is_searched; /* is_deferred for a search */
    ex_submission *resumed;
    /* engines behind a network only */
    batch_wants wants;
    store_news news;           /* appended by others, told when the batch began */
    staged_index news_streams; /* its events by stream */
    bool has_missed_news;      /* a stage function read what the news told briefly */
};

/** Where a submission began. */
typedef struct batch_mark {
    uint32_t events;
    uint32_t commands;
    uint64_t bytes;
} batch_mark;

/** The rest of what the sequencer owns is set by it. */
void batch_init(ex_batch *b, ex_store *store, stream_cache *cache);
void batch_done(ex_batch *b);
/** Forget everything but the memory that the next batch is likely to need. */
void batch_reset(ex_batch *b);

batch_mark batch_save(const ex_batch *b);
/** Take back what was staged since. */
void batch_restore(ex_batch *b, batch_mark mark);

/** Write what is staged and not written yet. */
EX_NODISCARD ex_status batch_write(ex_batch *b, ex_error *err);
/** Let the batch be committed whether or not it writes, to see that the engine can. */
EX_NODISCARD ex_status batch_probe(ex_batch *b, ex_error *err);
/** Take over another log's id and further epochs; borrowed until the batch ends.
 *  @return EX_OK, EX_ENOMEM, or the driver's failure, which breaks the batch */
EX_NODISCARD ex_status batch_adopt(ex_batch *b, const store_epochs *epochs, ex_error *err);
/** Mark the batch as lost after a failure of the driver, unless only what was asked for is damaged;
 *  returns `status`. */
ex_status batch_break(ex_batch *b, ex_status status, const ex_error *err);

/** The stream, looked up once in a batch. `name` must live until the batch's end. */
EX_NODISCARD ex_status batch_find_stream(ex_batch *b, ex_slice name, batch_stream **ret,
                                         ex_error *err);
/** Put an event behind the staged ones. */
EX_NODISCARD ex_status batch_push_event(ex_batch *b, batch_stream *s, ex_event *event,
                                        bool has_given_id, ex_error *err);
/** The stream of that name if the batch met it already, else NULL. */
batch_stream *batch_known_stream(const ex_batch *b, ex_slice name);
/** The stream of a batch that has met no other one. */
bool batch_only_stream(const ex_batch *b, ex_slice *ret);
/** Hash of an event id in a stream, for `ids`. */
uint64_t batch_id_hash(const batch_stream *s, const ex_id *id);

/** Stage a prepared append. Sets position and version of its events (those of the first outcome
 * when it is a duplicate). @return as ex_store_append */
EX_NODISCARD ex_status batch_append(ex_batch *b, prepared_append *append, ex_error *err);
/** The outcome of a staged append. @param ret room for events as ex_appended says */
void append_outcome(const prepared_append *append, ex_appended *ret);
/** The ids that its events have, for whoever is not told where they are. */
void append_ids(const prepared_append *append, ex_appended *ret);

/* ---- Looking up for all submissions at once (batch_lookup.c) ---- */

/** Put a stream into the table that must be looked up; NULL when it is known, or out of memory. */
batch_stream *batch_want_stream(ex_batch *b, ex_slice name);
/** Collect what the first `count` submissions of the list want and nobody has looked up yet. */
void batch_want(ex_batch *b, ex_submission *first, uint32_t count);
/** What was collected, for the driver. False: nothing. */
bool batch_lookup_begin(ex_batch *b, store_lookup *ret);
/** The driver has answered. */
void batch_lookup_end(ex_batch *b);
/** The answer for an event id; NULL: it was not asked for. */
const store_wanted_event *batch_wanted_event(const ex_batch *b, ex_slice stream, const ex_id *id);
const store_wanted_command *batch_wanted_command(const ex_batch *b, ex_slice command_id);
void batch_wants_reset(batch_wants *w);
void batch_wants_done(batch_wants *w);

/** Keep what others appended, for the stage functions that read streams. */
void batch_keep_news(ex_batch *b, const store_news *news);
/** Read committed events of a stream from the news. @param last the stream's committed version
 *  @return EX_ENOTFOUND, err untouched: not all of them are there, nothing was called */
EX_NODISCARD ex_status batch_read_news(ex_batch *b, const batch_stream *s, uint64_t from_version,
                                       uint64_t last, ex_batch_event_fn *fn, void *ctx,
                                       ex_error *err);

/** Refuse when an event after `after` matches, in the log or staged, and when the log has not got
 *  that far. Asks memory only: what that does not know is searched beside the batch, and the
 * running submission leaves it (batch_condition.c).
 *  @return EX_OK, EX_ECONDITION, EX_EAHEAD; EX_EAGAIN (it left: return that); EX_ETOOWIDE,
 *          EX_EOVERLOADED, EX_ECLOSED, EX_ESTORAGE of the search; EX_ENOMEM */
EX_NODISCARD ex_status batch_check_condition(ex_batch *b, const ex_query *query, uint64_t after,
                                             ex_error *err);
/** Look for the append's given ids (batch_identity.c). *ret_is_duplicate: all are stored, with the
 *  same content; positions and versions are set. */
EX_NODISCARD ex_status batch_check_identity(ex_batch *b, prepared_append *append,
                                            batch_stream *const *streams, bool *ret_is_duplicate,
                                            ex_error *err);

#endif
