/* test_type.c: reading, bounds, writing, copying and JSON Schema of described types. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <jansson.h>

#include <excore/type.h>

typedef enum colour { RED, GREEN } colour;
/* clang-format off */
EX_ENUM_TYPE(colour, "red", "green");
/* clang-format on */

typedef struct part {
    ex_slice name;
    int64_t weight;
} part;
/* clang-format off */
EX_TYPE(part, "Part", EX_FIELD(part, name, .min_len = 1, .max_len = 5), EX_FIELD(part, weight, .min = 1));
/* clang-format on */

typedef struct thing {
    ex_slice thing_id;
    bool flag;
    int32_t i32;
    uint32_t u32;
    int64_t i64;
    uint64_t u64;
    double number;
    ex_time at;
    colour tint;
    ex_raw_json any;
    ex_opt_bool maybe_flag;
    ex_opt_i64 maybe_int;
    ex_opt_double maybe_number;
    ex_opt_text maybe_text;
    part inner;
    part *maybe_inner;
    EX_LIST(part) parts;
    EX_LIST(ex_slice) labels;
} thing;
/* clang-format off */
EX_TYPE_V(thing, "Thing", 3,
    EX_KEY(thing, thing_id),
    EX_FIELD(thing, flag), EX_FIELD(thing, i32), EX_FIELD(thing, u32), EX_FIELD(thing, i64),
    EX_FIELD(thing, u64), EX_FIELD(thing, number, .min = -1, .max = 1), EX_FIELD(thing, at),
    EX_ENUM(thing, tint, colour), EX_FIELD(thing, any),
    EX_FIELD(thing, maybe_flag), EX_FIELD(thing, maybe_int, .min = 0, .max = 9),
    EX_FIELD(thing, maybe_number), EX_FIELD(thing, maybe_text, .format = "email"),
    EX_STRUCT(thing, inner, part), EX_OPT_STRUCT(thing, maybe_inner, part),
    EX_LIST_OF(thing, parts, part, .min_items = 1, .max_items = 2),
    EX_TEXTS(thing, labels, .max_len = 3));
/* clang-format on */

#define REST                                                                                       \
    "\"flag\":true,\"i32\":-2147483648,\"u32\":4294967295,\"i64\":-9223372036854775808,"           \
    "\"u64\":18446744073709551615,\"number\":0.5,\"at\":\"2026-11-21T09:30:00.123456Z\","          \
    "\"tint\":\"green\",\"any\":{\"a\": [1, 2]},"
#define INNER "\"inner\":{\"name\":\"x\",\"weight\":2},"
#define PARTS "\"parts\":[{\"name\":\"y\",\"weight\":3}],\"labels\":[\"a\",\"bcd\"]"
#define FULL                                                                                       \
    "{\"thing_id\":\"t-1\"," REST "\"maybe_flag\":false,\"maybe_int\":0,\"maybe_number\":1.5,"     \
    "\"maybe_text\":\"a@b.de\"," INNER "\"maybe_inner\":{\"name\":\"z\",\"weight\":4}," PARTS "}"
#define LEAST "{\"thing_id\":\"t-1\"," REST INNER PARTS "}"

static ex_status read_thing(const char *json, const ex_read_options *options, ex_arena *arena,
                            thing *ret, ex_error *err)
{
    return ex_type_read(&thing_type, ex_str(json), arena, options, ret, err);
}

static void test_type_reads_and_writes_every_kind(void **ctx)
{
    (void)ctx;
    static const char *const texts[] = {FULL, LEAST};
    for (size_t i = 0; i < 2; i++) {
        ex_arena arena;
        ex_buf out;
        thing t;
        ex_error err;
        ex_arena_init(&arena, 0);
        ex_buf_init(&out, 0);
        if (read_thing(texts[i], NULL, &arena, &t, &err))
            fail_msg("%s", err.message);
        ex_type_write(&thing_type, &t, &out);
        assert_int_equal(out.len, strlen(texts[i]));
        assert_memory_equal(out.ptr, texts[i], out.len);
        ex_buf_done(&out);
        ex_arena_done(&arena);
    }
}

static void test_type_copy_owns_everything(void **ctx)
{
    (void)ctx;
    ex_arena from, to;
    ex_buf out;
    thing t, copy;
    ex_arena_init(&from, 0);
    ex_arena_init(&to, 0);
    ex_buf_init(&out, 0);
    char *text = strdup(FULL);
    assert_int_equal(read_thing(text, NULL, &from, &t, NULL), EX_OK);
    assert_int_equal(ex_type_copy(&thing_type, &t, &to, &copy, NULL), EX_OK);
    memset(text, 'x', strlen(text));
    free(text);
    ex_arena_done(&from); /* a pointer left behind would now be found by the sanitizer */
    ex_type_write(&thing_type, &copy, &out);
    assert_int_equal(out.len, strlen(FULL));
    assert_memory_equal(out.ptr, FULL, out.len);
    ex_buf_done(&out);
    ex_arena_done(&to);
}

