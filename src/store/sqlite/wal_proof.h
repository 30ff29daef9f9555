/* wal_proof.h: do events.db and what lies beside it belong together?
 *
 * A log in use is two files: what was appended last lies in events.db-wal. A copy
 * of one without the other is no log, and SQLite would open it without a word: cut,
 * or with pages of a stranger. So events.db says of itself whether a WAL belongs to
 * it (WAL_PROOF_OPEN in log_identity.is_open). The mark is set, and brought into
 * events.db by a checkpoint, before the first append; it is taken away after all
 * appends are in events.db:
 *
 *   events.db alone says   -wal          what it is
 *   ---------------------  ------------  ---------------------------------------------
 *   open                   there         in use, or its process was killed
 *   open                   none, empty   a copy without its WAL: refused
 *   closed                 none, empty   closed in order
 *   closed                 there         killed while it was opened or closed: then the
 *                                        WAL holds no event of its own; else it is the
 *                                        WAL of another events.db: refused
 *
 * Format 3 has no mark. Alone it is taken for closed, which a copy without its WAL may not be; only
 * where the shared memory (-shm) lies beside it was a WAL there, too: SQLite deletes both, the
 * WAL last. And no log is made where another one has left something: remains.
 *
 * What cannot be told: a file of format 3 that was copied alone while it was in use; a WAL beside
 * another log's events.db that was itself copied while in use, so that it says "open". */
#ifndef EXCORE_STORE_SQLITE_WAL_PROOF_H
#define EXCORE_STORE_SQLITE_WAL_PROOF_H

#include "store/driver.h"
#include "store/sqlite/sqlite_conn.h"

#define WAL_PROOF_NORMAL 1 /* bits of log_identity.is_open: written in mode normal */
#define WAL_PROOF_OPEN   2 /* a WAL belongs to this file */

/** What stood beside events.db before SQLite looked at it. */
typedef struct wal_proof {
    bool has_log;      /* events.db is there and not empty */
    bool has_wal;      /* -wal is there and not empty */
    bool has_lost_wal; /* -shm is there, -wal is not, not even an empty one */
} wal_proof;

/** Look, before the first connection.
 *  @param log_path of events.db */
void wal_proof_look(const char *log_path, wal_proof *ret);

/** A log is going to be made: has another one left something here?
 *  @return EX_OK, EX_EPRECONDITION (names the files, and what to do) */
EX_NODISCARD ex_status wal_proof_check_remains(const char *log_path, ex_error *err);
/** Give the files that another log has left, its WAL or all of them, names that end in ".old".
 *  @return EX_OK, EX_EFILESYSTEM */
EX_NODISCARD ex_status wal_proof_set_aside(const char *log_path, bool only_wal, ex_error *err);

/** Of an open connection, before anything is written: is the file whole?
 *  @param without_wal one whose WAL is missing will do
 *  @return EX_OK, EX_ECORRUPT (the WAL is missing, or is another file's; and what to do) */
EX_NODISCARD ex_status wal_proof_check(sqlite_conn *c, const char *log_path, const char *vfs,
                                       const wal_proof *seen, bool without_wal, ex_error *err);

/** What events.db says alone, without its WAL. */
typedef struct wal_proof_alone {
    bool is_known; /* it can be read, and has the tables of this format */
    int64_t mark;  /* log_identity.is_open */
    uint64_t head;
    ex_id log_id;
} wal_proof_alone;

/** Look at the file; `ret` says whether there was anything to be read.
 *  @param vfs NULL: the default one */
void wal_proof_look_alone(const char *log_path, const char *vfs, wal_proof_alone *ret);
/** Before the WAL is copied into events.db for the last time: is that still the file of `then`, or
 *  has somebody written over it?
 *  @param log_id the log's by now
 *  @return true also when it cannot be read, as in the middle of a checkpoint */
bool wal_proof_is_ours(const char *log_path, const char *vfs, const wal_proof_alone *then,
                       const ex_id *log_id);

/** The URI by which SQLite opens the file alone, without its WAL and without locks; to be freed.
 *  NULL: no memory. */
char *wal_proof_alone_uri(const char *log_path);

#endif
