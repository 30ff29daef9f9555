/* test_view_parked.c: events that a view cannot apply: parked, shown, and tried again by a rebuild.
 * R-PC-03, R-PC-05, R-PC-11, R-CB-16. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <excore/runtime.h>

#include "support/accounts.h"
#include "support/store_place.h"

#define FITS     "{\"account_id\":\"a\",\"cents\":1,\"new_cents\":%d}"
#define LISTED   64
#define MOVED    "MoneyMoved"
#define NO_LIMIT 1000000

typedef struct parked {
    uint64_t position;
    uint32_t attempts;
    char type[32], stream[32], reason[256], settled[64];
} parked;

typedef struct fixture {
    store_place place;
    ex_runtime_options options;
    ex_store *store;
    ex_runtime *rt;
    ex_arena arena;
    ex_error err;
    parked list[LISTED];
    uint32_t listed;
} fixture;

static void start(fixture *f)
{
    f->options.dir = f->place.text;
    f->options.view_retry_ms = 1;
    f->options.view_batch_events = 10;
    if (ex_store_open(f->place.text, NULL, &f->store, &f->err) ||
        ex_runtime_start(f->store, &accounts_app, &f->options, &f->rt, &f->err))
        fail_msg("%s", f->err.message);
}

static void stop(fixture *f)
{
    ex_runtime_stop(f->rt);
    ex_store_close(f->store);
}

static void set_up(fixture *f, ex_runtime_options options)
{
    memset(f, 0, sizeof(*f));
    f->place = store_place_make();
    f->options = options;
    ex_arena_init(&f->arena, 0);
    atomic_store(&accounts_view_fails, false);
    atomic_store(&accounts_view_failure, EX_EINTERNAL);
    start(f);
}

static void tear_down(fixture *f)
{
    stop(f);
    ex_arena_done(&f->arena);
    store_place_remove(&f->place);
}

/* Appended behind the runtime's back, as an older application or a hand would. */
static uint64_t put(fixture *f, const char *type, const char *data)
{
    ex_new_event event = {.type = ex_str(type), .data = ex_str(data)};
    ex_stream_write write = {EX_S("account-a"), EX_ANY, &event, 1};
    ex_append append = {.writes = &write, .write_count = 1};
    ex_appended done = {0};
    if (ex_store_append(f->store, &append, &done, &f->err))
        fail_msg("%s", f->err.message);
    return done.position;
}

static uint64_t put_opened(fixture *f)
{
    return put(f, "AccountOpened", "{\"account_id\":\"a\",\"owner\":\"ann\"}");
}

static uint64_t put_moved(fixture *f, int new_cents)
{
    char data[128];
    (void)snprintf(data, sizeof(data), FITS, new_cents);
    return put(f, MOVED, data);
}

static ex_view_status status_of(fixture *f)
{
    ex_view_status status;
    assert_true(ex_runtime_view_status(f->rt, 0, &status));
    return status;
}

/* Up to ten seconds. */
static void wait_for_position(fixture *f, uint64_t position)
{
    struct timespec pause = {0, 1000000};
    for (int i = 0; i < 10000 && status_of(f).position < position; i++)
        nanosleep(&pause, NULL);
    ex_view_status status = status_of(f);
    if (status.position < position)
        fail_msg("at %llu: %s", (unsigned long long)status.position, status.error);
}

/* What somebody settles shows in the status a moment after it is in the database. */
static void wait_for_parked(fixture *f, uint64_t count)
{
    struct timespec pause = {0, 1000000};
    for (int i = 0; i < 10000 && status_of(f).parked != count; i++)
        nanosleep(&pause, NULL);
    assert_int_equal(status_of(f).parked, count);
}

static void wait_for_error(fixture *f, const char *text)
{
    struct timespec pause = {0, 1000000};
    for (int i = 0; i < 10000 && !strstr(status_of(f).error, text); i++)
        nanosleep(&pause, NULL);
    assert_non_null(strstr(status_of(f).error, text));
}

