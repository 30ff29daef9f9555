/* test_command.c: commands on a real store: outcomes, ids, state, conflicts, failures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>

#include <cmocka.h>

#include <excore/runtime.h>

#include "kernel/fingerprint.h"
#include "store/submission.h"
#include "support/accounts.h"
#include "support/shared_model.h"

typedef struct fixture {
    ex_store *store;
    ex_runtime *rt;
    ex_arena arena;
    ex_error err;
    atomic_uint slow_reports;
} fixture;

static void on_report(void *ctx, const char *what, const char *name, const ex_error *err)
{
    fixture *f = ctx;
    (void)name, (void)err;
    if (strcmp(what, "slow decide") == 0)
        atomic_fetch_add(&f->slow_reports, 1);
}

static void set_up_with(fixture *f, ex_runtime_options options)
{
    memset(f, 0, sizeof(*f));
    ex_store_options store = {.in_memory = true};
    ex_arena_init(&f->arena, 0);
    options.report = on_report;
    options.report_ctx = f;
    options.decide_warn_ms = 20;
    assert_int_equal(ex_store_open(NULL, &store, &f->store, &f->err), EX_OK);
    if (ex_runtime_start(f->store, &accounts_app, &options, &f->rt, &f->err))
        fail_msg("%s", f->err.message);
}

static void set_up(fixture *f)
{
    set_up_with(f, (ex_runtime_options){0});
}

static void tear_down(fixture *f)
{
    ex_runtime_stop(f->rt);
    ex_store_close(f->store);
    ex_arena_done(&f->arena);
}

static ex_command_call call_of(const char *id, const char *command, const char *payload)
{
    return (ex_command_call){.context = EX_S("bank"),
                             .aggregate = EX_S("account"),
                             .id = ex_str(id),
                             .command = ex_str(command),
                             .payload = ex_str(payload)};
}

static ex_status run(fixture *f, const char *id, const char *command, const char *payload)
{
    ex_command_call call = call_of(id, command, payload);
    return ex_command_run(f->rt, &call, &f->arena, &f->err);
}

static uint64_t version_of(fixture *f, const char *stream)
{
    uint64_t version = 0;
    assert_int_equal(ex_store_stream_version(f->store, ex_str(stream), &version, &f->err), EX_OK);
    return version;
}

static void test_command_appends_what_it_decides(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up(&f);
    ex_command_call call = call_of("a", "open", "{\"owner\":\"ann\"}");
    call.correlation_id = EX_S("corr-1");
    call.actor = EX_S("me");
    assert_int_equal(ex_command_run(f.rt, &call, &f.arena, &f.err), EX_OK);
    assert_int_equal(call.result.outcome, EX_EXECUTED);
    assert_int_equal(call.result.version, 1);
    assert_int_equal(call.result.position, 1);
    assert_int_equal(call.result.event_count, 1);
    assert_true(ex_slice_is(call.result.events[0].type, "AccountOpened"));

    ex_cursor *cursor = NULL;
    ex_event event;
    ex_read_stream read = {.stream = EX_S("account-a")};
    assert_int_equal(ex_store_read_stream(f.store, &read, &cursor, &f.err), EX_OK);
    assert_int_equal(ex_cursor_next(cursor, &event, &f.err), EX_OK);
    assert_true(ex_slice_is(event.data, "{\"account_id\":\"a\",\"owner\":\"ann\"}"));
    assert_true(ex_slice_is(event.metadata, "{\"$actor\":\"me\"}"));
    assert_true(ex_slice_is(event.correlation_id, "corr-1")); /* R-CB-11 */
    assert_int_not_equal(event.causation_id.len, 0);          /* R-HF-04: the command's id */
    assert_true(ex_id_eq(&event.id, &call.result.events[0].id));
    size_t at = 0;
    ex_slice tag = {NULL, 0};
    assert_true(ex_tags_next(event.tags, &at, &tag));
    assert_true(ex_slice_is(tag, "owner:ann"));
    ex_cursor_close(cursor);
    tear_down(&f);
}

