/* lock_file.c: taking DIR/lock, and finding out who has it. */
#include "store/lock_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define TEXT_SIZE 64
/* An owner that has just taken the lock has not written its pid yet, and who only looks whether it
 * is held has the directory's for an instant: look again for a moment. */
#define OWNER_TRIES  20
#define OWNER_TRY_NS 1000000L

static ex_status raise_open(ex_error *err, const char *path)
{
    int error = errno;
    ex_status status = EX_EFILESYSTEM;
    if (error == EACCES || error == EPERM || error == EROFS)
        status = EX_EREADONLY;
    else if (error == ENOENT || error == ENOTDIR)
        status = EX_ENOTFOUND;
    return ex_raise(err, status,
                    status == EX_EREADONLY
                        ? "the store may not be written, not even its lock '%s': %s"
                        : "lock file '%s': %s",
                    path, strerror(error));
}

/* Pid and start of the owner as the file tells; false while it tells nothing about a live process.
 */
static bool read_owner(int fd, long *ret_pid, char ret_since[TEXT_SIZE])
{
    char text[TEXT_SIZE + 1] = "";
    ssize_t n = pread(fd, text, TEXT_SIZE, 0);
    if (n <= 0)
        return false;
    text[n] = '\0';
    char *end = NULL;
    long pid = strtol(text, &end, 10);
    if (pid <= 0 || pid > INT_MAX || *end != '\n')
        return false;
    if (kill((pid_t)pid, 0) != 0 && errno == ESRCH)
        return false; /* left by an owner that is gone: the new one has not written yet */
    char *since = end + 1;
    since[strcspn(since, "\n")] = '\0';
    *ret_pid = pid;
    snprintf(ret_since, TEXT_SIZE, "%s", since);
    return true;
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = OWNER_TRY_NS}, NULL);
}

static ex_status raise_in_use(ex_error *err, const char *dir, int fd)
{
    long pid = 0;
    char since[TEXT_SIZE] = "";
    for (int i = 0; i < OWNER_TRIES; i++) {
        if (read_owner(fd, &pid, since))
            return ex_raise(err, EX_EINUSE, "store '%s' is in use by process %ld%s%s", dir, pid,
                            since[0] != '\0' ? " since " : "", since);
        nap();
    }
    return ex_raise(err, EX_EINUSE, "store '%s' is in use by another process", dir);
}

static ex_status write_owner(int fd, const ex_clock *clock)
{
    char time_text[EX_TIME_TEXT_SIZE];
    char text[TEXT_SIZE];
    ex_slice since = ex_time_text(ex_now_us(clock), time_text);
    int n = snprintf(text, sizeof text, "%ld\n%.*s\n", (long)getpid(), EX_ARG(since));
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)n, 0) != n)
        return EX_EFILESYSTEM;
    return EX_OK;
}

static ex_status path_of(const char *dir, char ret[PATH_MAX], ex_error *err)
{
    int n = snprintf(ret, PATH_MAX, "%s/lock", dir);
    if (n < 0 || n >= PATH_MAX)
        return ex_raise(err, EX_EFILESYSTEM, "lock file of '%s': the path is too long", dir);
    return EX_OK;
}

/* ---- The directory's lock ---- */

static int open_directory(const char *dir)
{
    return open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* @return false: somebody has it. *ret -1: there is none to be had here (some network file systems)
 */
static bool lock_directory(const char *dir, int *ret)
{
    int fd = open_directory(dir), rc = -1;
    for (int i = 0; fd >= 0 && i < OWNER_TRIES; i++) {
        rc = flock(fd, LOCK_EX | LOCK_NB);
        if (rc == 0 || errno != EWOULDBLOCK)
            break;
        nap();
    }
    *ret = rc == 0 ? fd : -1;
    bool is_taken = fd >= 0 && rc != 0 && errno == EWOULDBLOCK;
    if (fd >= 0 && rc != 0)
        (void)close(fd); /* only looked at */
    return !is_taken;
}

static bool is_directory_locked(const char *dir)
{
    int fd = open_directory(dir);
    bool is_locked = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (fd >= 0)
        (void)close(fd); /* and what was locked goes with it */
    return is_locked;
}

/* ---- Both ---- */

ex_status lock_file_open(const char *dir, const char *shown, const ex_clock *clock, lock_file *ret,
                         ex_error *err)
{
    char path[PATH_MAX];
    if (path_of(dir, path, err))
        return EX_EFILESYSTEM;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return raise_open(err, path);

    lock_file lock = {.fd = fd, .dir_fd = -1};
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    ex_status status = EX_OK;
    if (!lock_directory(dir, &lock.dir_fd))
        status = raise_in_use(err, shown, fd);
    else if (fcntl(fd, F_OFD_SETLK, &whole) == 0)
        (void)write_owner(fd, clock); /* for people; a full disk must not keep the store closed */
    else if (errno == EAGAIN || errno == EACCES)
        status = raise_in_use(err, shown, fd);
    else
        status = ex_raise(err, EX_EFILESYSTEM, "lock file '%s': %s", path, strerror(errno));
    if (status == EX_OK) {
        *ret = lock;
        return EX_OK;
    }
    close(fd);
    if (lock.dir_fd >= 0)
        close(lock.dir_fd);
    return status;
}

ex_status lock_file_is_held(const char *dir, bool *ret, ex_error *err)
{
    char path[PATH_MAX];
    if (path_of(dir, path, err))
        return EX_EFILESYSTEM;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT) { /* nobody ever wrote, or somebody has deleted it */
        *ret = is_directory_locked(dir);
        return EX_OK;
    }
    if (fd < 0)
        return raise_open(err, path);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    ex_status st = EX_OK;
    if (fcntl(fd, F_OFD_GETLK, &lock) == 0)
        *ret = lock.l_type != F_UNLCK || is_directory_locked(dir);
    else
        st = ex_raise(err, EX_EFILESYSTEM, "lock file '%s': %s", path, strerror(errno));
    close(fd);
    return st;
}

void lock_file_close(lock_file *lock)
{
    if (lock->fd < 0)
        return;
    if (ftruncate(lock->fd, 0) != 0)
        (void)0; /* the text only names an owner; the lock itself goes with the descriptor */
    close(lock->fd);
    if (lock->dir_fd >= 0)
        close(lock->dir_fd);
    *lock = (lock_file)LOCK_FILE_NONE;
}
