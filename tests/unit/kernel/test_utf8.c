/* UTF-8: what is valid. */
#include <excore/json.h>

#include "support/own_copy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_utf8_is_valid(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_valid;
    } cases[] = {
        {"", true},
        {"0123456789abcdef\xC3\xA9", true},
        {"\xC2\x80\xDF\xBF\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xF0\x90\x80\x80\xF4\x8F\xBF\xBF",
         true},
        {"\xC1\xBF", false},
        {"\xE0\x80\xAF", false},
        {"\xED\xBF\xBF", false},
        {"\xF5\x80\x80\x80", false},
        {"0123456789abcde\xC3", false},
        {"\xE2\x82 ", false},
        {"\xBF", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_slice text = own_copy(cases[i].text, strlen(cases[i].text));
        assert_int_equal(ex_utf8_is_valid(text), cases[i].is_valid);
        own_copy_free(text);
    }
    assert_true(ex_utf8_is_valid((ex_slice){NULL, 0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8_is_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
