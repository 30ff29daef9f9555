/* config.c: one table of keys, filled from defaults, file, environment and flags, weakest first.
 *
 * Happy path: each source hands its values to set_value, which checks them and
 * replaces what a weaker source gave. All faults are collected; one is enough
 * to refuse the whole, and nothing of it is kept. */
#include "kernel/config_int.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARENA_BYTES ((size_t)64 << 20)

typedef struct loader {
    ex_config *c;
    const ex_config_sources *sources;
    const char *prefix;
    const char *file; /* a copy that lives as long as c */
    char *const *variables;
    config_faults faults;
    ex_status status; /* EX_ENOMEM stops everything */
} loader;

/* ---- Values ---- */

static ptrdiff_t find_key(const ex_config_key *keys, size_t count, ex_slice name)
{
    for (size_t i = 0; i < count; i++) {
        if (ex_slice_is(name, keys[i].name))
            return (ptrdiff_t)i;
    }
    return -1;
}

/* Check and take over one value; `where` names static or arena text. */
static void set_value(loader *l, size_t at, ex_slice text, ex_config_source source,
                      const config_where *where)
{
    const ex_config_key *key = &l->c->keys[at];
    char why[CONFIG_SHOWN_SIZE];
    int64_t number;
    if (!config_value_parse(key, text, &number, why)) {
        config_fault(&l->faults, where, "%s: %s", key->name, why);
        return;
    }
    ex_slice copy = ex_arena_copy(&l->c->arena, text);
    if (!copy.ptr) {
        l->status = EX_ENOMEM;
        return;
    }
    l->c->values[at] = (config_value){copy.ptr, number, source, *where};
}

static const char *copy_text(loader *l, const char *text)
{
    ex_slice copy = ex_arena_copy(&l->c->arena, ex_str(text));
    if (!copy.ptr)
        l->status = EX_ENOMEM;
    return copy.ptr;
}

static const char *default_of(const ex_config_key *key)
{
    if (key->default_text)
        return key->default_text;
    return key->type == EX_CONFIG_BOOL ? "false" : "";
}

static void load_defaults(loader *l)
{
    config_where w = {.file = "default"};
    for (size_t i = 0; i < l->c->count && !l->status; i++)
        set_value(l, i, ex_str(default_of(&l->c->keys[i])), EX_CONFIG_DEFAULT, &w);
    assert(l->faults.count == 0); /* the table is ours */
}

/* ---- File ---- */

/* True when some key lies below the name, as in "server" of "server.port". */
static bool is_section(const ex_config *c, ex_slice name)
{
    for (size_t i = 0; i < c->count; i++) {
        ex_slice key = ex_str(c->keys[i].name);
        if (key.len > name.len && ex_slice_starts(key, name) && key.ptr[name.len] == '.')
            return true;
    }
    return false;
}

static void unknown_in_file(loader *l, ex_slice name, const config_where *w)
{
    const ex_config_key *guess = config_suggest(l->c->keys, l->c->count, name, NULL);
    if (is_section(l->c, name))
        config_fault(&l->faults, w, "%.*s: is a section and takes no value itself", EX_ARG(name));
    else if (guess)
        config_fault(&l->faults, w, "%.*s: unknown key, did you mean %s?", EX_ARG(name),
                     guess->name);
    else
        config_fault(&l->faults, w, "%.*s: unknown key", EX_ARG(name));
}

static void take_entry(void *ctx, ex_slice name, ex_slice value, size_t line, bool is_null)
{
    loader *l = ctx;
    if (l->status)
        return;
    config_where w = {.file = l->file, .line = line};
    ptrdiff_t at = find_key(l->c->keys, l->c->count, name);
    if (at < 0) {
        if (!is_null ||
            !is_section(l->c, name)) /* a section with all its keys commented out is fine */
            unknown_in_file(l, name, &w);
        return;
    }
    if (is_null) {
        config_fault(&l->faults, &w, "%.*s: has no value (\"\" is the empty text)", EX_ARG(name));
        return;
    }
    char why[CONFIG_SHOWN_SIZE];
    ex_buf text;
    ex_buf_init(&text, CONFIG_VALUE_BYTES);
    if (config_expand(value, l->variables, &text, why)) {
        set_value(l, (size_t)at, ex_buf_slice(&text), EX_CONFIG_FILE, &w);
    } else if (ex_buf_status(&text) == EX_ENOMEM) {
        l->status = EX_ENOMEM;
    } else {
        config_fault(&l->faults, &w, "%.*s: %s", EX_ARG(name), why);
    }
    ex_buf_done(&text);
}

