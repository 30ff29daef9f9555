/* store_fate.c: the answer to a COMMIT is lost, and so are the next connections; a batch arrives late.
 * PostgreSQL only. (issue 8, item 4) */
#include "conformance/store_suite.h"

#include <stdio.h>

#include "store/import.h"
#include "support/pg_proxy.h"

enum { EVENTS = 2, SHORT_MS = 300, ALONE = 20, LATE_SESSION_MS = 2000 };

#define SKIP_WITHOUT_POSTGRES(s)                                                                   \
    if ((s)->driver != SUITE_POSTGRES)                                                             \
    skip()

typedef struct fixture {
    pg_proxy *proxy;
    ex_store *store;
    ex_event_ref refs[EVENTS];
    ex_appended ret;
    ex_error err;
} fixture;

static ex_status append(fixture *f, const ex_event_ref *ids)
{
    ex_new_event events[EVENTS] = {EVENT("Paid", "{}"), EVENT("Sent", "{}")};
    for (int i = 0; ids && i < EVENTS; i++)
        events[i].id = ids[i].id;
    ex_stream_write write = {EX_S("order-1"), EX_ANY, events, EVENTS};
    ex_append append = {.writes = &write, .write_count = 1};
    f->ret = (ex_appended){.events = f->refs, .event_room = EVENTS};
    return ex_store_append(f->store, &append, &f->ret, &f->err);
}

static void must_append(fixture *f, const ex_event_ref *ids)
{
    if (append(f, ids))
        fail_msg("%s", f->err.message);
}

/* A node of its own, behind the proxy, with its statements prepared. */
static void set_up_with(const suite *s, ex_store_options options, fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->proxy = pg_proxy_new(s->dir);
    if (ex_store_open(pg_proxy_url(f->proxy), &options, &f->store, &f->err))
        fail_msg("%s", f->err.message);
    must_append(f, NULL);
}

static void set_up(const suite *s, uint32_t outcome_wait_ms, fixture *f)
{
    set_up_with(s, (ex_store_options){.outcome_wait_ms = outcome_wait_ms}, f);
}

static void tear_down(fixture *f)
{
    ex_store_close(f->store);
    pg_proxy_free(f->proxy);
}

/* By another node. */
static uint64_t head_of(const suite *s)
{
    uint64_t head = 0;
    assert_int_equal(ex_store_read_head(s->store, &head, NULL), EX_OK);
    return head;
}

/* G-303. Asked for until it is known: also when the connection that asks is lost. */
static void test_fate_is_asked_for_again(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_POSTGRES(s);
    fixture f;
    set_up(s, 0, &f);
    pg_proxy_lose_commit_answers(f.proxy, 3); /* of the batch, then of those who ask */
    must_append(&f, NULL);
    assert_int_equal(pg_proxy_losses(f.proxy), 3);
    assert_int_equal(f.ret.position, 2 * EVENTS);
    assert_false(f.ret.is_duplicate);
    assert_int_equal(head_of(s), 2 * EVENTS);
    must_append(&f, NULL);
    assert_int_equal(f.ret.position, 3 * EVENTS);
    tear_down(&f);
}

/* G-300, G-303. Nobody answers in time: unknown, with the ids, and later batches find out. */
static void test_fate_is_unknown_when_time_is_up(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_POSTGRES(s);
    static const struct {
        const char *name;
        bool is_stored;
    } cases[] = {{"the answer was lost", true}, {"the question was lost", false}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fixture f;
        set_up(s, SHORT_MS, &f);
        uint64_t head = head_of(s);
        pg_proxy_refuse_after_loss(f.proxy);
        if (cases[i].is_stored)
            pg_proxy_lose_commit_answers(f.proxy, 1);
        else
            pg_proxy_lose_question(f.proxy, "Sent"); /* a type: it is in the INSERT only */
        ex_status st = append(&f, NULL);
        if (st != EX_EOUTCOME)
            fail_msg("%s: %s: %s", cases[i].name, f.err.code, f.err.message);
        assert_int_equal(f.ret.event_count, EVENTS);
        ex_event_ref ids[EVENTS];
        memcpy(ids, f.refs, sizeof(ids));
        assert_int_equal(head_of(s), head + (cases[i].is_stored ? EVENTS : 0));
        assert_int_equal(append(&f, NULL), EX_ESTORAGE); /* it cannot even begin */
        pg_proxy_admit(f.proxy);
        must_append(&f, ids);
        if (f.ret.is_duplicate != cases[i].is_stored)
            fail_msg("%s: duplicate %d", cases[i].name, f.ret.is_duplicate);
        assert_int_equal(f.ret.position, head + EVENTS);
        assert_int_equal(head_of(s), head + EVENTS);
        tear_down(&f);
    }
}

/* G-830. The batch's COMMIT, or all of the batch, is lost, and each connection after it ends at its
 * first piece, then at its second one, and so on, once to three times. */
