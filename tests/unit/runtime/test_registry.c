/* test_registry.c: a faulty application is refused at start, with the name that is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/registry.h"
#include "support/accounts.h"

/* One context with one of each, free to be broken. */
typedef struct parts {
    ex_command_def commands[2];
    ex_event_def events[2];
    ex_aggregate aggregate;
    ex_view_def view;
    ex_query_def query;
    ex_context context, other;
    ex_table_def table;
    const ex_aggregate *aggregates[2];
    const ex_view_def *views[2];
    const ex_query_def *queries[2];
    const ex_context *contexts[2];
    ex_app app;
} parts;

static void build(parts *p)
{
    p->aggregate = account_aggregate;
    memcpy(p->commands, account_aggregate.commands, sizeof(p->commands));
    memcpy(p->events, account_aggregate.events, sizeof(p->events));
    p->aggregate.commands = p->commands;
    p->aggregate.command_count = 2;
    p->aggregate.events = p->events;
    p->aggregate.event_count = 2;
    p->view = balance_view;
    p->table = balance_view.tables[0];
    p->view.tables = &p->table;
    p->query = *accounts_app.contexts[0]->queries[0];
    p->query.view = &p->view;
    for (int i = 0; i < 2; i++) {
        p->aggregates[i] = &p->aggregate;
        p->views[i] = &p->view;
        p->queries[i] = &p->query;
    }
    p->context = (ex_context){"bank", p->aggregates, 1, p->views, 1, p->queries, 1};
    p->other = p->context;
    p->other.name = "other";
    p->contexts[0] = &p->context;
    p->contexts[1] = &p->other;
    p->app = (ex_app){EX_APP_ABI, "app", p->contexts, 1};
}

