/* test_base64.c: base64 and base64url of RFC 4648, both ways and strict. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernel/base64.h"

static void test_base64_known_texts_both_ways(void **ctx)
{
    (void)ctx;
    static const struct {
        const char *bytes;
        size_t len;
        const char *text, *for_urls;
    } cases[] = {
        {"", 0, "", ""},
        {"f", 1, "Zg==", "Zg"},
        {"fo", 2, "Zm8=", "Zm8"},
        {"foo", 3, "Zm9v", "Zm9v"},
        {"foob", 4, "Zm9vYg==", "Zm9vYg"},
        {"fooba", 5, "Zm9vYmE=", "Zm9vYmE"},
        {"foobar", 6, "Zm9vYmFy", "Zm9vYmFy"},
        {"\xfb\xff\xfe", 3, "+//+", "-__-"},
        {"\0\0", 2, "AAA=", "AAA"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[16], bytes[16];
        size_t len = 99;
        ex_slice given = ex_slice_of(cases[i].bytes, cases[i].len);
        assert_int_equal(ex_base64_encode(given, text), strlen(cases[i].text));
        assert_string_equal(text, cases[i].text);
        assert_int_equal(ex_base64_size(given.len), strlen(text) + 1);
        assert_true(ex_base64_decode(ex_str(text), bytes, &len));
        assert_true(ex_slice_eq(ex_slice_of(bytes, len), given));
        assert_true(len <= ex_base64_bytes(strlen(text)));
        assert_int_equal(ex_base64url_encode(given, text), strlen(cases[i].for_urls));
        assert_string_equal(text, cases[i].for_urls);
        assert_true(ex_base64url_decode(ex_str(text), bytes, &len));
        assert_true(ex_slice_eq(ex_slice_of(bytes, len), given));
        assert_true(len <= ex_base64_bytes(strlen(text)));
    }
}

static void test_base64_refuses_what_no_encoder_writes(void **ctx)
{
    (void)ctx;
    static const char *const texts[] = {
        "A", "AAAAA", "Zg==", "Zm+v", "Zm/v", "Zm9v\n", "Zh" /* bits left over */, "Zm9"};
    static const char *const padded[] = {
        "Zg",   "Zm8",      "A",    "A===", "====",   "=",
        "Z=g=", "Zg==Zm9v", "Zm-v", "Zm_v", "Zm9v\n", "Zh==" /* bits left over */,
        "Zm9="};
    char bytes[16];
    size_t len;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (ex_base64url_decode(ex_str(texts[i]), bytes, &len))
            fail_msg("'%s' was accepted", texts[i]);
    for (size_t i = 0; i < sizeof(padded) / sizeof(padded[0]); i++)
        if (ex_base64_decode(ex_str(padded[i]), bytes, &len))
            fail_msg("'%s' was accepted", padded[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64_known_texts_both_ways),
        cmocka_unit_test(test_base64_refuses_what_no_encoder_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