static void test_fate_is_exact_wherever_connections_end(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_POSTGRES(s);
    fixture f;
    set_up(s, 0, &f);
    unsigned at = 1;
    for (bool is_cut = true; is_cut; at++) {
        bool is_stored = at % 2;
        unsigned losses = pg_proxy_losses(f.proxy);
        uint64_t head = head_of(s);
        pg_proxy_cut_connections(f.proxy, at, 1 + at % 3);
        if (is_stored)
            pg_proxy_lose_commit_answers(f.proxy, 1);
        else
            pg_proxy_lose_question(f.proxy, "Sent");
        ex_status st = append(&f, NULL);
        is_cut = pg_proxy_losses(f.proxy) > losses + 1;
        pg_proxy_cut_connections(f.proxy, 0, 0);
        if (st != EX_OK && (is_stored || st != EX_ESTORAGE))
            fail_msg("cut at %u: %s: %s", at, f.err.code, f.err.message);
        assert_int_equal(head_of(s), head + (st ? 0 : EVENTS));
        if (st == EX_OK)
            assert_int_equal(f.ret.position, head + EVENTS);
        must_append(&f, NULL);
        assert_false(f.ret.is_duplicate);
    }
    assert_true(at > 6); /* startup, settings, the question, the fence, and their answers */
    tear_down(&f);
}

/* ---- A batch that arrives late ---- */

/* As long as it takes to send all of a batch at once. */
static void be_alone(fixture *f)
{
    for (int i = 0; i < ALONE; i++)
        must_append(f, NULL);
}

/* A batch has begun and has seen the log's end: what became of the one before is decided. */
static void refuse_one(fixture *f)
{
    const ex_new_event event = EVENT("Never", "{}");
    ex_stream_write write = {EX_S("order-1"), EX_EXACT(1000), &event, 1};
    ex_append append = {.writes = &write, .write_count = 1};
    assert_int_equal(ex_store_append(f->store, &append, NULL, &f->err), EX_ECONFLICT);
}

/* G-830. What has been decided stays so: the late batch is refused by the server itself. */
static void test_fate_late_batch_changes_nothing(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_POSTGRES(s);
    static const struct {
        const char *name;
        bool is_decided; /* before the batch arrives */
    } cases[] = {{"it arrives before the question", false},
                 {"it arrives after the question", true}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool is_decided = cases[i].is_decided;
        fixture f;
        set_up(s, SHORT_MS, &f);
        be_alone(&f);
        uint64_t head = head_of(s);
        pg_proxy_refuse_after_loss(f.proxy);
        pg_proxy_hold_question(f.proxy, "Sent");
        assert_int_equal(append(&f, NULL), EX_EOUTCOME);
        ex_event_ref ids[EVENTS];
        memcpy(ids, f.refs, sizeof(ids));
        if (!is_decided)
            pg_proxy_deliver(f.proxy);
        pg_proxy_admit(f.proxy);
        refuse_one(&f);
        if (is_decided)
            pg_proxy_deliver(f.proxy);
        if (head_of(s) != head + (is_decided ? 0 : EVENTS))
            fail_msg("%s: the log ends at %llu", cases[i].name, (unsigned long long)head_of(s));
        must_append(&f, ids);
        assert_int_equal(f.ret.is_duplicate, !is_decided);
        assert_int_equal(head_of(s), head + EVENTS);
        must_append(&f, NULL);
        assert_int_equal(f.ret.position, head + 2 * EVENTS);
        tear_down(&f);
    }
}

/* G-830. The store has repeated the batch itself, by asking or blind again, when it arrives. */
static void test_fate_late_batch_is_not_there_twice(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_POSTGRES(s);
    fixture f;
    set_up(s, 0, &f);
    be_alone(&f);
    uint64_t head = head_of(s);
    pg_proxy_hold_question(f.proxy, "Sent");
    must_append(&f, NULL);
    assert_int_equal(f.ret.position, head + EVENTS);
    pg_proxy_deliver(f.proxy);
    assert_int_equal(head_of(s), head + EVENTS);
    must_append(&f, NULL);
    assert_int_equal(f.ret.position, head + 2 * EVENTS);
    tear_down(&f);
}

/* G-830. A batch that has asked holds the lock when its second half is late: those who ask wait until
 * the server ends its session. */
static void test_fate_late_half_of_a_batch_finds_no_session(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_POSTGRES(s);
    fixture f;
    set_up_with(s, (ex_store_options){.answer_timeout_ms = LATE_SESSION_MS}, &f);
    uint64_t head = head_of(s);
    const ex_event_ref ids[EVENTS] = {{.id = suite_id(1)}, {.id = suite_id(2)}};
    pg_proxy_hold_question(f.proxy, "Sent");
    ex_status st = append(&f, ids);
    if (st != EX_ESTORAGE && st != EX_EOUTCOME)
        fail_msg("status %d: %s", st, f.err.message);
    while (append(&f, ids)) {
    }
    assert_false(f.ret.is_duplicate);
    assert_int_equal(f.ret.position, head + EVENTS);
    pg_proxy_deliver(f.proxy);
    assert_int_equal(head_of(s), head + EVENTS);
    tear_down(&f);
}

int store_fate_tests(suite *s)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_fate_is_asked_for_again),
        STORE_TEST(test_fate_is_unknown_when_time_is_up),
        STORE_TEST(test_fate_is_exact_wherever_connections_end),
        STORE_TEST(test_fate_late_batch_changes_nothing),
        STORE_TEST(test_fate_late_batch_is_not_there_twice),
        STORE_TEST(test_fate_late_half_of_a_batch_finds_no_session),
    };
    return cmocka_run_group_tests_name("store fate", tests, NULL, NULL);
}
