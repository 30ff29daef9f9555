/* test_rest_commands.c: commands and queries over HTTP, with a small application of its own
 * (R-CB-01, R-CB-06, R-QA-01 to R-QA-04). */
#include "support/api_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- The application: accounts that money is put into and taken from ---- */

typedef struct account {
    int64_t balance;
} account;
static const ex_type account_type = {"Account", 1, sizeof(account), NULL, 0, NULL};

typedef struct deposit {
    ex_slice account_id;
    int64_t amount;
} deposit;
EX_TYPE(deposit, "Deposit", EX_KEY(deposit, account_id),
        EX_FIELD(deposit, amount, .min = 1, .max = 1000));

typedef struct withdraw {
    ex_slice account_id;
    int64_t amount;
} withdraw;
EX_TYPE(withdraw, "Withdraw", EX_KEY(withdraw, account_id), EX_FIELD(withdraw, amount, .min = 1));

typedef struct touch {
    ex_slice account_id;
} touch;
EX_TYPE(touch, "Touch", EX_KEY(touch, account_id));

typedef struct deposited {
    ex_slice account_id;
    int64_t balance;
} deposited;
EX_TYPE(deposited, "Deposited", EX_FIELD(deposited, account_id), EX_FIELD(deposited, balance));

typedef struct withdrawal_failed {
    ex_slice account_id;
} withdrawal_failed;
EX_TYPE(withdrawal_failed, "WithdrawalFailed", EX_KEY(withdrawal_failed, account_id));

static ex_status decide_deposit(const account *a, const deposit *c, ex_decision *d)
{
    int64_t before = a ? a->balance : 0;
    if (before + c->amount > 5000)
        return ex_reject(d, "ACCOUNT_FULL", "the account holds %lld already", (long long)before);
    return ex_emit(d, deposited, .account_id = c->account_id, .balance = before + c->amount);
}

/* A business failure: its event is stored. */
static ex_status decide_withdraw(const account *a, const withdraw *c, ex_decision *d)
{
    (void)a;
    ex_status st = ex_emit(d, withdrawal_failed, .account_id = c->account_id);
    return st ? st : ex_fail(d, "nothing is paid out today");
}

static ex_status decide_touch(const account *a, const touch *c, ex_decision *d)
{
    (void)a;
    (void)c;
    (void)d;
    return EX_OK;
}

static void on_deposited(account *a, const deposited *e, ex_arena *memory)
{
    (void)memory;
    a->balance = e->balance;
}

static void on_withdrawal_failed(account *a, const withdrawal_failed *e, ex_arena *memory)
{
    (void)a;
    (void)e;
    (void)memory;
}

/* clang-format off */
#define ACCOUNT_COMMANDS(COMMAND)                                   \
    COMMAND(account, deposit, "deposit", decide_deposit)            \
    COMMAND(account, withdraw, "withdraw", decide_withdraw)         \
    COMMAND(account, touch, "touch", decide_touch)
#define ACCOUNT_EVENTS(EVENT)                                       \
    EVENT(account, deposited, on_deposited)                         \
    EVENT(account, withdrawal_failed, on_withdrawal_failed)
/* clang-format on */
extern const ex_aggregate account_aggregate;
EX_AGGREGATE(account, "account", ACCOUNT_COMMANDS, ACCOUNT_EVENTS, EX_IGNORES("Audited", "Seen"));

typedef struct balance {
    ex_slice account_id;
    int64_t balance;
} balance;
EX_TYPE(balance, "Balance", EX_KEY(balance, account_id), EX_FIELD(balance, balance));

static ex_status when_deposited(ex_view_tx *tx, const deposited *e, const ex_event *event)
{
    (void)event;
    return ex_row_put(tx, balance, .account_id = e->account_id, .balance = e->balance);
}

#define BALANCE_EVENTS(WHEN) WHEN(deposited, when_deposited)
extern const ex_view_def balance_view;
EX_VIEW(balance, "balance", 1, BALANCE_EVENTS);

