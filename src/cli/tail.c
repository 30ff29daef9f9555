/* tail.c: the verb `tail`: the log, filtered, and then what is appended to it. */
#include "cli/cli.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/target.h"

#include <stdlib.h>

#define LAST_EVENTS 10

/* Items of the options --types, --tags, --streams. */
typedef struct list {
    ex_slice *items;
    uint32_t count;
} list;

typedef struct filter_lists {
    list types, tags, streams;
    ex_query_item item;
    ex_filter filter;
} filter_lists;

static size_t count_items(const args *a, const char *name)
{
    size_t count = 0, at = 0;
    ex_slice item;
    for (const char *text; (text = args_next(a, name, &at));)
        for (ex_slice rest = ex_str(text); args_next_item(&rest, &item);)
            count++;
    return count;
}

/* The option may be repeated, and holds several items between commas. */
static ex_status take_list(const args *a, const char *name, list *ret, ex_error *err)
{
    size_t at = 0;
    ret->items = calloc(count_items(a, name) + 1, sizeof(*ret->items));
    if (!ret->items)
        return ex_raise(err, EX_ENOMEM, "out of memory");
    for (const char *text; (text = args_next(a, name, &at));)
        for (ex_slice rest = ex_str(text); args_next_item(&rest, &ret->items[ret->count]);)
            ret->count++;
    return EX_OK;
}

static ex_status take_filter(const args *a, filter_lists *f, ex_error *err)
{
    ex_status status = take_list(a, "types", &f->types, err);
    if (!status)
        status = take_list(a, "tags", &f->tags, err);
    if (!status)
        status = take_list(a, "streams", &f->streams, err);
    if (status)
        return status;
    f->item = (ex_query_item){f->types.items, f->types.count, f->tags.items, f->tags.count};
    f->filter = (ex_filter){.streams = f->streams.items,
                            .stream_count = f->streams.count,
                            .correlation_id = ex_str(args_text(a, "correlation", ""))};
    if (f->types.count + f->tags.count > 0)
        f->filter.query = (ex_query){&f->item, 1};
    return EX_OK;
}

static void filter_done(filter_lists *f)
{
    free(f->types.items);
    free(f->tags.items);
    free(f->streams.items);
}

static ex_status print_log(const args *a, target *t, const ex_filter *filter, output *o,
                           ex_error *err)
{
    uint64_t after = args_number(a, "from", 0);
    ex_status status = EX_OK;
    if (!args_has(a, "from")) {
        uint64_t head = 0;
        status = t->ops->head(t->impl, &head, err);
        after = head > LAST_EVENTS ? head - LAST_EVENTS : 0;
    }
    if (status)
        return status;
    if (!args_has(a, "no-follow"))
        return t->ops->follow(t->impl, after, filter, output_event, o, err);
    ex_read_log read = {.after = after, .limit = o->limit, .filter = filter};
    return t->ops->read_log(t->impl, &read, output_event, o, err);
}

static ex_status run(const args *a, output *o, ex_error *err)
{
    target t = {0};
    filter_lists f = {0};
    ex_status status = take_filter(a, &f, err);
    if (!status)
        status = interrupt_start(err);
    if (!status)
        status = target_open(a, TARGET_READ, &t, err);
    if (!status) {
        interrupt_on(t.ops->stop, t.impl);
        status = target_reach(a, &t, err);
        if (!status)
            status = print_log(a, &t, &f.filter, o, err);
        interrupt_on(NULL, NULL);
    }
    target_close(&t);
    filter_done(&f);
    if (status == EX_ECANCELLED || interrupt_came())
        return EX_OK; /* ending it is how following ends */
    return !status && o->status ? ex_raise(err, o->status, "an event does not fit into memory")
                                : status;
}

static int run_tail(const cli *c, const args *a)
{
    ex_error err = {0};
    if (target_check(a, &err) || output_check(a, &err))
        return cli_misuse(c, a->verb, "%s", err.message);
    if (args_has(a, "correlation") && args_text(a, "correlation", "")[0] == '\0')
        return cli_misuse(c, a->verb, "option '--correlation' is empty");
    if (args_has(a, "limit") && args_number(a, "limit", 0) == 0)
        return CLI_OK;
    output o;
    output_init(&o, output_form_of(a), args_number(a, "limit", 0));
    int code = run(a, &o, &err) ? cli_fail(c, a, &err) : CLI_OK;
    output_done(&o);
    return code;
}

static const arg_option options[] = {
    TARGET_OPTIONS,
    {0, "from", ARG_NUMBER, "N", "events after this position; 0: all [the last ten]", NULL},
    {'n', "limit", ARG_NUMBER, "N", "end after so many events", NULL},
    {0, "types", ARG_LIST, "A,B", "only events of any of these types", NULL},
    {0, "tags", ARG_LIST, "A,B", "only events with all of these tags", NULL},
    {0, "streams", ARG_LIST, "A,B", "only events of any of these streams", NULL},
    {0, "correlation", ARG_TEXT, "ID", "only events of this correlation id", NULL},
    {0, "no-follow", ARG_FLAG, NULL, "end at the end of the log", NULL},
    TARGET_REACH_OPTIONS,
    OUTPUT_OPTIONS,
    {0},
};

const cli_verb cli_verb_tail = {
    .name = "tail",
    .summary = "print the log and follow it",
    .options = options,
    .details = "It goes on until Ctrl-C (exit code 0) or until nobody reads its output. On a\n"
               "directory it works while a server writes there; on a server it asks again from\n"
               "where it was when the connection breaks, for a minute.",
    .examples = "tail --from 0 -d ./data\n"
                "tail --types OrderPlaced,OrderPaid --tags customer:7 -u http://127.0.0.1:8080\n"
                "tail --from 0 --correlation checkout-17 -u http://127.0.0.1:8080\n"
                "tail --from 0 --no-follow --json -d ./data",
    .run = run_tail,
};
