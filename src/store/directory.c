/* directory.c: see directory.h. */
#include "store/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/path.h"
#include "sql/postgres/pg_url.h"
#include "store/driver.h"

/* ---- Its name ---- */

ex_status store_directory_init(store_directory *d, const char *place, bool must_exist,
                               ex_error *err)
{
    store_directory made = {0};
    if (!place || !*place)
        return ex_raise(err, EX_EINVAL, "a store needs a directory");
    made.shown = strdup(place);
    ex_status st = made.shown ? EX_OK : ex_raise(err, EX_ENOMEM, "no memory to open a store");
    if (st == EX_OK && ex_pg_is_url(place)) {
        st = ex_pg_url_absolute(place, &made.path, err);
    } else if (st == EX_OK) {
        st = ex_path_resolve(place, &made.path, err);
    }
    if (st == EX_ENOTFOUND)
        st = ex_raise(err, st,
                      must_exist ? "there is no store in '%s'"
                                 : "cannot create '%s': the directory above is missing",
                      place);
    if (st)
        store_directory_done(&made);
    else
        *d = made;
    return st;
}

void store_directory_done(store_directory *d)
{
    free(d->shown);
    free(d->path);
    *d = (store_directory){0};
}

/* ---- Making it ---- */

/* A new directory is durable when the one above it is. */
static ex_status sync_parent(const store_directory *d, ex_error *err)
{
    char *parent = ex_path_join(d->path, "..");
    if (!parent)
        return ex_raise(err, EX_ENOMEM, "no memory to create '%s'", d->shown);
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_synced = fd >= 0 && fsync(fd) == 0;
    int cause = errno;
    if (fd >= 0)
        (void)close(fd); /* only read from */
    free(parent);
    return is_synced
               ? EX_OK
               : ex_raise(err, EX_EFILESYSTEM, "cannot create '%s': %s", d->shown, strerror(cause));
}

static ex_status make(const store_directory *d, ex_error *err)
{
    if (mkdir(d->path, 0700) == 0)
        return sync_parent(d, err);
    struct stat st;
    switch (errno) {
    case EEXIST:
        if (stat(d->path, &st) == 0 && !S_ISDIR(st.st_mode))
            return ex_raise(err, EX_EFILESYSTEM, "'%s' is not a directory", d->shown);
        return EX_OK;
    case ENOENT:
        return ex_raise(err, EX_ENOTFOUND, "cannot create '%s': the directory above is missing",
                        d->shown);
    case EACCES:
    case EROFS:
        return ex_raise(err, EX_EREADONLY, "cannot create '%s': %s", d->shown, strerror(errno));
    default:
        return ex_raise(err, EX_EFILESYSTEM, "cannot create '%s': %s", d->shown, strerror(errno));
    }
}

/* Before the lock file is made: a wrong path must not get one. */
static ex_status check_exists(const store_directory *d, ex_error *err)
{
    int fd = open(d->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    bool is_there = fd >= 0 && faccessat(fd, STORE_LOG_FILE, F_OK, 0) == 0;
    if (fd >= 0)
        (void)close(fd); /* only looked at */
    return is_there ? EX_OK : ex_raise(err, EX_ENOTFOUND, "there is no store in '%s'", d->shown);
}

ex_status store_directory_lock(const store_directory *d, bool must_exist, const ex_clock *clock,
                               lock_file *ret, ex_error *err)
{
    ex_status st = must_exist ? check_exists(d, err) : make(d, err);
    return st ? st : lock_file_open(d->path, d->shown, clock, ret, err);
}
