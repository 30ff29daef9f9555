/* error.h: the detail behind a status: on the caller's stack, fixed size.
 *
 * Functions that can fail take a nullable `ex_error *err` as their last
 * parameter and fill it when they fail; on success they leave it alone.
 * The message is for people, the status and code are for programs. */
#ifndef EXCORE_ERROR_H
#define EXCORE_ERROR_H

#include <excore/status.h>

EX_BEGIN_DECLS

#define EX_CODE_MAX            64 /* bytes of a code */
#define EX_ERROR_CODE_SIZE     (EX_CODE_MAX + 1)
#define EX_ERROR_MESSAGE_SIZE  512
#define EX_ERROR_FIELD_SIZE    128
#define EX_ERROR_EVENT_ID_SIZE 40

typedef struct ex_error {
    ex_status status;
    int http_status;   /* 0: the status's own */
    int line;          /* where it was raised */
    const char *file;  /* static string */
    uint64_t expected; /* EX_ECONFLICT: the version asked for */
    uint64_t current;  /* EX_ECONFLICT, EX_EIDEMPOTENCY: the stream's version; EX_EAHEAD: the end;
                        * EX_ELOGCHANGED: the head */
    uint64_t position; /* EX_ECONDITION: first match; EX_EIDEMPOTENCY: the stored event; EX_EAHEAD:
                   * what was asked for; EX_ECONFLICT of a version and EX_EREJECTED: the log as
                   * it was decided on, a read up to it sees why; EX_ELOGCHANGED: the first that may
                   * differ now; code STREAM_UNREADABLE: the event that cannot be read */
    uint64_t
        audit_id; /* EX_EIDEMPOTENCY of an append: the row that the store keeps of it; 0: none */
    char code[EX_ERROR_CODE_SIZE];         /* stable code; the status's, or a rejection's own */
    char field[EX_ERROR_FIELD_SIZE];       /* the faulty field or argument, "" when none */
    char event_id[EX_ERROR_EVENT_ID_SIZE]; /* of an append. EX_EIDEMPOTENCY: the stored event's;
                                            * EX_EOUTCOME: that of its first event */
    char message[EX_ERROR_MESSAGE_SIZE];   /* UTF-8, NUL-terminated, cut at a character */
} ex_error;

/** Fill `err` (may be NULL) and return `status`. Use the macro ex_raise. Thread: any. */
EX_API ex_status ex_error_raise(ex_error *err, const char *file, int line, ex_status status,
                                const char *fmt, ...) EX_PRINTF(5, 6);

/** Put "prefix: " before the message, once at each layer boundary. NULL-safe.
 *  @return the status of `err`, or `status` when `err` is NULL */
EX_API ex_status ex_error_context(ex_error *err, ex_status status, const char *fmt, ...)
    EX_PRINTF(3, 4);

/** Replace the code of a raised error (upper snake case, static or not; copied). NULL-safe. */
EX_API void ex_error_set_code(ex_error *err, const char *code);
/** Name the faulty field of a raised error. NULL-safe. */
EX_API void ex_error_set_field(ex_error *err, ex_slice field);

#ifdef __clang_analyzer__ /* which sees one file at a time: the result is the status */
#define ex_raise(err, status, ...)                                                                 \
    ((void)ex_error_raise((err), __FILE__, __LINE__, (status), __VA_ARGS__), (status))
#else
#define ex_raise(err, status, ...) ex_error_raise((err), __FILE__, __LINE__, (status), __VA_ARGS__)
#endif

EX_END_DECLS

#endif
