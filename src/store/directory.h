/* directory.h: the directory of a store: found, made, locked. Drivers open the files in it. */
#ifndef EXCORE_STORE_DIRECTORY_H
#define EXCORE_STORE_DIRECTORY_H

#include <excore/store.h>

#include "store/lock_file.h"

/** What a caller gave as a store's place, and what is opened. Either may be a postgres:// URL,
 * whose files are absolute in `path`. */
typedef struct store_directory {
    char *shown; /* as it was given, for messages */
    char *path;  /* absolute: opened whatever the process's directory is later on */
} store_directory;

/** Make the place absolute.
 *  @param place borrowed
 *  @param must_exist only for the message when the directory above is missing
 *  @return EX_OK, EX_EINVAL (empty), EX_ENOTFOUND (the directory above is missing), EX_EFILESYSTEM,
 *          EX_ENOMEM. Thread: any. Blocking: file system. */
EX_NODISCARD ex_status store_directory_init(store_directory *d, const char *place, bool must_exist,
                                            ex_error *err);
/** A zeroed one is accepted. */
void store_directory_done(store_directory *d);

/** Get ready for writing: make the directory unless it must exist, and take its lock.
 *  @return EX_OK, EX_EINUSE, EX_EREADONLY, EX_ENOTFOUND, EX_EFILESYSTEM. Thread: any. Blocking:
 *          file system. */
EX_NODISCARD ex_status store_directory_lock(const store_directory *d, bool must_exist,
                                            const ex_clock *clock, lock_file *ret, ex_error *err);

#endif