typedef struct by_id {
    ex_slice account_id;
} by_id;
EX_TYPE(by_id, "ById", EX_FIELD(by_id, account_id, .min_len = 1));

typedef struct above {
    ex_opt_i64 minimum;
} above;
EX_TYPE(above, "Above", EX_FIELD(above, minimum));

static const ex_query_def queries[] = {
    {.name = "balances",
     .view = &balance_view,
     .kind = EX_QUERY_PAGE,
     .params = &above_type,
     .row = &balance_type,
     .sql = "SELECT account_id, balance FROM balance WHERE balance >= coalesce(:minimum, 0)",
     .order_by = {"account_id"}},
    {.name = "balance-by-id",
     .view = &balance_view,
     .kind = EX_QUERY_SINGLE,
     .params = &by_id_type,
     .row = &balance_type,
     .sql = "SELECT account_id, balance FROM balance WHERE account_id = :account_id"},
    {.name = "account-count",
     .view = &balance_view,
     .kind = EX_QUERY_COUNT,
     .sql = "SELECT count(*) FROM balance"},
};
static const ex_query_def *const query_list[] = {&queries[0], &queries[1], &queries[2]};
static const ex_aggregate *const aggregates[] = {&account_aggregate};
static const ex_view_def *const views[] = {&balance_view};
static const ex_context bank = {"bank", aggregates, 1, views, 1, query_list, 3};
static const ex_context *const contexts[] = {&bank};
static const ex_app app = {EX_APP_ABI, "bank", contexts, 1};

static api_server server;

static int setup(void **state)
{
    (void)state;
    api_server_options o = {.app = &app, .api = {.min_position_timeout_ms = 150}};
    api_server_start(&server, &o);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    api_server_stop(&server);
    return 0;
}

/* ---- Commands ---- */

static void test_commands_execute(void **state)
{
    (void)state;
    api_answer a = api_call(&server, "POST", "/v1/bank/account/exec/deposit",
                            "X-Correlation-ID: corr-1\r\n", "{\"amount\":10}");
    assert_int_equal(a.status, 201);
    assert_string_equal(api_text(a.json, "outcome"), "executed");
    assert_int_equal(api_int(a.json, "version"), 1);
    assert_true(ex_slice_is(http_reply_header(&a.reply, "etag"), "\"1\""));
    json_t *e = api_item(a.json, "events", 0);
    assert_string_equal(api_text(e, "type"), "Deposited");
    assert_int_equal(api_int(e, "position"), api_int(a.json, "position"));
    api_answer_done(&a);

    a = api_call(&server, "GET", "/v1/streams/account-exec", NULL, NULL);
    e = api_item(a.json, "events", 0);
    assert_string_equal(api_text(e, "correlation_id"), "corr-1");
    assert_int_equal(api_int(json_object_get(e, "data"), "balance"), 10);
    api_answer_done(&a);
}

/* G-022 */
static void test_commands_reject(void **state)
{
    (void)state;
    uint64_t head = ex_store_head(server.store);
    for (int i = 0; i < 5; i++)
        api_expect(&server, "POST", "/v1/bank/account/full/deposit", NULL, "{\"amount\":1000}",
                   201);
    api_answer a =
        api_call(&server, "POST", "/v1/bank/account/full/deposit", NULL, "{\"amount\":1}");
    api_check_problem(&a, "rejected", 422, "ACCOUNT_FULL", NULL);
    assert_string_equal(api_text(a.json, "detail"), "the account holds 5000 already");
    api_answer_done(&a);
    assert_int_equal(ex_store_head(server.store), head + 5);
}

