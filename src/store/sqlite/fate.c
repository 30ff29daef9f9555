/* fate.c: what became of a batch whose COMMIT failed.
 *
 * COMMIT writes the batch's pages as frames behind those that the WAL's index
 * counts, syncs them and counts them. When a part of that fails SQLite does not
 * count them: while the process lives the batch is not there. But its frames may
 * lie in the file, whole; whoever opens the file after this process has died
 * recovers the index from the frames and finds the batch.
 *
 * The next commit writes its frames over them. What is left of them continues no
 * longer from the checksum before it, so no recovery counts it. A commit that
 * succeeds and was synced is therefore the proof that the failed one is gone for
 * good, and this file makes one: a page written over itself. Until it works
 * nothing else is committed.
 *
 *   COMMIT fails                              the batch is
 *   ----------------------------------------  -------------------------------------
 *   and the transaction is still open         not stored: nothing was written
 *   there is no room (disk, quota, limit)     not stored: a frame was refused, at the
 *                                             latest the last one, without which the
 *                                             others are nothing
 *   and the page over itself is committed     not stored
 *   otherwise                                 unknown
 *
 * A connection that was replaced meanwhile may have recovered the frames. Then
 * the batch is stored, and what was recovered is brought into the database file
 * before anything is built on it: after a failed fsync the kernel may take pages
 * for clean that never reached the disk, so syncing the WAL again proves nothing. */
#include "store/sqlite/sqlite_driver.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include <excore/clock.h>

#include "store/sqlite/schema.h"

#define FIRST_PAUSE_MS 10
#define LAST_PAUSE_MS  250

void sqlite_note_written(sqlite_written *w, const store_write *write)
{
    w->event_count += write->event_count;
    if (write->command_count == 0 || w->command_id_len)
        return;
    const ex_command_record *first = &write->commands[0];
    w->command_id_len = first->command_id.len;
    w->command_at_us = first->recorded_at_us;
    memcpy(w->command_id, first->command_id.ptr, first->command_id.len);
}

/* ---- Asking ---- */

static ex_status is_command_stored(sqlite_driver *d, bool *ret, ex_error *err)
{
    const sqlite_written *w = &d->written;
    ex_command_record record;
    ex_arena arena;
    ex_arena_init(&arena, 0);
    ex_status st = sqlite_writer_find_command(d, ex_slice_of(w->command_id, w->command_id_len),
                                              &arena, &record, err);
    *ret = st == EX_OK && record.recorded_at_us == w->command_at_us;
    ex_arena_done(&arena);
    return st == EX_ENOTFOUND ? EX_OK : st;
}

/* As this connection sees it. */
static ex_status is_stored(sqlite_driver *d, bool *ret, ex_error *err)
{
    store_head head;
    if (d->written.event_count == 0)
        return is_command_stored(d, ret, err);
    ex_status st = sqlite_read_head(&d->writer, &head, err);
    *ret = st == EX_OK && head.position > d->written.base; /* nobody else writes */
    return st;
}

/* All that the WAL holds, into the database file. */
static ex_status bring_over(sqlite_driver *d, ex_error *err)
{
    int in_wal = 0, copied = 0;
    int rc =
        sqlite3_wal_checkpoint_v2(d->writer.db, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_wal, &copied);
    if (rc != SQLITE_OK)
        return sqlite_conn_raise(&d->writer, rc, "cannot checkpoint", err);
    return in_wal == copied
               ? EX_OK
               : ex_raise(err, EX_ESTORAGE, "a reader keeps the recovered WAL from being copied");
}

/* ---- Overwriting ---- */

static ex_status set_synchronous(sqlite_driver *d, const char *mode, ex_error *err)
{
    char sql[40];
    (void)snprintf(sql, sizeof(sql), "PRAGMA synchronous = %s", mode); /* always fits */
    return d->durability == EX_DURABILITY_FULL ? EX_OK : sqlite_conn_exec(&d->writer, sql, err);
}