/* The whole file; EX_OK, EX_ENOMEM, or another status with a reason in `why`. */
static ex_status read_file(const char *path, ex_buf *out, char *why, size_t why_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        (void)snprintf(why, why_size, "cannot be opened: %s", strerror(errno));
        return EX_EFILESYSTEM;
    }
    ssize_t n = 1;
    while (n > 0 && ex_buf_reserve(out, 4096)) {
        n = read(fd, out->ptr + out->len, out->cap - out->len);
        if (n < 0 && errno == EINTR)
            n = 1;
        else if (n > 0)
            out->len += (size_t)n;
    }
    if (n < 0)
        (void)snprintf(why, why_size, "cannot be read: %s", strerror(errno));
    close(fd);
    if (ex_buf_status(out) == EX_ETOOLARGE || out->len > CONFIG_FILE_BYTES) {
        (void)snprintf(why, why_size, "is larger than %zu bytes", CONFIG_FILE_BYTES);
        return EX_EINVAL;
    }
    return n < 0 ? EX_EFILESYSTEM : ex_buf_status(out);
}

static ex_status load_file(loader *l, ex_error *err)
{
    const char *path = l->sources->file;
    if (!path)
        return EX_OK;
    l->file = copy_text(l, path);
    if (!l->file)
        return EX_OK; /* l->status tells */
    char why[256];
    ex_buf text;
    ex_buf_init(&text,
                CONFIG_FILE_BYTES + 8192); /* one read more than the limit, to see it passed */
    ex_status status = read_file(path, &text, why, sizeof(why));
    if (status == EX_OK) {
        status = config_parse_yaml(ex_buf_slice(&text), path, &l->faults, take_entry, l, err);
    } else if (status == EX_ENOMEM) {
        status = ex_raise(err, status, "no memory to read \"%s\"", path);
    } else {
        config_where w = {.file = path};
        l->faults.status = status;
        config_fault(&l->faults, &w, "%s", why);
        status = EX_OK;
    }
    ex_buf_done(&text);
    return status;
}

/* ---- Environment ---- */

static void take_variable(loader *l, size_t at, const char *name)
{
    const char *value = config_getenv(l->variables, ex_str(name));
    if (!value)
        return;
    config_where w = {.variable = copy_text(l, name)};
    if (w.variable)
        set_value(l, at, ex_str(value), EX_CONFIG_ENV, &w);
}

static void load_environment(loader *l)
{
    for (size_t i = 0; i < l->c->count && !l->status; i++) {
        char name[CONFIG_NAME_SIZE + 32];
        if (l->c->keys[i].env_alias)
            take_variable(l, i, l->c->keys[i].env_alias);
        config_variable_name(l->prefix, l->c->keys[i].name, name);
        take_variable(l, i, name);
    }
}

static bool is_ignored(const char *const *patterns, ex_slice name)
{
    for (; patterns && *patterns; patterns++) {
        ex_slice p = ex_str(*patterns);
        bool is_open = p.len > 0 && p.ptr[p.len - 1] == '*';
        if (is_open ? ex_slice_starts(name, ex_slice_of(p.ptr, p.len - 1)) : ex_slice_eq(name, p))
            return true;
    }
    return false;
}

static bool is_variable_of_a_key(const loader *l, ex_slice name)
{
    for (size_t i = 0; i < l->c->count; i++) {
        char known[CONFIG_NAME_SIZE + 32];
        config_variable_name(l->prefix, l->c->keys[i].name, known);
        const char *alias = l->c->keys[i].env_alias;
        if (ex_slice_is(name, known) || (alias && ex_slice_is(name, alias)))
            return true;
    }
    return false;
}

static void check_unknown_variables(loader *l)
{
    ex_slice prefix = ex_str(l->prefix);
    for (char *const *v = l->variables; prefix.len && *v && !config_faults_full(&l->faults); v++) {
        ex_slice name = ex_slice_of(*v, strcspn(*v, "="));
        if (!ex_slice_starts(name, prefix) || is_ignored(l->sources->env_ignored, name) ||
            is_variable_of_a_key(l, name))
            continue;
        char shown[CONFIG_NAME_SIZE], guess_name[CONFIG_NAME_SIZE + 32];
        (void)snprintf(shown, sizeof(shown), "%.*s", EX_ARG(name)); /* a cut name is clear enough */
        config_where w = {.variable = shown};
        const ex_config_key *guess = config_suggest(l->c->keys, l->c->count, name, l->prefix);
        if (!guess) {
            config_fault(&l->faults, &w, "unknown variable");
            continue;
        }
        config_variable_name(l->prefix, guess->name, guess_name);
        config_fault(&l->faults, &w, "unknown variable, did you mean %s?", guess_name);
    }
}

/* ---- Flags ---- */

static void take_flag(loader *l, const ex_config_flag *flag)
{
    config_where w = {.is_flag = true};
    ptrdiff_t at = find_key(l->c->keys, l->c->count, ex_str(flag->key));
    if (at >= 0 && l->c->keys[at].is_secret) {
        config_fault(
            &l->faults, &w,
            "%s: a secret is not taken from the command line, where every user can read it",
            flag->key);
    } else if (at >= 0) {
        set_value(l, (size_t)at, ex_str(flag->value), EX_CONFIG_FLAG, &w);
    } else {
        const ex_config_key *guess =
            config_suggest(l->c->keys, l->c->count, ex_str(flag->key), NULL);
        config_fault(&l->faults, &w, "%.*s: unknown key%s%s%s", CONFIG_NAME_SIZE, flag->key,
                     guess ? ", did you mean " : "", guess ? guess->name : "", guess ? "?" : "");
    }
}