/* G-022 */
static void test_command_refusals_write_nothing(void **ctx)
{
    (void)ctx;
    static const struct {
        const char *name, *id, *command, *payload;
        ex_status status;
        const char *code;
    } cases[] = {
        {"rejection", "nobody", "deposit", "{\"cents\":5}", EX_EREJECTED, "ACCOUNT_NOT_FOUND"},
        {"rejection by state", "a", "withdraw", "{\"cents\":5}", EX_EREJECTED,
         "INSUFFICIENT_FUNDS"},
        {"unknown command", "a", "explode", "{}", EX_ENOTFOUND, "UNKNOWN_COMMAND"},
        {"bad payload", "a", "deposit", "{\"cents\":0}", EX_EINVAL, "INVALID_INPUT"},
        {"unknown field", "a", "deposit", "{\"cents\":1,\"x\":1}", EX_EINVAL, "UNKNOWN_FIELD"},
        {"broken JSON", "a", "deposit", "{\"cents\":", EX_EMALFORMED, "MALFORMED_JSON"},
        {"duplicate key", "a", "deposit", "{\"cents\":1,\"cents\":2}", EX_EMALFORMED,
         "DUPLICATE_KEY"},
        {"other id in the body", "a", "deposit", "{\"account_id\":\"b\",\"cents\":1}", EX_EINVAL,
         "INVALID_INPUT"},
        {"control character in the id", "a\n", "deposit", "{\"cents\":1}", EX_EINVAL,
         "INVALID_INPUT"},
        {"bad UTF-8 in the id", "a\xff", "deposit", "{\"cents\":1}", EX_EINVAL, "INVALID_INPUT"},
        {"empty id", "", "deposit", "{\"cents\":1}", EX_EINVAL, "INVALID_INPUT"},
        {"a mistake of the domain code", "a", "break", "{}", EX_EINTERNAL, "INVALID_EVENT"},
        {"more events than an append holds", "a", "burst", "{\"cents\":101}", EX_EINTERNAL,
         "TOO_MANY_EVENTS"},
    };
    fixture f;
    set_up(&f);
    assert_int_equal(run(&f, "a", "open", "{\"owner\":\"ann\"}"), EX_OK);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_status st = run(&f, cases[i].id, cases[i].command, cases[i].payload);
        if (st != cases[i].status || strcmp(f.err.code, cases[i].code) != 0)
            fail_msg("%s: %d %s: %s", cases[i].name, st, f.err.code, f.err.message);
        assert_int_equal(ex_store_head(f.store), 1);
    }
    ex_command_call call = call_of("a", "deposit", "{\"cents\":1}");
    call.context = EX_S("nowhere");
    assert_int_equal(ex_command_run(f.rt, &call, &f.arena, &f.err), EX_ENOTFOUND);
    assert_string_equal(f.err.code, "UNKNOWN_CONTEXT");
    call.context = EX_S("bank");
    call.aggregate = EX_S("nothing");
    assert_int_equal(ex_command_run(f.rt, &call, &f.arena, &f.err), EX_ENOTFOUND);
    assert_string_equal(f.err.code, "UNKNOWN_AGGREGATE");
    tear_down(&f);
}

#define LONGEST "A123456789_123456789_123456789_123456789_123456789_123456789_123"

