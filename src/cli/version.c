/* version.c: the verb `version`: program, commit, libraries. */
#include "cli/cli.h"

#include "app/version.h"

#include <excore/json.h>

void version_line(const cli *c, FILE *out)
{
    fprintf(out, "%s %s (%s)\n", c->program, app_version(), app_commit());
}

static void put_json(ex_buf *out, const app_library *libraries)
{
    ex_json_writer w;
    ex_json_writer_init(&w, out);
    ex_json_begin_object(&w);
    ex_json_string_member(&w, EX_S("version"), ex_str(app_version()));
    ex_json_string_member(&w, EX_S("commit"), ex_str(app_commit()));
    ex_json_key(&w, EX_S("libraries"));
    ex_json_begin_object(&w);
    for (size_t i = 0; i < APP_LIBRARIES; i++) {
        ex_json_string_member(&w, ex_str(libraries[i].name), ex_str(libraries[i].version));
    }
    ex_json_end_object(&w);
    ex_json_end_object(&w);
    ex_buf_put_char(out, '\n');
}

static int run_version(const cli *c, const args *a)
{
    app_library libraries[APP_LIBRARIES];
    app_libraries(libraries);
    if (args_has(a, "json")) {
        ex_buf out;
        ex_buf_init(&out, 0);
        put_json(&out, libraries);
        fwrite(out.ptr, 1, out.len, stdout);
        ex_buf_done(&out);
        return CLI_OK;
    }
    version_line(c, stdout);
    for (size_t i = 0; i < APP_LIBRARIES; i++)
        printf("%s%s %s", i ? ", " : "with ", libraries[i].name, libraries[i].version);
    putchar('\n');
    return CLI_OK;
}

static const arg_option options[] = {
    {0, "json", ARG_FLAG, NULL, "print JSON", NULL},
    {0},
};

const cli_verb cli_verb_version = {
    .name = "version",
    .summary = "show the version, the commit and the libraries in use",
    .options = options,
    .run = run_version,
};