/* ---- Loading ---- */

#ifndef NDEBUG
static bool table_is_sound(const ex_config_key *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t n = strlen(keys[i].name);
        if (n == 0 || n >= CONFIG_NAME_SIZE)
            return false;
        for (size_t k = 0; k < count; k++) {
            bool is_below = strncmp(keys[k].name, keys[i].name, n) == 0 &&
                            (keys[k].name[n] == '.' || keys[k].name[n] == '\0');
            if (k != i && is_below)
                return false;
        }
    }
    return true;
}
#endif

static ex_status load_all(loader *l, ex_error *err)
{
    load_defaults(l);
    ex_status status = l->status ? l->status : load_file(l, err);
    if (status == EX_OK && !l->status)
        load_environment(l);
    if (status == EX_OK && !l->status)
        check_unknown_variables(l);
    for (size_t i = 0; i < l->sources->flag_count && !status && !l->status; i++)
        take_flag(l, &l->sources->flags[i]);
    if (status)
        return status == EX_ENOMEM && l->status ? ex_raise(err, status, "no memory") : status;
    if (l->status)
        return ex_raise(err, l->status, "no memory for the configuration");
    if (l->faults.count == 1)
        return ex_raise(err, l->faults.status, "%s", l->faults.first);
    if (l->faults.count > 1)
        return ex_raise(err, l->faults.status, "%zu faults in the configuration, first: %s",
                        l->faults.count, l->faults.first);
    return EX_OK;
}

ex_status ex_config_load(const ex_config_key *keys, size_t key_count,
                         const ex_config_sources *sources, ex_config **ret, ex_buf *ret_faults,
                         ex_error *err)
{
    assert(table_is_sound(keys, key_count));
    ex_config *c = calloc(1, sizeof(*c));
    if (!c)
        return ex_raise(err, EX_ENOMEM, "no memory for the configuration");
    ex_arena_init(&c->arena, ARENA_BYTES);
    c->keys = keys;
    c->count = key_count;
    c->values = calloc(key_count ? key_count : 1, sizeof(*c->values));
    loader l = {.c = c, .sources = sources, .faults = {.out = ret_faults}};
    l.prefix = sources->env_prefix ? sources->env_prefix : "EXCORE_";
    l.variables = sources->environ ? sources->environ : environ;
    ex_status status =
        c->values ? load_all(&l, err) : ex_raise(err, EX_ENOMEM, "no memory for the configuration");
    bool is_kept = status == EX_OK || (status == EX_EINVAL && sources->keeps_faulty);
    if (is_kept)
        *ret = c;
    else
        ex_config_free(c);
    return status;
}

void ex_config_free(ex_config *c)
{
    if (!c)
        return;
    ex_arena_done(&c->arena);
    free(c->values);
    free(c);
}

/* ---- Getters ---- */

static const config_value *value_of(const ex_config *c, const char *key, ex_config_type type)
{
    static const config_value none = {.text = ""}; /* only a release build comes to it */
    ptrdiff_t at = find_key(c->keys, c->count, ex_str(key));
    bool is_right = at >= 0 && c->keys[at].type == type;
    assert(is_right);
    return is_right ? &c->values[at] : &none;
}

const char *ex_config_string(const ex_config *c, const char *key)
{
    ptrdiff_t at = find_key(c->keys, c->count, ex_str(key));
    if (at >= 0 && c->keys[at].type == EX_CONFIG_ENUM)
        return c->values[at].text;
    return value_of(c, key, EX_CONFIG_STRING)->text;
}

bool ex_config_bool(const ex_config *c, const char *key)
{
    return value_of(c, key, EX_CONFIG_BOOL)->number != 0;
}

int64_t ex_config_int(const ex_config *c, const char *key)
{
    ptrdiff_t at = find_key(c->keys, c->count, ex_str(key));
    if (at >= 0 && c->keys[at].type == EX_CONFIG_ENUM)
        return c->values[at].number;
    return value_of(c, key, EX_CONFIG_INT)->number;
}

uint64_t ex_config_bytes(const ex_config *c, const char *key)
{
    return (uint64_t)value_of(c, key, EX_CONFIG_BYTES)->number;
}

uint64_t ex_config_ms(const ex_config *c, const char *key)
{
    return (uint64_t)value_of(c, key, EX_CONFIG_DURATION)->number;
}

ex_config_source ex_config_source_of(const ex_config *c, const char *key)
{
    ptrdiff_t at = find_key(c->keys, c->count, ex_str(key));
    assert(at >= 0);
    return at >= 0 ? c->values[at].source : EX_CONFIG_DEFAULT;
}