static ex_status overwrite(sqlite_driver *d, ex_error *err)
{
    ex_status st = set_synchronous(d, "FULL", err);
    if (st == EX_OK)
        st = sqlite_conn_exec(&d->writer, "BEGIN IMMEDIATE", err);
    if (st == EX_OK)
        st = sqlite_writer_probe(d, err);
    if (st == EX_OK)
        st = sqlite_conn_exec(&d->writer, "COMMIT", err);
    if (st && !sqlite3_get_autocommit(d->writer.db)) {
        ex_status undone = sqlite_conn_exec(&d->writer, "ROLLBACK", NULL);
        (void)undone; /* the next try finds out */
    }
    ex_status back = set_synchronous(d, "NORMAL", st ? NULL : err);
    return st ? st : back;
}

ex_status sqlite_fate_settle(sqlite_driver *d, ex_error *err)
{
    bool is_there = false;
    if (!d->is_unknown)
        return EX_OK;
    ex_status st = is_stored(d, &is_there, err);
    if (st == EX_OK)
        st = is_there ? bring_over(d, err) : overwrite(d, err);
    if (st)
        return ex_error_context(err, st, "it is not known yet what became of a batch before");
    d->is_unknown = false;
    d->fate = is_there ? STORE_FATE_STORED : STORE_FATE_NOT_STORED;
    return EX_OK;
}

/* ---- A commit that failed ---- */

/* A file system that may damage what lies beside a write makes SQLite write the last frame again
 * and again up to the next sector: being refused one of those proves nothing. */
static bool has_single_last_frame(sqlite_driver *d)
{
    sqlite3_file *file = NULL;
    int rc = sqlite3_file_control(d->writer.db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    return rc == SQLITE_OK && file && file->pMethods &&
           (file->pMethods->xDeviceCharacteristics(file) & SQLITE_IOCAP_POWERSAFE_OVERWRITE);
}

/* A write that there was no room for; of an fsync that would prove nothing. */
static bool lacks_room(sqlite3 *db)
{
    sqlite3_file *wal = NULL;
    int rc = sqlite3_extended_errcode(db), cause = 0;
    if (rc != SQLITE_IOERR_WRITE ||
        sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal) != SQLITE_OK || !wal ||
        !wal->pMethods ||
        wal->pMethods->xFileControl(wal, SQLITE_FCNTL_LAST_ERRNO, &cause) != SQLITE_OK)
        return rc == SQLITE_FULL;
    return cause == EFBIG || cause == EDQUOT; /* ENOSPC is SQLITE_FULL */
}

static bool is_refused(sqlite_driver *d)
{
    sqlite3 *db = d->writer.db;
    return !sqlite3_get_autocommit(db) || (lacks_room(db) && has_single_last_frame(d));
}

static bool pause_before(uint64_t deadline_ns, uint32_t *pause_ms)
{
    uint64_t now = ex_monotonic_ns(ex_clock_system());
    if (now >= deadline_ns)
        return false;
    uint64_t left_ns = deadline_ns - now, pause_ns = (uint64_t)*pause_ms * 1000000;
    const struct timespec nap = {.tv_nsec = (long)(pause_ns < left_ns ? pause_ns : left_ns)};
    (void)nanosleep(&nap, NULL); /* a shorter one is fine */
    *pause_ms = 2 * *pause_ms < LAST_PAUSE_MS ? 2 * *pause_ms : LAST_PAUSE_MS;
    return true;
}

static ex_status raise_unknown(ex_error *err)
{
    char cause[EX_ERROR_MESSAGE_SIZE] = "";
    if (err)
        memcpy(cause, err->message, sizeof(cause));
    return ex_raise(err, EX_EOUTCOME, "%s; nothing else could be committed since", cause);
}

ex_status sqlite_fate_of_commit(sqlite_driver *d, ex_status st, ex_error *err)
{
    bool has_refused = is_refused(d);
    uint32_t pause_ms = FIRST_PAUSE_MS;
    uint64_t deadline_ns =
        ex_monotonic_ns(ex_clock_system()) + (uint64_t)d->outcome_wait_ms * 1000000;
    sqlite_writer_rollback(d);
    if (has_refused || (d->written.event_count == 0 && d->written.command_id_len == 0))
        return st; /* or nothing that its submitters were promised */
    d->is_unknown = true;
    while (sqlite_fate_settle(d, NULL) != EX_OK)
        if (!pause_before(deadline_ns, &pause_ms))
            return raise_unknown(err);
    bool is_there = d->fate == STORE_FATE_STORED;
    d->fate = STORE_FATE_NONE; /* told here */
    return is_there ? EX_OK : st;
}
