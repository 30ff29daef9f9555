/* test_http1_filter.c: the strict HTTP/1 filter: every case is also fed split at every byte. */
#include "api/http/http1_filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define HOST "Host: a\r\n"
#define GET  "GET / HTTP/1.1\r\n" HOST

static const http1_limits limits = {.head_bytes = 300, .header_count = 5, .body_bytes = 100};

/* What became of one message: 0 = whole, 1 = wants more, else the HTTP status of the refusal. */
typedef struct outcome {
    int status;
    size_t used; /* of the input, when whole */
    uint64_t body_bytes;
} outcome;

enum { WHOLE = 0, MORE = 1 };

static int http_status_of(const ex_error *err)
{
    return err->http_status ? err->http_status : ex_status_http(err->status);
}

static outcome run(ex_slice in, size_t split)
{
    http1_filter f;
    http1_filter_init(&f);
    ex_arena arena;
    ex_arena_init(&arena, 0);
    char head[512];
    size_t head_len = 0, at = 0;
    outcome ret = {MORE, 0, 0};
    bool is_in_body = false;
    while (at < in.len && ret.status == MORE) {
        size_t stop = at < split ? split : in.len;
        size_t used = 0;
        ex_error err = {0};
        ex_slice piece = ex_slice_of(in.ptr + at, stop - at);
        filter_result r = is_in_body ? http1_filter_body(&f, &limits, piece, &used, &err)
                                     : http1_filter_head(&f, &limits, piece, &used, &err);
        if (r == FILTER_BAD) {
            ret.status = http_status_of(&err);
            break;
        }
        assert_true(used <= piece.len && (r != FILTER_MORE || used == piece.len));
        if (!is_in_body) {
            assert_true(head_len + used <= sizeof(head));
            memcpy(head + head_len, piece.ptr, used);
            head_len += used;
        }
        at += used;
        if (r == FILTER_MESSAGE_END)
            ret.status = WHOLE;
        if (r != FILTER_HEAD_END)
            continue;
        http1_head parsed;
        if (http1_head_parse(head, head_len, &limits, &arena, &parsed, &err))
            ret.status = http_status_of(&err);
        else if (!http1_filter_begin_body(&f, &parsed))
            ret.status = WHOLE;
        is_in_body = true;
    }
    ret.used = at;
    ret.body_bytes = f.body_bytes;
    ex_arena_done(&arena);
    return ret;
}

typedef struct filter_case {
    const char *name;
    const char *in;
    int status;
    const char *rest; /* what belongs to the next message */
} filter_case;

#define LONG50  "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee"
#define CHUNKED "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"

