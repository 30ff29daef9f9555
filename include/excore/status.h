/* status.h: every status of the library, with its HTTP and gRPC mapping.
 *
 * Numbers never change and are never reused. Branch on the status, never on
 * the text of an error. */
#ifndef EXCORE_STATUS_H
#define EXCORE_STATUS_H

#include <excore/base.h>

EX_BEGIN_DECLS

/* clang-format off */
/*   number, constant,          code,                   HTTP, gRPC, retryable, text */
#define EX_STATUS_MAP(X)                                                                          \
    X(0,  OK,              "OK",                    200,  0, false, "success")                    \
    X(1,  EINVAL,          "INVALID_INPUT",         400,  3, false, "invalid input")              \
    X(2,  EMALFORMED,      "MALFORMED_REQUEST",     400,  3, false, "malformed request")          \
    X(3,  EUNAUTHENTICATED,"UNAUTHENTICATED",       401, 16, false, "not authenticated")          \
    X(4,  EFORBIDDEN,      "FORBIDDEN",             403,  7, false, "not allowed")                \
    X(5,  ENOTFOUND,       "NOT_FOUND",             404,  5, false, "not found")                  \
    X(6,  EMETHOD,         "METHOD_NOT_ALLOWED",    405, 12, false, "method not allowed")         \
    X(7,  EEXISTS,         "ALREADY_EXISTS",        409,  6, false, "already exists")             \
    X(8,  ECONFLICT,       "VERSION_CONFLICT",      409, 10, false, "version conflict")           \
    X(9,  ECONDITION,      "CONDITION_FAILED",      409, 10, false, "append condition failed")    \
    X(10, EIDEMPOTENCY,    "IDEMPOTENCY_CONFLICT",  409, 10, false, "same id, other content")     \
    X(11, ESTATE,          "INVALID_STATE",         409, 10, false, "invalid state transition")   \
    X(12, EPRECONDITION,   "PRECONDITION_FAILED",   412,  9, false, "precondition failed")        \
    X(13, ETOOLARGE,       "PAYLOAD_TOO_LARGE",     413,  8, false, "too large")                  \
    X(14, EMEDIATYPE,      "UNSUPPORTED_MEDIA_TYPE",415,  3, false, "unsupported media type")     \
    X(15, EREJECTED,       "REJECTED",              422,  9, false, "rejected by a business rule")\
    X(16, ERATELIMIT,      "RATE_LIMITED",          429,  8, true,  "too many requests")          \
    X(17, ECANCELLED,      "CANCELLED",             499,  1, false, "cancelled")                  \
    X(18, EINTERNAL,       "INTERNAL",              500, 13, false, "internal error")             \
    X(19, EDATABASE,       "DATABASE_ERROR",        500, 13, false, "database error")             \
    X(20, EFILESYSTEM,     "FILE_SYSTEM_ERROR",     500, 13, false, "file system error")          \
    X(21, ECORRUPT,        "DATA_CORRUPT",          500, 13, false, "stored data is corrupt")     \
    X(22, EFORMAT,         "UNSUPPORTED_FORMAT",    500, 13, false, "unsupported format version") \
    X(23, EREADONLY,       "READ_ONLY",             500, 13, false, "read-only")                  \
    X(24, EINUSE,          "STORE_IN_USE",          500, 13, false, "store is in use")            \
    X(25, EUPSTREAM,       "UPSTREAM_ERROR",        502, 14, true,  "upstream service failed")    \
    X(26, EAGAIN,          "UNAVAILABLE",           503, 14, true,  "temporarily unavailable")    \
    X(27, EOVERLOADED,     "OVERLOADED",            503, 14, true,  "queue full, try again")      \
    X(28, ESTORAGE,        "STORAGE_UNAVAILABLE",   503, 14, true,  "storage failed, try again")  \
    X(29, ECLOSED,         "SHUTTING_DOWN",         503, 14, true,  "shutting down")              \
    X(30, ENOMEM,          "OUT_OF_MEMORY",         503, 14, true,  "out of memory")              \
    X(31, ETIMEOUT,        "TIMEOUT",               504,  4, true,  "timed out")                  \
    X(32, EUNKNOWN,        "UNKNOWN",               500,  2, false, "unknown error")              \
    X(33, EEND,            "END",                   500, 13, false, "no more items")              \
    X(34, ELOGCHANGED,     "LOG_CHANGED",           409,  9, false, "the log is another one now")  \
    X(35, EAHEAD,          "POSITION_AHEAD",        409, 11, false, "position is beyond the head") \
    X(36, EOUTCOME,        "OUTCOME_UNKNOWN",       500,  2, false, "it may have been stored")     \
    X(37, ETOOWIDE,        "CONDITION_TOO_WIDE",    422,  9, false, "condition matches too much")
/* clang-format on */

typedef enum ex_status {
#define EX_STATUS_ENUM(number, name, code, http, grpc, retryable, text) EX_##name = number,
    EX_STATUS_MAP(EX_STATUS_ENUM)
#undef EX_STATUS_ENUM
} ex_status;

/** The stable upper-case code, "UNKNOWN" for a number outside the map. Thread: any. */
EX_API const char *ex_status_code(ex_status status);
/** A short lower-case sentence. Thread: any. */
EX_API const char *ex_status_text(ex_status status);
/** The HTTP status; 500 for a number outside the map. Thread: any. */
EX_API int ex_status_http(ex_status status);
/** The gRPC status; 2 (UNKNOWN) for a number outside the map. Thread: any. */
EX_API int ex_status_grpc(ex_status status);
/** True when the same call may succeed later without a change. Thread: any. */
EX_API bool ex_status_is_retryable(ex_status status);

EX_END_DECLS

#endif