/* issue 9, item 8; G-960: a code is a word that clients can branch on, or a mistake of the application. */
static void test_command_rejects_with_a_code(void **ctx)
{
    (void)ctx;
    static const struct {
        const char *name, *code;
        bool is_code;
    } cases[] = {
        {"usual", "ORDER_NOT_FOUND", true}, {"one letter", "A", true},
        {"digits", "A1_2", true},           {"longest", LONGEST, true},
        {"too long", LONGEST "4", false},   {"empty", "", false},
        {"digit first", "1A", false},       {"underscore first", "_A", false},
        {"lower case", "Order", false},     {"spaces", "NOT FOUND", false},
        {"dash", "NOT-FOUND", false},       {"markup", "<B>", false},
        {"not ASCII", "GRÖSSE", false},
    };
    _Static_assert(sizeof(LONGEST) - 1 == EX_CODE_MAX, "the longest code");
    fixture f;
    set_up(&f);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char payload[128];
        (void)snprintf(payload, sizeof(payload), "{\"cents\":1,\"note\":\"%s\"}", cases[i].code);
        ex_status st = run(&f, "a", "refuse", payload);
        const char *want = cases[i].is_code ? cases[i].code : "INVALID_REJECTION";
        if (st != (cases[i].is_code ? EX_EREJECTED : EX_EINTERNAL) || strcmp(f.err.code, want) != 0)
            fail_msg("%s: %d %s: %s", cases[i].name, st, f.err.code, f.err.message);
        if (!cases[i].is_code && (!strstr(f.err.message, "command 'refuse' of account") ||
                                  !strstr(f.err.message, cases[i].code)))
            fail_msg("%s: %s", cases[i].name, f.err.message);
    }
    tear_down(&f);
}

/* With an id the rejection is stored: it comes back whole. */
static void test_command_keeps_a_long_code(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up(&f);
    for (int i = 0; i < 2; i++) {
        ex_command_call call = call_of("a", "refuse", "{\"cents\":1,\"note\":\"" LONGEST "\"}");
        call.command_id = EX_S("once");
        assert_int_equal(ex_command_run(f.rt, &call, &f.arena, &f.err), EX_EREJECTED);
        assert_string_equal(f.err.code, LONGEST);
    }
    tear_down(&f);
}

/* R-CB-07: the event is appended and the outcome says that it failed. */
static void test_command_business_failure_is_an_outcome(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up(&f);
    assert_int_equal(run(&f, "a", "open", "{\"owner\":\"ann\"}"), EX_OK);
    assert_int_equal(run(&f, "a", "deposit", "{\"cents\":7}"), EX_OK);
    ex_command_call call = call_of("a", "close", "");
    assert_int_equal(ex_command_run(f.rt, &call, &f.arena, &f.err), EX_OK);
    assert_int_equal(call.result.outcome, EX_FAILED);
    assert_true(ex_slice_is(call.result.reason, "7 cents are left"));
    assert_int_equal(call.result.version, 3);
    tear_down(&f);
}

static void test_command_without_events_succeeds(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up(&f);
    assert_int_equal(run(&f, "a", "open", "{\"owner\":\"ann\"}"), EX_OK);
    ex_command_call call = call_of("a", "close", "{}");
    assert_int_equal(ex_command_run(f.rt, &call, &f.arena, &f.err), EX_OK);
    assert_int_equal(call.result.event_count, 0);
    assert_int_equal(call.result.version, 1);
    assert_int_equal(call.result.position, 1);
    tear_down(&f);
}

