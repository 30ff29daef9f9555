/* file_watch.c: see file_watch.h.
 *
 * SQLite's own question (SQLITE_FCNTL_HAS_MOVED) is the same stat of events.db, without the device
 * and without the size, and it has none for the WAL. It is asked once, to be sure that the file at
 * the path is the one that the connection has opened.
 *
 * events.db itself is never opened here: closing it would drop the locks of all connections that
 * this process has to it (fcntl). The WAL has no such locks. */
#include "store/sqlite/file_watch.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SALT_AT    8 /* in the header of a frame: which life of the WAL it belongs to */
#define SALT_BYTES 8

/* ---- Life ---- */

ex_status file_watch_init(file_watch *w, const char *path, ex_error *err)
{
    size_t len = strlen(path);
    *w = (file_watch){.path = path, .wal_fd = -1};
    w->wal_path = malloc(len + sizeof("-wal"));
    if (!w->wal_path)
        return ex_raise(err, EX_ENOMEM, "no memory to open '%s'", path);
    memcpy(w->wal_path, path, len);
    memcpy(w->wal_path + len, "-wal", sizeof("-wal"));
    return EX_OK;
}

static void forget_wal(file_watch *w)
{
    if (w->wal_fd >= 0)
        (void)close(w->wal_fd); /* only read from */
    w->wal_fd = -1;
    w->frame = (ex_wal_frame){0};
}

void file_watch_done(file_watch *w)
{
    if (!w->path)
        return;
    forget_wal(w);
    free(w->wal_path);
    *w = (file_watch){.wal_fd = -1};
}

/* ---- Beginning ---- */

static ex_status begin_db(file_watch *w, sqlite3 *db, ex_error *err)
{
    struct stat st;
    int has_moved = 0;
    if (stat(w->path, &st) != 0)
        return ex_raise(err, EX_ESTORAGE, "'%s': %s", w->path, strerror(errno));
    ex_file_mark now = ex_file_mark_of(&st);
    if (w->db.inode && !ex_file_mark_eq(&now, &w->db))
        return ex_file_mark_raise(w->path, "replaced", err);
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_HAS_MOVED, &has_moved) == SQLITE_OK &&
        has_moved)
        return ex_file_mark_raise(w->path, "replaced", err);
    if (!w->db.inode) /* read by other threads afterwards */
        w->db = now;
    w->db_bytes = (uint64_t)st.st_size;
    return EX_OK;
}

static ex_status begin_wal(file_watch *w, ex_error *err)
{
    forget_wal(w);
    struct stat st;
    w->wal_fd = open(w->wal_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    /* without a descriptor to spare the mark has to do */
    if (w->wal_fd >= 0 ? fstat(w->wal_fd, &st) != 0 : stat(w->wal_path, &st) != 0)
        return ex_raise(err, EX_ESTORAGE, "'%s': %s", w->wal_path, strerror(errno));
    w->wal = ex_file_mark_of(&st);
    return EX_OK;
}

static unsigned version_of(sqlite3 *db)
{
    unsigned version = 0;
    (void)sqlite3_file_control(db, "main", SQLITE_FCNTL_DATA_VERSION, &version); /* or stays 0 */
    return version;
}

ex_status file_watch_begin(file_watch *w, sqlite3 *db, ex_error *err)
{
    assert(!w->why.status);
    ex_status st = begin_db(w, db, err);
    if (st == EX_OK)
        st = begin_wal(w, err);
    w->version = version_of(db);
    w->is_foreign = false;
    return st;
}

/* ---- Looking ---- */

/* @param commits of ours since it was last looked at */
static ex_status check_db(file_watch *w, sqlite3 *db, unsigned commits, ex_error *err)
{
    struct stat st;
    ex_status status = ex_file_mark_check(w->path, &w->db, &st, err);
    if (status || !st.st_ino)
        return status;
    unsigned version = version_of(db);
    w->is_foreign |= version - w->version > commits;
    w->version = version;
    /* Our checkpoints never make it shorter; a VACUUM by hand does, and is a commit. */
    if ((uint64_t)st.st_size < w->db_bytes && !w->is_foreign)
        return ex_file_mark_raise(w->path, "written over", err);
    w->db_bytes = (uint64_t)st.st_size;
    return EX_OK;
}

/* The last frame of the commit before is as it was, unless the WAL has started anew since. */
static ex_status check_frame(file_watch *w, const ex_wal_frame *last, ex_error *err)
{
    unsigned char found[WAL_FRAME_HEADER];
    const ex_wal_frame *before = &w->frame;
    bool goes_on = before->at && before->at < last->at &&
                   !memcmp(last->header + SALT_AT, before->header + SALT_AT, SALT_BYTES);
    if (goes_on && w->wal_fd >= 0 &&
        pread(w->wal_fd, found, sizeof(found), (off_t)before->at) == (ssize_t)sizeof(found) &&
        memcmp(found, before->header, sizeof(found)) != 0)
        return ex_file_mark_raise(w->wal_path, "written over", err);
    w->frame = *last;
    return EX_OK;
}

static ex_status check_wal(file_watch *w, sqlite3 *db, bool has_written, ex_error *err)
{
    struct stat st;
    ex_status status = ex_file_mark_check(w->wal_path, &w->wal, &st, err);
    const ex_wal_frame *last = status || !st.st_ino || !has_written ? NULL : ex_wal_writes_last(db);
    if (!last || !last->at)
        return status;
    if ((uint64_t)st.st_size < last->end)
        return ex_file_mark_raise(w->wal_path, "written over", err);
    return check_frame(w, last, err);
}

ex_status file_watch_check(file_watch *w, sqlite3 *db, bool has_written, ex_error *err)
{
    if (!w->why.status && check_db(w, db, has_written, &w->why) == EX_OK)
        (void)check_wal(w, db, has_written, &w->why); /* its reason stays there */
    if (w->why.status && err)
        *err = w->why;
    return w->why.status;
}