/* clang-format off */
static const filter_case cases[] = {
    /* accepted */
    {"plain", GET "\r\n", WHOLE, ""},
    {"pipelined", GET "\r\nGET / HTTP/1.1\r\n", WHOLE, "GET / HTTP/1.1\r\n"},
    {"one empty line before", "\r\n" GET "\r\n", WHOLE, ""},
    {"http/1.0 without host", "GET / HTTP/1.0\r\n\r\n", WHOLE, ""},
    {"blanks around a value", GET "X: \t v \t\r\n\r\n", WHOLE, ""},
    {"empty value", GET "X:\r\n\r\n", WHOLE, ""},
    {"UTF-8 in a value", GET "X: \xc3\xa9\r\n\r\n", WHOLE, ""},
    {"length", "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabcGET", WHOLE, "GET"},
    {"length zero", "POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\nGET", WHOLE, "GET"},
    {"chunked", CHUNKED "3\r\nabc\r\n0\r\n\r\nGET", WHOLE, "GET"},
    {"chunked in any case", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n", WHOLE, ""},
    {"chunk extension", CHUNKED "3;a=b;c=\"d\\\"e\";f\r\nabc\r\n0\r\n\r\n", WHOLE, ""},
    {"chunk extensions with blanks", CHUNKED "3 \t; a =\tb ;c; d=\"e;\t\xc3\xa9\" ; f\r\nabc\r\n0 ;x\r\n\r\nGET", WHOLE, "GET"},
    {"trailer", CHUNKED "1\r\na\r\n0\r\nX: y\r\n\r\n", WHOLE, ""},
    {"leading zeros in a chunk size", CHUNKED "00000003\r\nabc\r\n0\r\n\r\n", WHOLE, ""},
    {"unfinished head", GET, MORE, ""},
    {"unfinished body", "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nab", MORE, ""},
    {"unfinished chunk", CHUNKED "3\r\nab", MORE, ""},
    {"chunk without the end", CHUNKED "3\r\nabc\r\n0\r\n", MORE, ""},

    /* R-06-04 and issue 2: smuggling shapes */
    {"lone CR in the request line", "GET / HTTP/1.1\rX\r\n" HOST "\r\n", 400, NULL},
    {"lone LF after the request line", "GET / HTTP/1.1\n" HOST "\r\n", 400, NULL},
    {"lone CR in a header", "GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n", 400, NULL},
    {"lone LF in a header", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400, NULL},
    {"lone LF at the end", GET "\n", 400, NULL},
    {"CR CR LF", GET "\r\r\n", 400, NULL},
    {"folded with SP", GET "X: y\r\n z\r\n\r\n", 400, NULL},
    {"folded with HT", GET "X: y\r\n\tz\r\n\r\n", 400, NULL},
    {"blank before the first header", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, NULL},
    {"blank before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, NULL},
    {"tab before the colon", "GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", 400, NULL},
    {"no colon", GET "X\r\n\r\n", 400, NULL},
    {"empty name", GET ": x\r\n\r\n", 400, NULL},
    {"control character", GET "X: \x01\r\n\r\n", 400, NULL},
    {"DEL", GET "X: \x7f\r\n\r\n", 400, NULL},
    {"missing host", "GET / HTTP/1.1\r\n\r\n", 400, NULL},
    {"two hosts", GET HOST "\r\n", 400, NULL},
    {"host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, NULL},
    {"host with a user", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400, NULL},
    {"missing version", "GET /\r\n" HOST "\r\n", 400, NULL},
    {"http/0.9 line", "GET / \r\n" HOST "\r\n", 400, NULL},
    {"lower-case version", "GET / http/1.1\r\n" HOST "\r\n", 400, NULL},
    {"version with blanks", "GET / HTTP/1.1 \r\n" HOST "\r\n", 400, NULL},
    {"http/1.10", "GET / HTTP/1.10\r\n" HOST "\r\n", 400, NULL},
    {"http/2.0", "GET / HTTP/2.0\r\n" HOST "\r\n", 505, NULL},
    {"http/1.2", "GET / HTTP/1.2\r\n" HOST "\r\n", 505, NULL},
    {"two blanks in the request line", "GET  / HTTP/1.1\r\n" HOST "\r\n", 400, NULL},
    {"tab in the request line", "GET\t/ HTTP/1.1\r\n" HOST "\r\n", 400, NULL},
    {"blank before the method", " GET / HTTP/1.1\r\n" HOST "\r\n", 400, NULL},
    {"two empty lines before", "\r\n\r\n" GET "\r\n", 400, NULL},
    {"LF before", "\n" GET "\r\n", 400, NULL},
    {"8-bit target", "GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n", 400, NULL},
    {"length with encoding", "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400, NULL},
    {"encoding with length", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", 400, NULL},
    {"two lengths", "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 4\r\n\r\n", 400, NULL},
    {"two equal lengths", "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 3\r\n\r\n", 400, NULL},
    {"a list of lengths", "POST / HTTP/1.1\r\n" HOST "Content-Length: 3, 3\r\n\r\n", 400, NULL},
    {"signed length", "POST / HTTP/1.1\r\n" HOST "Content-Length: +3\r\n\r\n", 400, NULL},
    {"negative length", "POST / HTTP/1.1\r\n" HOST "Content-Length: -3\r\n\r\n", 400, NULL},
    {"hexadecimal length", "POST / HTTP/1.1\r\n" HOST "Content-Length: 0x3\r\n\r\n", 400, NULL},
    {"empty length", "POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n", 400, NULL},
    {"length overflow", "POST / HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551619\r\n\r\n", 400, NULL},
    {"encoding gzip, chunked", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", 400, NULL},
    {"encoding identity", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n", 400, NULL},
    {"encoding xchunked", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n", 400, NULL},
    {"encoding with vertical tab", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \x0b" "chunked\r\n\r\n", 400, NULL},
    {"encoding twice", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400, NULL},
    {"encoding twice, second other", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n", 400, NULL},
    {"encoding in http/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, NULL},
    {"connection names framing", GET "Connection: close, Content-Length\r\n\r\n", 400, NULL},
    {"unknown expectation", GET "Expect: 200-ok\r\n\r\n", 417, NULL},

    /* chunks */
    {"chunk size missing", CHUNKED "\r\nabc", 400, NULL},
    {"chunk size not hexadecimal", CHUNKED "3x\r\nabc", 400, NULL},
    {"chunk size with sign", CHUNKED "+3\r\nabc", 400, NULL},
    {"chunk size 0x3", CHUNKED "0x3\r\nabc", 400, NULL},
    {"chunk size with blank", CHUNKED "3 \r\nabc", 400, NULL},
    {"chunk extension with blanks behind it", CHUNKED "3;a \r\nabc", 400, NULL},
    {"chunk extension with a blank value", CHUNKED "3;a= \r\nabc", 400, NULL},
    {"chunk extension with blanks behind its value", CHUNKED "3;a=b \r\nabc", 400, NULL},
    {"chunk extension with two values", CHUNKED "3;a=b c\r\nabc", 400, NULL},
    {"chunk extension with a digit behind a blank", CHUNKED "3 3\r\nabc", 400, NULL},
    {"chunk extension of blanks", CHUNKED "3; ;a\r\nabc", 400, NULL},
    {"chunk extension with an open quote", CHUNKED "3;a=\"b\r\nabc", 400, NULL},
    {"chunk size too long", CHUNKED "000000003\r\nabc", 400, NULL},
    {"chunk size overflow", CHUNKED "FFFFFFFFFFFFFFFFF\r\nabc", 400, NULL},
    {"chunk size then LF", CHUNKED "3\nabc", 400, NULL},
    {"chunk longer than its size", CHUNKED "3\r\nabcd\r\n", 400, NULL},
    {"chunk ended by LF", CHUNKED "3\r\nabc\n0\r\n\r\n", 400, NULL},
    {"chunk ended by CR CR", CHUNKED "3\r\nabc\r\r0\r\n\r\n", 400, NULL},
    {"extension with lone CR", CHUNKED "3;a\rb\r\nabc", 400, NULL},
    {"extension with LF", CHUNKED "3;a\nabc", 400, NULL},
    {"extension without a name", CHUNKED "3;\r\nabc", 400, NULL},
    {"extension without a value", CHUNKED "3;a=\r\nabc", 400, NULL},
    {"extension, junk after quotes", CHUNKED "3;a=\"b\"c\r\nabc", 400, NULL},
    {"extension, CR in quotes", CHUNKED "3;a=\"\r\n\"\r\nabc", 400, NULL},
    {"trailer folded", CHUNKED "0\r\nX: y\r\n z\r\n\r\n", 400, NULL},
    {"trailer with LF", CHUNKED "0\r\nX: y\n\r\n", 400, NULL},
    {"trailer without colon", CHUNKED "0\r\nX\r\n\r\n", 400, NULL},
    {"end with LF", CHUNKED "0\r\n\n", 400, NULL},

    /* limits */
    {"body at the limit", CHUNKED "64\r\n" LONG50 LONG50 "\r\n0\r\n\r\n", WHOLE, ""},
    {"length over the limit", "POST / HTTP/1.1\r\n" HOST "Content-Length: 101\r\n\r\n", 413, NULL},
    {"chunk over the limit", CHUNKED "65\r\n", 413, NULL},
    {"chunk data without its end", CHUNKED "60\r\n" LONG50 LONG50, 400, NULL},
    {"sum of chunks over the limit", CHUNKED "32\r\n" LONG50 "\r\n33\r\n", 413, NULL},
    {"target too long", "GET /" LONG50 LONG50 LONG50 LONG50 LONG50 LONG50, 414, NULL},
    {"head too long", GET "X: " LONG50 LONG50 LONG50 LONG50 LONG50 LONG50, 431, NULL},
    {"five headers", GET "A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n\r\n", WHOLE, ""},
    {"six headers", GET "A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\n\r\n", 431, NULL},
    {"extensions without end", CHUNKED "1;" LONG50 LONG50 LONG50 LONG50 LONG50 LONG50, 431, NULL},
    {"trailers without end", CHUNKED "0\r\nX: " LONG50 LONG50 LONG50 LONG50 LONG50, 431, NULL},
};
/* clang-format on */

static void check(const filter_case *c, ex_slice in, size_t split)
{
    outcome o = run(in, split);
    size_t want_used = c->rest ? in.len - strlen(c->rest) : o.used;
    if (o.status != c->status || o.used != want_used)
        fail_msg("\"%s\" split at %zu: %d after %zu bytes, not %d after %zu", c->name, split,
                 o.status, o.used, c->status, want_used);
}

static void test_http1_filter_judges_every_shape_however_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_slice in = ex_str(cases[i].in);
        for (size_t split = 0; split <= in.len; split++)
            check(&cases[i], in, split);
    }
}

static void test_http1_filter_refuses_nul(void **state)
{
    (void)state;
    static const char in_line[] = "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n";
    static const char in_value[] = "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n";
    static const char in_name[] = "GET / HTTP/1.1\r\nHost: a\r\nX\0: y\r\n\r\n";
    const ex_slice texts[] = {EX_S(in_line), EX_S(in_value), EX_S(in_name)};
    for (size_t i = 0; i < 3; i++)
        for (size_t split = 0; split <= texts[i].len; split++)
            assert_int_equal(run(texts[i], split).status, 400);
}

static void test_http1_head_parse_takes_the_head_apart(void **state)
{
    (void)state;
    char text[] =
        "\r\nPOST /a?b HTTP/1.1\r\nHost: x\r\nX-One: \t two \r\n"
        "Connection: foo , Keep-Alive\r\nContent-Length: 007\r\nExpect: 100-Continue\r\n\r\n";
    ex_arena arena;
    ex_arena_init(&arena, 0);
    http1_head h;
    assert_int_equal(http1_head_parse(text, sizeof(text) - 1, &limits, &arena, &h, NULL), EX_OK);
    assert_true(ex_slice_is(h.method, "POST"));
    assert_true(ex_slice_is(h.target, "/a?b"));
    assert_int_equal(h.field_count, 5);
    assert_true(ex_slice_is(h.fields[1].name, "x-one"));
    assert_true(ex_slice_is(h.fields[1].value, "two"));
    assert_int_equal(h.content_length, 7);
    assert_true(h.has_length && h.keep_alive && h.expects_continue && !h.is_chunked);
    ex_arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http1_filter_judges_every_shape_however_split),
        cmocka_unit_test(test_http1_filter_refuses_nul),
        cmocka_unit_test(test_http1_head_parse_takes_the_head_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
