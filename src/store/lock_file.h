/* lock_file.h: one process at a time writes a store.
 *
 * Two locks are held, which the kernel drops with their owner however that ends,
 * and which refuse a second open in the same process as well:
 *
 *   flock of the directory       cannot be taken away by deleting a file in it, and is
 *                                the same whatever name leads to the directory. Where a file
 *                                system has no such locks it is left out
 *   DIR/lock, with F_OFD_SETLK   can be looked at without being taken
 *
 * The file stays; its text only says who holds it:
 *
 *   pid of the owner, decimal, LF
 *   when it took the lock, RFC 3339, LF
 *
 * Read-only opens take no lock. */
#ifndef EXCORE_STORE_LOCK_FILE_H
#define EXCORE_STORE_LOCK_FILE_H

#include <excore/clock.h>

typedef struct lock_file {
    int fd;     /* of the file; -1: not held */
    int dir_fd; /* of the directory; -1: not held */
} lock_file;

#define LOCK_FILE_NONE                                                                             \
    {                                                                                              \
        -1, -1                                                                                     \
    }

/** Take the lock of an existing directory.
 *  @param shown the directory as people know it, for messages
 *  @return EX_OK, EX_EINUSE (err names the directory, the owner's pid and since when), EX_EREADONLY
 *          (the directory may not be written), EX_ENOTFOUND (no such directory), EX_EFILESYSTEM
 *  Thread: any. Blocking: no. */
EX_NODISCARD ex_status lock_file_open(const char *dir, const char *shown, const ex_clock *clock,
                                      lock_file *ret, ex_error *err);
/** Whether a process, this one included, writes the store in `dir` right now. No lock is taken.
 *  @return EX_OK, EX_EFILESYSTEM, EX_EREADONLY (the lock file may not be read)
 *  Thread: any. Blocking: no. */
EX_NODISCARD ex_status lock_file_is_held(const char *dir, bool *ret, ex_error *err);
/** Let go. One that is not held is accepted. */
void lock_file_close(lock_file *lock);

#endif
