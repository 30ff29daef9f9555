/* log_trace.c: see log_trace.h. */
#include "store/sqlite/log_trace.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Where the lines begin, and their lengths without the line feed. */
#define LOG_LINE    40 /* "log " and an id */
#define HEAD_LINE   25 /* "head " and 20 digits */
#define STATE_LINE  36 /* "closed " and seconds, 19 digits, and nanoseconds, 9 */
#define HEAD_AT     (LOG_LINE + 1)
#define STATE_AT    (HEAD_AT + HEAD_LINE + 1)
#define SEEN_AT     (STATE_AT + STATE_LINE + 1)
#define SEEN_LINE   25      /* "seen " and 20 digits */
#define OLD_BYTES   SEEN_AT /* of builds that did not keep it */
#define TRACE_BYTES (SEEN_AT + SEEN_LINE + 1)

#define NS_PER_S INT64_C(1000000000)

static bool path_beside(const char *log_path, char ret[PATH_MAX])
{
    const char *slash = strrchr(log_path, '/');
    int dir = slash ? (int)(slash - log_path) : 1;
    int n = snprintf(ret, PATH_MAX, "%.*s/%s", dir, slash ? log_path : ".", LOG_TRACE_FILE);
    return n > 0 && n < PATH_MAX;
}

/* "seconds.nanoseconds" of fixed length */
static bool read_time(const char *text, int64_t *ret)
{
    int64_t s = 0, ns = 0;
    for (int i = 0; i < 29; i++) {
        if (i == 19 ? text[i] != '.' : text[i] < '0' || text[i] > '9')
            return false;
        if (i < 19)
            s = s < INT64_MAX / NS_PER_S ? s * 10 + (text[i] - '0') : s;
        else if (i > 19)
            ns = ns * 10 + (text[i] - '0');
    }
    *ret = s < INT64_MAX / NS_PER_S - 1 ? s * NS_PER_S + ns : 0;
    return true;
}

static bool read_number(const char *digits, uint64_t *ret)
{
    *ret = 0;
    for (int i = 0; i < 20; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
        *ret = *ret * 10 + (uint64_t)(digits[i] - '0'); /* 20 digits of ours fit */
    }
    return true;
}

/* A line that is not there, or not whole, says nothing. */
static void parse_seen(const char line[SEEN_LINE + 1], log_trace_was *ret)
{
    uint64_t n = 0;
    if (memcmp(line, "seen ", 5) == 0 && line[SEEN_LINE] == '\n' && read_number(line + 5, &n) &&
        n <= INT64_MAX)
        ret->seen_us = (int64_t)n;
}

static bool parse(const char text[TRACE_BYTES], log_trace_was *ret)
{
    const char *head = text + HEAD_AT, *state = text + STATE_AT;
    bool is_open = memcmp(state, "open   ", 7) == 0;
    if (memcmp(text, "log ", 4) != 0 || text[LOG_LINE] != '\n' || memcmp(head, "head ", 5) != 0 ||
        head[HEAD_LINE] != '\n' || (!is_open && memcmp(state, "closed ", 7) != 0) ||
        !read_time(state + 7, &ret->closed_ns) ||
        ex_id_parse(ex_slice_of(text + 4, LOG_LINE - 4), &ret->log_id, NULL) != EX_OK)
        return false;
    ret->was_closed = !is_open;
    parse_seen(text + SEEN_AT, ret);
    return read_number(head + 5, &ret->head);
}

static void open_trace(log_trace *t, const char *log_path, int flags, log_trace_was *ret)
{
    char path[PATH_MAX], text[TRACE_BYTES] = "";
    *ret = (log_trace_was){0};
    t->fd = -1;
    if (path_beside(log_path, path))
        t->fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (t->fd < 0 || pread(t->fd, text, sizeof(text), 0) < OLD_BYTES)
        return;
    log_trace_was was = {0};
    if (parse(text, &was)) {
        was.is_there = true;
        *ret = was;
    }
}

void log_trace_open(log_trace *t, const char *log_path, log_trace_was *ret)
{
    open_trace(t, log_path, O_RDWR | O_CREAT, ret);
}

void log_trace_peek(const char *log_path, log_trace_was *ret)
{
    log_trace t;
    open_trace(&t, log_path, O_RDONLY, ret);
    if (t.fd >= 0)
        (void)close(t.fd); /* only read from */
}

/* One that cannot be kept true must not stay: it would speak for what is not. */
static void put(log_trace *t, const char *text, size_t len, off_t at)
{
    if (t->fd < 0 || pwrite(t->fd, text, len, at) == (ssize_t)len)
        return;
    if (ftruncate(t->fd, 0) != 0)
        (void)0;        /* then the next start finds an open one, and takes it for what it is */
    (void)close(t->fd); /* nothing was to be kept */
    t->fd = -1;
}

void log_trace_begin(log_trace *t, const ex_id *log_id, uint64_t head)
{
    char text[TRACE_BYTES + 1], id[EX_ID_TEXT_SIZE];
    (void)ex_id_text(log_id, id);
    int n = snprintf(text, sizeof(text),
                     "log %s\nhead %020" PRIu64 "\nopen   %019d.%09d\nseen %020" PRId64 "\n", id,
                     head, 0, 0, t->seen_us);
    put(t, text, (size_t)n, 0);
}

static void put_number(log_trace *t, uint64_t n, off_t at)
{
    char text[20];
    for (size_t i = sizeof(text); i-- > 0; n /= 10) /* with every commit: no printf */
        text[i] = (char)('0' + n % 10);
    put(t, text, sizeof(text), at);
}

void log_trace_note(log_trace *t, uint64_t head)
{
    put_number(t, head, HEAD_AT + 5);
}

void log_trace_note_seen(log_trace *t, int64_t seen_us)
{
    t->seen_us = seen_us;
    put_number(t, (uint64_t)seen_us, SEEN_AT + 5);
}

int64_t log_trace_changed_ns(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return 0;
    return (int64_t)st.st_ctim.tv_sec * NS_PER_S + st.st_ctim.tv_nsec;
}

void log_trace_close(log_trace *t, const char *log_path, bool is_in_order)
{
    char text[STATE_LINE + 1];
    int64_t at = is_in_order ? log_trace_changed_ns(log_path) : 0;
    if (at) {
        int n = snprintf(text, sizeof(text), "closed %019" PRId64 ".%09" PRId64, at / NS_PER_S,
                         at % NS_PER_S);
        put(t, text, (size_t)n, STATE_AT);
    }
    if (t->fd >= 0)
        (void)close(t->fd); /* what is in the page cache is all that is wanted */
    t->fd = -1;
}

void log_trace_place(const char *path, char ret[LOG_PLACE_SIZE])
{
    struct statx st;
    ret[0] = '\0';
    if (statx(AT_FDCWD, path, 0, STATX_INO | STATX_BTIME, &st) != 0)
        return;
    bool is_born = st.stx_mask & STATX_BTIME && st.stx_btime.tv_sec > 0;
    int n = snprintf(ret, LOG_PLACE_SIZE, "inode %" PRIu64, (uint64_t)st.stx_ino);
    /* numbers of devices change with a restart of the machine; the time of birth does not */
    if (is_born)
        (void)snprintf(ret + n, LOG_PLACE_SIZE - (size_t)n, " born %" PRId64 ".%09u",
                       (int64_t)st.stx_btime.tv_sec, (unsigned)st.stx_btime.tv_nsec);
    else
        (void)snprintf(ret + n, LOG_PLACE_SIZE - (size_t)n, " device %u:%u",
                       (unsigned)st.stx_dev_major, (unsigned)st.stx_dev_minor);
}
