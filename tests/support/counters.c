/* counters.c: see counters.h. */
#include "support/counters.h"

_Atomic(counters_fold_fn *) counters_on_fold;

typedef struct counter {
    int64_t count;
} counter;
typedef struct add {
    ex_slice counter_id;
    int64_t n;
    int64_t count;
} add;
typedef struct counted {
    int64_t n;
} counted;
/* clang-format off */
EX_TYPE(counter, "Counter", EX_FIELD(counter, count));
EX_TYPE(add, "Add", EX_KEY(add, counter_id), EX_FIELD(add, n), EX_FIELD(add, count));
EX_TYPE(counted, "Counted", EX_FIELD(counted, n));
/* clang-format on */

static ex_status decide_add(const counter *c, const add *cmd, ex_decision *d)
{
    int64_t count = c ? c->count : 0;
    if (count != cmd->count)
        return ex_reject(d, "WRONG_COUNT", "%lld events are folded", (long long)count);
    return ex_emit(d, counted, .n = cmd->n);
}

static void on_counted(counter *c, const counted *e, ex_arena *memory)
{
    (void)memory;
    counters_fold_fn *fn = atomic_load(&counters_on_fold);
    if (fn)
        fn(e->n);
    c->count++;
}

#define COUNTER_COMMANDS(COMMAND) COMMAND(counter, add, "add", decide_add)
#define COUNTER_EVENTS(EVENT)     EVENT(counter, counted, on_counted)
EX_AGGREGATE(counter, "counter", COUNTER_COMMANDS, COUNTER_EVENTS);

static const ex_context test_context = {.name = "test", EX_AGGREGATES(&counter_aggregate)};
static const ex_context *const contexts[] = {&test_context};
const ex_app counters_app = {EX_APP_ABI, "counters", contexts, 1};
