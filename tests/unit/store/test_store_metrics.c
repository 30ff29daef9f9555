/* test_store_metrics.c: a store's numbers as they are served. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <excore/store.h>

#include "observe/metrics.h"

static ex_status append(ex_store *s, const char *type, ex_expected expected, const ex_id *id)
{
    ex_new_event event = {.type = ex_str(type), .data = EX_S("{}")};
    if (id)
        event.id = *id;
    ex_stream_write write = {EX_S("a"), expected, &event, 1};
    return ex_store_append(s, &(ex_append){.writes = &write, .write_count = 1}, NULL, NULL);
}

static void assert_line(const ex_buf *text, const char *line)
{
    if (!strstr(text->ptr, line))
        fail_msg("no line %s in:\n%s", line, text->ptr);
}

static void test_store_metrics_count_what_happened(void **state)
{
    (void)state;
    ex_metrics *metrics = NULL;
    ex_store *s = NULL;
    assert_int_equal(ex_metrics_new("excore", &metrics, NULL), EX_OK);
    ex_store_options options = {.in_memory = true, .metrics = metrics};
    assert_int_equal(ex_store_open(NULL, &options, &s, NULL), EX_OK);
    ex_id id;
    assert_int_equal(ex_id_new(&id, NULL), EX_OK);
    assert_int_equal(append(s, "A", EX_NO_STREAM, &id), EX_OK);
    assert_int_equal(append(s, "A", EX_ANY, &id), EX_OK);
    assert_int_equal(append(s, "B", EX_ANY, NULL), EX_OK);
    assert_int_equal(append(s, "B", EX_NO_STREAM, NULL), EX_ECONFLICT);
    ex_append condition = {.fail_if_match = &(ex_query){0}};
    assert_int_equal(ex_store_append(s, &condition, NULL, NULL), EX_ECONDITION);

    ex_buf text;
    ex_buf_init(&text, 0);
    ex_metrics_write(metrics, &text);
    ex_buf_put_char(&text, '\0');
    assert_int_equal(ex_buf_status(&text), EX_OK);
    static const char *const lines[] = {
        "excore_events_appended_total{type=\"A\"} 1\n",
        "excore_events_appended_total{type=\"B\"} 1\n",
        "excore_store_submissions_total{outcome=\"stored\"} 2\n",
        "excore_store_submissions_total{outcome=\"duplicate\"} 1\n",
        "excore_store_submissions_total{outcome=\"conflict\"} 1\n",
        "excore_store_submissions_total{outcome=\"condition\"} 1\n",
        "excore_store_conflicts_total{kind=\"version\"} 1\n",
        "excore_store_conflicts_total{kind=\"condition\"} 1\n",
        "excore_store_duplicates_total 1\n",
        "excore_store_log_head 2\n",
        "excore_store_commit_seconds_count 2\n",
        "excore_store_queue_age_seconds_count 5\n",
        "excore_event_append_duration_seconds_count{store=\"memory\"} 5\n",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_line(&text, lines[i]);
    ex_buf_done(&text);
    ex_store_close(s);
    ex_metrics_free(metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_store_metrics_count_what_happened)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