static void bad_context(parts *p)
{
    p->context.name = "Bank";
}
static void taken_context(parts *p)
{
    p->context.name = "views";
}
static void no_context(parts *p)
{
    p->app.context_count = 0;
}
static void bad_aggregate(parts *p)
{
    p->aggregate.name = "my-account";
} /* the dash ends a category */
static void no_state(parts *p)
{
    p->aggregate.state = NULL;
}
static void command_twice(parts *p)
{
    p->commands[1].name = p->commands[0].name;
}
static void no_decide(parts *p)
{
    p->commands[1].decide = NULL;
}
static void event_twice(parts *p)
{
    p->events[1] = p->events[0];
}
static void no_evolve(parts *p)
{
    p->events[1].evolve = NULL;
}
static void aggregate_twice(parts *p)
{
    p->context.aggregate_count = 2;
}
static void view_twice(parts *p)
{
    p->context.view_count = 2;
}
static void view_without_table(parts *p)
{
    p->view.table_count = 0;
}
static void view_version_0(parts *p)
{
    p->view.version = 0;
}
static void query_twice(parts *p)
{
    p->context.query_count = 2;
}
static void query_without_order(parts *p)
{
    p->query.order_by[0] = NULL;
}
static void query_ordered_by_nothing(parts *p)
{
    p->query.order_by[1] = "nobody";
}
static void query_ordered_by_a_null(parts *p)
{
    static ex_field fields[8];
    static ex_type row;
    row = *p->query.row;
    memcpy(fields, row.fields, row.field_count * sizeof(*fields));
    for (uint32_t i = 0; i < row.field_count; i++)
        if (strcmp(fields[i].name, "cents") == 0)
            fields[i].kind = EX_KIND_OPT_I64;
    row.fields = fields;
    p->query.row = &row;
}
static void two_views_share_a_table(parts *p)
{
    static ex_view_def second;
    second = p->view;
    second.name = "second";
    p->views[1] = &second;
    p->context.view_count = 2;
}
static void table_with_a_long_name(parts *p)
{
    static ex_type row;
    row = *p->view.tables[0].row;
    row.name = "AnsweredQuestionsOfAllTheDepartmentsOfTheCompanyAndItsBranches";
    p->table = (ex_table_def){.row = &row};
}
static void query_without_view(parts *p)
{
    p->query.view = NULL;
}
static void query_without_row(parts *p)
{
    p->query.row = NULL;
}
static void two_contexts_share_an_aggregate(parts *p)
{
    p->app.context_count = 2;
}
static void two_contexts_share_a_view(parts *p)
{
    p->app.context_count = 2;
    p->other.aggregate_count = 0;
}
static const char *ignored[2];
static void ignores(parts *p, const char *first, const char *second)
{
    ignored[0] = first;
    ignored[1] = second;
    p->aggregate.ignored = ignored;
    p->aggregate.ignored_count = 2;
}
static void handles_and_ignores(parts *p)
{
    ignores(p, "AccountAudited", "MoneyMoved");
}
static void ignores_twice(parts *p)
{
    ignores(p, "AccountAudited", "AccountAudited");
}
static void ignores_nothing(parts *p)
{
    ignores(p, "AccountAudited", "");
}
static void event_of_version(parts *p, uint32_t version)
{
    static ex_type type;
    type = *p->events[1].type;
    type.schema_version = version;
    p->events[1].type = &type;
}
static void event_version_0(parts *p)
{
    event_of_version(p, 0);
}
static void versions_differ(parts *p)
{
    event_of_version(p, 2);
}
static void index_on(parts *p, const char *columns)
{
    static const char *index[1];
    index[0] = columns;
    p->table.indexes = index;
    p->table.index_count = 1;
}
static void index_on_nothing(parts *p)
{
    index_on(p, "cents, nobody");
}
static void index_on_a_call(parts *p)
{
    index_on(p, "lower(owner)");
}
static void index_with_a_word(parts *p)
{
    index_on(p, "owner DESC NULLS LAST");
}
static void index_without_a_text(parts *p)
{
    index_on(p, NULL);
}
static void index_of_nothing(parts *p)
{
    index_on(p, "");
}
/* The second table of a view has indexes of its own columns. */
static void index_of_a_second_table(parts *p)
{
    static ex_type row;
    static const char *const index[] = {"owner", "customer_id"};
    static ex_table_def tables[2];
    row = *p->table.row;
    row.name = "OldBalance";
    tables[0] = p->table;
    tables[1] = (ex_table_def){&row, index, 2};
    p->view.tables = tables;
    p->view.table_count = 2;
}
static void table_twice(parts *p)
{
    static ex_table_def tables[2];
    tables[0] = tables[1] = p->table;
    p->view.tables = tables;
    p->view.table_count = 2;
}
static void table_named(parts *p, const char *name)
{
    static ex_type row;
    row = *p->view.tables[0].row;
    row.name = name;
    p->table = (ex_table_def){.row = &row};
}
static void table_with_a_dash(parts *p)
{
    table_named(p, "My-Balance");
}
static void table_of_ours(parts *p)
{
    table_named(p, "ExcoreViews");
}
static void table_of_sqlite(parts *p)
{
    table_named(p, "SqliteThings");
}
static void column_of_postgres(parts *p)
{
    static ex_field fields[8];
    static ex_type row;
    row = *p->view.tables[0].row;
    memcpy(fields, row.fields, row.field_count * sizeof(*fields));
    fields[1].name = "xmin";
    row.fields = fields;
    p->table = (ex_table_def){.row = &row};
}
static void query_of_one_engine(parts *p)
{
    p->query.sql = "SELECT ifnull(owner, '') FROM balance";
}
static void older_interface(parts *p)
{
    p->app.abi = EX_APP_ABI + 1;
}

