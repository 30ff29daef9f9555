/* path.c: see path.h. */
#include "kernel/path.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

char *ex_path_join(const char *dir, const char *name)
{
    size_t dir_len = strlen(dir), name_len = strlen(name);
    while (dir_len > 0 && dir[dir_len - 1] == '/') /* the root is the one that keeps it */
        dir_len--;
    char *path = malloc(dir_len + 1 + name_len + 1);
    if (!path)
        return NULL;
    memcpy(path, dir, dir_len);
    path[dir_len] = '/';
    memcpy(path + dir_len + 1, name, name_len + 1);
    return path;
}

ex_status ex_path_absolute(const char *path, char **ret, ex_error *err)
{
    if (!*path)
        return ex_raise(err, EX_EINVAL, "a path must not be empty");
    char *here = *path == '/' ? NULL : getcwd(NULL, 0);
    if (*path != '/' && !here)
        return ex_raise(err, errno == ENOMEM ? EX_ENOMEM : EX_EFILESYSTEM,
                        "'%s': the current directory: %s", path, strerror(errno));
    char *made = here ? ex_path_join(here, path) : strdup(path);
    free(here);
    if (!made)
        return ex_raise(err, EX_ENOMEM, "no memory for the path '%s'", path);
    *ret = made;
    return EX_OK;
}

static ex_status raise(const char *path, int cause, ex_error *err)
{
    if (cause == ENOMEM)
        return ex_raise(err, EX_ENOMEM, "no memory for the path '%s'", path);
    if (cause == ENOENT || cause == ENOTDIR)
        return ex_raise(err, EX_ENOTFOUND, "the directory above '%s' is missing", path);
    return ex_raise(err, EX_EFILESYSTEM, "'%s': %s", path, strerror(cause));
}

/* `copy` is cut into the directory and the last part. */
static ex_status resolve_parent(const char *path, char *copy, char **ret, ex_error *err)
{
    size_t len = strlen(copy);
    while (len > 1 && copy[len - 1] == '/')
        copy[--len] = '\0';
    char *slash = strrchr(copy, '/');
    const char *name = slash ? slash + 1 : copy;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || !*name)
        return raise(path, ENOENT, err); /* of a directory that is not there */
    if (slash)
        *slash = '\0';
    char *parent = realpath(!slash ? "." : slash == copy ? "/" : copy, NULL);
    if (!parent)
        return raise(path, errno, err);
    *ret = ex_path_join(parent, name);
    free(parent);
    return *ret ? EX_OK : raise(path, ENOMEM, err);
}

ex_status ex_path_resolve(const char *path, char **ret, ex_error *err)
{
    if (!*path)
        return ex_raise(err, EX_EINVAL, "a path must not be empty");
    char *whole = realpath(path, NULL);
    if (whole) {
        *ret = whole;
        return EX_OK;
    }
    if (errno != ENOENT)
        return raise(path, errno, err);
    char *copy = strdup(path);
    if (!copy)
        return raise(path, ENOMEM, err);
    ex_status st = resolve_parent(path, copy, ret, err);
    free(copy);
    return st;
}
