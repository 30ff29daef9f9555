/* server_attempt.c: see server_attempt.h. */
#include "crash/server_attempt.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "crash/server_run.h"

#define ANSWER_LIMIT_BYTES ((size_t)1 << 20)

/* ---- Making one ---- */

static attempt *new_attempt(uint64_t number, uint32_t event_count)
{
    attempt *a = calloc(1, sizeof *a);
    run_need(a != NULL);
    a->number = number;
    a->event_count = event_count;
    ex_buf_init(&a->body, 0);
    return a;
}

attempt *attempt_new_command(uint64_t number, const char *order, const char *command,
                             const char *payload, bool has_key)
{
    attempt *a = new_attempt(number, 1);
    char key[64] = "";
    if (has_key)
        snprintf(key, sizeof key, "Idempotency-Key: key-%" PRIu64 "\r\n", number);
    snprintf(a->path, sizeof a->path, "/v1/orders/order/%s/%s", order, command);
    snprintf(a->headers, sizeof a->headers,
             "Content-Type: application/json\r\nX-Correlation-ID: append.%" PRIu64 ".1\r\n%s",
             number, key);
    snprintf(a->events[0].stream, sizeof a->events[0].stream, "order-%s", order);
    ex_buf_put_str(&a->body, payload);
    a->is_repeatable = has_key;
    return a;
}

static void put_event(attempt *a, uint32_t index)
{
    snprintf(a->events[index].id, EX_ID_TEXT_SIZE, "%08x-0000-4000-8%03x-%012" PRIx64,
             (unsigned)(run.seed & 0xffffffff), index, a->number);
    ex_buf_printf(&a->body,
                  "%s{\"type\":\"Noted\",\"id\":\"%s\",\"data\":{\"attempt\":%" PRIu64
                  ",\"index\":%u},\"tags\":[\"kind:noted\"],"
                  "\"metadata\":{\"$correlation_id\":\"append/%" PRIu64 "/%u\"}}",
                  index && strcmp(a->events[index].stream, a->events[index - 1].stream) == 0 ? ","
                                                                                             : "",
                  a->events[index].id, a->number, index, a->number, a->event_count);
}

static void put_write(attempt *a, const char *stream, uint32_t first, uint32_t count)
{
    ex_buf_printf(&a->body, "%s{\"stream\":\"%s\",\"events\":[", first ? "," : "", stream);
    for (uint32_t i = first; i < first + count; i++) {
        snprintf(a->events[i].stream, sizeof a->events[i].stream, "%s", stream);
        put_event(a, i);
    }
    ex_buf_put_str(&a->body, "]}");
}

static void put_one_stream(attempt *a, const char *stream, int64_t expected)
{
    ex_buf_put_str(&a->body, "{\"events\":[");
    for (uint32_t i = 0; i < a->event_count; i++) {
        snprintf(a->events[i].stream, sizeof a->events[i].stream, "%s", stream);
        put_event(a, i);
    }
    ex_buf_put_char(&a->body, ']');
    if (expected >= 0)
        ex_buf_printf(&a->body, ",\"expected\":%" PRId64, expected);
    ex_buf_put_char(&a->body, '}');
}

attempt *attempt_new_append(uint64_t number, const char *const *streams, uint32_t stream_count,
                            uint32_t event_count, int64_t expected)
{
    attempt *a = new_attempt(number, event_count);
    snprintf(a->headers, sizeof a->headers, "Content-Type: application/json\r\n");
    a->is_repeatable = true;
    a->must_succeed = true;
    if (stream_count == 1) {
        snprintf(a->path, sizeof a->path, "/v1/streams/%s", streams[0]);
        put_one_stream(a, streams[0], expected);
        return a;
    }
    snprintf(a->path, sizeof a->path, "/v1/append");
    ex_buf_put_str(&a->body, "{\"writes\":[");
    uint32_t each = event_count / stream_count;
    for (uint32_t i = 0; i < stream_count; i++)
        put_write(a, streams[i], i * each,
                  i + 1 < stream_count ? each : event_count - (stream_count - 1) * each);
    ex_buf_put_str(&a->body, "]}");
    return a;
}

void attempt_free(attempt *a)
{
    if (!a)
        return;
    ex_buf_done(&a->body);
    free(a);
}

