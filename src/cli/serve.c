/* serve.c: the verb `serve`: run the server in the foreground. */
#include "app/serve.h"
#include "cli/cli.h"
#include "cli/options.h"

/* Whoever started the server waits for this one line. */
static void print_ready(void *ctx, const char *line)
{
    const cli *c = ctx;
    printf("%s: %s\n", c->program, line);
    fflush(stdout); /* nobody may be reading; the server runs all the same */
    clearerr(stdout);
}

static int run_serve(const cli *c, const args *a)
{
    settings s = {0};
    int code = options_load(c, a, &s);
    if (code)
        return code;
    s.store.migrate = args_has(a, "migrate");
    s.store.new_log = args_has(a, "new-log");
    ex_error err = {0};
    cli copy = *c;
    if (serve_run(&s, c->app, print_ready, &copy, &err))
        code = cli_fail(c, a, &err);
    settings_done(&s);
    return code;
}

static const arg_option options[] = {
    SETTINGS_OPTIONS,
    {0, "new-log", ARG_FLAG, NULL,
     "make a new log also where another one has left files; they get names in .old", NULL},
    {0, "migrate", ARG_FLAG, NULL, "bring an older schema in PostgreSQL up to date first", NULL},
    {0},
};

const cli_verb cli_verb_serve = {
    .name = "serve",
    .summary = "run the server",
    .options = options,
    .details =
        "It stays in the foreground and prints one line once it answers. SIGTERM or Ctrl-C\n"
        "ends it: no new connections, requests in progress are finished, then the store is\n"
        "closed (exit code 0); a second one ends it at once (1). SIGHUP reopens the log file,\n"
        "SIGUSR1 switches debug lines on and off again.\n"
        "With --data :memory: nothing is on disk: durability none, all is gone at the end.\n"
        "Exit code 78 says that the configuration is faulty. 'config' lists all keys.",
    .examples = "serve --data ./data --listen 127.0.0.1:8080\n"
                "serve --data ./data --app build/release/examples/orders/orders.so\n"
                "serve --config /etc/excore.yaml --set server.idle_timeout=5m",
    .run = run_serve,
};
