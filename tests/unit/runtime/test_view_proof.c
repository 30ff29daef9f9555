/* test_view_proof.c: a view's checkpoint is proven to be a place of the store's log, else the view
 * begins anew; in files and in PostgreSQL. (issue 8, item 1; G-152) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include <excore/runtime.h>

#include "sql/sql.h"
#include "support/accounts.h"
#include "support/store_place.h"

#define OTHER_ID "0192f0c1-2345-7abc-8def-0123456789ab"

typedef struct fixture {
    store_place place;
    ex_store *store;
    ex_runtime *rt;
    ex_arena arena;
    atomic_uint rebuilds; /* reported */
    char why[EX_ERROR_MESSAGE_SIZE];
} fixture;

static void on_report(void *ctx, const char *what, const char *name, const ex_error *err)
{
    fixture *f = ctx;
    if (strcmp(what, "view is built anew") != 0)
        return;
    assert_string_equal(name, "balance");
    memcpy(f->why, err->message, sizeof(f->why));
    atomic_fetch_add(&f->rebuilds, 1);
}

static void open_store(fixture *f)
{
    ex_error err = {0};
    if (ex_store_open(f->place.text, NULL, &f->store, &err))
        fail_msg("%s", err.message);
}

static void start_views(fixture *f)
{
    ex_error err = {0};
    ex_runtime_options options = {
        .dir = f->place.text, .view_retry_ms = 1, .report = on_report, .report_ctx = f};
    if (ex_runtime_start(f->store, &accounts_app, &options, &f->rt, &err))
        fail_msg("%s", err.message);
}

static void stop_views(fixture *f)
{
    ex_runtime_stop(f->rt);
    f->rt = NULL;
}

static void close_store(fixture *f)
{
    ex_store_close(f->store);
    f->store = NULL;
}

static void set_up(fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->place = store_place_make();
    ex_arena_init(&f->arena, 0);
    open_store(f);
}

static void tear_down(fixture *f)
{
    if (f->rt)
        stop_views(f);
    close_store(f);
    ex_arena_done(&f->arena);
    store_place_remove(&f->place);
}

/* An account for each number from `first` on, as an event of the log; no view needs to run. */
static void open_accounts(fixture *f, int first, int count)
{
    for (int i = first; i < first + count; i++) {
        char stream[32], data[96];
        ex_error err = {0};
        int len = snprintf(stream, sizeof(stream), "account-a%03d", i);
        int data_len =
            snprintf(data, sizeof(data), "{\"account_id\":\"a%03d\",\"owner\":\"ann\"}", i);
        ex_new_event event = {.type = EX_S("AccountOpened"),
                              .data = ex_slice_of(data, (size_t)data_len)};
        ex_stream_write write = {
            .stream = ex_slice_of(stream, (size_t)len), .events = &event, .event_count = 1};
        if (ex_store_append(f->store, &(ex_append){.writes = &write, .write_count = 1}, NULL, &err))
            fail_msg("%s", err.message);
    }
}

static int64_t number(fixture *f, const char *sql)
{
    return store_place_views_number(&f->place, sql);
}

static void change_views(fixture *f, const char *sql)
{
    char path[1200];
    ex_sql *db = NULL;
    ex_error err = {0};
    (void)snprintf(path, sizeof(path), store_place_is_server() ? "%s" : "%s/views.db",
                   f->place.text);
    if (ex_sql_open(&(ex_sql_options){.place = path, .schema_suffix = "_views"}, &db, &err) ||
        ex_sql_script(db, sql, &err))
        fail_msg("%s: %s", sql, err.message);
    ex_sql_close(db);
}

/* Until the view has seen the whole log and says so. */
static void wait_for_view(fixture *f)
{
    const struct timespec pause = {0, 1000000};
    ex_view_status status = {0};
    for (int i = 0; i < 10000; i++) {
        assert_true(ex_runtime_view_status(f->rt, 0, &status));
        if (status.state == EX_VIEW_ACTIVE && status.position == ex_store_head(f->store))
            return;
        nanosleep(&pause, NULL);
    }
    fail_msg("the view is at %llu: %s", (unsigned long long)status.position, status.error);
}

static void fill_and_stop(fixture *f)
{
    open_accounts(f, 0, 10);
    start_views(f);
    wait_for_view(f);
    stop_views(f);
    assert_int_equal(number(f, "SELECT count(*) FROM balance"), 10);
    assert_int_equal(number(f, "SELECT position FROM excore_views"), 10);
    assert_int_equal(atomic_load(&f->rebuilds), 0);
}

/* A row that no event made: it stays unless the view begins anew. */
#define PHANTOM        "UPDATE balance SET owner = 'phantom' WHERE account_id = 'a000'"
#define COUNT_PHANTOMS "SELECT count(*) FROM balance WHERE owner = 'phantom'"