static const struct {
    const char *name;
    void (*break_it)(parts *p);
    ex_status want;
    const char *word;
} cases[] = {
    {"bad context name", bad_context, EX_EINVAL, "'Bank'"},
    {"the platform's name", taken_context, EX_EINVAL, "/v1/views is the platform's"},
    {"no context", no_context, EX_EINVAL, "no context"},
    {"bad aggregate name", bad_aggregate, EX_EINVAL, "'my-account'"},
    {"no state type", no_state, EX_EINVAL, "account"},
    {"command twice", command_twice, EX_EEXISTS, "'open'"}, /* R-CB-13 */
    {"no decide", no_decide, EX_EINVAL, "deposit"},
    {"event twice", event_twice, EX_EEXISTS, "'AccountOpened'"},
    {"no evolve", no_evolve, EX_EINVAL, "account"},
    {"aggregate twice", aggregate_twice, EX_EEXISTS, "'account'"},
    {"view twice", view_twice, EX_EEXISTS, "'balance'"}, /* R-PC-07 */
    {"view without table", view_without_table, EX_EINVAL, "balance"},
    {"view version 0", view_version_0, EX_EINVAL, "version 0"},
    {"query twice", query_twice, EX_EEXISTS, "'balances'"}, /* R-QA-04 */
    {"page without order", query_without_order, EX_EINVAL, "order_by"},
    {"page ordered by no column", query_ordered_by_nothing, EX_EINVAL, "nobody"},
    {"page ordered by what may be null", query_ordered_by_a_null, EX_EINVAL, "cents"}, /* R-QA-02 */
    {"table of two views", two_views_share_a_table, EX_EEXISTS, "'balance'"},
    {"table with a long name", table_with_a_long_name, EX_EINVAL, "answered_questions"},
    {"query without view", query_without_view, EX_EINVAL, "view"},
    {"query without row", query_without_row, EX_EINVAL, "row"},
    {"aggregate in two contexts", two_contexts_share_an_aggregate, EX_EEXISTS,
     "bank and by other"}, /* R-01-24 */
    {"view in two contexts", two_contexts_share_a_view, EX_EEXISTS, "bank and by other"},
    /* issue 8, item 7; G-708 */
    {"type handled and ignored", handles_and_ignores, EX_EINVAL,
     "both handles and ignores MoneyMoved"},
    {"type ignored twice", ignores_twice, EX_EEXISTS, "'AccountAudited'"},
    {"ignored without a name", ignores_nothing, EX_EINVAL, "without a good name"},
    {"event version 0", event_version_0, EX_EINVAL, "schema version 0"},
    {"view with another version", versions_differ, EX_EINVAL,
     "MoneyMoved has schema version 2 in aggregate account and 1 in view balance"},
    /* item 8; G-962 */
    {"index on no column", index_on_nothing, EX_EINVAL, "'nobody' of index"},
    {"index of a second table", index_of_a_second_table, EX_EINVAL,
     "'customer_id' of index 'customer_id' is no column of OldBalance"},
    {"table twice in a view", table_twice, EX_EEXISTS, "table 'balance'"},
    {"index on a call", index_on_a_call, EX_EINVAL, "'lower(owner)' of index"},
    {"index with more words", index_with_a_word, EX_EINVAL, "'owner DESC NULLS LAST' of index"},
    {"index without a text", index_without_a_text, EX_EINVAL, "index is empty"},
    {"index of nothing", index_of_nothing, EX_EINVAL, "index is empty"},
    {"table with a dash", table_with_a_dash, EX_EINVAL, "my-_balance"},
    {"table of ours", table_of_ours, EX_EINVAL, "excore_views"},
    {"table of SQLite's", table_of_sqlite, EX_EINVAL, "sqlite_things"},
    {"column of PostgreSQL's", column_of_postgres, EX_EINVAL, "xmin"},
    {"query of one engine", query_of_one_engine, EX_EINVAL,
     "query balances of view balance: 'SELECT ifnull('"},
    {"another interface", older_interface, EX_EINVAL, "interface"},
};

static void test_registry_names_what_is_wrong(void **ctx)
{
    (void)ctx;
    parts p;
    build(&p);
    assert_int_equal(registry_check(&p.app, NULL), EX_OK);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_error err = {0};
        build(&p);
        cases[i].break_it(&p);
        ex_status st = registry_check(&p.app, &err);
        if (st != cases[i].want || !strstr(err.message, cases[i].word))
            fail_msg("%s: %d %s", cases[i].name, st, err.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_registry_names_what_is_wrong)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
