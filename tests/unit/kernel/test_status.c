/* Statuses: every row of table T-1 of rules/platform.md (R-01-11), and the map as a whole. */
#include <excore/status.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* gRPC's numbers, as its specification has them. */
enum {
    GRPC_OK = 0,
    GRPC_CANCELLED = 1,
    GRPC_UNKNOWN = 2,
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_NOT_FOUND = 5,
    GRPC_ALREADY_EXISTS = 6,
    GRPC_PERMISSION_DENIED = 7,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_FAILED_PRECONDITION = 9,
    GRPC_ABORTED = 10,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
    GRPC_UNAUTHENTICATED = 16
};

static const struct {
    const char *name; /* in T-1 */
    ex_status status;
    int http, grpc;
    bool is_retryable;
} t1[] = {
    /* clang-format off */
    {"InvalidInput, ValidationError", EX_EINVAL, 400, GRPC_INVALID_ARGUMENT, false},
    {"MalformedRequestError", EX_EMALFORMED, 400, GRPC_INVALID_ARGUMENT, false},
    {"Unauthorized, AuthenticationError", EX_EUNAUTHENTICATED, 401, GRPC_UNAUTHENTICATED, false},
    {"AuthorizationError", EX_EFORBIDDEN, 403, GRPC_PERMISSION_DENIED, false},
    {"NotFound", EX_ENOTFOUND, 404, GRPC_NOT_FOUND, false},
    {"ConflictError (duplicate)", EX_EEXISTS, 409, GRPC_ALREADY_EXISTS, false},
    {"ConflictError (version clash)", EX_ECONFLICT, 409, GRPC_ABORTED, false},
    {"ConflictError (append condition)", EX_ECONDITION, 409, GRPC_ABORTED, false},
    {"InvalidStateTransition", EX_ESTATE, 409, GRPC_ABORTED, false},
    {"PreconditionFailedError", EX_EPRECONDITION, 412, GRPC_FAILED_PRECONDITION, false},
    {"PayloadTooLargeError", EX_ETOOLARGE, 413, GRPC_RESOURCE_EXHAUSTED, false},
    {"UnsupportedMediaTypeError", EX_EMEDIATYPE, 415, GRPC_INVALID_ARGUMENT, false},
    {"BusinessRuleViolation", EX_EREJECTED, 422, GRPC_FAILED_PRECONDITION, false},
    {"RateLimitExceededError", EX_ERATELIMIT, 429, GRPC_RESOURCE_EXHAUSTED, true},
    {"Permanent", EX_EINTERNAL, 500, GRPC_INTERNAL, false},
    {"DatabaseError", EX_EDATABASE, 500, GRPC_INTERNAL, false},
    {"FileSystemError", EX_EFILESYSTEM, 500, GRPC_INTERNAL, false},
    {"ExternalServiceError, NetworkError", EX_EUPSTREAM, 502, GRPC_UNAVAILABLE, true},
    {"Temporary", EX_EAGAIN, 503, GRPC_UNAVAILABLE, true},
    {"Temporary (transient DatabaseError)", EX_ESTORAGE, 503, GRPC_UNAVAILABLE, true},
    {"TimeoutError, passed deadline", EX_ETIMEOUT, 504, GRPC_DEADLINE_EXCEEDED, true},
    {"Caller cancelled", EX_ECANCELLED, 499, GRPC_CANCELLED, false},
    {"anything else", EX_EUNKNOWN, 500, GRPC_UNKNOWN, false},
    {"a number outside the map", (ex_status)9999, 500, GRPC_UNKNOWN, false},
    {"a negative number", (ex_status)-1, 500, GRPC_UNKNOWN, false},
    /* clang-format on */
};

static void test_status_maps_as_table_t1(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(t1) / sizeof(t1[0]); i++)
        if (ex_status_http(t1[i].status) != t1[i].http ||
            ex_status_grpc(t1[i].status) != t1[i].grpc ||
            ex_status_is_retryable(t1[i].status) != t1[i].is_retryable)
            fail_msg("%s: http %d, grpc %d, retryable %d", t1[i].name, ex_status_http(t1[i].status),
                     ex_status_grpc(t1[i].status), ex_status_is_retryable(t1[i].status));
}

/* Numbers are forever: a changed or reused one breaks clients that stored it. */
static const struct {
    int number;
    const char *code;
} numbers[] = {
    {0, "OK"},
    {1, "INVALID_INPUT"},
    {2, "MALFORMED_REQUEST"},
    {3, "UNAUTHENTICATED"},
    {4, "FORBIDDEN"},
    {5, "NOT_FOUND"},
    {6, "METHOD_NOT_ALLOWED"},
    {7, "ALREADY_EXISTS"},
    {8, "VERSION_CONFLICT"},
    {9, "CONDITION_FAILED"},
    {10, "IDEMPOTENCY_CONFLICT"},
    {11, "INVALID_STATE"},
    {12, "PRECONDITION_FAILED"},
    {13, "PAYLOAD_TOO_LARGE"},
    {14, "UNSUPPORTED_MEDIA_TYPE"},
    {15, "REJECTED"},
    {16, "RATE_LIMITED"},
    {17, "CANCELLED"},
    {18, "INTERNAL"},
    {19, "DATABASE_ERROR"},
    {20, "FILE_SYSTEM_ERROR"},
    {21, "DATA_CORRUPT"},
    {22, "UNSUPPORTED_FORMAT"},
    {23, "READ_ONLY"},
    {24, "STORE_IN_USE"},
    {25, "UPSTREAM_ERROR"},
    {26, "UNAVAILABLE"},
    {27, "OVERLOADED"},
    {28, "STORAGE_UNAVAILABLE"},
    {29, "SHUTTING_DOWN"},
    {30, "OUT_OF_MEMORY"},
    {31, "TIMEOUT"},
    {32, "UNKNOWN"},
    {33, "END"},
    {34, "LOG_CHANGED"},
    {35, "POSITION_AHEAD"},
    {36, "OUTCOME_UNKNOWN"},
    {37, "CONDITION_TOO_WIDE"},
};

static void test_status_numbers_never_change(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        assert_string_equal(ex_status_code((ex_status)numbers[i].number), numbers[i].code);
    assert_string_equal(ex_status_code((ex_status)9999), "UNKNOWN");
}

/* R-01-11: no error maps to HTTP 200 or gRPC OK; only success does. */
static void test_status_only_ok_is_a_success(void **state)
{
    (void)state;
    assert_int_equal(ex_status_http(EX_OK), 200);
    assert_int_equal(ex_status_grpc(EX_OK), GRPC_OK);
    static const ex_status errors[] = {
#define ERROR_ROW(number, name, code, http, grpc, retryable, text) EX_##name,
        EX_STATUS_MAP(ERROR_ROW)
#undef ERROR_ROW
    };
    for (size_t i = 1; i < sizeof(errors) / sizeof(errors[0]); i++) {
        assert_in_range(ex_status_http(errors[i]), 400, 599);
        assert_in_range(ex_status_grpc(errors[i]), 1, 16);
        assert_true(strlen(ex_status_text(errors[i])) > 0);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(ex_status_code(errors[i]), ex_status_code(errors[k]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_maps_as_table_t1),
        cmocka_unit_test(test_status_numbers_never_change),
        cmocka_unit_test(test_status_only_ok_is_a_success),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
