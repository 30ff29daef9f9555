/* remote.c: one libcurl handle driven through a multi handle, so that another thread can wake it.
 *
 * Possible failures: no connection, a time-out (connect 10 s, a whole answer
 * 60 s; event streams have none), an answer that is an error, an answer above
 * the limit. Redirects are not followed: the server gives none. */
#include "cli/remote.h"

#include "app/version.h"
#include "cli/curl_api.h"

#include <excore/json.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define CONNECT_TIMEOUT_MS  10000L
#define ANSWER_TIMEOUT_MS   60000L
#define POLL_MS             1000
#define ANSWER_LIMIT_BYTES  ((size_t)1 << 30)
#define PROBLEM_LIMIT_BYTES ((size_t)64 << 10)

struct remote {
    curl_api curl;
    CURL *easy;
    CURLM *multi;
    struct curl_slist *post_headers;
    char *base; /* without slashes at its end */
    char reason[CURL_ERROR_SIZE];
    ex_buf url;
    ex_buf answer;
    /* of the call in progress */
    const remote_call *call;
    bool is_ended; /* by on_bytes */
    /* any thread */
    atomic_bool is_stopped;
};

ex_status remote_open(const char *url, remote **ret, ex_error *err)
{
    remote *r = calloc(1, sizeof(*r));
    if (!r)
        return ex_raise(err, EX_ENOMEM, "out of memory");
    ex_buf_init(&r->url, 0);
    ex_buf_init(&r->answer, ANSWER_LIMIT_BYTES);
    ex_status status = curl_api_load(&r->curl, err);
    if (status)
        goto out;
    r->easy = r->curl.easy_init();
    r->multi = r->curl.multi_init();
    r->post_headers = r->curl.slist_append(NULL, "Content-Type: application/json");
    r->base = strdup(url);
    if (!r->easy || !r->multi || !r->post_headers || !r->base) {
        status = ex_raise(err, EX_ENOMEM, "out of memory");
        goto out;
    }
    for (size_t len = strlen(r->base); len > 0 && r->base[len - 1] == '/'; len--)
        r->base[len - 1] = '\0';
    *ret = r;
    r = NULL;
out:
    remote_close(r);
    return status;
}

void remote_close(remote *r)
{
    if (!r)
        return;
    if (r->post_headers)
        r->curl.slist_free_all(r->post_headers);
    if (r->easy)
        r->curl.easy_cleanup(r->easy);
    if (r->multi)
        (void)r->curl.multi_cleanup(r->multi); /* fails only for a handle that is none */
    free(r->base);
    ex_buf_done(&r->url);
    ex_buf_done(&r->answer);
    free(r);
}

bool remote_is_stopped(const remote *r)
{
    return atomic_load(&r->is_stopped);
}

void remote_stop(remote *r)
{
    atomic_store(&r->is_stopped, true);
    (void)r->curl.multi_wakeup(r->multi); /* when it fails, the poll ends by itself soon */
}

void remote_wait(remote *r, int milliseconds)
{
    while (milliseconds > 0 && !remote_is_stopped(r)) {
        int step = milliseconds < POLL_MS ? milliseconds : POLL_MS;
        (void)r->curl.multi_poll(r->multi, NULL, 0, step, NULL); /* early is fine */
        milliseconds -= step;
    }
}

void remote_put_encoded(ex_buf *out, ex_slice text)
{
    static const char unreserved[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "0123456789-_.~";
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] && strchr(unreserved, text.ptr[i]))
            ex_buf_put_char(out, text.ptr[i]);
        else
            ex_buf_printf(out, "%%%02X", (unsigned)(unsigned char)text.ptr[i]);
    }
}

/* ---- An answer that is an error ---- */

static ex_status status_of(const char *code, long http_status)
{
    static const ex_status all[] = {
#define STATUS(number, name, ...) EX_##name,
        EX_STATUS_MAP(STATUS)
#undef STATUS
    };
    const size_t count = sizeof(all) / sizeof(all[0]);
    for (size_t i = 1; i < count; i++)
        if (strcmp(ex_status_code(all[i]), code) == 0)
            return all[i];
    for (size_t i = 1; i < count; i++)
        if (ex_status_http(all[i]) == http_status)
            return all[i];
    return EX_EUNKNOWN;
}

static const char *text_member(const ex_json *object, const char *key, char *out, size_t size)
{
    const ex_json *v = ex_json_get(object, ex_str(key));
    if (!v || v->kind != EX_JSON_STRING)
        return NULL;
    (void)snprintf(out, size, "%.*s", EX_ARG(v->as.text)); /* cut is fine */
    return out;
}

static ex_status raise_problem(remote *r, long http_status, ex_error *err)
{
    ex_arena arena;
    ex_arena_init(&arena, 4 * PROBLEM_LIMIT_BYTES);
    ex_json problem = {0};
    char code[EX_ERROR_CODE_SIZE] = "", detail[EX_ERROR_MESSAGE_SIZE];
    const char *text = NULL;
    if (ex_json_parse(ex_buf_slice(&r->answer), &arena, NULL, &problem, NULL) == EX_OK) {
        (void)text_member(&problem, "code", code, sizeof(code));
        text = text_member(&problem, "detail", detail, sizeof(detail));
        if (!text)
            text = text_member(&problem, "title", detail, sizeof(detail));
    }
    ex_status status = status_of(code, http_status);
    if (text && *code)
        (void)ex_raise(err, status, "%s (%s)", text, code);
    else
        (void)ex_raise(err, status, "%s answered with HTTP status %ld", r->base, http_status);
    ex_arena_done(&arena);
    return status;
}

/* ---- A call ---- */

