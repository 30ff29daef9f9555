/* config_print.c: the effective values, as YAML that can be loaded again or as JSON with their
 * sources. */
#include "kernel/config_int.h"

#include <excore/json.h>

#include "kernel/utf8.h"

static const char *const source_names[] = {
    [EX_CONFIG_DEFAULT] = "default",
    [EX_CONFIG_FILE] = "file",
    [EX_CONFIG_ENV] = "environment",
    [EX_CONFIG_FLAG] = "flag",
};

/* A part that could not be built makes the whole fail. */
static void join_status(ex_buf *out, const ex_buf *part)
{
    if (!out->status)
        out->status = ex_buf_status(part);
}

/* file:line or the variable; nothing for default and flag. Control characters would end a comment.
 */
static void put_origin(ex_buf *out, const config_value *v)
{
    const char *p = v->source == EX_CONFIG_FILE  ? v->where.file
                    : v->source == EX_CONFIG_ENV ? v->where.variable
                                                 : "";
    for (; *p; p++)
        ex_buf_put_char(out, (unsigned char)*p < 0x20 || *p == 0x7F ? '?' : *p);
    if (v->source == EX_CONFIG_FILE)
        ex_buf_printf(out, ":%zu", v->where.line);
}

/* ---- Passwords in URLs ---- */

/* The next password at or after `from`: SCHEME://USER:HERE@… or …?password=HERE&…; false: none.
 * Up to the last @, for whoever forgot to write one in the password as %40. */
static bool find_password(const char *url, size_t from, size_t *ret_at, size_t *ret_len)
{
    static const char key[] = "password=";
    const char *names = strstr(url, "://"), *query = strchr(url, '?');
    if (!names)
        return false;
    names += 3;
    size_t len = query ? (size_t)(query - names) : strlen(names);
    const char *colon = memchr(names, ':', len), *at = memrchr(names, '@', len);
    if (colon && at && colon < at && (size_t)(colon - url) >= from) {
        *ret_at = (size_t)(colon + 1 - url);
        *ret_len = (size_t)(at - colon - 1);
        return true;
    }
    const char *value =
        query && strlen(url) > from ? strstr(url + from > query ? url + from : query, key) : NULL;
    if (!value)
        return false;
    *ret_at = (size_t)(value + sizeof(key) - 1 - url);
    *ret_len = strcspn(url + *ret_at, "&");
    return true;
}

static bool has_password(const ex_config_key *key, const config_value *v)
{
    size_t at, len;
    return key->type == EX_CONFIG_STRING && find_password(v->text, 0, &at, &len);
}

static void put_masked(ex_buf *out, const char *url)
{
    size_t done = 0, at, len;
    while (find_password(url, done, &at, &len)) {
        ex_buf_put(out, ex_slice_of(url + done, at - done));
        ex_buf_put_str(out, "***");
        done = at + len;
    }
    ex_buf_put_str(out, url + done);
}

/* ---- YAML ---- */

static void indent(ex_buf *out, size_t depth)
{
    for (size_t i = 0; i < depth; i++)
        ex_buf_put_str(out, "  ");
}

/* True for what YAML folds as a line break or refuses inside a file. */
static bool needs_yaml_escape(uint32_t c)
{
    return (c >= 0x7F && c <= 0x9F) || c == 0x2028 || c == 0x2029 || c == 0xFEFF || c >= 0xFFFE;
}

/* A JSON string is a YAML one, once the characters that only YAML treats in a special way are gone.
 * Those of four bytes are all fine in both. */
static void put_yaml_string(ex_buf *out, ex_slice json)
{
    while (json.len) {
        size_t n = ex_utf8_step(json);
        const unsigned char *p = (const unsigned char *)json.ptr;
        uint32_t c = n == 2   ? (p[0] & 0x1Fu) << 6 | (p[1] & 0x3Fu)
                     : n == 3 ? (p[0] & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu)
                     : n == 1 ? p[0]
                              : 0;
        n = n ? n : 1;
        if (needs_yaml_escape(c))
            ex_buf_printf(out, "\\u%04x", c);
        else
            ex_buf_put(out, ex_slice_of(json.ptr, n));
        json = ex_slice_of(json.ptr + n, json.len - n);
    }
}

/* In quotes, with "${" kept from being expanded when it is read again. */
static void put_yaml_text(ex_buf *out, const char *text)
{
    ex_buf escaped, json;
    ex_buf_init(&escaped, 0);
    ex_buf_init(&json, 0);
    for (const char *at = text; *at;) {
        const char *mark = strstr(at, "${");
        size_t n = mark ? (size_t)(mark - at) : strlen(at);
        ex_buf_put(&escaped, ex_slice_of(at, n));
        if (mark)
            ex_buf_put_str(&escaped, "$${");
        at += n + (mark ? 2 : 0);
    }
    ex_json_put_string(&json, ex_buf_slice(&escaped));
    join_status(&json, &escaped);
    join_status(out, &json);
    put_yaml_string(out, ex_buf_slice(&json));
    ex_buf_done(&escaped);
    ex_buf_done(&json);
}

/* Only in a comment: quoted, so that no line break ends it. */
static void put_masked_yaml(ex_buf *out, const char *url)
{
    ex_buf masked, json;
    ex_buf_init(&masked, 0);
    ex_buf_init(&json, 0);
    put_masked(&masked, url);
    ex_json_put_string(&json, ex_buf_slice(&masked));
    join_status(&json, &masked);
    join_status(out, &json);
    put_yaml_string(out, ex_buf_slice(&json));
    ex_buf_done(&masked);
    ex_buf_done(&json);
}