/* One change to LEAST or FULL, the field that is named, a word of the message. */
static void test_type_refuses_with_the_field(void **ctx)
{
    (void)ctx;
    static const struct {
        const char *name, *json, *field, *word;
    } cases[] = {
        {"no object", "[1]", "", "object"},
        {"missing", "{\"thing_id\":\"t\"}", "flag", "missing"},
        {"missing key", "{" REST INNER PARTS "}", "thing_id", "missing"},
        {"unknown member", "{\"thing_id\":\"t\"," REST INNER PARTS ",\"more\":1}", "more",
         "no field"},
        {"null for a required one", "{\"thing_id\":null," REST INNER PARTS "}", "thing_id", "text"},
        {"empty key", "{\"thing_id\":\"\"," REST INNER PARTS "}", "thing_id", "empty"},
        {"nested text too long",
         "{\"thing_id\":\"t\"," REST "\"inner\":{\"name\":\"123456\",\"weight\":1}," PARTS "}",
         "inner.name", "at most 5"},
        {"nested lower bound",
         "{\"thing_id\":\"t\"," REST "\"inner\":{\"name\":\"1\",\"weight\":0}," PARTS "}",
         "inner.weight", "at least 1"},
        {"item of a list",
         "{\"thing_id\":\"t\"," REST INNER "\"parts\":[{\"name\":\"y\",\"weight\":1},{\"name\":"
         "\"y\",\"weight\":\"2\"}],\"labels\":[]}",
         "parts[1].weight", "integer"},
        {"too many items", "{\"thing_id\":\"t\"," REST INNER "\"parts\":[1,2,3],\"labels\":[]}",
         "parts", "at most 2"},
        {"too few items", "{\"thing_id\":\"t\"," REST INNER "\"parts\":[],\"labels\":[]}", "parts",
         "at least 1"},
        {"text of a list",
         "{\"thing_id\":\"t\"," REST INNER
         "\"parts\":[{\"name\":\"y\",\"weight\":1}],\"labels\":[\"ok\",\"long\"]}",
         "labels[1]", "at most 3"},
        {"optional out of bounds", "{\"thing_id\":\"t\"," REST "\"maybe_int\":10," INNER PARTS "}",
         "maybe_int", "at most 9"},
        {"optional format",
         "{\"thing_id\":\"t\"," REST "\"maybe_text\":\"nobody\"," INNER PARTS "}", "maybe_text",
         "email"},
        {"optional struct", "{\"thing_id\":\"t\"," REST INNER "\"maybe_inner\":{}," PARTS "}",
         "maybe_inner.name", "missing"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_arena arena;
        thing t;
        ex_error err = {0};
        ex_arena_init(&arena, 0);
        ex_status st = read_thing(cases[i].json, NULL, &arena, &t, &err);
        if (st != EX_EINVAL || strcmp(err.field, cases[i].field) != 0 ||
            !strstr(err.message, cases[i].word))
            fail_msg("%s: status %d, field '%s', message '%s'", cases[i].name, st, err.field,
                     err.message);
        ex_arena_done(&arena);
    }
}

#define SINGLE(member_type, name)                                                                  \
    typedef struct name##_box {                                                                    \
        member_type v;                                                                             \
    } name##_box;                                                                                  \
    EX_TYPE(name##_box, "Box", EX_FIELD(name##_box, v))
SINGLE(int32_t, i32);
SINGLE(uint32_t, u32);
SINGLE(int64_t, i64);
SINGLE(uint64_t, u64);
SINGLE(double, number);
SINGLE(bool, flag);
SINGLE(ex_time, at);

static void test_type_scalar_ranges(void **ctx)
{
    (void)ctx;
    static const struct {
        const ex_type *type;
        const char *json;
        bool is_good;
    } cases[] = {
        {&i32_box_type, "2147483647", true},
        {&i32_box_type, "2147483648", false},
        {&u32_box_type, "4294967295", true},
        {&u32_box_type, "4294967296", false},
        {&u32_box_type, "-1", false},
        {&i64_box_type, "9223372036854775807", true},
        {&i64_box_type, "9223372036854775808", false},
        {&i64_box_type, "1.0", false},
        {&i64_box_type, "\"1\"", false},
        {&i64_box_type, "1e2", false},
        {&u64_box_type, "18446744073709551615", true},
        {&u64_box_type, "-1", false},
        {&number_box_type, "1", true},
        {&number_box_type, "1e300", true},
        {&number_box_type, "\"1\"", false},
        {&flag_box_type, "false", true},
        {&flag_box_type, "0", false},
        {&flag_box_type, "null", false},
        {&at_box_type, "\"2026-11-21T09:30:00+01:00\"", true},
        {&at_box_type, "\"2026-13-21T09:30:00Z\"", false},
        {&at_box_type, "1", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char json[64];
        char box[16];
        ex_arena arena;
        ex_arena_init(&arena, 0);
        (void)snprintf(json, sizeof(json), "{\"v\":%s}", cases[i].json);
        ex_status st = ex_type_read(cases[i].type, ex_str(json), &arena, NULL, box, NULL);
        if ((st == EX_OK) != cases[i].is_good)
            fail_msg("case %zu: %s gave %d", i, json, st);
        ex_arena_done(&arena);
    }
}

static void test_type_key_comes_from_the_route(void **ctx)
{
    (void)ctx;
    static const struct {
        const char *name, *json;
        ex_status want;
    } cases[] = {
        {"absent", "{" REST INNER PARTS "}", EX_OK},
        {"equal", "{\"thing_id\":\"t-9\"," REST INNER PARTS "}", EX_OK},
        {"another", "{\"thing_id\":\"t-1\"," REST INNER PARTS "}", EX_EINVAL}, /* R-06-02 */
        {"another kind", "{\"thing_id\":9," REST INNER PARTS "}", EX_EINVAL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_arena arena;
        thing t;
        ex_read_options options = {.key = EX_S("t-9")};
        ex_arena_init(&arena, 0);
        assert_int_equal(read_thing(cases[i].json, &options, &arena, &t, NULL), cases[i].want);
        if (cases[i].want == EX_OK)
            assert_true(ex_slice_is(t.thing_id, "t-9"));
        ex_arena_done(&arena);
    }
}

static void test_type_stored_events_may_have_more(void **ctx)
{
    (void)ctx;
    ex_arena arena;
    part p;
    ex_read_options options = {.ignore_unknown = true};
    ex_arena_init(&arena, 0);
    assert_int_equal(ex_type_read(&part_type, EX_S("{\"new\":1,\"weight\":2,\"name\":\"a\"}"),
                                  &arena, &options, &p, NULL),
                     EX_OK);
    assert_int_equal(p.weight, 2);
    ex_arena_done(&arena);
}

static void test_type_schema_is_json_schema(void **ctx)
{
    (void)ctx;
    ex_buf out;
    ex_buf_init(&out, 0);
    ex_type_write_schema(&thing_type, &out);
    json_t *root = json_loadb(out.ptr, out.len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    json_t *properties = json_object_get(root, "properties");
    assert_int_equal(json_object_size(properties), thing_type.field_count);
    assert_string_equal(json_string_value(json_object_get(root, "title")), "Thing");
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(properties, "inner"), "$ref")),
        "#/$defs/Part");
    assert_non_null(json_object_get(json_object_get(root, "$defs"), "Part"));
    assert_int_equal(json_array_size(json_object_get(json_object_get(properties, "tint"), "enum")),
                     2);
    /* 18 fields, 5 optional, and the key that the route gives */
    assert_int_equal(json_array_size(json_object_get(root, "required")), 12);
    assert_true(json_is_false(json_object_get(root, "additionalProperties")));
    json_decref(root);
    ex_buf_done(&out);
}

/* issue 9, items 6 and 8 */
typedef struct two {
    ex_slice text;
    int64_t n;
} two;
typedef struct two crossed, odd_format, text_of_number, number_of_text, list_of_text, forgot_text,
    forgot_number, from_zero;
EX_TYPE(crossed, "T", EX_FIELD(crossed, text), EX_FIELD(crossed, n, .min = 5, .max = 2));
EX_TYPE(odd_format, "T", EX_FIELD(odd_format, text, .format = "mail"), EX_FIELD(odd_format, n));
EX_TYPE(text_of_number, "T", EX_FIELD(text_of_number, text),
        EX_FIELD(text_of_number, n, .format = "date"));
EX_TYPE(number_of_text, "T", EX_FIELD(number_of_text, text, .max = 10),
        EX_FIELD(number_of_text, n));
EX_TYPE(list_of_text, "T", EX_FIELD(list_of_text, text, .max_items = 10),
        EX_FIELD(list_of_text, n));
EX_TYPE(forgot_text, "T", EX_FIELD(forgot_text, n));
EX_TYPE(forgot_number, "T", EX_FIELD(forgot_number, text));

/* Bounds that are given count, 0 included; G-717 */
EX_TYPE(from_zero, "FromZero", EX_FIELD(from_zero, text), EX_FIELD(from_zero, n, .min = 0));

/* Padding is nobody's: a bool behind a number, over-aligned members, lists. */
typedef struct padded {
    bool a;
    int64_t n;
    bool b, c;
    int32_t i;
    EX_LIST(ex_slice) texts;
    _Alignas(64) double x;
    bool d;
} padded;
EX_TYPE(padded, "Padded", EX_FIELD(padded, a), EX_FIELD(padded, n), EX_FIELD(padded, b),
        EX_FIELD(padded, c), EX_FIELD(padded, i), EX_TEXTS(padded, texts), EX_FIELD(padded, x),
        EX_FIELD(padded, d));

static void test_type_bound_of_zero_is_one(void **ctx)
{
    (void)ctx;
    ex_error err;
    from_zero value = {.n = -1};
    assert_int_equal(ex_type_validate(&from_zero_type, &value, &err), EX_EINVAL);
    assert_string_equal(err.message, "n: must be at least 0");
    value.n = INT64_MAX;
    assert_int_equal(ex_type_validate(&from_zero_type, &value, &err), EX_OK);
    if (ex_type_check(&padded_type, &err))
        fail_msg("%s", err.message);
}

/* A slice or list that was never filled is a fault with a name, not the end of the process. */
static void test_type_length_without_memory_is_a_fault(void **ctx)
{
    (void)ctx;
    ex_error err;
    from_zero value = {.text = {NULL, 5}};
    padded list = {.texts = {NULL, 3, 3}};
    assert_int_equal(ex_type_validate(&from_zero_type, &value, &err), EX_EINVAL);
    assert_string_equal(err.message, "text: has a length of 5 and no text");
    assert_int_equal(ex_type_validate(&padded_type, &list, &err), EX_EINVAL);
    assert_string_equal(err.message, "texts: has 3 items and no memory for them");
}

static void test_type_check_finds_bad_tables(void **ctx)
{
    (void)ctx;
    static const ex_field twice[] = {EX_FIELD(part, name), EX_FIELD(part, name)};
    static const ex_field no_nested[] = {{.name = "x", .kind = EX_KIND_STRUCT}};
    static const ex_field bad_name[] = {{.name = "X", .kind = EX_KIND_BOOL}};
    static const ex_field outside[] = {{.name = "x", .kind = EX_KIND_BOOL, .offset = 4000}};
    const struct {
        const char *word;
        ex_type type;
    } cases[] = {
        {"twice", {"T", 1, sizeof(part), twice, 2, NULL}},
        {"nested", {"T", 1, sizeof(part), no_nested, 1, NULL}},
        {"name", {"T", 1, sizeof(part), bad_name, 1, NULL}},
        {"outside", {"T", 1, sizeof(part), outside, 1, NULL}},
        {"bound", crossed_type},
        {"unknown format 'mail'; there are email, uri, uuid and date", odd_format_type},
        {"n has min_len, max_len or format, which is for texts", text_of_number_type},
        {"text has min or max, which is for numbers", number_of_text_type},
        {"text has min_items or max_items, which is for lists", list_of_text_type},
        {"the 16 bytes at offset 0 of the struct", forgot_text_type},
        {"the 8 bytes at offset 16 of the struct", forgot_number_type},
        {"no name", {"", 1, sizeof(part), twice, 1, NULL}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_error err;
        assert_int_equal(ex_type_check(&cases[i].type, &err), EX_EINVAL);
        if (!strstr(err.message, cases[i].word))
            fail_msg("%s: %s", cases[i].word, err.message);
    }
    assert_int_equal(ex_type_check(&thing_type, NULL), EX_OK);
}

static void test_type_lists_grow_and_shrink(void **ctx)
{
    (void)ctx;
    ex_arena arena;
    EX_LIST(part) list = {0};
    ex_arena_init(&arena, 4096);
    for (int i = 0; i < 10; i++) {
        part *p = ex_list_add(&arena, &list);
        assert_non_null(p);
        p->weight = i;
    }
    ex_list_remove(&list, 3);
    ex_list_remove(&list, 99); /* behind the end: nothing happens */
    assert_int_equal(list.count, 9);
    assert_int_equal(list.items[3].weight, 4);
    while (ex_list_add(&arena, &list)) {
    }
    assert_true(ex_arena_has_failed(&arena));
    ex_arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_type_reads_and_writes_every_kind),
        cmocka_unit_test(test_type_copy_owns_everything),
        cmocka_unit_test(test_type_refuses_with_the_field),
        cmocka_unit_test(test_type_scalar_ranges),
        cmocka_unit_test(test_type_key_comes_from_the_route),
        cmocka_unit_test(test_type_stored_events_may_have_more),
        cmocka_unit_test(test_type_schema_is_json_schema),
        cmocka_unit_test(test_type_check_finds_bad_tables),
        cmocka_unit_test(test_type_bound_of_zero_is_one),
        cmocka_unit_test(test_type_length_without_memory_is_a_fault),
        cmocka_unit_test(test_type_lists_grow_and_shrink),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
