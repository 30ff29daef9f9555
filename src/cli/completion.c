/* completion.c: the verb `completion`: a bash script made from the tables of the verbs.
 *
 * completions/excore.bash is its output; a test keeps the two equal. */
#include "cli/cli.h"

static void put_names(const arg_option *list, const char *before)
{
    for (const arg_option *o = list; o && o->name; o++)
        printf("%s--%s", o == list ? before : " ", o->name);
}

static void put_verb_names(void)
{
    for (const cli_verb *const *v = cli_verbs; *v; v++)
        printf("%s%s", v == cli_verbs ? "" : " ", (*v)->name);
}

/* What completes the value of an option: a call in the script. */
static void put_value(const arg_option *o)
{
    if (o->kind == ARG_CHOICE) {
        printf("_excore_words '");
        for (const char *at = o->choices; *at; at++)
            putchar(*at == '|' ? ' ' : *at);
        printf("'");
    } else if (strcmp(o->value, "DIR") == 0 || strcmp(o->value, "PLACE") == 0) {
        printf("_excore_files -d");
    } else if (strcmp(o->value, "FILE") == 0) {
        printf("_excore_files -f");
    } else {
        printf(":");
    }
    printf(" ;;\n");
}

static void put_values(const cli_verb *verb)
{
    for (const arg_option *o = verb->options; o && o->name; o++) {
        if (o->kind == ARG_FLAG)
            continue;
        printf("    '%s --%s'", verb->name, o->name);
        if (o->letter)
            printf(" | '%s -%c'", verb->name, o->letter);
        printf(") ");
        put_value(o);
    }
}

static void put_verb(const cli_verb *verb)
{
    printf("    %s) words='", verb->name);
    if (verb->operand_choices && strcmp(verb->operand_choices, "@verbs") == 0) {
        put_verb_names();
        putchar(' ');
    } else if (verb->operand_choices) {
        printf("%s ", verb->operand_choices);
    }
    put_names(verb->options, "");
    put_names(args_common_options, verb->options ? " " : "");
    printf("' ;;\n");
}

static void put_script(void)
{
    printf("# bash completion for excore, printed by `excore completion bash`: do not edit.\n"
           "# shellcheck shell=bash\n"
           "\n"
           "_excore_words() { mapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$cur\"); }\n"
           "\n"
           "_excore_files() {\n"
           "    compopt -o filenames 2>/dev/null\n"
           "    mapfile -t COMPREPLY < <(compgen \"$1\" -- \"$cur\")\n"
           "}\n"
           "\n"
           "_excore() {\n"
           "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
           "    local verb=${COMP_WORDS[1]} words=''\n"
           "    COMPREPLY=()\n"
           "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
           "        _excore_words '");
    put_verb_names();
    printf(" --help --version'\n"
           "        return\n"
           "    fi\n"
           "    # Bash hands over --name=value as three words.\n"
           "    if [ \"$cur\" = = ]; then\n"
           "        cur=''\n"
           "    elif [ \"$prev\" = = ]; then\n"
           "        prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
           "    fi\n"
           "    case \"$verb $prev\" in\n");
    for (const cli_verb *const *v = cli_verbs; *v; v++)
        put_values(*v);
    printf("    *)\n"
           "        case $verb in\n");
    for (const cli_verb *const *v = cli_verbs; *v; v++) {
        printf("    ");
        put_verb(*v);
    }
    printf("        esac\n"
           "        _excore_words \"$words\"\n"
           "        ;;\n"
           "    esac\n"
           "}\n"
           "\n"
           "complete -F _excore excore\n");
}

static int run_completion(const cli *c, const args *a)
{
    const char *shell = args_operand(a, 0);
    if (strcmp(shell, "bash") != 0)
        return cli_misuse(c, a->verb, "there is completion for bash, not for '%s'", shell);
    put_script();
    return CLI_OK;
}

const cli_verb cli_verb_completion = {
    .name = "completion",
    .summary = "print the completion script of a shell",
    .operands = "SHELL",
    .operand_choices = "bash",
    .details = "SHELL is bash. An installed excore brings the script along.",
    .examples = "completion bash > ~/.local/share/bash-completion/completions/excore",
    .run = run_completion,
};
