/* bench_commands.c: durable commands through the library beside durable appends.
 *
 * A command reads its JSON, decides on the state of its stream and emits one
 * event of about 256 bytes, which evolves the state. Three loads run in turn
 * with the same number in flight: appends to new streams, appends to 10,000
 * streams, commands on 10,000 streams, commands on one. */
#include <excore/runtime.h>

#include <stdio.h>
#include <stdlib.h>

#include "support/append_load.h"
#include "support/feeder.h"
#include "support/report.h"

#define STREAMS 10000u

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
static const ex_app bank = {EX_APP_ABI, "bank", contexts, 1};

#define PAYLOAD                                                                                    \
    "{\"amount_cents\":12345,\"currency\":\"EUR\",\"reference\":\"01890a5d-ac96-774b-bcce-"        \
    "b302099a8057\",\"note\":\"an invoice, paid in full and on time; thank you for your order "    \
    "and see you again soon in our shop\"}"

/* ---- The load ---- */

typedef struct command_load {
    ex_runtime *runtime;
    uint32_t streams;
    uint64_t number;
} command_load;

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
    command_load *load = ctx;
    command_slot *s = (command_slot *)slot;
    if (!s->has_arena)
        ex_arena_init(&s->arena, 0);
    s->has_arena = true;
    ex_arena_reset(&s->arena);
    uint32_t account_number = (uint32_t)(load->number++ * BENCH_STRIDE % load->streams);
    int len = snprintf(s->id, sizeof(s->id), "%u", account_number);
    s->call = (ex_command_call){.context = EX_S("bank"),
                                .aggregate = EX_S("account"),
                                .id = ex_slice_of(s->id, (size_t)len),
                                .command = EX_S("deposit"),
                                .payload = EX_S(PAYLOAD),
                                .done = on_done,
                                .ctx = s};
    return ex_command_submit(load->runtime, &s->call, &s->arena, err);
}

static void drop(feeder_slot *slot)
{
    command_slot *s = (command_slot *)slot;
    if (s->has_arena)
        ex_arena_done(&s->arena);
}

static double run_commands(ex_runtime *runtime, uint32_t streams, uint32_t in_flight,
                           double seconds, uint64_t limit)
{
    command_load ctx = {.runtime = runtime, .streams = streams};
    feeder_load load = {.in_flight = in_flight,
                        .slot_size = sizeof(command_slot),
                        .seconds = seconds,
                        .limit = limit,
                        .submit = submit_command,
                        .drop = drop,
                        .ctx = &ctx};
    return feeder_run(&load);
}

static void measure(ex_store *store, ex_runtime *runtime, uint32_t in_flight, double seconds,
                    int rounds)
{
    samples appends = {0}, spread = {0}, many = {0}, one = {0};
    char what[96];
    for (int i = 0; i < rounds; i++) {
        samples_add(&appends, append_load_run(store, in_flight, seconds));
        samples_add(&spread, append_load_spread(store, STREAMS, in_flight, seconds));
        /* the appends' new streams have pushed the 10,000 out of the store's cache */
        (void)run_commands(runtime, STREAMS, in_flight, 0, STREAMS);
        samples_add(&many, run_commands(runtime, STREAMS, in_flight, seconds, 0));
        samples_add(&one, run_commands(runtime, 1, in_flight, seconds, 0));
    }
    (void)snprintf(what, sizeof(what), "durable commands, 10,000 streams, %u in flight", in_flight);
    report_ratio(what, &many, "appends", &appends, 0.8);
    report_ratio("the same, beside appends to 10,000 streams", &many, "appends", &spread, 0);
    (void)snprintf(what, sizeof(what), "durable commands, one hot stream, %u in flight", in_flight);
    report_ratio(what, &one, "appends", &appends, 0.8);
}

int main(int argc, char **argv)
{
    double seconds = bench_option(argc, argv, "--seconds", 0.7);
    int rounds = (int)bench_option(argc, argv, "--rounds", 5);
    ex_store *store = NULL;
    ex_runtime *runtime = NULL;
    ex_error err;
    char dir[64];
    bench_require(ex_store_open(bench_dir("commands", dir, sizeof(dir)), NULL, &store, &err), &err);
    bench_require(ex_runtime_start(store, &bank, NULL, &runtime, &err), &err);
    measure(store, runtime, 256, seconds, rounds);
    measure(store, runtime, 1024, seconds, rounds);
    ex_runtime_stop(runtime);
    ex_store_close(store);
    return 0;
}