/* R-CB-07: a business failure is recorded and answered as such. */
static void test_commands_business_failure(void **state)
{
    (void)state;
    api_answer a =
        api_call(&server, "POST", "/v1/bank/account/fail/withdraw", NULL, "{\"amount\":1}");
    assert_int_equal(a.status, 201);
    assert_string_equal(api_text(a.json, "outcome"), "failed");
    assert_string_equal(api_text(a.json, "reason"), "nothing is paid out today");
    assert_string_equal(api_text(api_item(a.json, "events", 0), "type"), "WithdrawalFailed");
    api_answer_done(&a);
}

/* R-CB-01: one id takes effect once and gives its outcome again; with other content it is a
 * conflict. (G-020) */
static void test_commands_are_idempotent(void **state)
{
    static const char key[] = "Idempotency-Key: cmd-1\r\n";
    (void)state;
    api_answer first =
        api_call(&server, "POST", "/v1/bank/account/idem/deposit", key, "{\"amount\":5}");
    api_answer again =
        api_call(&server, "POST", "/v1/bank/account/idem/deposit", key, "{ \"amount\" : 5 }");
    assert_int_equal(first.status, 201);
    assert_int_equal(again.status, 200);
    assert_true(json_is_true(json_object_get(again.json, "duplicate")));
    assert_int_equal(api_int(again.json, "position"), api_int(first.json, "position"));
    assert_true(
        json_equal(json_object_get(again.json, "events"), json_object_get(first.json, "events")));
    api_answer other =
        api_call(&server, "POST", "/v1/bank/account/idem/deposit", key, "{\"amount\":6}");
    api_check_problem(&other, "other content", 409, "IDEMPOTENCY_CONFLICT", NULL);
    assert_null(json_object_get(other.json, "position")); /* a command has no place in the log */
    api_answer_done(&first);
    api_answer_done(&again);
    api_answer_done(&other);
    api_answer a = api_call(&server, "GET", "/v1/streams/account-idem", NULL, NULL);
    assert_int_equal(json_array_size(json_object_get(a.json, "events")), 1);
    api_answer_done(&a);
}

static void test_commands_expected_version(void **state)
{
    (void)state;
    api_expect(&server, "POST", "/v1/bank/account/ver/deposit", "If-None-Match: *\r\n",
               "{\"amount\":5}", 201);
    api_expect(&server, "POST", "/v1/bank/account/ver/deposit", "If-None-Match: *\r\n",
               "{\"amount\":5}", 409);
    api_expect(&server, "POST", "/v1/bank/account/ver/deposit", "If-Match: \"1\"\r\n",
               "{\"amount\":5}", 201);
    api_expect(&server, "POST", "/v1/bank/account/ver/deposit", "If-Match: \"1\"\r\n",
               "{\"amount\":5}", 409);
}

static void test_commands_empty_body_is_an_empty_object(void **state)
{
    (void)state;
    api_answer a = api_call(&server, "POST", "/v1/bank/account/empty/touch",
                            "Content-Type: application/json\r\n", NULL);
    assert_int_equal(a.status, 201);
    assert_int_equal(json_array_size(json_object_get(a.json, "events")), 0);
    api_answer_done(&a);
}

/* ---- Queries ---- */

static json_int_t put(const char *id, int amount)
{
    char path[128], body[64];
    (void)snprintf(path, sizeof(path), "/v1/bank/account/%s/deposit", id);
    (void)snprintf(body, sizeof(body), "{\"amount\":%d}", amount);
    api_answer a = api_call(&server, "POST", path, NULL, body);
    assert_int_equal(a.status, 201);
    json_int_t position = api_int(a.json, "position");
    api_answer_done(&a);
    return position;
}

static api_answer query(json_int_t position, const char *name_and_params)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "/v1/bank/%s%cmin_position=%lld", name_and_params,
                   strchr(name_and_params, '?') ? '&' : '?', (long long)position);
    return api_call(&server, "GET", path, NULL, NULL);
}