/* ---- Its answer ---- */

static void copy_text(char *out, size_t size, ex_slice s)
{
    snprintf(out, size, "%.*s", EX_ARG(s));
}

static void read_effect(const ex_json *json, attempt_answer *ret)
{
    const ex_json *events = run_array(json, "events");
    const ex_json *duplicate = ex_json_get(json, EX_S("duplicate"));
    ret->position = run_number(json, "position");
    ret->version = run_number(json, "version");
    ret->is_duplicate = duplicate && duplicate->as.boolean;
    if (events->count > ATTEMPT_EVENTS_MAX)
        run_fail("an answer with too many events: %.*s", EX_ARG(json->raw));
    ret->event_count = events->count;
    for (uint32_t i = 0; i < events->count; i++) {
        const ex_json *e = &events->as.items[i];
        copy_text(ret->events[i].id, sizeof ret->events[i].id, run_text(e, "id"));
        ret->events[i].position = run_number(e, "position");
        ret->events[i].version = run_number(e, "version");
    }
}

static void read_answer(const http_reply *r, attempt_answer *ret)
{
    ex_arena arena;
    ex_arena_init(&arena, ANSWER_LIMIT_BYTES);
    ex_json json = run_json(ex_buf_slice(&r->body), &arena);
    *ret = (attempt_answer){.status = r->status};
    if (r->status == 200 || r->status == 201)
        read_effect(&json, ret);
    else
        copy_text(ret->code, sizeof ret->code, run_text(&json, "code"));
    ex_arena_done(&arena);
}

attempt_state attempt_state_of(const attempt_answer *answer)
{
    switch (answer->status) {
    case 200:
    case 201:
        return ATTEMPT_DONE;
    case 422:
        return ATTEMPT_REJECTED;
    case 503:
        return ATTEMPT_REFUSED;
    default:
        if (strcmp(answer->code, "OUTCOME_UNKNOWN") == 0)
            return ATTEMPT_UNKNOWN;
        run_fail("nobody expected status %d %s", answer->status, answer->code);
    }
}

bool attempt_send_again(const attempt *a, http_client *client, attempt_answer *ret)
{
    http_reply r;
    bool is_answered =
        http_client_call(client, "POST", a->path, a->headers, ex_buf_slice(&a->body), &r);
    if (is_answered)
        read_answer(&r, ret);
    http_reply_done(&r);
    return is_answered;
}

bool attempt_send(attempt *a, http_client *client)
{
    if (!attempt_send_again(a, client, &a->answer))
        return false;
    a->state = attempt_state_of(&a->answer);
    return true;
}

/* A rejection is remembered with its code; an effect with everything that the client was told. */
void attempt_check_same(const attempt *a, const attempt_answer *again)
{
    const attempt_answer *first = &a->answer;
    bool is_same = strcmp(first->code, again->code) == 0 && first->position == again->position &&
                   first->version == again->version && first->event_count == again->event_count &&
                   attempt_state_of(again) == a->state &&
                   again->is_duplicate == (a->state == ATTEMPT_DONE);
    for (uint32_t i = 0; is_same && i < first->event_count; i++)
        is_same = strcmp(first->events[i].id, again->events[i].id) == 0 &&
                  first->events[i].position == again->events[i].position &&
                  first->events[i].version == again->events[i].version;
    if (!is_same)
        run_fail("%s was first answered %d %s, position %" PRIu64 ", version %" PRIu64
                 ", %u events; repeated %d %s, position %" PRIu64 ", version %" PRIu64
                 ", %u events",
                 attempt_text(a), first->status, first->code, first->position, first->version,
                 first->event_count, again->status, again->code, again->position, again->version,
                 again->event_count);
}

void attempt_repeat(const attempt *a, http_client *client)
{
    attempt_answer again;
    if (!attempt_send_again(a, client, &again))
        run_fail("%s: no answer when it was repeated", attempt_text(a));
    attempt_check_same(a, &again);
}

const char *attempt_text(const attempt *a)
{
    static _Thread_local char text[512];
    int shown = a->body.len < 300 ? (int)a->body.len : 300;
    snprintf(text, sizeof text, "attempt %" PRIu64 " (POST %s %.*s)", a->number, a->path, shown,
             a->body.ptr ? a->body.ptr : "");
    return text;
}
