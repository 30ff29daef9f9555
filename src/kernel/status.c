/* status.c: look-ups in the one table of statuses. */
#include <excore/status.h>

typedef struct status_info {
    const char *code;
    const char *text;
    int http;
    int grpc;
    bool is_retryable;
} status_info;

static const status_info statuses[] = {
#define STATUS_ROW(number, name, code, http, grpc, retryable, text)                                \
    [number] = {code, text, http, grpc, retryable},
    EX_STATUS_MAP(STATUS_ROW)
#undef STATUS_ROW
};

static const status_info *info(ex_status status)
{
    size_t count = sizeof(statuses) / sizeof(statuses[0]);
    return (size_t)status < count ? &statuses[status] : &statuses[EX_EUNKNOWN];
}

const char *ex_status_code(ex_status status)
{
    return info(status)->code;
}

const char *ex_status_text(ex_status status)
{
    return info(status)->text;
}

int ex_status_http(ex_status status)
{
    return info(status)->http;
}

int ex_status_grpc(ex_status status)
{
    return info(status)->grpc;
}

bool ex_status_is_retryable(ex_status status)
{
    return info(status)->is_retryable;
}