/* What was acknowledged is seen by a query that names its position, at once and every time. */
static void test_queries_read_your_writes(void **state)
{
    (void)state;
    for (int i = 1; i <= 20; i++) {
        json_int_t position = put("own", 1);
        api_answer a = query(position, "balance-by-id?account_id=own");
        assert_int_equal(a.status, 200);
        assert_int_equal(api_int(json_object_get(a.json, "item"), "balance"), i);
        assert_true(api_int(a.json, "position") >= position);
        api_answer_done(&a);
    }
}

static void test_queries_page(void **state)
{
    static const char *const ids[] = {"p1", "p2", "p3", "p4", "p5"};
    (void)state;
    json_int_t position = 0;
    for (size_t i = 0; i < COUNT(ids); i++)
        position = put(ids[i], 900 + (int)i);
    size_t seen = 0;
    char params[512] = "balances?minimum=900&limit=2";
    for (bool is_done = false; !is_done;) {
        api_answer a = query(position, params);
        assert_int_equal(a.status, 200);
        json_t *items = json_object_get(a.json, "items"), *item;
        size_t i;
        json_array_foreach(items, i, item)
        {
            if (strncmp(api_text(item, "account_id"), "p", 1) == 0)
                assert_string_equal(api_text(item, "account_id"), ids[seen++]);
        }
        is_done = json_is_true(json_object_get(a.json, "is_done"));
        if (!is_done)
            (void)snprintf(params, sizeof(params), "balances?minimum=900&limit=2&cursor=%s",
                           api_text(a.json, "continue_cursor"));
        api_answer_done(&a);
    }
    assert_int_equal(seen, COUNT(ids));
}

static void test_queries_count(void **state)
{
    (void)state;
    json_int_t position = put("count-me", 1);
    api_answer a = query(position, "account-count");
    assert_true(api_int(a.json, "count") >= 1);
    api_answer_done(&a);
}

/* A position that the view does not reach: 504 after the limit, and other queries go on meanwhile.
 * (G-031) */
static void test_queries_min_position_times_out(void **state)
{
    enum { WAITING = 32 };
    http_client waiting[WAITING];
    (void)state;
    for (size_t i = 0; i < WAITING; i++) {
        assert_true(http_client_open(&waiting[i], server.port));
        assert_true(http_client_request(
            &waiting[i], "GET", "/v1/bank/account-count?min_position=1000000", NULL, EX_S("")));
    }
    api_expect(&server, "GET", "/v1/bank/account-count", NULL, NULL, 200);
    for (size_t i = 0; i < WAITING; i++) {
        http_reply r;
        assert_true(http_client_read(&waiting[i], &r));
        assert_int_equal(r.status, 504);
        http_reply_done(&r);
        http_client_close(&waiting[i]);
    }
}

/* ---- Refusals ---- */

