/* store_internal.h: the store's own structure, shared by the files of this folder.
 *
 * Owner of what: the sequencer's thread writes through the driver and publishes
 * to `live`; readers come from `readers`; everything else is set at open. */
#ifndef EXCORE_STORE_STORE_INTERNAL_H
#define EXCORE_STORE_STORE_INTERNAL_H

#include <stdatomic.h>

#include "store/directory.h"
#include "store/driver.h"
#include "store/live.h"
#include "store/lock_file.h"
#include "store/log_identity.h"
#include "store/reader_pool.h"
#include "store/wal_report.h"
#include "store/write_state.h"

/** From here on it is told that the log's last time is ahead of the clock: nodes differ by less. */
#define STORE_AHEAD_US INT64_C(1000000)

struct sequencer;
struct store_metrics;

struct ex_store {
    /* immutable after open */
    ex_store_options options; /* every default filled in */
    store_directory dir;      /* or URL, which may hold a password; zeroed: in memory */
    store_driver driver;
    lock_file lock;
    struct sequencer *sequencer;   /* NULL: read-only */
    struct store_metrics *metrics; /* never NULL; its members may be */
    /* their own locks */
    log_identity identity; /* the driver fills it */
    reader_pool readers;
    wal_report wal;
    store_live live;
    write_state writes;
    /* atomic */
    _Atomic uint64_t head;     /* last committed and published position */
    _Atomic uint64_t heard;    /* head_known.h, as is known_ns */
    _Atomic uint64_t known_ns; /* real time */
};

/** Is what was given in `epoch` still current at `position`, as far as this process knows?
 *  @param ret_generation nullable: of the identity that said so
 *  @return EX_OK, EX_ELOGCHANGED. Thread: any. Blocking: no. */
EX_NODISCARD ex_status store_check_epoch(ex_store *s, const ex_id *epoch, uint64_t position,
                                         uint64_t *ret_generation, ex_error *err);
/** What the database says of the log's identity. Thread: any. Blocking: a query. */
EX_NODISCARD ex_status store_read_epochs(ex_store *s, ex_arena *arena, store_epochs *ret,
                                         ex_error *err);
/** The same for a store that is open for reading: take it over. */
EX_NODISCARD ex_status store_refresh_epochs(ex_store *s, ex_error *err);

/** What tests may change beside the public options. */
typedef struct store_internals {
    uint32_t checkpoint_pages;             /* of SQLite's WAL; 0: the usual number */
    const char *sqlite_vfs;                /* NULL: the default one */
    const struct store_driver_ops *driver; /* NULL: the place's */
} store_internals;

/** ex_store_open with internals (nullable). */
EX_NODISCARD ex_status store_open_with(const char *dir, const ex_store_options *options,
                                       const store_internals *internals, ex_store **ret,
                                       ex_error *err);

#endif
