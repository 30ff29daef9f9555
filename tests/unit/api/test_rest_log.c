/* test_rest_log.c: which log an answer is of, and what its holder is told when that has changed.
 * (issue 8, item 1; G-153) */
#include "support/accounts.h"
#include "support/api_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "store/store_internal.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define SSE      "Accept: text/event-stream\r\n"

#define OTHER_ID "0192f0c1-2345-7abc-8def-0123456789ab"

static api_server server;

static int start(void **state)
{
    (void)state;
    api_server_start(&server, &(api_server_options){.in_memory = true, .app = &accounts_app});
    return 0;
}

static int stop(void **state)
{
    (void)state;
    api_server_stop(&server);
    return 0;
}

typedef struct token {
    char log[EX_ID_TEXT_SIZE], epoch[EX_ID_TEXT_SIZE], text[2 * EX_ID_TEXT_SIZE];
} token;

static token token_now(void)
{
    token t;
    ex_id log = ex_store_log_id(server.store), epoch = ex_store_epoch(server.store).id;
    (void)snprintf(t.text, sizeof(t.text), "%s/%s", ex_id_text(&log, t.log).ptr,
                   ex_id_text(&epoch, t.epoch).ptr);
    return t;
}

/* As when the log has lost its end, and goes on at `first`. */
static void open_epoch(uint64_t first)
{
    ex_log_epoch list[8];
    ex_id log = ex_store_log_id(server.store);
    uint32_t count = ex_store_epochs(server.store, list, COUNT(list));
    assert_in_range(count, 1, COUNT(list) - 1);
    list[count] = (ex_log_epoch){.first = first, .reason = EX_EPOCH_LOST_END};
    assert_int_equal(ex_id_new(&list[count].id, NULL), EX_OK);
    assert_int_equal(log_identity_set(&server.store->identity, &log, list, count + 1, NULL), EX_OK);
}

static void test_rest_log_is_named_by_every_answer_with_positions(void **state)
{
    static const struct {
        const char *method, *path, *headers, *body;
    } cases[] = {
        {"POST", "/v1/streams/a-1", NULL, "{\"events\":[{\"type\":\"T\",\"data\":1}]}"},
        {"POST", "/v1/append", NULL,
         "{\"writes\":[{\"stream\":\"a-1\",\"events\":[{\"type\":\"T\",\"data\":1}]}]}"},
        {"GET", "/v1/streams/a-1", NULL, NULL},
        {"GET", "/v1/events", NULL, NULL},
        {"GET", "/v1/events", "Accept: application/cloudevents-batch+json\r\n", NULL},
        {"POST", "/v1/bank/account/a/open", NULL, "{\"owner\":\"ann\"}"},
        {"GET", "/v1/bank/account-count", NULL, NULL},
    };
    (void)state;
    token t = token_now();
    for (size_t i = 0; i < COUNT(cases); i++) {
        api_answer a =
            api_call(&server, cases[i].method, cases[i].path, cases[i].headers, cases[i].body);
        if (a.status >= 300 || !ex_slice_is(http_reply_header(&a.reply, "excore-log"), t.text))
            fail_msg("%s %s: %d", cases[i].method, cases[i].path, a.status);
        api_answer_done(&a);
    }
}

/* Calls with the token in the header and as the parameter, as a page and as an event stream. */
static void expect_on_every_way(const char *path, const char *text, int status, const char *code)
{
    for (int way = 0; way < 4; way++) {
        char target[256] = "", headers[256] = "";
        bool is_header = way & 1, is_sse = way & 2;
        int len = is_header ? snprintf(target, sizeof(target), "%s", path)
                            : snprintf(target, sizeof(target), "%s&log=%s", path, text);
        assert_in_range(len, 1, sizeof(target) - 1);
        len = is_header ? snprintf(headers, sizeof(headers), "%sexcore-log: %s\r\n",
                                   is_sse ? SSE : "", text)
                        : snprintf(headers, sizeof(headers), "%s", is_sse ? SSE : "");
        assert_in_range(len, 0, sizeof(headers) - 1);
        if (is_sse && status == 200) {
            http_client c;
            http_reply head;
            assert_true(http_client_open(&c, server.port));
            assert_true(http_client_request(&c, "GET", target, headers, EX_S("")));
            assert_true(http_client_begin_stream(&c, &head));
            assert_int_equal(head.status, 200);
            http_client_close(&c);
            http_reply_done(&head);
            continue;
        }
        api_answer a = api_call(&server, "GET", target, headers, NULL);
        if (a.status != status || (code && strcmp(api_text(a.json, "code"), code) != 0))
            fail_msg("%s with %s, way %d: %d", path, text, way, a.status);
        if (code && strcmp(code, "LOG_CHANGED") == 0)
            assert_true(api_int(a.json, "position") >= 1 && api_int(a.json, "head") >= 1);
        api_answer_done(&a);
    }
}

