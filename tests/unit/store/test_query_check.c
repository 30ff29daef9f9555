/* test_query_check.c: what a name may hold, wherever in it. */
#include "store/query_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct {
    const char *name;
    const char *bytes;
    ex_status want;
} cases[] = {
    {"blank", " ", EX_OK},
    {"last printable", "~", EX_OK},
    {"two bytes", "\xc3\xa9", EX_OK},
    {"first beyond C1", "\xc2\xa0", EX_OK},
    {"four bytes", "\xf0\x9f\x98\x80", EX_OK},
    {"first control", "\x01", EX_EINVAL},
    {"last control", "\x1f", EX_EINVAL},
    {"line feed", "\n", EX_EINVAL},
    {"DEL", "\x7f", EX_EINVAL},
    {"C1", "\xc2\x9f", EX_EINVAL},
    {"no UTF-8", "\xff", EX_EINVAL},
    {"cut", "\xc3", EX_EINVAL},
};

/* Names are looked at in words and bytes: every byte of both must count. */
static void test_name_check_looks_at_every_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t len = strlen(cases[i].bytes);
        for (size_t before = 0; before <= 17; before++) {
            for (size_t after = 0; after <= 17; after++) {
                char text[64];
                memset(text, 'a', sizeof(text));
                memcpy(text + before, cases[i].bytes, len);
                if (store_name_check(ex_slice_of(text, before + len + after), "stream", NULL) !=
                    cases[i].want)
                    fail_msg("%s behind %zu and before %zu bytes", cases[i].name, before, after);
            }
        }
    }
}

static void test_name_check_bounds_the_length(void **state)
{
    (void)state;
    char text[256];
    memset(text, 'a', sizeof(text));
    assert_int_equal(store_name_check(EX_S(""), "stream", NULL), EX_EINVAL);
    assert_int_equal(store_name_check(ex_slice_of(text, 255), "stream", NULL), EX_OK);
    assert_int_equal(store_name_check(ex_slice_of(text, 256), "stream", NULL), EX_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_name_check_looks_at_every_byte),
        cmocka_unit_test(test_name_check_bounds_the_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
