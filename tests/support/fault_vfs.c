/* fault_vfs.c: every method counts its call, asks the plan, and hands the call down.
 *
 *   fault_file | the default VFS's own file (szOsFile bytes) */
#include "support/fault_vfs.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

typedef struct fault_file {
    sqlite3_file base;
    const char *name; /* SQLite's, lives as long as the file; NULL for a temporary one */
    sqlite3_file *real;
} fault_file;

static struct {
    pthread_mutex_t mu;
    fault_plan plan;
    uint64_t planned; /* calls that the plan looks at */
    uint64_t calls[FAULT_KINDS];
    uint64_t failures;
} shared = {.mu = PTHREAD_MUTEX_INITIALIZER};

static sqlite3_vfs *real_vfs;
static const fault_observer *observer;

static const struct {
    const char *name;
    int code;
} kinds[FAULT_KINDS] = {
    [FAULT_OPEN] = {"open", SQLITE_CANTOPEN},
    [FAULT_READ] = {"read", SQLITE_IOERR_READ},
    [FAULT_WRITE] = {"write", SQLITE_IOERR_WRITE},
    [FAULT_SYNC] = {"sync", SQLITE_IOERR_FSYNC},
    [FAULT_TRUNCATE] = {"truncate", SQLITE_IOERR_TRUNCATE},
    [FAULT_SIZE] = {"size", SQLITE_IOERR_FSTAT},
    [FAULT_LOCK] = {"lock", SQLITE_IOERR_LOCK},
    [FAULT_SHM_MAP] = {"shm map", SQLITE_IOERR_SHMMAP},
    [FAULT_SHM_LOCK] = {"shm lock", SQLITE_IOERR_SHMLOCK},
    [FAULT_DELETE] = {"delete", SQLITE_IOERR_DELETE},
    [FAULT_ACCESS] = {"access", SQLITE_IOERR_ACCESS},
};

const char *fault_kind_name(fault_kind kind)
{
    return kinds[kind].name;
}

/* ---- The plan ---- */

static bool is_planned(const fault_plan *plan, fault_kind kind, const char *name)
{
    if ((plan->kinds & FAULT_BIT(kind)) == 0)
        return false;
    if (plan->suffix == NULL)
        return true;
    size_t n = name != NULL ? strlen(name) : 0;
    size_t s = strlen(plan->suffix);
    return n >= s && strcmp(name + n - s, plan->suffix) == 0;
}

/* Count the call. SQLITE_OK, or the code to fail with. */
static int strike(fault_kind kind, const char *name, bool *ret_short)
{
    int code = SQLITE_OK;
    pthread_mutex_lock(&shared.mu);
    const fault_plan *plan = &shared.plan;
    shared.calls[kind]++;
    if (is_planned(plan, kind, name)) {
        shared.planned++;
        if (shared.planned == plan->at || (plan->is_sticky && shared.planned > plan->at)) {
            code = plan->code != 0 ? plan->code : kinds[kind].code;
            shared.failures++;
        }
        if (ret_short != NULL)
            *ret_short = plan->is_short;
    }
    pthread_mutex_unlock(&shared.mu);
    return code;
}

void fault_vfs_plan(fault_plan plan)
{
    pthread_mutex_lock(&shared.mu);
    shared.plan = plan;
    shared.planned = 0;
    shared.failures = 0;
    memset(shared.calls, 0, sizeof shared.calls);
    pthread_mutex_unlock(&shared.mu);
}

void fault_vfs_heal(void)
{
    pthread_mutex_lock(&shared.mu);
    shared.plan.kinds = 0;
    pthread_mutex_unlock(&shared.mu);
}

uint64_t fault_vfs_calls(fault_kind kind)
{
    pthread_mutex_lock(&shared.mu);
    uint64_t n = shared.calls[kind];
    pthread_mutex_unlock(&shared.mu);
    return n;
}

uint64_t fault_vfs_planned(void)
{
    pthread_mutex_lock(&shared.mu);
    uint64_t n = shared.planned;
    pthread_mutex_unlock(&shared.mu);
    return n;
}

uint64_t fault_vfs_failures(void)
{
    pthread_mutex_lock(&shared.mu);
    uint64_t n = shared.failures;
    pthread_mutex_unlock(&shared.mu);
    return n;
}

void fault_vfs_observe(const fault_observer *o)
{
    observer = o;
}

/* ---- Files ---- */

static fault_file *file_of(sqlite3_file *f)
{
    return (fault_file *)(void *)f;
}

#define STRIKE(kind, file)                                                                         \
    do {                                                                                           \
        int strike_code = strike((kind), (file)->name, NULL);                                      \
        if (strike_code != SQLITE_OK)                                                              \
            return strike_code;                                                                    \
    } while (0)

static int file_close(sqlite3_file *f)
{
    return file_of(f)->real->pMethods->xClose(file_of(f)->real);
}

static int file_read(sqlite3_file *f, void *out, int n, sqlite3_int64 at)
{
    STRIKE(FAULT_READ, file_of(f));
    return file_of(f)->real->pMethods->xRead(file_of(f)->real, out, n, at);
}

static int write_down(fault_file *file, const void *bytes, int n, sqlite3_int64 at)
{
    int code = file->real->pMethods->xWrite(file->real, bytes, n, at);
    if (code == SQLITE_OK && observer != NULL && file->name != NULL)
        observer->on_write(file->name, bytes, (size_t)n, (uint64_t)at);
    return code;
}

