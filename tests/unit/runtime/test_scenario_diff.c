/* test_scenario_diff.c: a scenario says what differed, field by field. issue 9, item 8; G-961 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <excore/scenario.h>

typedef enum colour { RED, GREEN } colour;
EX_ENUM_TYPE(colour, "red", "green");

typedef struct place {
    ex_slice street;
    int64_t number;
} place;
typedef struct part {
    ex_slice name;
    int64_t quantity;
    place stored;
} part;
typedef EX_LIST(part) parts;
typedef EX_LIST(ex_slice) labels;
typedef struct box {
    int64_t count;
} box;
typedef struct pack {
    ex_slice box_id;
    ex_slice what;
} pack;
typedef struct packed {
    ex_slice box_id;
    int64_t total_cents;
    colour tint;
    ex_time at;
    ex_opt_text note;
    place *sent_to;
    parts parts;
    labels labels;
    ex_raw_json extra;
    bool is_fragile;
    double grams;
} packed;
typedef struct closed {
    ex_slice box_id;
} closed;
/* clang-format off */
EX_TYPE(place, "Place", EX_FIELD(place, street), EX_FIELD(place, number));
EX_TYPE(part, "Part", EX_FIELD(part, name), EX_FIELD(part, quantity), EX_STRUCT(part, stored, place));
EX_TYPE(box, "Box", EX_FIELD(box, count));
EX_TYPE(pack, "Pack", EX_KEY(pack, box_id), EX_FIELD(pack, what));
EX_TYPE(packed, "Packed", EX_KEY(packed, box_id), EX_FIELD(packed, total_cents), EX_ENUM(packed, tint, colour),
    EX_FIELD(packed, at), EX_FIELD(packed, note), EX_OPT_STRUCT(packed, sent_to, place),
    EX_LIST_OF(packed, parts, part), EX_TEXTS(packed, labels), EX_FIELD(packed, extra),
    EX_FIELD(packed, is_fragile), EX_FIELD(packed, grams));
EX_TYPE(closed, "Closed", EX_KEY(closed, box_id));
/* clang-format on */

static part two_parts[] = {{EX_S_INIT("tea"), 2, {EX_S_INIT("a"), 1}},
                           {EX_S_INIT("cup"), 3, {EX_S_INIT("b"), 2}}};
static ex_slice two_labels[] = {EX_S_INIT("x"), EX_S_INIT("y")};

/* What the command emits: an event, and one more unless it says "one". */
static packed emitted(void)
{
    return (packed){.box_id = EX_S("b-1"),
                    .total_cents = 499,
                    .parts = {two_parts, 2, 2},
                    .labels = {two_labels, 2, 2},
                    .extra.text = EX_S("{\"deep\":[1,{\"er\":true}]}"),
                    .grams = 1.5};
}

static ex_status decide_pack(const box *b, const pack *c, ex_decision *d)
{
    (void)b;
    if (ex_slice_is(c->what, "no"))
        return ex_reject(d, "BOX_FULL", "nothing fits");
    packed e = emitted();
    ex_status st = ex_decision_emit(d, &packed_type, &e);
    return st || !ex_slice_is(c->what, "two") ? st : ex_emit(d, closed, .box_id = c->box_id);
}

static void on_event(box *b, const void *e, ex_arena *memory)
{
    (void)e, (void)memory;
    b->count++;
}

#define BOX_COMMANDS(COMMAND) COMMAND(box, pack, "pack", decide_pack)
#define BOX_EVENTS(EVENT)                                                                          \
    EVENT(box, packed, on_event)                                                                   \
    EVENT(box, closed, on_event)
extern const ex_aggregate box_aggregate;
EX_AGGREGATE(box, "box", BOX_COMMANDS, BOX_EVENTS);

static ex_scenario *run(const char *what)
{
    ex_scenario *s = ex_scenario_new(&box_aggregate, "b-1");
    (void)ex_when(s, pack, .box_id = EX_S("b-1"), .what = ex_str(what));
    return s;
}

