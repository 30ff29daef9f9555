/* lock_file.h: one process at a time writes a store.
 *
 * DIR/lock is held with an open-file-description lock (fcntl F_OFD_SETLK), so
 * the kernel drops it with its owner however that ends, and a second open in
 * the same process is refused as well. The file stays; its text only says who
 * holds it:
 *
 *   pid of the owner, decimal, LF
 *   when it took the lock, RFC 3339, LF
 *
 * Read-only opens take no lock. */
#ifndef EXCORE_STORE_LOCK_FILE_H
#define EXCORE_STORE_LOCK_FILE_H

#include <excore/clock.h>

typedef struct lock_file {
    int fd; /* -1: not held */
} lock_file;

#define LOCK_FILE_NONE                                                                             \
    {                                                                                              \
        -1                                                                                         \
    }

/** Take the lock of an existing directory.
 *  @return EX_OK, EX_EINUSE (err names the directory, the owner's pid and since when), EX_EREADONLY
 *          (the directory may not be written), EX_ENOTFOUND (no such directory), EX_EFILESYSTEM
 *  Thread: any. Blocking: no. */
EX_NODISCARD ex_status lock_file_open(const char *dir, const ex_clock *clock, lock_file *ret,
                                      ex_error *err);
/** Whether a process, this one included, writes the store in `dir` right now. No lock is taken.
 *  @return EX_OK, EX_EFILESYSTEM, EX_EREADONLY (the lock file may not be read)
 *  Thread: any. Blocking: no. */
EX_NODISCARD ex_status lock_file_is_held(const char *dir, bool *ret, ex_error *err);
/** Let go. One that is not held is accepted. */
void lock_file_close(lock_file *lock);

#endif
