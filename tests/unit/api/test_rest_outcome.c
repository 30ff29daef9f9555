/* test_rest_outcome.c: what a client is told when nobody knows whether its request was stored, and
 * that the retry which the answer allows is exact. (issue 8, item 4) */
#include "support/api_server.h"
#include "support/counters.h"
#include "support/fault_vfs.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

static void set_up(api_server *s)
{
    api_server_start(s,
                     &(api_server_options){.store = {.outcome_wait_ms = 1}, .app = &counters_app});
}

static void lose_commits(void)
{
    fault_vfs_plan((fault_plan){
        .kinds = FAULT_BIT(FAULT_SYNC), .at = 1, .is_sticky = true, .suffix = "events.db-wal"});
}

/* G-300: not a status that proxies repeat, and nothing that asks to. */
static void check_unknown(const api_answer *a)
{
    api_check_problem(a, "a lost commit", 500, "OUTCOME_UNKNOWN", NULL);
    assert_null(http_reply_header(&a->reply, "retry-after").ptr);
    assert_non_null(strstr(api_text(a->json, "detail"), "it is not known whether this was stored"));
}

/* The same events with the ids that the problem names: `body` has one at each '@'. */
static void retry(const api_server *s, const char *path, const char *body, const api_answer *a,
                  int status)
{
    ex_buf text;
    size_t index = 0;
    ex_buf_init(&text, 0);
    for (const char *p = body; *p; p++) {
        if (*p != '@')
            ex_buf_put_char(&text, *p);
        else
            ex_buf_put_str(&text, json_string_value(json_array_get(
                                      json_object_get(a->json, "event_ids"), index++)));
    }
    ex_buf_put_char(&text, '\0');
    assert_int_equal(ex_buf_status(&text), EX_OK);
    api_expect(s, "POST", path, NULL, text.ptr, status);
    ex_buf_done(&text);
}

/* G-301 */
static void test_outcome_of_an_append_names_the_ids_of_its_events(void **state)
{
    (void)state;
    static const struct {
        const char *path, *body, *again;
    } cases[] = {
        {"/v1/streams/a", "{\"events\":[{\"type\":\"T\",\"data\":1},{\"type\":\"T\",\"data\":2}]}",
         "{\"events\":[{\"type\":\"T\",\"data\":1,\"id\":\"@\"},"
         "{\"type\":\"T\",\"data\":2,\"id\":\"@\"}]}"},
        {"/v1/append",
         "{\"writes\":[{\"stream\":\"b\",\"events\":[{\"type\":\"T\",\"data\":1}]},"
         "{\"stream\":\"c\",\"events\":[{\"type\":\"T\",\"data\":2}]}]}",
         "{\"writes\":[{\"stream\":\"b\",\"events\":[{\"type\":\"T\",\"data\":1,\"id\":\"@\"}]},"
         "{\"stream\":\"c\",\"events\":[{\"type\":\"T\",\"data\":2,\"id\":\"@\"}]}]}"},
    };
    api_server s;
    set_up(&s);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lose_commits();
        api_answer a = api_call(&s, "POST", cases[i].path, NULL, cases[i].body);
        fault_vfs_heal();
        check_unknown(&a);
        assert_int_equal(json_array_size(json_object_get(a.json, "event_ids")), 2);
        retry(&s, cases[i].path, cases[i].again, &a, 201);
        retry(&s, cases[i].path, cases[i].again, &a, 200);
        assert_int_equal(ex_store_head(s.store), 2 * (i + 1));
        api_answer_done(&a);
    }
    api_server_stop(&s);
}

/* G-301. With an id a command is repeated, without one its events are looked for. */
static void test_outcome_of_a_command_names_what_to_look_for(void **state)
{
    (void)state;
    static const char path[] = "/v1/test/counter/a/add", body[] = "{\"n\":0,\"count\":0}";
    static const char key[] = "Idempotency-Key: add-1\r\nX-Correlation-ID: look-for-me\r\n";
    api_server s;
    set_up(&s);
    lose_commits();
    api_answer without = api_call(&s, "POST", path, "X-Correlation-ID: mine\r\n", body);
    fault_vfs_heal();
    check_unknown(&without);
    assert_string_equal(api_text(without.json, "correlation_id"), "mine");
    assert_null(json_object_get(without.json, "command_id"));
    api_answer_done(&without);
    assert_int_equal(ex_store_check_writes(s.store, NULL), EX_OK); /* settles it */
    lose_commits();
    api_answer with = api_call(&s, "POST", path, key, body);
    fault_vfs_heal();
    check_unknown(&with);
    assert_string_equal(api_text(with.json, "correlation_id"), "look-for-me");
    assert_string_equal(api_text(with.json, "command_id"), "add-1");
    api_answer_done(&with);
    api_expect(&s, "POST", path, key, body, 201);
    api_expect(&s, "POST", path, key, body, 200);
    assert_int_equal(ex_store_head(s.store), 1);
    api_server_stop(&s);
}

int main(void)
{
    fault_vfs_register();
    if (sqlite3_vfs_register(sqlite3_vfs_find(FAULT_VFS_NAME), 1) != SQLITE_OK)
        abort();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outcome_of_an_append_names_the_ids_of_its_events),
        cmocka_unit_test(test_outcome_of_a_command_names_what_to_look_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
