/* test_scenario.c: a scenario refuses what the server would refuse. issue 8, items 7 and 8; issue 9, item 8;
 * G-707, G-960 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <excore/clock.h>
#include <excore/scenario.h>

#define TEXTS 20 /* of the longest kind: together more than an event may have */

typedef struct lamp {
    int64_t times;
} lamp;
typedef struct switch_lamp {
    ex_slice lamp_id, note;
} switch_lamp;
typedef struct lamp_switched {
    ex_slice lamp_id;
    double watts;
    ex_time at;
    ex_raw_json extra;
    EX_LIST(ex_slice) notes;
} lamp_switched;
typedef struct lamp_dusted {
    ex_slice by;
} lamp_dusted;
/* clang-format off */
EX_TYPE(lamp, "Lamp", EX_FIELD(lamp, times));
EX_TYPE(switch_lamp, "SwitchLamp", EX_KEY(switch_lamp, lamp_id), EX_FIELD(switch_lamp, note));
EX_TYPE_V(lamp_switched, "LampSwitched", 3, EX_KEY(lamp_switched, lamp_id), EX_FIELD(lamp_switched, watts),
    EX_FIELD(lamp_switched, at), EX_FIELD(lamp_switched, extra), EX_TEXTS(lamp_switched, notes));
EX_TYPE(lamp_dusted, "LampDusted", EX_FIELD(lamp_dusted, by));
/* clang-format on */

/* What the decision does wrong is the command's note. */
static ex_status decide_switch(const lamp *l, const switch_lamp *c, ex_decision *d)
{
    static ex_slice notes[TEXTS];
    static char longest[65536];
    lamp_switched e = {.lamp_id = c->lamp_id, .watts = 40};
    (void)l;
    if (ex_slice_is(c->note, "other lamp"))
        e.lamp_id = EX_S("l-2");
    if (ex_slice_is(c->note, "not a number"))
        e.watts = (double)NAN;
    if (ex_slice_is(c->note, "infinite"))
        e.watts = (double)INFINITY;
    if (ex_slice_is(c->note, "no such time"))
        e.at.us = EX_TIME_MAX_US + 1;
    if (ex_slice_is(c->note, "broken JSON"))
        e.extra.text = EX_S("1,\"watts\":2");
    if (ex_slice_is(c->note, "NUL"))
        e.lamp_id = EX_S("l\0001");
    if (ex_slice_is(c->note, "too large")) {
        memset(longest, 'x', sizeof(longest));
        for (int i = 0; i < TEXTS; i++)
            notes[i] = ex_slice_of(longest, sizeof(longest));
        e.notes.items = notes;
        e.notes.count = TEXTS;
    }
    for (int i = 0; i < 2 && ex_slice_is(c->note, "tag twice"); i++)
        (void)ex_tag(d, "room", EX_S("7"));
    if (ex_slice_is(c->note, "bad tag"))
        (void)ex_tag(d, "room", EX_S("7\n"));
    if (ex_slice_is(c->note, "a text for a code"))
        return ex_reject(d, c->note.ptr, "no code at all");
    return ex_decision_emit(d, &lamp_switched_type, &e);
}

static void on_switched(lamp *l, const lamp_switched *e, ex_arena *memory)
{
    (void)e, (void)memory;
    l->times++;
}

#define LAMP_COMMANDS(COMMAND) COMMAND(lamp, switch_lamp, "switch", decide_switch)
#define LAMP_EVENTS(EVENT)     EVENT(lamp, lamp_switched, on_switched)
extern const ex_aggregate lamp_aggregate;
EX_AGGREGATE(lamp, "lamp", LAMP_COMMANDS, LAMP_EVENTS, EX_IGNORES("LampDusted"));

#define THE_LAMP .lamp_id = EX_S("l-1")