static long http_status_of(remote *r)
{
    long status = 0;
    (void)r->curl.easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status); /* 0: none yet */
    return status;
}

static size_t on_write(char *bytes, size_t size, size_t count, void *ctx)
{
    remote *r = ctx;
    size_t len = size * count; /* size is 1 */
    bool is_stream = r->call->on_bytes && http_status_of(r) < 300;
    if (is_stream) {
        r->is_ended = !r->call->on_bytes(r->call->ctx, ex_slice_of(bytes, len));
        return r->is_ended ? 0 : len;
    }
    if (http_status_of(r) >= 300 && r->answer.len + len > PROBLEM_LIMIT_BYTES)
        return len; /* the rest of a long error page */
    ex_buf_put(&r->answer, ex_slice_of(bytes, len));
    return ex_buf_status(&r->answer) ? 0 : len;
}

static void prepare(remote *r, const remote_call *call)
{
    const curl_api *c = &r->curl;
    char agent[64];
    (void)snprintf(agent, sizeof(agent), "excore/%s", app_version());
    r->reason[0] = '\0';
    c->easy_reset(r->easy);
    (void)c->easy_setopt(r->easy, CURLOPT_URL, r->url.ptr);
    (void)c->easy_setopt(r->easy, CURLOPT_PATH_AS_IS, 1L); /* a stream may be named ".." */
    (void)c->easy_setopt(r->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)c->easy_setopt(r->easy, CURLOPT_USERAGENT, agent);
    (void)c->easy_setopt(r->easy, CURLOPT_NOSIGNAL, 1L);
    (void)c->easy_setopt(r->easy, CURLOPT_ERRORBUFFER, r->reason);
    (void)c->easy_setopt(r->easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    (void)c->easy_setopt(r->easy, CURLOPT_WRITEFUNCTION, on_write);
    (void)c->easy_setopt(r->easy, CURLOPT_WRITEDATA, r);
    (void)c->easy_setopt(r->easy, CURLOPT_ACCEPT_ENCODING, NULL);
    if (call->on_bytes)
        return;
    (void)c->easy_setopt(r->easy, CURLOPT_TIMEOUT_MS, ANSWER_TIMEOUT_MS);
    if (!call->body.ptr)
        return;
    (void)c->easy_setopt(r->easy, CURLOPT_POST, 1L);
    (void)c->easy_setopt(r->easy, CURLOPT_POSTFIELDS, call->body.ptr);
    (void)c->easy_setopt(r->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.len);
    (void)c->easy_setopt(r->easy, CURLOPT_HTTPHEADER, r->post_headers);
}

/* Drive the transfer to its end; false when it was stopped before. */
static bool drive(remote *r, CURLcode *ret)
{
    int running = 1;
    while (!remote_is_stopped(r)) {
        int events = 0, left = 0;
        (void)r->curl.multi_perform(r->multi, &running);
        const CURLMsg *message = r->curl.multi_info_read(r->multi, &left);
        if (message && message->msg == CURLMSG_DONE) {
            *ret = message->data.result;
            return true;
        }
        (void)r->curl.multi_poll(r->multi, NULL, 0, POLL_MS, &events);
        if (events == 0 && r->call->on_bytes && http_status_of(r) == 200 &&
            !r->call->on_bytes(r->call->ctx, (ex_slice){0})) {
            r->is_ended = true;
            return true;
        }
    }
    return false;
}

/* What was sent may have arrived, and for a write that is no failure that can be repeated. */
static ex_status status_without_answer(remote *r, CURLcode code)
{
    long sent = 0;
    (void)r->curl.easy_getinfo(r->easy, CURLINFO_REQUEST_SIZE, &sent); /* 0: nothing was */
    if (r->call->body.ptr && sent > 0)
        return EX_EOUTCOME;
    return code == CURLE_OPERATION_TIMEDOUT ? EX_ETIMEOUT : EX_EUPSTREAM;
}

ex_status remote_send(remote *r, const remote_call *call, ex_slice *ret_answer, ex_error *err)
{
    r->call = call;
    r->is_ended = false;
    ex_buf_reset(&r->answer);
    ex_buf_reset(&r->url);
    ex_buf_printf(&r->url, "%s%s", r->base, call->path);
    ex_buf_put_char(&r->url, '\0');
    if (ex_buf_status(&r->url))
        return ex_raise(err, ex_buf_status(&r->url), "the address is too long");
    prepare(r, call);
    struct curl_slist *accept = NULL;
    if (call->on_bytes) {
        accept = r->curl.slist_append(NULL, "Accept: text/event-stream");
        (void)r->curl.easy_setopt(r->easy, CURLOPT_HTTPHEADER, accept);
    }
    CURLcode code = CURLE_OK;
    (void)r->curl.multi_add_handle(r->multi, r->easy);
    bool is_done = drive(r, &code);
    long http_status = http_status_of(r);
    (void)r->curl.multi_remove_handle(r->multi, r->easy);
    r->curl.slist_free_all(accept);

    if (!is_done)
        return ex_raise(err, EX_ECANCELLED, "stopped");
    if (r->is_ended)
        return EX_OK;
    if (ex_buf_status(&r->answer))
        return ex_raise(err, ex_buf_status(&r->answer), "%s: the answer is too large", r->base);
    if (code != CURLE_OK)
        return ex_raise(err, status_without_answer(r, code), "%s: %s", r->base,
                        *r->reason ? r->reason : r->curl.easy_strerror(code));
    if (http_status < 200 || http_status > 299)
        return raise_problem(r, http_status, err);
    if (ret_answer)
        *ret_answer = ex_buf_slice(&r->answer);
    return EX_OK;
}
