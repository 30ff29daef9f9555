/* wal_writes.h: a VFS for the connection that writes a database: frames of its WAL go to the system
 * together.
 *
 * SQLite writes a page into the WAL with two calls, 24 bytes of header and the page. A commit of 60
 * pages costs 120 system calls, more than all that SQLite computes for it. Here what follows
 * directly on the write before it is kept, up to WAL_WRITES_BYTES, and written in one call:
 *
 *   what comes                                   what happens
 *   -------------------------------------------  ---------------------------------------------
 *   a header or page right behind the last one   kept
 *   the page of a frame that ends a commit       kept, then all of it is written
 *   anything else: a frame written over, the     what is kept is written first
 *   WAL's own header, reading, truncating,
 *   syncing, a buffer that is full
 *
 * So a commit has written all it has before SQLite syncs it or counts its frames in the WAL's
 * index, and no other connection reads frames that are not counted. A failing write fails the call
 * that meets it, a later one of the same transaction perhaps; what was kept is forgotten then, as
 * if SQLite had never written it. Frames of a transaction that is rolled back may stay unwritten.
 *
 * All other files are the lower VFS's own. Nothing is kept where a write may damage what lies
 * beside it (no SQLITE_IOCAP_POWERSAFE_OVERWRITE): there frames are not written whole. */
#ifndef EXCORE_SQL_SQLITE_WAL_WRITES_H
#define EXCORE_SQL_SQLITE_WAL_WRITES_H

#include <excore/error.h>

#include <sqlite3.h>

#define WAL_WRITES_BYTES 65920 /* sixteen frames of 4096 bytes */
#define WAL_FRAME_HEADER 24    /* bytes before each page in a WAL */

/** One for each database that is open for writing; it must not move while it is registered. */
typedef struct ex_wal_writes {
    sqlite3_vfs vfs;
    sqlite3_vfs *lower;
    char name[48];
} ex_wal_writes;

/** The last frame of a commit, as it was written. */
typedef struct ex_wal_frame {
    uint64_t at, end; /* in the file; 0: none was written yet */
    unsigned char header[WAL_FRAME_HEADER];
} ex_wal_frame;

/** Make it known to SQLite under `w->name`.
 *  @param lower name of the VFS below; NULL: the default one
 *  @return EX_OK, EX_ENOMEM, EX_EDATABASE (there is no such VFS). Thread: any. */
EX_NODISCARD ex_status ex_wal_writes_register(ex_wal_writes *w, const char *lower, ex_error *err);
/** All connections are closed. A zeroed one is accepted. Thread: any. */
void ex_wal_writes_unregister(ex_wal_writes *w);

/** The last commit's last frame that this connection wrote since it was opened.
 *  @return borrowed until the next call of SQLite; NULL: the connection is not of this VFS, or has
 *          no WAL */
const ex_wal_frame *ex_wal_writes_last(sqlite3 *db);

#endif
