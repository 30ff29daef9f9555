/* wal_writes.c: see wal_writes.h.
 *
 *   wal_file | the lower VFS's own file (its szOsFile bytes) */
#include "sql/sqlite/wal_writes.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define COMMIT_AT 4 /* in a frame's header: the pages of the database after a commit, else 0 */

typedef struct wal_file {
    sqlite3_file base;
    sqlite3_file *lower;
    unsigned char *kept; /* WAL_WRITES_BYTES; NULL: nothing is kept */
    int kept_len;
    bool is_commit;       /* the header that came last ends a commit, its page is to come */
    sqlite3_int64 end;    /* behind what came last, kept or written */
    ex_wal_frame current; /* whose header came last */
    ex_wal_frame last;
} wal_file;

static wal_file *file_of(sqlite3_file *f)
{
    return (wal_file *)(void *)f;
}

/* ---- Writing ---- */

static int write_kept(wal_file *w)
{
    int len = w->kept_len;
    w->kept_len = 0; /* also after a failure */
    return len ? w->lower->pMethods->xWrite(w->lower, w->kept, len, w->end - len) : SQLITE_OK;
}

static int keep_or_write(wal_file *w, const void *bytes, int n, sqlite3_int64 at)
{
    bool is_next = w->kept && at == w->end && n <= WAL_WRITES_BYTES;
    if (!is_next || w->kept_len + n > WAL_WRITES_BYTES) {
        int rc = write_kept(w);
        if (rc != SQLITE_OK)
            return rc;
    }
    w->end = at + n;
    if (!is_next)
        return w->lower->pMethods->xWrite(w->lower, bytes, n, at);
    memcpy(w->kept + w->kept_len, bytes, (size_t)n);
    w->kept_len += n;
    return SQLITE_OK;
}

static int file_write(sqlite3_file *f, const void *bytes, int n, sqlite3_int64 at)
{
    static const unsigned char no_commit[4];
    wal_file *w = file_of(f);
    bool is_page = at == (sqlite3_int64)w->current.at + WAL_FRAME_HEADER;
    int rc = keep_or_write(w, bytes, n, at);
    if (rc == SQLITE_OK && w->is_commit) { /* its page, or a header that was written over */
        rc = write_kept(w);
        if (rc == SQLITE_OK && is_page) {
            w->last = w->current;
            w->last.end = (uint64_t)w->end;
        }
    }
    w->is_commit = false;
    if (n != WAL_FRAME_HEADER || rc != SQLITE_OK) {
        w->current.at = 0;
        return rc;
    }
    w->current.at = (uint64_t)at;
    memcpy(w->current.header, bytes, WAL_FRAME_HEADER);
    if (at == (sqlite3_int64)w->last.at) /* the checksums of a transaction that spilled */
        memcpy(w->last.header, bytes, WAL_FRAME_HEADER);
    w->is_commit = memcmp(w->current.header + COMMIT_AT, no_commit, sizeof(no_commit)) != 0;
    return SQLITE_OK;
}

/* ---- Everything else ---- */

static int file_close(sqlite3_file *f)
{
    wal_file *w = file_of(f);
    free(w->kept); /* what is still in it was never committed */
    w->kept = NULL;
    return w->lower->pMethods->xClose(w->lower);
}

static int file_read(sqlite3_file *f, void *out, int n, sqlite3_int64 at)
{
    int rc = write_kept(file_of(f));
    return rc ? rc : file_of(f)->lower->pMethods->xRead(file_of(f)->lower, out, n, at);
}

static int file_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    int rc = write_kept(file_of(f));
    return rc ? rc : file_of(f)->lower->pMethods->xTruncate(file_of(f)->lower, size);
}

static int file_sync(sqlite3_file *f, int flags)
{
    int rc = write_kept(file_of(f));
    return rc ? rc : file_of(f)->lower->pMethods->xSync(file_of(f)->lower, flags);
}

static int file_size(sqlite3_file *f, sqlite3_int64 *ret)
{
    int rc = write_kept(file_of(f));
    return rc ? rc : file_of(f)->lower->pMethods->xFileSize(file_of(f)->lower, ret);
}

static int file_lock(sqlite3_file *f, int level)
{
    return file_of(f)->lower->pMethods->xLock(file_of(f)->lower, level);
}

static int file_unlock(sqlite3_file *f, int level)
{
    return file_of(f)->lower->pMethods->xUnlock(file_of(f)->lower, level);
}

static int file_check_reserved(sqlite3_file *f, int *ret)
{
    return file_of(f)->lower->pMethods->xCheckReservedLock(file_of(f)->lower, ret);
}

static int file_control(sqlite3_file *f, int op, void *arg)
{
    return file_of(f)->lower->pMethods->xFileControl(file_of(f)->lower, op, arg);
}

static int file_sector_size(sqlite3_file *f)
{
    return file_of(f)->lower->pMethods->xSectorSize(file_of(f)->lower);
}

