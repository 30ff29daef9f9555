/* args.h: one table for each verb drives parsing, --help, completion and misuse messages.
 *
 * Options may stand before, between and after the operands: --name value,
 * --name=value, -x value, -xvalue. "--" ends them. A dash alone, and a dash before
 * a digit, is an operand. Every verb also has --help and --version. */
#ifndef EXCORE_CLI_ARGS_H
#define EXCORE_CLI_ARGS_H

#include <excore/error.h>

#include <stdio.h>

typedef enum arg_kind {
    ARG_FLAG,   /* no value */
    ARG_TEXT,   /* any value */
    ARG_LIST,   /* any value but an empty one, may be repeated */
    ARG_NUMBER, /* 0 to 2^64 - 1, decimal */
    ARG_CHOICE, /* one of `choices` */
} arg_kind;

typedef struct arg_option {
    char letter; /* 'd' for -d; 0: none */
    const char *name;
    arg_kind kind;
    const char *value; /* stands for the value in the help; DIR, PLACE and FILE complete as such */
    const char *help;  /* lower case, no full stop */
    const char *choices; /* ARG_CHOICE: "full|normal" */
} arg_option;

struct cli;
struct args;

typedef struct cli_verb {
    const char *name;
    const char *summary;         /* one line, lower case, no full stop */
    const char *operands;        /* "STREAM TYPE [DATA]": optional ones in brackets, last */
    const char *operand_choices; /* for completion: "bash", or "@verbs" */
    const arg_option *options;   /* ends with a name of NULL; NULL: none */
    const char *details;         /* text after the options; NULL: none */
    const char *examples;        /* lines without the program's name; NULL: none */
    int (*run)(const struct cli *c, const struct args *a); /* the exit code */
} cli_verb;

typedef struct arg_value {
    const arg_option *option;
    const char *text; /* NULL for a flag */
} arg_value;

typedef struct args {
    const cli_verb *verb;
    arg_value *values; /* in the order given */
    size_t value_count;
    const char **operands;
    size_t operand_count;
    bool wants_help;
    bool wants_version;
} args;

/** Parse what follows the verb. Texts are borrowed from argv. Operands are not counted when help or
 *  the version is asked for.
 *  @param ret args_done frees it; set on success only
 *  @return EX_OK, EX_EINVAL (misuse: err says what, with a close match where there is one),
 * EX_ENOMEM */
EX_NODISCARD ex_status args_parse(const cli_verb *verb, int argc, char *const *argv, args *ret,
                                  ex_error *err);
void args_done(args *a);

/* Getters assert that the verb has the option, with that kind. The last one given wins. */

bool args_has(const args *a, const char *name);
/** The value, or `fallback`. */
const char *args_text(const args *a, const char *name, const char *fallback);
uint64_t args_number(const args *a, const char *name, uint64_t fallback);
/** Walk the values of a repeatable option: start with *at = 0; NULL at the end. */
const char *args_next(const args *a, const char *name, size_t *at);
/** Operand `index`, or NULL. */
const char *args_operand(const args *a, size_t index);

/** The options every verb has; ends with a name of NULL. */
extern const arg_option args_common_options[];

/** A decimal number and nothing else; false when it is none or does not fit. */
bool args_parse_number(const char *text, uint64_t *ret);
/** Take the next item off a list "a,b,c"; false at its end. Empty items are passed over. */
bool args_next_item(ex_slice *list, ex_slice *ret);

#endif
