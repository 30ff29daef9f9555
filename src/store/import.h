/* import.h: another store's records, written exactly as they are.
 *
 * For moving a log from one store to another: position, version, id, time and
 * all bytes are those of the source. Nothing is decided here, so nothing is
 * looked up but the versions of the streams. */
#ifndef EXCORE_STORE_IMPORT_H
#define EXCORE_STORE_IMPORT_H

#include "store/submission.h"

typedef struct ex_import ex_import;

/** One import; a part of the log and command records, all or none. */
struct ex_import {
    ex_submission submission; /* the store's */
    /* set by the caller, borrowed until done */
    const ex_event *events; /* in order of position; the first follows the log's last */
    uint32_t event_count;
    const ex_command_record *commands; /* none of them is stored yet */
    uint32_t command_count;
    /** Called once on the sequencer's thread when it is durable, or with why nothing was stored.
     *  Must not block; `import` may be reused from here on. */
    void (*done)(ex_import *import, ex_status status, const ex_error *err);
};

/** Queue an import. Imports are written in the order in which they are queued.
 *  @return EX_OK, EX_ECORRUPT (an event that no store could hold), EX_EOVERLOADED, EX_ECLOSED,
 *          EX_EREADONLY; then done is not called. done gets EX_OK, EX_EPRECONDITION (the log or a
 *          stream does not end where the import begins), EX_ESTORAGE (retry), EX_ENOMEM
 *  Thread: any. Blocking: no. */
EX_NODISCARD ex_status ex_store_import(ex_store *s, ex_import *import, ex_error *err);

/** Call fn for up to `limit` of the command records with a number above `after`, oldest first.
 *  @return EX_OK (also when there are none), EX_ETIMEOUT (no read connection), EX_ESTORAGE.
 *  Thread: any. Blocking: disk reads. */
EX_NODISCARD ex_status ex_store_read_commands(ex_store *s, uint64_t after, uint32_t limit,
                                              ex_command_fn *fn, void *ctx, ex_error *err);

/** Position of the last committed event, asked of the database itself: unlike ex_store_head it
 * tells when that cannot be known. Thread: any. Blocking: a query. */
EX_NODISCARD ex_status ex_store_read_head(ex_store *s, uint64_t *ret, ex_error *err);

#endif