static void keep(void *ctx, const ex_parked_event *e)
{
    fixture *f = ctx;
    assert_true(f->listed < LISTED);
    parked *p = &f->list[f->listed++];
    p->position = e->position;
    p->attempts = e->attempts;
    (void)snprintf(p->type, sizeof(p->type), "%.*s", EX_ARG(e->type));
    (void)snprintf(p->stream, sizeof(p->stream), "%.*s", EX_ARG(e->stream));
    (void)snprintf(p->reason, sizeof(p->reason), "%.*s", EX_ARG(e->reason));
    if (e->settled_at_us)
        (void)snprintf(p->settled, sizeof(p->settled), "%s %.*s %.*s",
                       e->state == EX_PARKED_SKIPPED ? "skipped" : "open", EX_ARG(e->settled_by),
                       EX_ARG(e->note));
    assert_true(e->parked_at_us > 0);
}

static void list(fixture *f, uint64_t after, uint32_t limit)
{
    f->listed = 0;
    if (ex_runtime_view_parked(f->rt, "balance", after, limit, keep, f, &f->err))
        fail_msg("%s", f->err.message);
}

/* {"item":{…}} of account a: cents and moves. */
static void assert_balance(fixture *f, int64_t cents, int64_t moves)
{
    ex_json params, answer;
    ex_buf out;
    ex_buf_init(&out, 0);
    assert_int_equal(ex_json_parse(EX_S("{\"account_id\":\"a\"}"), &f->arena, NULL, &params, NULL),
                     EX_OK);
    ex_query_call call = {.context = EX_S("bank"), .query = EX_S("balance"), .params = &params};
    assert_int_equal(ex_query_run(f->rt, &call, &f->arena, &out, &f->err), EX_OK);
    assert_int_equal(ex_json_parse(ex_buf_slice(&out), &f->arena, NULL, &answer, NULL), EX_OK);
    const ex_json *item = ex_json_get(&answer, EX_S("item"));
    assert_int_equal(ex_json_get(item, EX_S("cents"))->as.i64, cents);
    assert_int_equal(ex_json_get(item, EX_S("moves"))->as.i64, moves);
    ex_buf_done(&out);
}

/* G-033 */
static void test_view_parked_event_that_does_not_fit_its_type(void **ctx)
{
    (void)ctx;
    static const char *const bad[] = {
        "{\"account_id\":7}", /* wrong kind */
        "{}",                 /* a required field is missing */
        "[1,2]",              /* no object */
        "17",
    };
    fixture f;
    set_up(&f, (ex_runtime_options){0});
    uint64_t last = put_opened(&f), faulty[4];
    for (int i = 0; i < 4; i++) {
        last = put_moved(&f, i + 1);
        faulty[i] = put(&f, MOVED, bad[i]);
    }
    last = put_moved(&f, 9);
    wait_for_position(&f, last);
    ex_view_status status = status_of(&f);
    assert_int_equal(status.parked, 4);
    assert_int_equal(status.lag, 0);
    assert_int_not_equal(status.state, EX_VIEW_ERROR);
    assert_balance(&f, 9, 5);
    list(&f, 0, LISTED);
    assert_int_equal(f.listed, 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(f.list[i].position, faulty[i]);
        assert_int_equal(f.list[i].attempts, 1); /* no second attempt can go better */
        assert_string_equal(f.list[i].type, MOVED);
        assert_string_equal(f.list[i].stream, "account-a");
        assert_non_null(strstr(f.list[i].reason, "MoneyMoved at position"));
    }
    list(&f, faulty[1], 1);
    assert_int_equal(f.listed, 1);
    assert_int_equal(f.list[0].position, faulty[2]);
    assert_int_equal(ex_runtime_view_parked(f.rt, "none", 0, 1, keep, &f, &f.err), EX_ENOTFOUND);
    tear_down(&f);
}

/* What is parked stays so over a restart, and a rebuild tries it again. */
static void test_view_parked_events_survive_a_restart_and_a_rebuild_tries_them(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up(&f, (ex_runtime_options){.view_attempts = 1});
    put_opened(&f);
    put(&f, MOVED, "{}");
    atomic_store(&accounts_view_fails, true);
    uint64_t last = put_moved(&f, 3);
    wait_for_position(&f, last);
    assert_int_equal(status_of(&f).parked, 2);
    stop(&f);
    start(&f);
    wait_for_position(&f, last);
    assert_int_equal(status_of(&f).parked, 2);
    atomic_store(&accounts_view_fails, false);
    assert_int_equal(ex_runtime_view_rebuild(f.rt, "balance", &f.err), EX_OK);
    last = put_moved(&f, 4);
    wait_for_position(&f, last);
    for (int i = 0; i < 10000 && status_of(&f).parked != 1; i++)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    wait_for_position(&f, last);
    assert_int_equal(status_of(&f).parked, 1);
    assert_balance(&f, 4, 2);
    tear_down(&f);
}

