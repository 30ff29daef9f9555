/* file_mark.h: which file it is, whatever its name: to notice that another one stands at its path.
 */
#ifndef EXCORE_KERNEL_FILE_MARK_H
#define EXCORE_KERNEL_FILE_MARK_H

#include <excore/error.h>

#include <sys/stat.h>

/** Zeroed: of no file. */
typedef struct ex_file_mark {
    uint64_t device, inode;
} ex_file_mark;

static inline ex_file_mark ex_file_mark_of(const struct stat *st)
{
    return (ex_file_mark){.device = st->st_dev, .inode = st->st_ino};
}
static inline bool ex_file_mark_eq(const ex_file_mark *a, const ex_file_mark *b)
{
    return a->device == b->device && a->inode == b->inode;
}

/** The file at `path`. @return EX_OK, EX_ENOTFOUND, EX_EFILESYSTEM. Thread: any. Blocking: file
 *  system. */
EX_NODISCARD ex_status ex_file_mark_read(const char *path, ex_file_mark *ret, ex_error *err);
/** Is the file at `path` still the marked one? A file system that fails to answer proves nothing.
 *  @param ret_stat NULL, or what was learned about it; zeroed when nothing was
 *  @return EX_OK, EX_ESTORAGE ("'PATH' was replaced", or moved, or deleted). Thread: any. Blocking:
 *          file system. */
EX_NODISCARD ex_status ex_file_mark_check(const char *path, const ex_file_mark *mark,
                                          struct stat *ret_stat, ex_error *err);
/** The failure of a file that was "replaced", "written over", …. */
ex_status ex_file_mark_raise(const char *path, const char *what, ex_error *err);

#endif