/* R-CB-01, R-CB-02: once for each id, also for a rejection and a failure. (G-020) */
static void test_command_id_takes_effect_once(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up(&f);
    assert_int_equal(run(&f, "a", "open", "{\"owner\":\"ann\"}"), EX_OK);
    for (int i = 0; i < 3; i++) {
        ex_command_call call = call_of("a", "deposit", i ? "{ \"cents\": 5 }" : "{\"cents\":5}");
        call.command_id = EX_S("cmd-1");
        assert_int_equal(ex_command_run(f.rt, &call, &f.arena, &f.err), EX_OK);
        assert_int_equal(call.result.is_duplicate, i > 0);
        assert_int_equal(call.result.position, 2);
        assert_int_equal(call.result.version, 2);
        assert_int_equal(call.result.event_count, 1);
        assert_true(ex_slice_is(call.result.events[0].type, "MoneyMoved"));
    }
    for (int i = 0; i < 2; i++) {
        ex_command_call call = call_of("a", "withdraw", "{\"cents\":50}");
        call.command_id = EX_S("cmd-2");
        assert_int_equal(ex_command_run(f.rt, &call, &f.arena, &f.err), EX_EREJECTED);
        assert_string_equal(f.err.code, "INSUFFICIENT_FUNDS");
        /* money that comes later does not change the stored answer */
        assert_int_equal(run(&f, "a", "deposit", "{\"cents\":100}"), EX_OK);
    }
    for (int i = 0; i < 2; i++) {
        ex_command_call call = call_of("a", "close", "");
        call.command_id = EX_S("cmd-3");
        assert_int_equal(ex_command_run(f.rt, &call, &f.arena, &f.err), EX_OK);
        assert_int_equal(call.result.outcome, EX_FAILED);
        assert_true(ex_slice_is(call.result.reason, "205 cents are left"));
    }
    ex_command_call other = call_of("a", "deposit", "{\"cents\":6}");
    other.command_id = EX_S("cmd-1");
    assert_int_equal(ex_command_run(f.rt, &other, &f.arena, &f.err), EX_EIDEMPOTENCY);
    tear_down(&f);
}

typedef struct earlier {
    ex_submission submission; /* first */
    uint64_t fingerprint;
    ex_status status;
    sem_t done;
} earlier;

/* The outcome of "cmd-new", under another id and with the other fingerprint. */
static ex_status earlier_stage(ex_submission *s, ex_batch *b, ex_error *err)
{
    ex_command_record record = {0};
    ex_status st = ex_batch_command_find(b, EX_S("cmd-new"), &record, err);
    record.command_id = EX_S("cmd-old");
    record.fingerprint = ((earlier *)s)->fingerprint;
    return st ? st : ex_batch_command_record(b, &record, err);
}

static void earlier_done(ex_submission *s, ex_status status, const ex_error *err)
{
    (void)err;
    ((earlier *)s)->status = status;
    sem_post(&((earlier *)s)->done);
}

/* G-308 (issue 8, item 6): releases that rounded numbers to doubles made other fingerprints. */
static void test_command_id_of_an_earlier_release_is_recognised(void **ctx)
{
    (void)ctx;
    static const char *const parts[] = {"bank", "account", "a", "deposit", "{\"cents\":5}"};
    fixture f;
    set_up(&f);
    assert_int_equal(run(&f, "a", "open", "{\"owner\":\"ann\"}"), EX_OK);
    ex_command_call call = call_of("a", "deposit", "{\"cents\":5}");
    call.command_id = EX_S("cmd-new");
    assert_int_equal(ex_command_run(f.rt, &call, &f.arena, &f.err), EX_OK);

    earlier e = {.submission = {.stage = earlier_stage, .done = earlier_done},
                 .fingerprint = EX_FINGERPRINT_START};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        e.fingerprint = ex_fingerprint(e.fingerprint, ex_str(parts[i]));
    assert_int_equal(sem_init(&e.done, 0, 0), 0);
    assert_int_equal(ex_store_submit(f.store, &e.submission, &f.err), EX_OK);
    while (sem_wait(&e.done)) {
    } /* interrupted by a signal: wait on */
    assert_int_equal(e.status, EX_OK);
    sem_destroy(&e.done);

    static const char *const same[] = {"{\"cents\":5}", "{ \"cents\" : 5 }"};
    for (size_t i = 0; i < 2; i++) {
        call = call_of("a", "deposit", same[i]);
        call.command_id = EX_S("cmd-old");
        assert_int_equal(ex_command_run(f.rt, &call, &f.arena, &f.err), EX_OK);
        assert_true(call.result.is_duplicate);
        assert_int_equal(call.result.position, 2);
    }
    call = call_of("a", "deposit", "{\"cents\":6}");
    call.command_id = EX_S("cmd-old");
    assert_int_equal(ex_command_run(f.rt, &call, &f.arena, &f.err), EX_EIDEMPOTENCY);
    assert_int_equal(version_of(&f, "account-a"), 2);
    tear_down(&f);
}

