/* stdout_watch.c: see stdout_watch.h. stdout becomes a stream whose writes go through here. */
#include "cli/stdout_watch.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static int first_errno;

static ssize_t write_all(void *ctx, const char *bytes, size_t count)
{
    (void)ctx;
    for (size_t done = 0; done < count;) {
        ssize_t n = write(STDOUT_FILENO, bytes + done, count - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            first_errno = first_errno ? first_errno : errno ? errno : EIO;
            return 0; /* as fopencookie(3) wants an error */
        }
        done += (size_t)n;
    }
    return (ssize_t)count;
}

void stdout_watch(void)
{
    FILE *watched = fopencookie(NULL, "w", (cookie_io_functions_t){.write = write_all});
    if (!watched)
        return;
    (void)fflush(stdout); /* a program that links the library may have printed; its own failure */
    if (isatty(STDOUT_FILENO))
        (void)setvbuf(watched, NULL, _IOLBF,
                      BUFSIZ); /* a terminal without line buffering is slow */
    stdout = watched;
}

int stdout_reason(void)
{
    return first_errno;
}