/* clang-format off */
static const api_refusal refusals[] = {
    {"context",          "POST", "/v1/bonk/account/a/deposit",  NULL, "{\"amount\":1}",      404, "UNKNOWN_CONTEXT", NULL},
    {"aggregate",        "POST", "/v1/bank/acount/a/deposit",   NULL, "{\"amount\":1}",      404, "UNKNOWN_AGGREGATE", NULL},
    {"command",          "POST", "/v1/bank/account/a/deposits", NULL, "{\"amount\":1}",      404, "UNKNOWN_COMMAND", NULL},
    {"query",            "GET",  "/v1/bank/balance",            NULL, NULL,                  404, "UNKNOWN_QUERY", NULL},
    {"query's context",  "GET",  "/v1/bonk/balances",           NULL, NULL,                  404, "UNKNOWN_CONTEXT", NULL},
    {"waiting query",    "GET",  "/v1/bank/balance?min_position=9", NULL, NULL,              404, "UNKNOWN_QUERY", NULL},
    {"malformed",        "POST", "/v1/bank/account/a/deposit",  NULL, "{\"amount\":",        400, "MALFORMED_JSON", NULL},
    {"missing member",   "POST", "/v1/bank/account/a/deposit",  NULL, "{}",                  400, "INVALID_INPUT", "amount"},
    {"too small",        "POST", "/v1/bank/account/a/deposit",  NULL, "{\"amount\":0}",      400, "INVALID_INPUT", "amount"},
    {"wrong kind",       "POST", "/v1/bank/account/a/deposit",  NULL, "{\"amount\":\"1\"}",  400, "INVALID_INPUT", "amount"},
    {"unknown member",   "POST", "/v1/bank/account/a/deposit",  NULL, "{\"amount\":1,\"x\":1}", 400, NULL, "x"},
    {"other id",         "POST", "/v1/bank/account/a/deposit",  NULL, "{\"amount\":1,\"account_id\":\"b\"}", 400, NULL, "account_id"},
    {"media type",       "POST", "/v1/bank/account/a/deposit",  "Content-Type: text/plain\r\n", "{\"amount\":1}", 415, "UNSUPPORTED_MEDIA_TYPE", NULL},
    {"query on command", "POST", "/v1/bank/account/a/deposit?x=1", NULL, "{\"amount\":1}",   400, "UNKNOWN_FIELD", "x"},
    {"unknown param",    "GET",  "/v1/bank/balances?minimun=1", NULL, NULL,                  400, NULL, "minimun"},
    {"param twice",      "GET",  "/v1/bank/balances?minimum=1&minimum=2", NULL, NULL,        400, "INVALID_INPUT", "minimum"},
    {"limit twice",      "GET",  "/v1/bank/balances?limit=1&limit=2", NULL, NULL,            400, "INVALID_INPUT", "limit"},
    {"param's kind",     "GET",  "/v1/bank/balances?minimum=x", NULL, NULL,                  400, "INVALID_INPUT", "minimum"},
    {"missing param",    "GET",  "/v1/bank/balance-by-id",      NULL, NULL,                  400, "INVALID_INPUT", "account_id"},
    {"bad cursor",       "GET",  "/v1/bank/balances?cursor=%25%25", NULL, NULL,              400, "INVALID_CURSOR", NULL},
    {"empty cursor",     "GET",  "/v1/bank/balances?cursor=",   NULL, NULL,                  400, "INVALID_CURSOR", "cursor"},
    {"bad min_position", "GET",  "/v1/bank/balances?min_position=-1", NULL, NULL,            400, "INVALID_INPUT", "min_position"},
    {"not acceptable",   "GET",  "/v1/bank/balances", "Accept: text/html\r\n", NULL,         406, "NOT_ACCEPTABLE", NULL},
    {"wrong method",     "GET",  "/v1/bank/account/a/deposit",  NULL, NULL,                  405, "METHOD_NOT_ALLOWED", NULL},
};
/* clang-format on */

static void test_commands_and_queries_refuse(void **state)
{
    (void)state;
    api_expect_refusals(&server, refusals, COUNT(refusals));
}

/* ---- Events from outside ---- */

#define EVENTS(list) "{\"events\":[" list "]}"
#define GOOD         "{\"type\":\"Deposited\",\"data\":{\"account_id\":\"x\",\"balance\":1}}"
#define BAD          "{\"type\":\"Deposited\",\"data\":{\"account_id\":\"x\",\"balance\":\"many\"}}"
#define CLOUD(data)                                                                                \
    "{\"specversion\":\"1.0\",\"id\":\"01970c3e-8a00-7000-8000-0123456789c1\",\"source\":\"/x\","  \
    "\"type\":\"Deposited\",\"data\":" data "}"
#define AS_CLOUD "Content-Type: application/cloudevents+json\r\n"
#define AS_BATCH "Content-Type: application/cloudevents-batch+json\r\n"

