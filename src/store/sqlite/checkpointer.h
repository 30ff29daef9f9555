/* checkpointer.h: keeps the WAL small without letting commits wait for it (docs/decisions/0015).
 *
 *   pages in the WAL   what happens
 *   ----------------   ---------------------------------------------------------------------
 *   below `first`      nothing
 *   from `first` on    a thread with a connection of its own copies them into the database
 *                      (PASSIVE), while commits go on; again, until few are left
 *   few left           between two batches, with no scan of ours inside, the writing connection
 *                      copies the rest (PASSIVE): the next commit starts the WAL anew
 *   `most`             the writer is quicker than the thread, or scans never rest: it waits for
 *                      them and copies the rest, however much
 *
 * The thread alone would never see the WAL start anew: something has always been
 * written since. And only a writer that begins when all is copied, with nobody
 * reading from the WAL, starts it anew. Scans of this process are short; while the
 * last step, or a thread that could not pass them, waits for them to end, new ones
 * wait, for 60 ms at most. Readers of other
 * processes are not waited for: the step is tried again some pages later.
 *
 * Failures are harmless: what was not copied is in the WAL, and tried again. */
#ifndef EXCORE_STORE_SQLITE_CHECKPOINTER_H
#define EXCORE_STORE_SQLITE_CHECKPOINTER_H

#include <pthread.h>
#include <stdatomic.h>

#include <sqlite3.h>

#include "store/driver.h"
#include "store/sqlite/sqlite_conn.h"

/** Opens the thread's connection: for writing, of the same file as all others. */
typedef ex_status checkpointer_open_fn(void *ctx, sqlite_conn *ret, ex_error *err);

typedef struct checkpointer {
    /* immutable */
    checkpointer_open_fn *open;
    void *open_ctx;
    int first, most; /* pages */
    /* the thread's, once it runs */
    sqlite_conn conn; /* zeroed: not open */
    /* any thread */
    _Atomic int pages; /* in the WAL after the last commit; the sequencer writes it */
    _Atomic int at;    /* pages from which on there is something to do */
    atomic_ulong passes, finishes, failures;
    /* guarded by mu */
    pthread_mutex_t mu;
    pthread_cond_t asked; /* the thread waits */
    pthread_cond_t ended; /* the sequencer and readers wait */
    pthread_t thread;
    bool has_thread;
    bool is_working;
    bool is_awaited; /* by the sequencer */
    bool is_stopping;
    bool is_behind;  /* the thread has left more than a few pages */
    int copied;      /* pages, of the present life of the WAL */
    uint64_t life;   /* how often it has started anew */
    uint32_t inside; /* scans */
    bool is_held;    /* new scans wait */
    struct timespec held_until;
} checkpointer;

/** @param first 0: the usual number of pages */
void checkpointer_init(checkpointer *c, int first, checkpointer_open_fn *open, void *open_ctx);
/** Stop the thread. A zeroed one is accepted. */
void checkpointer_done(checkpointer *c);

/** A commit left `pages` in the WAL. Thread: the sequencer. */
void checkpointer_note(checkpointer *c, int pages);
/** Between two batches: do what is due. Thread: the sequencer.
 *  @param writer its connection, outside a transaction */
void checkpointer_turn(checkpointer *c, sqlite3 *writer);

/** A scan begins, and ends; nothing else of the scan's thread may be inside. Thread: any. Blocking:
 *  at most 60 ms. */
void checkpointer_enter(checkpointer *c);
void checkpointer_leave(checkpointer *c);

/** Thread: any. */
void checkpointer_measure(checkpointer *c, store_wal *ret);

#endif
