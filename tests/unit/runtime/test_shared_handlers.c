/* test_shared_handlers.c: one function for several commands, events of an aggregate and of a view.
 * issue 9, item 8; G-963 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <excore/app.h>
#include <excore/runtime.h>
#include <excore/scenario.h>

#include "support/store_place.h"

typedef struct door {
    int64_t moves, passed;
    bool is_locked;
} door;
typedef struct door_command {
    ex_slice door_id;
} door_command;
typedef door_command lock_door;
typedef door_command unlock_door;
typedef struct door_moved {
    ex_slice door_id, by;
} door_moved;
typedef door_moved door_locked;
typedef door_moved door_unlocked;
typedef struct door_painted {
    ex_slice colour;
} door_painted;
typedef struct door_row {
    ex_slice door_id, last;
    int64_t moves;
} door_row;
/* clang-format off */
EX_TYPE(door, "Door", EX_FIELD(door, moves), EX_FIELD(door, passed), EX_FIELD(door, is_locked));
EX_TYPE(lock_door, "LockDoor", EX_KEY(lock_door, door_id));
EX_TYPE(unlock_door, "UnlockDoor", EX_KEY(unlock_door, door_id));
EX_TYPE(door_locked, "DoorLocked", EX_KEY(door_locked, door_id), EX_FIELD(door_locked, by));
EX_TYPE(door_unlocked, "DoorUnlocked", EX_KEY(door_unlocked, door_id), EX_FIELD(door_unlocked, by));
EX_TYPE(door_painted, "DoorPainted", EX_FIELD(door_painted, colour));
EX_TYPE(door_row, "DoorRow", EX_KEY(door_row, door_id), EX_FIELD(door_row, last), EX_FIELD(door_row, moves));
/* clang-format on */

/* Turns it, whichever way. */
static ex_status decide_turn(const door *d, const door_command *c, ex_decision *out)
{
    if (d && d->is_locked)
        return ex_emit(out, door_unlocked, .door_id = c->door_id, .by = EX_S("me"));
    return ex_emit(out, door_locked, .door_id = c->door_id, .by = EX_S("me"));
}

static void on_moved(door *d, const door_moved *e, ex_arena *memory)
{
    (void)memory;
    d->moves += ex_slice_is(e->by, "me");
    d->is_locked = !d->is_locked;
}

static void on_passed(door *d, const void *e, ex_arena *memory)
{
    (void)e, (void)memory;
    d->passed++;
}

#define DOOR_COMMANDS(COMMAND)                                                                     \
    COMMAND(door, lock_door, "lock", decide_turn)                                                  \
    COMMAND(door, unlock_door, "unlock", decide_turn)
#define DOOR_EVENTS(EVENT)                                                                         \
    EVENT(door, door_locked, on_moved)                                                             \
    EVENT(door, door_unlocked, on_moved)                                                           \
    EVENT(door, door_painted, on_passed)
extern const ex_aggregate door_aggregate;
EX_AGGREGATE(door, "door", DOOR_COMMANDS, DOOR_EVENTS);

static ex_status when_moved(ex_view_tx *tx, const door_moved *e, const ex_event *event)
{
    door_row *row = NULL;
    ex_status st = ex_row_load(tx, door_row, e->door_id, &row);
    if (st && st != EX_ENOTFOUND)
        return st;
    return ex_row_put(tx, door_row, .door_id = e->door_id, .last = event->type,
                      .moves = 1 + (st ? 0 : row->moves));
}

#define DOOR_ROW_EVENTS(WHEN)                                                                      \
    WHEN(door_locked, when_moved)                                                                  \
    WHEN(door_unlocked, when_moved)
extern const ex_view_def door_row_view;
EX_VIEW(door_row, "doors", 1, DOOR_ROW_EVENTS);

static const ex_context doors = {"doors", NULL, 0, EX_VIEWS(&door_row_view), NULL, 0};
static const ex_context *const contexts[] = {&doors};

static void test_shared_handlers_of_an_aggregate(void **state)
{
    (void)state;
    ex_scenario *s = ex_scenario_new(&door_aggregate, "d");
    assert_int_equal(ex_given(s, door_painted, .colour = EX_S("red")), EX_OK);
    assert_int_equal(ex_when(s, lock_door, .door_id = EX_S("d")), EX_OK);
    assert_true(ex_then(s, door_locked, .door_id = EX_S("d"), .by = EX_S("me")));
    assert_int_equal(ex_when(s, unlock_door, .door_id = EX_S("d")), EX_OK);
    assert_true(ex_then(s, door_unlocked, .door_id = EX_S("d"), .by = EX_S("me")));
    const door *d = ex_scenario_state(s);
    assert_int_equal(d->moves, 2);
    assert_int_equal(d->passed, 1);
    ex_scenario_free(s);
}

static void put(ex_store *store)
{
    ex_error err = {0};
    ex_slice data = EX_S("{\"door_id\":\"d\",\"by\":\"me\"}");
    ex_new_event events[] = {{.type = EX_S("DoorLocked"), .data = data},
                             {.type = EX_S("DoorUnlocked"), .data = data}};
    ex_stream_write write = {EX_S("door-d"), EX_ANY, events, 2};
    ex_append append = {.writes = &write, .write_count = 1};
    ex_appended done = {0};
    if (ex_store_append(store, &append, &done, &err))
        fail_msg("%s", err.message);
}

static void test_shared_handlers_of_a_view(void **state)
{
    (void)state;
    const ex_app app = {EX_APP_ABI, "doors", contexts, 1};
    store_place place = store_place_make();
    const ex_runtime_options options = {.dir = place.text};
    struct timespec pause = {0, 1000000};
    ex_view_status status = {0};
    ex_store *store = NULL;
    ex_runtime *rt = NULL;
    ex_error err = {0};
    if (ex_store_open(place.text, NULL, &store, &err) ||
        ex_runtime_start(store, &app, &options, &rt, &err))
        fail_msg("%s", err.message);
    put(store);
    while (status.position < 2) {
        nanosleep(&pause, NULL);
        assert_true(ex_runtime_view_status(rt, 0, &status));
    }
    ex_runtime_stop(rt);
    ex_store_close(store);
    assert_int_equal(
        store_place_views_number(&place, "SELECT moves FROM door_row WHERE last = 'DoorUnlocked'"),
        2);
    store_place_remove(&place);
}

int main(int argc, char **argv)
{
    store_place_use(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shared_handlers_of_an_aggregate),
        cmocka_unit_test(test_shared_handlers_of_a_view),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
