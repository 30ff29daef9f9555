/* read.c: the verb `read`: the events of one stream. */
#include "cli/cli.h"
#include "cli/output.h"
#include "cli/target.h"

static int run_read(const cli *c, const args *a)
{
    ex_error err = {0};
    if (target_check(a, &err) || output_check(a, &err))
        return cli_misuse(c, a->verb, "%s", err.message);
    ex_read_stream read = {
        .stream = ex_str(args_operand(a, 0)),
        .from = args_number(a, "from", 0),
        .limit = args_number(a, "limit", 0),
        .direction = args_has(a, "backward") ? EX_BACKWARD : EX_FORWARD,
    };
    if (args_has(a, "limit") && read.limit == 0)
        return CLI_OK;
    target t = {0};
    output o;
    output_init(&o, output_form_of(a), read.limit);
    ex_status status = target_open(a, TARGET_READ, &t, &err);
    if (!status)
        status = target_reach(a, &t, &err);
    if (!status)
        status = t.ops->read_stream(t.impl, &read, output_event, &o, &err);
    if (!status && o.status)
        status = ex_raise(&err, o.status, "an event does not fit into memory");
    int code = status ? cli_fail(c, a, &err) : CLI_OK;
    target_close(&t);
    output_done(&o);
    return code;
}

static const arg_option options[] = {
    TARGET_OPTIONS,
    {0, "from", ARG_NUMBER, "N", "begin at this version [the first; backward: the last]", NULL},
    {'n', "limit", ARG_NUMBER, "N", "print at most so many events", NULL},
    {'b', "backward", ARG_FLAG, NULL, "newest first", NULL},
    TARGET_REACH_OPTIONS,
    OUTPUT_OPTIONS,
    {0},
};

const cli_verb cli_verb_read = {
    .name = "read",
    .summary = "print the events of a stream",
    .operands = "STREAM",
    .options = options,
    .details =
        "A line shows when the event was recorded, its position in the log, STREAM@VERSION,\n"
        "its type and its data, cut to the terminal's width. --json prints all of it.\n"
        "A stream that does not exist is a failure (exit code 1).",
    .examples = "read order-1 -d ./data\n"
                "read order-1 --backward --limit 1 --json -u http://127.0.0.1:8080",
    .run = run_read,
};
