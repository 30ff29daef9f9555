/* test_suggest.c: which name is near enough to a word to have been meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernel/suggest.h"

static const char *suggest(ex_slice word, const char *const *names)
{
    ex_suggest s;
    ex_suggest_begin(&s, word);
    for (; *names; names++)
        ex_suggest_try(&s, *names);
    return ex_suggest_end(&s);
}

static void test_suggest_only_what_is_near(void **state)
{
    (void)state;
    static const char *const names[] = {"serve", "append", "read", "tail", "version", NULL};
    static const struct {
        const char *word, *want;
    } cases[] = {
        {"sevre", "serve"},  {"appned", "append"}, {"tai", "tail"}, {"raed", "read"},
        {"vers", "version"}, {"", NULL},           {"x", NULL},     {"zzzz", NULL},
        {"delete", NULL},    {"ap", "append"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *got = suggest(ex_str(cases[i].word), names);
        if ((got == NULL) != (cases[i].want == NULL) || (got && strcmp(got, cases[i].want) != 0))
            fail_msg("'%s' gives %s", cases[i].word, got ? got : "nothing");
    }
}

/* Words and names come from outside: of any length, and not terminated. */
static void test_suggest_of_long_words(void **state)
{
    (void)state;
    char longest[64], longer[65], word[70];
    memset(longest, 'a', 63);
    memset(longer, 'a', 64);
    longest[63] = longer[64] = '\0';
    memset(word, 'a', sizeof(word));
    word[10] = 'b';
    const char *const one[] = {longest, NULL}, *const too_long[] = {longer, NULL};
    assert_ptr_equal(suggest(ex_slice_of(word, 63), one), longest);
    assert_null(suggest(ex_slice_of(word, 64), one));
    assert_null(suggest(ex_slice_of(word, 63), too_long));
    assert_null(suggest(ex_slice_of(word, sizeof(word)), one));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_suggest_only_what_is_near),
        cmocka_unit_test(test_suggest_of_long_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
