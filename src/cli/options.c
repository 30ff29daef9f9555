/* options.c: see options.h. */
#include "cli/options.h"

#include <stdlib.h>

#define HOST_BYTES         256
#define PORT_BYTES         16
#define FAULTS_LIMIT_BYTES 65536

/* The flags as the configuration takes them; `texts` owns the split ones. */
typedef struct flags {
    ex_config_flag *list;
    size_t count;
    char host[HOST_BYTES], port[PORT_BYTES];
    char **names; /* of --set */
    size_t name_count;
} flags;

static void add(flags *f, const char *key, const char *value)
{
    if (value)
        f->list[f->count++] = (ex_config_flag){key, value};
}

/* --set KEY=VALUE */
static ex_status add_pair(flags *f, const char *text, ex_error *err)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text)
        return ex_raise(err, EX_EINVAL, "option '--set' wants KEY=VALUE, not '%s'", text);
    char *name = strndup(text, (size_t)(equals - text));
    if (!name)
        return ex_raise(err, EX_ENOMEM, "out of memory");
    f->names[f->name_count++] = name;
    add(f, name, equals + 1);
    return EX_OK;
}

static ex_status take_flags(const args *a, flags *f, ex_error *err)
{
    f->list = calloc(a->value_count + 8, sizeof(*f->list));
    f->names = calloc(a->value_count + 1, sizeof(*f->names));
    if (!f->list || !f->names)
        return ex_raise(err, EX_ENOMEM, "out of memory");
    size_t at = 0;
    ex_status status = EX_OK;
    for (const char *pair; !status && (pair = args_next(a, "set", &at));)
        status = add_pair(f, pair, err);
    add(f, "store.data", args_text(a, "data", NULL));
    add(f, "runtime.app", args_text(a, "app", NULL));
    add(f, "store.durability", args_text(a, "durability", NULL));
    add(f, "log.level", args_text(a, "log-level", NULL));
    const char *listen = args_text(a, "listen", NULL);
    if (status || !listen)
        return status;
    status = settings_split_listen(listen, f->host, sizeof(f->host), f->port, sizeof(f->port), err);
    if (status)
        return ex_error_context(err, status, "option '--listen'");
    add(f, "server.host", f->host);
    add(f, "server.port", f->port);
    return EX_OK;
}

static void flags_done(flags *f)
{
    for (size_t i = 0; i < f->name_count; i++)
        free(f->names[i]);
    free(f->names);
    free(f->list);
}

static void print_faults(const cli *c, const args *a, const ex_buf *faults, const ex_error *err)
{
    if (faults->len == 0) {
        fprintf(stderr, "%s %s: %s\n", c->program, a->verb->name, err->message);
        return;
    }
    fprintf(stderr, "%s %s: the configuration is faulty:\n", c->program, a->verb->name);
    for (ex_slice rest = ex_buf_slice(faults); rest.len > 0;) {
        const char *end = memchr(rest.ptr, '\n', rest.len);
        size_t len = end ? (size_t)(end - rest.ptr) : rest.len;
        fprintf(stderr, "  %.*s\n", (int)len, rest.ptr);
        size_t used = end ? len + 1 : len;
        rest = ex_slice_of(rest.ptr + used, rest.len - used);
    }
}

int options_load(const cli *c, const args *a, settings *ret)
{
    flags f = {0};
    ex_error err = {0};
    ex_buf faults;
    ex_buf_init(&faults, FAULTS_LIMIT_BYTES);
    int code = CLI_OK;
    const char *variable = getenv(SETTINGS_ENV_CONFIG);
    const char *file = args_text(a, "config", variable && *variable ? variable : NULL);
    if (take_flags(a, &f, &err)) {
        code = cli_misuse(c, a->verb, "%s", err.message);
    } else if (settings_load(file, f.list, f.count, ret, &faults, &err)) {
        print_faults(c, a, &faults, &err);
        code = err.status == EX_ENOMEM ? CLI_FAILURE : CLI_CONFIG;
    }
    ex_buf_done(&faults);
    flags_done(&f);
    return code;
}