static void differs(packed *e)
{
    e->total_cents = 500;
}
static void other_key(packed *e)
{
    e->box_id = EX_S("b-2");
}
static void other_enum(packed *e)
{
    e->tint = GREEN;
}
static void other_time(packed *e)
{
    e->at.us = 1000000;
}
static void absent(packed *e)
{
    e->note = (ex_opt_text){true, EX_S("hello")};
}
static void other_bool(packed *e)
{
    e->is_fragile = true;
}
static void other_double(packed *e)
{
    e->grams = 2.5;
}
static void in_a_list(packed *e)
{
    static part other[2];
    memcpy(other, two_parts, sizeof(other));
    other[1].quantity = 4;
    other[1].stored.number = 7;
    e->parts = (parts){other, 2, 2};
}
static void one_fewer(packed *e)
{
    e->labels.count = 1;
}
static void one_more(packed *e)
{
    static ex_slice three[] = {EX_S_INIT("x"), EX_S_INIT("y"), EX_S_INIT("z")};
    e->labels = (labels){three, 3, 3};
}
static void optional_struct(packed *e)
{
    static place there = {EX_S_INIT("c"), 3};
    e->sent_to = &there;
}
static void in_raw_json(packed *e)
{
    e->extra.text = EX_S("{\"deep\":[1,{\"er\":false}]}");
}
static void several(packed *e)
{
    e->total_cents = 1;
    e->grams = 0;
}
static void invalid(packed *e)
{
    e->extra.text = EX_S("{");
}

static void test_scenario_diff_names_each_field(void **state)
{
    (void)state;
    static const struct {
        void (*change)(packed *e);
        const char *want;
    } cases[] = {
        {differs, "event 1, Packed:\n  total_cents: expected 500, got 499"},
        {other_key, "event 1, Packed:\n  box_id: expected \"b-2\", got \"b-1\""},
        {other_enum, "event 1, Packed:\n  tint: expected \"green\", got \"red\""},
        {other_time, "\n  at: expected \"1970-01-01T00:00:01"},
        {absent, "\n  note: expected \"hello\", got n"}, /* nothing or null */
        {other_bool, "\n  is_fragile: expected true, got false"},
        {other_double, "\n  grams: expected 2.5, got 1.5"},
        {in_a_list, "\n  parts[1].quantity: expected 4, got 3"
                    "\n  parts[1].stored.number: expected 7, got 2"},
        {one_fewer, "\n  labels[1]: expected nothing, got \"y\""},
        {one_more, "\n  labels[2]: expected \"z\", got nothing"},
        {optional_struct, "\n  sent_to: expected {\"street\":\"c\",\"number\":3}, got n"},
        {in_raw_json, "\n  extra.deep[1].er: expected false, got true"},
        {several, "\n  total_cents: expected 1, got 499\n  grams: expected 0, got 1.5"},
        {invalid, "event 1, Packed: what is expected is not valid: extra: is not valid JSON"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_scenario *s = run("one");
        packed e = emitted();
        cases[i].change(&e);
        assert_false(ex_scenario_then(s, &packed_type, &e));
        if (!strstr(ex_scenario_difference(s), cases[i].want))
            fail_msg("not \"%s\": %s", cases[i].want, ex_scenario_difference(s));
        ex_scenario_free(s);
    }
}

static void test_scenario_diff_names_missing_and_extra_events(void **state)
{
    (void)state;
    packed e = emitted();
    ex_scenario *s = run("two");
    assert_true(ex_scenario_then(s, &packed_type, &e));
    assert_string_equal(ex_scenario_difference(s), "");
    assert_false(ex_then_no_more(s));
    assert_string_equal(ex_scenario_difference(s),
                        "event 2: expected no more, got Closed {\"box_id\":\"b-1\"}");
    ex_scenario_free(s);

    s = run("one");
    assert_true(ex_scenario_then(s, &packed_type, &e));
    assert_true(ex_then_no_more(s));
    assert_false(ex_then(s, closed, .box_id = EX_S("b-1")));
    assert_string_equal(ex_scenario_difference(s),
                        "event 2: expected Closed, got nothing: the command has 1 event");
    ex_scenario_free(s);

    s = run("two");
    assert_false(ex_then(s, closed, .box_id = EX_S("b-1")));
    assert_non_null(strstr(ex_scenario_difference(s), "event 1: expected Closed, got Packed {"));
    ex_scenario_free(s);

    s = run("no");
    assert_false(ex_then(s, closed, .box_id = EX_S("b-1")));
    assert_string_equal(ex_scenario_difference(s),
                        "expected Closed, and the command was rejected: BOX_FULL: nothing fits");
    assert_false(ex_then_no_more(s));
    ex_scenario_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scenario_diff_names_each_field),
        cmocka_unit_test(test_scenario_diff_names_missing_and_extra_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
