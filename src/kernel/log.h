/* log.h: structured logging: JSON lines, or a readable form on a terminal.
 *
 * The library never logs; programs, API edges and background loops do. A call
 * below the level costs one atomic load: no formatting, no allocation. A line
 * is built on the stack of the caller and written with one write(2). */
#ifndef EXCORE_KERNEL_LOG_H
#define EXCORE_KERNEL_LOG_H

#include <excore/error.h>

typedef enum ex_log_level {
    EX_LOG_DEBUG,
    EX_LOG_INFO,
    EX_LOG_WARN,
    EX_LOG_ERROR,
    EX_LOG_OFF
} ex_log_level;
typedef enum ex_log_format { EX_LOG_AUTO, EX_LOG_JSON, EX_LOG_PRETTY } ex_log_format;

typedef enum ex_log_kind {
    EX_FIELD_STR,
    EX_FIELD_I64,
    EX_FIELD_U64,
    EX_FIELD_DOUBLE,
    EX_FIELD_BOOL
} ex_log_kind;

typedef struct ex_log_field {
    const char *name; /* static, snake_case */
    ex_log_kind kind;
    union {
        ex_slice str;
        int64_t i64;
        uint64_t u64;
        double number;
        bool boolean;
    } as;
} ex_log_field;

/** Fields for a line: EX_LOG(EX_LOG_INFO, "listening", ex_f_str("address", a), ex_f_u64("port",
 * p)). */
static inline ex_log_field ex_f_str(const char *name, ex_slice v)
{
    ex_log_field f = {name, EX_FIELD_STR, {.str = v}};
    return f;
}
static inline ex_log_field ex_f_cstr(const char *name, const char *v)
{
    return ex_f_str(name, ex_str(v));
}
static inline ex_log_field ex_f_i64(const char *name, int64_t v)
{
    ex_log_field f = {name, EX_FIELD_I64, {.i64 = v}};
    return f;
}
static inline ex_log_field ex_f_u64(const char *name, uint64_t v)
{
    ex_log_field f = {name, EX_FIELD_U64, {.u64 = v}};
    return f;
}
static inline ex_log_field ex_f_double(const char *name, double v)
{
    ex_log_field f = {name, EX_FIELD_DOUBLE, {.number = v}};
    return f;
}
static inline ex_log_field ex_f_bool(const char *name, bool v)
{
    ex_log_field f = {name, EX_FIELD_BOOL, {.boolean = v}};
    return f;
}

typedef struct ex_log_options {
    ex_log_level level;
    ex_log_format format; /* auto: pretty on a terminal, JSON otherwise */
    const char
        *output; /* "stdout" (error lines then go to stderr), "stderr" [default], or a file path */
    const char *service_name; /* ["excore"]; copied, at most 63 bytes */
    const char
        *level_name; /* beats `level` when set; an unknown word means info and one warning line */
} ex_log_options;

/** Longest line, its newline included: what a pipe takes in one piece (PIPE_BUF). A longer one is
 * cut at a character, closed, and carries "truncated":true. */
#define EX_LOG_LINE_SIZE 4096

/** Open the process log; until then nothing is written. May be called again; on failure the old log
 *  stays. A file is opened for append and made with mode 0640.
 *  @return EX_OK, EX_EFILESYSTEM, EX_EINVAL. Thread: any. */
EX_NODISCARD ex_status ex_log_open(const ex_log_options *options, ex_error *err);
/** Close and reopen the file (SIGHUP); nothing for stdout and stderr. On failure the old file stays
 * in use. Not for a signal handler itself. @return EX_OK, EX_EFILESYSTEM. Thread: any. */
EX_NODISCARD ex_status ex_log_reopen(ex_error *err);
void ex_log_close(void);
/** Change the level while running. Thread: any. */
void ex_log_set_level(ex_log_level level);
/** One relaxed atomic load. */
bool ex_log_is_enabled(ex_log_level level);
/** "debug", "info", "warn", "error" or "off"; false (and info) for another word. */
bool ex_log_level_parse(ex_slice text, ex_log_level *ret);
/** Lines lost since start because they could not be written whole (full disk, closed pipe). */
uint64_t ex_log_lost(void);

/** Write one line: JSON with the keys timestamp (UTC, milliseconds), level, message, service_name
 * and the fields; or LEVEL message [trace=…] time, fields, error. Control characters are escaped,
 * bytes that are no UTF-8 become U+FFFD. Lines of several threads never mix. Allocates nothing.
 *  Thread: any, not signal handlers. Blocking: one write(2). */
void ex_log_write(ex_log_level level, const char *message, const ex_log_field *fields,
                  size_t count);
/** Log a failure: code, message, and file:line when at debug level. */
void ex_log_error(ex_log_level level, const char *message, const ex_error *err);

#define EX_LOG(level, message, ...)                                                                \
    do {                                                                                           \
        if (ex_log_is_enabled(level)) {                                                            \
            const ex_log_field ex_fields_[] = {{0}, ##__VA_ARGS__};                                \
            ex_log_write((level), (message), ex_fields_ + 1,                                       \
                         sizeof(ex_fields_) / sizeof(ex_fields_[0]) - 1);                          \
        }                                                                                          \
    } while (0)

#endif
