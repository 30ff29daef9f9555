/* test_fsm.c: tables of moves (R-DE-04, R-DE-05). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <excore/fsm.h>

typedef enum door {
    OPEN,
    CLOSED,
    LOCKED,
    WALLED,
    PAINTED /* nothing leads there */
} door;
EX_ENUM_TYPE(door, "open", "closed", "locked", "walled", "painted");

static const uint64_t moves[] = {
    [OPEN] = EX_TO(CLOSED),
    [CLOSED] = EX_TO(OPEN) | EX_TO(LOCKED) | EX_TO(WALLED) | EX_TO(CLOSED),
    [LOCKED] = EX_TO(CLOSED),
    [WALLED] = 0,
    [PAINTED] = EX_TO(OPEN),
};
static const ex_fsm fsm = {&door_enum, OPEN, moves};

static const struct {
    const char *name;
    int from, to;
    const char *text; /* "" when it may */
} cases[] = {
    {"listed", OPEN, CLOSED, ""},
    {"one of several", CLOSED, WALLED, ""},
    {"to itself, listed", CLOSED, CLOSED, ""},
    {"to itself, not listed", OPEN, OPEN, "door: open cannot become open; valid: closed"},
    {"not listed", OPEN, LOCKED, "door: open cannot become locked; valid: closed"},
    {"several to choose from", CLOSED, PAINTED,
     "door: closed cannot become painted; valid: open, closed, locked, walled"},
    {"terminal", WALLED, OPEN, "door: walled cannot become open; valid: (none - terminal state)"},
    {"from one that is never reached", PAINTED, OPEN, ""},
    {"from no state", 5, OPEN, "door: ? cannot become open; valid: (none - terminal state)"},
    {"from below", -1, OPEN, "door: ? cannot become open; valid: (none - terminal state)"},
    {"to no state", OPEN, 64, "door: open cannot become ?; valid: closed"},
    {"to below", OPEN, -1, "door: open cannot become ?; valid: closed"},
};

static void test_fsm_require_names_what_may_follow(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_error err = {0};
        bool may = cases[i].text[0] == '\0';
        ex_status st = ex_fsm_require(&fsm, cases[i].from, cases[i].to, &err);
        if (st != (may ? EX_OK : EX_ESTATE) || strcmp(err.message, cases[i].text) != 0 ||
            strcmp(err.code, may ? "" : "FSM_INVALID_TRANSITION") != 0)
            fail_msg("%s: %d %s %s", cases[i].name, st, err.code, err.message);
        if (ex_fsm_can(&fsm, cases[i].from, cases[i].to) != may)
            fail_msg("%s: can", cases[i].name);
    }
    assert_int_equal(ex_fsm_require(&fsm, WALLED, OPEN, NULL), EX_ESTATE);
}

static void test_fsm_targets_and_terminal_states(void **state)
{
    (void)state;
    assert_int_equal(ex_fsm_targets(&fsm, OPEN), EX_TO(CLOSED));
    assert_int_equal(ex_fsm_targets(&fsm, WALLED), 0);
    assert_int_equal(ex_fsm_targets(&fsm, 5), 0);
    for (int i = -1; i <= 5; i++)
        assert_int_equal(ex_fsm_is_terminal(&fsm, i), i == WALLED);
}

static void test_fsm_find_is_case_sensitive(void **state)
{
    (void)state;
    int found = -1;
    assert_true(ex_fsm_find(&fsm, EX_S("locked"), &found));
    assert_int_equal(found, LOCKED);
    assert_false(ex_fsm_find(&fsm, EX_S("Locked"), &found));
    assert_false(ex_fsm_find(&fsm, EX_S("lock"), &found));
    assert_false(ex_fsm_find(&fsm, EX_S(""), &found));
    assert_int_equal(found, LOCKED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fsm_require_names_what_may_follow),
        cmocka_unit_test(test_fsm_targets_and_terminal_states),
        cmocka_unit_test(test_fsm_find_is_case_sensitive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