typedef struct racer {
    fixture *f;
    uint32_t fresh, duplicates;
} racer;

static void *race(void *arg)
{
    racer *r = arg;
    for (int i = 0; i < 50; i++) {
        ex_arena arena;
        ex_arena_init(&arena, 0);
        char id[16];
        (void)snprintf(id, sizeof(id), "cmd-%d", i);
        ex_command_call call = call_of("a", "deposit", "{\"cents\":1}");
        call.command_id = ex_str(id);
        ex_error err;
        assert_int_equal(ex_command_run(r->f->rt, &call, &arena, &err), EX_OK);
        *(call.result.is_duplicate ? &r->duplicates : &r->fresh) += 1;
        ex_arena_done(&arena);
    }
    return NULL;
}

/* G-020 */
static void test_command_id_takes_effect_once_across_threads(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up(&f);
    assert_int_equal(run(&f, "a", "open", "{\"owner\":\"ann\"}"), EX_OK);
    pthread_t threads[4];
    racer racers[4];
    uint32_t fresh = 0;
    for (int i = 0; i < 4; i++) {
        racers[i] = (racer){&f, 0, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        fresh += racers[i].fresh;
    }
    assert_int_equal(fresh, 50);
    assert_int_equal(version_of(&f, "account-a"), 51);
    tear_down(&f);
}

static void test_command_expected_version(void **ctx)
{
    (void)ctx;
    static const struct {
        const char *name;
        ex_expected expected;
        ex_status want;
    } cases[] = {
        {"none, but it exists", {2}, EX_ECONFLICT},
        {"stale", {2 + 1}, EX_ECONFLICT},
        {"exact", {2 + 2}, EX_OK},
        {"exists", {1}, EX_OK},
        {"any", {0}, EX_OK},
    };
    fixture f;
    set_up(&f);
    ex_command_call absent = call_of("zzz", "deposit", "{\"cents\":1}");
    absent.expected = EX_EXISTS;
    assert_int_equal(ex_command_run(f.rt, &absent, &f.arena, &f.err), EX_ECONFLICT);
    assert_non_null(strstr(f.err.message, "does not exist"));
    assert_int_equal(run(&f, "a", "open", "{\"owner\":\"ann\"}"), EX_OK);
    assert_int_equal(run(&f, "a", "deposit", "{\"cents\":1}"), EX_OK);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_command_call call = call_of("a", "deposit", "{\"cents\":1}");
        call.expected = cases[i].expected;
        uint64_t before = version_of(&f, "account-a");
        ex_status st = ex_command_run(f.rt, &call, &f.arena, &f.err);
        if (st != cases[i].want)
            fail_msg("%s: %d", cases[i].name, st);
        if (st == EX_ECONFLICT)
            assert_int_equal(f.err.current, before);
    }
    tear_down(&f);
}

/* Events that did not come through a command are folded before the next decision. (G-021) */
static void test_command_sees_events_appended_beside_it(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up(&f);
    assert_int_equal(run(&f, "a", "open", "{\"owner\":\"ann\"}"), EX_OK);
    ex_new_event events[] = {
        {.type = EX_S("MoneyMoved"),
         .data = EX_S("{\"account_id\":\"a\",\"cents\":9,\"new_cents\":9}")},
        {.type = EX_S("AccountAudited"), .data = EX_S("{}")}, /* R-08-02: ignored, but it counts */
    };
    ex_stream_write write = {EX_S("account-a"), EX_EXACT(1), events, 2};
    ex_append append = {.writes = &write, .write_count = 1};
    assert_int_equal(ex_store_append(f.store, &append, NULL, &f.err), EX_OK);
    ex_command_call call = call_of("a", "withdraw", "{\"cents\":9}");
    assert_int_equal(ex_command_run(f.rt, &call, &f.arena, &f.err), EX_OK);
    assert_int_equal(call.result.version, 4);
    tear_down(&f);
}

