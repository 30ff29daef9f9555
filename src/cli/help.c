/* help.c: the overview and the help of a verb, both out of the tables; and the verb `help`. */
#include "cli/cli.h"

#define HELP_WIDTH      80
#define HELP_COLUMN_MAX 30

/* Print `text` wrapped, from column `column` on; the cursor stands there already. */
static void put_wrapped(FILE *out, int column, const char *text)
{
    int at = column;
    for (const char *word = text; *word;) {
        int len = (int)strcspn(word, " ");
        if (at > column && at + 1 + len > HELP_WIDTH) {
            fprintf(out, "\n%*s", column, "");
            at = column;
        }
        at += fprintf(out, "%s%.*s", at > column ? " " : "", len, word);
        word += len;
        word += strspn(word, " ");
    }
    fputc('\n', out);
}

void help_overview(const cli *c, FILE *out)
{
    fprintf(out,
            "ExCore keeps business facts as events in an append-only log and serves them.\n\n"
            "Usage: %s VERB [options] [arguments]\n\n",
            c->program);
    for (const cli_verb *const *v = cli_verbs; *v; v++)
        fprintf(out, "  %-12s %s\n", (*v)->name, (*v)->summary);
    fprintf(out,
            "\nappend, read, tail, status, views and bench work on a directory or in PostgreSQL\n"
            "(--data PLACE), or on a running server (--url URL). '%s help VERB' tells more.\n",
            c->program);
}

/* "-d, --data DIR" into `ret`; returns its length. */
static int option_label(const arg_option *o, char *ret, size_t size)
{
    char letter[8] = "    ";
    if (o->letter)
        (void)snprintf(letter, sizeof(letter), "-%c, ", o->letter);
    return snprintf(ret, size, "%s--%s%s%s", letter, o->name, o->value ? " " : "",
                    o->value ? o->value : "");
}

static void put_options(FILE *out, const arg_option *list, int column)
{
    for (const arg_option *o = list; o && o->name; o++) {
        char label[96];
        int len = option_label(o, label, sizeof(label));
        fprintf(out, "  %s", label);
        if (len + 4 > column)
            fprintf(out, "\n%*s", column, "");
        else
            fprintf(out, "%*s", column - len - 2, "");
        put_wrapped(out, column, o->help);
    }
}

static int widest(const arg_option *list, int column)
{
    for (const arg_option *o = list; o && o->name; o++) {
        char label[96];
        int len = option_label(o, label, sizeof(label)) + 4;
        if (len > column && len <= HELP_COLUMN_MAX)
            column = len;
    }
    return column;
}

void help_verb(const cli *c, const cli_verb *verb, FILE *out)
{
    fprintf(out, "%s %s: %s\n\nUsage: %s %s [options]%s%s\n\nOptions:\n", c->program, verb->name,
            verb->summary, c->program, verb->name, verb->operands ? " " : "",
            verb->operands ? verb->operands : "");
    int column = widest(args_common_options, widest(verb->options, 0));
    put_options(out, verb->options, column);
    put_options(out, args_common_options, column);
    if (verb->details)
        fprintf(out, "\n%s\n", verb->details);
    if (!verb->examples)
        return;
    fprintf(out, "\nExamples:\n");
    for (const char *at = verb->examples; *at;) {
        size_t len = strcspn(at, "\n");
        fprintf(out, "  %s %.*s\n", c->program, (int)len, at);
        at += len + (at[len] == '\n');
    }
}

static int run_help(const cli *c, const args *a)
{
    const char *name = args_operand(a, 0);
    if (!name) {
        help_overview(c, stdout);
        return CLI_OK;
    }
    const cli_verb *verb = cli_find_verb(name);
    if (!verb)
        return cli_unknown_verb(c, name);
    help_verb(c, verb, stdout);
    return CLI_OK;
}

const cli_verb cli_verb_help = {
    .name = "help",
    .summary = "show the overview, or the help of a verb",
    .operands = "[VERB]",
    .operand_choices = "@verbs",
    .examples = "help append",
    .run = run_help,
};
