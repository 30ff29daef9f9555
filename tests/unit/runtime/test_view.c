/* test_view.c: views and queries on a real store, in files and in PostgreSQL. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include <excore/runtime.h>

#include "sql/sql.h"
#include "support/accounts.h"
#include "support/store_place.h"

typedef struct fixture {
    store_place place;
    ex_store *store;
    ex_runtime *rt;
    ex_arena arena;
    ex_buf out;
    ex_error err;
} fixture;

static ex_app app; /* accounts_app, or a changed copy */

static void start(fixture *f)
{
    ex_runtime_options options = {.dir = f->place.text,
                                  .view_retry_ms = 1,
                                  .view_attempts = 1000000,
                                  .view_batch_events = 10};
    if (ex_store_open(f->place.text, NULL, &f->store, &f->err) ||
        ex_runtime_start(f->store, &app, &options, &f->rt, &f->err))
        fail_msg("%s", f->err.message);
}

static void stop(fixture *f)
{
    ex_runtime_stop(f->rt);
    ex_store_close(f->store);
}

static void set_up(fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->place = store_place_make();
    ex_arena_init(&f->arena, 0);
    ex_buf_init(&f->out, 0);
    app = accounts_app;
    atomic_store(&accounts_view_fails, false);
    start(f);
}

static void tear_down(fixture *f)
{
    stop(f);
    ex_buf_done(&f->out);
    ex_arena_done(&f->arena);
    store_place_remove(&f->place);
}

static uint64_t run(fixture *f, const char *id, const char *command, const char *payload)
{
    ex_command_call call = {.context = EX_S("bank"),
                            .aggregate = EX_S("account"),
                            .id = ex_str(id),
                            .command = ex_str(command),
                            .payload = ex_str(payload)};
    if (ex_command_run(f->rt, &call, &f->arena, &f->err))
        fail_msg("%s %s: %s", command, id, f->err.message);
    return call.result.position;
}

typedef struct ask {
    const char *query, *params, *cursor;
    uint32_t limit;
    uint64_t min_position;
    uint32_t timeout_ms;
} ask;

static ex_status query(fixture *f, ask a)
{
    ex_json params;
    if (a.params)
        assert_int_equal(ex_json_parse(ex_str(a.params), &f->arena, NULL, &params, NULL), EX_OK);
    ex_query_call call = {.context = EX_S("bank"),
                          .query = ex_str(a.query),
                          .params = a.params ? &params : NULL,
                          .cursor = ex_str(a.cursor),
                          .limit = a.limit,
                          .min_position = a.min_position,
                          .timeout_ms = a.timeout_ms};
    ex_buf_reset(&f->out);
    ex_status st = ex_query_run(f->rt, &call, &f->arena, &f->out, &f->err);
    ex_buf_put_char(&f->out, '\0');
    return st;
}

/* The answer's member, from the tree of the last query. */
static const ex_json *answer(fixture *f, const char *member)
{
    ex_json *root = ex_arena_alloc(&f->arena, sizeof(*root));
    if (ex_json_parse(ex_str(f->out.ptr), &f->arena, NULL, root, &f->err))
        fail_msg("%s in %s", f->err.message, f->out.ptr);
    const ex_json *value = ex_json_get(root, ex_str(member));
    if (!value)
        fail_msg("no %s in %s", member, f->out.ptr);
    return value;
}

static ex_view_status view_status(fixture *f)
{
    ex_view_status status;
    assert_true(ex_runtime_view_status(f->rt, 0, &status));
    return status;
}

/* Waits for a condition, up to ten seconds. What was seen counts: the view may have moved on since.
 */
static void wait_for_state(fixture *f, ex_view_state want)
{
    struct timespec pause = {0, 1000000};
    ex_view_state seen = view_status(f).state;
    for (int i = 0; i < 10000 && seen != want; i++) {
        nanosleep(&pause, NULL);
        seen = view_status(f).state;
    }
    assert_int_equal(seen, want);
}

static void wait_for_error(fixture *f, const char *part)
{
    struct timespec pause = {0, 1000000};
    for (int i = 0; i < 10000 && !strstr(view_status(f).error, part); i++)
        nanosleep(&pause, NULL);
    assert_non_null(strstr(view_status(f).error, part));
}