static void test_command_reports_a_stored_event_that_does_not_fit(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up(&f);
    ex_new_event event = {.type = EX_S("MoneyMoved"), .data = EX_S("{\"cents\":\"many\"}")};
    ex_stream_write write = {EX_S("account-a"), EX_ANY, &event, 1};
    ex_append append = {.writes = &write, .write_count = 1};
    assert_int_equal(ex_store_append(f.store, &append, NULL, &f.err), EX_OK);
    assert_int_equal(run(&f, "a", "deposit", "{\"cents\":1}"), EX_ECORRUPT);
    assert_non_null(strstr(f.err.message, "MoneyMoved"));
    tear_down(&f);
}

/* The cache is a cache: with room for one state and many garbage-making events all is as before. */
static void test_command_states_survive_eviction_and_compaction(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up_with(&f, (ex_runtime_options){.state_cache_count = 1});
    assert_int_equal(run(&f, "a", "open", "{\"owner\":\"ann\"}"), EX_OK);
    assert_int_equal(run(&f, "b", "open", "{\"owner\":\"bob\"}"), EX_OK);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(
            run(&f, i % 2 ? "a" : "b", "deposit", "{\"cents\":1,\"note\":\"something to keep\"}"),
            EX_OK);
        ex_arena_reset(&f.arena);
    }
    assert_int_equal(run(&f, "a", "withdraw", "{\"cents\":100}"), EX_OK);
    assert_int_equal(run(&f, "a", "withdraw", "{\"cents\":1}"), EX_EREJECTED);
    assert_int_equal(run(&f, "b", "withdraw", "{\"cents\":101}"), EX_EREJECTED);
    tear_down(&f);

    set_up(&f);
    assert_int_equal(run(&f, "a", "open", "{\"owner\":\"ann\"}"), EX_OK);
    for (int i = 0; i < 500; i++) {
        assert_int_equal(run(&f, "a", "deposit", "{\"cents\":1,\"note\":\"something to keep\"}"),
                         EX_OK);
        ex_arena_reset(&f.arena);
    }
    assert_int_equal(run(&f, "a", "withdraw", "{\"cents\":501}"), EX_EREJECTED);
    assert_int_equal(run(&f, "a", "withdraw", "{\"cents\":500}"), EX_OK);
    tear_down(&f);
}

/* Three notes are kept: three short ones fit, three long ones do not. Garbage does not count. */
static void test_command_state_over_its_limit_fails_its_command_only(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up_with(&f, (ex_runtime_options){.state_limit_bytes = 3000, .state_cache_count = 1});
    char payload[1100];
    assert_int_equal(run(&f, "a", "open", "{\"owner\":\"ann\"}"), EX_OK);
    (void)snprintf(payload, sizeof(payload), "{\"cents\":1,\"note\":\"%0200d\"}", 7);
    for (int i = 0; i < 50; i++)
        assert_int_equal(run(&f, "a", "deposit", payload), EX_OK);
    assert_int_equal(run(&f, "b", "open", "{\"owner\":\"bob\"}"), EX_OK); /* evicts a */
    assert_int_equal(run(&f, "a", "deposit", payload), EX_OK);            /* folds 51 events */
    (void)snprintf(payload, sizeof(payload), "{\"cents\":1,\"note\":\"%0999d\"}", 7);
    ex_status st = EX_OK;
    for (int i = 0; i < 5 && !st; i++)
        st = run(&f, "a", "deposit", payload);
    assert_int_equal(st, EX_ETOOLARGE);
    assert_int_equal(run(&f, "b", "deposit", "{\"cents\":1}"), EX_OK);
    tear_down(&f);
}

