/* test_view_definition.c: a view whose handlers or types have changed is built anew, also without a
 * new version; one whose list was only sorted is not. issue 9, item 7 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <excore/runtime.h>

#include "runtime/view_definition.h"
#include "support/store_place.h"

typedef struct counted {
    ex_slice id;
    int64_t n;
} counted;
typedef struct added {
    ex_slice id;
    int64_t by;
} added;
typedef struct removed {
    ex_slice id;
} removed;
EX_TYPE(counted, "Counted", EX_KEY(counted, id), EX_FIELD(counted, n));
EX_TYPE(added, "Added", EX_KEY(added, id), EX_FIELD(added, by));
EX_TYPE(removed, "Removed", EX_KEY(removed, id));

static ex_status add(ex_view_tx *tx, ex_slice id, int64_t by)
{
    counted *row = NULL;
    ex_status st = ex_row_load(tx, counted, id, &row);
    if (st && st != EX_ENOTFOUND)
        return st;
    return ex_row_put(tx, counted, .id = id, .n = (st ? 0 : row->n) + by);
}

static ex_status when_added(ex_view_tx *tx, const void *data, const ex_event *event)
{
    const added *e = data;
    (void)event;
    return add(tx, e->id, e->by);
}

static ex_status when_removed(ex_view_tx *tx, const void *data, const ex_event *event)
{
    const removed *e = data;
    (void)event;
    return add(tx, e->id, -1);
}

/* The same type with a bound that was not there. */
static ex_type bounded;
static ex_field bounded_fields[2];

static const ex_table_def tables[] = {{.row = &counted_type}};
static const ex_when_def one[] = {{&added_type, when_added}};
static const ex_when_def both[] = {{&added_type, when_added}, {&removed_type, when_removed}};
static const ex_when_def sorted[] = {{&removed_type, when_removed}, {&added_type, when_added}};
static const ex_when_def strict[] = {{&removed_type, when_removed}, {&bounded, when_added}};

static ex_view_def view = {"counts", 1, tables, 1, one, 1};
static const ex_view_def *const views[] = {&view};
static const ex_context context = {"test", NULL, 0, views, 1, NULL, 0};
static const ex_context *const contexts[] = {&context};
static const ex_app app = {EX_APP_ABI, "test", contexts, 1};

static char told[1024];

static void report(void *ctx, const char *what, const char *name, const ex_error *err)
{
    (void)ctx;
    if (!strstr(what, "parks")) /* what the stricter type does not take */
        (void)snprintf(told, sizeof(told), "%s %s: %s", what, name, err->message);
}

/* One life of the application; what the row has in the end. */
static int64_t live(const store_place *place, const ex_when_def *events, uint32_t count)
{
    struct timespec pause = {0, 1000000};
    const ex_runtime_options options = {.dir = place->text, .report = report};
    ex_store *store = NULL;
    ex_runtime *rt = NULL;
    ex_error err = {0};
    ex_view_status status = {0};
    view.events = events;
    view.event_count = count;
    told[0] = '\0';
    if (ex_store_open(place->text, NULL, &store, &err) ||
        ex_runtime_start(store, &app, &options, &rt, &err))
        fail_msg("%s", err.message);
    for (int i = 0; i < 10000 && (status.state != EX_VIEW_ACTIVE || status.position < 3); i++) {
        nanosleep(&pause, NULL);
        assert_true(ex_runtime_view_status(rt, 0, &status));
    }
    assert_int_equal(status.position, 3);
    ex_runtime_stop(rt);
    ex_store_close(store);
    return store_place_views_number(place, "SELECT n FROM counted");
}

static void put(const store_place *place)
{
    ex_store *store = NULL;
    ex_error err = {0};
    ex_new_event events[] = {{.type = EX_S("Added"), .data = EX_S("{\"id\":\"a\",\"by\":5}")},
                             {.type = EX_S("Removed"), .data = EX_S("{\"id\":\"a\"}")},
                             {.type = EX_S("Added"), .data = EX_S("{\"id\":\"a\",\"by\":-2}")}};
    ex_stream_write write = {EX_S("counts-a"), EX_ANY, events, 3};
    ex_append append = {.writes = &write, .write_count = 1};
    ex_appended done = {0};
    if (ex_store_open(place->text, NULL, &store, &err) ||
        ex_store_append(store, &append, &done, &err))
        fail_msg("%s", err.message);
    ex_store_close(store);
}

/* G-716 */
static void test_view_definition_that_changed_builds_the_view_anew(void **state)
{
    (void)state;
    store_place place = store_place_make();
    memcpy(bounded_fields, added_type.fields, sizeof(bounded_fields));
    bounded = added_type;
    bounded.fields = bounded_fields;
    bounded_fields[1].min = 1;
    put(&place);
    assert_int_equal(live(&place, one, 1), 3);
    assert_string_equal(told, "");
    assert_int_equal(live(&place, both, 2), 2); /* another handler */
    assert_non_null(strstr(told, "view is built anew counts: its events, or the types that it"));
    assert_int_equal(live(&place, sorted, 2), 2); /* the same in another order */
    assert_string_equal(told, "");
    assert_int_equal(live(&place, strict, 2), 4); /* a type that takes less */
    assert_non_null(strstr(told, "built anew"));
    assert_int_equal(live(&place, strict, 2), 4);
    assert_string_equal(told, "");
    store_place_remove(&place);
}

static void test_view_definition_knows_its_build(void **state)
{
    (void)state;
    char build[VIEW_BUILD_SIZE];
    view.events = one;
    view.event_count = 1;
    view_build_of(&view, build);
    assert_true(strlen(build) >= 16); /* the linker's default, with gcc and clang */
    assert_true(view_definition_of(&view) != 0);
}

int main(int argc, char **argv)
{
    store_place_use(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_view_definition_that_changed_builds_the_view_anew),
        cmocka_unit_test(test_view_definition_knows_its_build),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
