/* fuzz_http2.c: an HTTP/2 connection: frames from the input after a good preface.
 *
 * The first byte chooses how the rest is split and how much the client takes
 * at a time. Checked: nothing is left at the end, each stream has one on_close. */
#include "fuzz/fuzz.h"

#include "support/http_mock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static http_mock m;
    static const http_options options = {
        .header_limit_bytes = 512,
        .header_count_limit = 8,
        .body_limit_bytes = 256,
        .output_limit_bytes = 16384,
        .h2_streams_limit = 8,
    };
    if (size < 1)
        return 0;
    unsigned seed = data[0];
    http_mock_open(&m, &options);
    m.take_bytes = (seed & 15) * 997;
    http_mock_input(&m, EX_S(NGHTTP2_CLIENT_MAGIC));
    for (size_t at = 1; at < size;) {
        size_t n = seed < 128 ? size : 1 + (at * 31 + seed) % 64;
        n = n < size - at ? n : size - at;
        http_mock_input(&m, ex_slice_of(data + at, n));
        at += n;
    }
    if (seed & 16)
        http_mock_pass(&m, 35000);
    if (seed & 32)
        http_core_drain(&m.core);
    http_mock_answer(&m);
    if (seed & 64)
        http_mock_eof(&m);
    http_mock_close(&m);
    return 0;
}