static uint64_t fill(fixture *f, int accounts)
{
    uint64_t position = 0;
    for (int i = 0; i < accounts; i++) {
        char id[16], payload[64];
        (void)snprintf(id, sizeof(id), "a%03d", i);
        (void)snprintf(payload, sizeof(payload), "{\"owner\":\"%s\"}", i % 2 ? "odd" : "even");
        run(f, id, "open", payload);
        (void)snprintf(payload, sizeof(payload), "{\"cents\":%d}", 100 * (i / 3 + 1));
        position = run(f, id, "deposit", payload);
    }
    return position;
}

/* G-031 */
static void test_view_answers_what_a_command_did(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up(&f);
    run(&f, "a", "open", "{\"owner\":\"ann\"}");
    uint64_t position = run(&f, "a", "deposit", "{\"cents\":5}");
    assert_int_equal(
        query(&f, (ask){"balance", "{\"account_id\":\"a\"}", .min_position = position}), EX_OK);
    const ex_json *item = answer(&f, "item");
    assert_int_equal(ex_json_get(item, EX_S("cents"))->as.i64, 5);
    assert_int_equal(ex_json_get(item, EX_S("moves"))->as.i64, 1);
    assert_true(answer(&f, "position")->as.u64 >= position); /* R-QA-04 */
    assert_int_equal(query(&f, (ask){"balance", "{\"account_id\":\"b\"}"}), EX_OK);
    assert_int_equal(answer(&f, "item")->kind, EX_JSON_NULL);
    assert_int_equal(query(&f, (ask){"account-count"}), EX_OK);
    assert_int_equal(answer(&f, "count")->as.i64, 1);
    tear_down(&f);
}

/* R-QA-02, R-QA-03: pages by key neither repeat nor lose rows, also while rows come between them.
 */
/* Nobody has to know that a view makes its tables in its first turn. */
static void test_query_right_after_the_first_start_waits_for_its_view(void **ctx)
{
    (void)ctx;
    for (int i = 0; i < 5; i++) {
        fixture f;
        set_up(&f);
        if (query(&f, (ask){.query = "account-count"}))
            fail_msg("%s: %s", f.err.code, f.err.message);
        assert_int_equal(answer(&f, "count")->as.i64, 0);
        tear_down(&f);
    }
}

/* G-032 */
static void test_query_pages_cover_everything_once(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up(&f);
    uint64_t position = fill(&f, 25);
    char cursor[512] = "";
    uint32_t seen = 0, pages = 0;
    int64_t last_cents = INT64_MAX;
    for (bool is_done = false; !is_done; pages++) {
        assert_int_equal(query(&f, (ask){"balances", NULL, cursor, 10, position}), EX_OK);
        const ex_json *items = answer(&f, "items");
        for (uint32_t i = 0; i < items->count; i++, seen++) {
            int64_t cents = ex_json_get(&items->as.items[i], EX_S("cents"))->as.i64;
            assert_true(cents <= last_cents);
            last_cents = cents;
        }
        is_done = answer(&f, "is_done")->as.boolean;
        const ex_json *next = answer(&f, "continue_cursor");
        assert_int_equal(next->kind, is_done ? EX_JSON_NULL : EX_JSON_STRING);
        if (!is_done)
            (void)snprintf(cursor, sizeof(cursor), "%.*s", EX_ARG(next->as.text));
        char id[16]; /* a row before all pages comes, and never shows up in a later one */
        (void)snprintf(id, sizeof(id), "zz%u", pages);
        run(&f, id, "open", "{\"owner\":\"new\"}");
        position = run(&f, id, "deposit", "{\"cents\":999999}");
    }
    assert_int_equal(seen, 25);
    assert_int_equal(pages, 3);
    tear_down(&f);
}