static void test_scenario_refuses_what_the_server_would(void **state)
{
    (void)state;
    static const struct {
        const char *note;
        ex_status want;
        const char *part; /* of the message */
    } cases[] = {
        {"fine", EX_OK, ""},
        {"other lamp", EX_EINTERNAL, "'l-2' is not the id of its stream, 'l-1'"},
        {"not a number", EX_EINTERNAL, "watts: must be a finite number"},
        {"infinite", EX_EINTERNAL, "watts: must be a finite number"},
        {"no such time", EX_EINTERNAL, "at: is not within"},
        {"broken JSON", EX_EINTERNAL, "extra: is not valid JSON"},
        {"NUL", EX_EINTERNAL, "lamp_id: must not contain"},
        {"a text for a code", EX_EINTERNAL, "command 'switch' of lamp: it rejected with the code"},
        {"too large", EX_ETOOLARGE, "an event has at most"},
        {"tag twice", EX_EINVAL, "given twice"},
        {"bad tag", EX_EINVAL, "tag"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_scenario *s = ex_scenario_new(&lamp_aggregate, "l-1");
        ex_status st = ex_when(s, switch_lamp, THE_LAMP, .note = ex_str(cases[i].note));
        if (st != cases[i].want || !strstr(ex_scenario_message(s), cases[i].part))
            fail_msg("%s: %s %s", cases[i].note, ex_status_code(st), ex_scenario_message(s));
        assert_true(st == EX_OK ? ex_scenario_state(s) != NULL : ex_scenario_state(s) == NULL);
        assert_int_equal(ex_when(s, switch_lamp, .note = EX_S("fine")), EX_OK); /* it goes on */
        ex_scenario_free(s);
    }
}

static void test_scenario_reads_commands_as_requests(void **state)
{
    (void)state;
    ex_scenario *s = ex_scenario_new(&lamp_aggregate, "l-1");
    assert_int_equal(ex_when(s, switch_lamp, .note = EX_S("the key comes from the path")), EX_OK);
    assert_true(ex_then(s, lamp_switched, THE_LAMP, .watts = 40));
    assert_int_equal(ex_when(s, switch_lamp, .lamp_id = EX_S("l-2")), EX_EINVAL);
    assert_int_equal(ex_when(s, switch_lamp, THE_LAMP, .note = EX_S("a\0b")), EX_EINVAL);
    assert_non_null(strstr(ex_scenario_message(s), "note: must not contain"));
    ex_scenario_free(s);
    static const char *const bad_ids[] = {"", "a\nb", "\xff"};
    for (size_t i = 0; i < sizeof(bad_ids) / sizeof(bad_ids[0]); i++) {
        s = ex_scenario_new(&lamp_aggregate, bad_ids[i]);
        assert_int_equal(ex_when(s, switch_lamp, .note = EX_S("x")), EX_EINVAL);
        ex_scenario_free(s);
    }
}

static void test_scenario_checks_what_is_given(void **state)
{
    (void)state;
    ex_scenario *s = ex_scenario_new(&lamp_aggregate, "l-1");
    assert_int_equal(ex_given(s, lamp_switched, .lamp_id = EX_S("l-2")), EX_EINVAL);
    assert_int_equal(ex_given(s, lamp_switched, THE_LAMP, .watts = (double)NAN), EX_EINVAL);
    assert_int_equal(ex_scenario_given(s, &lamp_type, &(lamp){0}), EX_EINVAL);
    assert_null(ex_scenario_state(s));
    assert_int_equal(ex_given(s, lamp_switched, THE_LAMP), EX_OK);
    assert_int_equal(ex_given(s, lamp_dusted, .by = EX_S("me")), EX_OK); /* ignored */
    assert_int_equal(((const lamp *)ex_scenario_state(s))->times, 1);
    ex_scenario_free(s);
}

static void test_scenario_checks_the_tables(void **state)
{
    (void)state;
    ex_aggregate broken = lamp_aggregate;
    static const char *const names[] = {"LampSwitched"};
    broken.ignored = names;
    ex_scenario *s = ex_scenario_new(&broken, "l-1");
    assert_int_equal(ex_when(s, switch_lamp, THE_LAMP), EX_EINVAL);
    assert_non_null(strstr(ex_scenario_message(s), "both handles and ignores LampSwitched"));
    ex_scenario_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scenario_refuses_what_the_server_would),
        cmocka_unit_test(test_scenario_reads_commands_as_requests),
        cmocka_unit_test(test_scenario_checks_what_is_given),
        cmocka_unit_test(test_scenario_checks_the_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
