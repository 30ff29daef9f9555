/* accounts.c: a tiny application for tests. */
#include "support/accounts.h"

#include <excore/clock.h>

atomic_bool accounts_view_fails;
atomic_int accounts_view_failure = EX_EINTERNAL;
atomic_uint accounts_spin_ms;

typedef struct account {
    ex_slice owner;
    int64_t cents;
    EX_LIST(ex_slice) notes;
} account;
/* clang-format off */
EX_TYPE(account, "Account", EX_FIELD(account, owner), EX_FIELD(account, cents), EX_TEXTS(account, notes));
/* clang-format on */

typedef struct open_account {
    ex_slice account_id;
    ex_slice owner;
} open_account;
typedef struct move_money {
    ex_slice account_id;
    int64_t cents;
    ex_opt_text note;
} move_money;
typedef struct close_account {
    ex_slice account_id;
} close_account;
/* clang-format off */
EX_TYPE(open_account, "OpenAccount", EX_KEY(open_account, account_id), EX_FIELD(open_account, owner, .min_len = 1));
EX_TYPE(move_money, "MoveMoney", EX_KEY(move_money, account_id), EX_FIELD(move_money, cents, .min = 1),
    EX_FIELD(move_money, note, .max_len = 1000));
EX_TYPE(close_account, "CloseAccount", EX_KEY(close_account, account_id));
/* clang-format on */

typedef struct account_opened {
    ex_slice account_id;
    ex_slice owner;
} account_opened;
typedef struct money_moved {
    ex_slice account_id;
    int64_t cents;
    int64_t new_cents;
    ex_opt_text note;
} money_moved;
typedef struct closing_failed {
    ex_slice account_id;
    ex_slice reason;
} closing_failed;
/* clang-format off */
EX_TYPE(account_opened, "AccountOpened", EX_KEY(account_opened, account_id), EX_FIELD(account_opened, owner));
EX_TYPE(money_moved, "MoneyMoved", EX_KEY(money_moved, account_id), EX_FIELD(money_moved, cents),
    EX_FIELD(money_moved, new_cents, .min = 0, .max = 1e15), EX_FIELD(money_moved, note, .max_len = 1000));
EX_TYPE(closing_failed, "ClosingFailed", EX_KEY(closing_failed, account_id), EX_FIELD(closing_failed, reason));
/* clang-format on */

static ex_status decide_open(const account *a, const open_account *cmd, ex_decision *d)
{
    if (a)
        return ex_reject(d, "ACCOUNT_ALREADY_EXISTS", "account of %.*s", EX_ARG(a->owner));
    (void)ex_tag(d, "owner", cmd->owner); /* a failure stays with the decision */
    return ex_emit(d, account_opened, .account_id = cmd->account_id, .owner = cmd->owner);
}

static ex_status move_by(const account *a, int64_t cents, const move_money *cmd, ex_decision *d)
{
    if (!a)
        return ex_reject(d, "ACCOUNT_NOT_FOUND", "there is no account %.*s",
                         EX_ARG(ex_aggregate_id(d)));
    if (a->cents + cents < 0)
        return ex_reject(d, "INSUFFICIENT_FUNDS", "%lld cents are there", (long long)a->cents);
    return ex_emit(d, money_moved, .account_id = cmd->account_id, .cents = cents,
                   .new_cents = a->cents + cents, .note = cmd->note);
}

static ex_status decide_deposit(const account *a, const move_money *cmd, ex_decision *d)
{
    return move_by(a, cmd->cents, cmd, d);
}

static ex_status decide_withdraw(const account *a, const move_money *cmd, ex_decision *d)
{
    return move_by(a, -cmd->cents, cmd, d);
}

static ex_status decide_close(const account *a, const close_account *cmd, ex_decision *d)
{
    if (!a)
        return ex_reject(d, "ACCOUNT_NOT_FOUND", "there is no such account");
    if (a->cents == 0)
        return EX_OK; /* nothing to do */
    ex_status st =
        ex_emit(d, closing_failed, .account_id = cmd->account_id, .reason = EX_S("money left"));
    return st ? st : ex_fail(d, "%lld cents are left", (long long)a->cents);
}

/* Emits `cents` events of one cent each. */
static ex_status decide_burst(const account *a, const move_money *cmd, ex_decision *d)
{
    for (int64_t i = 1; i <= cmd->cents; i++) {
        ex_status st = ex_emit(d, money_moved, .account_id = cmd->account_id, .cents = 1,
                               .new_cents = (a ? a->cents : 0) + i);
        if (st)
            return st;
    }
    return EX_OK;
}

/* A mistake of the domain code: an event that its own type refuses. */
static ex_status decide_break(const account *a, const close_account *cmd, ex_decision *d)
{
    (void)a;
    return ex_emit(d, money_moved, .account_id = cmd->account_id, .new_cents = -1);
}

/* The note is the code of the rejection, whatever it holds. */
static ex_status decide_refuse(const account *a, const move_money *cmd, ex_decision *d)
{
    (void)a;
    char *code = ex_arena_zalloc(ex_decision_arena(d), cmd->note.value.len + 1);
    if (!code)
        return EX_ENOMEM;
    if (cmd->note.value.len)
        memcpy(code, cmd->note.value.ptr, cmd->note.value.len);
    return ex_reject(d, code, "told to");
}