/* A handler that fails for good is tried as often as it may, then the view goes on. (G-033) */
static void test_view_parked_when_a_handler_is_out_of_attempts(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up(&f, (ex_runtime_options){.view_attempts = 3});
    put_opened(&f);
    put_moved(&f, 1);
    wait_for_position(&f, 2);
    atomic_store(&accounts_view_fails, true);
    put_moved(&f, 2);
    uint64_t last = put_moved(&f, 3);
    wait_for_position(&f, last);
    atomic_store(&accounts_view_fails, false);
    last = put_moved(&f, 4);
    wait_for_position(&f, last);
    assert_balance(&f, 4, 2);
    list(&f, 0, LISTED);
    assert_int_equal(f.listed, 2);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(f.list[i].attempts, 3);
        assert_non_null(strstr(f.list[i].reason, "told to fail"));
    }
    tear_down(&f);
}

/* What passes is waited for, however long it takes. (G-034) */
static void test_view_parked_never_for_a_failure_that_passes(void **ctx)
{
    (void)ctx;
    static const ex_status passing[] = {EX_ESTORAGE, EX_EAGAIN, EX_ETIMEOUT, EX_ENOMEM};
    for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++) {
        fixture f;
        set_up(&f, (ex_runtime_options){.view_attempts = 1});
        uint64_t opened = put_opened(&f);
        wait_for_position(&f, opened);
        atomic_store(&accounts_view_failure, (int)passing[i]);
        atomic_store(&accounts_view_fails, true);
        uint64_t last = put_moved(&f, 5);
        wait_for_error(&f, "told to fail");
        assert_int_equal(status_of(&f).position, opened);
        atomic_store(&accounts_view_fails, false);
        wait_for_position(&f, last);
        assert_int_equal(status_of(&f).parked, 0);
        assert_balance(&f, 5, 1);
        tear_down(&f);
    }
}

/* What came before the failing event is kept while it waits. */
static void test_view_parked_keeps_what_came_before(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up(&f, (ex_runtime_options){.view_attempts = NO_LIMIT});
    stop(&f);
    assert_int_equal(ex_store_open(f.place.text, NULL, &f.store, &f.err), EX_OK);
    put_opened(&f);
    put(&f, MOVED, "{}");
    put(&f, "AccountOpened", "{\"account_id\":\"b\",\"owner\":\"bob\"}");
    uint64_t last = put_moved(&f, 5);
    ex_store_close(f.store);
    atomic_store(&accounts_view_fails, true);
    start(&f);
    wait_for_position(&f, last - 1);
    wait_for_error(&f, "told to fail");
    assert_int_equal(status_of(&f).parked, 1);
    atomic_store(&accounts_view_fails, false);
    wait_for_position(&f, last);
    assert_balance(&f, 5, 1);
    tear_down(&f);
}

/* Bounded: a view whose every event fails stops, and says why. */
static void test_view_parked_events_have_a_limit(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up(&f, (ex_runtime_options){.view_parked_limit = 3});
    put_opened(&f);
    uint64_t positions[4];
    for (int i = 0; i < 4; i++)
        positions[i] = put(&f, MOVED, "{}");
    put_moved(&f, 1);
    wait_for_error(&f, "3 events are parked, no more can be");
    assert_int_equal(status_of(&f).parked, 3);
    assert_int_equal(status_of(&f).position, positions[2]);
    assert_int_equal(status_of(&f).state, EX_VIEW_ERROR);
    tear_down(&f);
}

/* A key with a NUL byte in it is another key, also in the rows that a transaction keeps. */
static void test_view_parked_key_with_a_nul_is_no_other_row(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up(&f, (ex_runtime_options){.view_attempts = 2});
    ex_new_event events[] = {
        {.type = EX_S("AccountOpened"), .data = EX_S("{\"account_id\":\"a\",\"owner\":\"ann\"}")},
        {.type = EX_S(MOVED),
         .data = EX_S("{\"account_id\":\"a\\u0000x\",\"cents\":1,\"new_cents\":77}")},
    };
    ex_stream_write write = {EX_S("account-a"), EX_ANY, events, 2};
    ex_append append = {.writes = &write, .write_count = 1};
    ex_appended done = {0};
    if (ex_store_append(f.store, &append, &done, &f.err))
        fail_msg("%s", f.err.message);
    wait_for_position(&f, done.position);
    assert_balance(&f, 0, 0);
    list(&f, 0, NO_LIMIT);
    assert_int_equal(f.listed, 1);
    assert_int_equal(f.list[0].position, done.position);
    tear_down(&f);
}

