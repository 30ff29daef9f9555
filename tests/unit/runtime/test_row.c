/* test_row.c: struct to row to struct is identity, and a row that does not fit is an error
 * (R-02-04).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/row.h"

typedef enum colour { RED, GREEN } colour;
/* clang-format off */
EX_ENUM_TYPE(colour, "red", "green");
/* clang-format on */

typedef struct thing {
    ex_slice id;
    bool flag;
    int32_t i32;
    uint32_t u32;
    uint64_t u64;
    double number;
    colour tint;
    ex_opt_text note;
    EX_LIST(ex_slice) labels;
} thing;
EX_TYPE(thing, "Thing", EX_KEY(thing, id), EX_FIELD(thing, flag), EX_FIELD(thing, i32),
        EX_FIELD(thing, u32), EX_FIELD(thing, u64), EX_FIELD(thing, number),
        EX_ENUM(thing, tint, colour), EX_FIELD(thing, note), EX_TEXTS(thing, labels));

enum { ID, FLAG, I32, U32, U64, NUMBER, TINT, NOTE, LABELS, FIELDS };

static ex_arena arena;

static int set_up(void **state)
{
    (void)state;
    ex_arena_init(&arena, 1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ex_arena_done(&arena);
    return 0;
}

static void fill(ex_sql_value values[FIELDS])
{
    static ex_slice labels[] = {EX_S_INIT("a"), EX_S_INIT("it's")};
    thing t = {.id = EX_S("t-1"),
               .flag = true,
               .i32 = INT32_MIN,
               .u32 = UINT32_MAX,
               .u64 = INT64_MAX,
               .number = -0.5,
               .tint = GREEN,
               .labels = {labels, 2, 2}};
    assert_int_equal(row_values(&thing_type, &t, &arena, values, NULL), EX_OK);
}

static void test_row_comes_back(void **state)
{
    (void)state;
    ex_sql_value values[FIELDS];
    thing t;
    fill(values);
    assert_int_equal(row_read(&thing_type, values, &arena, &t, NULL), EX_OK);
    assert_true(ex_slice_is(t.id, "t-1"));
    assert_true(t.flag);
    assert_true(t.i32 == INT32_MIN && t.u32 == UINT32_MAX && t.u64 == INT64_MAX);
    assert_true(t.number < -0.49 && t.number > -0.51);
    assert_int_equal(t.tint, GREEN);
    assert_false(t.note.is_set);
    assert_int_equal(t.labels.count, 2);
    assert_true(ex_slice_is(t.labels.items[1], "it's"));
}

#define TEXT(text)                                                                                 \
    {                                                                                              \
        .type = EX_SQL_TEXT, .as.bytes = EX_S_INIT(text)                                           \
    }
#define INTEGER(int)                                                                               \
    {                                                                                              \
        .type = EX_SQL_I64, .as.i64 = (int)                                                        \
    }

static void test_row_that_does_not_fit_is_corrupt(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int field;
        ex_sql_value value;
    } cases[] = {
        {"a null where none may be", ID, {.type = EX_SQL_TEXT, .is_null = true}},
        {"a number for a text", ID, INTEGER(1)},
        {"a text for a number", I32, TEXT("1")},
        {"a text for a flag", FLAG, TEXT("true")},
        {"above int32", I32, INTEGER(INT64_C(1) << 31)},
        {"below int32", I32, INTEGER(-(INT64_C(1) << 31) - 1)},
        {"above uint32", U32, INTEGER(INT64_C(1) << 32)},
        {"a negative uint32", U32, INTEGER(-1)},
        {"a negative uint64", U64, INTEGER(-1)},
        {"a text for a double", NUMBER, TEXT("0.5")},
        {"an unknown word", TINT, TEXT("blue")},
        {"no JSON", LABELS, TEXT("[\"a\"")},
        {"other JSON", LABELS, TEXT("{\"a\":1}")},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_sql_value values[FIELDS];
        ex_error err = {0};
        thing t;
        fill(values);
        values[cases[i].field] = cases[i].value;
        ex_status st = row_read(&thing_type, values, &arena, &t, &err);
        if (st != EX_ECORRUPT || ex_status_is_retryable(st))
            fail_msg("%s: %s", cases[i].name, ex_status_code(st));
        assert_non_null(strstr(err.message, "Thing."));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_row_comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_row_that_does_not_fit_is_corrupt, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
