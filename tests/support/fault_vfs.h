/* fault_vfs.h: a SQLite VFS over the default one that fails when it is told to.
 *
 * Calls are counted by kind over all files and connections. A plan names kinds,
 * the n-th call of them that fails, how, and whether all later ones fail too.
 * Beside failing it can cut a write short: half of the bytes reach the file.
 * Thread: any, one plan at a time for the process. */
#ifndef EXCORE_TESTS_FAULT_VFS_H
#define EXCORE_TESTS_FAULT_VFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAULT_VFS_NAME "excore-fault"

typedef enum fault_kind {
    FAULT_OPEN,
    FAULT_READ,
    FAULT_WRITE,
    FAULT_SYNC,
    FAULT_TRUNCATE,
    FAULT_SIZE, /* xFileSize */
    FAULT_LOCK, /* xLock */
    FAULT_SHM_MAP,
    FAULT_SHM_LOCK,
    FAULT_DELETE,
    FAULT_ACCESS,
    FAULT_KINDS
} fault_kind;

#define FAULT_BIT(kind) (1u << (kind))

typedef struct fault_plan {
    unsigned kinds;     /* bits; 0: nothing fails, calls are counted */
    uint64_t at;        /* the n-th call of these kinds fails, from 1 */
    bool is_sticky;     /* and all later ones */
    bool is_short;      /* writes: half of it is written first */
    int code;           /* 0: the I/O error of the kind, else e.g. SQLITE_FULL */
    const char *suffix; /* only files whose name ends so ("-wal"); NULL: all */
} fault_plan;

/** Make the VFS known to SQLite. More than once is fine. */
void fault_vfs_register(void);
/** Count from zero, and fail as planned. `suffix` stays borrowed. */
void fault_vfs_plan(fault_plan plan);
/** No more failures. The counts stay. */
void fault_vfs_heal(void);
/** Calls of a kind since the plan was set. */
uint64_t fault_vfs_calls(fault_kind kind);
/** Calls that the plan is about, and how many of them were made to fail, since it was set. */
uint64_t fault_vfs_planned(void);
uint64_t fault_vfs_failures(void);
const char *fault_kind_name(fault_kind kind);

/** Told of what reached a file, on the thread that did it. Every method is required. */
typedef struct fault_observer {
    void (*on_write)(const char *file, const void *bytes, size_t n, uint64_t at);
    void (*on_truncate)(const char *file, uint64_t size);
    void (*on_sync)(const char *file);
    void (*on_delete)(const char *file);
} fault_observer;

/** NULL: nobody. Only while no file is open. */
void fault_vfs_observe(const fault_observer *observer);

#endif