/* clang-format off */
static const struct {
    const char *name, *path, *headers, *body;
    const char *field; /* at fault; NULL: it fits */
} outside[] = {
    {"fits",              "/v1/streams/account-o1", NULL, EVENTS(GOOD), NULL},
    {"wrong kind",        "/v1/streams/account-o2", NULL, EVENTS(BAD), "events[0].data.balance"},
    {"the second",        "/v1/streams/account-o2", NULL, EVENTS(GOOD "," BAD), "events[1].data.balance"},
    {"missing",           "/v1/streams/account-o2", NULL, EVENTS("{\"type\":\"Deposited\",\"data\":{\"account_id\":\"x\"}}"), "events[0].data.balance"},
    {"no object",         "/v1/streams/account-o2", NULL, EVENTS("{\"type\":\"Deposited\",\"data\":[1]}"), "events[0].data"},
    {"no JSON",           "/v1/streams/account-o2", NULL, EVENTS("{\"type\":\"Deposited\",\"data_base64\":\"AAE=\",\"content_type\":\"a/b\"}"), "events[0].data"},
    {"unknown member",    "/v1/streams/account-o3", NULL, EVENTS("{\"type\":\"Deposited\",\"data\":{\"account_id\":\"x\",\"balance\":1,\"more\":2}}"), NULL},
    {"ignored type",      "/v1/streams/account-o3", NULL, EVENTS("{\"type\":\"Audited\",\"data\":7}"), NULL},
    {"ignored, no JSON",  "/v1/streams/account-o3", NULL, EVENTS("{\"type\":\"Seen\",\"data_base64\":\"AAE=\",\"content_type\":\"a/b\",\"schema_version\":9}"), NULL},
    {"unknown type",      "/v1/streams/account-o3", NULL, EVENTS("{\"type\":\"Renamed\",\"data\":7}"), "events[0].type"},
    {"unknown elsewhere", "/v1/streams/accounts-1", NULL, EVENTS("{\"type\":\"Renamed\",\"data\":7}"), NULL},
    {"newer schema",      "/v1/streams/account-o3", NULL, EVENTS("{\"type\":\"Deposited\",\"schema_version\":2,\"data\":{\"account_id\":\"x\",\"balance\":1}}"), "events[0].schema_version"},
    {"to a view",         "/v1/streams/other-1",    NULL, EVENTS("{\"type\":\"Deposited\",\"schema_version\":2,\"data\":{\"account_id\":\"x\",\"balance\":1}}"), "events[0].schema_version"},
    {"foreign key",       "/v1/streams/account-o4", NULL, EVENTS("{\"type\":\"WithdrawalFailed\",\"data\":{\"account_id\":\"o5\"}}"), "events[0].data.account_id"},
    {"own key",           "/v1/streams/account-o4", NULL, EVENTS("{\"type\":\"WithdrawalFailed\",\"data\":{\"account_id\":\"o4\"}}"), NULL},
    {"NUL in a text",     "/v1/streams/account-o4", NULL, EVENTS("{\"type\":\"WithdrawalFailed\",\"data\":{\"account_id\":\"o4\\u0000\"}}"), "events[0].data.account_id"},
    {"a view reads it",   "/v1/streams/other-1",    NULL, EVENTS(BAD), "events[0].data.balance"},
    {"aggregate only",    "/v1/streams/account-o4", NULL, EVENTS("{\"type\":\"WithdrawalFailed\",\"data\":7}"), "events[0].data"},
    {"nobody reads it",   "/v1/streams/other-1",    NULL, EVENTS("{\"type\":\"WithdrawalFailed\",\"data\":7}"), NULL},
    {"longer category",   "/v1/streams/accounts-1", NULL, EVENTS("{\"type\":\"WithdrawalFailed\",\"data\":7}"), NULL},
    {"no category",       "/v1/streams/account",    NULL, EVENTS("{\"type\":\"WithdrawalFailed\",\"data\":7}"), NULL},
    {"several streams",   "/v1/append", NULL, "{\"writes\":[{\"stream\":\"x-1\",\"events\":[{\"type\":\"T\",\"data\":1}]},{\"stream\":\"account-o5\",\"events\":[" BAD "]}]}", "writes[1].events[0].data.balance"},
    {"CloudEvent",        "/v1/streams/account-o5", AS_CLOUD, CLOUD("{\"account_id\":\"x\",\"balance\":true}"), "data.balance"},
    {"newer CloudEvent",  "/v1/streams/account-o5", AS_CLOUD, "{\"specversion\":\"1.0\",\"id\":\"01970c3e-8a00-7000-8000-0123456789c2\",\"source\":\"/x\",\"type\":\"Deposited\",\"schemaversion\":2,\"data\":{\"account_id\":\"x\",\"balance\":1}}", "schemaversion"},
    {"CloudEvents",       "/v1/streams/account-o5", AS_BATCH, "[" CLOUD("{\"account_id\":\"x\",\"balance\":0.5}") "]", "[0].data.balance"},
};
/* clang-format on */

