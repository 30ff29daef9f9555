/* Errors: raising, context, and cutting at a whole UTF-8 character. */
#include <excore/error.h>
#include <excore/json.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void test_error_raise_fills_all_fields(void **state)
{
    (void)state;
    ex_error err;
    memset(&err, 0xAA, sizeof(err)); /* what lay on the stack before must not shine through */
    int line = __LINE__ + 1;
    assert_int_equal(ex_raise(&err, EX_ENOTFOUND, "stream \"%s\"", "order-1"), EX_ENOTFOUND);
    assert_int_equal(err.status, EX_ENOTFOUND);
    assert_int_equal(err.line, line);
    assert_string_equal(err.file, __FILE__);
    assert_string_equal(err.code, "NOT_FOUND");
    assert_string_equal(err.message, "stream \"order-1\"");
    assert_string_equal(err.field, "");
    assert_int_equal(err.http_status, 0);
    assert_true(err.expected == 0 && err.current == 0 && err.position == 0);
}

static void test_error_null_is_accepted_everywhere(void **state)
{
    (void)state;
    assert_int_equal(ex_raise(NULL, EX_EINVAL, "x %d", 1), EX_EINVAL);
    assert_int_equal(ex_error_context(NULL, EX_EINVAL, "y"), EX_EINVAL);
    ex_error_set_code(NULL, "X");
    ex_error_set_field(NULL, EX_S("x"));
}

static void test_error_context_goes_before_the_message(void **state)
{
    (void)state;
    ex_error err;
    (void)ex_raise(&err, EX_EFILESYSTEM, "no space left");
    int line = err.line;
    assert_int_equal(ex_error_context(&err, EX_EINTERNAL, "writing \"%s\"", "a.db"),
                     EX_EFILESYSTEM);
    assert_int_equal(ex_error_context(&err, EX_EINTERNAL, "opening \"x\""), EX_EFILESYSTEM);
    assert_string_equal(err.message, "opening \"x\": writing \"a.db\": no space left");
    assert_string_equal(err.code, "FILE_SYSTEM_ERROR");
    assert_int_equal(err.line, line); /* where it was raised, not where context was added */
}

static void test_error_code_and_field_are_copied_and_cut(void **state)
{
    (void)state;
    ex_error err;
    char code[] = "ORDER_NOT_PLACED";
    char long_field[300];
    (void)ex_raise(&err, EX_EREJECTED, "no");
    ex_error_set_code(&err, code);
    code[0] = 'X';
    assert_string_equal(err.code, "ORDER_NOT_PLACED");
    memset(long_field, 'f', sizeof(long_field));
    ex_error_set_field(&err, ex_slice_of(long_field, sizeof(long_field)));
    assert_int_equal(strlen(err.field), EX_ERROR_FIELD_SIZE - 1);
    ex_error_set_field(&err, (ex_slice){NULL, 0});
    assert_string_equal(err.field, "");
}

static const char *const characters[] = {"x", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};

/* For characters of 1 to 4 bytes and every shift: still UTF-8, and cut by less than one character.
 */
static void test_error_message_is_cut_at_a_whole_character(void **state)
{
    (void)state;
    for (size_t width = 1; width <= 4; width++) {
        for (size_t shift = 0; shift < 4; shift++) {
            char text[1024] = "";
            memset(text, '-', shift);
            for (size_t at = shift; at + width < sizeof(text); at += width)
                memcpy(text + at, characters[width - 1], width + 1);
            ex_error err;
            (void)ex_raise(&err, EX_EINVAL, "%s", text);
            size_t len = strlen(err.message);
            assert_true(ex_utf8_is_valid(ex_str(err.message)));
            assert_in_range(len, EX_ERROR_MESSAGE_SIZE - width, EX_ERROR_MESSAGE_SIZE - 1);
            (void)ex_error_context(&err, EX_EINVAL, "context");
            assert_true(ex_utf8_is_valid(ex_str(err.message)));
            assert_true(ex_slice_starts(ex_str(err.message), EX_S("context: ")));
            ex_error_set_field(&err, ex_str(text));
            assert_true(ex_utf8_is_valid(ex_str(err.field)));
            assert_in_range(strlen(err.field), EX_ERROR_FIELD_SIZE - width,
                            EX_ERROR_FIELD_SIZE - 1);
        }
    }
}

static void test_error_context_longer_than_the_message_is_cut(void **state)
{
    (void)state;
    char text[1024];
    ex_error err;
    memset(text, 'c', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    (void)ex_raise(&err, EX_EINVAL, "cause");
    (void)ex_error_context(&err, EX_EINVAL, "%s", text);
    assert_int_equal(strlen(err.message), EX_ERROR_MESSAGE_SIZE - 1);
    for (size_t room = 1; room < 12; room++) { /* the separator and cause fit less and less */
        char edge[EX_ERROR_MESSAGE_SIZE];
        memset(edge, 'c', sizeof(edge));
        edge[sizeof(edge) - room] = '\0';
        (void)ex_raise(&err, EX_EINVAL, "cause");
        (void)ex_error_context(&err, EX_EINVAL, "%s", edge);
        assert_true(strlen(err.message) < EX_ERROR_MESSAGE_SIZE);
        assert_true(ex_slice_starts(ex_str(err.message), ex_str(edge)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_raise_fills_all_fields),
        cmocka_unit_test(test_error_null_is_accepted_everywhere),
        cmocka_unit_test(test_error_context_goes_before_the_message),
        cmocka_unit_test(test_error_code_and_field_are_copied_and_cut),
        cmocka_unit_test(test_error_message_is_cut_at_a_whole_character),
        cmocka_unit_test(test_error_context_longer_than_the_message_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
