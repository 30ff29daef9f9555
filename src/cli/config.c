/* config.c: the verb `config`: what a server started like this would use. */
#include "cli/cli.h"
#include "cli/options.h"

#define CONFIG_LIMIT_BYTES ((size_t)1 << 20)

static int run_config(const cli *c, const args *a)
{
    settings s = {0};
    int code = options_load(c, a, &s);
    if (code)
        return code;
    ex_buf out;
    ex_buf_init(&out, CONFIG_LIMIT_BYTES);
    ex_config_print(s.config, args_has(a, "json"), &out);
    if (out.len > 0 && out.ptr[out.len - 1] != '\n')
        ex_buf_put_char(&out, '\n');
    if (ex_buf_status(&out)) {
        ex_error err = {0};
        (void)ex_raise(&err, ex_buf_status(&out), "out of memory");
        code = cli_fail(c, a, &err);
    } else {
        fwrite(out.ptr, 1, out.len, stdout);
    }
    ex_buf_done(&out);
    settings_done(&s);
    return code;
}

static const arg_option options[] = {
    SETTINGS_OPTIONS,
    {0, "json", ARG_FLAG, NULL, "print JSON", NULL},
    {0},
};

const cli_verb cli_verb_config = {
    .name = "config",
    .summary = "print the effective configuration, or all its faults",
    .options = options,
    .details = "Every key with its value, where the value comes from, and what it means. A value\n"
               "comes from a flag, else from the environment (server.port is EXCORE_SERVER_PORT),\n"
               "else from the file, else it is the default. What is printed is a configuration\n"
               "file itself. A faulty configuration gives exit code 78.",
    .examples = "config --config /etc/excore.yaml\n"
                "config > excore.yaml",
    .run = run_config,
};