/* What the application could not read is refused before anything is written. issue 8, items 7 and
 * 8; G-704, G-706 */
static void test_appends_must_fit_the_application(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(outside); i++) {
        uint64_t head = ex_store_head(server.store);
        api_answer a =
            api_call(&server, "POST", outside[i].path, outside[i].headers, outside[i].body);
        const char *field = outside[i].field;
        if (field)
            api_check_problem(&a, outside[i].name, 422, "EVENT_DOES_NOT_FIT", field);
        else if (a.status != 201)
            fail_msg("%s: %d", outside[i].name, a.status);
        assert_int_equal(ex_store_head(server.store) == head, field != NULL);
        api_answer_done(&a);
    }
}

#define AGAIN_ID    "01970c3e-8a00-7000-8000-0123456789d1"
#define AGAIN(type) EVENTS("{\"id\":\"" AGAIN_ID "\",\"type\":\"" type "\",\"data\":7}")
#define AGAIN_CLOUD                                                                                \
    "{\"specversion\":\"1.0\",\"id\":\"" AGAIN_ID                                                  \
    "\",\"source\":\"/x\",\"type\":\"Renamed\",\"data\":7}"

/* issue 8, item 7; G-704: what an earlier application let in is stored, and a retry is told so. */
static void test_a_retry_of_what_no_longer_fits_has_its_first_outcome(void **state)
{
    (void)state;
    ex_id id;
    assert_int_equal(ex_id_parse(EX_S(AGAIN_ID), &id, NULL), EX_OK);
    ex_new_event event = {.id = id, .type = EX_S("Renamed"), .data = EX_S("7")};
    ex_stream_write write = {EX_S("account-again"), EX_ANY, &event, 1};
    ex_append append = {.writes = &write, .write_count = 1};
    ex_appended first = {0};
    assert_int_equal(ex_store_append(server.store, &append, &first, NULL), EX_OK);
    static const struct {
        const char *name, *path, *headers, *body;
        int status;
        const char *code;
    } retries[] = {
        {"retry", "/v1/streams/account-again", NULL, AGAIN("Renamed"), 200, NULL},
        {"several streams", "/v1/append", NULL,
         "{\"writes\":[{\"stream\":\"account-again\",\"events\":[{\"id\":\"" AGAIN_ID
         "\",\"type\":\"Renamed\",\"data\":7}]}]}",
         200, NULL},
        {"CloudEvent", "/v1/streams/account-again", AS_CLOUD, AGAIN_CLOUD, 200, NULL},
        {"other content", "/v1/streams/account-again", NULL, AGAIN("Unheard"), 409,
         "IDEMPOTENCY_CONFLICT"},
        {"not stored there", "/v1/streams/account-first", NULL, AGAIN("Renamed"), 422,
         "EVENT_DOES_NOT_FIT"},
    };
    uint64_t head = ex_store_head(server.store);
    for (size_t i = 0; i < COUNT(retries); i++) {
        api_answer a =
            api_call(&server, "POST", retries[i].path, retries[i].headers, retries[i].body);
        if (retries[i].code)
            api_check_problem(&a, retries[i].name, retries[i].status, retries[i].code,
                              retries[i].status == 422 ? "events[0].type" : NULL);
        else if (a.status != retries[i].status)
            fail_msg("%s: %d", retries[i].name, a.status);
        api_answer_done(&a);
    }
    assert_int_equal(ex_store_head(server.store), head);
}