static ex_status decide_spin(const account *a, const close_account *cmd, ex_decision *d)
{
    (void)a, (void)cmd, (void)d;
    const ex_clock *clock = ex_clock_system();
    uint64_t until = ex_monotonic_ns(clock) + (uint64_t)accounts_spin_ms * 1000000;
    while (ex_monotonic_ns(clock) < until) {
    }
    return EX_OK;
}

static void on_opened(account *a, const account_opened *e, ex_arena *memory)
{
    (void)memory;
    a->owner = e->owner;
}

static void on_moved(account *a, const money_moved *e, ex_arena *memory)
{
    a->cents = e->new_cents;
    if (!e->note.is_set)
        return;
    ex_slice *note = ex_list_add(memory, &a->notes);
    if (note)
        *note = e->note.value;
    if (a->notes.count > 3)
        ex_list_remove(&a->notes, 0);
}

static void on_closing_failed(account *a, const closing_failed *e, ex_arena *memory)
{
    (void)a, (void)e, (void)memory;
}

#define ACCOUNT_COMMANDS(COMMAND)                                                                  \
    COMMAND(account, open_account, "open", decide_open)                                            \
    COMMAND(account, move_money, "deposit", decide_deposit)                                        \
    COMMAND(account, move_money, "withdraw", decide_withdraw)                                      \
    COMMAND(account, close_account, "close", decide_close)                                         \
    COMMAND(account, move_money, "burst", decide_burst)                                            \
    COMMAND(account, move_money, "refuse", decide_refuse)                                          \
    COMMAND(account, close_account, "break", decide_break)                                         \
    COMMAND(account, close_account, "spin", decide_spin)
#define ACCOUNT_EVENTS(EVENT)                                                                      \
    EVENT(account, account_opened, on_opened)                                                      \
    EVENT(account, money_moved, on_moved)                                                          \
    EVENT(account, closing_failed, on_closing_failed)
EX_AGGREGATE(account, "account", ACCOUNT_COMMANDS, ACCOUNT_EVENTS, EX_IGNORES("AccountAudited"));

typedef struct balance {
    ex_slice account_id;
    ex_slice owner;
    int64_t cents;
    int64_t moves;
    ex_time changed_at;
} balance;
/* clang-format off */
EX_TYPE(balance, "Balance", EX_KEY(balance, account_id), EX_FIELD(balance, owner), EX_FIELD(balance, cents),
    EX_FIELD(balance, moves), EX_FIELD(balance, changed_at));
/* clang-format on */

static ex_status when_opened(ex_view_tx *tx, const account_opened *e, const ex_event *event)
{
    return ex_row_put(tx, balance, .account_id = e->account_id, .owner = e->owner,
                      .changed_at = {event->recorded_at_us});
}

static ex_status when_moved(ex_view_tx *tx, const money_moved *e, const ex_event *event)
{
    balance *row = NULL;
    if (atomic_load(&accounts_view_fails))
        return ex_view_error(tx, (ex_status)atomic_load(&accounts_view_failure), "told to fail");
    ex_status st = ex_row_load(tx, balance, e->account_id, &row);
    if (st)
        return st;
    row->cents = e->new_cents;
    row->moves++;
    row->changed_at = (ex_time){event->recorded_at_us};
    return ex_row_store(tx, balance, row);
}

#define BALANCE_EVENTS(WHEN)                                                                       \
    WHEN(account_opened, when_opened)                                                              \
    WHEN(money_moved, when_moved)
EX_VIEW(balance, "balance", 1, BALANCE_EVENTS, "cents, account_id");

typedef struct balances_params {
    ex_opt_text owner;
    ex_opt_i64 least_cents;
} balances_params;
/* clang-format off */
EX_TYPE(balances_params, "BalancesParams", EX_FIELD(balances_params, owner), EX_FIELD(balances_params, least_cents));
/* clang-format on */
typedef struct balance_params {
    ex_slice account_id;
} balance_params;
/* clang-format off */
EX_TYPE(balance_params, "BalanceParams", EX_FIELD(balance_params, account_id, .min_len = 1));
/* clang-format on */

static const ex_query_def balances_query = {
    .name = "balances",
    .view = &balance_view,
    .kind = EX_QUERY_PAGE,
    .params = &balances_params_type,
    .row = &balance_type,
    .order_by = {"cents", "account_id"},
    .is_descending = true,
    .sql = "SELECT * FROM balance WHERE (:owner IS NULL OR owner = :owner)"
           " AND (:least_cents IS NULL OR cents >= :least_cents)",
};
static const ex_query_def rich_query = {
    .name = "rich",
    .view = &balance_view,
    .kind = EX_QUERY_LIST,
    .row = &balance_type,
    .order_by = {"account_id"},
    .sql = "SELECT * FROM balance WHERE cents >= 100000",
};
static const ex_query_def balance_query = {
    .name = "balance",
    .view = &balance_view,
    .kind = EX_QUERY_SINGLE,
    .params = &balance_params_type,
    .row = &balance_type,
    .sql = "SELECT * FROM balance WHERE account_id = :account_id",
};
static const ex_query_def account_count_query = {
    .name = "account-count",
    .view = &balance_view,
    .kind = EX_QUERY_COUNT,
    .sql = "SELECT count(*) FROM balance",
};

static const ex_context bank = {
    .name = "bank",
    EX_AGGREGATES(&account_aggregate),
    EX_VIEWS(&balance_view),
    EX_QUERIES(&balances_query, &rich_query, &balance_query, &account_count_query),
};
static const ex_context *const contexts[] = {&bank};
const ex_app accounts_app = {EX_APP_ABI, "accounts", contexts, 1};
