/* check.c: the verb `check`: an application as `serve` would start it, without serving. */
#include "app/application.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "runtime/app_check.h"

typedef struct check {
    const cli *c;
    const args *a;
    uint32_t faults;
} check;

static void print_fault(void *ctx, const ex_error *fault)
{
    check *k = ctx;
    k->faults++;
    (void)cli_fail(k->c, k->a, fault); /* its code is the verb's anyway */
}

static uint32_t count_views(const ex_app *app)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < app->context_count; i++)
        count += app->contexts[i]->view_count;
    return count;
}

/* @param untried those that only PostgreSQL could try */
static uint32_t count_queries(const ex_app *app, uint32_t *untried)
{
    uint32_t count = 0;
    *untried = 0;
    for (uint32_t i = 0; i < app->context_count; i++) {
        const ex_context *c = app->contexts[i];
        count += c->query_count;
        for (uint32_t q = 0; q < c->query_count; q++)
            *untried += c->queries[q]->on_postgres != NULL;
    }
    return count;
}

static void print_result(const check *k, const ex_app *app, bool is_on_server)
{
    uint32_t untried = 0, queries = count_queries(app, &untried);
    if (k->faults == 0)
        printf("application %s: %u contexts, %u views, %u queries, no fault (tried on %s)\n",
               app->name, app->context_count, count_views(app), queries,
               is_on_server ? "SQLite and PostgreSQL" : "SQLite");
    if (untried && !is_on_server)
        printf("%u queries have SQL for PostgreSQL: --data postgres://… tries it\n", untried);
}

static int check_app(check *k, const settings *s, const ex_app *app)
{
    ex_error err = {0};
    bool is_server = ex_sql_is_server(s->data);
    ex_status st = app_check(app, s->data, print_fault, k, &err);
    if (st && st != EX_EFORBIDDEN)
        return cli_fail(k->c, k->a, &err);
    if (st)
        fprintf(stderr, "%s check: not tried on PostgreSQL: %s\n", k->c->program, err.message);
    print_result(k, app, is_server && !st);
    return k->faults ? CLI_FAILURE : CLI_OK;
}

static int run_check(const cli *c, const args *a)
{
    settings s = {0};
    application loaded = {0};
    ex_error err = {0};
    check k = {c, a, 0};
    int code = options_load(c, a, &s);
    if (code)
        return code;
    if (!c->app && !*s.app)
        code = cli_misuse(c, a->verb, "which application? Name it with --app");
    else if (!c->app && application_load(s.app, &loaded, &err))
        code = cli_fail(c, a, &err);
    else
        code = check_app(&k, &s, c->app ? c->app : loaded.app);
    application_unload(&loaded);
    settings_done(&s);
    return code;
}

static const arg_option options[] = {SETTINGS_OPTIONS, {0}};

const cli_verb cli_verb_check = {
    .name = "check",
    .summary = "check an application without serving it",
    .options = options,
    .details =
        "Everything that 'serve' refuses at the start is told, all faults of the queries at\n"
        "once: parameters, columns and their kinds, tables, counts. The queries are tried on\n"
        "an SQLite in memory, and with --data postgres://… on temporary tables there, too. A\n"
        "directory is not touched. Exit code 1: there are faults.",
    .examples = "check --app build/release/examples/orders/orders.so\n"
                "check --app orders.so --data postgres://localhost/orders",
    .run = run_check,
};