static void test_view_of_an_unproven_checkpoint_begins_anew(void **state)
{
    static const struct {
        const char *name, *change;
        const char *why; /* part of what is reported; NULL: the checkpoint holds */
    } rows[] = {
        {"untouched", NULL, NULL},
        {"of another store", "UPDATE excore_views SET log = '" OTHER_ID "'", "it names another"},
        {"without a proof, as older versions wrote it",
         "UPDATE excore_views SET log = '', epoch = '', event = ''", "is not of this log"},
        {"of an epoch that the log does not have", "UPDATE excore_views SET epoch = '" OTHER_ID "'",
         "position 10"},
        {"where another event stands", "UPDATE excore_views SET event = '" OTHER_ID "'",
         "another event is there"},
        {"beyond the log's end", "UPDATE excore_views SET position = 1000", "the log ends at 12"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fixture f;
        set_up(&f);
        fill_and_stop(&f);
        change_views(&f, PHANTOM);
        if (rows[i].change)
            change_views(&f, rows[i].change);
        open_accounts(&f, 10, 2);
        start_views(&f);
        wait_for_view(&f);
        int64_t phantoms = number(&f, COUNT_PHANTOMS);
        if (phantoms != (rows[i].why == NULL) ||
            atomic_load(&f.rebuilds) != (rows[i].why != NULL) ||
            (rows[i].why && !strstr(f.why, rows[i].why)))
            fail_msg("%s: %lld phantoms, %u rebuilds: %s", rows[i].name, (long long)phantoms,
                     atomic_load(&f.rebuilds), f.why);
        assert_int_equal(number(&f, "SELECT count(*) FROM balance"), 12);
        tear_down(&f);
    }
}

/* The last checkpoint holds an event that the view passes over: it is proven like any other. */
static void test_view_proves_a_place_that_it_passed_over(void **state)
{
    fixture f;
    (void)state;
    set_up(&f);
    fill_and_stop(&f);
    ex_new_event other = {.type = EX_S("SomethingElse"), .data = EX_S("{}")};
    ex_stream_write write = {.stream = EX_S("other-1"), .events = &other, .event_count = 1};
    for (int i = 0; i < 5; i++)
        assert_int_equal(
            ex_store_append(f.store, &(ex_append){.writes = &write, .write_count = 1}, NULL, NULL),
            EX_OK);
    for (int round = 0; round < 2; round++) {
        start_views(&f);
        wait_for_view(&f);
        stop_views(&f);
        assert_int_equal(number(&f, "SELECT position FROM excore_views"), 15);
        assert_int_equal(number(&f, "SELECT count(*) FROM excore_views WHERE event <> ''"), 1);
    }
    assert_int_equal(atomic_load(&f.rebuilds), 0);
    tear_down(&f);
}

/* ---- Files that are put back or brought from elsewhere ---- */

static void copy_file(const fixture *from, const char *name, const fixture *to, const char *as)
{
    char command[3000];
    (void)snprintf(command, sizeof(command), "cp '%s/%s' '%s/%s'", from->place.text, name,
                   to->place.text, as);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): the test's own names */
}

/* An older events.db is put back beside the views, and the log grows past their checkpoint before
 * anybody looks at them: their rows tell of events that are gone. */
static void test_view_notices_that_an_older_log_was_put_back(void **state)
{
    fixture f;
    (void)state;
    if (store_place_is_server())
        return; /* a server's tables are restored together */
    set_up(&f);
    open_accounts(&f, 0, 5);
    close_store(&f);
    copy_file(&f, "events.db", &f, "saved.db");
    open_store(&f);
    open_accounts(&f, 5, 5);
    start_views(&f);
    wait_for_view(&f);
    stop_views(&f);
    close_store(&f);
    copy_file(&f, "saved.db", &f, "events.db"); /* over it: the file stays the same one */
    open_store(&f);
    open_accounts(&f, 100, 20);
    start_views(&f);
    wait_for_view(&f);
    assert_int_equal(atomic_load(&f.rebuilds), 1);
    assert_int_equal(number(&f, "SELECT count(*) FROM balance"), 25);
    assert_int_equal(number(&f, "SELECT count(*) FROM balance WHERE account_id = 'a007'"), 0);
    tear_down(&f);
}

/* Lower than the log's end and right in form: the views of another store. */
static void test_view_notices_the_views_of_another_store(void **state)
{
    fixture a, b;
    (void)state;
    if (store_place_is_server())
        return;
    set_up(&a);
    fill_and_stop(&a);
    set_up(&b);
    open_accounts(&b, 500, 20);
    copy_file(&a, "views.db", &b, "views.db");
    start_views(&b);
    wait_for_view(&b);
    assert_int_equal(atomic_load(&b.rebuilds), 1);
    assert_int_equal(number(&b, "SELECT count(*) FROM balance"), 20);
    assert_int_equal(number(&b, "SELECT count(*) FROM balance WHERE account_id < 'a500'"), 0);
    tear_down(&b);
    tear_down(&a);
}

int main(int argc, char **argv)
{
    store_place_use(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_view_of_an_unproven_checkpoint_begins_anew),
        cmocka_unit_test(test_view_proves_a_place_that_it_passed_over),
        cmocka_unit_test(test_view_notices_that_an_older_log_was_put_back),
        cmocka_unit_test(test_view_notices_the_views_of_another_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