static void test_query_limits_are_clamped(void **ctx)
{
    (void)ctx;
    static const struct {
        const char *query;
        uint32_t limit, want;
    } cases[] = {
        {"balances", 0, 20},        {"balances", 1, 1}, {"balances", 100, 100},
        {"balances", 5000, 100},    {"rich", 0, 20},    {"rich", 1000, 110},
        {"rich", 4000000000u, 110},
    };
    fixture f;
    set_up(&f);
    uint64_t position = 0;
    for (int i = 0; i < 110; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "r%03d", i);
        run(&f, id, "open", "{\"owner\":\"o\"}");
        position = run(&f, id, "deposit", "{\"cents\":100000}");
    }
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(
            query(&f, (ask){cases[i].query, .limit = cases[i].limit, .min_position = position}),
            EX_OK);
        assert_int_equal(answer(&f, "items")->count, cases[i].want);
    }
    tear_down(&f);
}

static void test_query_parameters(void **ctx)
{
    (void)ctx;
    static const struct {
        const char *params;
        uint32_t want;
    } cases[] = {
        {NULL, 10},
        {"{}", 10},
        {"{\"owner\":\"odd\"}", 5},
        {"{\"least_cents\":300}", 4},
        {"{\"least_cents\":\"300\"}", 4}, /* as it comes from a query string */
        {"{\"owner\":\"even\",\"least_cents\":\"300\"}", 2},
        {"{\"owner\":\"' OR 1=1 --\"}", 0},
    };
    fixture f;
    set_up(&f);
    uint64_t position = fill(&f, 10);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(query(&f, (ask){"balances", cases[i].params, .min_position = position}),
                         EX_OK);
        if (answer(&f, "items")->count != cases[i].want)
            fail_msg("%s: %s", cases[i].params, f.out.ptr);
    }
    tear_down(&f);
}

