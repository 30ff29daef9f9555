/* cli.h: what the verbs share: the program, the list of verbs, how a verb fails.
 *
 * Exit codes: 0 success, 1 failure, 2 misuse, 78 a faulty configuration (serve,
 * config). Results go to standard output, everything else to standard error. */
#ifndef EXCORE_CLI_CLI_H
#define EXCORE_CLI_CLI_H

#include "cli/args.h"

#include <excore/app.h>

#define CLI_OK      0
#define CLI_FAILURE 1
#define CLI_MISUSE  2
#define CLI_CONFIG  78 /* EX_CONFIG of sysexits.h (R-01-30) */

typedef struct cli {
    const char *program; /* as it was called, without the folder */
    const ex_app *app;   /* linked in, or NULL */
} cli;

/** All verbs, in the order of the overview; ends with NULL. */
extern const cli_verb *const cli_verbs[];
extern const cli_verb cli_verb_serve, cli_verb_append, cli_verb_read, cli_verb_tail,
    cli_verb_config, cli_verb_check, cli_verb_views, cli_verb_bench, cli_verb_copy, cli_verb_status,
    cli_verb_migrate, cli_verb_completion, cli_verb_help, cli_verb_version;

/** NULL when there is none of that name. */
const cli_verb *cli_find_verb(const char *name);
/** Say which verb was meant; returns CLI_MISUSE. */
int cli_unknown_verb(const cli *c, const char *name);

/** Print "excore append: message" to standard error; returns CLI_FAILURE. */
int cli_fail(const cli *c, const args *a, const ex_error *err);
/** The same with a pointer to the help; returns CLI_MISUSE. */
int cli_misuse(const cli *c, const cli_verb *verb, const char *fmt, ...) EX_PRINTF(3, 4);
/** Flush standard output. A reader that went away is no failure; a full disk is.
 *  @return `code`, or CLI_FAILURE after a message */
int cli_finish(const cli *c, const args *a, int code);

/* help.c */
void help_overview(const cli *c, FILE *out);
void help_verb(const cli *c, const cli_verb *verb, FILE *out);
/* version.c */
void version_line(const cli *c, FILE *out);

#endif
