/* cli.c: ex_main: find the verb, parse its arguments, run it. */
#include "app/crash.h"
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

#include "cli/stdout_watch.h"
#include "kernel/suggest.h"
#include "sql/process.h"

const cli_verb *const cli_verbs[] = {
    &cli_verb_serve,  &cli_verb_append,     &cli_verb_read,  &cli_verb_tail,    &cli_verb_bench,
    &cli_verb_copy,   &cli_verb_status,     &cli_verb_views, &cli_verb_migrate, &cli_verb_check,
    &cli_verb_config, &cli_verb_completion, &cli_verb_help,  &cli_verb_version, NULL,
};

const cli_verb *cli_find_verb(const char *name)
{
    for (const cli_verb *const *v = cli_verbs; *v; v++)
        if (strcmp((*v)->name, name) == 0)
            return *v;
    return NULL;
}

int cli_unknown_verb(const cli *c, const char *name)
{
    ex_suggest s;
    ex_suggest_begin(&s, ex_str(name));
    for (size_t i = 0; cli_verbs[i]; i++)
        ex_suggest_try(&s, cli_verbs[i]->name);
    const char *near = ex_suggest_end(&s);
    fprintf(stderr, "%s: '%s' is not a verb", c->program, name);
    if (near)
        fprintf(stderr, "; did you mean '%s'?", near);
    fprintf(stderr, "\nSee '%s help'.\n", c->program);
    return CLI_MISUSE;
}

int cli_fail(const cli *c, const args *a, const ex_error *err)
{
    fprintf(stderr, "%s %s: %s\n", c->program, a->verb->name, err->message);
    return CLI_FAILURE;
}

int cli_misuse(const cli *c, const cli_verb *verb, const char *fmt, ...)
{
    va_list list;
    va_start(list, fmt);
    fprintf(stderr, "%s %s: ", c->program, verb->name);
    vfprintf(stderr, fmt, list);
    fprintf(stderr, "\nSee '%s %s --help'.\n", c->program, verb->name);
    va_end(list);
    return CLI_MISUSE;
}

int cli_finish(const cli *c, const args *a, int code)
{
    bool has_failed = fflush(stdout) != 0 || ferror(stdout);
    int reason = stdout_reason();
    if (!has_failed || reason == EPIPE) /* whoever read it has seen enough */
        return code;
    fprintf(stderr, "%s %s: cannot write to standard output: %s\n", c->program, a->verb->name,
            strerror(reason ? reason : EIO));
    return CLI_FAILURE;
}

static int run_verb(const cli *c, const cli_verb *verb, int argc, char **argv)
{
    args a = {0};
    ex_error err = {0};
    if (args_parse(verb, argc, argv, &a, &err))
        return err.status == EX_EINVAL ? cli_misuse(c, verb, "%s", err.message) : CLI_FAILURE;
    int code = CLI_OK;
    if (a.wants_help)
        help_verb(c, verb, stdout);
    else if (a.wants_version)
        version_line(c, stdout);
    else
        code = verb->run(c, &a);
    code = cli_finish(c, &a, code);
    args_done(&a);
    return code;
}

/* `excore --help`, `excore --version`: options in the place of the verb. */
static const char *verb_of_option(const char *text)
{
    if (strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0)
        return "help";
    if (strcmp(text, "--version") == 0 || strcmp(text, "-V") == 0)
        return "version";
    return text;
}

/* Started with one of them closed, the next file opened, perhaps the store's, would take its place
 * and get what is printed. */
static void hold_standard_descriptors(void)
{
    int fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO)
        fd = open("/dev/null", O_RDWR);
    if (fd >= 0)
        close(fd);
}

int ex_main(int argc, char **argv, const ex_app *app)
{
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    cli c = {slash ? slash + 1 : argc > 0 ? argv[0] : "excore", app};
    hold_standard_descriptors();
    crash_watch();
    stdout_watch();
    sql_tune_process();
    /* A reader that goes away shows as EPIPE, so that every verb can end in order. */
    (void)sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL); /* cannot fail */
    if (argc < 2) {
        help_overview(&c, stderr);
        return CLI_MISUSE;
    }
    const char *name = verb_of_option(argv[1]);
    const cli_verb *verb = cli_find_verb(name);
    if (!verb)
        return cli_unknown_verb(&c, name);
    return run_verb(&c, verb, argc - 2, argv + 2);
}
