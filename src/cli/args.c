/* args.c: parsing of a verb's options and operands from its table.
 *
 * Possible failures are all misuse: an unknown option, a value that is missing,
 * not wanted or not of its kind, an operand too many or too few. Each message
 * names the argument as it was typed. */
#include "cli/args.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "kernel/suggest.h"

const arg_option args_common_options[] = {
    {'h', "help", ARG_FLAG, NULL, "show this help and exit", NULL},
    {0, "version", ARG_FLAG, NULL, "show the version and exit", NULL},
    {0},
};

/* A walk over argv. */
typedef struct arg_reader {
    int argc;
    char *const *argv;
    int at;
    args *out;
} arg_reader;

bool args_parse_number(const char *text, uint64_t *ret)
{
    if (*text < '0' || *text > '9')
        return false;
    char *end = NULL;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (errno || *end != '\0')
        return false;
    *ret = n;
    return true;
}

bool args_next_item(ex_slice *list, ex_slice *ret)
{
    while (list->len > 0) {
        const char *comma = memchr(list->ptr, ',', list->len);
        size_t len = comma ? (size_t)(comma - list->ptr) : list->len;
        *ret = ex_slice_of(list->ptr, len);
        size_t used = comma ? len + 1 : len;
        *list = ex_slice_of(list->ptr + used, list->len - used);
        if (len > 0)
            return true;
    }
    return false;
}

static const arg_option *option_in(const arg_option *list, ex_slice name)
{
    for (const arg_option *o = list; o && o->name; o++)
        if (ex_slice_is(name, o->name))
            return o;
    return NULL;
}

static const arg_option *option_named(const cli_verb *verb, ex_slice name)
{
    const arg_option *o = option_in(verb->options, name);
    return o ? o : option_in(args_common_options, name);
}

static const arg_option *option_lettered(const cli_verb *verb, char letter)
{
    const arg_option *lists[] = {verb->options, args_common_options};
    for (size_t i = 0; i < 2; i++)
        for (const arg_option *o = lists[i]; o && o->name; o++)
            if (o->letter == letter)
                return o;
    return NULL;
}

static ex_status unknown_option(const cli_verb *verb, ex_slice name, ex_error *err)
{
    ex_suggest s;
    const arg_option *lists[] = {verb->options, args_common_options};
    ex_suggest_begin(&s, name);
    for (size_t i = 0; i < 2; i++)
        for (const arg_option *o = lists[i]; o && o->name; o++)
            ex_suggest_try(&s, o->name);
    const char *near = ex_suggest_end(&s);
    if (near)
        return ex_raise(err, EX_EINVAL, "unknown option '--%.*s'; did you mean '--%s'?",
                        EX_ARG(name), near);
    return ex_raise(err, EX_EINVAL, "unknown option '--%.*s'", EX_ARG(name));
}

static bool is_choice(const char *choices, const char *text)
{
    size_t len = strlen(text);
    for (const char *at = choices; *at;) {
        size_t n = strcspn(at, "|");
        if (n == len && memcmp(at, text, n) == 0)
            return true;
        at += n + (at[n] == '|');
    }
    return false;
}

static ex_status check_value(const arg_option *o, const char *text, ex_error *err)
{
    uint64_t n = 0;
    if (o->kind == ARG_NUMBER && !args_parse_number(text, &n))
        return ex_raise(err, EX_EINVAL, "option '--%s' wants a number, not '%s'", o->name, text);
    if (o->kind == ARG_CHOICE && !is_choice(o->choices, text))
        return ex_raise(err, EX_EINVAL, "option '--%s' wants one of %s, not '%s'", o->name,
                        o->choices, text);
    /* an unset variable of a script must not turn a filter into none */
    if (o->kind == ARG_LIST && text[strspn(text, ",")] == '\0')
        return ex_raise(err, EX_EINVAL, "option '--%s' wants a value: %s", o->name, o->value);
    return EX_OK;
}

/* `text`: the value glued to the option, or NULL. */
static ex_status take_option(arg_reader *r, const arg_option *o, const char *text, ex_error *err)
{
    if (o->kind == ARG_FLAG && text)
        return ex_raise(err, EX_EINVAL, "option '--%s' takes no value", o->name);
    if (o->kind != ARG_FLAG && !text) {
        if (r->at >= r->argc)
            return ex_raise(err, EX_EINVAL, "option '--%s' wants a value: %s", o->name, o->value);
        text = r->argv[r->at++];
    }
    ex_status status = text ? check_value(o, text, err) : EX_OK;
    if (status)
        return status;
    args *a = r->out;
    a->values[a->value_count++] = (arg_value){o, text};
    a->wants_help |= o == &args_common_options[0];
    a->wants_version |= o == &args_common_options[1];
    return EX_OK;
}

