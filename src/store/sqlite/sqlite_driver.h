/* sqlite_driver.h: the parts of the SQLite driver: one writing connection, interned names. */
#ifndef EXCORE_STORE_SQLITE_SQLITE_DRIVER_H
#define EXCORE_STORE_SQLITE_SQLITE_DRIVER_H

#include "kernel/map.h"
#include "sql/sqlite/wal_writes.h"
#include "store/driver.h"
#include "store/sqlite/checkpointer.h"
#include "store/sqlite/file_watch.h"
#include "store/sqlite/log_trace.h"
#include "store/sqlite/sqlite_conn.h"
#include "store/sqlite/stream_tails.h"
#include "store/sqlite/wal_proof.h"

/** Ids of names that the writer met: emptied when full, so bounded. */
typedef struct name_ids {
    ex_map map; /* name -> id, as a pointer-sized integer */
    statement find;
    statement insert;
} name_ids;

/** What a batch wrote, to recognise it after a commit that failed (fate.c). */
typedef struct sqlite_written {
    uint64_t base; /* the head when it began */
    uint64_t event_count;
    int64_t command_at_us; /* of its first command */
    size_t command_id_len; /* 0: it has none */
    char command_id[EX_CORRELATION_MAX];
} sqlite_written;

typedef struct sqlite_driver {
    /* immutable after open */
    char *path;          /* of events.db */
    char *immutable_uri; /* read-only medium without a WAL: SQLite must not look for one; or NULL */
    int64_t unchanged_s, unchanged_ns; /* with immutable_uri: when the file was last changed */
    char *vfs;                         /* NULL: the default one */
    ex_wal_writes wal_writes;          /* above it, for the writer; zeroed when read_only */
    bool read_only;
    bool without_wal;
    wal_proof seen; /* before the first connection */
    ex_durability durability;
    uint32_t page_cache_bytes;
    uint32_t outcome_wait_ms;
    log_identity *identity;
    ex_file_mark mark; /* of the file at `path`: readers that are opened later must meet the same */
    /* the sequencer's thread */
    sqlite_conn writer;      /* zeroed while it could not be opened */
    file_watch watch;        /* but for what is immutable */
    bool has_written;        /* in this batch */
    bool is_claimed;         /* log_epoch_begin has run */
    wal_proof_alone claimed; /* what events.db said alone then */
    uint64_t head;           /* as the batch began */
    uint64_t position;       /* of the last event that was written in this batch; 0: none */
    ex_id adopted;           /* the log's id from this batch on; nil: as before */
    log_trace trace;
    sqlite_written written;
    bool is_unknown; /* what became of `written`; no other batch begins before */
    store_fate fate; /* to be told by the next begin */
    name_ids types;
    name_ids tags;
    stream_tails tails;
    int64_t oldest_command_us; /* INT64_MIN: not known */
    int batch_pages;           /* in the WAL after the running batch; 0: it wrote nothing */
    /* its own synchronisation */
    checkpointer checkpoints; /* zeroed when read_only */
} sqlite_driver;

/** Open, migrate and set up the writing connection (writer.c). */
EX_NODISCARD ex_status sqlite_writer_open(sqlite_driver *d, bool may_create, ex_error *err);
void sqlite_writer_close(sqlite_driver *d);

ex_status sqlite_writer_begin(void *impl, store_head *ret, ex_error *err);
ex_status sqlite_writer_find_streams(void *impl, store_stream *const *streams, uint32_t count,
                                     ex_error *err);
ex_status sqlite_writer_find_events(void *impl, const store_event_key *keys, uint32_t count,
                                    store_found_fn *fn, void *ctx, ex_error *err);
ex_status sqlite_writer_read_stream(void *impl, const store_stream *stream, uint64_t from_version,
                                    ex_batch_event_fn *fn, void *ctx, ex_error *err);
ex_status sqlite_writer_find_command(void *impl, ex_slice command_id, ex_arena *arena,
                                     ex_command_record *ret, ex_error *err);
ex_status sqlite_writer_write(void *impl, const store_write *write, ex_error *err);
ex_status sqlite_writer_expire_commands(void *impl, int64_t before_us, uint32_t limit,
                                        ex_error *err);
ex_status sqlite_writer_keep_time(void *impl, int64_t seen_us, store_seen_time *ret, ex_error *err);
ex_status sqlite_writer_adopt(void *impl, const store_epochs *epochs, ex_error *err);
ex_status sqlite_writer_commit(void *impl, ex_error *err);
ex_status sqlite_writer_probe(void *impl, ex_error *err);
void sqlite_writer_rollback(void *impl);
void sqlite_writer_maintain(void *impl);

/* ---- fate.c ---- */
/** The batch's COMMIT failed with `st`: undo it, and find out whether it can come back.
 *  @return `st`: nothing of it is stored; EX_EOUTCOME: that is not known */
EX_NODISCARD ex_status sqlite_fate_of_commit(sqlite_driver *d, ex_status st, ex_error *err);
/** Before a batch, with an open connection: find out what became of the one before, if that is not
 *  known. @return EX_OK, or why it is still not known */
EX_NODISCARD ex_status sqlite_fate_settle(sqlite_driver *d, ex_error *err);
void sqlite_note_written(sqlite_written *w, const store_write *write);

/** A file that is read as one that nobody changes is still as it was. Thread: any.
 *  @return EX_OK, EX_ESTORAGE */
EX_NODISCARD ex_status sqlite_check_unchanged(const sqlite_driver *d, ex_error *err);

extern const store_reader_ops sqlite_reader;
extern const store_files_ops sqlite_files;

/** Open a connection for reading, of the same file as all others. On failure *ret is closed.
 *  @return EX_OK, EX_ESTORAGE (also: another file stands at the path now). Thread: any. */
EX_NODISCARD ex_status sqlite_reader_conn(const sqlite_driver *d, uint32_t cache_bytes,
                                          sqlite_conn *ret, ex_error *err);

/** The head as the connection sees it. */
EX_NODISCARD ex_status sqlite_read_head(sqlite_conn *c, store_head *ret, ex_error *err);

#endif
