/* power_cut.h: what a disk may hold when the power goes, kept beside the real files.
 *
 * For every file that is written through the fault VFS it keeps the bytes as of
 * the last fsync and the writes and truncations since. A cut gives the synced
 * bytes plus a random choice of the rest: each may be there, not be there, or,
 * for a write, be there up to some sector. Deleting is taken as done at once.
 * One store at a time. Thread: any. */
#ifndef EXCORE_TESTS_POWER_CUT_H
#define EXCORE_TESTS_POWER_CUT_H

#include <stdint.h>

/** Begin to watch; the fault VFS is registered. `on_change` is called after each change, on the
 *  thread that made it: SQLite is then at work in the middle of something. */
void power_cut_start(void (*on_change)(void *ctx), void *ctx);
/** Forget all; no file is open. */
void power_cut_stop(void);
/** Write the files as the cut leaves them into `dir`. `random` is advanced. */
void power_cut_take(const char *dir, uint64_t *random);

#endif