/* A node that was alone decides without asking; when others were there, from what they appended. */
static void test_command_decides_anew_when_its_batch_believed_too_much(void **ctx)
{
    (void)ctx;
    fixture f = {0};
    ex_arena_init(&f.arena, 0);
    assert_int_equal(shared_model_open(&f.store, &f.err), EX_OK);
    assert_int_equal(
        ex_runtime_start(f.store, &accounts_app, &(ex_runtime_options){0}, &f.rt, &f.err), EX_OK);
    assert_int_equal(run(&f, "a", "open", "{\"owner\":\"Ada\"}"), EX_OK);
    for (int i = 0; i < 20; i++)
        assert_int_equal(run(&f, "a", "deposit", "{\"cents\":1}"), EX_OK);
    assert_true(atomic_load(&shared_model.begun_blind) > 0);

    /* the others take all but one: a state that kept our first decision would have the money */
    shared_model_others_append("account-a", "MoneyMoved",
                               "{\"account_id\":\"a\",\"cents\":-19,\"new_cents\":1}");
    shared_model_reset();
    assert_int_equal(run(&f, "a", "deposit", "{\"cents\":5}"), EX_OK);
    assert_int_equal(atomic_load(&shared_model.begun_blind), 1);
    assert_int_equal(atomic_load(&shared_model.begun), 1);
    assert_int_equal(version_of(&f, "account-a"), 23);
    assert_int_equal(run(&f, "a", "withdraw", "{\"cents\":7}"), EX_EREJECTED);
    assert_int_equal(run(&f, "a", "withdraw", "{\"cents\":6}"), EX_OK);
    tear_down(&f);
}

static void test_command_slow_decide_is_reported(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up(&f);
    atomic_store(&accounts_spin_ms, 200);
    assert_int_equal(run(&f, "a", "spin", "{}"), EX_OK);
    assert_int_equal(atomic_load(&f.slow_reports), 1); /* reported while it ran, once */
    tear_down(&f);
}

static void test_runtime_refuses_a_bad_application(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up(&f);
    ex_app app = accounts_app;
    const ex_context *contexts[2] = {accounts_app.contexts[0], accounts_app.contexts[0]};
    app.contexts = contexts;
    app.context_count = 2;
    ex_runtime *second = NULL;
    assert_int_equal(ex_runtime_start(f.store, &app, NULL, &second, &f.err),
                     EX_EEXISTS); /* R-01-24 */
    assert_non_null(strstr(f.err.message, "bank"));
    app.abi = 99;
    assert_int_equal(ex_runtime_start(f.store, &app, NULL, &second, &f.err), EX_EINVAL);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command_appends_what_it_decides),
        cmocka_unit_test(test_command_refusals_write_nothing),
        cmocka_unit_test(test_command_rejects_with_a_code),
        cmocka_unit_test(test_command_keeps_a_long_code),
        cmocka_unit_test(test_command_business_failure_is_an_outcome),
        cmocka_unit_test(test_command_without_events_succeeds),
        cmocka_unit_test(test_command_id_takes_effect_once),
        cmocka_unit_test(test_command_id_of_an_earlier_release_is_recognised),
        cmocka_unit_test(test_command_id_takes_effect_once_across_threads),
        cmocka_unit_test(test_command_expected_version),
        cmocka_unit_test(test_command_sees_events_appended_beside_it),
        cmocka_unit_test(test_command_reports_a_stored_event_that_does_not_fit),
        cmocka_unit_test(test_command_states_survive_eviction_and_compaction),
        cmocka_unit_test(test_command_state_over_its_limit_fails_its_command_only),
        cmocka_unit_test(test_command_decides_anew_when_its_batch_believed_too_much),
        cmocka_unit_test(test_command_slow_decide_is_reported),
        cmocka_unit_test(test_runtime_refuses_a_bad_application),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
