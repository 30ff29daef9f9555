/* test_args.c: options, operands, misuse messages, suggestions: what one table per verb gives. */
#include "cli/args.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const arg_option options[] = {
    {'d', "data", ARG_TEXT, "DIR", "a text", NULL},
    {'t', "tag", ARG_LIST, "TAG", "a list", NULL},
    {'n', "limit", ARG_NUMBER, "N", "a number", NULL},
    {0, "durability", ARG_CHOICE, "full|normal", "a choice", "full|normal"},
    {'j', "json", ARG_FLAG, NULL, "a flag", NULL},
    {'b', "backward", ARG_FLAG, NULL, "another flag", NULL},
    {0},
};

static const cli_verb verb = {.name = "test", .operands = "STREAM [TYPE]", .options = options};

#define MAX_ARGS 8

static ex_status parse(const char *const *words, args *ret, ex_error *err)
{
    char *argv[MAX_ARGS];
    int argc = 0;
    for (; words[argc]; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc];
    return args_parse(&verb, argc, argv, ret, err);
}

static void test_args_parse_forms(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *words[MAX_ARGS];
        const char *data; /* the value of --data */
        bool json;
        const char *operand; /* the first one */
    } cases[] = {
        {"value apart", {"--data", "x", "s"}, "x", false, "s"},
        {"value glued", {"--data=x", "s"}, "x", false, "s"},
        {"empty value", {"--data=", "s"}, "", false, "s"},
        {"value with an equals sign", {"--data=a=b", "s"}, "a=b", false, "s"},
        {"short, apart", {"-d", "x", "s"}, "x", false, "s"},
        {"short, glued", {"-dx", "s"}, "x", false, "s"},
        {"flags in one", {"-jb", "s"}, NULL, true, "s"},
        {"flags and a value in one", {"-jdx", "s"}, "x", true, "s"},
        {"behind the operand", {"s", "--json"}, NULL, true, "s"},
        {"last one wins", {"--data", "x", "--data", "y", "s"}, "y", false, "s"},
        {"dashes end options", {"--", "--json"}, NULL, false, "--json"},
        {"a value may begin with a dash", {"--data", "--json", "s"}, "--json", false, "s"},
        {"a dash alone is an operand", {"-"}, NULL, false, "-"},
        {"a negative number is an operand", {"-5"}, NULL, false, "-5"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        args a = {0};
        ex_error err = {0};
        if (parse(cases[i].words, &a, &err))
            fail_msg("%s: %s", cases[i].name, err.message);
        const char *data = args_text(&a, "data", NULL);
        if ((data == NULL) != (cases[i].data == NULL) ||
            (data && strcmp(data, cases[i].data) != 0) || args_has(&a, "json") != cases[i].json ||
            strcmp(args_operand(&a, 0), cases[i].operand) != 0)
            fail_msg("%s: data %s, operand %s", cases[i].name, data ? data : "none",
                     args_operand(&a, 0));
        args_done(&a);
    }
}

static void test_args_misuse_names_the_argument(void **state)
{
    (void)state;
    static const struct {
        const char *words[MAX_ARGS];
        const char *message;
    } cases[] = {
        {{"--dta", "x"}, "unknown option '--dta'; did you mean '--data'?"},
        {{"--back", "s"}, "unknown option '--back'; did you mean '--backward'?"},
        {{"--hlep"}, "unknown option '--hlep'; did you mean '--help'?"},
        {{"--zzzzzz=1"}, "unknown option '--zzzzzz'"},
        {{"-x"}, "unknown option '-x'"},
        {{"s", "--data"}, "option '--data' wants a value: DIR"},
        {{"s", "-jd"}, "option '--data' wants a value: DIR"},
        {{"s", "--json=1"}, "option '--json' takes no value"},
        {{"s", "--limit", "12a"}, "option '--limit' wants a number, not '12a'"},
        {{"s", "--limit", "-1"}, "option '--limit' wants a number, not '-1'"},
        {{"s", "--limit", "18446744073709551616"},
         "option '--limit' wants a number, not '18446744073709551616'"},
        {{"s", "--durability", "ful"}, "option '--durability' wants one of full|normal, not 'ful'"},
        {{"s", "--durability", ""}, "option '--durability' wants one of full|normal, not ''"},
        {{"s", "--tag", ""}, "option '--tag' wants a value: TAG"},
        {{"s", "--tag=a", "--tag=,"}, "option '--tag' wants a value: TAG"},
        {{"--json"}, "STREAM is missing"},
        {{"a", "b", "c"}, "unexpected argument 'c'"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        args a = {0};
        ex_error err = {0};
        assert_int_equal(parse(cases[i].words, &a, &err), EX_EINVAL);
        assert_string_equal(err.message, cases[i].message);
    }
}

static void test_args_list_keeps_order(void **state)
{
    (void)state;
    static const char *const words[] = {"-t", "a", "s", "--tag=b", "--limit", "7", "-tc", NULL};
    args a = {0};
    assert_int_equal(parse(words, &a, NULL), EX_OK);
    size_t at = 0;
    assert_string_equal(args_next(&a, "tag", &at), "a");
    assert_string_equal(args_next(&a, "tag", &at), "b");
    assert_string_equal(args_next(&a, "tag", &at), "c");
    assert_null(args_next(&a, "tag", &at));
    assert_int_equal(args_number(&a, "limit", 0), 7);
    assert_null(args_operand(&a, 1));
    args_done(&a);
}

static void test_args_number_takes_the_whole_range(void **state)
{
    (void)state;
    static const char *const words[] = {"s", "--limit", "18446744073709551615", NULL};
    args a = {0};
    assert_int_equal(parse(words, &a, NULL), EX_OK);
    assert_true(args_number(&a, "limit", 0) == UINT64_MAX);
    args_done(&a);
}

static void test_args_help_needs_no_operands(void **state)
{
    (void)state;
    static const char *const help[] = {"--help", NULL}, *const version[] = {"--version", NULL};
    args a = {0};
    assert_int_equal(parse(help, &a, NULL), EX_OK);
    assert_true(a.wants_help);
    args_done(&a);
    assert_int_equal(parse(version, &a, NULL), EX_OK);
    assert_true(a.wants_version);
    args_done(&a);
}

static void test_args_items_of_a_list(void **state)
{
    (void)state;
    ex_slice list = EX_S(",a,,bc,"), item;
    assert_true(args_next_item(&list, &item));
    assert_true(ex_slice_is(item, "a"));
    assert_true(args_next_item(&list, &item));
    assert_true(ex_slice_is(item, "bc"));
    assert_false(args_next_item(&list, &item));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_args_parse_forms),
        cmocka_unit_test(test_args_misuse_names_the_argument),
        cmocka_unit_test(test_args_list_keeps_order),
        cmocka_unit_test(test_args_number_takes_the_whole_range),
        cmocka_unit_test(test_args_help_needs_no_operands),
        cmocka_unit_test(test_args_items_of_a_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
