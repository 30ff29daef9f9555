/* test_base64.c: base64url of RFC 4648, both ways and strict. */
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
        const char *text;
    } cases[] = {
        {"", 0, ""},
        {"f", 1, "Zg"},
        {"fo", 2, "Zm8"},
        {"foo", 3, "Zm9v"},
        {"foob", 4, "Zm9vYg"},
        {"fooba", 5, "Zm9vYmE"},
        {"foobar", 6, "Zm9vYmFy"},
        {"\xfb\xff\xfe", 3, "-__-"},
        {"\0\0", 2, "AAA"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[16], bytes[16];
        size_t len = 99;
        ex_slice given = ex_slice_of(cases[i].bytes, cases[i].len);
        assert_true(ex_base64url_size(given.len) <= sizeof(text));
        assert_int_equal(ex_base64url_encode(given, text), strlen(cases[i].text));
        assert_string_equal(text, cases[i].text);
        assert_true(ex_base64url_decode(ex_str(text), bytes, &len));
        assert_true(ex_slice_eq(ex_slice_of(bytes, len), given));
    }
}

static void test_base64_refuses_what_no_encoder_writes(void **ctx)
{
    (void)ctx;
    static const char *const texts[] = {
        "A", "AAAAA", "Zg==", "Zm+v", "Zm/v", "Zm9v\n", "Zh" /* bits left over */, "Zm9"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char bytes[16];
        size_t len;
        if (ex_base64url_decode(ex_str(texts[i]), bytes, &len))
            fail_msg("'%s' was accepted", texts[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64_known_texts_both_ways),
        cmocka_unit_test(test_base64_refuses_what_no_encoder_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