/* Two hundred in a row, over many transactions: all aside, all others applied. */
static void test_view_parked_many_in_a_row(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up(&f, (ex_runtime_options){0});
    uint64_t last = put_opened(&f);
    for (int i = 1; i <= 200; i++) {
        put(&f, MOVED, "{}");
        if (i % 20 == 0)
            last = put_moved(&f, i);
    }
    wait_for_position(&f, last);
    assert_int_equal(status_of(&f).parked, 200);
    assert_balance(&f, 200, 10);
    tear_down(&f);
}

/* ---- Settling: issue 9, item 7 ---- */

static ex_view_retried retry(fixture *f, ex_runtime *rt, uint64_t position)
{
    ex_view_retried done = {0};
    if (ex_runtime_view_retry(rt, "balance", position, EX_S("ann"), 10000, &done, &f->err))
        fail_msg("%s", f->err.message);
    assert_int_equal(done.waiting, 0);
    return done;
}

/* Opened, then 1, 2, 3 parked by a handler that fails, 4 applied. @return the position of 1 */
static uint64_t park_three(fixture *f)
{
    put_opened(f);
    atomic_store(&accounts_view_fails, true);
    uint64_t first = put_moved(f, 1);
    put_moved(f, 2);
    wait_for_position(f, put_moved(f, 3));
    atomic_store(&accounts_view_fails, false);
    wait_for_position(f, put_moved(f, 4));
    assert_int_equal(status_of(f).parked, 3);
    assert_balance(f, 4, 1);
    return first;
}

/* A retry applies the event now, once, and the view stands where it stood. G-714 */
static void test_view_parked_event_is_applied_when_somebody_asks(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up(&f, (ex_runtime_options){.view_attempts = 1});
    uint64_t first = park_three(&f), position = status_of(&f).position;
    ex_view_retried done = retry(&f, f.rt, first + 1);
    assert_int_equal(done.asked, 1);
    assert_int_equal(done.applied, 1);
    assert_balance(&f, 2, 2);
    assert_int_equal(status_of(&f).position, position);
    ex_view_retried none;
    assert_int_equal(
        ex_runtime_view_retry(f.rt, "balance", first + 1, EX_S(""), 100, &none, &f.err),
        EX_ENOTFOUND);
    assert_non_null(strstr(f.err.message, "view 'balance' has no parked event at position 3"));
    done = retry(&f, f.rt, 0); /* the rest, in the order of the log */
    assert_int_equal(done.applied, 2);
    assert_balance(&f, 3, 4);
    wait_for_parked(&f, 0);
    list(&f, 0, LISTED);
    assert_int_equal(f.listed, 0);
    assert_int_equal(retry(&f, f.rt, 0).asked, 0);
    stop(&f);
    start(&f);
    wait_for_position(&f, position);
    assert_balance(&f, 3, 4);
    tear_down(&f);
}

/* One that fails again is parked as before, with the reason of this time. G-714 */
static void test_view_parked_event_that_fails_again_stays_parked(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up(&f, (ex_runtime_options){.view_attempts = 1});
    uint64_t first = park_three(&f);
    list(&f, 0, 1);
    uint32_t attempts = f.list[0].attempts;
    atomic_store(&accounts_view_fails, true);
    atomic_store(&accounts_view_failure,
                 EX_EAGAIN); /* would be tried for ever in the log's order */
    ex_view_retried done = retry(&f, f.rt, first);
    assert_int_equal(done.applied, 0);
    assert_int_equal(done.parked_again, 1);
    atomic_store(&accounts_view_fails, false);
    list(&f, 0, 1);
    assert_int_equal(f.list[0].attempts, attempts + 1);
    wait_for_parked(&f, 3);
    wait_for_position(&f, put_moved(&f, 5)); /* the view itself goes on */
    assert_balance(&f, 5, 2);
    tear_down(&f);
}