static void test_query_refusals(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up(&f);
    uint64_t position = fill(&f, 3);
    assert_int_equal(query(&f, (ask){"balances", .limit = 1, .min_position = position}), EX_OK);
    char cursor[512];
    (void)snprintf(cursor, sizeof(cursor), "%.*s", EX_ARG(answer(&f, "continue_cursor")->as.text));
    const struct {
        const char *name;
        ask ask;
        ex_status status;
        const char *code, *field;
    } cases[] = {
        {"unknown query", {"nothing"}, EX_ENOTFOUND, "UNKNOWN_QUERY", ""},
        {"unknown parameter", {"balances", "{\"colour\":1}"}, EX_EINVAL, "UNKNOWN_FIELD", "colour"},
        {"parameter of a query without", {"rich", "{\"x\":1}"}, EX_EINVAL, "UNKNOWN_FIELD", "x"},
        {"missing parameter", {"balance"}, EX_EINVAL, "INVALID_INPUT", "account_id"},
        {"no number",
         {"balances", "{\"least_cents\":\"many\"}"},
         EX_EINVAL,
         "INVALID_INPUT",
         "least_cents"},
        {"cursor is no base64",
         {"balances", .cursor = "%%%"},
         EX_EINVAL,
         "INVALID_CURSOR",
         "cursor"},
        {"cursor is no JSON",
         {"balances", .cursor = "AAAA"},
         EX_EINVAL,
         "INVALID_CURSOR",
         "cursor"},
        {"cursor of another query",
         {"rich", .cursor = cursor},
         EX_EINVAL,
         "INVALID_CURSOR",
         "cursor"},
        {"position not reached",
         {"balances", .min_position = 1000, .timeout_ms = 20},
         EX_ETIMEOUT,
         "TIMEOUT",
         ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_status st = query(&f, cases[i].ask);
        if (st != cases[i].status || strcmp(f.err.code, cases[i].code) ||
            strcmp(f.err.field, cases[i].field))
            fail_msg("%s: %d %s %s: %s", cases[i].name, st, f.err.code, f.err.field, f.err.message);
    }
    tear_down(&f);
}

/* R-PC-02, R-08-28: each event counts once, however often the process starts again. (G-030) */
static void test_view_continues_at_its_checkpoint(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up(&f);
    run(&f, "a", "open", "{\"owner\":\"ann\"}");
    for (int i = 1; i <= 20; i++) {
        uint64_t position = run(&f, "a", "deposit", "{\"cents\":1}");
        if (i % 2)
            assert_int_equal(query(&f, (ask){"account-count", .min_position = position}), EX_OK);
        stop(&f);
        start(&f);
    }
    assert_int_equal(query(&f, (ask){"balance", "{\"account_id\":\"a\"}", .min_position = 21}),
                     EX_OK);
    assert_int_equal(ex_json_get(answer(&f, "item"), EX_S("moves"))->as.i64, 20);
    tear_down(&f);
}

static void rebuild_with(fixture *f, uint32_t version)
{
    static ex_view_def def;
    static const ex_view_def *views[] = {&def};
    static ex_context bank;
    static const ex_context *contexts[] = {&bank};
    def = balance_view;
    def.version = version;
    bank = *accounts_app.contexts[0];
    bank.views = views;
    bank.query_count = 0;
    app.contexts = contexts;
    stop(f);
    start(f);
}

static int64_t raw_number(fixture *f, const char *sql)
{
    return store_place_views_number(&f->place, sql);
}

static void wait_for_position(fixture *f, uint64_t position)
{
    struct timespec pause = {0, 1000000};
    for (int i = 0; i < 10000 && view_status(f).position < position; i++)
        nanosleep(&pause, NULL);
    assert_true(view_status(f).position >= position);
}

static void test_view_is_rebuilt_when_its_version_rises_or_its_file_is_gone(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up(&f);
    uint64_t position = fill(&f, 30);
    assert_int_equal(query(&f, (ask){"account-count", .min_position = position}), EX_OK);
    stop(&f);
    store_place_drop_views(&f.place);
    start(&f);
    assert_int_equal(query(&f, (ask){"account-count", .min_position = position}), EX_OK);
    assert_int_equal(answer(&f, "count")->as.i64, 30);

    rebuild_with(&f, 2);
    wait_for_position(&f, position);
    assert_int_equal(raw_number(&f, "SELECT count(*) FROM balance"), 30);
    assert_int_equal(raw_number(&f, "SELECT sum(moves) FROM balance"), 30);
    assert_int_equal(raw_number(&f, "SELECT version FROM excore_views"), 2);
    tear_down(&f);
}

/* R-PC-03: a failing handler leaves rows and checkpoint as they were and is tried again. */
static void test_view_failure_is_shown_and_tried_again(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up(&f);
    uint64_t opened = run(&f, "a", "open", "{\"owner\":\"ann\"}");
    assert_int_equal(query(&f, (ask){"account-count", .min_position = opened}), EX_OK);
    atomic_store(&accounts_view_fails, true);
    uint64_t position = run(&f, "a", "deposit", "{\"cents\":3}");
    wait_for_state(&f, EX_VIEW_ERROR);
    ex_view_status status = view_status(&f);
    assert_non_null(strstr(status.error, "told to fail"));
    assert_non_null(strstr(status.error, "position 2"));
    assert_int_equal(status.position, opened);
    assert_int_equal(status.lag, 1);
    assert_int_equal(ex_runtime_view_pause(f.rt, "balance", &f.err), EX_ESTATE); /* R-PC-06 */
    atomic_store(&accounts_view_fails, false);
    assert_int_equal(
        query(&f, (ask){"balance", "{\"account_id\":\"a\"}", .min_position = position}), EX_OK);
    assert_int_equal(ex_json_get(answer(&f, "item"), EX_S("moves"))->as.i64, 1);
    wait_for_state(&f, EX_VIEW_ACTIVE);
    assert_string_equal(view_status(&f).error, "");
    tear_down(&f);
}

static void test_view_pause_resume_rebuild(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up(&f);
    uint64_t position = fill(&f, 5);
    assert_int_equal(query(&f, (ask){"account-count", .min_position = position}), EX_OK);
    wait_for_state(&f, EX_VIEW_ACTIVE);
    assert_int_equal(ex_runtime_view_pause(f.rt, "balance", &f.err), EX_OK);
    wait_for_state(&f, EX_VIEW_PAUSED);
    uint64_t later = run(&f, "b", "open", "{\"owner\":\"bob\"}");
    assert_int_equal(query(&f, (ask){"account-count", .min_position = later, .timeout_ms = 50}),
                     EX_ETIMEOUT);
    assert_int_equal(ex_runtime_view_resume(f.rt, "balance", &f.err), EX_OK);
    assert_int_equal(query(&f, (ask){"account-count", .min_position = later}), EX_OK);
    assert_int_equal(answer(&f, "count")->as.i64, 6);
    assert_int_equal(ex_runtime_view_rebuild(f.rt, "balance", &f.err), EX_OK);
    wait_for_state(&f, EX_VIEW_ACTIVE);
    wait_for_position(&f, later);
    assert_int_equal(query(&f, (ask){"account-count", .min_position = later}), EX_OK);
    assert_int_equal(answer(&f, "count")->as.i64, 6);
    assert_int_equal(ex_runtime_view_resume(f.rt, "balance", &f.err), EX_ESTATE);
    assert_int_equal(ex_runtime_view_pause(f.rt, "nothing", &f.err), EX_ENOTFOUND);
    tear_down(&f);
}

/* Events that the view does not handle move it on all the same. */
static void test_view_passes_over_other_events(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up(&f);
    ex_new_event event = {.type = EX_S("Unrelated"), .data = EX_S("{}")};
    ex_stream_write write = {EX_S("other-1"), EX_ANY, &event, 1};
    ex_append append = {.writes = &write, .write_count = 1};
    ex_appended appended = {0};
    for (int i = 0; i < 50; i++)
        assert_int_equal(ex_store_append(f.store, &append, &appended, &f.err), EX_OK);
    assert_int_equal(query(&f, (ask){"account-count", .min_position = appended.position}), EX_OK);
    assert_int_equal(answer(&f, "position")->as.u64, 50);
    assert_int_equal(view_status(&f).lag, 0);
    tear_down(&f);
}

/* A view that has just caught up rests, and commits do not wake it then. */
static void test_view_sees_what_came_while_it_rested(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up(&f);
    run(&f, "a", "open", "{\"owner\":\"ann\"}");
    for (int i = 0; i < 50; i++) {
        uint64_t position = run(&f, "a", "deposit", "{\"cents\":1}");
        assert_int_equal(query(&f, (ask){"account-count", .min_position = position}), EX_OK);
        position = run(&f, "a", "deposit", "{\"cents\":1}"); /* nobody waits for this one */
        struct timespec pause = {0, 100000};
        uint64_t seen = view_status(&f).position;
        for (int tries = 0; tries < 100000 && seen < position; tries++) {
            nanosleep(&pause, NULL);
            seen = view_status(&f).position;
        }
        assert_true(seen >= position);
    }
    tear_down(&f);
}

/* Two nodes have the same view in one schema: one applies the events, the other stands by, knows
 * how far the view is, and goes on when the first one ends. A newer version is built when its
 * node's turn comes; a node with an older version then leaves the view alone instead of taking its
 * tables back. */
static void test_view_is_shared_by_nodes(void **ctx)
{
    (void)ctx;
    if (!store_place_is_server())
        return;
    enum { DEPOSITS = 300 };
    fixture f, other = {0};
    set_up(&f);
    other.place = f.place;
    ex_arena_init(&other.arena, 0);
    ex_buf_init(&other.out, 0);
    start(&other);
    run(&f, "a", "open", "{\"owner\":\"ann\"}");
    uint64_t position = 0;
    for (int i = 0; i < DEPOSITS; i++)
        position = run(&f, "a", "deposit", "{\"cents\":1}");
    wait_for_position(&f, position);
    wait_for_position(&other, position);
    assert_int_equal(raw_number(&f, "SELECT moves FROM balance"), DEPOSITS);
    assert_int_equal(raw_number(&f, "SELECT position FROM excore_views"), position);

    assert_int_equal(view_status(&f).state, EX_VIEW_ACTIVE);
    assert_int_equal(view_status(&other).state, EX_VIEW_STANDBY);
    assert_int_equal(ex_runtime_view_rebuild(other.rt, "balance", &other.err), EX_ESTATE);
    assert_int_equal(ex_runtime_view_pause(other.rt, "balance", &other.err), EX_ESTATE);
    assert_int_equal(query(&other, (ask){"account-count", .min_position = position}), EX_OK);

    const ex_context *const *old = app.contexts;
    rebuild_with(&f, 2); /* the other one, with version 1, goes on meanwhile */
    wait_for_state(&other, EX_VIEW_ACTIVE);
    position = run(&other, "a", "deposit", "{\"cents\":1}");
    wait_for_position(&other, position);
    assert_int_equal(raw_number(&f, "SELECT version FROM excore_views"), 1);
    assert_int_equal(view_status(&f).state, EX_VIEW_STANDBY);
    assert_int_equal(view_status(&f).position, 0); /* of version 2 */
    stop(&other);
    wait_for_position(&f, position);
    assert_int_equal(raw_number(&f, "SELECT version FROM excore_views"), 2);

    const ex_context *const *new = app.contexts;
    app.contexts = old;
    start(&other);
    app.contexts = new;
    stop(&f); /* the other's turn, but its version is the older one */
    wait_for_error(&other, "another node has it at version 2");
    assert_int_equal(view_status(&other).state, EX_VIEW_STANDBY);
    start(&f);
    wait_for_state(&f, EX_VIEW_ACTIVE);
    position = run(&f, "a", "deposit", "{\"cents\":1}");
    wait_for_position(&f, position);
    wait_for_position(&other, position);
    assert_int_equal(raw_number(&f, "SELECT moves FROM balance"), DEPOSITS + 2);
    assert_int_equal(raw_number(&f, "SELECT version FROM excore_views"), 2);
    stop(&other);
    ex_buf_done(&other.out);
    ex_arena_done(&other.arena);
    tear_down(&f);
}

/* Change the lease behind the node's back, as a node that takes it over does. */
static void set_lease(fixture *f, const char *change)
{
    char sql[512];
    (void)snprintf(sql, sizeof(sql),
                   "WITH done AS (UPDATE %s.leases SET %s WHERE name = 'view:balance' RETURNING 1)"
                   " SELECT count(*) FROM done",
                   strstr(f->place.text, "schema=") + 7, change);
    assert_int_equal(raw_number(f, sql), 1);
}

/* Fencing: a node that still believes it holds the lease writes nothing under its old token, and
 * goes on when the lease comes back. (G-052) */
static void test_view_writes_nothing_under_an_old_token(void **ctx)
{
    (void)ctx;
    if (!store_place_is_server())
        return;
    fixture f;
    set_up(&f);
    uint64_t position = run(&f, "a", "open", "{\"owner\":\"ann\"}");
    wait_for_position(&f, position);
    set_lease(&f, "holder = gen_random_uuid(), token = token + 1,"
                  " expires_at = now() + interval '1 hour'");
    uint64_t after = run(&f, "a", "deposit", "{\"cents\":1}");
    wait_for_state(&f, EX_VIEW_STANDBY);
    assert_int_equal(raw_number(&f, "SELECT position FROM excore_views"), position);
    assert_int_equal(raw_number(&f, "SELECT moves FROM balance"), 0);
    assert_int_equal(query(&f, (ask){"account-count", .min_position = after, .timeout_ms = 50}),
                     EX_ETIMEOUT);
    set_lease(&f, "expires_at = now()");
    wait_for_position(&f, after);
    assert_int_equal(raw_number(&f, "SELECT moves FROM balance"), 1);
    assert_int_equal(view_status(&f).state, EX_VIEW_ACTIVE);
    tear_down(&f);
}

/* As when the runner rebuilds the view; on a connection of its own, so that the test has the time
 * to look. */
static ex_sql *begin_rebuild(fixture *f, ex_sql_tx *tx)
{
    ex_sql *db = NULL;
    ex_sql_options options = {.place = f->place.text, .schema_suffix = "_views"};
    if (ex_sql_open(&options, &db, &f->err) || ex_sql_begin(db, EX_SQL_WRITE, tx, &f->err) ||
        ex_sql_script(db,
                      "LOCK TABLE excore_views IN SHARE ROW EXCLUSIVE MODE;"
                      "CREATE TABLE anew (LIKE balance INCLUDING ALL); DROP TABLE balance;"
                      "ALTER TABLE anew RENAME TO balance; UPDATE excore_views SET position = 0",
                      &f->err))
        fail_msg("%s", f->err.message);
    return db;
}

typedef struct asking {
    fixture *f;
    ask what;
    ex_status status;
} asking;

static void *ask_on(void *ctx)
{
    asking *a = ctx;
    a->status = query(a->f, a->what);
    return NULL;
}

/* A query that meets a rebuild sees the rows of before or says that they are not there yet: never
 * an empty view at the position that it had. */
static void test_query_meets_a_rebuild(void **ctx)
{
    (void)ctx;
    if (!store_place_is_server())
        return; /* a reader of a file is held up by nothing */
    for (int is_waiting = 0; is_waiting < 2; is_waiting++) {
        fixture f;
        pthread_t thread;
        ex_sql_tx tx;
        set_up(&f);
        uint64_t position = fill(&f, 3);
        assert_int_equal(query(&f, (ask){"account-count", .min_position = position}), EX_OK);
        asking a = {&f,
                    {"account-count", .min_position = is_waiting ? position : 0, .timeout_ms = 50},
                    EX_OK};
        ex_sql *db = begin_rebuild(&f, &tx);
        assert_int_equal(pthread_create(&thread, NULL, ask_on, &a), 0);
        while (raw_number(&f,
                          "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation"
                          " WHERE NOT granted AND relname = 'balance'") == 0) {
        }
        assert_int_equal(ex_sql_commit(&tx, &f.err), EX_OK);
        assert_int_equal(pthread_join(thread, NULL), 0);
        if (is_waiting) {
            assert_int_equal(a.status, EX_EAGAIN); /* nothing tells the runner to look */
        } else {
            assert_int_equal(a.status, EX_OK);
            assert_int_equal(answer(&f, "count")->as.i64, 0);
            assert_int_equal(answer(&f, "position")->as.i64, 0);
        }
        ex_sql_close(db);
        tear_down(&f);
    }
}

/* What the log holds is what the view holds, quotes, comments and all. R-02-13 */
static void test_view_keeps_any_text(void **ctx)
{
    (void)ctx;
    static const char *const owners[] = {"it's", "\\\"; DROP TABLE balance; --",
                                         "/* :owner $1 ?1 */", "\\u00e9"};
    fixture f;
    set_up(&f);
    for (size_t i = 0; i < sizeof(owners) / sizeof(owners[0]); i++) {
        char id[16], payload[128];
        (void)snprintf(id, sizeof(id), "t%zu", i);
        (void)snprintf(payload, sizeof(payload), "{\"owner\":\"%s\"}", owners[i]);
        uint64_t position = run(&f, id, "open", payload);
        assert_int_equal(query(&f, (ask){"balances", payload, .min_position = position}), EX_OK);
        assert_int_equal(answer(&f, "items")->count, 1);
    }
    /* PostgreSQL has no text with a NUL, so none has one. issue 8, item 8 */
    assert_int_equal(query(&f, (ask){"balances", "{\"owner\":\"it\\u0000s\"}"}), EX_EINVAL);
    assert_string_equal(f.err.field, "owner");
    assert_int_equal(query(&f, (ask){"balances", "{\"owner\":\"it's\"}"}), EX_OK);
    tear_down(&f);
}

int main(int argc, char **argv)
{
    store_place_use(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_view_answers_what_a_command_did),
        cmocka_unit_test(test_query_right_after_the_first_start_waits_for_its_view),
        cmocka_unit_test(test_query_pages_cover_everything_once),
        cmocka_unit_test(test_query_limits_are_clamped),
        cmocka_unit_test(test_query_parameters),
        cmocka_unit_test(test_query_refusals),
        cmocka_unit_test(test_view_continues_at_its_checkpoint),
        cmocka_unit_test(test_view_is_rebuilt_when_its_version_rises_or_its_file_is_gone),
        cmocka_unit_test(test_view_failure_is_shown_and_tried_again),
        cmocka_unit_test(test_view_pause_resume_rebuild),
        cmocka_unit_test(test_view_passes_over_other_events),
        cmocka_unit_test(test_view_sees_what_came_while_it_rested),
        cmocka_unit_test(test_view_is_shared_by_nodes),
        cmocka_unit_test(test_view_writes_nothing_under_an_old_token),
        cmocka_unit_test(test_query_meets_a_rebuild),
        cmocka_unit_test(test_view_keeps_any_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
