/* log.c: the log of the process: where lines go, at which level, and the one write(2) for each.
 *
 * A writer holds `config` for reading while it builds and writes its line, so
 * that opening, reopening and closing wait for lines under way. Writes to one
 * output are serialised by `write_mu`: a pipe or terminal may take a line in
 * several pieces, and lines must not mix. The level is a separate atomic, so
 * that a call below it costs one load. */
#include "kernel/log_line.h"
#include "kernel/path.h"

#include <excore/clock.h>

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PATH_SIZE    4096
#define SERVICE_SIZE 64
#define FILE_MODE    0640

static atomic_int level_now = EX_LOG_OFF;
static _Atomic uint64_t lost_lines;

typedef struct log_output {
    int fd; /* -1: none */
    bool is_pretty;
    bool has_colour;
} log_output;

/* Guarded by `config`; the default kind of lock would let steady writers starve a reopen. */
static pthread_rwlock_t config = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
static log_output main_output = {.fd = -1};
static log_output error_output = {.fd = -1}; /* stderr when the main output is stdout */
static char *file_path;                      /* absolute; NULL for stdout and stderr */
static ex_log_format format;
static char service_name[SERVICE_SIZE];

/* Guarded by write_mu. */
static pthread_mutex_t write_mu = PTHREAD_MUTEX_INITIALIZER;
static bool has_broken_line; /* a line ended in the middle: the next one starts on its own */

/* ---- Level ---- */

static const char *const level_names[] = {"debug", "info", "warn", "error", "off"};

bool ex_log_level_parse(ex_slice text, ex_log_level *ret)
{
    for (int i = EX_LOG_DEBUG; i <= EX_LOG_OFF; i++) {
        if (ex_slice_is(text, level_names[i])) {
            *ret = (ex_log_level)i;
            return true;
        }
    }
    *ret = EX_LOG_INFO;
    return false;
}

void ex_log_set_level(ex_log_level level)
{
    assert(level >= EX_LOG_DEBUG && level <= EX_LOG_OFF);
    atomic_store_explicit(&level_now, (int)level, memory_order_relaxed);
}

bool ex_log_is_enabled(ex_log_level level)
{
    return (int)level >= atomic_load_explicit(&level_now, memory_order_relaxed);
}

uint64_t ex_log_lost(void)
{
    return atomic_load_explicit(&lost_lines, memory_order_relaxed);
}

/* ---- Output ---- */

static bool terminal_has_colour(int fd)
{
    const char *no_colour = getenv("NO_COLOR"); /* https://no-color.org */
    const char *term = getenv("TERM");
    return isatty(fd) && !(no_colour && *no_colour) && !(term && strcmp(term, "dumb") == 0);
}

static log_output output_over(int fd, ex_log_format f)
{
    log_output out = {.fd = fd};
    out.is_pretty = f == EX_LOG_PRETTY || (f == EX_LOG_AUTO && isatty(fd));
    out.has_colour = out.is_pretty && terminal_has_colour(fd);
    return out;
}

static ex_status open_file(const char *path, int *ret, ex_error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, FILE_MODE);
    if (fd < 0)
        return ex_raise(err, EX_EFILESYSTEM, "cannot open log file \"%s\": %s", path,
                        strerror(errno));
    *ret = fd;
    return EX_OK;
}

/* With `config` held for writing. */
static void close_file(void)
{
    if (file_path && main_output.fd >= 0)
        close(main_output.fd);
    main_output.fd = error_output.fd = -1;
    free(file_path);
    file_path = NULL;
}

static ex_status check_options(const ex_log_options *o, ex_error *err)
{
    if (o->output && (!*o->output || strlen(o->output) >= PATH_SIZE))
        return ex_raise(err, EX_EINVAL, "the log output is empty or too long");
    if (o->service_name && strlen(o->service_name) >= SERVICE_SIZE)
        return ex_raise(err, EX_EINVAL, "service name \"%s\" is longer than %d bytes",
                        o->service_name, SERVICE_SIZE - 1);
    if (o->format > EX_LOG_PRETTY)
        return ex_raise(err, EX_EINVAL, "unknown log format %d", (int)o->format);
    return EX_OK;
}

/* The level to use; false when the one asked for is unknown. */
static bool level_of(const ex_log_options *o, ex_log_level *ret)
{
    *ret = o->level;
    if (o->level_name)
        return ex_log_level_parse(ex_str(o->level_name), ret);
    if (o->level <= EX_LOG_OFF)
        return true;
    *ret = EX_LOG_INFO;
    return false;
}