/* A skipped event is settled, also where a rebuild cannot apply it. G-715 */
static void test_view_parked_event_is_skipped_for_a_reason(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up(&f, (ex_runtime_options){0});
    put_opened(&f);
    uint64_t bad = put(&f, MOVED, "{}"), last = put_moved(&f, 4);
    wait_for_position(&f, last);
    assert_int_equal(ex_runtime_view_skip(f.rt, "balance", bad, EX_S("ann"), EX_S(""), &f.err),
                     EX_EINVAL);
    assert_int_equal(
        ex_runtime_view_skip(f.rt, "balance", bad + 1, EX_S("ann"), EX_S("old"), &f.err),
        EX_ENOTFOUND);
    if (ex_runtime_view_skip(f.rt, "balance", bad, EX_S("ann"), EX_S("a test of 2019"), &f.err))
        fail_msg("%s", f.err.message);
    wait_for_parked(&f, 0);
    assert_int_equal(retry(&f, f.rt, 0).asked, 0); /* all: those that are parked */
    assert_int_equal(ex_runtime_view_rebuild(f.rt, "balance", &f.err), EX_OK);
    last = put_moved(&f, 5);
    struct timespec pause = {0, 1000000};
    for (int i = 0; i < 10000 && status_of(&f).state != EX_VIEW_ACTIVE; i++)
        nanosleep(&pause, NULL);
    wait_for_position(&f, last);
    wait_for_parked(&f, 0);
    list(&f, 0, LISTED);
    assert_int_equal(f.listed, 1);
    assert_string_equal(f.list[0].settled, "skipped ann a test of 2019");
    assert_int_equal(retry(&f, f.rt, bad).parked_again, 1); /* this one: skipped or not */
    wait_for_parked(&f, 1);
    tear_down(&f);
}

/* Whichever node is asked, the one that holds the view's lease does it. G-714 */
static void test_view_parked_event_is_settled_through_any_node(void **ctx)
{
    (void)ctx;
    fixture f;
    ex_store *store = NULL;
    ex_runtime *other = NULL;
    if (!store_place_is_server())
        return;
    set_up(&f, (ex_runtime_options){.view_attempts = 1});
    uint64_t first = park_three(&f);
    if (ex_store_open(f.place.text, NULL, &store, &f.err) ||
        ex_runtime_start(store, &accounts_app, &f.options, &other, &f.err))
        fail_msg("%s", f.err.message);
    ex_view_status standby;
    struct timespec pause = {0, 1000000};
    for (int i = 0; i < 10000 && ex_runtime_view_status(other, 0, &standby) &&
                    standby.state != EX_VIEW_STANDBY;
         i++)
        nanosleep(&pause, NULL);
    assert_int_equal(standby.state, EX_VIEW_STANDBY);
    assert_int_equal(retry(&f, other, first).applied, 1);
    assert_int_equal(retry(&f, f.rt, first + 1).applied, 1);
    assert_int_equal(
        ex_runtime_view_skip(other, "balance", first + 2, EX_S("ann"), EX_S("why"), &f.err), EX_OK);
    wait_for_parked(&f, 0);
    assert_balance(&f, 2, 3);
    ex_runtime_stop(other);
    ex_store_close(store);
    tear_down(&f);
}

int main(int argc, char **argv)
{
    store_place_use(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_view_parked_event_that_does_not_fit_its_type),
        cmocka_unit_test(test_view_parked_events_survive_a_restart_and_a_rebuild_tries_them),
        cmocka_unit_test(test_view_parked_when_a_handler_is_out_of_attempts),
        cmocka_unit_test(test_view_parked_never_for_a_failure_that_passes),
        cmocka_unit_test(test_view_parked_keeps_what_came_before),
        cmocka_unit_test(test_view_parked_events_have_a_limit),
        cmocka_unit_test(test_view_parked_key_with_a_nul_is_no_other_row),
        cmocka_unit_test(test_view_parked_many_in_a_row),
        cmocka_unit_test(test_view_parked_event_is_applied_when_somebody_asks),
        cmocka_unit_test(test_view_parked_event_that_fails_again_stays_parked),
        cmocka_unit_test(test_view_parked_event_is_skipped_for_a_reason),
        cmocka_unit_test(test_view_parked_event_is_settled_through_any_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