static int file_write(sqlite3_file *f, const void *bytes, int n, sqlite3_int64 at)
{
    fault_file *file = file_of(f);
    bool is_short = false;
    int code = strike(FAULT_WRITE, file->name, &is_short);
    if (code != SQLITE_OK && is_short)
        (void)write_down(file, bytes, n / 2, at);
    return code != SQLITE_OK ? code : write_down(file, bytes, n, at);
}

static int file_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    STRIKE(FAULT_TRUNCATE, file_of(f));
    int code = file_of(f)->real->pMethods->xTruncate(file_of(f)->real, size);
    if (code == SQLITE_OK && observer != NULL && file_of(f)->name != NULL)
        observer->on_truncate(file_of(f)->name, (uint64_t)size);
    return code;
}

static int file_sync(sqlite3_file *f, int flags)
{
    STRIKE(FAULT_SYNC, file_of(f));
    int code = file_of(f)->real->pMethods->xSync(file_of(f)->real, flags);
    if (code == SQLITE_OK && observer != NULL && file_of(f)->name != NULL)
        observer->on_sync(file_of(f)->name);
    return code;
}

static int file_size(sqlite3_file *f, sqlite3_int64 *ret)
{
    STRIKE(FAULT_SIZE, file_of(f));
    return file_of(f)->real->pMethods->xFileSize(file_of(f)->real, ret);
}

static int file_lock(sqlite3_file *f, int level)
{
    STRIKE(FAULT_LOCK, file_of(f));
    return file_of(f)->real->pMethods->xLock(file_of(f)->real, level);
}

static int file_unlock(sqlite3_file *f, int level)
{
    return file_of(f)->real->pMethods->xUnlock(file_of(f)->real, level);
}

static int file_check_reserved(sqlite3_file *f, int *ret)
{
    return file_of(f)->real->pMethods->xCheckReservedLock(file_of(f)->real, ret);
}

static int file_control(sqlite3_file *f, int op, void *arg)
{
    return file_of(f)->real->pMethods->xFileControl(file_of(f)->real, op, arg);
}

static int file_sector_size(sqlite3_file *f)
{
    return file_of(f)->real->pMethods->xSectorSize(file_of(f)->real);
}

static int file_characteristics(sqlite3_file *f)
{
    return file_of(f)->real->pMethods->xDeviceCharacteristics(file_of(f)->real);
}

static int file_shm_map(sqlite3_file *f, int region, int size, int extend, void volatile **ret)
{
    STRIKE(FAULT_SHM_MAP, file_of(f));
    return file_of(f)->real->pMethods->xShmMap(file_of(f)->real, region, size, extend, ret);
}

static int file_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    if ((flags & SQLITE_SHM_LOCK) != 0)
        STRIKE(FAULT_SHM_LOCK, file_of(f));
    return file_of(f)->real->pMethods->xShmLock(file_of(f)->real, offset, n, flags);
}

static void file_shm_barrier(sqlite3_file *f)
{
    file_of(f)->real->pMethods->xShmBarrier(file_of(f)->real);
}

static int file_shm_unmap(sqlite3_file *f, int is_delete)
{
    return file_of(f)->real->pMethods->xShmUnmap(file_of(f)->real, is_delete);
}

/* Version 2: without xFetch SQLite never maps the file, so every access comes through here. */
static const sqlite3_io_methods methods = {
    .iVersion = 2,
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
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

/* ---- The VFS ---- */

static int vfs_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *f, int flags,
                    int *ret_flags)
{
    (void)vfs;
    fault_file *file = file_of(f);
    memset(file, 0, sizeof *file);
    file->name = name;
    file->real = (sqlite3_file *)(void *)(file + 1);
    STRIKE(FAULT_OPEN, file);
    int code = real_vfs->xOpen(real_vfs, name, file->real, flags, ret_flags);
    if (file->real->pMethods != NULL) /* also after a failure: then SQLite closes it */
        file->base.pMethods = &methods;
    return code;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int is_dir_sync)
{
    (void)vfs;
    int code = strike(FAULT_DELETE, name, NULL);
    if (code == SQLITE_OK)
        code = real_vfs->xDelete(real_vfs, name, is_dir_sync);
    if (code == SQLITE_OK && observer != NULL)
        observer->on_delete(name);
    return code;
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret)
{
    (void)vfs;
    int code = strike(FAULT_ACCESS, name, NULL);
    return code != SQLITE_OK ? code : real_vfs->xAccess(real_vfs, name, flags, ret);
}

void fault_vfs_register(void)
{
    static sqlite3_vfs vfs;
    if (real_vfs != NULL)
        return;
    real_vfs = sqlite3_vfs_find(NULL);
    if (real_vfs == NULL)
        abort();
    vfs = *real_vfs; /* what is not about files goes straight through */
    vfs.pNext = NULL;
    vfs.zName = FAULT_VFS_NAME;
    vfs.szOsFile = (int)sizeof(fault_file) + real_vfs->szOsFile;
    vfs.xOpen = vfs_open;
    vfs.xDelete = vfs_delete;
    vfs.xAccess = vfs_access;
    if (sqlite3_vfs_register(&vfs, 0) != SQLITE_OK)
        abort();
}
