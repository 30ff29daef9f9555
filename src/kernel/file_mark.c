/* file_mark.c: see file_mark.h. */
#include "kernel/file_mark.h"

#include <errno.h>

ex_status ex_file_mark_read(const char *path, ex_file_mark *ret, ex_error *err)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return ex_raise(err, errno == ENOENT ? EX_ENOTFOUND : EX_EFILESYSTEM, "'%s': %s", path,
                        strerror(errno));
    *ret = ex_file_mark_of(&st);
    return EX_OK;
}

ex_status ex_file_mark_raise(const char *path, const char *what, ex_error *err)
{
    return ex_raise(err, EX_ESTORAGE, "'%s' was %s while it was in use", path, what);
}

ex_status ex_file_mark_check(const char *path, const ex_file_mark *mark, struct stat *ret_stat,
                             ex_error *err)
{
    struct stat own, *st = ret_stat ? ret_stat : &own;
    if (stat(path, st) != 0) {
        *st = (struct stat){0};
        return errno == ENOENT || errno == ENOTDIR
                   ? ex_file_mark_raise(path, "moved or deleted", err)
                   : EX_OK;
    }
    ex_file_mark now = ex_file_mark_of(st);
    return ex_file_mark_eq(&now, mark) ? EX_OK : ex_file_mark_raise(path, "replaced", err);
}
