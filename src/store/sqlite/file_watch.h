/* file_watch.h: are the files that we have open still those that our path names?
 *
 * A file that was deleted or moved away can be written for ever, and nobody will find it. What is
 * compared, before a batch is acknowledged:
 *
 *   events.db, -wal   device and inode of what stands at the path; their sizes
 *   -wal              the header of the last frame before the batch, as we have left it: a file
 *                     that was written over in place (cp) has another one there
 *
 * Two calls of stat and a short read: 2.7 us a batch where stat costs 1.1 us. The shared memory
 * (-shm) holds nothing that a start would not make anew from the WAL.
 *
 * What it cannot see: files that were exchanged and exchanged back between two batches; a WAL
 * written over in place just when it started anew. */
#ifndef EXCORE_STORE_SQLITE_FILE_WATCH_H
#define EXCORE_STORE_SQLITE_FILE_WATCH_H

#include <sqlite3.h>

#include "kernel/file_mark.h"
#include "sql/sqlite/wal_writes.h"

typedef struct file_watch {
    /* immutable once the first connection is open */
    const char *path; /* of events.db; borrowed */
    char *wal_path;
    ex_file_mark db;
    /* the sequencer's thread */
    ex_file_mark wal;
    int wal_fd; /* -1: the frame is not compared */
    uint64_t db_bytes;
    unsigned version;   /* of the database as the connection knows it: one more with each commit */
    bool is_foreign;    /* somebody else has committed: the file may have shrunk by right */
    ex_wal_frame frame; /* the last one of the batch before */
    ex_error why;       /* they are not; found once it stays */
} file_watch;

/** @param path borrowed until done. @return EX_OK, EX_ENOMEM */
EX_NODISCARD ex_status file_watch_init(file_watch *w, const char *path, ex_error *err);
/** A zeroed one is accepted. */
void file_watch_done(file_watch *w);

/** The writing connection is open, has read, and watches from now on; also after it was opened
 *  anew.
 *  @return EX_OK, EX_ESTORAGE (another file stands at the path than before; or it cannot be told)
 */
EX_NODISCARD ex_status file_watch_begin(file_watch *w, sqlite3 *db, ex_error *err);
/** Look. @param has_written the batch has committed something
 *  @return EX_OK, EX_ESTORAGE: what was written may be in files that nobody will find */
EX_NODISCARD ex_status file_watch_check(file_watch *w, sqlite3 *db, bool has_written,
                                        ex_error *err);

#endif