static int file_characteristics(sqlite3_file *f)
{
    return file_of(f)->lower->pMethods->xDeviceCharacteristics(file_of(f)->lower);
}

static const sqlite3_io_methods methods = {
    .iVersion = 1, /* a WAL is neither mapped nor shared */
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
};

const ex_wal_frame *ex_wal_writes_last(sqlite3 *db)
{
    sqlite3_file *file = NULL;
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file) != SQLITE_OK ||
        !file || file->pMethods != &methods)
        return NULL;
    return &file_of(file)->last;
}

/* ---- The VFS ---- */

static sqlite3_vfs *lower_of(sqlite3_vfs *vfs)
{
    return ((ex_wal_writes *)vfs->pAppData)->lower;
}

/* Else SQLite fills the last sector with copies of the last frame, and cuts one of them in two. */
static bool is_whole_frames(sqlite3_file *wal)
{
    return wal->pMethods->xDeviceCharacteristics(wal) & SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static int open_wal(sqlite3_vfs *lower, sqlite3_filename name, wal_file *w, int flags,
                    int *ret_flags)
{
    *w = (wal_file){.lower = (sqlite3_file *)(void *)(w + 1)};
    int rc = lower->xOpen(lower, name, w->lower, flags, ret_flags);
    if (!w->lower->pMethods)
        return rc;
    w->base.pMethods = &methods; /* also after a failure: then SQLite closes it */
    if (rc == SQLITE_OK && is_whole_frames(w->lower))
        w->kept = malloc(WAL_WRITES_BYTES); /* or each write goes its own way */
    return rc;
}

static int vfs_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *f, int flags,
                    int *ret_flags)
{
    sqlite3_vfs *lower = lower_of(vfs);
    f->pMethods = NULL;
    return flags & SQLITE_OPEN_WAL ? open_wal(lower, name, file_of(f), flags, ret_flags)
                                   : lower->xOpen(lower, name, f, flags, ret_flags);
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int is_dir_sync)
{
    return lower_of(vfs)->xDelete(lower_of(vfs), name, is_dir_sync);
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret)
{
    return lower_of(vfs)->xAccess(lower_of(vfs), name, flags, ret);
}

static int vfs_full_pathname(sqlite3_vfs *vfs, const char *name, int size, char *ret)
{
    return lower_of(vfs)->xFullPathname(lower_of(vfs), name, size, ret);
}

static int vfs_randomness(sqlite3_vfs *vfs, int n, char *ret)
{
    return lower_of(vfs)->xRandomness(lower_of(vfs), n, ret);
}

static int vfs_sleep(sqlite3_vfs *vfs, int us)
{
    return lower_of(vfs)->xSleep(lower_of(vfs), us);
}

static int vfs_current_time(sqlite3_vfs *vfs, double *ret)
{
    return lower_of(vfs)->xCurrentTime(lower_of(vfs), ret);
}

static int vfs_current_time_ms(sqlite3_vfs *vfs, sqlite3_int64 *ret)
{
    return lower_of(vfs)->xCurrentTimeInt64(lower_of(vfs), ret);
}

static int vfs_last_error(sqlite3_vfs *vfs, int n, char *ret)
{
    return lower_of(vfs)->xGetLastError(lower_of(vfs), n, ret);
}

ex_status ex_wal_writes_register(ex_wal_writes *w, const char *lower, ex_error *err)
{
    *w = (ex_wal_writes){.lower = sqlite3_vfs_find(lower)};
    if (!w->lower)
        return ex_raise(err, EX_EDATABASE, "SQLite has no file system '%s'", lower ? lower : "");
    (void)snprintf(w->name, sizeof(w->name), "excore-wal-%p", (void *)w); /* fits */
    bool has_ms = w->lower->iVersion >= 2 && w->lower->xCurrentTimeInt64;
    w->vfs = (sqlite3_vfs){
        .iVersion = has_ms ? 2 : 1, /* no extensions are loaded, no system call is exchanged */
        .szOsFile = (int)sizeof(wal_file) + w->lower->szOsFile,
        .mxPathname = w->lower->mxPathname,
        .zName = w->name,
        .pAppData = w,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_pathname,
        .xRandomness = vfs_randomness,
        .xSleep = vfs_sleep,
        .xCurrentTime = vfs_current_time,
        .xGetLastError = vfs_last_error,
        .xCurrentTimeInt64 = has_ms ? vfs_current_time_ms : NULL,
    };
    if (sqlite3_vfs_register(&w->vfs, 0) == SQLITE_OK)
        return EX_OK;
    w->lower = NULL;
    return ex_raise(err, EX_ENOMEM, "no memory for SQLite's file system");
}

void ex_wal_writes_unregister(ex_wal_writes *w)
{
    if (w->lower)
        (void)sqlite3_vfs_unregister(&w->vfs); /* it was registered */
    w->lower = NULL;
}
