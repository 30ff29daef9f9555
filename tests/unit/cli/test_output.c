/* test_output.c: text made fit for a terminal, and server-sent events taken apart. */
#include "cli/output.h"
#include "cli/remote_event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_output_clean_text(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        int columns;
        const char *want;
        int used;
    } cases[] = {
        {"fits", "abc", 3, "abc", 3},
        {"cut", "abcd", 3, "ab\xe2\x80\xa6", 3},
        {"not cut", "abcd", -1, "abcd", 4},
        {"no room", "abcd", 0, "", 0},
        {"escape sequence", "\x1b[31m", -1, "\\x1b[31m", 8},
        {"line feed", "a\nb", -1, "a\\nb", 4},
        {"C1 control",
         "\xc2\x9b"
         "31m",
         -1, "\\u009b31m", 9},
        {"direction override",
         "\xe2\x80\xae"
         "x",
         -1, "\\u202ex", 7},
        {"bad UTF-8",
         "a\xff"
         "b",
         -1,
         "a\xef\xbf\xbd"
         "b",
         3},
        {"cut-off UTF-8", "\xe2\x82", -1, "\xef\xbf\xbd\xef\xbf\xbd", 2},
        {"wide", "\xe4\xb8\xad\xe6\x96\x87", 4, "\xe4\xb8\xad\xe6\x96\x87", 4},
        {"wide, cut", "\xe4\xb8\xad\xe6\x96\x87", 3, "\xe4\xb8\xad\xe2\x80\xa6", 3},
        {"combining", "e\xcc\x81x", 2, "e\xcc\x81x", 2},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_buf out;
        ex_buf_init(&out, 0);
        int used = output_put_clean(&out, ex_str(cases[i].text), cases[i].columns);
        if (used != cases[i].used || !ex_slice_is(ex_buf_slice(&out), cases[i].want))
            fail_msg("%s: %d columns, \"%.*s\"", cases[i].name, used, EX_ARG(ex_buf_slice(&out)));
        ex_buf_done(&out);
    }
}

/* Frames as "data" for notes and "#data" for events, joined with bars. */
static bool note_frame(void *ctx, ex_slice data, bool has_id)
{
    ex_buf_printf(ctx, "%s%.*s|", has_id ? "#" : "", EX_ARG(data));
    return !ex_slice_is(data, "stop");
}

static const char stream[] = ": heartbeat\n\nid: 1\nevent: A\ndata: {\"a\":\ndata: 1}\n\n"
                             "event: caught-up\r\ndata: {}\r\n\r\nid:2\ndata:x\n\n\n\ndata: cut";

static void test_sse_frames_whatever_the_pieces(void **state)
{
    (void)state;
    for (size_t piece = 1; piece <= sizeof(stream); piece++) {
        ex_buf seen;
        ex_buf_init(&seen, 0);
        sse_reader r = {.on_frame = note_frame, .ctx = &seen};
        sse_reader_init(&r, 0);
        for (size_t at = 0; at < sizeof(stream) - 1; at += piece) {
            size_t left = sizeof(stream) - 1 - at;
            ex_slice bytes = ex_slice_of(stream + at, left < piece ? left : piece);
            assert_int_equal(sse_reader_feed(&r, bytes), EX_OK);
        }
        if (!ex_slice_is(ex_buf_slice(&seen), "#{\"a\":\n1}|{}|#x|"))
            fail_msg("pieces of %zu: %.*s", piece, EX_ARG(ex_buf_slice(&seen)));
        sse_reader_done(&r);
        ex_buf_done(&seen);
    }
}

static void test_sse_stop_and_limit(void **state)
{
    (void)state;
    ex_buf seen;
    ex_buf_init(&seen, 0);
    sse_reader r = {.on_frame = note_frame, .ctx = &seen};
    sse_reader_init(&r, 16);
    assert_int_equal(sse_reader_feed(&r, EX_S("data: stop\n\ndata: never\n\n")), EX_ECANCELLED);
    assert_true(ex_slice_is(ex_buf_slice(&seen), "stop|"));
    sse_reader_reset(&r);
    assert_int_equal(sse_reader_feed(&r, EX_S("data: 0123456789012345")), EX_ETOOLARGE);
    sse_reader_done(&r);
    ex_buf_done(&seen);
}

static void test_remote_event_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        ex_status want;
    } cases[] = {
        {"{\"position\":3,\"stream\":\"s\",\"version\":2,\"id\":\"01890a5d-ac96-774b-bcce-"
         "b302099a8057\","
         "\"type\":\"T\",\"schema_version\":1,\"data\":{\"a\": 1},\"metadata\":{},\"tags\":[],"
         "\"recorded_at\":\"2026-11-21T09:30:00.123456Z\"}",
         EX_OK},
        {"{\"position\":3}", EX_EMALFORMED},
        {"[]", EX_EMALFORMED},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_arena arena;
        ex_arena_init(&arena, 0);
        ex_json json;
        ex_event e;
        assert_int_equal(ex_json_parse(ex_str(cases[i].text), &arena, NULL, &json, NULL), EX_OK);
        assert_int_equal(remote_event_read(&json, &arena, &e, NULL), cases[i].want);
        if (!cases[i].want) {
            assert_int_equal(e.position, 3);
            assert_int_equal(e.version, 2);
            assert_true(ex_slice_is(e.data, "{\"a\": 1}"));
        }
        ex_arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output_clean_text),
        cmocka_unit_test(test_sse_frames_whatever_the_pieces),
        cmocka_unit_test(test_sse_stop_and_limit),
        cmocka_unit_test(test_remote_event_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
