/* fuzz_http1.c: the HTTP/1 connection, fed at once and in pieces.
 *
 * The first byte chooses how the rest is split. Checked: both runs call the
 * same handlers with the same requests; no handler is called more often than
 * the strict filter, alone, accepts messages; nothing is left at the end. */
#include "fuzz/fuzz.h"

#include "support/http_mock.h"

static const http_options options = {
    .header_limit_bytes = 512,
    .header_count_limit = 8,
    .body_limit_bytes = 256,
    .output_limit_bytes = 16384,
};

/* How many whole messages the filter finds before it refuses one. */
static uint64_t count_messages(ex_slice in, const http1_limits *limits)
{
    static char head[1024];
    uint64_t count = 0;
    ex_arena arena;
    ex_arena_init(&arena, 0);
    while (in.len) {
        http1_filter f;
        http1_head parsed;
        size_t used = 0;
        http1_filter_init(&f);
        ex_arena_reset(&arena);
        if (http1_filter_head(&f, limits, in, &used, NULL) != FILTER_HEAD_END)
            break;
        FUZZ_CHECK(used <= in.len && used <= sizeof(head));
        memcpy(head, in.ptr, used);
        in.ptr += used;
        in.len -= used;
        if (http1_head_parse(head, used, limits, &arena, &parsed, NULL))
            break;
        if (http1_filter_begin_body(&f, &parsed)) {
            if (http1_filter_body(&f, limits, in, &used, NULL) != FILTER_MESSAGE_END)
                break;
            in.ptr += used;
            in.len -= used;
        }
        count++;
    }
    ex_arena_done(&arena);
    return count;
}

static void finish(http_mock *m)
{
    http_mock_answer(m);
    http_mock_eof(m);
    http_mock_pass(m, 3600000);
    FUZZ_CHECK(m->sent.len == 0 || memcmp(m->sent.ptr, "HTTP/1.1 ", 9) == 0 ||
               m->conn.protocol != &http1_protocol);
    http_mock_close(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static http_mock whole, pieces;
    if (size < 1)
        return 0;
    unsigned seed = data[0];
    ex_slice in = ex_slice_of(data + 1, size - 1);

    http_mock_open(&whole, &options);
    http_mock_input(&whole, in);
    uint64_t messages = count_messages(in, &whole.core.limits);
    finish(&whole);
    FUZZ_CHECK(whole.calls <= messages);

    http_mock_open(&pieces, &options);
    pieces.take_bytes = 512 + seed * 7;
    for (size_t at = 0; at < in.len;) {
        size_t n = seed < 16 ? 1 + seed : 1 + (at * 31 + seed) % seed;
        n = n < in.len - at ? n : in.len - at;
        http_mock_input(&pieces, ex_slice_of(in.ptr + at, n));
        at += n;
    }
    finish(&pieces);
    FUZZ_CHECK(whole.calls == pieces.calls && whole.calls_hash == pieces.calls_hash);
    return 0;
}
