/* path.h: names of files that mean the same wherever the process stands.
 *
 * What opens several files of a directory over a long time (connections are opened when they are
 * needed) must not be led elsewhere by a chdir of the program in between. So a path is made
 * absolute once, when it comes in. */
#ifndef EXCORE_KERNEL_PATH_H
#define EXCORE_KERNEL_PATH_H

#include <excore/error.h>

/** The path without symbolic links, "." and "..", from the root on. Its last part need not exist.
 *  @param ret the caller's, to be freed
 *  @return EX_OK, EX_EINVAL (empty), EX_ENOTFOUND (the directory above is missing), EX_EFILESYSTEM,
 *          EX_ENOMEM. Thread: any. Blocking: file system. */
EX_NODISCARD ex_status ex_path_resolve(const char *path, char **ret, ex_error *err);
/** The path from the root on, otherwise as it is: a symbolic link that is changed later leads to
 *  where it leads then, as in what is opened anew on purpose.
 *  @param ret the caller's, to be freed
 *  @return EX_OK, EX_EINVAL (empty), EX_EFILESYSTEM (the process's directory is gone), EX_ENOMEM.
 *          Thread: any. */
EX_NODISCARD ex_status ex_path_absolute(const char *path, char **ret, ex_error *err);
/** "DIR/NAME", to be freed; NULL: no memory. */
char *ex_path_join(const char *dir, const char *name);

#endif
