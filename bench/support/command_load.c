/* command_load.c: deposits to accounts, a fixed number in flight. */
#include "support/command_load.h"

#include <stdio.h>

#include "support/append_load.h"
#include "support/feeder.h"

/* ---- The domain: an account ---- */

typedef struct deposit {
    ex_slice account_id;
    int64_t amount_cents;
    ex_slice currency, reference, note;
} deposit;

typedef struct money_deposited {
    ex_slice account_id;
    int64_t amount_cents;
    int64_t balance_cents;
    ex_slice currency, reference, note;
} money_deposited;

typedef struct account {
    int64_t balance_cents;
    int64_t deposits;
} account;

/* clang-format off */
EX_TYPE(deposit, "Deposit",
    EX_KEY(deposit, account_id),
    EX_FIELD(deposit, amount_cents, .min = 1, .max = 100000000),
    EX_FIELD(deposit, currency, .min_len = 3, .max_len = 3),
    EX_FIELD(deposit, reference, .max_len = 64),
    EX_FIELD(deposit, note, .max_len = 200));

EX_TYPE(money_deposited, "MoneyDeposited",
    EX_KEY(money_deposited, account_id),
    EX_FIELD(money_deposited, amount_cents),
    EX_FIELD(money_deposited, balance_cents),
    EX_FIELD(money_deposited, currency),
    EX_FIELD(money_deposited, reference),
    EX_FIELD(money_deposited, note));

EX_TYPE(account, "Account",
    EX_FIELD(account, balance_cents),
    EX_FIELD(account, deposits));
/* clang-format on */

static ex_status decide_deposit(const account *a, const deposit *cmd, ex_decision *d)
{
    int64_t balance = a ? a->balance_cents : 0;
    if (balance > INT64_MAX - cmd->amount_cents)
        return ex_reject(d, "BALANCE_TOO_LARGE", "the account is full");
    return ex_emit(d, money_deposited, .account_id = cmd->account_id,
                   .amount_cents = cmd->amount_cents, .balance_cents = balance + cmd->amount_cents,
                   .currency = cmd->currency, .reference = cmd->reference, .note = cmd->note);
}

static void on_deposited(account *a, const money_deposited *e, ex_arena *memory)
{
    (void)memory;
    a->balance_cents = e->balance_cents;
    a->deposits++;
}

#define ACCOUNT_COMMANDS(COMMAND) COMMAND(account, deposit, "deposit", decide_deposit)
#define ACCOUNT_EVENTS(EVENT)     EVENT(account, money_deposited, on_deposited)
EX_AGGREGATE(account, "account", ACCOUNT_COMMANDS, ACCOUNT_EVENTS);

static const ex_context bank_context = {.name = "bank", EX_AGGREGATES(&account_aggregate)};
static const ex_context *const contexts[] = {&bank_context};
const ex_app command_load_app = {EX_APP_ABI, "bank", contexts, 1};

#define PAYLOAD                                                                                    \
    "{\"amount_cents\":12345,\"currency\":\"EUR\",\"reference\":\"01890a5d-ac96-774b-bcce-"        \
    "b302099a8057\",\"note\":\"an invoice, paid in full and on time; thank you for your order "    \
    "and see you again soon in our shop\"}"

/* ---- The load ---- */

typedef struct command_source {
    const command_load *load;
    uint64_t number;
} command_source;

typedef struct command_slot {
    feeder_slot slot; /* first */
    ex_arena arena;
    bool has_arena;
    char id[16];
    ex_command_call call;
} command_slot;

static void on_done(ex_command_call *call, ex_status status, const ex_error *err)
{
    (void)err;
    feeder_finish(call->ctx, status);
}

static ex_status submit_command(void *ctx, feeder_slot *slot, ex_error *err)
{
    command_source *source = ctx;
    command_slot *s = (command_slot *)slot;
    if (!s->has_arena)
        ex_arena_init(&s->arena, 0);
    s->has_arena = true;
    ex_arena_reset(&s->arena);
    uint32_t account_number = (uint32_t)(source->number++ * BENCH_STRIDE % source->load->streams);
    int len = snprintf(s->id, sizeof(s->id), "%u", account_number);
    s->call = (ex_command_call){.context = EX_S("bank"),
                                .aggregate = EX_S("account"),
                                .id = ex_slice_of(s->id, (size_t)len),
                                .command = EX_S("deposit"),
                                .payload = EX_S(PAYLOAD),
                                .done = on_done,
                                .ctx = s};
    return ex_command_submit(source->load->runtime, &s->call, &s->arena, err);
}

static void drop(feeder_slot *slot)
{
    command_slot *s = (command_slot *)slot;
    if (s->has_arena)
        ex_arena_done(&s->arena);
}

double command_load_run(const command_load *load)
{
    command_source source = {.load = load};
    feeder_load feed = {.in_flight = load->in_flight,
                        .slot_size = sizeof(command_slot),
                        .seconds = load->seconds,
                        .limit = load->limit,
                        .submit = submit_command,
                        .drop = drop,
                        .ctx = &source};
    return feeder_run(&feed);
}
