/* migrate.c: the verb `migrate`: bring a store's tables to the layout that this program writes, or
 * make them. */
#include "cli/cli.h"
#include "cli/target.h"
#include "store/describe.h"

static ex_status migrate(const args *a, const char *place, bool must_exist, ex_error *err)
{
    const ex_store_options options = {.must_exist = must_exist,
                                      .migrate = true,
                                      .new_log = args_has(a, "new-log"),
                                      .without_wal = args_has(a, "without-wal")};
    ex_store *store = NULL;
    ex_status st = ex_store_open(place, &options, &store, err);
    ex_store_close(store);
    return st;
}

static ex_status create(const args *a, const char *place, ex_error *err)
{
    ex_store_format f = {0};
    if (args_has(a, "dry-run")) {
        printf("there is no store, one would be made\n");
        return EX_OK;
    }
    ex_status st = migrate(a, place, false, err);
    st = st ? st : ex_store_inspect(place, &f, err);
    if (st == EX_OK)
        printf("%s, format %u: made\n", f.engine, f.found);
    return st;
}

static ex_status go_on_without_wal(const args *a, const char *place, ex_error *err)
{
    ex_store_format f = {0};
    ex_status st = migrate(a, place, true, err);
    st = st ? st : ex_store_inspect(place, &f, err);
    if (st == EX_OK)
        printf("%s, format %u: goes on as it is\n", f.engine, f.found);
    return st;
}

static ex_status run(const args *a, ex_error *err)
{
    bool is_given = false;
    const char *place = target_data(a, &is_given);
    ex_store_format f = {0};
    if (args_has(a, "without-wal") && args_has(a, "dry-run"))
        return ex_raise(err, EX_EINVAL, "--without-wal and --dry-run exclude each other");
    if (args_has(a, "without-wal"))
        return go_on_without_wal(a, place, err);
    ex_status st = ex_store_inspect(place, &f, err);
    if (st == EX_ENOTFOUND && args_has(a, "create"))
        return create(a, place, err);
    if (st)
        return st;
    if (f.unwritable[0])
        return ex_raise(err, EX_EFORMAT,
                        "the store has format %u and uses what this version of excore does not "
                        "know (%.200s): it may read it, only a newer one may write it",
                        f.found, f.unwritable);
    bool is_dry = args_has(a, "dry-run");
    bool is_up_to_date = f.found == f.known && !f.missing[0];
    if (!is_dry && !is_up_to_date)
        st = migrate(a, place, true, err);
    if (st)
        return st;
    printf("%s, format %u: ", f.engine, f.found);
    if (is_up_to_date)
        printf("up to date\n");
    else if (f.found == f.known)
        printf("%s %s; older versions of excore go on serving it\n", is_dry ? "lacks" : "got",
               f.missing);
    else
        printf("%s to format %u\n", is_dry ? "would be brought" : "brought", f.known);
    return EX_OK;
}

static int run_migrate(const cli *c, const args *a)
{
    ex_error err = {0};
    return run(a, &err) ? cli_fail(c, a, &err) : CLI_OK;
}

static const arg_option options[] = {
    {'d', "data", ARG_TEXT, "PLACE",
     "the store: a directory or a postgres:// URL [EXCORE_STORE_DATA, ./data]", NULL},
    {0, "create", ARG_FLAG, NULL, "make an empty store when there is none", NULL},
    {0, "new-log", ARG_FLAG, NULL,
     "with --create: also where another log has left files; they get names in .old", NULL},
    {0, "without-wal", ARG_FLAG, NULL,
     "open a directory whose WAL is missing or another's: what was in it is lost", NULL},
    {0, "dry-run", ARG_FLAG, NULL, "change nothing, say what would be done", NULL},
    {0},
};

const cli_verb cli_verb_migrate = {
    .name = "migrate",
    .summary = "bring a store made by an older version up to date",
    .options = options,
    .details =
        "All of it is done or nothing. There is no way back to an older version of excore, so\n"
        "make a backup first. Stop the servers: a directory in use is refused. A directory is\n"
        "also brought up to date by the first verb that writes to it; a database only by this\n"
        "verb, or by a server that is started with --migrate. With --create a role that owns\n"
        "the tables makes them for another one that serves.",
    .examples = "migrate -d ./data --dry-run\n"
                "migrate -d postgres://owner@localhost/orders --create",
    .run = run_migrate,
};