/* It came before the application: the view goes on, the command says what it cannot read. */
static void test_commands_name_what_they_cannot_read(void **state)
{
    (void)state;
    ex_new_event events[] = {
        {.type = EX_S("Deposited"), .data = EX_S("{\"account_id\":\"old\",\"balance\":1}")},
        {.type = EX_S("Renamed"), .data = EX_S("{\"balance\":\"many\"}")}};
    ex_stream_write write = {EX_S("account-old"), EX_ANY, events, 2};
    ex_append append = {.writes = &write, .write_count = 1};
    ex_appended done = {0};
    assert_int_equal(ex_store_append(server.store, &append, &done, NULL), EX_OK);
    api_answer a =
        api_call(&server, "POST", "/v1/bank/account/old/deposit", NULL, "{\"amount\":1}");
    api_check_problem(&a, "unreadable", 409, "STREAM_UNREADABLE", NULL);
    assert_non_null(strstr(api_text(a.json, "detail"), "version 2 of stream 'account-old'"));
    assert_non_null(strstr(api_text(a.json, "detail"), "Renamed"));
    assert_int_equal(api_int(a.json, "position"), done.position);
    api_answer_done(&a);
    char path[128];
    (void)snprintf(path, sizeof(path), "/v1/bank/balance-by-id?account_id=old&min_position=%llu",
                   (unsigned long long)done.position);
    api_expect(&server, "GET", path, NULL, NULL, 200);
    api_expect(&server, "POST", "/v1/bank/account/new/deposit", NULL, "{\"amount\":1}", 201);
}

/* R-CB-13, R-CB-15: a name that is nearly right is answered with the one that was meant. */
static void test_commands_and_queries_suggest_names(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path, *want; /* NULL: nothing is near */
    } cases[] = {
        {"POST", "/v1/bonk/account/a/deposit", "did you mean 'bank'?"},
        {"POST", "/v1/bank/acount/a/deposit", "did you mean 'account'?"},
        {"POST", "/v1/bank/account/a/deposits", "did you mean 'deposit'?"},
        {"POST", "/v1/bank/account/a/confirm", NULL},
        {"GET", "/v1/bank/balance", "did you mean 'balances'?"},
        {"GET", "/v1/bank/nothing", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        api_answer a = api_call(&server, cases[i].method, cases[i].path, NULL,
                                cases[i].method[0] == 'P' ? "{}" : NULL);
        const char *detail = api_text(a.json, "detail");
        assert_int_equal(a.status, 404);
        bool is_there = strstr(detail, cases[i].want ? cases[i].want : "did you mean") != NULL;
        if (is_there != (cases[i].want != NULL))
            fail_msg("%s: %s", cases[i].path, detail);
        api_answer_done(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands_execute),
        cmocka_unit_test(test_commands_reject),
        cmocka_unit_test(test_commands_business_failure),
        cmocka_unit_test(test_commands_are_idempotent),
        cmocka_unit_test(test_commands_expected_version),
        cmocka_unit_test(test_commands_empty_body_is_an_empty_object),
        cmocka_unit_test(test_queries_read_your_writes),
        cmocka_unit_test(test_queries_page),
        cmocka_unit_test(test_queries_count),
        cmocka_unit_test(test_queries_min_position_times_out),
        cmocka_unit_test(test_commands_and_queries_refuse),
        cmocka_unit_test(test_commands_and_queries_suggest_names),
        cmocka_unit_test(test_appends_must_fit_the_application),
        cmocka_unit_test(test_a_retry_of_what_no_longer_fits_has_its_first_outcome),
        cmocka_unit_test(test_commands_name_what_they_cannot_read),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
