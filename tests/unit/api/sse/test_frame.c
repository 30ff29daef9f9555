/* test_frame.c: server-sent event frames (R-06-15). */
#include "api/sse/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_frame(ex_buf *b, const char *want)
{
    ex_buf_put_char(b, '\0');
    assert_int_equal(ex_buf_status(b), EX_OK);
    assert_string_equal(b->ptr, want);
    ex_buf_done(b);
}

static void test_frame_splits_every_line_break(void **state)
{
    static const struct {
        const char *data, *want;
    } cases[] = {
        {"{}", "event: e\ndata: {}\n\n"},
        {"", "event: e\ndata: \n\n"},
        {"a\nb", "event: e\ndata: a\ndata: b\n\n"},
        {"a\rb", "event: e\ndata: a\ndata: b\n\n"},
        {"a\r\nb", "event: e\ndata: a\ndata: b\n\n"},
        {"a\n\nb\n", "event: e\ndata: a\ndata: \ndata: b\ndata: \n\n"},
        {"a\r\r\nb", "event: e\ndata: a\ndata: \ndata: b\n\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_buf b;
        ex_buf_init(&b, 0);
        sse_put_frame(&b, EX_S("e"), ex_str(cases[i].data));
        assert_frame(&b, cases[i].want);
    }
}

static ex_event sample(const char *data)
{
    return (ex_event){.position = 9,
                      .version = 2,
                      .stream = EX_S("s"),
                      .type = EX_S("T"),
                      .schema_version = 1,
                      .data = ex_str(data),
                      .metadata = EX_S("{}")};
}

#define JSON_HEAD                                                                                  \
    "{\"position\":9,\"stream\":\"s\",\"version\":2,\"id\":\"00000000-0000-0000-0000-"             \
    "000000000000\","                                                                              \
    "\"type\":\"T\",\"schema_version\":1,\"data\":"
#define JSON_TAIL ",\"metadata\":{},\"tags\":[],\"recorded_at\":\"1970-01-01T00:00:00.000000Z\"}"

static void test_frame_stored_event(void **state)
{
    (void)state;
    ex_event e = sample("[1]");
    ex_buf b;
    ex_buf_init(&b, 0);
    sse_put_event(&b, &e, 9, true);
    assert_frame(&b, "id: 9\nevent: T\ndata: " JSON_HEAD "[1]" JSON_TAIL "\n\n");
}

static void test_frame_stored_event_over_several_lines(void **state)
{
    (void)state;
    ex_event e = sample("[1,\r\n2]");
    ex_buf b;
    ex_buf_init(&b, 0);
    sse_put_event(&b, &e, 2, true);
    assert_frame(&b, "id: 2\nevent: T\ndata: " JSON_HEAD "[1,\ndata: 2]" JSON_TAIL "\n\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame_splits_every_line_break),
        cmocka_unit_test(test_frame_stored_event),
        cmocka_unit_test(test_frame_stored_event_over_several_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