static ex_status take_long(arg_reader *r, const char *body, ex_error *err)
{
    size_t len = strcspn(body, "=");
    const arg_option *o = option_named(r->out->verb, ex_slice_of(body, len));
    if (!o)
        return unknown_option(r->out->verb, ex_slice_of(body, len), err);
    return take_option(r, o, body[len] ? body + len + 1 : NULL, err);
}

/* -abc: flags, the last of which may take the rest or the next argument as its value. */
static ex_status take_short(arg_reader *r, const char *body, ex_error *err)
{
    for (const char *at = body; *at; at++) {
        const arg_option *o = option_lettered(r->out->verb, *at);
        if (!o)
            return ex_raise(err, EX_EINVAL, "unknown option '-%c'", *at);
        bool takes_rest = o->kind != ARG_FLAG && at[1];
        ex_status status = take_option(r, o, takes_rest ? at + 1 : NULL, err);
        if (status || takes_rest)
            return status;
    }
    return EX_OK;
}

static bool is_option(const char *text)
{
    return text[0] == '-' && text[1] != '\0' && !(text[1] >= '0' && text[1] <= '9');
}

static ex_status take_all(arg_reader *r, ex_error *err)
{
    args *a = r->out;
    bool is_open = true; /* "--" not seen yet */
    while (r->at < r->argc) {
        const char *text = r->argv[r->at++];
        ex_status status = EX_OK;
        if (is_open && strcmp(text, "--") == 0)
            is_open = false;
        else if (is_open && is_option(text))
            status = text[1] == '-' ? take_long(r, text + 2, err) : take_short(r, text + 1, err);
        else
            a->operands[a->operand_count++] = text;
        if (status)
            return status;
    }
    return EX_OK;
}

static ex_status check_operands(const args *a, ex_error *err)
{
    size_t count = 0;
    ex_slice missing = {0};
    for (const char *at = a->verb->operands; at && *at;) {
        size_t len = strcspn(at, " ");
        if (count++ >= a->operand_count && *at != '[' && !missing.ptr)
            missing = ex_slice_of(at, len);
        at += len + (at[len] == ' ');
    }
    if (missing.ptr)
        return ex_raise(err, EX_EINVAL, "%.*s is missing", EX_ARG(missing));
    if (a->operand_count > count)
        return ex_raise(err, EX_EINVAL, "unexpected argument '%s'", a->operands[count]);
    return EX_OK;
}

ex_status args_parse(const cli_verb *verb, int argc, char *const *argv, args *ret, ex_error *err)
{
    args a = {.verb = verb};
    ex_status status = EX_OK;
    /* A cluster of flags such as -vvv takes several places. */
    size_t room = 1;
    for (int i = 0; i < argc; i++)
        room += strlen(argv[i]);
    a.values = calloc(room, sizeof(*a.values));
    a.operands = calloc((size_t)argc + 1, sizeof(*a.operands));
    if (!a.values || !a.operands) {
        status = ex_raise(err, EX_ENOMEM, "out of memory");
        goto out;
    }
    arg_reader reader = {argc, argv, 0, &a};
    status = take_all(&reader, err);
    if (!status && !a.wants_help && !a.wants_version)
        status = check_operands(&a, err);
    if (status)
        goto out;
    *ret = a;
    a = (args){0};
out:
    args_done(&a);
    return status;
}

void args_done(args *a)
{
    if (!a)
        return;
    free(a->values);
    free(a->operands);
    *a = (args){0};
}

/* The last value of an option, NULL when it was not given. */
static const arg_value *value_of(const args *a, const char *name)
{
    assert(option_named(a->verb, ex_str(name)));
    for (size_t i = a->value_count; i > 0; i--)
        if (strcmp(a->values[i - 1].option->name, name) == 0)
            return &a->values[i - 1];
    return NULL;
}

bool args_has(const args *a, const char *name)
{
    return value_of(a, name) != NULL;
}

const char *args_text(const args *a, const char *name, const char *fallback)
{
    const arg_value *v = value_of(a, name);
    return v ? v->text : fallback;
}

uint64_t args_number(const args *a, const char *name, uint64_t fallback)
{
    const arg_value *v = value_of(a, name);
    uint64_t n = fallback;
    if (v) {
        assert(v->option->kind == ARG_NUMBER);
        (void)args_parse_number(v->text, &n); /* checked while parsing */
    }
    return n;
}

const char *args_next(const args *a, const char *name, size_t *at)
{
    while (*at < a->value_count) {
        const arg_value *v = &a->values[(*at)++];
        if (strcmp(v->option->name, name) == 0)
            return v->text;
    }
    return NULL;
}

const char *args_operand(const args *a, size_t index)
{
    return index < a->operand_count ? a->operands[index] : NULL;
}
