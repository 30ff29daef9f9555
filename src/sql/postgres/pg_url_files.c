/* pg_url_files.c: the files that a URL names, or libpq's environment, wherever the process stands.
 *
 * libpq opens them for every connection, also for one that is made hours after a chdir. A later
 * value of a parameter replaces an earlier one, so absolute names are added at the end. */
#include "sql/postgres/pg_url.h"

#include <libpq-fe.h>
#include <stdlib.h>

#include <excore/buf.h>

#include "kernel/path.h"

static const char *const files[] = {"sslcert", "sslkey",    "sslrootcert",
                                    "sslcrl",  "sslcrldir", "passfile"};

static const char *value_of(const PQconninfoOption *options, const char *keyword)
{
    for (; options && options->keyword; options++)
        if (strcmp(options->keyword, keyword) == 0)
            return options->val ? options->val : "";
    return "";
}

/* "system" is the system's list of authorities. */
static bool is_relative(const char *file)
{
    return *file && *file != '/' && strcmp(file, "system") != 0;
}

static void put_escaped(ex_buf *out, const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || strchr("/-._~", c);
        if (!is_plain) {
            ex_buf_put_char(out, '%');
            ex_buf_put_char(out, hex[c >> 4]);
        }
        ex_buf_put_char(out, is_plain ? (char)c : hex[c & 15]);
    }
}

static ex_status put_file(ex_buf *out, const char *keyword, const char *file, ex_error *err)
{
    char *path = NULL;
    ex_status st = ex_path_absolute(file, &path, err);
    if (st)
        return st;
    ex_buf_put_char(out, memchr(out->ptr, '?', out->len) ? '&' : '?');
    ex_buf_put(out, ex_str(keyword));
    ex_buf_put_char(out, '=');
    put_escaped(out, path);
    free(path);
    return EX_OK;
}

ex_status ex_pg_url_absolute(const char *url, char **ret, ex_error *err)
{
    ex_pg_target target;
    ex_buf out;
    ex_status st = ex_pg_target_init(&target, url, err);
    if (st)
        return st;
    ex_buf_init(&out, 0);
    ex_buf_put(&out, ex_str(url));
    PQconninfoOption *given = PQconninfoParse(target.url, NULL), *defaults = PQconndefaults();
    if (!given || !defaults)
        st = ex_raise(err, EX_ENOMEM, "no memory for a PostgreSQL URL");
    for (size_t i = 0; !st && i < sizeof(files) / sizeof(files[0]); i++) {
        const char *file = value_of(given, files[i]);
        if (!*file)
            file = value_of(defaults, files[i]);
        if (is_relative(file))
            st = put_file(&out, files[i], file, err);
    }
    ex_buf_put_char(&out, '\0');
    char *made = st || ex_buf_status(&out) ? NULL : strdup(out.ptr);
    if (made)
        *ret = made;
    else if (!st)
        st = ex_raise(err, EX_ENOMEM, "no memory for a PostgreSQL URL");
    if (out.ptr)
        explicit_bzero(out.ptr, out.len);
    ex_buf_done(&out);
    PQconninfoFree(defaults);
    PQconninfoFree(given);
    ex_pg_target_done(&target);
    return st;
}
