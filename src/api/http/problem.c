/* problem.c: errors as application/problem+json (RFC 9457), and reason phrases.
 *
 * What went wrong inside (paths, SQL, driver messages) is never shown: such
 * errors get a neutral detail, and the real one is logged under the request id. */
#include "api/http/room.h"
#include "kernel/log.h"

#include <excore/clock.h>
#include <excore/json.h>

const char *http_reason(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } reasons[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {499, "Client Closed Request"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].status == status)
            return reasons[i].phrase;
    return "";
}

/* What the client does next is the same for all of them. */
static const char unknown_detail[] =
    "it is not known whether this was stored: repeat it with event_ids as the ids of its events, "
    "or "
    "with the same Idempotency-Key, or look for events with correlation_id";

static const char *public_detail(const ex_error *err, bool is_public)
{
    if (err->status == EX_EOUTCOME)
        return unknown_detail;
    return is_public && err->message[0] ? err->message : ex_status_text(err->status);
}

/* These say what the client can do; all other failures of ours stay inside. */
static bool has_public_detail(ex_status status, int http_status)
{
    return http_status < 500 || http_status == 501 || http_status == 505 || status == EX_EAGAIN ||
           status == EX_EOVERLOADED || status == EX_ECLOSED || status == EX_ETIMEOUT;
}

static void log_hidden(const http_exchange *x, const ex_error *err)
{
    EX_LOG(EX_LOG_ERROR, "request failed", ex_f_str("request_id", http_request_id(x)),
           ex_f_cstr("code", err->code), ex_f_cstr("error", err->message),
           ex_f_cstr("file", err->file), ex_f_i64("line", err->line));
}

static void put_text(ex_json_writer *w, const char *key, const char *text)
{
    ex_json_key(w, ex_str(key));
    ex_json_string(w, ex_str(text));
}

static void put_numbers(ex_json_writer *w, const ex_error *err)
{
    if (err->status == EX_ECONFLICT) {
        ex_json_key(w, EX_S("expected"));
        ex_json_u64(w, err->expected);
    }
    /* A repeated command id, unlike a repeated event id, has no place in the log to show. */
    bool is_stored_event = err->status == EX_EIDEMPOTENCY && err->position > 0;
    if (err->status == EX_ECONFLICT || is_stored_event) {
        ex_json_key(w, EX_S("current"));
        ex_json_u64(w, err->current);
    }
    bool is_unreadable = strcmp(err->code, "STREAM_UNREADABLE") == 0;
    bool is_decided = (err->status == EX_ECONFLICT || err->status == EX_EREJECTED) && err->position;
    if (err->status == EX_ECONDITION || is_stored_event || is_unreadable || is_decided) {
        ex_json_key(w, EX_S("position"));
        ex_json_u64(w, err->position);
    }
    if (err->status == EX_EAHEAD || err->status == EX_ELOGCHANGED) {
        ex_json_key(w, EX_S("position"));
        ex_json_u64(w, err->position);
        ex_json_key(w, EX_S("head"));
        ex_json_u64(w, err->current);
    }
    if (is_stored_event && err->event_id[0])
        put_text(w, "existing_event_id", err->event_id);
    if (is_stored_event && err->audit_id) { /* R-ES-04 */
        ex_json_key(w, EX_S("audit_id"));
        ex_json_u64(w, err->audit_id);
    }
}

int problem_write(const http_exchange *x, const ex_error *err, http_problem_fn *fn, void *ctx,
                  ex_buf *out)
{
    int http_status = err->http_status ? err->http_status : ex_status_http(err->status);
    bool is_public = has_public_detail(err->status, http_status);
    if (!is_public)
        log_hidden(x, err);
    const char *code = err->code[0] ? err->code : ex_status_code(err->status);
    char now[EX_TIME_TEXT_SIZE];
    ex_json_writer w;
    ex_json_writer_init(&w, out);
    ex_json_begin_object(&w);
    put_text(&w, "type", "about:blank");
    put_text(&w, "title",
             http_reason(http_status)[0] ? http_reason(http_status) : ex_status_text(err->status));
    ex_json_key(&w, EX_S("status"));
    ex_json_i64(&w, http_status);
    put_text(&w, "detail", public_detail(err, is_public));
    ex_json_key(&w, EX_S("instance"));
    ex_json_string(&w, http_request_id(x));
    put_text(&w, "code", code);
    ex_json_key(&w, EX_S("timestamp"));
    ex_json_string(&w, ex_time_text(ex_now_us(ex_clock_system()), now));
    put_numbers(&w, err);
    if (is_public && err->field[0])
        put_text(&w, "field", err->field);
    if (fn)
        fn(ctx, err, &w);
    ex_json_end_object(&w);
    return http_status;
}

void http_respond_problem(http_exchange *x, const ex_error *err, http_problem_fn *fn, void *ctx)
{
    ex_error full;
    if (exchange_was_cut_short(x)) {
        (void)exchange_raise_full(x, BUDGET_SERVER, &full);
        err = &full;
    }
    ex_buf body;
    ex_buf_init(&body, 64u << 10);
    int status = problem_write(x, err, fn, ctx, &body);
    if (status == 503 || status == 429)
        http_add_header(x, "retry-after", EX_S("1"));
    /* Out of memory leaves an empty body; the status still says what matters. */
    http_respond(x, status, "application/problem+json",
                 ex_buf_status(&body) ? (ex_slice){NULL, 0} : ex_buf_slice(&body));
    ex_buf_done(&body);
}

void http_respond_error(http_exchange *x, const ex_error *err)
{
    http_respond_problem(x, err, NULL, NULL);
}