static void put_help(ex_buf *out, const ex_config_key *key, size_t depth)
{
    for (const char *at = key->help ? key->help : ""; *at;) {
        size_t n = strcspn(at, "\n");
        indent(out, depth);
        ex_buf_printf(out, "# %.*s\n", (int)n, at);
        at += n + (at[n] != '\0');
    }
}

static void put_facts(ex_buf *out, const ex_config_key *key, const config_value *v, size_t depth)
{
    indent(out, depth);
    ex_buf_printf(out, "# %s", source_names[v->source]);
    if (v->source == EX_CONFIG_FILE || v->source == EX_CONFIG_ENV) {
        ex_buf_put_char(out, ' ');
        put_origin(out, v);
    }
    if (v->source != EX_CONFIG_DEFAULT && key->default_text && !key->is_secret)
        ex_buf_printf(out, "; default %s", *key->default_text ? key->default_text : "\"\"");
    if (key->type == EX_CONFIG_ENUM)
        ex_buf_printf(out, "; one of %s", key->choices);
    ex_buf_put_char(out, '\n');
}

static void put_yaml_value(ex_buf *out, const ex_config_key *key, const config_value *v)
{
    if (key->type == EX_CONFIG_STRING || key->type == EX_CONFIG_ENUM)
        put_yaml_text(out, v->text);
    else if (key->type == EX_CONFIG_BOOL)
        ex_buf_put_str(out, v->number ? "true" : "false");
    else
        ex_buf_put_str(out, v->text);
}

static void put_yaml_key(ex_buf *out, const ex_config *c, size_t at, const char *name, size_t depth)
{
    const ex_config_key *key = &c->keys[at];
    const config_value *v = &c->values[at];
    put_help(out, key, depth);
    put_facts(out, key, v, depth);
    indent(out, depth);
    /* a secret is a comment, or the output would set it to *** when it is loaded */
    bool is_partly_secret = has_password(key, v);
    ex_buf_printf(out, "%s%s: ", key->is_secret || is_partly_secret ? "# " : "", name);
    if (key->is_secret)
        ex_buf_put_str(out, *v->text ? "***" : "\"\"");
    else if (is_partly_secret)
        put_masked_yaml(out, v->text);
    else
        put_yaml_value(out, key, v);
    ex_buf_put_char(out, '\n');
}

/* True when an earlier key lies in the same section: the section is printed already. */
static bool is_printed(const ex_config *c, size_t at, size_t section_len)
{
    for (size_t i = 0; i < at; i++) {
        if (strncmp(c->keys[i].name, c->keys[at].name, section_len + 1) == 0)
            return true;
    }
    return false;
}

/* All keys below the first `prefix_len` bytes of `prefix`, sections where their first key stands.
 */
static void put_section(ex_buf *out, const ex_config *c, const char *prefix, size_t prefix_len,
                        size_t depth)
{
    for (size_t i = 0; i < c->count; i++) {
        if (strncmp(c->keys[i].name, prefix, prefix_len) != 0)
            continue;
        const char *name = c->keys[i].name + prefix_len;
        size_t n = strcspn(name, ".");
        if (name[n] == '\0') {
            put_yaml_key(out, c, i, name, depth);
        } else if (!is_printed(c, i, prefix_len + n)) {
            indent(out, depth);
            ex_buf_printf(out, "%.*s:\n", (int)n, name);
            put_section(out, c, c->keys[i].name, prefix_len + n + 1, depth + 1);
        }
    }
}

/* ---- JSON ---- */

static void put_json_value(ex_json_writer *w, const ex_config_key *key, const config_value *v)
{
    if (key->is_secret) {
        ex_json_string(w, *v->text ? EX_S("***") : EX_S(""));
        return;
    }
    if (has_password(key, v)) {
        ex_buf masked;
        ex_buf_init(&masked, 0);
        put_masked(&masked, v->text);
        ex_json_string(w, ex_buf_status(&masked) ? EX_S("***") : ex_buf_slice(&masked));
        ex_buf_done(&masked);
        return;
    }
    switch (key->type) {
    case EX_CONFIG_BOOL:
        ex_json_bool(w, v->number != 0);
        return;
    case EX_CONFIG_INT:
    case EX_CONFIG_BYTES:
        ex_json_i64(w, v->number);
        return;
    case EX_CONFIG_STRING:
    case EX_CONFIG_DURATION:
    case EX_CONFIG_ENUM:
        ex_json_string(w, ex_str(v->text));
        return;
    }
}

static void put_json(const ex_config *c, ex_buf *out)
{
    ex_json_writer w;
    ex_json_writer_init(&w, out);
    ex_json_begin_object(&w);
    for (size_t i = 0; i < c->count; i++) {
        const config_value *v = &c->values[i];
        ex_json_key(&w, ex_str(c->keys[i].name));
        ex_json_begin_object(&w);
        ex_json_key(&w, EX_S("value"));
        put_json_value(&w, &c->keys[i], v);
        ex_json_string_member(&w, EX_S("source"), ex_str(source_names[v->source]));
        if (v->source == EX_CONFIG_FILE || v->source == EX_CONFIG_ENV) {
            ex_buf origin;
            ex_buf_init(&origin, 0);
            put_origin(&origin, v);
            ex_json_string_member(&w, EX_S("origin"), ex_buf_slice(&origin));
            join_status(out, &origin);
            ex_buf_done(&origin);
        }
        ex_json_end_object(&w);
    }
    ex_json_end_object(&w);
    ex_buf_put_char(out, '\n');
}

void ex_config_print(const ex_config *c, bool as_json, ex_buf *out)
{
    if (as_json)
        put_json(c, out);
    else
        put_section(out, c, "", 0, 0);
}