static void test_rest_log_that_has_changed_is_told(void **state)
{
    (void)state;
    api_append(&server, "s-1", "T", 10, 0);
    token before = token_now();
    uint64_t head = ex_store_head(server.store);
    char text[128], log[64], page[64];
    (void)snprintf(log, sizeof(log), "/v1/events?after=%llu", (unsigned long long)head);
    expect_on_every_way(log, before.text, 200, NULL);
    expect_on_every_way("/v1/streams/s-1?from=11", before.text, 200, NULL);
    (void)snprintf(text, sizeof(text), "%s/%s", OTHER_ID, before.epoch);
    expect_on_every_way(log, text, 409, "LOG_CHANGED");
    (void)snprintf(text, sizeof(text), "%s/%s", before.log, OTHER_ID);
    expect_on_every_way(log, text, 409, "LOG_CHANGED");
    expect_on_every_way("/v1/streams/s-1?from=11", text, 409, "LOG_CHANGED");
    expect_on_every_way(log, "what", 400, "INVALID_INPUT");

    open_epoch(head); /* what stood at the head may be something else now */
    expect_on_every_way(log, before.text, 409, "LOG_CHANGED");
    expect_on_every_way("/v1/streams/s-1?from=11", before.text, 409, "LOG_CHANGED");
    (void)snprintf(page, sizeof(page), "/v1/events?after=%llu", (unsigned long long)head - 1);
    expect_on_every_way(page, before.text, 200, NULL);
    expect_on_every_way("/v1/streams/s-1?from=10", before.text, 200, NULL);
    expect_on_every_way(log, token_now().text, 200, NULL);
}

static void expect_append(uint64_t after, const char *log, int status, const char *code)
{
    char body[512];
    (void)snprintf(body, sizeof(body),
                   "{\"events\":[{\"type\":\"T\",\"data\":1}],\"condition\":{\"fail_if_match\":"
                   "{\"items\":[{\"types\":[\"Nothing\"]}]},\"after\":%llu,\"log\":\"%s\"}}",
                   (unsigned long long)after, log);
    api_answer a = api_call(&server, "POST", "/v1/streams/c-1", NULL, body);
    if (a.status != status || (code && strcmp(api_text(a.json, "code"), code) != 0))
        fail_msg("after %llu of %s: %d", (unsigned long long)after, log, a.status);
    api_answer_done(&a);
}

static void test_rest_log_of_a_condition(void **state)
{
    (void)state;
    api_append(&server, "d-1", "T", 3, 0);
    token before = token_now();
    uint64_t head = ex_store_head(server.store);
    char other[128];
    expect_append(head, before.text, 201, NULL);
    (void)snprintf(other, sizeof(other), "%s/%s", OTHER_ID, before.epoch);
    expect_append(head, other, 409, "LOG_CHANGED");
    expect_append(head, "what", 400, "INVALID_INPUT");
    open_epoch(head);
    expect_append(head, before.text, 409, "LOG_CHANGED");
    expect_append(head - 1, before.text, 201, NULL);
    expect_append(head, token_now().text, 201, NULL);
}

typedef struct follower {
    http_client c;
    http_reply head;
    http_event e;
} follower;

static void follow(follower *f, uint64_t after)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/v1/events?after=%llu", (unsigned long long)after);
    memset(f, 0, sizeof(*f));
    assert_true(http_client_open(&f->c, server.port));
    assert_true(http_client_request(&f->c, "GET", path, SSE, EX_S("")));
    assert_true(http_client_begin_stream(&f->c, &f->head));
}

static void expect_frame(follower *f, const char *name, const char *part)
{
    if (!http_client_next_event(&f->c, &f->e))
        fail_msg("the stream ended before %s", name);
    ex_buf_put_char(&f->e.data, '\0');
    if (strcmp(f->e.event, name) != 0 || !strstr(f->e.data.ptr, part))
        fail_msg("%s: %s instead of %s with %s", f->e.event, f->e.data.ptr, name, part);
}

static void unfollow(follower *f)
{
    http_client_close(&f->c);
    http_reply_done(&f->head);
    http_event_done(&f->e);
}

/* Whoever has seen nothing of what is lost goes on and is told the new epoch; whoever has is told
 * that the log has changed, and its stream ends. */
static void test_rest_log_changes_under_an_event_stream(void **state)
{
    follower f;
    (void)state;
    for (int is_lost = 0; is_lost < 2; is_lost++) {
        uint64_t head = ex_store_head(server.store);
        token before = token_now();
        follow(&f, head);
        expect_frame(&f, "connected", before.text);
        expect_frame(&f, "caught-up", "position");
        open_epoch(is_lost ? head : head + 1);
        token now = token_now();
        api_append(&server, "e-1", "T", 1, 0);
        if (is_lost) {
            expect_frame(&f, "log-changed", now.text);
            assert_false(http_client_next_event(&f.c, &f.e));
        } else {
            expect_frame(&f, "epoch", now.text);
            expect_frame(&f, "T", "e-1");
        }
        unfollow(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rest_log_is_named_by_every_answer_with_positions),
        cmocka_unit_test(test_rest_log_that_has_changed_is_told),
        cmocka_unit_test(test_rest_log_of_a_condition),
        cmocka_unit_test(test_rest_log_changes_under_an_event_stream),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