/* Take over checked options. `fd` is the open file `path`, or with NULL stdout or stderr. */
static void install(const ex_log_options *o, char *path, int fd)
{
    pthread_rwlock_wrlock(&config);
    close_file();
    format = o->format;
    main_output = output_over(fd, format);
    file_path = path;
    if (fd == STDOUT_FILENO)
        error_output = output_over(STDERR_FILENO, format);
    const char *name = o->service_name ? o->service_name : "excore";
    memcpy(service_name, name, strlen(name) + 1);
    pthread_rwlock_unlock(&config);
}

ex_status ex_log_open(const ex_log_options *options, ex_error *err)
{
    ex_status status = check_options(options, err);
    if (status)
        return status;
    const char *output = options->output ? options->output : "stderr";
    bool is_stdout = strcmp(output, "stdout") == 0;
    bool is_file = !is_stdout && strcmp(output, "stderr") != 0;
    int fd = is_stdout ? STDOUT_FILENO : STDERR_FILENO;
    char *path = NULL; /* absolute: it is opened again later on, wherever the process stands then */
    if (is_file)
        status = ex_path_absolute(output, &path, err);
    if (is_file && !status)
        status = open_file(path, &fd, err);
    if (status) {
        free(path);
        return status;
    }
    ex_log_level level;
    bool is_known = level_of(options, &level);
    install(options, path, fd);
    ex_log_set_level(level);
    if (!is_known)
        EX_LOG(EX_LOG_WARN, "unknown log level, using info",
               ex_f_cstr("given", options->level_name ? options->level_name : "a wrong number"));
    return EX_OK;
}

ex_status ex_log_reopen(ex_error *err)
{
    ex_status status = EX_OK;
    int fd = -1;
    pthread_rwlock_wrlock(&config);
    if (file_path) {
        status = open_file(file_path, &fd, err);
        if (status == EX_OK) {
            close(main_output.fd);
            main_output = output_over(fd, format);
        }
    }
    pthread_rwlock_unlock(&config);
    return status;
}

void ex_log_close(void)
{
    ex_log_set_level(EX_LOG_OFF);
    pthread_rwlock_wrlock(&config);
    close_file();
    pthread_rwlock_unlock(&config);
}

/* ---- Writing ---- */

/* Write all of it; more than one call only when the output took a part. */
static bool write_all(int fd, const char *bytes, size_t len, size_t *ret_written)
{
    *ret_written = 0;
    while (*ret_written < len) {
        ssize_t n = write(fd, bytes + *ret_written, len - *ret_written);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        *ret_written += (size_t)n;
    }
    return true;
}

static void write_line(int fd, const log_line *line)
{
    size_t written;
    pthread_mutex_lock(&write_mu);
    if (has_broken_line)
        has_broken_line = !write_all(fd, "\n", 1, &written);
    if (!write_all(fd, line->bytes, line->len, &written)) {
        has_broken_line |= written > 0;
        atomic_fetch_add_explicit(&lost_lines, 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&write_mu);
}

void ex_log_write(ex_log_level level, const char *message, const ex_log_field *fields, size_t count)
{
    if (!ex_log_is_enabled(level) || level >= EX_LOG_OFF)
        return;
    int saved_errno = errno; /* logging must not change what the caller is about to look at */
    log_line line;
    pthread_rwlock_rdlock(&config);
    const log_output *out = &main_output;
    if (level == EX_LOG_ERROR && error_output.fd >= 0)
        out = &error_output;
    if (out->fd >= 0) {
        log_record r = {
            level, ex_now_us(ex_clock_system()), ex_str(service_name), ex_str(message), fields,
            count};
        if (out->is_pretty)
            log_line_pretty(&line, &r, out->has_colour);
        else
            log_line_json(&line, &r);
        write_line(out->fd, &line);
    }
    pthread_rwlock_unlock(&config);
    errno = saved_errno;
}

void ex_log_error(ex_log_level level, const char *message, const ex_error *err)
{
    if (!ex_log_is_enabled(level))
        return;
    char where[128];
    ex_log_field fields[3] = {ex_f_cstr("code", err->code), ex_f_cstr("error", err->message)};
    size_t count = 2;
    if (ex_log_is_enabled(EX_LOG_DEBUG) && err->file) {
        (void)snprintf(where, sizeof(where), "%s:%d", err->file, err->line); /* cut is fine */
        fields[count++] = ex_f_cstr("raised_at", where);
    }
    ex_log_write(level, message, fields, count);
}
